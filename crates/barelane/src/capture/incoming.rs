//! What a server sends to who captures.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use lane::tap::{EXCHANGE_SIZE_MAX, ExchangeHead};

use super::settings::Settings;
use super::source::Source;
use super::talk::{Answer, Granted, LINE_MAX, Request, SCHEMA, Totals, line};
use crate::error::Error;

/// How long a read waits, at most: so late are signals noticed where nothing comes.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a server may take to answer a request: it gives lanes 5 seconds to take their taps.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Bytes that are read at once.
const READ_SIZE: usize = 256 << 10;

/// The stream, and what has come of it and was not yet given out.
#[derive(Debug)]
pub(super) struct Incoming {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// How much of it was given out.
    taken: usize,
}

/// One thing that comes.
#[derive(Debug)]
pub(super) enum Piece {
    /// A question, with what became of it.
    Exchange(Exchange),
    /// Nothing for now.
    Nothing,
    /// All exchanges have come.
    Totals(Totals),
    /// The server is gone.
    End,
}

/// An exchange, its lengths checked.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) head: ExchangeHead,
    pub(super) question: Vec<u8>,
    pub(super) answer: Vec<u8>,
}

impl Incoming {
    /// Asks a server for a capture, and gives how to read it.
    pub(super) fn connect(source: &Source, settings: &Settings) -> Result<(Self, Granted), Error> {
        let path = source.socket();
        let failed = |cause: io::Error| match cause.kind() {
            ErrorKind::PermissionDenied => Error::Failed(format!(
                "{}: this user cannot capture this server: run it as root, or as the server's user",
                path.display()
            )),
            _ => Error::Failed(format!("{}: {cause}", path.display())),
        };
        let stream = UnixStream::connect(&path).map_err(failed)?;
        stream.set_read_timeout(Some(LOOK_INTERVAL)).map_err(failed)?;
        stream.set_write_timeout(Some(ANSWER_MAX)).map_err(failed)?;
        let mut incoming = Self { stream, buffer: Vec::with_capacity(2 * READ_SIZE), taken: 0 };
        let request = Request {
            schema: SCHEMA.to_owned(),
            filter: settings.filter.clone(),
            sample: settings.sample,
            snaplen: settings.snaplen,
        };
        incoming.ask(&request).map_err(failed)?;
        match incoming.answer().map_err(failed)? {
            Answer::Granted(granted) => Ok((incoming, granted)),
            Answer::Refused(why) => Err(Error::Failed(format!("the server refuses: {why}"))),
        }
    }

    fn ask(&mut self, request: &Request) -> io::Result<()> {
        let told = self.stream.write_all(&line(request)?);
        // Who is refused at once need not have been read; the answer says why.
        told.or_else(|cause| if cause.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(cause) })
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let deadline = Instant::now() + ANSWER_MAX;
        loop {
            if let Some(line) = self.line() {
                return Ok(serde_json::from_slice(&line)?);
            }
            if self.waiting().len() > LINE_MAX || !self.read()? {
                return Err(io::Error::other("the server does not speak as it should"));
            }
            if Instant::now() >= deadline {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    /// Says that what was captured until now is enough.
    pub(super) fn want_no_more(&self) {
        // Where the server is gone, the next read says so.
        let _gone = self.stream.shutdown(Shutdown::Write);
    }

    /// The next thing that comes, after a tenth of a second at the most.
    pub(super) fn next(&mut self) -> Result<Piece, Error> {
        if let Some(piece) = self.piece()? {
            return Ok(piece);
        }
        match self.read() {
            Ok(true) => Ok(self.piece()?.unwrap_or(Piece::Nothing)),
            Ok(false) => Ok(Piece::End),
            Err(cause) if cause.kind() == ErrorKind::ConnectionReset => Ok(Piece::End),
            Err(cause) => Err(Error::Failed(format!("the server cannot be read: {cause}"))),
        }
    }

    /// What has come whole and was not given out.
    fn piece(&mut self) -> Result<Option<Piece>, Error> {
        const WORD: usize = size_of::<u32>();
        let Some(size) = self.waiting().first_chunk::<WORD>() else { return Ok(None) };
        match u32::from_ne_bytes(*size) as usize {
            0 => {
                let ended = self.waiting().get(WORD..).and_then(|rest| rest.strip_suffix(b"\n"));
                let totals = ended.map(serde_json::from_slice).transpose();
                Ok(totals.map_err(|cause| nonsense(&cause.to_string()))?.map(Piece::Totals))
            }
            size if size > EXCHANGE_SIZE_MAX => Err(nonsense(&format!("an exchange of {size} bytes"))),
            size => {
                let Some(bytes) = self.waiting().get(..size) else { return Ok(None) };
                let exchange =
                    Exchange::of(bytes).ok_or_else(|| nonsense("an exchange that contradicts itself"))?;
                self.taken += size;
                Ok(Some(Piece::Exchange(exchange)))
            }
        }
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// A line, if one has come whole.
    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.waiting().iter().position(|byte| *byte == b'\n')?;
        let line = self.waiting().get(..end)?.to_vec();
        self.taken += end + 1;
        Some(line)
    }

    /// Reads on. Says whether the server is still there.
    fn read(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let begin = self.buffer.len();
        self.buffer.resize(begin + READ_SIZE, 0);
        let read = self.stream.read(self.buffer.get_mut(begin..).unwrap_or_default());
        let came = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(begin + came);
        match read {
            Ok(came) => Ok(came > 0),
            Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(cause) => Err(cause),
        }
    }
}

fn nonsense(what: &str) -> Error {
    Error::Failed(format!("the server sends what is no capture: {what}"))
}

impl Exchange {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (head, question, answer) = ExchangeHead::read(bytes)?;
        Some(Self { head, question: question.to_vec(), answer: answer.to_vec() })
    }
}

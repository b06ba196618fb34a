//! One capture, as the server sees it: from its request to the totals.

use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::time::Duration;

use lane::TapSender;
use lane::tap::{self, EXCHANGE_SIZE_MAX, Exchanges, SNAPLEN_MAX, SNAPLEN_MIN, Tap, TapCounts, TapSettings};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::filter;
use super::service::LaneEnd;
use super::talk::{Answer, Granted, LINE_MAX, Request, SCHEMA, Totals, line};

/// How long a request may take to come: it is one line of a process on the same machine.
const REQUEST_MAX: Duration = Duration::from_secs(2);

/// How long lanes may take to exchange their taps: their housekeeping comes every few milliseconds, on a busy machine later.
const EXCHANGE_MAX: Duration = Duration::from_secs(5);

/// How often is looked whether a lane has exchanged its tap.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// How often the rings are looked at that were found empty. A ring takes 80 ms of what a veth carries to fill, so that one of
/// them may be late by ten of these; more often wakes a core more often while somebody captures.
const DRAIN_INTERVAL: Duration = Duration::from_millis(5);

/// How long what is left may take to be taken when a capture ends.
const REST_MAX: Duration = Duration::from_secs(2);

/// The most bytes between the rings and the socket. An exchange must fit, and more of them share a system call.
const OUTBOX_SIZE: usize = 256 << 10;

const _: () = assert!(OUTBOX_SIZE >= EXCHANGE_SIZE_MAX);

/// A server's lanes, as one capture after the other has them.
#[derive(Debug)]
pub(super) struct Tapped {
    nic: String,
    lanes: Vec<LaneEnd>,
}

/// How what is carried ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Who captures wants no more, or the server stops: the rest and the totals are told.
    InOrder,
    /// Nobody is there to be told.
    Gone,
}

impl Tapped {
    pub(super) fn new(nic: &str, lanes: Vec<LaneEnd>) -> Self {
        Self { nic: nic.to_owned(), lanes }
    }

    /// Captures for whoever is at the other end, until he wants no more or is gone, or the server stops. Afterwards no lane has a
    /// tap.
    pub(super) async fn capture(&mut self, stream: &UnixStream, stopped: watch::Receiver<bool>) {
        match self.begin(stream).await {
            Err(why) => refuse(stream, &why).await,
            Ok(exchanges) => {
                let mut carrier =
                    Carrier { stream, exchanges, outbox: Vec::with_capacity(OUTBOX_SIZE), sent: 0 };
                let ended = carrier.carry(&stopped).await;
                let totals = self.take_back().await;
                if ended == Ended::InOrder {
                    // Who does not take the rest in time has seen what he has seen.
                    let _slow = timeout(REST_MAX, carrier.end(&totals)).await;
                }
            }
        }
    }

    /// Reads the request, hands the taps out, and says so; else gives why not.
    async fn begin(&mut self, stream: &UnixStream) -> Result<Vec<Exchanges>, String> {
        let request = timeout(REQUEST_MAX, request(stream)).await;
        let request = request.map_err(|_| format!("no request came within {REQUEST_MAX:?}"))??;
        let queues = self.lanes.iter().map(|lane| lane.queue).collect();
        let granted = line(&Answer::Granted(Granted::new(&self.nic, queues)));
        let granted = granted.map_err(|cause| cause.to_string())?;
        let (taps, exchanges) = self.taps(&request)?;
        if !self.hand_out(taps).await {
            self.take_back().await;
            return Err("a lane does not take a tap: its core is busy with something else".to_owned());
        }
        let told = timeout(REST_MAX, write_all(stream, &granted)).await;
        if !matches!(told, Ok(Ok(()))) {
            self.take_back().await;
            return Err("nobody is there any more".to_owned());
        }
        Ok(exchanges)
    }

    /// A tap for each lane, with its memory.
    fn taps(&self, request: &Request) -> Result<(Vec<Tap>, Vec<Exchanges>), String> {
        let filter = filter::compile(&request.filter).map_err(|error| error.to_string())?;
        if !(SNAPLEN_MIN..=SNAPLEN_MAX).contains(&request.snaplen) || request.sample == 0 {
            return Err("a snaplen or a sample that there is not".to_owned());
        }
        // What is taken is locked at once, and a process that is not given memory dies: better asked before.
        let size = tap::memory_of(request.snaplen) * self.lanes.len();
        let mut tried = Vec::<u8>::new();
        let is_there = tried.try_reserve_exact(size);
        // Or the compiler leaves out what is not used.
        black_box(&tried);
        drop(tried);
        is_there.map_err(|_| {
            format!(
                "the server has no {} MiB of memory for it: raise RLIMIT_MEMLOCK, or capture fewer bytes",
                size >> 20
            )
        })?;
        let settings = |lane| TapSettings {
            filter: filter.clone(),
            sample: request.sample,
            snaplen: request.snaplen,
            lane,
        };
        Ok((0..).zip(&self.lanes).map(|(number, _)| tap::tap(settings(number))).unzip())
    }

    /// Gives each lane its tap. Says whether all have taken it.
    async fn hand_out(&mut self, taps: Vec<Tap>) -> bool {
        let deadline = Instant::now() + EXCHANGE_MAX;
        for (lane, tap) in self.lanes.iter_mut().zip(taps) {
            if swap(&mut lane.taps, Some(Box::new(tap)), deadline).await.is_none() {
                return false;
            }
        }
        true
    }

    /// Takes the taps away, and gives what they have counted.
    async fn take_back(&mut self) -> Totals {
        let deadline = Instant::now() + EXCHANGE_MAX;
        let mut totals = Totals::default();
        for lane in &mut self.lanes {
            let back = swap(&mut lane.taps, None, deadline).await.flatten();
            totals.lanes.push(back.map(|tap: Box<Tap>| TapCounts::into(tap.counts())));
        }
        totals
    }
}

/// Exchanges a lane's tap for another, or for none, and gives back what it had; nothing where it has not taken it in time. What
/// it takes later is exchanged by the next capture.
async fn swap(taps: &mut TapSender, tap: Option<Box<Tap>>, deadline: Instant) -> Option<Option<Box<Tap>>> {
    // What came back too late for the capture before.
    while taps.collect().is_some() {}
    taps.send(tap).ok()?;
    let back = async {
        loop {
            if let Some(back) = taps.collect() {
                return back;
            }
            sleep(LOOK_INTERVAL).await;
        }
    };
    timeout_at(deadline, back).await.ok()
}

/// What carries exchanges from the rings to the socket.
struct Carrier<'a> {
    stream: &'a UnixStream,
    exchanges: Vec<Exchanges>,
    /// Exchanges on their way, whole.
    outbox: Vec<u8>,
    /// How many bytes of it the socket has taken.
    sent: usize,
}

impl Carrier<'_> {
    /// Carries until nobody wants any more.
    async fn carry(&mut self, stopped: &watch::Receiver<bool>) -> Ended {
        loop {
            if *stopped.borrow() {
                return Ended::InOrder;
            }
            match self.stream.try_read(&mut [0; 64]) {
                Ok(0) => return Ended::InOrder,
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => {}
                // Whoever says more than a request is none of ours.
                _ => return Ended::Gone,
            }
            self.fill();
            match self.send() {
                _ if self.outbox.is_empty() => sleep(DRAIN_INTERVAL).await,
                Ok(()) => yield_now().await,
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => {
                    let _in_time = timeout(DRAIN_INTERVAL, self.stream.writable()).await;
                }
                Err(_) => return Ended::Gone,
            }
        }
    }

    /// Takes from the rings in turn, where all that was taken before is sent.
    fn fill(&mut self) {
        if self.sent < self.outbox.len() {
            return;
        }
        self.outbox.clear();
        self.sent = 0;
        let Self { exchanges, outbox, .. } = self;
        let mut take =
            || exchanges.iter_mut().map(|ring| ring.take(outbox, OUTBOX_SIZE)).filter(|took| *took).count();
        while take() > 0 {}
    }

    /// Gives the socket what it takes.
    fn send(&mut self) -> io::Result<()> {
        let left = self.outbox.get(self.sent..).unwrap_or_default();
        if !left.is_empty() {
            self.sent += self.stream.try_write(left)?;
        }
        Ok(())
    }

    /// The rest, and the totals.
    async fn end(&mut self, totals: &Totals) -> io::Result<()> {
        loop {
            write_all(self.stream, self.outbox.get(self.sent..).unwrap_or_default()).await?;
            self.sent = self.outbox.len();
            self.fill();
            if self.outbox.is_empty() {
                break;
            }
        }
        write_all(self.stream, &0_u32.to_ne_bytes()).await?;
        write_all(self.stream, &line(totals)?).await
    }
}

/// Says why there is no capture, to whoever is still there.
pub(super) async fn refuse(stream: &UnixStream, why: &str) {
    if let Ok(line) = line(&Answer::Refused(why.to_owned())) {
        let _gone = timeout(REST_MAX, write_all(stream, &line)).await;
    }
}

/// The request, or what is wrong with it.
async fn request(stream: &UnixStream) -> Result<Request, String> {
    let read = read_line(stream).await.map_err(|cause| format!("the request broke off: {cause}"))?;
    let request: Request =
        serde_json::from_slice(&read).map_err(|cause| format!("the request cannot be read: {cause}"))?;
    if request.schema == SCHEMA {
        return Ok(request);
    }
    Err(format!(
        "this server speaks {SCHEMA}, and not {:?}: capture with the version that serves",
        request.schema
    ))
}

/// Bytes up to the end of a line.
async fn read_line(stream: &UnixStream) -> io::Result<Vec<u8>> {
    let (mut read, mut piece) = (Vec::new(), [0; 4096]);
    while !read.contains(&b'\n') {
        stream.readable().await?;
        match stream.try_read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => read.extend_from_slice(piece.get(..len).unwrap_or_default()),
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => {}
            Err(cause) => return Err(cause),
        }
        if read.len() > LINE_MAX {
            return Err(io::Error::other("it is too long"));
        }
    }
    Ok(read)
}

async fn write_all(stream: &UnixStream, mut left: &[u8]) -> io::Result<()> {
    while !left.is_empty() {
        stream.writable().await?;
        match stream.try_write(left) {
            Ok(len) => left = left.get(len..).unwrap_or_default(),
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

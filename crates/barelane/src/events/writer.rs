//! Writes lines to standard error from a thread of its own.
//!
//! A pipe that nobody reads is full after 64 KiB, and then whoever writes to it waits. Housekeeping must not: the segment would
//! grow old, and the ways to gateways with it. So lines go into a queue of limited length, and what finds it full is lost and
//! counted. The thread may wait for its reader for ever.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

/// How many lines wait for a reader. A start has some fifteen; more waiting would be older when they are read.
pub(super) const LINES_MAX: usize = 128;

/// The stack of the thread, which is locked in memory, as all of the process is. It only writes.
const STACK_SIZE: usize = 128 << 10;

/// How often is looked whether all has been written.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Lines on their way. All clones have one queue.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    lines: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

/// What became of lines.
#[derive(Debug, Default)]
struct Counts {
    /// Taken into the queue.
    taken: AtomicU64,
    /// Written, or given up: no longer on their way.
    done: AtomicU64,
    /// Found no room, or could not be written.
    lost: AtomicU64,
}

impl Writer {
    /// Writes to `out` from now on.
    pub(super) fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = mpsc::sync_channel(LINES_MAX);
        let counts = Arc::<Counts>::default();
        let shared = Arc::clone(&counts);
        let work = move || write(&waiting, &mut out, &shared);
        thread::Builder::new().name("log".to_owned()).stack_size(STACK_SIZE).spawn(work)?;
        Ok(Self { lines, counts })
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.counts.done.load(Ordering::Acquire) == self.counts.taken.load(Ordering::Acquire)
    }

    /// How many lines were lost.
    pub(super) fn lost_count(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, so long at most.
    pub(super) fn finish(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.is_idle() && Instant::now() < deadline {
            thread::sleep(LOOK_INTERVAL);
        }
    }
}

/// One whole line at a time, which is how `tracing-subscriber` writes.
impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.counts.taken.fetch_add(1, Ordering::Release);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.lines.try_send(line.to_vec())
        {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            self.counts.done.fetch_add(1, Ordering::Release);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that has gone away is not a reason to end: what cannot be written is lost.
fn write(waiting: &Receiver<Vec<u8>>, out: &mut impl Write, counts: &Counts) {
    for line in waiting {
        if out.write_all(&line).is_err() {
            counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        counts.done.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read, pipe};

    use nix::fcntl::{FcntlArg, fcntl};

    use super::*;

    /// A writer to a pipe that holds no byte more.
    fn full() -> (PipeReader, Vec<u8>, Writer) {
        let (reader, mut writer) = pipe().unwrap();
        let size = fcntl(&writer, FcntlArg::F_GETPIPE_SZ).unwrap();
        // Whole pages of it do not block, and one byte more would.
        let filling = vec![b'.'; usize::try_from(size).unwrap()];
        writer.write_all(&filling).unwrap();
        (reader, filling, Writer::start(writer).unwrap())
    }

    #[test]
    fn a_full_pipe_holds_nobody_up_and_what_finds_no_room_is_lost_and_counted() {
        let (mut reader, filling, mut writer) = full();
        let count = LINES_MAX as u64 * 3;
        for number in 0..count {
            writer.write_all(format!("{number:04}\n").as_bytes()).unwrap();
        }
        let lost = writer.lost_count();
        // One line more than the queue has may be in the thread's hands.
        let [least, most] = [LINES_MAX as u64 * 2 - 1, LINES_MAX as u64 * 2];
        assert!((least..=most).contains(&lost) && !writer.is_idle(), "{lost}");
        let began = Instant::now();
        writer.finish(Duration::from_millis(20));
        assert!(began.elapsed() >= Duration::from_millis(20) && !writer.is_idle());
        let mut read = vec![0; filling.len()];
        reader.read_exact(&mut read).unwrap();
        writer.finish(Duration::from_secs(20));
        assert!(writer.is_idle());
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let lines: Vec<&str> = rest.lines().collect();
        assert_eq!((lines.len() as u64 + lost, lines[0]), (count, "0000"));
    }

    #[test]
    fn a_reader_that_has_gone_ends_nothing() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut writer = Writer::start(writer).unwrap();
        for _ in 0..3 {
            writer.write_all(b"to nobody\n").unwrap();
            writer.finish(Duration::from_secs(20));
        }
        assert_eq!(writer.lost_count(), 3);
    }
}

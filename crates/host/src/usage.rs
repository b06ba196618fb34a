//! What happened to a thread: how often its core was taken away, what it waited for, which memory was missing.
//!
//! Asked by the thread itself, of itself: getrusage(2) for its switches and faults, which costs a third of a
//! microsecond, and its `schedstat` for how long it was ready to run without a core. Or asked by another thread, which does
//! not disturb it: then all of it stands in files.

use std::fs::File;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use crate::HostError;
use crate::memory::Thread;

/// Run time, run delay and time slices of a thread (Documentation/scheduler/sched-stats.rst), 20 digits each at most.
const SCHEDSTAT: &str = "/proc/thread-self/schedstat";
const ROOM: usize = 64;
/// A `status` has some 1,500 bytes, and the lists of cores and nodes in it grow with the machine.
const STATUS_ROOM: usize = 8_192;

/// What was counted of a thread since it began. Every figure only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How often the scheduler gave its core to somebody else.
    pub involuntary_switches: u64,
    /// How often it left its core: waiting in the kernel, or stopped by a signal.
    pub voluntary_switches: u64,
    /// Page faults that were answered from memory.
    pub minor_faults: u64,
    /// Page faults that were answered from a disk.
    pub major_faults: u64,
    /// How long it was ready to run and waited for a core. Nothing where the kernel does not count that
    /// (`CONFIG_SCHED_INFO`).
    pub run_delay: Option<Duration>,
}

/// The calling thread. Its file is this thread's, so that it cannot be sent to another one.
#[derive(Debug)]
pub struct ThisThread {
    schedstat: Option<File>,
    stays: PhantomData<*const ()>,
}

impl ThisThread {
    /// The calling thread.
    pub fn open() -> Self {
        Self { schedstat: File::open(SCHEDSTAT).ok(), stays: PhantomData }
    }

    /// What was counted of it up to now. Allocates nothing; costs about two microseconds.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub fn usage(&self) -> Result<Usage, HostError> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).map_err(|errno| HostError::Refused {
            asked: "count this thread's switches and faults".to_owned(),
            source: errno.into(),
            said: String::new(),
            remedy: "",
        })?;
        Ok(Usage {
            involuntary_switches: usage.involuntary_context_switches().cast_unsigned(),
            voluntary_switches: usage.voluntary_context_switches().cast_unsigned(),
            minor_faults: usage.minor_page_faults().cast_unsigned(),
            major_faults: usage.major_page_faults().cast_unsigned(),
            run_delay: self.run_delay(),
        })
    }

    fn run_delay(&self) -> Option<Duration> {
        let mut room = [0; ROOM];
        run_delay_in(read(self.schedstat.as_ref()?, &mut room)?)
    }
}

/// A thread of this process, watched from another one.
#[derive(Debug)]
pub struct WatchedThread {
    thread: Thread,
    schedstat: Option<File>,
    status: Option<File>,
}

impl WatchedThread {
    /// Watches a thread. Where the kernel shows none of its files, nothing will be known of it.
    pub fn open(thread: Thread) -> Self {
        let open = |name| File::open(format!("/proc/self/task/{}/{name}", thread.number())).ok();
        Self { thread, schedstat: open("schedstat"), status: open("status") }
    }

    /// What was counted of it up to now. Costs some ten microseconds.
    ///
    /// # Errors
    /// The thread has ended, or the kernel does not tell.
    pub fn usage(&self) -> Result<Usage, HostError> {
        let faults = self.thread.page_faults()?;
        let mut room = [0; STATUS_ROOM];
        let status = self.status.as_ref().and_then(|file| read(file, &mut room));
        let [voluntary_switches, involuntary_switches] =
            status.and_then(switches_in).ok_or_else(|| HostError::NotUnderstood {
                asked: "count a thread's switches".to_owned(),
                reason: "its status does not say".to_owned(),
            })?;
        let mut room = [0; ROOM];
        let schedstat = self.schedstat.as_ref().and_then(|file| read(file, &mut room));
        Ok(Usage {
            involuntary_switches,
            voluntary_switches,
            minor_faults: faults.minor,
            major_faults: faults.major,
            run_delay: schedstat.and_then(run_delay_in),
        })
    }
}

/// A file of the kernel's, as far as there is room.
fn read<'a>(file: &File, room: &'a mut [u8]) -> Option<&'a str> {
    let len = file.read_at(room, 0).ok()?;
    std::str::from_utf8(room.get(..len)?).ok()
}

/// The voluntary and the involuntary switches in proc(5)'s `status`.
fn switches_in(status: &str) -> Option<[u64; 2]> {
    let of = |name| status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some([of("voluntary_ctxt_switches:")?, of("nonvoluntary_ctxt_switches:")?])
}

/// The second number. A kernel that does not count says that this thread was never given a core, which is not so. (The
/// first one, its run time, may still be 0: it is summed up at the first clock tick or switch.)
fn run_delay_in(schedstat: &str) -> Option<Duration> {
    let mut numbers = schedstat.split_whitespace().map(str::parse::<u64>).skip(1);
    let delay = numbers.next()?.ok()?;
    let time_slices = numbers.next()?.ok()?;
    (time_slices > 0).then_some(Duration::from_nanos(delay))
}

#[cfg(test)]
mod tests {
    use std::hint;
    use std::thread;

    use super::*;

    #[test]
    fn the_run_delay_is_the_second_number_where_time_slices_are_counted() {
        assert_eq!(run_delay_in("555158 61441 2\n"), Some(Duration::from_nanos(61_441)));
        assert_eq!(run_delay_in("0 61441 1\n"), Some(Duration::from_nanos(61_441)));
        assert_eq!(run_delay_in("0 0 0\n"), None);
        assert_eq!(run_delay_in("555158\n"), None);
        assert_eq!(run_delay_in(""), None);
    }

    #[test]
    fn both_kinds_of_switches_stand_in_a_threads_status() {
        let status = "Name:\tlane-0\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t33\n";
        assert_eq!(switches_in(status), Some([7, 33]));
        assert_eq!(switches_in("voluntary_ctxt_switches:\t7\n"), None);
    }

    #[test]
    fn a_thread_that_sleeps_is_seen_to_by_another_one() {
        let (hello, met) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let sleeper = thread::spawn(move || {
            hello.send(Thread::current()).unwrap();
            released.recv().unwrap();
            hello.send(Thread::current()).unwrap();
            released.recv().unwrap();
        });
        let watched = WatchedThread::open(met.recv().unwrap());
        let before = watched.usage().unwrap();
        release.send(()).unwrap();
        met.recv().unwrap();
        let after = watched.usage().unwrap();
        assert!(after.voluntary_switches >= before.voluntary_switches, "{before:?} {after:?}");
        assert!(after.minor_faults >= before.minor_faults, "{before:?} {after:?}");
        release.send(()).unwrap();
        sleeper.join().unwrap();
        assert!(watched.usage().is_err(), "a thread that has ended has no figures");
    }

    #[test]
    fn a_sleep_is_a_voluntary_switch() {
        let thread = ThisThread::open();
        let before = thread.usage().unwrap();
        thread::sleep(Duration::from_millis(1));
        let after = thread.usage().unwrap();
        assert!(after.voluntary_switches > before.voluntary_switches, "{before:?} {after:?}");
    }

    #[test]
    fn touching_new_memory_is_a_minor_fault() {
        let thread = ThisThread::open();
        let before = thread.usage().unwrap();
        let mut memory = vec![0_u8; 64 << 20];
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        hint::black_box(&memory);
        let after = thread.usage().unwrap();
        assert!(after.minor_faults > before.minor_faults, "{before:?} {after:?}");
    }

    #[test]
    fn another_threads_switches_are_not_this_ones() {
        let thread = ThisThread::open();
        let before = thread.usage().unwrap();
        let others = thread::spawn(|| {
            let thread = ThisThread::open();
            (0..100).for_each(|_| thread::sleep(Duration::from_micros(1)));
            thread.usage().unwrap()
        });
        let others = others.join().unwrap();
        let after = thread.usage().unwrap();
        assert!(others.voluntary_switches >= 100, "{others:?}");
        assert!(after.voluntary_switches - before.voluntary_switches < 100, "{before:?} {after:?}");
    }
}

//! What this machine tells the probe about the times when it was not at its work.

use std::time::Duration;

use host::cores;
use host::steal::Steal;
use host::usage::ThisThread;
use probe::own_error::{Platform, Usage};
use telemetry::Ns;

/// The calling thread and its cores. To be made by the thread that measures, when it is pinned.
#[derive(Debug)]
pub(crate) struct ThisPlatform {
    thread: ThisThread,
    steal: Option<Steal>,
}

impl ThisPlatform {
    /// The calling thread, and all cores that it may run on: where it is pinned, its own one.
    pub(crate) fn open() -> Self {
        let steal = cores::allowed().and_then(Steal::of).ok();
        Self { thread: ThisThread::open(), steal }
    }
}

impl Platform for ThisPlatform {
    fn thread(&self) -> Usage {
        let Ok(usage) = self.thread.usage() else { return Usage::default() };
        Usage {
            involuntary_switches: Some(usage.involuntary_switches),
            voluntary_switches: Some(usage.voluntary_switches),
            minor_faults: Some(usage.minor_faults),
            major_faults: Some(usage.major_faults),
            run_delay_ns: usage.run_delay.map(|delay| ns(delay).0),
            steal_ns: None,
        }
    }

    fn steal(&self) -> Option<Ns> {
        self.steal.as_ref()?.total().map(ns)
    }

    fn steal_resolution(&self) -> Ns {
        ns(Steal::resolution())
    }
}

fn ns(duration: Duration) -> Ns {
    Ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{hint, thread};

    use probe::own_error::{Cause, Limits};
    use probe::{Clock, Watch};

    use super::*;
    use crate::probe::CycleClock;

    /// How long is waited for the scheduler to take the core away, which it does every few milliseconds.
    const PATIENCE: Ns = Ns(20_000_000_000);

    /// Turns on the core that the thread is pinned to, until a stall has this cause; false where patience ends first.
    fn turns_until_it_sees(cause: Cause) -> bool {
        let clock = CycleClock::calibrate();
        let platform = ThisPlatform::open();
        let deadline = clock.now().0 + clock.rate().ticks(PATIENCE);
        while clock.now().0 < deadline {
            let mut watch = Watch::new(&clock, Limits::CARD, &platform);
            let until = clock.now().0 + clock.rate().ticks(Ns(20_000_000));
            let mut now = clock.now();
            while now.0 < until {
                watch.turn(now);
                now = clock.now();
            }
            if watch.finish().stalls.iter().any(|stall| stall.cause == cause) {
                return true;
            }
        }
        false
    }

    #[test]
    fn a_busy_thread_on_the_same_core_is_seen_as_stalls_by_preemption() {
        let core = *cores::allowed().unwrap().last().unwrap();
        let is_over = AtomicBool::new(false);
        let is_seen = thread::scope(|threads| {
            threads.spawn(|| {
                cores::pin(core).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    hint::spin_loop();
                }
            });
            let turning = threads.spawn(|| {
                cores::pin(core).unwrap();
                turns_until_it_sees(Cause::Preempted)
            });
            let is_seen = turning.join();
            is_over.store(true, Ordering::Relaxed);
            is_seen.unwrap()
        });
        assert!(is_seen);
    }

    #[test]
    fn this_platform_counts_everything_that_a_cause_is_found_by() {
        let platform = ThisPlatform::open();
        let usage = platform.thread();
        assert!(usage.involuntary_switches.is_some() && usage.voluntary_switches.is_some(), "{usage:?}");
        assert!(usage.minor_faults.is_some() && usage.major_faults.is_some(), "{usage:?}");
        assert!(usage.run_delay_ns.is_some() && platform.steal().is_some(), "{usage:?}");
    }
}

//! The spinning thread, and what is asked of the kernel before and after.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use host::HostError;
use host::clock::Clock;
use host::cores;
use host::interrupts::Interrupts;
use host::steal::Steal;
use host::usage::{ThisThread, Usage};
use telemetry::Histogram;

/// A longer gap between two readings is recorded. The readings of an undisturbed loop are 15 to 50 ns apart, and the
/// shortest interrupt takes about a microsecond: below it, the histogram would be of the loop itself.
pub(super) const THRESHOLD: Duration = Duration::from_micros(1);

/// What one core showed.
#[derive(Debug)]
pub(super) struct Spun {
    pub(super) core: usize,
    /// How long was really measured.
    pub(super) ticks: u64,
    pub(super) gaps: Histogram,
    pub(super) involuntary_switches: u64,
    pub(super) page_faults: u64,
    pub(super) run_delay: Option<Duration>,
    pub(super) steal: Option<Duration>,
    pub(super) interrupts: Interrupts,
}

/// What the kernel has counted up to now.
struct Counted {
    usage: Usage,
    steal: Option<Duration>,
    interrupts: Interrupts,
}

/// Spins on a core for so many seconds, or until it is told to stop.
///
/// # Errors
/// The core is not this process's, or the kernel does not count.
pub(super) fn on_core(core: usize, seconds: u64, clock: Clock, stop: &AtomicBool) -> Result<Spun, HostError> {
    thread::scope(|scope| {
        let spinning = scope.spawn(|| measure(core, seconds, clock, stop));
        spinning.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn measure(core: usize, seconds: u64, clock: Clock, stop: &AtomicBool) -> Result<Spun, HostError> {
    cores::pin(core)?;
    let thread = ThisThread::open();
    let steal = Steal::of(vec![core]).ok();
    let count = || {
        Ok::<_, HostError>(Counted {
            usage: thread.usage()?,
            steal: steal.as_ref().and_then(Steal::total),
            interrupts: Interrupts::of(core)?,
        })
    };
    let mut gaps = Box::<Histogram>::default();
    // The first asking faults its own memory in.
    count()?;
    let before = count()?;
    let ticks = spin(clock, seconds, stop, &mut gaps);
    let after = count()?;
    Ok(spun(core, ticks, *gaps, &before, &after))
}

/// Reads the counter until the time is over; gives how many ticks that were. Nothing else is done between two readings, but
/// to record a gap, which is a gap of some 50 ns itself, below the threshold.
fn spin(clock: Clock, seconds: u64, stop: &AtomicBool, gaps: &mut Histogram) -> u64 {
    let rate = clock.ticks_per_second();
    let threshold = rate / (1_000_000_000 / u64::from(THRESHOLD.subsec_nanos()));
    let begun = clock.now();
    let length = rate.saturating_mul(seconds);
    let mut last = begun;
    while last.saturating_sub(begun) < length && !stop.load(Ordering::Relaxed) {
        let now = clock.now();
        let gap = now.saturating_sub(last);
        if gap > threshold {
            gaps.record(as_ns(gap, rate));
        }
        last = now;
    }
    last.saturating_sub(begun)
}

fn as_ns(ticks: u64, rate: u64) -> u64 {
    u64::try_from(u128::from(ticks) * 1_000_000_000 / u128::from(rate.max(1))).unwrap_or(u64::MAX)
}

fn spun(core: usize, ticks: u64, gaps: Histogram, before: &Counted, after: &Counted) -> Spun {
    let between = |now: u64, then: u64| now.saturating_sub(then);
    let (now, then) = (after.usage, before.usage);
    Spun {
        core,
        ticks,
        gaps,
        involuntary_switches: between(now.involuntary_switches, then.involuntary_switches),
        page_faults: between(now.minor_faults + now.major_faults, then.minor_faults + then.major_faults),
        run_delay: now.run_delay.zip(then.run_delay).map(|(now, then)| now.saturating_sub(then)),
        steal: after.steal.zip(before.steal).map(|(now, then)| now.saturating_sub(then)),
        interrupts: after.interrupts.since(&before.interrupts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_within_the_time_and_every_gap_is_beyond_the_threshold() {
        let core = *cores::allowed().unwrap().last().unwrap();
        let clock = Clock::calibrate();
        let spun = on_core(core, 1, clock, &AtomicBool::new(false)).unwrap();
        let ns = as_ns(spun.ticks, clock.ticks_per_second());
        assert!(ns >= 1_000_000_000, "{ns}");
        assert!(spun.gaps.sum() <= ns && spun.gaps.max() <= ns, "{spun:?}");
        assert!(spun.gaps.count() == 0 || spun.gaps.min() >= 999, "{spun:?}");
        assert!(
            spun.interrupts.hard.keys().any(|name| name.starts_with("LOC")),
            "a core without one tick in a second"
        );
    }

    #[test]
    fn another_thread_on_the_core_shows_as_gaps_that_the_scheduler_made() {
        let core = *cores::allowed().unwrap().last().unwrap();
        let stop = AtomicBool::new(false);
        let spun = thread::scope(|scope| {
            scope.spawn(|| {
                cores::pin(core).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let spun = on_core(core, 1, Clock::calibrate(), &AtomicBool::new(false)).unwrap();
            stop.store(true, Ordering::Relaxed);
            spun
        });
        assert!(spun.involuntary_switches > 0, "{spun:?}");
        let delay = spun.run_delay.map(|delay| u64::try_from(delay.as_nanos()).unwrap());
        assert!(delay.is_none_or(|delay| delay > 0 && spun.gaps.sum() > delay / 2), "{spun:?}");
    }

    #[test]
    fn it_stops_when_told_to() {
        let core = *cores::allowed().unwrap().last().unwrap();
        let spun = on_core(core, 3600, Clock::calibrate(), &AtomicBool::new(true)).unwrap();
        assert_eq!(spun.gaps.count(), 0);
    }
}

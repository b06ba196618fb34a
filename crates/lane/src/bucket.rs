//! A token bucket in ticks: so many events a second, and so many at once.

use telemetry::{Tick, TickRate};

/// What a bucket holds to: one event each `interval`, and as many at once as fit `depth`.
///
/// Time is kept as the instant at which the bucket was last empty: an event moves it one interval ahead, and it never
/// lies further back than a full bucket. One word, no rounding drift.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    interval: u64,
    depth: u64,
}

impl Pace {
    /// `per_second` events a second, `burst` of them at once. None at all where either is 0.
    pub(crate) fn new(rate: TickRate, per_second: u32, burst: u32) -> Self {
        let interval = if per_second == 0 { 0 } else { (rate.per_second() / u64::from(per_second)).max(1) };
        Self::every(interval, burst)
    }

    /// One event every `interval` ticks, `burst` of them at once. None at all where either is 0.
    pub(crate) const fn every(interval: u64, burst: u32) -> Self {
        Self { interval, depth: interval.saturating_mul(burst as u64) }
    }

    /// When a bucket that was last empty at `empty_at` will have been so after an event at `now`; nothing where no event may
    /// happen then.
    #[inline]
    pub(crate) fn after_event(self, empty_at: u64, now: Tick) -> Option<u64> {
        // The clock may start at 0, where a full bucket would have been empty before time began: shift it by its depth.
        let now = now.0.saturating_add(self.depth);
        let empty_at = empty_at.max(now - self.depth);
        let may = self.interval > 0 && now - empty_at.min(now) >= self.interval;
        may.then_some(empty_at + self.interval)
    }
}

/// So many events a second at most, and so many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pace: Pace,
    empty_at: u64,
}

impl Bucket {
    /// A full bucket for `per_second` events a second, `burst` of them at once. None at all where either is 0.
    pub(crate) fn new(rate: TickRate, per_second: u32, burst: u32) -> Self {
        Self { pace: Pace::new(rate, per_second, burst), empty_at: 0 }
    }

    /// A full bucket for one event every `interval` ticks, `burst` of them at once. None at all where either is 0.
    pub(crate) const fn every(interval: u64, burst: u32) -> Self {
        Self { pace: Pace::every(interval, burst), empty_at: 0 }
    }

    /// Whether an event may happen at `now`; takes its token if so.
    pub(crate) fn take(&mut self, now: Tick) -> bool {
        let after = self.pace.after_event(self.empty_at, now);
        self.empty_at = after.unwrap_or(self.empty_at);
        after.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Bucket::new(TickRate::NANOSECONDS, 10, 3);
        let taken = |bucket: &mut Bucket, at: u64| (0..10).filter(|_| bucket.take(Tick(at))).count();
        assert_eq!(taken(&mut bucket, 0), 3);
        assert_eq!(taken(&mut bucket, 99_999_999), 0);
        assert_eq!(taken(&mut bucket, 100_000_000), 1);
        assert_eq!(taken(&mut bucket, 10_000_000_000), 3);
    }

    #[test]
    fn nothing_a_second_is_nothing_ever() {
        let mut bucket = Bucket::new(TickRate::NANOSECONDS, 0, 5);
        assert!(!bucket.take(Tick(u64::MAX)));
        let mut bucket = Bucket::new(TickRate::NANOSECONDS, 5, 0);
        assert!(!bucket.take(Tick(0)));
    }

    #[test]
    fn a_clock_that_goes_backwards_gives_no_tokens() {
        let mut bucket = Bucket::every(100, 1);
        assert!(bucket.take(Tick(1_000)));
        assert!(!bucket.take(Tick(0)));
        assert!(!bucket.take(Tick(1_099)));
        assert!(bucket.take(Tick(1_100)));
    }

    #[test]
    fn over_a_long_time_the_rate_is_exact() {
        let mut bucket = Bucket::new(TickRate::NANOSECONDS, 7, 2);
        let taken = (0..1_000).filter(|step| bucket.take(Tick(step * 10_000_000))).count();
        assert!((70..=72).contains(&taken), "{taken} in ten seconds");
    }
}

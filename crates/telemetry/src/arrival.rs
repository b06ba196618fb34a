//! What a tick is on the clock of arrival stamps.
//!
//! The XDP program stamps by the kernel's `CLOCK_MONOTONIC`, a lane has ticks. Between the two stands a line, as for the
//! time of day (see [`wall`](crate::wall)): drawn by a control thread about once a second, taken over between two turns.

use crate::time::{Ns, Tick, TickRate, WallTime};
use crate::wall::WallClock;

/// A line from ticks to the nanoseconds of arrival stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivalClock(WallClock);

impl ArrivalClock {
    /// The line on which `base` is this many nanoseconds, and that goes on at `rate`.
    pub const fn new(base: Tick, ns: u64, rate: TickRate) -> Self {
        Self(WallClock::new(base, WallTime(ns), rate, Ns(0), false))
    }

    /// The stamp that a frame would have got at `tick`. A multiplication.
    #[inline]
    pub const fn stamp_at(&self, tick: Tick) -> u64 {
        self.0.at(tick).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_the_stamp_of_its_instant() {
        let clock = ArrivalClock::new(Tick(1_000), 5_000_000_000, TickRate::new(2_000_000_000));
        assert_eq!(clock.stamp_at(Tick(1_000)), 5_000_000_000);
        assert_eq!(clock.stamp_at(Tick(3_000)), 5_000_001_000);
        assert_eq!(clock.stamp_at(Tick(0)), 4_999_999_500);
    }
}

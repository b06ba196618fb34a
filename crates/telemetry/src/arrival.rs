//! What a tick is on the clocks of stamps.
//!
//! The XDP program stamps arrivals by the kernel's `CLOCK_MONOTONIC`, a lane has ticks. Between the two stands a line, as for the
//! time of day (see [`wall`](crate::wall)): drawn by a control thread about once a second, taken over between two turns.
//!
//! The kernel stamps departures by its `CLOCK_TAI`. That goes as `CLOCK_MONOTONIC` does, which is slewed as it is, and so far ahead of
//! it as the time of day was set: for ever as far, until somebody sets it again. So far it is, and no line, that stands between these two.

use crate::time::{Ns, Tick, TickRate, WallTime};
use crate::wall::WallClock;

/// A line from ticks to the nanoseconds of arrival stamps, and how far the clock of transmit stamps is ahead of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivalClock {
    line: WallClock,
    tai_ahead_ns: u64,
}

impl ArrivalClock {
    /// The line on which `base` is this many nanoseconds, and that goes on at `rate`. Transmit stamps are of the same clock.
    pub const fn new(base: Tick, ns: u64, rate: TickRate) -> Self {
        Self { line: WallClock::new(base, WallTime(ns), rate, Ns(0), false), tai_ahead_ns: 0 }
    }

    /// The same where transmit stamps are so many nanoseconds ahead of arrival stamps, modulo 2^64.
    #[must_use]
    pub const fn with_tai_ahead(self, tai_ahead_ns: u64) -> Self {
        Self { tai_ahead_ns, ..self }
    }

    /// The stamp that a frame would have got at `tick`. A multiplication.
    #[inline]
    pub const fn stamp_at(&self, tick: Tick) -> u64 {
        self.line.at(tick).0
    }

    /// The arrival stamp that a frame would have got when this transmit stamp was written, modulo 2^64.
    #[inline]
    pub const fn stamp_of_tai(&self, tai_ns: u64) -> u64 {
        tai_ns.wrapping_sub(self.tai_ahead_ns)
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

    #[test]
    fn a_transmit_stamp_is_an_arrival_stamp_that_is_ahead_or_behind() {
        let clock = ArrivalClock::new(Tick(0), 5, TickRate::NANOSECONDS);
        assert_eq!(clock.stamp_of_tai(7), 7);
        assert_eq!(
            clock.with_tai_ahead(1_700_000_000_000_000_000).stamp_of_tai(1_700_000_000_000_000_007),
            7
        );
        // A time of day before the first of its clock's that has been set: TAI is behind.
        assert_eq!(clock.with_tai_ahead(0_u64.wrapping_sub(3)).stamp_of_tai(4), 7);
    }
}

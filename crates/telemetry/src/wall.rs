//! What a tick is on the clock on the wall.
//!
//! A lane has ticks, and its answers carry UTC. Between the two stands a straight line, drawn by a control thread about
//! once a second and handed to the lane between two turns: through the newest reading of both clocks, as steep as they
//! went against each other since the one before. So a clock that is stepped or slewed is followed within a second, no
//! instant of one answer is on another line than the other, and reading the time costs a multiplication and no call.
//!
//! ```text
//!   wall │            ╱ next line
//!        │        ╱──╱      ┄ the kernel's clock
//!        │    ╱──╱  ▲
//!        │ ──╱      newest reading: base, time
//!        └──────────────────────────── ticks
//! ```

use crate::time::{Ns, Tick, TickRate, WallTime};

/// Fractions of a nanosecond that a line's slope is kept in: 2^32 of them. Over the second that a line is used for, that
/// is wrong by half a nanosecond at most, where a tick is not longer than two.
const FRACTION_BITS: u32 = 32;

/// A line from ticks to UTC, and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    base: Tick,
    time: WallTime,
    ns_per_tick: u64,
    error: Ns,
    is_synchronised: bool,
}

impl WallClock {
    /// A clock that nobody has set: its first tick is in 1970, and it may be off by any time.
    pub const fn unset(rate: TickRate) -> Self {
        Self::new(Tick(0), WallTime(0), rate, Ns(u64::MAX), false)
    }

    /// The line on which `base` is `time`, and that goes on at `rate`. It may be off by `error`; `is_synchronised` where
    /// it follows an outside source of UTC.
    #[expect(clippy::cast_possible_truncation, reason = "10^9 times 2^32 is less than 2^62")]
    pub const fn new(base: Tick, time: WallTime, rate: TickRate, error: Ns, is_synchronised: bool) -> Self {
        let ns_per_tick = ((1_000_000_000_u128 << FRACTION_BITS) / rate.per_second() as u128) as u64;
        Self { base, time, ns_per_tick, error, is_synchronised }
    }

    /// The time at `tick`, which may lie before the base too.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        reason = "modulo 2^64 ns, in both directions"
    )]
    pub const fn at(&self, tick: Tick) -> WallTime {
        let apart = tick.0.wrapping_sub(self.base.0) as i64;
        let ns = (apart as i128 * self.ns_per_tick as i128) >> FRACTION_BITS;
        WallTime(self.time.0.wrapping_add(ns as u64))
    }

    /// How far an instant on this line may be off.
    pub const fn error(&self) -> Ns {
        self.error
    }

    /// Whether it follows an outside source of UTC.
    pub const fn is_synchronised(&self) -> bool {
        self.is_synchronised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_through_its_base_in_both_directions() {
        let rate = TickRate::new(2_500_000_000);
        let clock = WallClock::new(Tick(1 << 50), WallTime(1 << 60), rate, Ns(7), true);
        assert_eq!(clock.at(Tick(1 << 50)), WallTime(1 << 60));
        let second = 2_500_000_000;
        assert!(clock.at(Tick((1 << 50) + second)).0.abs_diff((1 << 60) + 1_000_000_000) <= 1);
        assert!(clock.at(Tick((1 << 50) - second)).0.abs_diff((1 << 60) - 1_000_000_000) <= 1);
        assert_eq!((clock.error(), clock.is_synchronised()), (Ns(7), true));
    }

    #[test]
    fn a_day_without_a_new_line_is_still_a_day() {
        for per_second in [1, 1_000, 1_000_000_000, 2_999_999_999, 5_000_000_000] {
            let clock = WallClock::new(Tick(9), WallTime(0), TickRate::new(per_second), Ns(0), false);
            let day = clock.at(Tick(9 + 86_400 * per_second)).0;
            let apart = day.abs_diff(86_400_000_000_000);
            assert!(apart <= 86_400 * 2, "{apart} ns in a day of {per_second} ticks a second");
        }
    }

    #[test]
    fn a_clock_that_nobody_set_says_so() {
        let clock = WallClock::unset(TickRate::NANOSECONDS);
        assert_eq!((clock.at(Tick(5)), clock.error()), (WallTime(5), Ns(u64::MAX)));
        assert!(!clock.is_synchronised());
    }
}

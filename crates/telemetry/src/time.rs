//! Ticks and nanoseconds: two units, two types, never mixed.

use core::ops::Sub;

/// An instant of the lane's clock, in its own unit: cycles of the time-stamp counter. Passed in, never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ns(pub u64);

/// An instant of the clock on the wall: nanoseconds since 1 January 1970 in UTC, without leap seconds, as the kernel's
/// `CLOCK_REALTIME` counts them. It may step; a [`Tick`] never does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

impl Sub for Tick {
    type Output = u64;

    /// The ticks between two instants; 0 where the clock went backwards.
    #[inline]
    fn sub(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The clock whose ticks a lane is given. The lane reads it for the instants that it cannot be given: when it found a packet,
/// and when its answer leaves, where the answer says so. All else goes by the instant that the turn was given.
///
/// A type of its own for each clock, so that reading it is inlined, and a lane that never reads it pays nothing.
pub trait Clock {
    /// Now. Never earlier than what it gave before on the same core.
    fn now(&self) -> Tick;

    /// How fast it goes.
    fn rate(&self) -> TickRate;
}

/// A clock of nanoseconds that stands still: for captures, whose own instants are passed in, and for examples. By it
/// nothing takes longer than the shortest time there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Still(pub Tick);

impl Clock for Still {
    #[inline]
    fn now(&self) -> Tick {
        self.0
    }

    #[inline]
    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }
}

/// How fast a lane's clock goes: calibrated once, by the host, before the lane starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickRate {
    per_second: u64,
}

impl TickRate {
    /// A clock whose ticks are nanoseconds, as tests and simulations use.
    pub const NANOSECONDS: Self = Self { per_second: 1_000_000_000 };

    /// A clock of `per_second` ticks a second; at least 1.
    pub const fn new(per_second: u64) -> Self {
        Self { per_second: if per_second == 0 { 1 } else { per_second } }
    }

    /// Ticks per second.
    pub const fn per_second(self) -> u64 {
        self.per_second
    }

    /// How many ticks `ns` takes, rounded down.
    #[expect(clippy::cast_possible_truncation, reason = "2^64 ticks are centuries")]
    pub const fn ticks(self, ns: Ns) -> u64 {
        (ns.0 as u128 * self.per_second as u128 / 1_000_000_000) as u64
    }

    /// How long `ticks` take, rounded down.
    #[expect(clippy::cast_possible_truncation, reason = "2^64 nanoseconds are centuries")]
    pub const fn ns(self, ticks: u64) -> Ns {
        Ns((ticks as u128 * 1_000_000_000 / self.per_second as u128) as u64)
    }
}

/// [`TickRate::ns`] as the road can afford it: a multiplication. Off by 2^-32 of a nanosecond a tick, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NsPerTick(u64);

impl NsPerTick {
    /// Of a clock that goes so fast.
    #[expect(clippy::cast_possible_truncation, reason = "10^9 times 2^32 is less than 2^62")]
    pub const fn of(rate: TickRate) -> Self {
        Self(((1_000_000_000_u128 << 32) / rate.per_second as u128) as u64)
    }

    /// How long `ticks` take, rounded down.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "2^64 nanoseconds are centuries")]
    pub const fn ns(self, ticks: u64) -> Ns {
        Ns(((ticks as u128 * self.0 as u128) >> 32) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_nanoseconds_convert_both_ways() {
        let rate = TickRate::new(2_600_000_000);
        assert_eq!(rate.ticks(Ns(1_000)), 2_600);
        assert_eq!(rate.ns(2_600), Ns(1_000));
        assert_eq!(rate.ns(26 << 58), Ns(10 << 58));
    }

    #[test]
    fn a_multiplication_gives_what_a_division_does_within_a_part_of_a_nanosecond_a_tick() {
        for per_second in [1, 1_000_000_000, 2_599_999_999, 5_000_000_000] {
            let rate = TickRate::new(per_second);
            let quick = NsPerTick::of(rate);
            for ticks in [0, 1, 260, 1 << 20, per_second, 3_600 * per_second] {
                let apart = rate.ns(ticks).0 - quick.ns(ticks).0;
                assert!(apart <= (ticks >> 32) + 1, "{ticks} of {per_second}: {apart}");
            }
        }
    }

    #[test]
    fn a_clock_that_goes_backwards_gives_no_time() {
        assert_eq!(Tick(1) - Tick(2), 0);
    }
}

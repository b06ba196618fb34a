//! The clock that stamps: passed in, so that a simulation can be its own clock and a report can name it.
//!
//! Two kinds of time, two types. A [`Tick`] is an instant of the run's own clock, which only goes forwards: round
//! trips are differences of ticks. A [`WallTime`] says when that was for the rest of the world; it is what a question
//! carries as its own stamp (T1 of STAMP), and no figure is made of it.

mod realtime;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use telemetry::{Tick, TickRate};

pub use realtime::RealtimeClock;
pub use telemetry::WallTime;

/// A clock that only goes forwards.
pub trait Clock {
    /// This instant.
    fn now(&self) -> Tick;

    /// How fast the ticks go.
    fn rate(&self) -> TickRate;

    /// When an instant of this clock was, for the rest of the world.
    fn wall(&self, at: Tick) -> WallTime;

    /// What the report calls it: `TSC`, `CLOCK_MONOTONIC`.
    fn name(&self) -> &'static str;

    /// Whether its ticks are the nanoseconds of `CLOCK_REALTIME` since 1970, as the kernel's own stamps are.
    fn is_realtime(&self) -> bool {
        false
    }

    /// Whether somebody has set it since the run began. Then its differences mean nothing, and the run is marked.
    /// Clocks that only go forwards cannot be set.
    fn has_stepped(&self) -> bool {
        false
    }
}

/// How often an anchor is tried. The narrowest pair of readings is kept, which no interrupt fell into.
const ANCHOR_TRIES: usize = 16;

/// One instant by two clocks: the run's own, and the system's wall clock.
///
/// All wall time of a run is counted from here by the run's own clock, so that it goes forwards as that one does. What
/// an operator or NTP does to the wall clock meanwhile is not in it, and the drift between the two clocks is: some
/// parts in a million, milliseconds in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    tick: Tick,
    wall: WallTime,
}

impl Anchor {
    /// Reads both clocks, `now` being the run's own.
    pub fn take(now: impl Fn() -> Tick) -> Self {
        let reading = || (now(), system_wall(), now());
        let tries = std::iter::repeat_with(reading).take(ANCHOR_TRIES);
        let narrowest = tries.min_by_key(|(before, _, after)| *after - *before);
        let (before, wall, after) = narrowest.unwrap_or_else(reading);
        Self { tick: Tick(before.0.midpoint(after.0)), wall }
    }

    /// When `at` was, by a clock of this rate.
    pub fn wall(&self, at: Tick, rate: TickRate) -> WallTime {
        let since = rate.ns(at - self.tick);
        let before = rate.ns(self.tick - at);
        WallTime(self.wall.0.saturating_add(since.0).saturating_sub(before.0))
    }
}

/// The system's wall clock; 1970 where it says that it is before that.
fn system_wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// The kernel's monotonic clock, in nanoseconds since the clock was made. A reading costs some 30 ns, which is
/// part of every round trip that is stamped with it.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    origin: Instant,
    anchor: Anchor,
}

impl MonotonicClock {
    /// A clock that begins now.
    pub fn start() -> Self {
        let origin = Instant::now();
        Self { origin, anchor: Anchor::take(|| since(origin)) }
    }
}

fn since(origin: Instant) -> Tick {
    Tick(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

impl Clock for MonotonicClock {
    fn now(&self) -> Tick {
        since(self.origin)
    }

    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }

    fn wall(&self, at: Tick) -> WallTime {
        self.anchor.wall(at, TickRate::NANOSECONDS)
    }

    fn name(&self) -> &'static str {
        "CLOCK_MONOTONIC"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_goes_as_the_runs_own_clock_does_before_its_anchor_and_after() {
        let anchor = Anchor { tick: Tick(3_000), wall: WallTime(1_000_000) };
        let rate = TickRate::new(2_000_000_000);
        for (tick, wall) in [(3_000, 1_000_000), (5_000, 1_001_000), (1_000, 999_000)] {
            assert_eq!(anchor.wall(Tick(tick), rate), WallTime(wall));
        }
    }

    #[test]
    fn the_wall_time_of_now_lies_between_two_readings_of_the_systems_clock() {
        let clock = MonotonicClock::start();
        let before = system_wall();
        let now = clock.wall(clock.now());
        let after = system_wall();
        // The anchor itself is known to within one reading of the clock, which an interrupt may have made long.
        let slack = 1_000_000_000;
        assert!(before.0 - slack <= now.0 && now.0 <= after.0 + slack, "{before:?} {now:?} {after:?}");
    }
}

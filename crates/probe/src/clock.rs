//! The clock that stamps: passed in, so that a simulation can be its own clock and a report can name it.

use std::time::Instant;

use telemetry::{Tick, TickRate};

/// A clock that only goes forwards.
pub trait Clock {
    /// This instant.
    fn now(&self) -> Tick;

    /// How fast the ticks go.
    fn rate(&self) -> TickRate;

    /// What the report calls it: `TSC`, `CLOCK_MONOTONIC`.
    fn name(&self) -> &'static str;
}

/// The kernel's monotonic clock, in nanoseconds since the clock was made. A reading costs some 30 ns, which is
/// part of every round trip that is stamped with it.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    origin: Instant,
}

impl MonotonicClock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Tick {
        Tick(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }

    fn name(&self) -> &'static str {
        "CLOCK_MONOTONIC"
    }
}

//! The host's calibrated cycle counter, as the probe wants a clock.

use host::clock::Clock as HostClock;
use probe::clock::Anchor;
use probe::{Clock, WallTime};
use telemetry::{Tick, TickRate};

/// The cycle counter, and when its ticks were for the rest of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CycleClock {
    clock: HostClock,
    anchor: Anchor,
}

impl CycleClock {
    /// Measures the counter's rate, which takes 50 ms.
    pub(crate) fn calibrate() -> Self {
        let clock = HostClock::calibrate();
        Self { clock, anchor: Anchor::take(|| Tick(clock.now())) }
    }
}

impl Clock for CycleClock {
    #[inline]
    fn now(&self) -> Tick {
        Tick(self.clock.now())
    }

    fn rate(&self) -> TickRate {
        TickRate::new(self.clock.ticks_per_second())
    }

    fn wall(&self, at: Tick) -> WallTime {
        self.anchor.wall(at, self.rate())
    }

    fn name(&self) -> &'static str {
        match self.clock.source() {
            host::clock::Source::TimeStampCounter => "TSC",
            host::clock::Source::Kernel => "CLOCK_MONOTONIC_RAW",
        }
    }
}

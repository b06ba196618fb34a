//! A clock that a test moves, and that moves by itself while it is read: what takes time in a simulation.

use std::cell::Cell;
use std::rc::Rc;

use telemetry::{Clock, Tick, TickRate};

/// A clock of nanoseconds that stands where it was put, and goes ahead by a step each time it is read. Its clones are the
/// same clock.
#[derive(Clone, Debug, Default)]
pub struct SimulatedClock {
    now: Rc<Cell<u64>>,
    step: Rc<Cell<u64>>,
}

impl SimulatedClock {
    /// Puts it to `now`.
    pub fn set(&self, now: Tick) {
        self.now.set(now.0);
    }

    /// Has each reading take so many nanoseconds. Those of `u64::MAX` take it one back.
    pub fn take_time(&self, step: u64) {
        self.step.set(step);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Tick {
        self.now.set(self.now.get().wrapping_add(self.step.get()));
        Tick(self.now.get())
    }

    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }
}

//! When questions are asked.
//!
//! A [`Schedule`] is what the operator wants; a [`Pace`] is one run of it. The pace is told what happens and says
//! when the next question is due. It reads no clock.

use telemetry::{Ns, Tick, TickRate};

/// When questions are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One question at a time: the next is asked when the last one is answered or given up, after a pause.
    ///
    /// A closed loop asks a slow server less often, so that its percentiles flatter a server that stalls: each
    /// stall is one sample, however many questions it would have delayed.
    Closed {
        /// The pause between the end of one question and the next.
        gap: Ns,
    },
}

/// One run of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    gap: u64,
    rests_until: Tick,
}

impl Pace {
    /// The pace of a run that begins now: the first question is due at once.
    pub fn new(schedule: Schedule, rate: TickRate) -> Self {
        let Schedule::Closed { gap } = schedule;
        Self { gap: rate.ticks(gap), rests_until: Tick(0) }
    }

    /// When the next question is due, or nothing where an answer has to come first.
    pub fn due(&self, outstanding: u64) -> Option<Tick> {
        (outstanding == 0).then_some(self.rests_until)
    }

    /// A question has been answered or given up.
    pub fn settled(&mut self, at: Tick) {
        self.rests_until = Tick(at.0.saturating_add(self.gap));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_loop_waits_for_its_answer_and_then_for_its_gap() {
        let mut pace = Pace::new(Schedule::Closed { gap: Ns(100) }, TickRate::new(2_000_000_000));
        assert_eq!(pace.due(0), Some(Tick(0)));
        assert_eq!(pace.due(1), None);
        pace.settled(Tick(5_000));
        assert_eq!(pace.due(0), Some(Tick(5_200)));
    }
}

//! A lane that keeps its way out warm where it has nothing to answer.

use lane::Lane;
use nic::Queue;
use telemetry::{Clock, Ns, Tick};

/// When the lane has last sent anything.
#[derive(Debug)]
pub(super) struct Warmer {
    /// How long nothing must have been sent, in ticks.
    after: u64,
    last_sent: Tick,
    /// Answers until then.
    answered: u64,
}

impl Warmer {
    pub(super) fn new(after: Ns, clock: &impl Clock) -> Self {
        Self { after: clock.rate().ticks(after), last_sent: clock.now(), answered: 0 }
    }

    /// Has the lane send a frame to itself where it has sent nothing for so long. To be called between turns, now and then: a way out
    /// is no colder for some microseconds.
    pub(super) fn look<Q: Queue, C: Clock>(&mut self, lane: &mut Lane<Q, C>, clock: &C) {
        if self.is_due(clock.now(), lane.counters().answered().iter().sum()) {
            lane.keep_warm();
        }
    }

    /// Whether a frame is to be sent at this instant, when so many answers were given so far.
    fn is_due(&mut self, now: Tick, answered: u64) -> bool {
        let has_answered = answered != self.answered;
        let is_due = !has_answered && now - self.last_sent >= self.after;
        if has_answered || is_due {
            (self.answered, self.last_sent) = (answered, now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use telemetry::Still;

    use super::*;

    #[test]
    fn a_frame_is_due_where_nothing_was_answered_for_so_long_and_then_again_as_long_after_it() {
        let mut warmer = Warmer::new(Ns(1_000), &Still::default());
        let began = warmer.last_sent.0;
        let due = |warmer: &mut Warmer, after, answered| warmer.is_due(Tick(began + after), answered);
        assert!(!due(&mut warmer, 999, 0) && due(&mut warmer, 1_000, 0));
        assert!(!due(&mut warmer, 1_999, 0) && due(&mut warmer, 2_000, 0));
        // An answer is as good as a frame.
        assert!(!due(&mut warmer, 3_000, 1) && !due(&mut warmer, 3_999, 1) && due(&mut warmer, 4_000, 1));
        assert!((0..100).all(|more| !due(&mut warmer, 5_000 + 1_000 * more, 2 + more)));
    }
}

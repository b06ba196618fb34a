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
        let (now, answered) = (clock.now(), lane.counters().answered().iter().sum::<u64>());
        if answered != self.answered {
            (self.answered, self.last_sent) = (answered, now);
        } else if now - self.last_sent >= self.after {
            self.last_sent = now;
            lane.keep_warm();
        }
    }
}

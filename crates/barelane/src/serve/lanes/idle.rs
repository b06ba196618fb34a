//! A lane that sleeps where nothing comes.
//!
//! ```text
//!   turn ──found something──▶ turn … nothing for so long ──▶ rest ── sleep ──▶ wake ──▶ turn
//!    ▲                                                              until a packet comes,
//!    └──────────────────────────────────────────────────────────── or SLEEP_MAX has passed
//! ```
//!
//! The lane itself knows nothing of it: it is told that a gap was meant, and does its housekeeping when it is called, for it turns
//! too seldom to count its turns. A lane that never sleeps has a loop of its own, in which none of this is asked.

use std::time::Duration;

use lane::Lane;
use telemetry::{Clock, Ns, Tick};

use super::Held;
use crate::plan::{Idle, SLEEP_MAX};

/// When the lane has last done what.
#[derive(Debug)]
pub(super) struct Sleeper {
    /// How long nothing must have come, and how long is slept at most, in ticks.
    after: u64,
    sleep_max: u64,
    last_packet: Tick,
    last_housekeeping: Tick,
}

impl Sleeper {
    /// One that sleeps as it is told; nothing where it never does.
    pub(super) fn of(idle: Idle, clock: &impl Clock) -> Option<Self> {
        let Idle::SleepAfter(after) = idle else { return None };
        let ticks = |duration: Duration| {
            clock.rate().ticks(Ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
        };
        let now = clock.now();
        Some(Self {
            after: ticks(after),
            sleep_max: ticks(SLEEP_MAX),
            last_packet: now,
            last_housekeeping: now,
        })
    }

    /// Turns until it has slept once, and `turns` times at most.
    pub(super) fn bout<Q: Held, C: Clock>(&mut self, lane: &mut Lane<Q, C>, clock: &C, turns: u32) {
        for _ in 0..turns {
            let now = clock.now();
            if lane.turn(now) > 0 {
                self.last_packet = now;
            } else if now - self.last_packet >= self.after {
                return self.sleep(lane, clock);
            }
        }
    }

    /// Is woken by a packet, or after [`SLEEP_MAX`]. Where it turns later than that, the rest is a stall.
    fn sleep<Q: Held, C: Clock>(&mut self, lane: &mut Lane<Q, C>, clock: &C) {
        let now = clock.now();
        if now - self.last_housekeeping >= self.sleep_max {
            lane.housekeeping();
            self.last_housekeeping = now;
        }
        let now = clock.now();
        lane.rest(now);
        lane.queue_mut().sleep(SLEEP_MAX);
        lane.wake(clock.now().min(Tick(now.0.saturating_add(self.sleep_max))));
    }
}

//! The seldom work of a lane: publishing its counters and how full its rings are, taking new tables, ways, taps and the time of day, saying
//! which gateways it has answers for, and answering what it is asked beside its ring.

use nic::Depths;
use telemetry::{Clock, Counter};

use crate::lane::Lane;
use crate::mailbox::GatewaysUsed;

/// Housekeeping is done every so many turns. A power of two. Under full load (64 frames a turn, 50 ns a frame) that
/// is every 13 ms, idle every 100 µs or less. Smaller makes the 50 ns of a publication show in the mean; larger makes
/// new tables and counters late.
pub(crate) const TURNS: u64 = 1 << 12;

impl<Q: nic::Queue, C: Clock> Lane<Q, C> {
    /// Does the seldom work now. A lane that turns does it by itself; this is for one that sleeps, and so turns seldom.
    #[cold]
    #[inline(never)]
    pub fn housekeeping(&mut self) {
        if self.mailbox.exchange(&mut self.tables) {
            self.state.set_limits(&self.tables);
            self.state.counters.count(Counter::TablesTaken);
        }
        self.mailbox.exchange_tap(&mut self.tap);
        self.tell_gateways_used();
        if self.mailbox.exchange_next_hops(&mut self.state.next_hops) {
            // What could not be told of the ways before is noted anew by the next answer.
            self.state.gateways_used = 0;
            self.state.counters.count(Counter::NextHopsTaken);
        }
        if let Some(wall) = self.mailbox.wall_clock() {
            self.state.set_wall(wall);
        }
        if let Some(clock) = self.mailbox.arrival_clock() {
            self.arrivals.set_clock(clock);
        }
        self.answer_inquiry();
        self.publish();
    }

    /// Says which gateways answers were for: those that are not known are looked for then, and the others seen to be there.
    fn tell_gateways_used(&mut self) {
        let used =
            GatewaysUsed { generation: self.state.next_hops.generation, gateways: self.state.gateways_used };
        if used.gateways != 0 && self.mailbox.tell_use(used) {
            self.state.gateways_used = 0;
        }
    }

    /// Publishes the counters now. Housekeeping does it by itself; this is for the end of a lane's life.
    pub fn publish(&mut self) {
        let depths = self.queue.depths().map_or_else(telemetry::Depths::default, published);
        self.page.publish(&self.state.counters, depths);
        if let Some(streams) = &self.state.streams {
            streams.publish();
        }
    }
}

/// The depths of a queue as they are published.
fn published(Depths { rx, tx, fill, completion, free, .. }: Depths) -> telemetry::Depths {
    telemetry::Depths::of_words([rx, tx, fill, completion, free].map(u64::from))
}

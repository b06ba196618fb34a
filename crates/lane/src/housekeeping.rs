//! The seldom work of a lane: publishing its counters, and taking new tables and the time of day.

use telemetry::{Clock, Counter};

use crate::lane::Lane;

/// Housekeeping is done every so many turns. A power of two. Under full load (64 frames a turn, 50 ns a frame) that
/// is every 13 ms, idle every 100 µs or less. Smaller makes the 50 ns of a publication show in the mean; larger makes
/// new tables and counters late.
pub(crate) const TURNS: u64 = 1 << 12;

impl<Q: nic::Queue, C: Clock> Lane<Q, C> {
    #[cold]
    #[inline(never)]
    pub(crate) fn housekeeping(&mut self) {
        if self.mailbox.exchange(&mut self.tables) {
            self.state.set_limits(&self.tables);
            self.state.counters.count(Counter::TablesTaken);
        }
        if let Some(wall) = self.mailbox.wall_clock() {
            self.state.set_wall(wall);
        }
        self.publish();
    }

    /// Publishes the counters now. Housekeeping does it by itself; this is for the end of a lane's life.
    pub fn publish(&self) {
        self.page.publish(&self.state.counters);
    }
}

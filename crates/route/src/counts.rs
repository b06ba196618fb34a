//! What became of the questions of each route: counted by the one lane whose tables these are, read by whoever likes.
//!
//! | word | written by | with | read with |
//! |---|---|---|---|
//! | `taken`, `unanswered` | the lane, as it takes a packet and as it gives none back | relaxed | relaxed |
//!
//! The counts belong to the tables that they are of, and come back with them: a route of other tables is another route,
//! whatever its index. The road counts what it takes and, beside the road, what came to nothing; the difference is what was
//! answered, so that an answer costs one count and not two.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of one route in one lane. In cache lines of their own: the one that the processor may fetch beside it is nobody
/// else's either.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RouteCount {
    taken: AtomicU64,
    unanswered: AtomicU64,
}

/// What a reader saw of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTotals {
    /// Packets that the route took.
    pub taken: u64,
    /// Those of them for which no answer left: dropped, passed on, or answered to a transmit ring that was full; each has its
    /// reason in THE counter table.
    pub unanswered: u64,
}

impl RouteTotals {
    /// Packets for which an answer was handed over.
    pub const fn answered(self) -> u64 {
        self.taken.saturating_sub(self.unanswered)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            taken: self.taken.wrapping_add(other.taken),
            unanswered: self.unanswered.wrapping_add(other.unanswered),
        }
    }
}

impl RouteCount {
    /// Counts a packet that the route takes. Only the one writer may call this.
    #[inline(always)]
    pub fn take(&self) {
        add_one(&self.taken);
    }

    /// Counts that one of them gets no answer. Only the one writer may call this.
    #[inline(always)]
    pub fn give_up(&self) {
        add_one(&self.unanswered);
    }

    /// Both counts. Read beside the writer, `unanswered` is of an instant no later than that of `taken`, but for what the
    /// processor may have put the other way round.
    pub fn read(&self) -> RouteTotals {
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        RouteTotals { taken: self.taken.load(Ordering::Relaxed), unanswered }
    }
}

/// One more. No atomic addition: there is one writer.
#[inline(always)]
fn add_one(count: &AtomicU64) {
    // See `Cargo.toml`: to measure what counting costs.
    if cfg!(silent) {
        return;
    }
    count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

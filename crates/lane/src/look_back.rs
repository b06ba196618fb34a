//! What a lane sees of its own turns: the stalls between them.
//!
//! ```text
//!   turn(now₀) ── rx … flush ── turn(now₁) ──────── gap ──────── turn(now₂)
//!              └─── a turn ───┘            └───── a stall ──────┘
//! ```
//!
//! A turn is looked back at when the next one begins: by then all that it did is done, and the instant is there for nothing,
//! since the next turn was given it. So no clock is read for this.

use telemetry::{Ns, Page, Stall, Tick, TickRate};

/// A gap between the beginnings of two turns that is longer is a stall. A turn that answers a whole burst in copy mode takes
/// 230 µs at most (64 kicks' shares of 3.6 µs, `net/xdp/xsk.c` on a veth): a shorter limit would call that a stall; a longer
/// one hides what stands in a p99.9.
pub const STALL_LIMIT: Ns = Ns(250_000);

/// The lane's memory of its last turn.
#[derive(Debug)]
pub(crate) struct LookBack {
    last: Tick,
    stall_limit: u64,
}

impl LookBack {
    /// No turn yet. The first one has none before it, so that nothing is a gap: what is later than any instant makes it 0.
    pub(crate) fn new(rate: TickRate) -> Self {
        Self { last: Tick(u64::MAX), stall_limit: rate.ticks(STALL_LIMIT) }
    }

    /// A turn begins. Costs a subtraction and a comparison where the last one began not long ago.
    #[inline(always)]
    pub(crate) fn turn(&mut self, now: Tick, page: &Page) {
        let began = core::mem::replace(&mut self.last, now);
        let ticks = now - began;
        if ticks > self.stall_limit {
            note(page, Stall { began, ticks });
        }
    }
}

#[cold]
#[inline(never)]
fn note(page: &Page, stall: Stall) {
    page.stalls.note(stall);
}

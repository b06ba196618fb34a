//! What a lane sees of its own turns: how long each had what it answered, and the stalls between them.
//!
//! ```text
//!   turn(now₀) ── rx … flush ── turn(now₁) ──────── gap ──────── turn(now₂)
//!              └─ residence ──┘            └───── a stall ──────┘
//! ```
//!
//! A turn is looked back at when the next one begins: by then all that it did is done, its answers are handed over, and the
//! instant is there for nothing, since the next turn was given it. So no clock is read for this. Every answer of a turn leaves
//! by the one flush at its end, so one length is that of all of them.

use telemetry::{ANSWERED_COUNT, Counters, Ns, NsPerTick, Page, Stall, Tick, TickRate};

/// A gap between the beginnings of two turns that is longer is a stall. A turn that answers a whole burst in copy mode takes
/// 230 µs at most (64 kicks' shares of 3.6 µs, `net/xdp/xsk.c` on a veth): a shorter limit would call that a stall; a longer
/// one hides what stands in a p99.9.
pub const STALL_LIMIT: Ns = Ns(250_000);

/// The lane's memory of its last turn.
#[derive(Debug)]
pub(crate) struct LookBack {
    last: Tick,
    /// A last turn that took as long as this is looked at: any at all where it found frames, else a stall.
    limit: u64,
    stall_limit: u64,
    ns_per_tick: NsPerTick,
    /// What had been answered when the last turn that was looked at began.
    answered: [u64; ANSWERED_COUNT],
}

impl LookBack {
    /// No turn yet. The first one has none before it, so that nothing is a gap: what is later than any instant makes it 0.
    pub(crate) fn new(rate: TickRate) -> Self {
        let stall_limit = rate.ticks(STALL_LIMIT).saturating_add(1);
        Self {
            last: Tick(u64::MAX),
            limit: stall_limit,
            stall_limit,
            ns_per_tick: NsPerTick::of(rate),
            answered: [0; ANSWERED_COUNT],
        }
    }

    /// A turn begins. Costs a subtraction and a comparison where the last one found nothing and is not long ago.
    #[inline(always)]
    pub(crate) fn begin(&mut self, now: Tick, counters: &Counters, page: &Page) {
        // See `Cargo.toml`: to measure what counting costs.
        if cfg!(silent) {
            return;
        }
        let began = core::mem::replace(&mut self.last, now);
        let ticks = now - began;
        if ticks >= self.limit {
            self.look(Stall { began, ticks }, counters, page);
        }
    }

    /// A turn ends that has taken so many frames.
    #[inline(always)]
    pub(crate) fn end(&mut self, taken: usize) {
        // See `Cargo.toml`: to measure what counting costs.
        if cfg!(silent) {
            return;
        }
        self.limit = if taken == 0 { self.stall_limit } else { 0 };
    }

    /// A gap that was meant ends at this instant.
    pub(crate) fn resume(&mut self, at: Tick) {
        self.last = at;
    }

    /// Some thirty instructions where answers of one kind were given, whatever their number, and ten for each further kind.
    #[inline(never)]
    fn look(&mut self, gap: Stall, counters: &Counters, page: &Page) {
        let answered = counters.answered();
        let ns = self.ns_per_tick.ns(gap.ticks).0;
        for ((now, before), residence) in answered.iter().zip(&self.answered).zip(&page.turn_residence) {
            if now != before {
                residence.record_times(ns, now.wrapping_sub(*before));
            }
        }
        self.answered = answered;
        if gap.ticks >= self.stall_limit {
            note(page, gap);
        }
    }
}

#[cold]
#[inline(never)]
fn note(page: &Page, stall: Stall) {
    page.stalls.note(stall);
}

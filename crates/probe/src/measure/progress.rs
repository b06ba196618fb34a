//! How far a run is, for somebody who looks on from another thread.
//!
//! The run writes a few words every [`PUBLISHED_EVERY`]; nobody ever makes it wait. Each word has one writer and is
//! right by itself. Two of them that are read together may be of different moments, so that a live line that adds them
//! up can be off by what happened in between; the figures of the report are not taken from here.

use std::sync::atomic::{AtomicU64, Ordering};

use telemetry::Ns;

use crate::matching::Counts;

/// How often a run publishes its counts: several times between two looks of a person, seldom enough to cost nothing.
pub const PUBLISHED_EVERY: Ns = Ns(20_000_000);

/// How far a run is.
#[derive(Debug, Default)]
pub struct Progress {
    sent: AtomicU64,
    answered: AtomicU64,
    lost: AtomicU64,
    late: AtomicU64,
    corrupted: AtomicU64,
}

impl Progress {
    /// Publishes what was counted so far. The run is the only writer.
    pub(super) fn publish(&self, counts: &Counts) {
        let words = [
            (&self.sent, counts.sent),
            (&self.answered, counts.answered),
            (&self.lost, counts.lost),
            (&self.late, counts.late),
            (&self.corrupted, counts.corrupted),
        ];
        for (word, count) in words {
            word.store(count, Ordering::Relaxed);
        }
    }

    /// What was published last. The warm-up counts until the run itself begins.
    pub fn counts(&self) -> Counts {
        let [sent, answered, lost, late, corrupted] =
            [&self.sent, &self.answered, &self.lost, &self.late, &self.corrupted]
                .map(|word| word.load(Ordering::Relaxed));
        Counts { sent, answered, lost, late, corrupted, ..Counts::default() }
    }
}

//! What was read for those who asked last, so that rates can be told to who asks now.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::side_channel::{Area, Snapshot};

/// The least time that rates are of: five publications. What one of them is late by is a fifth of it at most.
const OVER_MIN_NS: u64 = 500_000_000;

/// The longest. Who comes back after a while wants to know what happens now.
const OVER_MAX_NS: u64 = 5_000_000_000;

/// How many looks are kept: one that is young enough, and one that is old enough, however many ask.
const LOOKS_KEPT: usize = 2;

/// The last looks, oldest first.
#[derive(Debug, Default)]
pub(in crate::admin) struct Looks(Mutex<VecDeque<Snapshot>>);

impl Looks {
    /// Makes something of a look and of the newest one before it that is old enough; of twice the same where there is none.
    pub(in crate::admin) fn take<T>(&self, now: Snapshot, make: impl FnOnce(&Snapshot, &Snapshot) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age_ns = |look: &Snapshot| published(&now).checked_sub(published(look));
        kept.retain(|look| age_ns(look).is_some_and(|age_ns| age_ns <= OVER_MAX_NS));
        let is_old = |look: &&Snapshot| age_ns(look).is_some_and(|age_ns| age_ns >= OVER_MIN_NS);
        let before = kept.iter().rev().find(is_old);
        let made = make(before.unwrap_or(&now), &now);
        if kept.back().is_none_or(|newest| is_old(&newest)) {
            kept.push_back(now);
        }
        while kept.len() > LOOKS_KEPT {
            kept.pop_front();
        }
        made
    }
}

/// When what a look has seen was published, as `barelane top` says it.
fn published(look: &Snapshot) -> u64 {
    look.areas.iter().map(Area::published_unix_ns).max().unwrap_or(0)
}

//! How often an event is told: what comes by thousands, as stalls may, fills no disk and hides nothing else.
//!
//! A token bucket for each name: some at once, then one in a while. What was not told is counted, and the next line of that name
//! says how many.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Event, TABLE};

/// How many of one name are told at once. Who reads has a picture by then.
const BURST: u32 = 10;

/// How long until one more may be told: at most 360 lines an hour of one name.
const REFILL: Duration = Duration::from_secs(10);

/// Whether an event is told each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Often {
    /// Each time: it is an answer to the operator, or happens a few times in a server's life.
    Always,
    /// No more often than the bucket lets it.
    Limited,
}

/// The tokens of one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens: u32,
    filled: Instant,
    suppressed: u64,
}

/// The buckets of all names that were told of.
static BUCKETS: Mutex<BTreeMap<&'static str, Bucket>> = Mutex::new(BTreeMap::new());

/// Whether an event is told now, and then how many of its name were not since the last one.
pub(super) fn take(event: &Event, now: Instant) -> Option<u64> {
    let name = event.name();
    let is_limited = TABLE.iter().any(|row| row.name == name && row.often == Often::Limited);
    if !is_limited {
        return Some(0);
    }
    let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    buckets.entry(name).or_insert_with(|| Bucket::full(now)).take(now)
}

impl Bucket {
    pub(super) const fn full(now: Instant) -> Self {
        Self { tokens: BURST, filled: now, suppressed: 0 }
    }

    /// Takes a token, if there is one, and gives how many found none before.
    pub(super) fn take(&mut self, now: Instant) -> Option<u64> {
        while self.tokens < BURST && now.saturating_duration_since(self.filled) >= REFILL {
            self.tokens += 1;
            self.filled += REFILL;
        }
        if self.tokens == BURST {
            self.filled = now;
        }
        let Some(left) = self.tokens.checked_sub(1) else {
            self.suppressed += 1;
            return None;
        };
        self.tokens = left;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_told_then_one_in_a_while_which_says_how_many_were_not() {
        let begun = Instant::now();
        let mut bucket = Bucket::full(begun);
        assert!((0..BURST).all(|_| bucket.take(begun) == Some(0)));
        assert!((0..1_000).all(|_| bucket.take(begun).is_none()));
        let almost = begun + REFILL.saturating_sub(Duration::from_nanos(1));
        assert_eq!(bucket.take(almost), None);
        assert_eq!(bucket.take(begun + REFILL), Some(1_001));
        assert_eq!(bucket.take(begun + REFILL), None);
        // A token comes each while after the first one, however late somebody asks.
        let later = begun + 2 * REFILL + REFILL / 2;
        assert_eq!((bucket.take(later), bucket.take(begun + 3 * REFILL)), (Some(1), Some(0)));
        let long_after = begun + 100 * REFILL;
        assert!((0..BURST).all(|_| bucket.take(long_after) == Some(0)) && bucket.take(long_after).is_none());
    }

    #[test]
    fn an_answer_to_the_operator_is_told_each_time() {
        let reload = Event::Reload { address_count: 1, route_count: 1, tier: "lane".to_owned() };
        assert!((0..10_000).all(|_| take(&reload, Instant::now()) == Some(0)));
    }
}

//! A histogram that one thread writes and others read.
//!
//! | word | written by | with | read with |
//! |---|---|---|---|
//! | `buckets`, `sum`, `min`, `max` | its one writer | relaxed | relaxed |
//!
//! There is one writer, so that a word is loaded, changed and stored, without a locked instruction: a record costs what
//! it costs in private memory. No word says anything of another one, so that no order is needed between them. What a
//! reader copies while the writer writes may hold a value's bucket and not yet its sum; it is never torn, and the next
//! copy holds both.

use core::array;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use super::{BUCKET_COUNT, Histogram, bucket_of};

/// A [`Histogram`] with one writer and any number of readers.
pub struct SharedHistogram {
    buckets: [AtomicU64; BUCKET_COUNT],
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for SharedHistogram {
    fn default() -> Self {
        Self {
            buckets: array::from_fn(|_| AtomicU64::new(0)),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for SharedHistogram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(out)
    }
}

impl SharedHistogram {
    /// Records one value. Only its one writer may call this.
    #[inline]
    pub fn record(&self, ns: u64) {
        self.record_times(ns, 1);
    }

    /// Records one value so many times. Only its one writer may call this.
    #[inline]
    pub fn record_times(&self, ns: u64, times: u64) {
        // See `Cargo.toml`: to measure what counting costs.
        if cfg!(silent) {
            return;
        }
        match self.buckets.get(bucket_of(ns)) {
            Some(bucket) => add(bucket, times),
            None => self.record_too_long(times),
        }
        add(&self.sum, ns.wrapping_mul(times));
        if ns < self.min.load(Ordering::Relaxed) || ns > self.max.load(Ordering::Relaxed) {
            self.widen(ns);
        }
    }

    #[cold]
    #[inline(never)]
    fn record_too_long(&self, times: u64) {
        let [.., last] = &self.buckets;
        add(last, times);
    }

    #[cold]
    #[inline(never)]
    fn widen(&self, ns: u64) {
        self.min.store(self.min.load(Ordering::Relaxed).min(ns), Ordering::Relaxed);
        self.max.store(self.max.load(Ordering::Relaxed).max(ns), Ordering::Relaxed);
    }

    /// How many values were recorded so far.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// What was recorded so far.
    pub fn read(&self) -> Histogram {
        let mut copy = Histogram::default();
        for (to, from) in copy.buckets.iter_mut().zip(&self.buckets) {
            *to = from.load(Ordering::Relaxed);
        }
        copy.sum = self.sum.load(Ordering::Relaxed);
        copy.min = self.min.load(Ordering::Relaxed);
        copy.max = self.max.load(Ordering::Relaxed);
        copy
    }
}

/// Adds to a word. Only its one writer may call this.
#[inline]
fn add(word: &AtomicU64, more: u64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::thread;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn it_holds_what_a_histogram_of_ones_own_would() {
        let (shared, mut own) = (SharedHistogram::default(), Histogram::default());
        let too_long = [(1 << 36) - 1, 1 << 36, 1 << 50];
        for value in (0..5_000).map(|value| value * value).chain(too_long) {
            shared.record(value);
            shared.record_times(value, value % 3);
            (0..=value % 3).for_each(|_| own.record(value));
        }
        let read = shared.read();
        assert_eq!((read.count(), read.sum()), (own.count(), own.sum()));
        assert_eq!(shared.count(), own.count());
        assert_eq!((read.min(), read.max()), (own.min(), own.max()));
        assert_eq!(read.iter().collect::<Vec<_>>(), own.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_beside_the_writer_sees_counts_that_only_grow_and_all_of_them_at_the_end() {
        let shared = SharedHistogram::default();
        thread::scope(|scope| {
            let writer = scope.spawn(|| (0..50_000).for_each(|value| shared.record(value % 1_000 + 1)));
            let mut last = 0;
            while !writer.is_finished() {
                let count = shared.read().count();
                assert!(count >= last, "{count} after {last}");
                last = count;
            }
        });
        assert_eq!((shared.read().count(), shared.read().min(), shared.read().max()), (50_000, 1, 1_000));
    }
}

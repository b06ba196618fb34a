//! A log-linear histogram of nanoseconds: fixed size, constant cost, no allocation.
//!
//! Values below 128 have a bucket each; above, every power of two is cut into 64 equal buckets, so that a bucket
//! is at most 1/64 (1.6 %) of its value wide. From 1 ns to 2^36 ns (68 s); what is longer counts in the last bucket,
//! and [`Histogram::max`] still says its true length. Count, sum, smallest and largest value are exact.
//!
//! A [`Histogram`] is its owner's; a [`SharedHistogram`] is written by one thread while others read it.

#![expect(clippy::cast_possible_truncation, reason = "bucket numbers, below BUCKET_COUNT")]

mod shared;

pub use shared::SharedHistogram;

/// Values below this have a bucket each.
pub const LINEAR: usize = 128;
/// Buckets of each power of two above.
pub const STEPS: usize = 64;
const POWERS: usize = 36 - 7;
/// How many buckets there are.
pub const BUCKET_COUNT: usize = LINEAR + POWERS * STEPS;

/// A histogram of durations in nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    buckets: [u64; BUCKET_COUNT],
    sum: u64,
    min: u64,
    max: u64,
}

impl core::fmt::Debug for Histogram {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Histogram")
            .field("count", &self.count())
            .field("min", &self.min)
            .field("p50", &self.percentile(50.0))
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKET_COUNT], sum: 0, min: u64::MAX, max: 0 }
    }
}

/// The bucket of a value; behind the last one where it is too long for that. A value is halved until it is below [`LINEAR`], and is
/// at least [`STEPS`] then, if it was halved at all: one formula for both, without a branch that the next value takes otherwise.
#[inline]
fn bucket_of(value: u64) -> usize {
    let halved = (value | (LINEAR as u64 - 1)).ilog2() - STEPS.ilog2();
    halved as usize * STEPS + (value >> halved) as usize
}

fn is_empty(buckets: &[u64; BUCKET_COUNT]) -> bool {
    buckets.iter().all(|count| *count == 0)
}

/// The middle of a bucket: what its values are reported as.
fn value_of(bucket: usize) -> u64 {
    if bucket < LINEAR {
        return bucket as u64;
    }
    let power = (bucket - LINEAR) / STEPS;
    let step = ((bucket - LINEAR) % STEPS) as u64;
    ((step + STEPS as u64) << (power + 1)) + (1 << power)
}

impl Histogram {
    /// Records one value. A new smallest or largest one is seldom, so that its branch is foreseen, and nothing waits for a store
    /// that need not be.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(ns).min(BUCKET_COUNT - 1)) {
            *bucket += 1;
        }
        self.sum = self.sum.wrapping_add(ns);
        if ns < self.min {
            self.min = ns;
        }
        if ns > self.max {
            self.max = ns;
        }
    }

    /// How many values were recorded: those of all buckets, so that a record has one word less to write.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum: u64, count| sum.saturating_add(*count))
    }

    /// The sum of all values. 2^64 ns are centuries.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The smallest value, or 0 where there is none.
    pub fn min(&self) -> u64 {
        if is_empty(&self.buckets) { 0 } else { self.min }
    }

    /// The largest value, exact.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that `percent` of all values do not exceed, within 1/128 of itself; 0 where there is none.
    pub fn percentile(&self, percent: f64) -> u64 {
        let count = self.count();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "counts stay below 2^53, and the product is not negative"
        )]
        let wanted = ((percent / 100.0 * count as f64) as u64).clamp(1, count.max(1));
        let mut seen = 0_u64;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen = seen.saturating_add(count);
            if seen >= wanted {
                return value_of(bucket).max(self.min()).min(self.max);
            }
        }
        self.max
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, &more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket = bucket.saturating_add(more);
        }
        self.sum = self.sum.wrapping_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// What was recorded since `earlier`, which holds the same from longer ago. The smallest and the largest value are those
    /// of the buckets.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = core::array::from_fn(|bucket| {
            let [now, then] = [self, earlier].map(|of| of.buckets.get(bucket).copied().unwrap_or(0));
            now.saturating_sub(then)
        });
        let between = Self::of_buckets(buckets, self.sum.wrapping_sub(earlier.sum), 0, u64::MAX);
        let (first, last) = (between.iter().next(), between.iter().last());
        let (min, max) = (first.map_or(u64::MAX, |(value, _)| value), last.map_or(0, |(value, _)| value));
        Self { min, max, ..between }
    }

    /// How many values are in each bucket.
    pub const fn buckets(&self) -> &[u64; BUCKET_COUNT] {
        &self.buckets
    }

    /// The histogram that has these buckets, this sum, and these as its smallest and largest value. Where they do not belong
    /// together, what it says is wrong, and nothing else is.
    pub fn of_buckets(buckets: [u64; BUCKET_COUNT], sum: u64, min: u64, max: u64) -> Self {
        Self { buckets, sum, min: if is_empty(&buckets) { u64::MAX } else { min }, max }
    }

    /// Every bucket that is not empty, as its reported value and its count.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0)
            .map(|(bucket, &count)| (value_of(bucket), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_reported_within_its_stated_error() {
        let mut value = 1;
        while value < 1 << 36 {
            for near in [value - 1, value, value + value / 3] {
                let reported = value_of(bucket_of(near));
                assert!(reported.abs_diff(near) <= near / 128 + 1, "{near} reported as {reported}");
            }
            value *= 2;
        }
    }

    #[test]
    fn every_bucket_reports_a_value_of_its_own_and_what_is_too_long_is_behind_the_last() {
        assert!((0..BUCKET_COUNT).all(|bucket| bucket_of(value_of(bucket)) == bucket));
        assert_eq!(bucket_of((1 << 36) - 1), BUCKET_COUNT - 1);
        assert!([1 << 36, u64::MAX].into_iter().all(|value| bucket_of(value) >= BUCKET_COUNT));
    }

    #[test]
    fn percentiles_stand_where_the_values_are() {
        let mut histogram = Histogram::default();
        for value in 1..=1000 {
            histogram.record(value * 10);
        }
        assert_eq!((histogram.count(), histogram.min(), histogram.max()), (1000, 10, 10_000));
        assert_eq!(histogram.sum(), 5_005_000);
        assert!(histogram.percentile(50.0).abs_diff(5000) <= 40);
        assert!(histogram.percentile(99.0).abs_diff(9900) <= 80);
        assert_eq!(histogram.percentile(100.0), histogram.percentile(100.0).min(10_000));
    }

    #[test]
    fn a_histogram_is_what_its_buckets_say_and_survives_what_cannot_be() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.record(value * 10));
        let again = Histogram::of_buckets(*histogram.buckets(), histogram.sum(), 10, 10_000);
        assert_eq!((again.count(), again.percentile(99.0)), (1000, histogram.percentile(99.0)));
        let mut absurd = Histogram::of_buckets([u64::MAX; BUCKET_COUNT], 1, 7, 3);
        absurd.merge(&absurd.clone());
        assert_eq!((absurd.count(), absurd.percentile(50.0)), (u64::MAX, 3));
    }

    #[test]
    fn what_came_between_two_looks_is_told_by_itself() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|value| histogram.record(value));
        let earlier = histogram.clone();
        (1..=10).for_each(|_| histogram.record(50));
        let between = histogram.since(&earlier);
        assert_eq!((between.count(), between.sum()), (10, 500));
        assert_eq!((between.min(), between.percentile(99.0), between.max()), (50, 50, 50));
        let nothing = histogram.since(&histogram.clone());
        assert_eq!((nothing.count(), nothing.min(), nothing.max()), (0, 0, 0));
    }

    #[test]
    fn an_empty_histogram_reports_zeros() {
        let histogram = Histogram::default();
        assert_eq!((histogram.min(), histogram.max(), histogram.percentile(99.0)), (0, 0, 0));
    }
}

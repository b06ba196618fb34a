//! How the samples of one quantity are spread.
//!
//! An `hdrhistogram` with three significant digits: every percentile is within 0.1 % of a value that was measured, in
//! bounded memory whatever the number of samples. Minimum, maximum and mean are exact.

use hdrhistogram::{CreationError, Histogram};
use telemetry::Ns;

use crate::figures::Figures;

/// Three digits are more than any percentile's own spread carries; four would take ten times the memory.
const DIGITS: u8 = 3;

/// The samples of one quantity, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    histogram: Histogram<u64>,
    min: u64,
    max: u64,
    sum: u128,
}

impl Spread {
    /// A spread of values up to `longest`, some 20 KB for each power of two up to it. All its memory is taken here. A
    /// longer value counts as one of the longest, and the maximum still says its true length.
    ///
    /// # Errors
    /// `longest` cannot be a histogram's highest value; [`crate::Ask::check`] lets no such time-out through.
    pub(crate) fn up_to(longest: Ns) -> Result<Self, CreationError> {
        let histogram = Histogram::new_with_bounds(1, longest.0.max(2), DIGITS)?;
        Ok(Self { histogram, min: u64::MAX, max: 0, sum: 0 })
    }

    /// Adds one value.
    #[inline]
    pub(crate) fn add(&mut self, Ns(value): Ns) {
        self.histogram.saturating_record(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += u128::from(value);
    }

    /// Adds the samples of another run.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.merge_less(other, 0);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
    }

    /// Every value less the smallest one (RFC 5481 4.2: packet delay variation). Percentiles are as exact as those of
    /// the values that they come from.
    pub(crate) fn above_min(&self) -> Self {
        let mut above = Self { histogram: self.histogram.clone(), min: u64::MAX, max: 0, sum: 0 };
        above.histogram.reset();
        if self.samples() > 0 {
            above.merge_less(self, self.min);
            (above.min, above.max) = (0, self.max - self.min);
            above.sum = self.sum - u128::from(self.min) * u128::from(self.samples());
        }
        above
    }

    fn merge_less(&mut self, other: &Self, less: u64) {
        for recorded in other.histogram.iter_recorded() {
            let value = recorded.value_iterated_to().clamp(other.min, other.max);
            self.histogram.saturating_record_n(value - less, recorded.count_at_value());
        }
    }

    /// Every sample, to within three digits.
    pub(crate) const fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// How many samples there are.
    pub(crate) fn samples(&self) -> u64 {
        self.histogram.len()
    }

    /// The row of figures.
    pub(crate) fn figures(&self) -> Figures {
        let is_empty = self.samples() == 0;
        Figures {
            samples: self.samples(),
            min_ns: (!is_empty).then_some(self.min),
            mean_ns: self.mean(),
            p50_ns: self.exceeded_by_one_in(2),
            p90_ns: self.exceeded_by_one_in(10),
            p99_ns: self.exceeded_by_one_in(100),
            p99_9_ns: self.exceeded_by_one_in(1_000),
            p99_99_ns: self.exceeded_by_one_in(10_000),
            max_ns: (!is_empty).then_some(self.max),
        }
    }

    fn mean(&self) -> Option<u64> {
        self.sum.checked_div(u128::from(self.samples())).and_then(|mean| u64::try_from(mean).ok())
    }

    /// The value that one in `rarity` samples exceeds: 2 asks for the median, 1000 for p99.9. Nothing where there are
    /// fewer samples than that: a percentile deeper than the samples carry would only repeat the maximum.
    pub(crate) fn exceeded_by_one_in(&self, rarity: u32) -> Option<u64> {
        let is_carried = self.samples() >= u64::from(rarity);
        let quantile = 1.0 - 1.0 / f64::from(rarity.max(1));
        is_carried.then(|| self.histogram.value_at_quantile(quantile).clamp(self.min, self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(samples: u64) -> Spread {
        let mut spread = Spread::up_to(Ns(1_000_000_000)).unwrap();
        for sample in 1..=samples {
            spread.add(Ns(sample * 1_000));
        }
        spread
    }

    #[test]
    fn percentiles_are_within_a_thousandth_of_the_truth() {
        let spread = spread(10_000);
        for (rarity, truth) in [(2, 5_000_000), (10, 9_000_000), (100, 9_900_000), (10_000, 9_999_000)] {
            let found = spread.exceeded_by_one_in(rarity).unwrap();
            assert!(found.abs_diff(truth) <= truth / 1000, "1 in {rarity}: {found}, not {truth}");
        }
        let figures = spread.figures();
        assert_eq!(
            (figures.min_ns, figures.mean_ns, figures.max_ns),
            (Some(1_000), Some(5_000_500), Some(10_000_000))
        );
    }

    #[test]
    fn no_percentile_is_deeper_than_its_samples_carry() {
        for rarity in [2, 10, 100, 1_000, 10_000] {
            assert_eq!(spread(u64::from(rarity) - 1).exceeded_by_one_in(rarity), None);
            assert!(spread(u64::from(rarity)).exceeded_by_one_in(rarity).is_some());
        }
    }

    #[test]
    fn a_spread_without_samples_has_no_figures() {
        assert_eq!(spread(0).figures(), Figures::default());
    }

    #[test]
    fn a_value_beyond_the_longest_keeps_its_length_as_the_maximum() {
        let mut spread = spread(1);
        spread.add(Ns(u64::from(u32::MAX) * 1_000));
        assert_eq!(spread.figures().max_ns, Some(u64::from(u32::MAX) * 1_000));
    }

    #[test]
    fn what_is_above_the_smallest_value_keeps_its_order() {
        let figures = spread(1_000).above_min().figures();
        assert_eq!(
            (figures.samples, figures.min_ns, figures.mean_ns, figures.max_ns),
            (1_000, Some(0), Some(499_500), Some(999_000))
        );
        assert!(figures.p90_ns.unwrap().abs_diff(899_000) <= 900, "{figures:?}");
        assert_eq!(spread(0).above_min().figures(), Figures::default());
    }

    #[test]
    fn two_runs_together_have_the_samples_of_both() {
        let mut both = spread(500);
        let mut rest = Spread::up_to(Ns(1_000_000_000)).unwrap();
        for sample in 501..=1_000 {
            rest.add(Ns(sample * 1_000));
        }
        both.merge(&rest);
        assert_eq!(both.figures(), spread(1_000).figures());
    }
}

//! The round trips of one run.
//!
//! An `hdrhistogram` with three significant digits: every percentile is within 0.1 % of a value that was measured,
//! in bounded memory whatever the number of samples. Minimum, maximum and mean are exact.

use hdrhistogram::{CreationError, Histogram};
use telemetry::TickRate;

use crate::ask::Ask;
use crate::matching::Sample;

use crate::figures::Figures;

/// Three digits are more than any percentile's own spread carries; four would take ten times the memory.
const DIGITS: u8 = 3;

/// The round trips of one run.
#[derive(Clone, Debug)]
pub struct Record {
    rate: TickRate,
    histogram: Histogram<u64>,
    min: u64,
    max: u64,
    sum: u128,
}

impl Record {
    /// A record of a run of `ask`, by a clock of this rate. All its memory is taken here.
    ///
    /// # Errors
    /// The time-out cannot be a histogram's highest value; [`Ask::check`] lets no such one through.
    pub fn new(ask: &Ask, rate: TickRate) -> Result<Self, CreationError> {
        let histogram = Histogram::new_with_bounds(1, ask.timeout.0.max(2), DIGITS)?;
        Ok(Self { rate, histogram, min: u64::MAX, max: 0, sum: 0 })
    }

    /// Adds a question that was answered in time.
    pub fn add(&mut self, sample: &Sample) {
        let took = self.rate.ns(sample.received - sample.sent);
        self.histogram.saturating_record(took.0);
        self.min = self.min.min(took.0);
        self.max = self.max.max(took.0);
        self.sum += u128::from(took.0);
    }

    /// How many round trips there are.
    pub fn samples(&self) -> u64 {
        self.histogram.len()
    }

    /// The round trips in figures.
    pub fn figures(&self) -> Figures {
        Figures {
            samples: self.samples(),
            min_ns: self.min(),
            mean_ns: self.mean(),
            p50_ns: self.exceeded_by_one_in(2),
            p90_ns: self.exceeded_by_one_in(10),
            p99_ns: self.exceeded_by_one_in(100),
            p99_9_ns: self.exceeded_by_one_in(1_000),
            p99_99_ns: self.exceeded_by_one_in(10_000),
            max_ns: self.max(),
        }
    }

    /// The shortest, exact.
    pub fn min(&self) -> Option<u64> {
        (self.samples() > 0).then_some(self.min)
    }

    /// The longest, exact.
    pub fn max(&self) -> Option<u64> {
        (self.samples() > 0).then_some(self.max)
    }

    /// The mean, rounded down.
    pub fn mean(&self) -> Option<u64> {
        self.sum.checked_div(u128::from(self.samples())).and_then(|mean| u64::try_from(mean).ok())
    }

    /// The round trip that one in `rarity` samples exceeds: 2 asks for the median, 1000 for p99.9. Nothing where
    /// there are fewer samples than that: a percentile deeper than the samples carry would only repeat the maximum.
    pub fn exceeded_by_one_in(&self, rarity: u32) -> Option<u64> {
        let is_carried = self.samples() >= u64::from(rarity);
        let quantile = 1.0 - 1.0 / f64::from(rarity.max(1));
        is_carried.then(|| self.histogram.value_at_quantile(quantile).clamp(self.min, self.max))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use telemetry::Tick;

    use super::*;
    use crate::ask::Protocol;

    fn record(samples: u64) -> Record {
        let ask = Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Icmp);
        let mut record = Record::new(&ask, TickRate::NANOSECONDS).unwrap();
        for sample in 1..=samples {
            record.add(&Sample { received: Tick(sample * 1_000), ..Sample::default() });
        }
        record
    }

    #[test]
    fn percentiles_are_within_a_thousandth_of_the_truth() {
        let record = record(10_000);
        for (rarity, truth) in [(2, 5_000_000), (10, 9_000_000), (100, 9_900_000), (10_000, 9_999_000)] {
            let found = record.exceeded_by_one_in(rarity).unwrap();
            assert!(found.abs_diff(truth) <= truth / 1000, "1 in {rarity}: {found}, not {truth}");
        }
        assert_eq!(
            (record.min(), record.mean(), record.max()),
            (Some(1_000), Some(5_000_500), Some(10_000_000))
        );
    }

    #[test]
    fn no_percentile_is_deeper_than_its_samples_carry() {
        for rarity in [2, 10, 100, 1_000, 10_000] {
            assert_eq!(record(u64::from(rarity) - 1).exceeded_by_one_in(rarity), None);
            assert!(record(u64::from(rarity)).exceeded_by_one_in(rarity).is_some());
        }
    }

    #[test]
    fn an_empty_record_has_no_figures() {
        let empty = record(0);
        assert_eq!(
            (empty.min(), empty.mean(), empty.max(), empty.exceeded_by_one_in(2)),
            (None, None, None, None)
        );
    }
}

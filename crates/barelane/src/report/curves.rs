//! The histograms of a report, decoded, and the two curves that are drawn from them.
//!
//! A report carries its samples as an `HdrHistogram` log (version 1.3, V2 payloads), one histogram for each quantity
//! and each run of it, told apart by their tags. What one report measured in several runs is added up here: the
//! curves show all of its samples, and the intervals beside the figures show how far the runs were apart.
//!
//! **The percentile curve** has 1/(1 − p) on a logarithmic axis, as `HdrHistogram`'s own plots have: each decade is
//! one more nine. It ends where the samples end. The longest of n samples stands at n + 1, its plotting position
//! p = n/(n + 1); nothing is drawn beyond.
//!
//! **The histogram** has bins of equal ratio, as latencies are spread over powers of ten. How fine they are follows
//! from the samples (Freedman and Diaconis: twice the quartiles' distance over the cube root of n, of logarithms).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::Run;
use super::quantity::Quantity;
use super::units::as_float;
use crate::error::Error;

/// Points of the percentile curve in each decade: smooth at any width a screen has.
const POINTS_PER_DECADE: u32 = 24;

/// Bins of the histogram in each decade. Fewer show nothing; more are finer than the samples' own three digits allow.
const BINS_PER_DECADE: std::ops::RangeInclusive<f64> = 12.0..=600.0;

/// Bins over all decades together: more are narrower than a line on most screens.
const BIN_COUNT_MAX: f64 = 240.0;

/// The histograms of one report.
#[derive(Debug)]
pub(super) struct Curves {
    histograms: Vec<(Quantity, Histogram<u64>)>,
}

impl Curves {
    /// Decodes the histograms of a run's report.
    pub(super) fn of(run: &Run) -> Result<Self, Error> {
        let wrong =
            |why: String| Error::Input(format!("{}: its key hdr_log cannot be read: {why}", run.name));
        let mut curves = Self { histograms: Vec::new() };
        for entry in IntervalLogIterator::new(run.report.hdr_log.as_bytes()) {
            let entry = entry.map_err(|error| wrong(format!("{error:?}")))?;
            if let LogEntry::Interval(line) = entry {
                let tag = line.tag().map_or("", |tag| tag.as_str());
                let histogram = decode(line.encoded_histogram()).map_err(wrong)?;
                curves.add(tag, histogram).map_err(wrong)?;
            }
        }
        Ok(curves)
    }

    /// Adds a histogram to those of its quantity. One of a tag that this version has no name for is left out.
    fn add(&mut self, tag: &str, histogram: Histogram<u64>) -> Result<(), String> {
        let Some(quantity) = Quantity::ALL.into_iter().find(|quantity| quantity.key() == tag) else {
            return Ok(());
        };
        if let Some((_, sum)) = self.histograms.iter_mut().find(|(known, _)| *known == quantity) {
            return sum.add(histogram).map_err(|error| error.to_string());
        }
        self.histograms.push((quantity, histogram));
        Ok(())
    }

    /// The samples of a quantity, if there are any.
    pub(super) fn get(&self, quantity: Quantity) -> Option<&Histogram<u64>> {
        let (_, histogram) = self.histograms.iter().find(|(known, _)| *known == quantity)?;
        (!histogram.is_empty()).then_some(histogram)
    }
}

fn decode(payload: &str) -> Result<Histogram<u64>, String> {
    let bytes = STANDARD.decode(payload).map_err(|error| error.to_string())?;
    let mut histogram: Histogram<u64> =
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| error.to_string())?;
    // Another run of the same measurement may have had a longer sample.
    histogram.auto(true);
    Ok(histogram)
}

/// Where the percentile curves of these sample counts have points: 1/(1 − p), rising.
pub(super) fn rarities(counts: &[u64]) -> Vec<f64> {
    let longest = counts.iter().copied().max().unwrap_or(0);
    let step = 1.0 / f64::from(POINTS_PER_DECADE);
    let steps = (0..).map(|index| 10_f64.powf(f64::from(index) * step));
    let mut points: Vec<f64> = steps.take_while(|&rarity| rarity < as_float(longest)).collect();
    // What powf leaves beside a power of ten is put onto it, so that the axis' own percentiles are points of the curve.
    for point in &mut points {
        let near = point.round();
        if (*point - near).abs() < 1e-6 * near {
            *point = near;
        }
    }
    points.push(2.0);
    points.extend(counts.iter().map(|&count| as_float(count) + 1.0));
    points.sort_by(f64::total_cmp);
    points.dedup();
    points.retain(|&rarity| rarity <= as_float(longest) + 1.0);
    points
}

/// A curve's value at one rarity; nothing beyond the longest sample.
pub(super) fn value_at(histogram: &Histogram<u64>, rarity: f64) -> Option<u64> {
    let samples = as_float(histogram.len());
    if rarity <= 1.0 {
        Some(histogram.min())
    } else if rarity <= samples {
        Some(histogram.value_at_quantile(1.0 - 1.0 / rarity).min(histogram.max()))
    } else {
        (rarity <= samples + 1.0).then(|| histogram.max())
    }
}

/// Bins of equal ratio that several histograms share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bins {
    first: i32,
    count: usize,
    per_decade: f64,
}

impl Bins {
    /// Bins for these, fine enough for the narrowest of them.
    pub(super) fn of(histograms: &[&Histogram<u64>]) -> Option<Self> {
        let min = histograms.iter().map(|histogram| histogram.min_nz()).min()?;
        let max = histograms.iter().map(|histogram| histogram.max()).max()?;
        let fineness = histograms.iter().map(|histogram| fineness(histogram)).fold(0.0, f64::max);
        let decades = (as_float(max.max(min)) / as_float(min)).log10().max(0.1);
        let finest = (BIN_COUNT_MAX / decades).min(*BINS_PER_DECADE.end());
        let per_decade = fineness.min(finest).max(*BINS_PER_DECADE.start()).round();
        let first = index(min, per_decade);
        let count = usize::try_from(index(max.max(min), per_decade) - first).ok()? + 1;
        Some(Self { first, count, per_decade })
    }

    /// The lower edge of each bin and the upper edge of the last one, in nanoseconds.
    pub(super) fn edges(&self) -> Vec<f64> {
        let last = i32::try_from(self.count).unwrap_or(i32::MAX);
        (0..=last).map(|bin| 10_f64.powf(f64::from(self.first + bin) / self.per_decade)).collect()
    }

    /// How many samples of a histogram are in each bin.
    pub(super) fn counts(&self, histogram: &Histogram<u64>) -> Vec<u64> {
        let mut counts = vec![0; self.count];
        for recorded in histogram.iter_recorded() {
            let bin = index(recorded.value_iterated_to().max(1), self.per_decade) - self.first;
            let last = self.count.saturating_sub(1);
            let bin = usize::try_from(bin).unwrap_or(0).min(last);
            if let Some(count) = counts.get_mut(bin) {
                *count += recorded.count_since_last_iteration();
            }
        }
        counts
    }
}

/// The bin of a value.
#[expect(clippy::cast_possible_truncation, reason = "20 decades of at most 600 bins")]
fn index(value: u64, per_decade: f64) -> i32 {
    (as_float(value).log10() * per_decade + 1e-9).floor() as i32
}

/// How many bins a decade should have for these samples.
fn fineness(histogram: &Histogram<u64>) -> f64 {
    let quartile = |share| as_float(histogram.value_at_quantile(share).max(1)).log10();
    let width = 2.0 * (quartile(0.75) - quartile(0.25)) / as_float(histogram.len().max(1)).cbrt();
    if width > 0.0 { 1.0 / width } else { *BINS_PER_DECADE.end() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(samples: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        samples.into_iter().for_each(|sample| histogram.record(sample).unwrap());
        histogram
    }

    #[test]
    fn a_curve_ends_with_its_longest_sample() {
        let ten = histogram((1..=10).map(|sample| sample * 100));
        assert_eq!(value_at(&ten, 1.0), Some(100));
        assert_eq!(value_at(&ten, 2.0), Some(500));
        assert_eq!(value_at(&ten, 10.0), Some(900));
        assert_eq!(value_at(&ten, 11.0), Some(1000));
        assert_eq!(value_at(&ten, 11.5), None);
    }

    #[test]
    fn the_points_of_several_curves_hold_each_ones_end_and_the_axis_own_percentiles() {
        let points = rarities(&[1_000, 50]);
        for point in [1.0, 2.0, 10.0, 51.0, 100.0, 1_001.0] {
            assert!(points.contains(&point), "{point} is missing in {points:?}");
        }
        assert!(points.is_sorted() && points.iter().all(|&point| point <= 1_001.0));
    }

    #[test]
    fn every_sample_is_in_one_bin() {
        let one = histogram((0..5_000).map(|sample| 20_000 + sample * 3));
        let other = histogram([1, 7, 900_000_000]);
        let bins = Bins::of(&[&one, &other]).unwrap();
        assert_eq!(bins.counts(&one).iter().sum::<u64>(), 5_000);
        assert_eq!(bins.counts(&other).iter().sum::<u64>(), 3);
        assert_eq!(bins.edges().len(), bins.counts(&one).len() + 1);
    }

    #[test]
    fn samples_that_are_all_alike_have_a_bin() {
        let alike = histogram([5_000; 4]);
        let bins = Bins::of(&[&alike]).unwrap();
        assert_eq!(bins.counts(&alike), [4]);
    }
}

//! How far a figure can be trusted that several runs gave: an interval for its median, from the order of the values.
//!
//! Runs of one measurement differ by more than their samples tell: caches, frequencies, where a thread was put. So the
//! spread that counts is that between runs, and nothing is known about its distribution. Order statistics need none:
//! each run's value is below the true median with a chance of one half, so that how many of `n` are below it is binomial,
//! and the `k`-th smallest and the `k`-th largest enclose it with a confidence of 1 − 2 · P(B(n, ½) < k) (for instance
//! David and Nagaraja, Order Statistics, 7.1).
//!
//! ```text
//!   runs        6      7      8      9     10     15     20     30
//!   k           1      1      1      2      2      4      6     10
//!   confidence  0.969  0.984  0.992  0.961  0.979  0.965  0.959  0.957
//! ```

use serde::{Deserialize, Serialize};

/// The least confidence with which an interval is given.
pub const CONFIDENCE_MIN: f64 = 0.95;

/// One figure over several runs: its median, and the interval that holds the median of such runs with this confidence.
/// The interval is absent where there are too few runs for [`CONFIDENCE_MIN`]: fewer than six.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Interval {
    pub low: Option<u64>,
    pub median: u64,
    pub high: Option<u64>,
    pub confidence: Option<f64>,
    pub runs: u64,
}

impl Interval {
    /// The interval of one figure over its runs; nothing where there is no value.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let median = median(&values)?;
        let runs = values.len() as u64;
        let enclosing = narrowest(runs).and_then(|(rank, confidence)| {
            let rank = usize::try_from(rank).ok()?;
            Some((*values.get(rank - 1)?, *values.get(values.len() - rank)?, confidence))
        });
        Some(Self {
            low: enclosing.map(|(low, ..)| low),
            median,
            high: enclosing.map(|(_, high, _)| high),
            confidence: enclosing.map(|(.., confidence)| confidence),
            runs,
        })
    }
}

/// The middle of sorted values; of an even number the mean of the two in the middle, rounded down.
fn median(sorted: &[u64]) -> Option<u64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(lower.midpoint(upper))
}

/// The highest rank from either end whose interval is still confident enough, and its confidence.
fn narrowest(runs: u64) -> Option<(u64, f64)> {
    let mut found = None;
    // P(B(n, ½) < k), term by term: P(B = j + 1) = P(B = j) · (n − j) / (j + 1).
    let mut exactly = 0.5_f64.powi(i32::try_from(runs).ok()?);
    let mut fewer = 0.0;
    for rank in 1..=runs / 2 {
        fewer += exactly;
        let confidence = 1.0 - 2.0 * fewer;
        if confidence < CONFIDENCE_MIN {
            break;
        }
        found = Some((rank, confidence));
        exactly *= ratio(runs - (rank - 1), rank);
    }
    found
}

#[expect(clippy::cast_precision_loss, reason = "numbers of runs, far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_confidences_are_those_of_the_tables() {
        for (runs, rank, confidence) in [
            (6, 1, 0.96875),
            (8, 1, 0.992_187_5),
            (9, 2, 0.960_937_5),
            (15, 4, 0.964_843_75),
            (20, 6, 0.958_610_535),
        ] {
            let (found, reached) = narrowest(runs).unwrap();
            assert_eq!(found, rank, "{runs} runs");
            assert!((reached - confidence).abs() < 1e-9, "{runs} runs: {reached}");
        }
    }

    #[test]
    fn five_runs_give_a_median_and_no_interval() {
        let interval = Interval::of([5, 900, 6, 4, 5]).unwrap();
        assert_eq!(interval, Interval { low: None, median: 5, high: None, confidence: None, runs: 5 });
        assert_eq!(Interval::of([]), None);
    }

    #[test]
    fn six_runs_give_their_whole_range_and_one_disturbed_run_of_nine_does_not_stand_in_it() {
        let six = Interval::of([5, 900, 6, 4, 5, 7]).unwrap();
        assert_eq!((six.low, six.median, six.high), (Some(4), 5, Some(900)));
        let nine = Interval::of([5, 900, 6, 4, 5, 7, 8, 6, 6]).unwrap();
        assert_eq!((nine.low, nine.median, nine.high), (Some(5), 6, Some(8)));
    }

    #[test]
    fn the_interval_holds_the_true_median_as_often_as_it_says() {
        // Values from a skewed law with the median 2^32: the square of a uniform number. A fixed generator (SplitMix64).
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let squared = |uniform: u64| (uniform >> 32) * (uniform >> 32);
        let truth = squared(1 << 63);
        let held = (0..20_000)
            .filter(|_| {
                let interval = Interval::of((0..9).map(|_| squared(next()))).unwrap();
                (interval.low.unwrap()..=interval.high.unwrap()).contains(&truth)
            })
            .count();
        // 0.9609 of them, give or take four standard deviations of 0.0014.
        assert!((19_110..=19_330).contains(&held), "{held}");
    }
}

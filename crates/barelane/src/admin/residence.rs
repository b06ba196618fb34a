//! Buckets of ours as buckets of Prometheus: cumulative, few, always the same ones.
//!
//! The borders are powers of two of nanoseconds, which are borders of our log-linear buckets too, so that every count is exact and
//! nothing is estimated. A time is cut off to whole nanoseconds before it is counted: what counts below 2^k ns took less than
//! 2^k ns, and only a time of exactly 2^k ns, which `le` says is included, counts in the next bucket.

use telemetry::Histogram;
use telemetry::histogram::{LINEAR, STEPS};

/// The first border is 2^8 = 256 ns: no lane answers in less than some tens of nanoseconds.
const POWER_FIRST: u32 = 8;

/// The last one is 2^30 ns = 1.07 s: what takes longer is a stall, and told of as such.
const POWER_LAST: u32 = 30;

/// The first power of two whose buckets are not of one value each.
const POWER_LINEAR: u32 = LINEAR.ilog2();

const _: () = assert!(LINEAR.is_power_of_two() && POWER_FIRST >= POWER_LINEAR);

/// The counts of a histogram up to each border, in nanoseconds, and the count of all behind the last one.
pub(super) struct Cumulative<'a>(pub(super) &'a Histogram);

impl<'a> IntoIterator for Cumulative<'a> {
    type Item = (Option<u64>, u64);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        let up_to = move |power: u32| {
            let end = LINEAR + (power - POWER_LINEAR) as usize * STEPS;
            let below = self.0.buckets().iter().take(end);
            (Some(1 << power), below.fold(0, |sum: u64, count| sum.saturating_add(*count)))
        };
        Box::new((POWER_FIRST..=POWER_LAST).map(up_to).chain([(None, self.0.count())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_is_exact_on_both_sides_of_each_border() {
        for power in POWER_FIRST..=POWER_LAST {
            let border = 1_u64 << power;
            for (ns, is_below) in [(border - 1, true), (border, false), (border + 1, false)] {
                let mut histogram = Histogram::default();
                histogram.record(ns);
                let counted = Cumulative(&histogram).into_iter().find(|(le, _)| *le == Some(border)).unwrap();
                assert_eq!(counted.1, u64::from(is_below), "{ns} ns at {border}");
            }
        }
    }

    #[test]
    fn counts_never_fall_and_the_last_one_is_of_all() {
        let mut histogram = Histogram::default();
        (0..40).for_each(|power| histogram.record(3 << power));
        let counts: Vec<_> = Cumulative(&histogram).into_iter().collect();
        assert!(counts.is_sorted_by_key(|(_, count)| *count));
        assert_eq!((counts.len(), counts.last()), (24, Some(&(None, 40))));
        assert_eq!(counts.first(), Some(&(Some(256), 7)), "3, 6, 12, … 192");
    }
}

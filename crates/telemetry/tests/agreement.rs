//! The histogram against one that others wrote and use everywhere (`HdrHistogram`), and against itself in parts.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test may stop")]

use barelane_telemetry::{Histogram, SharedHistogram};
use hdrhistogram::Histogram as Hdr;

const COUNT: u64 = 200_000;

/// Half a bucket of ours, and one of a reference of three digits.
const ERROR: f64 = 1.0 / 128.0 + 1.0 / 1_000.0;

/// Times as packets have them, from 100 ns to seconds: the same in every run (splitmix64, Steele et al. 2014).
fn times(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    (0..COUNT).map(move |_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let random = mixed ^ (mixed >> 27);
        // A uniform exponent, so that every power of two is met, with a uniform part of it.
        let power = 7 + random % 25;
        (1 << power) + (random >> 32) % (1 << power)
    })
}

#[test]
fn percentiles_agree_with_hdr_histogram_within_the_stated_error() {
    for seed in 1..=5 {
        let (shared, mut reference) = (SharedHistogram::default(), Hdr::<u64>::new(3).unwrap());
        for ns in times(seed) {
            shared.record(ns);
            reference.record(ns).unwrap();
        }
        let ours = shared.read();
        assert_eq!((ours.count(), ours.max()), (reference.len(), times(seed).max().unwrap()));
        for percent in [0.1, 1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99] {
            // The two round a rank that is no whole number to different sides.
            let rank = 100.0 / COUNT as f64;
            let [low, high] =
                [percent - rank, percent + rank].map(|at| reference.value_at_percentile(at) as f64);
            let said = ours.percentile(percent) as f64;
            assert!(
                (low * (1.0 - ERROR)..=high * (1.0 + ERROR)).contains(&said),
                "seed {seed}: p{percent} is {said}, and {low} to {high} by the reference"
            );
        }
    }
}

#[test]
fn the_histograms_of_lanes_together_are_that_of_one_lane_that_saw_all() {
    let (lanes, all) = ([(); 3].map(|()| SharedHistogram::default()), SharedHistogram::default());
    for (number, ns) in times(9).enumerate() {
        let times = number as u64 % 4;
        lanes[number % 3].record_times(ns, times);
        (0..times).for_each(|_| all.record(ns));
    }
    let mut merged = Histogram::default();
    for lane in &lanes {
        merged.merge(&lane.read());
    }
    let all = all.read();
    assert_eq!(merged.buckets(), all.buckets());
    let facts = |of: &Histogram| (of.count(), of.sum(), of.min(), of.max(), of.percentile(99.9));
    assert_eq!(facts(&merged), facts(&all));
}

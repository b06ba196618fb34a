//! One quantity in figures: how many samples, and how they are spread.
//!
//! Every quantity of a report (the round trip, the response, the residence, …) is summed up by the same row of
//! figures, and no figure is deeper than its samples carry: the value that one in a thousand samples exceeds needs a
//! thousand samples. With fewer it could only repeat the maximum, and would be quoted as if it were known.

pub(crate) mod interval;
pub(crate) mod log;
pub(crate) mod prefix;

use serde::Deserialize;

pub use interval::{CONFIDENCE_MIN, Interval};

/// The figures of one quantity, in nanoseconds. In a report each name carries the quantity's prefix: `rtt_p50_ns`.
///
/// A quantity that was not measured has no samples and no figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Figures {
    pub samples: u64,
    pub min_ns: Option<u64>,
    pub mean_ns: Option<u64>,
    pub p50_ns: Option<u64>,
    pub p90_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub p99_9_ns: Option<u64>,
    pub p99_99_ns: Option<u64>,
    pub max_ns: Option<u64>,
}

impl Figures {
    /// The figures by name, in the order of a table.
    pub const fn named(&self) -> [(&'static str, Option<u64>); 8] {
        [
            ("min", self.min_ns),
            ("mean", self.mean_ns),
            ("p50", self.p50_ns),
            ("p90", self.p90_ns),
            ("p99", self.p99_ns),
            ("p99.9", self.p99_9_ns),
            ("p99.99", self.p99_99_ns),
            ("max", self.max_ns),
        ]
    }

    /// The figures by the ends of their keys, in the order of the JSON form.
    pub(crate) fn keyed(&self) -> [(&'static str, Option<u64>); 9] {
        [
            ("samples", Some(self.samples)),
            ("min_ns", self.min_ns),
            ("mean_ns", self.mean_ns),
            ("p50_ns", self.p50_ns),
            ("p90_ns", self.p90_ns),
            ("p99_ns", self.p99_ns),
            ("p99_9_ns", self.p99_9_ns),
            ("p99_99_ns", self.p99_99_ns),
            ("max_ns", self.max_ns),
        ]
    }
}

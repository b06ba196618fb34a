//! How late the questions left.

use serde::{Deserialize, Serialize};
use telemetry::{Histogram, TickRate};

/// The pacing error's figures. No percentile is deeper than the samples carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pacing {
    /// Questions that had an intended instant.
    pub pacing_samples: u64,
    /// The lateness that half of them exceeded.
    pub pacing_p50_ns: Option<u64>,
    /// The lateness that one in 100 exceeded.
    pub pacing_p99_ns: Option<u64>,
    /// The lateness that one in 1,000 exceeded.
    pub pacing_p99_9_ns: Option<u64>,
    /// The latest, exact.
    pub pacing_max_ns: Option<u64>,
}

impl Pacing {
    /// The figures of a histogram of ticks. Its buckets are at most 1/64 of their value wide.
    pub(super) fn of(ticks: &Histogram, rate: TickRate) -> Self {
        let exceeded_by_one_in = |rarity: u32| {
            let is_carried = ticks.count() >= u64::from(rarity);
            let percent = 100.0 * (1.0 - 1.0 / f64::from(rarity));
            is_carried.then(|| rate.ns(ticks.percentile(percent)).0)
        };
        Self {
            pacing_samples: ticks.count(),
            pacing_p50_ns: exceeded_by_one_in(2),
            pacing_p99_ns: exceeded_by_one_in(100),
            pacing_p99_9_ns: exceeded_by_one_in(1_000),
            pacing_max_ns: (ticks.count() > 0).then(|| rate.ns(ticks.max()).0),
        }
    }
}

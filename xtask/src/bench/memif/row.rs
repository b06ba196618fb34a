//! One figure of one comparison: the ratios of all rounds, and what is wanted of their median.

use std::fmt;

use serde_json::{Value, json};

use super::Measured;
use crate::bench::ratios::{ROUNDS_MIN, Spread, spread};

/// What is compared with what. DPDK copies frames by default; where it is the memif client it need not, and then it is the
/// faster one.
pub(super) const COMPARISONS: [Comparison; 7] = [
    ("barelane_server_udp", "dpdk_server_udp", Held::ToLimits),
    ("barelane_client_udp", "dpdk_client_udp", Held::ToLimits),
    ("barelane_client_udp", "dpdk_client_zero_copy_udp", Held::ToLimits),
    ("barelane_server_icmp", "dpdk_server_icmp", Held::ToLimits),
    ("barelane_client_icmp", "dpdk_client_icmp", Held::ToLimits),
    ("barelane_client_icmp", "dpdk_client_zero_copy_icmp", Held::ToLimits),
    ("dpdk_server_udp_again", "dpdk_server_udp", Held::ToNothing),
];

/// Ours, theirs, and whether the figures' limits are wanted.
pub(super) type Comparison = (&'static str, &'static str, Held);

/// Whether a ratio has a limit that it is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    ToLimits,
    ToNothing,
}

/// What of a stretch is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// The middle round trip with one question under way.
    P50,
    /// The round trip that one in a hundred exceeds, likewise.
    P99,
    /// Answers a second with many under way.
    Rate,
    /// The same in those milliseconds in which neither end lost its core to somebody else: the rate that one in ten exceeds.
    Undisturbed,
}

impl Figure {
    const ALL: [Self; 4] = [Self::P50, Self::P99, Self::Rate, Self::Undisturbed];

    /// With how many questions under way it is measured.
    pub(super) const fn window(self) -> u32 {
        match self {
            Self::P50 | Self::P99 => 1,
            Self::Rate | Self::Undisturbed => super::WINDOW,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::Rate => "rate",
            Self::Undisturbed => "rate of undisturbed ms",
        }
    }

    /// Where a stretch has it.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::P50 => "rtt_p50_ns",
            Self::P99 => "rtt_p99_ns",
            Self::Rate => "answers_per_second",
            Self::Undisturbed => "rate_of_ms_p90",
        }
    }

    /// What is wanted of the median, and whether it holds.
    fn limit(self, median: f64) -> (&'static str, f64, bool) {
        match self {
            Self::P50 | Self::P99 => ("at most", 1.10, median <= 1.10),
            Self::Rate | Self::Undisturbed => ("at least", 0.90, median >= 0.90),
        }
    }
}

/// One figure of one comparison over all rounds.
#[derive(Debug)]
pub(super) struct Row {
    ours: &'static str,
    theirs: &'static str,
    held: Held,
    figure: Figure,
    /// In ascending order, or why there are none.
    ratios: Result<Vec<f64>, String>,
}

impl Row {
    /// The rows of one comparison.
    pub(super) fn all_of(measured: &[Measured], (ours, theirs, held): Comparison) -> [Self; 4] {
        Figure::ALL.map(|figure| {
            let of = |name| figures(measured, name, figure);
            let ratios = of(ours).and_then(|ours| within_rounds(&ours, &of(theirs)?));
            Self { ours, theirs, held, figure, ratios }
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let ratios = self.ratios.as_ref().ok();
        let [min, median, max] = ratios.map_or([None; 3], |ratios| spread(ratios).map(Some));
        let (side, limit, _) = self.figure.limit(0.0);
        let [at_most, at_least] = ["at most", "at least"]
            .map(|wanted| (wanted == side && self.held == Held::ToLimits).then_some(limit));
        json!({
            "ours": self.ours, "theirs": self.theirs, "figure": self.figure.name(), "ratio_min": min,
            "ratio_median": median, "ratio_max": max, "ratio_wanted_max": at_most, "ratio_wanted_min": at_least,
            "rounds": ratios, "not_measured": self.ratios.as_ref().err(),
        })
    }
}

/// What each round of a pair says of a figure.
fn figures(measured: &[Measured], name: &str, figure: Figure) -> Result<Vec<f64>, String> {
    let pair = measured.iter().find(|measured| measured.setup.name() == name);
    pair.ok_or_else(|| format!("there is no {name}"))?.figures(figure)
}

/// Both of one round, over each other; in ascending order.
fn within_rounds(ours: &[f64], theirs: &[f64]) -> Result<Vec<f64>, String> {
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    ratios.sort_by(f64::total_cmp);
    let too_few = || format!("{} rounds, and fewer than {ROUNDS_MIN} have no spread", ratios.len());
    if ratios.len() < ROUNDS_MIN { Err(too_few()) } else { Ok(ratios) }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<21} / {:<26} {:<22} ", self.ours, self.theirs, self.figure.name())?;
        let ratios = match &self.ratios {
            Ok(ratios) => ratios,
            Err(why) => return write!(out, "not measured: {why}"),
        };
        write!(out, "{}", Spread(ratios))?;
        let [_, median, _] = spread(ratios);
        let (side, limit, holds) = self.figure.limit(median);
        match self.held {
            Held::ToLimits if holds => write!(out, "  wanted {side} {limit:.2}: holds"),
            Held::ToLimits => write!(out, "  wanted {side} {limit:.2}: DOES NOT HOLD"),
            Held::ToNothing => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figure: Figure, held: Held, ratios: Result<Vec<f64>, String>) -> String {
        Row { ours: "a", theirs: "b", held, figure, ratios }.to_string()
    }

    #[test]
    fn round_trips_are_to_be_short_and_rates_high() {
        let ratios = || within_rounds(&[110.0, 100.0, 130.0], &[100.0, 100.0, 100.0]);
        for (figure, end) in [
            (Figure::P50, "1.00 / 1.10 / 1.30  wanted at most 1.10: holds"),
            (Figure::P99, "wanted at most 1.10: holds"),
            (Figure::Rate, "wanted at least 0.90: holds"),
        ] {
            assert!(row(figure, Held::ToLimits, ratios()).ends_with(end), "{figure:?}");
        }
        let slower = || within_rounds(&[112.0, 80.0, 130.0], &[100.0, 100.0, 100.0]);
        assert!(row(Figure::P99, Held::ToLimits, slower()).ends_with("at most 1.10: DOES NOT HOLD"));
        let rarer = || within_rounds(&[88.0, 80.0, 130.0], &[100.0, 100.0, 100.0]);
        assert!(row(Figure::Rate, Held::ToLimits, rarer()).ends_with("at least 0.90: DOES NOT HOLD"));
        assert!(row(Figure::Rate, Held::ToNothing, rarer()).ends_with("0.80 / 0.88 / 1.30"));
    }

    #[test]
    fn what_was_not_measured_is_said_with_its_reason() {
        let row = row(Figure::P50, Held::ToLimits, within_rounds(&[1.0, 2.0], &[1.0, 1.0]));
        assert!(row.ends_with("not measured: 2 rounds, and fewer than 3 have no spread"), "{row}");
    }
}

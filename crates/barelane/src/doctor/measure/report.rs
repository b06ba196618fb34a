//! What fixes gained, for people and for programs (`docs/doctor-json.md`).

use std::fmt::Write;

use host::doctor::Outcome;
use serde::Serialize;

use super::gain::{Gain, Ratio, Verdict};
use crate::error::Error;

/// Which keys there are.
const SCHEMA: &str = "barelane-measure-1";

/// Room for the longest name, and for a ratio with its interval.
const NAME: usize = 24;
const RATIO: usize = 24;

/// All that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: &'static str,
    /// What was asked, in words.
    pub(super) asked: String,
    pub(super) rounds: usize,
    pub(super) fixes: Vec<Measured>,
    pub(super) not_measured: Vec<NotMeasured>,
}

/// One fix.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) requirement: &'static str,
    pub(super) settings: Vec<String>,
    pub(super) p50: Option<Gain>,
    pub(super) p99: Option<Gain>,
    /// Whether the fix is in force at the end.
    pub(super) in_force: bool,
}

/// A fix that was not measured, and why.
#[derive(Debug, Serialize)]
pub(super) struct NotMeasured {
    pub(super) requirement: &'static str,
    pub(super) why: String,
    /// What came of its changes, where they were made all the same.
    pub(super) changed: Vec<Outcome>,
}

impl Report {
    pub(super) fn new(asked: String, rounds: usize) -> Self {
        Self { schema: SCHEMA, asked, rounds, fixes: Vec::new(), not_measured: Vec::new() }
    }

    pub(super) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Failed(format!("--json: {error}")))
    }

    /// Which settings are not as they were wanted.
    pub(super) fn failed(&self) -> Vec<&str> {
        let outcomes = self.not_measured.iter().flat_map(|one| &one.changed);
        outcomes.filter(|one| one.failed.is_some()).map(|one| one.setting.as_str()).collect()
    }

    pub(super) fn to_table(&self) -> String {
        let mut text = format!("asked: {}; {} rounds\n\n", self.asked, self.rounds);
        for one in &self.fixes {
            for (figure, gain) in [("p50", &one.p50), ("p99", &one.p99)] {
                text.push_str(&row(one.requirement, figure, gain.as_ref()));
            }
            let state = if one.in_force { "in force now" } else { "undone again" };
            line(&mut text, format_args!("  {state}: {}", one.settings.join(", ")));
        }
        for one in &self.not_measured {
            line(&mut text, format_args!("{:<NAME$}not measured: {}", one.requirement, one.why));
            for outcome in &one.changed {
                let came = outcome.failed.as_deref().unwrap_or("changed");
                line(&mut text, format_args!("  {}: {came}", outcome.setting));
            }
        }
        if self.fixes.is_empty() && self.not_measured.is_empty() {
            text.push_str("there is nothing to fix\n");
        }
        text.push_str("\nratio: with the fix / without it, the median of the rounds [95 % interval]; of 20 fixes that do nothing, one looks as if it did\n");
        text
    }
}

fn row(requirement: &str, figure: &str, gain: Option<&Gain>) -> String {
    let Some(gain) = gain else { return format!("{requirement:<NAME$}{figure}  no round was complete\n") };
    let (before, after) = (micros(gain.before_ns.median), micros(gain.after_ns.median));
    let ratio = ratio(gain.ratio);
    format!("{requirement:<NAME$}{figure}  {before:>8} -> {after:>8} µs  {ratio:<RATIO$}{}\n", said(gain))
}

fn ratio(ratio: Ratio) -> String {
    match (ratio.low, ratio.high) {
        (Some(low), Some(high)) => format!("{:.3} [{low:.3}, {high:.3}]", ratio.median),
        _ => format!("{:.3}", ratio.median),
    }
}

fn said(gain: &Gain) -> String {
    let percent = (gain.ratio.median - 1.0).abs() * 100.0;
    match gain.verdict {
        Verdict::Gain => format!("gains {percent:.1} %"),
        Verdict::Loss => format!("costs {percent:.1} %"),
        Verdict::NoGainSeen => "no gain seen".to_owned(),
        Verdict::TooFewRounds => "too few rounds to tell".to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "round trips, far below 2^53 ns")]
fn micros(ns: u64) -> String {
    format!("{:.2}", ns as f64 / 1e3)
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = writeln!(text, "{words}");
}

#[cfg(test)]
mod tests {
    use super::super::gain::Pairs;
    use super::*;

    #[test]
    fn a_row_says_honestly_what_the_interval_allows() {
        let gain = |pairs: &[(u64, u64)]| {
            let mut all = Pairs::default();
            for &(before, after) in pairs {
                all.add(before, after);
            }
            all.gain()
        };
        let text = row("swap", "p50", gain(&[(10_000, 9_000); 6]).as_ref());
        assert!(
            text.contains("10.00 ->     9.00 µs  0.900 [0.900, 0.900]") && text.contains("gains 10.0 %"),
            "{text}"
        );
        let either = [
            (10_000, 9_000),
            (10_000, 11_000),
            (10_000, 9_900),
            (9_000, 9_100),
            (8_000, 8_001),
            (7_000, 6_999),
        ];
        assert!(row("swap", "p50", gain(&either).as_ref()).contains("no gain seen"));
        assert!(row("swap", "p50", None).contains("no round was complete"));
    }
}

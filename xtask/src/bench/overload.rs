//! What an age limit makes of a lane that is asked for more than it carries: `barelane demo --overload` measures, this compares
//! round by round, and says whether it is as it should be.
//!
//! The limit that is wanted of p99 at 200 % is one of what it is at 80 %. What is demonstrated without the limit is that the same
//! does not hold: a measurement by which it held anyway would show nothing. Both are compared with the lane that has the limit at 80 %,
//! for one that has none may be late there already, where the rate without loss was found in a good moment.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::facts;
use super::ratios::{ROUNDS_MIN, Spread, demo, of_rounds, row, spread, within_rounds};

const P99: &str = "residence_p99_ns";
const ANSWERED: &str = "answered_per_second";
const IN_TIME: &str = "in_time_per_second";
/// The loads of a lane with the limit, and of one without: the most of a round's is its maximum.
const LIMITED: &[&str] = &["light_limited", "whole_limited", "over_limited", "heavy_limited"];
const UNLIMITED: &[&str] = &["light", "whole", "over", "heavy"];

/// What is compared with the most of which rows, and which median is wanted of it.
const COMPARISONS: [Comparison; 7] = [
    ("heavy_limited", &["light_limited"], P99, Wanted::AtMost(3.0)),
    ("heavy_limited", LIMITED, IN_TIME, Wanted::AtLeast(0.95)),
    ("heavy", &["light_limited"], P99, Wanted::MoreThan(3.0)),
    ("heavy", UNLIMITED, IN_TIME, Wanted::LessThan(0.95)),
    ("heavy_limited", &["heavy"], ANSWERED, Wanted::Nothing),
    ("light_limited", &["light"], P99, Wanted::Nothing),
    ("light_limited", &["light"], ANSWERED, Wanted::AtLeast(0.95)),
];

type Comparison = (&'static str, &'static [&'static str], &'static str, Wanted);

/// What a median should be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    AtMost(f64),
    AtLeast(f64),
    MoreThan(f64),
    LessThan(f64),
    Nothing,
}

/// One comparison over all rounds.
#[derive(Debug)]
struct Ratio {
    ours: &'static str,
    theirs: &'static [&'static str],
    key: &'static str,
    wanted: Wanted,
    /// In ascending order.
    rounds: Vec<f64>,
}

pub(super) fn run(seconds: u32, rounds: u32, age_limit: &str) -> Result<()> {
    let [seconds, rounds] = [seconds, rounds].map(|number| number.to_string());
    let demo = demo(&["--overload", "--seconds", &seconds, "--rounds", &rounds, "--age-limit", age_limit])?;
    let ratios: Result<Vec<_>> = COMPARISONS.iter().map(|comparison| Ratio::of(&demo, *comparison)).collect();
    let ratios = ratios?;
    println!("   within one round: min / median / max");
    for ratio in &ratios {
        println!("   {ratio}");
    }
    let ratios: Vec<_> = ratios.iter().map(Ratio::to_json).collect();
    let result = json!({ "schema": "barelane-bench-overload-2", "ratios": ratios, "demo": demo });
    facts::write("overload", &result).map(drop)
}

impl Wanted {
    /// Whether a median is as it should be; nothing where that is not said.
    fn holds(self, median: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(median <= most),
            Self::AtLeast(least) => Some(median >= least),
            Self::MoreThan(less) => Some(median > less),
            Self::LessThan(more) => Some(median < more),
            Self::Nothing => None,
        }
    }
}

impl Ratio {
    fn of(demo: &Value, (ours, theirs, key, wanted): Comparison) -> Result<Self> {
        let of = |name: &str| row(demo, name).and_then(|row| of_rounds(row, key));
        let beside: Result<Vec<_>> = theirs.iter().map(|name| of(name)).collect();
        let rounds = within_rounds(&of(ours)?, &most_of_each_round(&beside?)).with_context(|| {
            format!("{ours} and {} have fewer than {ROUNDS_MIN} rounds together", theirs.join(", "))
        })?;
        Ok(Self { ours, theirs, key, wanted, rounds })
    }

    fn to_json(&self) -> Value {
        let [min, median, max] = spread(&self.rounds);
        json!({
            "ours": self.ours, "theirs": self.theirs, "of": self.key, "ratio_min": min, "ratio_median": median,
            "ratio_max": max, "wanted": self.wanted.to_string(), "holds": self.wanted.holds(median), "rounds": self.rounds,
        })
    }
}

/// The largest value of each round that all of these rows have.
fn most_of_each_round(rows: &[Vec<(u64, f64)>]) -> Vec<(u64, f64)> {
    let Some((first, others)) = rows.split_first() else { return Vec::new() };
    let of_round =
        |row: &Vec<(u64, f64)>, number| row.iter().find(|(other, _)| *other == number).map(|found| found.1);
    let most = |&(number, value): &(u64, f64)| {
        let all: Option<Vec<f64>> = others.iter().map(|row| of_round(row, number)).collect();
        Some((number, all?.into_iter().fold(value, f64::max)))
    };
    first.iter().filter_map(most).collect()
}

impl fmt::Display for Wanted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(out, "at most {most:.2}"),
            Self::AtLeast(least) => write!(out, "at least {least:.2}"),
            Self::MoreThan(less) => write!(out, "more than {less:.2}"),
            Self::LessThan(more) => write!(out, "less than {more:.2}"),
            Self::Nothing => out.write_str("whatever it is"),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, median, _] = spread(&self.rounds);
        let theirs = match self.theirs {
            [one] => one,
            _ => "the most",
        };
        write!(out, "{:<14} / {theirs:<14} {:<20} {}", self.ours, self.key, Spread(&self.rounds))?;
        match self.wanted.holds(median) {
            None => Ok(()),
            Some(true) => write!(out, "  wanted {}: holds", self.wanted),
            Some(false) => write!(out, "  wanted {}: DOES NOT HOLD", self.wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> Value {
        let rounds = |p99s: [u32; 3]| p99s.map(|p99| json!({ "residence_p99_ns": p99 })).to_vec();
        json!({ "rows": [
            { "name": "a", "round_numbers": [1, 2, 3], "rounds": rounds([300, 200, 100]) },
            { "name": "b", "round_numbers": [1, 2, 3], "rounds": rounds([100, 100, 100]) },
            { "name": "c", "round_numbers": [], "rounds": [] },
        ] })
    }

    #[test]
    fn what_is_wanted_is_wanted_of_the_median() {
        for (wanted, end) in [
            (Wanted::AtMost(2.0), "wanted at most 2.00: holds"),
            (Wanted::AtMost(1.9), "wanted at most 1.90: DOES NOT HOLD"),
            (Wanted::MoreThan(2.0), "wanted more than 2.00: DOES NOT HOLD"),
            (Wanted::LessThan(2.0), "wanted less than 2.00: DOES NOT HOLD"),
            (Wanted::AtLeast(2.0), "wanted at least 2.00: holds"),
            (Wanted::Nothing, "3.00"),
        ] {
            let ratio = Ratio::of(&demo(), ("a", &["b"], P99, wanted)).unwrap().to_string();
            assert!(ratio.contains("1.00 / 2.00 / 3.00") && ratio.ends_with(end), "{ratio}");
        }
    }

    #[test]
    fn the_most_is_that_of_the_same_round() {
        let rows = [vec![(1, 3.0), (2, 1.0), (3, 5.0)], vec![(1, 2.0), (2, 4.0)]];
        assert_eq!(most_of_each_round(&rows), [(1, 3.0), (2, 4.0)]);
        let ratio = Ratio::of(&demo(), ("b", &["a", "b"], P99, Wanted::Nothing)).unwrap().to_string();
        assert!(
            ratio.contains("b              / the most") && ratio.contains("0.33 / 0.50 / 1.00"),
            "{ratio}"
        );
    }

    #[test]
    fn rows_without_rounds_are_an_error() {
        assert!(Ratio::of(&demo(), ("a", &["c"], P99, Wanted::Nothing)).is_err());
    }
}

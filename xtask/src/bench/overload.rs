//! What an age limit makes of a lane that is asked for more than it carries: `barelane demo --overload` measures, this compares
//! round by round, and says whether it is as it should be.
//!
//! The limit that is wanted of p99 at 200 % is one of what it is at 80 %. What is demonstrated without the limit is that the same
//! does not hold: a measurement by which it held anyway would show nothing.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::facts;
use super::ratios::{ROUNDS_MIN, Spread, demo, of_rounds, row, spread, within_rounds};

const P99: &str = "residence_p99_ns";
const ANSWERED: &str = "answered_per_second";

/// What is compared, and which median is wanted of it.
const COMPARISONS: [(&str, &str, &str, Wanted); 5] = [
    ("heavy_limited", "light_limited", P99, Wanted::AtMost(3.0)),
    ("heavy_limited", "heavy", ANSWERED, Wanted::AtLeast(0.95)),
    ("heavy", "light", P99, Wanted::MoreThan(3.0)),
    ("light_limited", "light", P99, Wanted::Nothing),
    ("light_limited", "light", ANSWERED, Wanted::AtLeast(0.95)),
];

/// What a median should be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    AtMost(f64),
    AtLeast(f64),
    MoreThan(f64),
    Nothing,
}

/// One comparison over all rounds.
#[derive(Debug)]
struct Ratio {
    ours: &'static str,
    theirs: &'static str,
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
    let result = json!({ "schema": "barelane-bench-overload-1", "ratios": ratios, "demo": demo });
    facts::write("overload", &result).map(drop)
}

impl Wanted {
    /// Whether a median is as it should be; nothing where that is not said.
    fn holds(self, median: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(median <= most),
            Self::AtLeast(least) => Some(median >= least),
            Self::MoreThan(less) => Some(median > less),
            Self::Nothing => None,
        }
    }
}

impl Ratio {
    fn of(
        demo: &Value,
        (ours, theirs, key, wanted): (&'static str, &'static str, &'static str, Wanted),
    ) -> Result<Self> {
        let [a, b] = [ours, theirs].map(|name| row(demo, name).and_then(|row| of_rounds(row, key)));
        let rounds = within_rounds(&a?, &b?)
            .with_context(|| format!("{ours} and {theirs} have fewer than {ROUNDS_MIN} rounds together"))?;
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

impl fmt::Display for Wanted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(out, "at most {most:.2}"),
            Self::AtLeast(least) => write!(out, "at least {least:.2}"),
            Self::MoreThan(less) => write!(out, "more than {less:.2}"),
            Self::Nothing => out.write_str("whatever it is"),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, median, _] = spread(&self.rounds);
        write!(out, "{:<14} / {:<14} {:<20} {}", self.ours, self.theirs, self.key, Spread(&self.rounds))?;
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
            (Wanted::AtLeast(2.0), "wanted at least 2.00: holds"),
            (Wanted::Nothing, "3.00"),
        ] {
            let ratio = Ratio::of(&demo(), ("a", "b", P99, wanted)).unwrap().to_string();
            assert!(ratio.contains("1.00 / 2.00 / 3.00") && ratio.ends_with(end), "{ratio}");
        }
    }

    #[test]
    fn rows_without_rounds_are_an_error() {
        assert!(Ratio::of(&demo(), ("a", "c", P99, Wanted::Nothing)).is_err());
    }
}

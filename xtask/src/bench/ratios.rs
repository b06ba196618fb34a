//! Round trips as ratios: `barelane demo` measures, in turns and in one run; this compares round by round.
//!
//! A ratio is taken within one round, where both were measured within the same second. Over all rounds the smallest,
//! the middle and the largest are shown: a spread that reaches the wanted limit says that the run decides nothing.

use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::facts;
use crate::step::{cargo, line, run as run_command};
use crate::workspace;

/// What is compared with what, and the most that is wanted of the median.
const COMPARISONS: [(&str, &str, Option<f64>); 4] = [
    ("lane_udp", "kernel_udp_blocking", Some(0.45)),
    ("lane_udp", "kernel_udp_spinning", Some(0.85)),
    ("lane_icmp", "kernel_icmp", None),
    ("lane_icmp", "kernel_udp_blocking", None),
];

/// Fewer rounds have no spread worth the name.
const ROUNDS_MIN: usize = 5;

/// One comparison over all rounds.
#[derive(Debug)]
struct Ratio {
    ours: &'static str,
    theirs: &'static str,
    wanted: Option<f64>,
    rounds: Vec<f64>,
}

pub(super) fn run(seconds: u32) -> Result<()> {
    let demo = demo(seconds)?;
    let ratios = COMPARISONS.map(|comparison| Ratio::of(&demo, comparison));
    let ratios = ratios.into_iter().collect::<Result<Vec<_>>>()?;
    println!("   round trips, p50 over p50 within one round: min / median / max");
    for ratio in &ratios {
        println!("   {ratio}");
    }
    let rows: Vec<_> = ratios.iter().map(Ratio::to_json).collect();
    facts::write("ratios", &json!({ "schema": "barelane-bench-ratios-1", "ratios": rows, "demo": demo }))
        .map(drop)
}

/// Runs the demo and reads what it measured.
fn demo(seconds: u32) -> Result<Value> {
    let build = run_command(&mut cargo(&["build", "--release", "--package", "barelane"]))?;
    ensure!(build.success(), "the release build failed");
    let result = workspace::target().join("bench-demo.json");
    let mut command = Command::new(workspace::target().join("release/barelane"));
    command.args(["demo", "--seconds", &seconds.to_string(), "--json"]).arg(&result);
    println!("   $ {}", line(&command));
    let status = run_command(&mut command)?;
    ensure!(status.success(), "the demo failed: {status}");
    let text = fs::read_to_string(&result).with_context(|| result.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

impl Ratio {
    fn of(demo: &Value, (ours, theirs, wanted): (&'static str, &'static str, Option<f64>)) -> Result<Self> {
        let (a, b) = (p50s(demo, ours)?, p50s(demo, theirs)?);
        ensure!(
            a.len() == b.len() && a.len() >= ROUNDS_MIN,
            "{ours} and {theirs}: {} and {} rounds",
            a.len(),
            b.len()
        );
        let mut rounds: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a / b).collect();
        rounds.sort_by(f64::total_cmp);
        Ok(Self { ours, theirs, wanted, rounds })
    }

    fn spread(&self) -> [f64; 3] {
        [0, self.rounds.len() / 2, self.rounds.len() - 1]
            .map(|at| self.rounds.get(at).copied().unwrap_or(f64::NAN))
    }

    fn to_json(&self) -> Value {
        let [min, median, max] = self.spread();
        json!({
            "ours": self.ours, "theirs": self.theirs, "ratio_min": min, "ratio_median": median, "ratio_max": max,
            "ratio_wanted_max": self.wanted, "rounds": self.rounds,
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, median, max] = self.spread();
        write!(out, "{:<9} / {:<20} {min:.2} / {median:.2} / {max:.2}", self.ours, self.theirs)?;
        match self.wanted {
            Some(wanted) if median <= wanted => write!(out, "  wanted at most {wanted}: holds"),
            Some(wanted) => write!(out, "  wanted at most {wanted}: DOES NOT HOLD"),
            None => Ok(()),
        }
    }
}

/// The p50 of each round of one row of the demo.
fn p50s(demo: &Value, name: &str) -> Result<Vec<f64>> {
    let rows = demo["rows"].as_array().context("the demo's result has no rows")?;
    let row =
        rows.iter().find(|row| row["name"] == name).with_context(|| format!("the demo has no row {name}"))?;
    let rounds = row["rounds"].as_array().context("a row has no rounds")?;
    rounds.iter().map(|round| round["rtt_p50_ns"].as_f64().context("a round has no rtt_p50_ns")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let rounds = |p50s: [u32; 5]| p50s.map(|p50| json!({ "rtt_p50_ns": p50 })).to_vec();
        let demo = json!({ "rows": [
            { "name": "a", "rounds": rounds([1, 2, 30, 4, 5]) },
            { "name": "b", "rounds": rounds([2, 4, 30, 8, 20]) },
        ] });
        let ratio = Ratio::of(&demo, ("a", "b", Some(0.5))).unwrap();
        assert!(ratio.to_string().contains("0.25 / 0.50 / 1.00"), "{ratio}");
        assert!(ratio.to_string().ends_with("holds"));
        assert!(Ratio::of(&demo, ("a", "c", None)).is_err());
    }
}

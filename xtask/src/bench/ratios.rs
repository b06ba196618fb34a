//! Round trips as ratios: `barelane demo` measures, in turns and in one run; this compares round by round.
//!
//! A ratio is taken within one round, where both were measured within the same second. Over all rounds the smallest,
//! the middle and the largest are shown: a spread that reaches the wanted limit says that the run decides nothing.
//!
//! Programs that are not ours are installed first. Where that cannot be, what is compared with them is named as not
//! measured, with the reason.

use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::facts;
use crate::clients::{self, SOCKPERF, TESTPMD};
use crate::step::{cargo, line, run as run_command};
use crate::workspace;

/// What is compared with what, and the most that is wanted of the median.
const COMPARISONS: [(&str, &str, Option<f64>); 12] = [
    ("lane_udp", "kernel_udp_blocking", Some(0.45)),
    ("lane_udp", "kernel_udp_spinning", Some(0.85)),
    ("lane_udp", "kernel_udp_busy_poll", None),
    ("lane_udp", "dpdk_5tswap", None),
    ("lane_udp", "bare_xdp_tx_udp", None),
    ("lane_icmp", "kernel_icmp", None),
    ("lane_icmp", "kernel_udp_blocking", None),
    ("lane_icmp", "dpdk_icmpecho", None),
    ("lane_icmp", "bare_xdp_tx_icmp", None),
    ("lane_udp_asked_by_xdp", "bare_xdp_tx_udp_asked_by_xdp", None),
    ("lane_sockperf", "sockperf_server", None),
    ("dpdk_5tswap", "kernel_udp_blocking", None),
];

/// Fewer rounds have no spread worth the name.
const ROUNDS_MIN: usize = 3;

/// One comparison over all rounds.
#[derive(Debug)]
struct Ratio {
    ours: &'static str,
    theirs: &'static str,
    wanted: Option<f64>,
    /// In ascending order, or why there are none.
    rounds: Result<Vec<f64>, String>,
}

pub(super) fn run(seconds: u32) -> Result<()> {
    for (client, why) in clients::provide(&[&TESTPMD, &SOCKPERF]) {
        println!("   without {}: {why}", client.package);
    }
    let demo = demo(seconds)?;
    let ratios = COMPARISONS.map(|comparison| Ratio::of(&demo, comparison));
    let ratios = ratios.into_iter().collect::<Result<Vec<_>>>()?;
    println!("   round trips, p50 over p50 within one round: min / median / max");
    for ratio in &ratios {
        println!("   {ratio}");
    }
    let rows: Vec<_> = ratios.iter().map(Ratio::to_json).collect();
    facts::write("ratios", &json!({ "schema": "barelane-bench-ratios-2", "ratios": rows, "demo": demo }))
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
        let (a, b) = (row(demo, ours)?, row(demo, theirs)?);
        let why_not = [a, b].into_iter().find_map(|row| row["not_measured"].as_str());
        let rounds = match why_not {
            Some(why) => Err(why.to_owned()),
            None => Ok(within_rounds(&p50s(a)?, &p50s(b)?).with_context(|| {
                format!("{ours} and {theirs} have fewer than {ROUNDS_MIN} rounds together")
            })?),
        };
        Ok(Self { ours, theirs, wanted, rounds })
    }

    fn to_json(&self) -> Value {
        let rounds = self.rounds.as_ref().ok();
        let [min, median, max] = rounds.map_or([None; 3], |rounds| spread(rounds).map(Some));
        json!({
            "ours": self.ours, "theirs": self.theirs, "ratio_min": min, "ratio_median": median, "ratio_max": max,
            "ratio_wanted_max": self.wanted, "rounds": rounds, "not_measured": self.rounds.as_ref().err(),
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<21} / {:<28} ", self.ours, self.theirs)?;
        let rounds = match &self.rounds {
            Ok(rounds) => rounds,
            Err(why) => return write!(out, "not measured: {why}"),
        };
        let [min, median, max] = spread(rounds);
        write!(out, "{min:.2} / {median:.2} / {max:.2}")?;
        match self.wanted {
            Some(wanted) if median <= wanted => write!(out, "  wanted at most {wanted}: holds"),
            Some(wanted) => write!(out, "  wanted at most {wanted}: DOES NOT HOLD"),
            None => Ok(()),
        }
    }
}

/// The smallest, the middle and the largest of what is sorted.
fn spread(rounds: &[f64]) -> [f64; 3] {
    [0, rounds.len() / 2, rounds.len().saturating_sub(1)]
        .map(|at| rounds.get(at).copied().unwrap_or(f64::NAN))
}

/// One row of the demo.
fn row<'demo>(demo: &'demo Value, name: &str) -> Result<&'demo Value> {
    let rows = demo["rows"].as_array().context("the demo's result has no rows")?;
    rows.iter().find(|row| row["name"] == name).with_context(|| format!("the demo has no row {name}"))
}

/// The p50 of each round of a row, with the round's number. A round that was too short for one has none.
fn p50s(row: &Value) -> Result<Vec<(u64, f64)>> {
    let numbers = row["round_numbers"].as_array().context("a row has no round_numbers")?;
    let rounds = row["rounds"].as_array().context("a row has no rounds")?;
    ensure!(numbers.len() == rounds.len(), "a row has {} rounds, numbered {numbers:?}", rounds.len());
    let p50s = numbers.iter().zip(rounds);
    Ok(p50s.filter_map(|(number, round)| Some((number.as_u64()?, round["rtt_p50_ns"].as_f64()?))).collect())
}

/// The ratios of those rounds that both have, in ascending order; nothing where they are too few.
fn within_rounds(ours: &[(u64, f64)], theirs: &[(u64, f64)]) -> Option<Vec<f64>> {
    let beside = |number| theirs.iter().find(|(other, _)| *other == number).map(|(_, p50)| *p50);
    let mut ratios: Vec<f64> = ours.iter().filter_map(|&(number, p50)| Some(p50 / beside(number)?)).collect();
    ratios.sort_by(f64::total_cmp);
    (ratios.len() >= ROUNDS_MIN).then_some(ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> Value {
        let rounds = |p50s: [u32; 5]| p50s.map(|p50| json!({ "rtt_p50_ns": p50 })).to_vec();
        json!({ "rows": [
            { "name": "a", "round_numbers": [1, 2, 3, 4, 5], "rounds": rounds([1, 2, 30, 4, 5]) },
            { "name": "b", "round_numbers": [1, 2, 3, 4, 5], "rounds": rounds([2, 4, 30, 8, 20]) },
            { "name": "c", "round_numbers": [], "rounds": [], "not_measured": "it is not installed" },
            { "name": "d", "round_numbers": [2, 4, 6, 8, 10], "rounds": rounds([1, 1, 1, 1, 1]) },
        ] })
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let ratio = Ratio::of(&demo(), ("a", "b", Some(0.5))).unwrap();
        assert!(ratio.to_string().contains("0.25 / 0.50 / 1.00"), "{ratio}");
        assert!(ratio.to_string().ends_with("holds"));
    }

    #[test]
    fn what_was_not_measured_is_said_with_its_reason() {
        let ratio = Ratio::of(&demo(), ("a", "c", None)).unwrap();
        assert!(ratio.to_string().ends_with("not measured: it is not installed"), "{ratio}");
        assert_eq!(ratio.to_json()["not_measured"], "it is not installed");
    }

    #[test]
    fn rows_that_share_too_few_rounds_or_are_not_there_are_an_error() {
        assert!(Ratio::of(&demo(), ("a", "d", None)).is_err());
        assert!(Ratio::of(&demo(), ("a", "e", None)).is_err());
    }
}

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

/// What is compared with what, and the most that is wanted of the medians: of the p50, and of the p99.
///
/// The client's own socket is in both sides of a ratio, and draws it towards 1; past the client's kernel there is less of
/// it. So the driver tier is held to the kernel by both clients.
const COMPARISONS: [Comparison; 23] = [
    ("driver_udp", "kernel_udp_blocking", Some(0.30), Some(0.30)),
    ("driver_udp", "kernel_udp_spinning", None, None),
    ("driver_udp", "lane_udp", None, None),
    ("driver_udp", "bare_xdp_tx_udp", Some(1.10), None),
    ("driver_icmp", "kernel_icmp", Some(0.60), None),
    ("driver_icmp", "bare_xdp_tx_icmp", None, None),
    ("driver_udp_asked_by_xdp", "kernel_udp_blocking_asked_by_xdp", Some(0.30), Some(0.30)),
    ("driver_udp_asked_by_xdp", "bare_xdp_tx_udp_asked_by_xdp", Some(1.10), None),
    ("driver_icmp_asked_by_xdp", "kernel_icmp_asked_by_xdp", Some(0.60), None),
    // The floors of the above: nothing that answers a socket can be faster.
    ("bare_xdp_tx_udp", "kernel_udp_blocking", None, None),
    ("bare_xdp_tx_icmp", "kernel_icmp", None, None),
    ("lane_udp", "kernel_udp_blocking", Some(0.45), None),
    ("lane_udp", "kernel_udp_spinning", Some(0.85), None),
    ("lane_udp", "kernel_udp_busy_poll", None, None),
    ("lane_udp", "dpdk_5tswap", Some(1.00), Some(1.00)),
    ("lane_udp", "bare_xdp_tx_udp", None, None),
    ("lane_icmp", "kernel_icmp", None, None),
    ("lane_icmp", "kernel_udp_blocking", None, None),
    ("lane_icmp", "dpdk_icmpecho", Some(1.00), Some(1.00)),
    ("lane_icmp", "bare_xdp_tx_icmp", None, None),
    ("lane_udp_asked_by_xdp", "bare_xdp_tx_udp_asked_by_xdp", None, None),
    ("lane_sockperf", "sockperf_server", None, None),
    ("dpdk_5tswap", "kernel_udp_blocking", None, None),
];

/// Ours, theirs, and what is wanted.
type Comparison = (&'static str, &'static str, Option<f64>, Option<f64>);

/// Fewer rounds have no spread worth the name.
pub(super) const ROUNDS_MIN: usize = 3;

/// Which part of the round trips is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Percentile {
    P50,
    P99,
}

impl Percentile {
    const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P99 => "p99",
        }
    }

    /// Where a round has it.
    const fn key(self) -> &'static str {
        match self {
            Self::P50 => "rtt_p50_ns",
            Self::P99 => "rtt_p99_ns",
        }
    }
}

/// One percentile of one comparison over all rounds.
#[derive(Debug)]
struct Ratio {
    ours: &'static str,
    theirs: &'static str,
    percentile: Percentile,
    wanted: Option<f64>,
    /// In ascending order, or why there are none.
    rounds: Result<Vec<f64>, String>,
}

pub(super) fn run(seconds: u32, rounds: u32) -> Result<()> {
    for (client, why) in clients::provide(&[&TESTPMD, &SOCKPERF]) {
        println!("   without {}: {why}", client.package);
    }
    let demo = demo(&["--seconds", &seconds.to_string(), "--rounds", &rounds.to_string()])?;
    let ratios = COMPARISONS.iter().flat_map(|comparison| Ratio::both_of(&demo, *comparison));
    let ratios = ratios.collect::<Result<Vec<_>>>()?;
    println!("   round trips, ours over theirs within one round: min / median / max");
    for ratio in &ratios {
        println!("   {ratio}");
    }
    let rows: Vec<_> = ratios.iter().map(Ratio::to_json).collect();
    facts::write("ratios", &json!({ "schema": "barelane-bench-ratios-3", "ratios": rows, "demo": demo }))
        .map(drop)
}

/// Runs the demo with these options and reads what it measured.
pub(super) fn demo(options: &[&str]) -> Result<Value> {
    let build = run_command(&mut cargo(&["build", "--release", "--package", "barelane"]))?;
    ensure!(build.success(), "the release build failed");
    let result = workspace::target().join("bench-demo.json");
    let mut command = Command::new(workspace::target().join("release/barelane"));
    command.arg("demo").args(options).arg("--json").arg(&result);
    println!("   $ {}", line(&command));
    let status = run_command(&mut command)?;
    ensure!(status.success(), "the demo failed: {status}");
    let text = fs::read_to_string(&result).with_context(|| result.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

impl Ratio {
    /// The p50 and the p99 of a comparison.
    fn both_of(demo: &Value, (ours, theirs, p50, p99): Comparison) -> [Result<Self>; 2] {
        [(Percentile::P50, p50), (Percentile::P99, p99)]
            .map(|(percentile, wanted)| Self::of(demo, (ours, theirs), percentile, wanted))
    }

    fn of(
        demo: &Value,
        (ours, theirs): (&'static str, &'static str),
        percentile: Percentile,
        wanted: Option<f64>,
    ) -> Result<Self> {
        let (a, b) = (row(demo, ours)?, row(demo, theirs)?);
        let why_not = [a, b].into_iter().find_map(|row| row["not_measured"].as_str());
        let of_row = |row| of_rounds(row, percentile.key());
        let too_few = || {
            let name = percentile.name();
            format!("{ours} and {theirs} have fewer than {ROUNDS_MIN} rounds with a {name} together")
        };
        let rounds = match why_not {
            Some(why) => Err(why.to_owned()),
            None => Ok(within_rounds(&of_row(a)?, &of_row(b)?).with_context(too_few)?),
        };
        Ok(Self { ours, theirs, percentile, wanted, rounds })
    }

    fn to_json(&self) -> Value {
        let rounds = self.rounds.as_ref().ok();
        let [min, median, max] = rounds.map_or([None; 3], |rounds| spread(rounds).map(Some));
        json!({
            "ours": self.ours, "theirs": self.theirs, "percentile": self.percentile.name(), "ratio_min": min, "ratio_median": median, "ratio_max": max,
            "ratio_wanted_max": self.wanted, "rounds": rounds, "not_measured": self.rounds.as_ref().err(),
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<24} / {:<32} {} ", self.ours, self.theirs, self.percentile.name())?;
        let rounds = match &self.rounds {
            Ok(rounds) => rounds,
            Err(why) => return write!(out, "not measured: {why}"),
        };
        write!(out, "{}", Spread(rounds))?;
        let [_, median, _] = spread(rounds);
        match self.wanted {
            Some(wanted) if median <= wanted => write!(out, "  wanted at most {wanted:.2}: holds"),
            Some(wanted) => write!(out, "  wanted at most {wanted:.2}: DOES NOT HOLD"),
            None => Ok(()),
        }
    }
}

/// The smallest, the middle and the largest of what is sorted.
pub(super) fn spread(rounds: &[f64]) -> [f64; 3] {
    [0, rounds.len() / 2, rounds.len().saturating_sub(1)]
        .map(|at| rounds.get(at).copied().unwrap_or(f64::NAN))
}

/// Rounds in ascending order, as a person reads them: the smallest, the middle and the largest, and where the median of all
/// rounds that there could be lies.
pub(super) struct Spread<'rounds>(pub(super) &'rounds [f64]);

impl fmt::Display for Spread<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, median, max] = spread(self.0);
        write!(out, "{min:.2} / {median:.2} / {max:.2}")?;
        match median_interval(self.0) {
            Some([low, high]) => write!(out, " (median {low:.2}–{high:.2})"),
            None => Ok(()),
        }
    }
}

/// Between which of these the median of what they were drawn from lies, with a confidence of 95 % at the least, whatever its
/// distribution: as many on either side as a coin tossed so often shows one side by, at most, once in 40 times. Nothing where
/// they are fewer than six.
fn median_interval(sorted: &[f64]) -> Option<[f64; 2]> {
    let count = i32::try_from(sorted.len()).ok()?;
    let (mut exactly, mut at_most, mut outside) = (0.5_f64.powi(count), 0.0, 0_usize);
    for heads in 0..count {
        at_most += exactly;
        if at_most > 0.025 {
            break;
        }
        outside += 1;
        exactly *= f64::from(count - heads) / f64::from(heads + 1);
    }
    let low = outside.checked_sub(1)?;
    Some([*sorted.get(low)?, *sorted.get(sorted.len().checked_sub(low + 1)?)?])
}

/// One row of the demo.
pub(super) fn row<'demo>(demo: &'demo Value, name: &str) -> Result<&'demo Value> {
    let rows = demo["rows"].as_array().context("the demo's result has no rows")?;
    rows.iter().find(|row| row["name"] == name).with_context(|| format!("the demo has no row {name}"))
}

/// What `key` says of each round of a row, with the round's number. A round that was too short for it has none.
pub(super) fn of_rounds(row: &Value, key: &str) -> Result<Vec<(u64, f64)>> {
    let numbers = row["round_numbers"].as_array().context("a row has no round_numbers")?;
    let rounds = row["rounds"].as_array().context("a row has no rounds")?;
    ensure!(numbers.len() == rounds.len(), "a row has {} rounds, numbered {numbers:?}", rounds.len());
    let all = numbers.iter().zip(rounds);
    let of_round = |(number, round): (&Value, &Value)| Some((number.as_u64()?, round[key].as_f64()?));
    Ok(all.filter_map(of_round).collect())
}

/// The ratios of those rounds that both have, in ascending order; nothing where they are too few.
pub(super) fn within_rounds(ours: &[(u64, f64)], theirs: &[(u64, f64)]) -> Option<Vec<f64>> {
    let beside = |number| theirs.iter().find(|(other, _)| *other == number).map(|(_, value)| *value);
    let mut ratios: Vec<f64> =
        ours.iter().filter_map(|&(number, value)| Some(value / beside(number)?)).collect();
    ratios.sort_by(f64::total_cmp);
    (ratios.len() >= ROUNDS_MIN).then_some(ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> Value {
        let rounds =
            |p50s: [u32; 5]| p50s.map(|p50| json!({ "rtt_p50_ns": p50, "rtt_p99_ns": p50 * p50 })).to_vec();
        json!({ "rows": [
            { "name": "a", "round_numbers": [1, 2, 3, 4, 5], "rounds": rounds([1, 2, 30, 4, 5]) },
            { "name": "b", "round_numbers": [1, 2, 3, 4, 5], "rounds": rounds([2, 4, 30, 8, 20]) },
            { "name": "c", "round_numbers": [], "rounds": [], "not_measured": "it is not installed" },
            { "name": "d", "round_numbers": [2, 4, 6, 8, 10], "rounds": rounds([1, 1, 1, 1, 1]) },
        ] })
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let [p50, p99] = Ratio::both_of(&demo(), ("a", "b", Some(0.5), Some(0.2))).map(Result::unwrap);
        assert!(p50.to_string().contains(" p50 0.25 / 0.50 / 1.00"), "{p50}");
        assert!(p50.to_string().ends_with("wanted at most 0.50: holds"), "{p50}");
        assert!(p99.to_string().contains(" p99 0.06 / 0.25 / 1.00"), "{p99}");
        assert!(p99.to_string().ends_with("wanted at most 0.20: DOES NOT HOLD"), "{p99}");
    }

    /// The ranks are those of tables of the sign test.
    #[test]
    fn the_median_lies_between_ranks_that_the_sign_test_gives() {
        for (count, ranks) in [
            (5, None),
            (6, Some([1.0, 6.0])),
            (8, Some([1.0, 8.0])),
            (9, Some([2.0, 8.0])),
            (15, Some([4.0, 12.0])),
            (20, Some([6.0, 15.0])),
        ] {
            let rounds: Vec<f64> = (1..=count).map(f64::from).collect();
            assert_eq!(median_interval(&rounds), ranks, "{count} rounds");
        }
        assert_eq!(Spread(&[1.0, 2.0, 3.0]).to_string(), "1.00 / 2.00 / 3.00");
        let six = Spread(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).to_string();
        assert_eq!(six, "1.00 / 4.00 / 6.00 (median 1.00–6.00)");
    }

    #[test]
    fn rounds_without_a_p99_are_not_compared_by_it() {
        let mut demo = demo();
        for round in demo["rows"][1]["rounds"].as_array_mut().unwrap().iter_mut().take(3) {
            round["rtt_p99_ns"] = Value::Null;
        }
        let [p50, p99] = Ratio::both_of(&demo, ("a", "b", None, None));
        assert!(p50.is_ok() && p99.unwrap_err().to_string().contains("fewer than 3 rounds with a p99"));
    }

    #[test]
    fn what_was_not_measured_is_said_with_its_reason() {
        let [ratio, _] = Ratio::both_of(&demo(), ("a", "c", None, None)).map(Result::unwrap);
        assert!(ratio.to_string().ends_with("not measured: it is not installed"), "{ratio}");
        assert_eq!(ratio.to_json()["not_measured"], "it is not installed");
    }

    #[test]
    fn rows_that_share_too_few_rounds_or_are_not_there_are_an_error() {
        for theirs in ["d", "e"] {
            assert!(Ratio::both_of(&demo(), ("a", theirs, None, None)).iter().all(Result::is_err));
        }
    }
}

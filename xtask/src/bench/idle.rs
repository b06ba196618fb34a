//! One packet a second against a stream, for each idle policy: `crates/barelane/examples/idle.rs` measures, in turns and in one
//! run; this compares within each round.
//!
//! What is wanted: at one question a second a lane that spins answers as fast as at ten thousand, and one that is adaptive leaves its
//! core to others where nothing comes. `warmed` is one that spins and keeps its way out warm (`--keep-warm 1ms`). `bare` is a program in the driver with no process behind it: how much slower that is at one a
//! second than in a stream is the client's and the kernel's, and no lane's. Both are asked twice: by a client who asks nobody else,
//! and by one who is kept warm by asking somebody else meanwhile.

use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::facts;
use super::ratios::Spread;
use crate::clients;
use crate::step::{cargo, line, output, run as run_command};
use crate::workspace;

const ANSWERERS: [&str; 5] = ["spin", "warmed", "adaptive", "interrupt", "bare"];
const SLOW: [(&str, &str); 2] = [("one_a_second", "1/s"), ("ten_a_second", "10/s")];
/// The clients, and what their measurements' names begin with.
const CLIENTS: [(&str, &str); 2] = [("asks nobody else", ""), ("is kept warm", "warm_")];
/// The lanes that spin.
const SPINNERS: [&str; 2] = ["spin", "warmed"];
/// The most that is wanted of a spinning lane's p50 at one a second, over that of the stream.
const SPIN_WANTED: f64 = 1.2;
/// The most of a core that an adaptive lane shall take where nothing comes.
const IDLE_WANTED: f64 = 0.05;
/// The most that is stated of an adaptive lane's p50 at one a second, whoever asks, in microseconds: `docs/idle.md`.
const ADAPTIVE_BOUND: f64 = 150.0;
/// How many questions at one a second, all rounds together: each costs a second for each of those who answer.
const SAMPLES: u32 = 60;

pub(super) fn run(rounds: u32) -> Result<()> {
    ensure!(
        clients::can_make_namespaces(),
        "it needs root, and a place where root may make network namespaces"
    );
    let build = ["build", "--release", "--package", "barelane", "--bin", "barelane", "--example", "idle"];
    ensure!(run_command(&mut cargo(&build))?.success(), "the release build failed");
    let rounds = rounds.max(1);
    let mut command = Command::new(workspace::target().join("release/examples/idle"));
    command.arg(workspace::target().join("release/barelane"));
    command.args([rounds.to_string(), SAMPLES.div_ceil(rounds).to_string()]);
    println!("   $ {}", line(&command));
    let rows: Vec<Value> = serde_json::from_str(&output(&mut command)?)?;
    let comparisons = compare(&rows);
    facts::write(
        "idle",
        &json!({ "schema": "barelane-bench-idle-2", "rows": rows, "comparisons": comparisons }),
    )
    .map(drop)
}

/// Prints what was measured, and gives the ratios.
fn compare(rows: &[Value]) -> Vec<Value> {
    let mut ratios = Vec::new();
    println!(
        "   round trips at a low rate over those of a stream of 10,000/s, within one round: min / median / max"
    );
    for answerer in ANSWERERS {
        let own: Vec<&Value> = rows.iter().filter(|row| row["answerer"] == answerer).collect();
        for (client, prefix) in CLIENTS {
            println!("   {answerer:<10} by a client who {client}:");
            ratios.extend(SLOW.iter().flat_map(|slow| compare_rate(answerer, &own, (client, prefix), *slow)));
            say_absolute(answerer, &own, prefix);
        }
        say_shares(answerer, &own);
    }
    ratios
}

/// The same of one client's questions to one answerer at one rate.
fn compare_rate(
    answerer: &str,
    own: &[&Value],
    (client, prefix): (&str, &str),
    (key, rate): (&str, &str),
) -> Vec<Value> {
    let mut ratios = Vec::new();
    let [slow, stream] = [key, "stream"].map(|name| format!("{prefix}{name}"));
    for percentile in ["p50", "p99"] {
        let name = format!("rtt_{percentile}_ns");
        let of_round = |row: &&Value| Some(number(row, &slow, &name)? / number(row, &stream, &name)?);
        let found = sorted(own.iter().filter_map(of_round));
        if found.is_empty() {
            println!("   {answerer:<10} {rate:>4} {percentile} not measured: too few questions in a round");
            continue;
        }
        let is_wanted = SPINNERS.contains(&answerer) && (key, percentile) == ("one_a_second", "p50");
        let wanted = is_wanted.then_some(SPIN_WANTED);
        println!("   {answerer:<10} {rate:>4} {percentile} {}{}", Spread(&found), verdict(&found, wanted));
        ratios.push(json!({
            "answerer": answerer, "client": client, "rate": rate, "percentile": percentile, "ratios": found,
            "ratio_wanted_max": wanted,
        }));
    }
    ratios
}

/// The round trips themselves, in the middle of the rounds.
fn say_absolute(answerer: &str, own: &[&Value], prefix: &str) {
    for (key, rate) in [("stream", "in the stream"), SLOW[1], SLOW[0]] {
        let microseconds = |name: &str| {
            let all = sorted(
                own.iter().filter_map(|row| Some(number(row, &format!("{prefix}{key}"), name)? / 1_000.0)),
            );
            let is_bound = (answerer, key, name) == ("adaptive", "one_a_second", "rtt_p50_ns");
            all.get(all.len() / 2).map_or_else(
                || "not measured".to_owned(),
                |middle| format!("{middle:.1} us{}", verdict(&all, is_bound.then_some(ADAPTIVE_BOUND))),
            )
        };
        println!(
            "   {answerer:<10} {rate}: p50 {}, p99 {}",
            microseconds("rtt_p50_ns"),
            microseconds("rtt_p99_ns")
        );
    }
}

/// A figure of one of a row's measurements.
fn number(row: &Value, measurement: &str, name: &str) -> Option<f64> {
    row.get(measurement)?.get(name)?.as_f64()
}

/// What share of its core the lane took; nothing where there is no lane.
fn say_shares(answerer: &str, own: &[&Value]) {
    for (what, key) in [
        ("where nothing comes", "core_share_idle"),
        ("at 1/s", "core_share_one_a_second"),
        ("at 10/s", "core_share_ten_a_second"),
        ("in the stream", "core_share_stream"),
    ] {
        let shares = sorted(own.iter().filter_map(|row| row[key].as_f64()));
        if shares.is_empty() {
            continue;
        }
        let wanted = ((answerer, key) == ("adaptive", "core_share_idle")).then_some(IDLE_WANTED * 100.0);
        let percent: Vec<f64> = shares.iter().map(|share| share * 100.0).collect();
        println!("   {answerer:<10} % of a core {what}: {}{}", Spread(&percent), verdict(&percent, wanted));
    }
}

/// Whether the median is what was wanted, where anything was.
fn verdict(sorted: &[f64], wanted: Option<f64>) -> String {
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    match wanted {
        Some(wanted) if median <= wanted => format!("  wanted at most {wanted:.2}: holds"),
        Some(wanted) => format!("  wanted at most {wanted:.2}: DOES NOT HOLD"),
        None => String::new(),
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(answerer: &str, round: u32) -> Value {
        let figures = |p50: u32, p99: Option<u32>| json!({ "rtt_p50_ns": p50, "rtt_p99_ns": p99 });
        json!({
            "round": round, "answerer": answerer, "stream": figures(5_000, Some(9_000)),
            "one_a_second": figures(6_000 + 1_000 * round, None), "ten_a_second": figures(5_500, Some(18_000)),
            "warm_stream": figures(5_000, Some(9_000)), "warm_one_a_second": figures(5_500, None),
            "warm_ten_a_second": figures(5_000, Some(9_000)),
            "core_share_idle": (answerer != "bare").then_some(0.01),
        })
    }

    #[test]
    fn a_rate_is_compared_within_its_round_and_what_had_too_few_questions_is_left_out() {
        let rows: Vec<Value> = (0..3).flat_map(|round| ANSWERERS.map(|name| row(name, round))).collect();
        let compared = compare(&rows);
        assert_eq!(compared.len(), ANSWERERS.len() * CLIENTS.len() * 3, "{compared:#?}");
        assert_eq!(compared[0]["ratios"], json!([1.2, 1.4, 1.6]));
        assert_eq!(
            (&compared[0]["answerer"], &compared[0]["ratio_wanted_max"]),
            (&json!("spin"), &json!(1.2))
        );
        assert_eq!(
            (&compared[3]["client"], &compared[3]["ratios"]),
            (&json!("is kept warm"), &json!([1.1, 1.1, 1.1]))
        );
        assert!(
            compared.iter().all(|one| (&one["rate"], &one["percentile"]) != (&json!("1/s"), &json!("p99")))
        );
        assert!(verdict(&[1.2, 1.4, 1.6], Some(SPIN_WANTED)).contains("DOES NOT HOLD"));
    }
}

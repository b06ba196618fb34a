//! What a record in our histograms takes, beside one in `HdrHistogram`, which most people take: `crates/telemetry/examples/histogram.rs`.
//!
//! Each round times all of them in turns on one core, so that what is compared was measured within some milliseconds. Instructions
//! are the same everywhere with the same compiler. The histogram that others may read while it is written is the one of lanes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::facts;
use super::instructions::count_within;
use super::ratios::{Spread, spread};
use crate::clients::{self, VALGRIND};
use crate::step::{cargo, output};
use crate::workspace;

/// What is recorded: times of which most are alike, and of every size.
const TIMES: [&str; 2] = ["alike", "spread"];
const OURS: [&str; 2] = ["shared", "own"];
/// Of two digits, as fine as ours, and of three.
const THEIRS: [&str; 2] = ["hdr-2", "hdr-3"];
/// The most that is wanted of ours over theirs.
const WANTED: f64 = 0.5;

/// Nanoseconds a record, round by round, by what is recorded and by whom.
type Times = BTreeMap<(String, String), Vec<f64>>;

pub(super) fn run(rounds: u32) -> Result<()> {
    let missing = clients::provide(&[&VALGRIND]);
    ensure!(missing.is_empty(), "no valgrind: {missing:?}");
    let build =
        ["build", "--quiet", "--release", "--package", "barelane-telemetry", "--example", "histogram"];
    output(&mut cargo(&build))?;
    let program = workspace::target().join("release/examples/histogram");
    let mut times = Times::new();
    for _ in 0..rounds {
        round(&program, &mut times)?;
    }
    let instructions = count(&program)?;
    println!("   ns and instructions a record; ours over theirs within one round: min / median / max");
    let mut rows = Vec::new();
    for name in TIMES {
        for (ours, theirs) in OURS.iter().flat_map(|ours| THEIRS.map(|theirs| (*ours, theirs))) {
            rows.push(row(name, [ours, theirs], &times, &instructions)?);
        }
    }
    facts::write("histogram", &json!({ "schema": "barelane-bench-histogram-1", "ratios": rows })).map(drop)
}

/// One run of the program on the last core: a line for each pair of names, with nanoseconds.
fn round(program: &Path, times: &mut Times) -> Result<()> {
    let core = std::thread::available_parallelism()?.get() - 1;
    let said = output(Command::new("taskset").args(["-c", &core.to_string()]).arg(program))?;
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, who, ns] = *words else { anyhow::bail!("not what was promised: {line}") };
        times.entry((name.to_owned(), who.to_owned())).or_default().push(ns.parse().context("nanoseconds")?);
    }
    Ok(())
}

/// Instructions a record, by what is recorded and by whom.
fn count(program: &Path) -> Result<BTreeMap<(String, String), f64>> {
    let pairs = TIMES.iter().flat_map(|name| OURS.iter().chain(&THEIRS).map(|who| (*name, *who)));
    let count = |(name, who): (&str, &str)| {
        let (each, _) = count_within("record_all", program, &[name, who])?;
        Ok(((name.to_owned(), who.to_owned()), each))
    };
    pairs.map(count).collect()
}

/// Prints one comparison, and gives it as JSON.
fn row(
    name: &str,
    both: [&str; 2],
    times: &Times,
    instructions: &BTreeMap<(String, String), f64>,
) -> Result<Value> {
    let [ours, theirs] = both;
    let key = |who: &str| (name.to_owned(), who.to_owned());
    let of = |who| times.get(&key(who)).with_context(|| format!("{who} has not recorded what is {name}"));
    let (ours_ns, theirs_ns) = (of(ours)?, of(theirs)?);
    let [ours_count, theirs_count] = both.map(|who| instructions.get(&key(who)).copied().unwrap_or(f64::NAN));
    let mut ratios: Vec<f64> = ours_ns.iter().zip(theirs_ns).map(|(ours, theirs)| ours / theirs).collect();
    ratios.sort_by(f64::total_cmp);
    let [_, median, _] = spread(&ratios);
    let verdict = if median <= WANTED { "holds" } else { "DOES NOT HOLD" };
    println!(
        "   {name:<6} {ours:<6} {theirs:<5} {}  {ours_count:5.2} and {theirs_count:5.2} instructions  wanted at most {WANTED:.2}: \
         {verdict}",
        Spread(&ratios)
    );
    Ok(json!({
        "times": name, "ours": ours, "theirs": theirs, "ours_ns": ours_ns, "theirs_ns": theirs_ns, "ratios": ratios,
        "ratio_wanted_max": WANTED, "ours_instructions": ours_count, "theirs_instructions": theirs_count,
    }))
}

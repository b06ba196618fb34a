//! What a packet costs from ring to ring, over memif rings in own memory, beside a straight C function that makes the same
//! checks over the same rings: `crates/lane/examples/road.rs` and `road.c`.
//!
//! Each round times every class by the lane and by both forms of the function, one after the other on one core, so that what
//! is compared was measured within a second. One form copies a packet before it looks at it, as a lane must, since the peer
//! can write to it at any time; the other looks at it in place.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::facts;
use super::ratios::{Spread, spread};
use crate::step::{cargo, output};
use crate::workspace;

const CLASSES: [&str; 4] = ["drop", "arp", "udp", "icmp"];
/// The C function's forms.
const FORMS: [&str; 2] = ["copied", "in-place"];
/// The most that is wanted of the lane over either.
const WANTED: f64 = 1.25;

/// What one class took, round by round, in nanoseconds a packet.
#[derive(Debug, Default)]
struct Times {
    lane: Vec<f64>,
    /// By form.
    function: [Vec<f64>; 2],
}

pub(super) fn run(rounds: u32) -> Result<()> {
    let build = ["build", "--quiet", "--release", "--package", "barelane-lane", "--example", "road"];
    output(&mut cargo(&build))?;
    let lane = workspace::target().join("release/examples/road");
    let function = compile()?;
    let mut results = Vec::new();
    println!(
        "   ns a packet in bursts of 64; the lane over the C function within one round: min / median / max"
    );
    for class in CLASSES {
        let times = measure(class, &lane, &function, rounds)?;
        for (form, theirs) in FORMS.into_iter().zip(&times.function) {
            results.push(row(class, form, &times.lane, theirs));
        }
    }
    facts::write("road", &json!({ "schema": "barelane-bench-road-1", "ratios": results })).map(drop)
}

/// The function, for the processor that it runs on.
fn compile() -> Result<PathBuf> {
    let program = workspace::target().join("road-c");
    let source = workspace::root().join("crates/lane/examples/road.c");
    let mut cc = Command::new("cc");
    cc.args(["-O3", "-march=native", "-Wall", "-Wextra", "-o"]).arg(&program).arg(source);
    output(&mut cc).context("the C function, for which a compiler is needed: apt-get install gcc")?;
    Ok(program)
}

fn measure(class: &str, lane: &Path, function: &Path, rounds: u32) -> Result<Times> {
    let question = workspace::target().join(format!("road.{class}"));
    let mut times = Times::default();
    for _ in 0..rounds {
        times.lane.push(timed(lane, [class].map(Path::new).into_iter().chain([question.as_path()]))?);
        for (form, list) in FORMS.iter().zip(&mut times.function) {
            let arguments = [Path::new(class), &question, Path::new(form)];
            list.push(timed(function, arguments.into_iter())?);
        }
    }
    Ok(times)
}

/// Runs one of the programs on the last core, and reads what it prints.
fn timed<'a>(program: &Path, arguments: impl Iterator<Item = &'a Path>) -> Result<f64> {
    let core = std::thread::available_parallelism()?.get() - 1;
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program).args(arguments);
    let said = output(&mut command)?;
    said.trim().parse().with_context(|| format!("{}: {said}", program.display()))
}

/// Prints one comparison, and gives it as JSON.
fn row(class: &str, form: &str, ours: &[f64], theirs: &[f64]) -> Value {
    let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    ratios.sort_by(f64::total_cmp);
    let [_, median, _] = spread(&ratios);
    let verdict = if median <= WANTED { "holds" } else { "DOES NOT HOLD" };
    println!(
        "   {class:<5} {:6.2} ns, C {form:<8} {:6.2} ns  {}  wanted at most {WANTED:.2}: {verdict}",
        middle(ours),
        middle(theirs),
        Spread(&ratios)
    );
    json!({
        "class": class, "form": form, "lane_ns": ours, "function_ns": theirs, "ratios": ratios, "ratio_wanted_max": WANTED,
    })
}

fn middle(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

//! What it costs to be seen: instructions a packet with and without counting, and round trips with and without readers.
//!
//! Both servers that are compared are one: started once, asked over memif by the same DPDK program, in stretches that take
//! turns. In some of them nobody reads; in others [`READERS`] read its segment and its metrics ten times a second each, on the
//! core of the one that asks, for the other one is the lane's. A round has two stretches without readers: what their ratio is
//! beside 1, the machine adds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::facts;
use super::instructions;
use super::memif::pair::{Pair, Setup};
use super::memif::running::{Directory, Running};
use super::ratios::{Spread, spread};
use crate::clients::{self, DPDK_ASK, VALGRIND};
use crate::step::{cargo, output};
use crate::workspace;

/// How many read the segment, how many the metrics, and how often each does in a second.
const READERS: [u32; 2] = [8, 2];
const PER_SECOND: u32 = 10;

/// How many questions are under way where answers a second are measured.
const WINDOW: u32 = 256;

/// By how much more instructions counting may cost a packet.
const COST_MAX: f64 = 1.05;

/// The classes whose instructions are compared: what is asked most, and what takes a refinement to be told from the rest.
const CLASSES: [&str; 11] = [
    "udp4",
    "udp6",
    "icmp4",
    "icmp6",
    "arp",
    "ndp",
    "stamp4",
    "malformed",
    "ranges-10000",
    "askers-10000",
    "vlans-4094",
];

/// Who is measured beside the counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Those of [`READERS`].
    Some,
    /// Nobody: instructions alone, which nothing on the machine disturbs.
    None,
}

/// Who reads in a stretch, in the order of a round.
const STRETCHES: [&str; 3] = ["nobody", "nobody_again", "readers"];

/// Which keys there are; without readers those of them alone that are about counting.
const SCHEMA: &str = "barelane-bench-telemetry-1";

/// With which window, what is compared of a stretch, and what people call it.
const FIGURES: [(u32, &str, &str); 3] =
    [(1, "rtt_p50_ns", "p50"), (1, "rtt_p99_ns", "p99"), (WINDOW, "answers_per_second", "answers a second")];

/// What each stretch of each round said, by window and by who read.
type Stretches = BTreeMap<(u32, &'static str), Vec<Value>>;

pub(super) fn run(seconds: u32, rounds: u32, readers: Readers) -> Result<()> {
    let wanted: &[&_] = if readers == Readers::None { &[&VALGRIND] } else { &[&VALGRIND, &DPDK_ASK] };
    let missing = clients::provide(wanted);
    ensure!(missing.is_empty(), "nothing to ask or to count with: {missing:?}");
    let counting = counting()?;
    let result = match readers {
        Readers::None => json!({ "schema": SCHEMA, "instructions": counting }),
        Readers::Some => beside_readers(seconds, rounds, &counting)?,
    };
    facts::write("telemetry", &result).map(drop)
}

/// Round trips and answers a second with readers and without, and all of the result.
fn beside_readers(seconds: u32, rounds: u32, counting: &[Value]) -> Result<Value> {
    output(&mut cargo(&["build", "--quiet", "--release", "--package", "barelane", "--bins", "--examples"]))?;
    let (stretches, reads) = measure(seconds, rounds)?;
    println!("   {} readers: {reads}", READERS.iter().sum::<u32>());
    println!("   over the stretch without readers in the same round: min / median / max");
    let rows: Vec<Value> = FIGURES.iter().flat_map(|figure| compare(&stretches, *figure)).collect();
    Ok(json!({
        "schema": SCHEMA, "instructions": counting, "ratios": rows, "readers": reads,
        "stretches": stretches.iter().map(|((window, who), said)| {
            json!({ "window": window, "who_reads": who, "said": said })
        }).collect::<Vec<_>>(),
    }))
}

/// Instructions a packet as it is, and where nothing is counted.
fn counting() -> Result<Vec<Value>> {
    let silent = workspace::target().join("silent");
    let example =
        ["build", "--quiet", "--release", "--package", "barelane-lane", "--example", "instructions"];
    output(&mut cargo(&example))?;
    output(cargo(&example).env("RUSTFLAGS", "--cfg silent").env("CARGO_TARGET_DIR", &silent))?;
    println!("   {:<12} {:>9} {:>9} {:>7}", "class", "counting", "silent", "ratio");
    let of_class = |class: &str| {
        let programs =
            [workspace::target(), silent.clone()].map(|path| path.join("release/examples/instructions"));
        let [counting, silent] = programs.map(|program| instructions::count_by(&program, class));
        let ([counting, silent], class) = ([counting?, silent?], class.to_owned());
        let ratio = counting / silent;
        let verdict = if ratio <= COST_MAX { "" } else { "  above what is wanted" };
        println!("   {class:<12} {counting:>9.2} {silent:>9.2} {ratio:>7.3}{verdict}");
        Ok(
            json!({ "class": class, "counting": counting, "silent": silent, "ratio": ratio, "ratio_wanted_max": COST_MAX }),
        )
    };
    CLASSES.iter().map(|class| of_class(class)).collect()
}

/// Every stretch of every round; and what the readers say that they did.
fn measure(seconds: u32, rounds: u32) -> Result<(Stretches, String)> {
    let directory = Directory::make()?;
    let stretch_s = f64::from(seconds) / f64::from(rounds * 2) / f64::from(u32::try_from(STRETCHES.len())?);
    let mut pair = Pair::start(Setup::barelane_alone(), &directory)?;
    let mut readers = Stopped::start(&directory)?;
    let mut stretches = Stretches::new();
    for round in 0..rounds {
        for (window, who) in order(round) {
            let said = readers.beside(who == "readers", || pair.stretch(window, stretch_s));
            let said = said.with_context(|| format!("round {round}, read by {who}"))?;
            stretches.entry((window, who)).or_default().push(said);
        }
    }
    Ok((stretches, readers.end()?))
}

/// The stretches of a round; every other one goes the other way round, so that what comes first has no advantage of it.
fn order(round: u32) -> Vec<(u32, &'static str)> {
    let mut order: Vec<_> =
        [1, WINDOW].into_iter().flat_map(|window| STRETCHES.map(|who| (window, who))).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// The readers, stopped but for the stretches that are theirs.
struct Stopped(Running);

impl Stopped {
    fn start(directory: &Directory) -> Result<Self> {
        let program: PathBuf = workspace::target().join("release/examples/readers");
        let mut command = Command::new("taskset");
        command.args(["-c", super::memif::pair::CORES[0]]).arg(program);
        command.args(READERS.iter().chain(&[PER_SECOND]).map(u32::to_string));
        command.env("RUNTIME_DIRECTORY", directory.path());
        let mut readers = Running::start(command)?;
        readers.wait_for("ready").context("the readers")?;
        readers.signal("STOP")?;
        Ok(Self(readers))
    }

    fn beside<T>(&mut self, are_wanted: bool, stretch: impl FnOnce() -> Result<T>) -> Result<T> {
        if !are_wanted {
            return stretch();
        }
        self.0.signal("CONT")?;
        let said = stretch();
        self.0.signal("STOP")?;
        said
    }

    /// What they read, and how often that failed.
    fn end(mut self) -> Result<String> {
        self.0.signal("CONT")?;
        self.0.close_input();
        self.0.wait_for("read ")
    }
}

/// One figure of the stretches with readers, and of those without that came second, over those without.
fn compare(stretches: &Stretches, (window, key, name): (u32, &'static str, &str)) -> Vec<Value> {
    let figures = |who| -> Vec<f64> {
        let said = stretches.get(&(window, who)).map(Vec::as_slice).unwrap_or_default();
        said.iter().filter_map(|said| said[key].as_f64()).collect()
    };
    let nobody = figures(STRETCHES[0]);
    let row = |who: &'static str| {
        let mut ratios: Vec<f64> =
            figures(who).iter().zip(&nobody).map(|(with, without)| with / without).collect();
        ratios.sort_by(f64::total_cmp);
        println!("   {who:<13} {name:<17} {}", Spread(&ratios));
        let [min, median, max] = spread(&ratios);
        json!({ "who_reads": who, "figure": name, "ratio_min": min, "ratio_median": median, "ratio_max": max, "rounds": ratios })
    };
    STRETCHES[1..].iter().map(|who| row(who)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_each_stretch_once_and_begins_with_another_one() {
        let [one, other] = [order(0), order(1)];
        assert_eq!(one.len(), 2 * STRETCHES.len());
        assert!(one.iter().rev().eq(&other));
    }
}

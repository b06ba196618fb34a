//! Instructions a packet, from ring read to ring write, counted by callgrind, against a committed baseline.
//!
//! A count does not depend on what else the machine does, so one per cent is a finding. It does depend on the compiler
//! and on the checksum implementation: where those differ from the baseline's, nothing is compared, and the step counts
//! as skipped. What is above the figure that is wanted does not fail, and stands in the summary of every run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::facts;
use crate::clients::{self, VALGRIND};
use crate::step::{Outcome, cargo, line, output};
use crate::workspace;

const BASELINE: &str = "crates/lane/examples/instructions.toml";
const HEAD: &str = "# Instructions a packet from ring read to ring write, in batches of 32; echoes in frames of 64 bytes.\n\
                    # Written by `cargo xtask bench --instructions --save`; CI fails where one grows by more than 1 %.\n\n";

/// Each class and the most that is wanted.
const CLASSES: [(&str, f64); 25] = [
    ("udp4", 140.0),
    ("udp6", 140.0),
    ("icmp4", 140.0),
    ("icmp6", 140.0),
    ("arp", 100.0),
    ("ndp", 140.0),
    ("stamp4", 500.0),
    ("stamp6", 500.0),
    // Six rounds of SHA-256 in plain code, which callgrind's processor needs: see the example.
    ("stamp4-signed", 20_000.0),
    ("sockperf4", 300.0),
    // By a lane that notes the stream of each.
    ("stamp4-streams", 650.0),
    ("sockperf4-streams", 400.0),
    // By a lane that is told when each answer leaves.
    ("udp4-departing", 250.0),
    ("stamp4-departing", 600.0),
    ("malformed", 60.0),
    ("unclaimed", 60.0),
    ("junk", 60.0),
    // UDP echo by the last of so many routes: one port each, two ports each, one prefix of askers each, one VLAN each.
    ("ports-10", 140.0),
    ("ports-10000", 140.0),
    ("ranges-10", 300.0),
    ("ranges-10000", 300.0),
    ("askers-10", 400.0),
    ("askers-10000", 400.0),
    ("vlans-10", 400.0),
    ("vlans-4094", 400.0),
];

/// Classes of few and of many routes, of which a packet must take the same.
const FLAT: [(&str, &str); 4] = [
    ("ports-10", "ports-10000"),
    ("ranges-10", "ranges-10000"),
    ("askers-10", "askers-10000"),
    ("vlans-10", "vlans-4094"),
];

/// What grows by more fails.
const WORSE_MAX: f64 = 1.01;
/// What shrinks by more asks to be saved, so that it cannot grow back unseen.
const BETTER_MIN: f64 = 0.95;

/// What to do with the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Compare them with the baseline.
    Compare,
    /// Make them the baseline.
    Save,
}

/// Counts and what they depend on.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    rustc: String,
    checksum: String,
    instructions: BTreeMap<String, f64>,
}

/// Counts every class, prints the table, and compares or saves.
pub(crate) fn run(mode: Mode) -> Result<Outcome> {
    let missing = clients::provide(&[&VALGRIND]);
    ensure!(missing.is_empty(), "no valgrind: {missing:?}");
    let counts = count()?;
    let path = workspace::root().join(BASELINE);
    if mode == Mode::Save {
        fs::write(&path, HEAD.to_owned() + &toml::to_string(&counts)?)
            .with_context(|| BASELINE.to_owned())?;
        println!("   saved as {BASELINE}");
    }
    let text = fs::read_to_string(&path).with_context(|| format!("{BASELINE}: make it with --save"))?;
    let baseline: Counts = toml::from_str(&text).with_context(|| BASELINE.to_owned())?;
    print(&counts, &baseline);
    println!("   where they are: callgrind_annotate {}/callgrind.udp4", workspace::target().display());
    let loads = print_loads()?;
    let result = json!({ "schema": "barelane-bench-instructions-2", "counts": counts, "loads": loads });
    facts::write("instructions", &result)?;
    check_flat(&counts)?;
    compare(&counts, &baseline)
}

fn count() -> Result<Counts> {
    let build = ["build", "--quiet", "--release", "--package", "barelane-lane", "--example", "instructions"];
    output(&mut cargo(&build))?;
    let mut instructions = BTreeMap::new();
    let mut checksum = String::new();
    for (class, _) in CLASSES {
        let (per_packet, summer) = count_class(class)?;
        instructions.insert(class.to_owned(), per_packet);
        checksum = summer;
    }
    Ok(Counts { rustc: facts::rustc()?, checksum, instructions })
}

/// Instructions a packet of one class, and the checksum implementation in use.
fn count_class(class: &str) -> Result<(f64, String)> {
    count_within("one_turn", &workspace::target().join("release/examples/instructions"), &[class])
}

/// Instructions a packet of one class, as this program has them.
pub(super) fn count_by(program: &Path, class: &str) -> Result<f64> {
    Ok(count_within("one_turn", program, &[class])?.0)
}

/// Instructions within one function of a program, divided by the number that the program prints; and what it prints behind it.
pub(super) fn count_within(function: &str, program: &Path, arguments: &[&str]) -> Result<(f64, String)> {
    let class = arguments.join("-");
    let result: PathBuf = workspace::target().join(format!("callgrind.{class}"));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--collect-atstart=no"]).arg(format!("--toggle-collect=*{function}*"));
    command.arg(format!("--callgrind-out-file={}", result.display()));
    command.arg(program).args(arguments);
    println!("   $ {}", line(&command));
    let said = output(&mut command)?;
    let (count, words) =
        said.trim().split_once(' ').with_context(|| format!("not what was promised: {said}"))?;
    let counted = fs::read_to_string(&result)?;
    let total =
        counted.lines().find_map(|line| line.strip_prefix("totals: ")).context("callgrind gave no totals")?;
    let each = total.trim().parse::<f64>()? / count.parse::<f64>()?;
    ensure!(each > 1.0, "callgrind counted nothing of {class}");
    Ok(((each * 100.0).round() / 100.0, words.to_owned()))
}

fn print(counts: &Counts, baseline: &Counts) {
    println!("   {:<17} {:>9} {:>9} {:>7}", "class", "now", "baseline", "wanted");
    for (class, wanted) in CLASSES {
        let of = |counts: &Counts| counts.instructions.get(class).copied().unwrap_or(f64::NAN);
        let verdict = if of(counts) <= wanted { "" } else { "  above what is wanted" };
        println!("   {class:<17} {:>9.2} {:>9.2} {wanted:>7}{verdict}", of(counts), of(baseline));
    }
}

/// How long tables of few and many routes take to be made on this machine, and how much memory. Time is not compared.
fn print_loads() -> Result<Vec<serde_json::Value>> {
    let said = output(Command::new(workspace::target().join("release/examples/instructions")).arg("load"))?;
    println!("   {:<13} {:>9} {:>9} {:>9}", "routes", "number", "load µs", "bytes");
    let mut loads = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, count, load_us, size] = *words else { bail!("not what was promised: {line}") };
        println!("   {kind:<13} {count:>9} {load_us:>9} {size:>9}");
        let [count, load_us, size]: [u64; 3] = [count.parse()?, load_us.parse()?, size.parse()?];
        loads.push(json!({ "routes": kind, "count": count, "load_us": load_us, "size_bytes": size }));
    }
    Ok(loads)
}

/// An error where a packet pays for the number of routes.
fn check_flat(counts: &Counts) -> Result<()> {
    for (few, many) in FLAT {
        let of = |class: &str| counts.instructions.get(class).copied().with_context(|| format!("no {class}"));
        let (with_few, with_many) = (of(few)?, of(many)?);
        println!("   {few} {with_few}, {many} {with_many}");
        ensure!(
            with_many <= with_few * WORSE_MAX,
            "a packet takes {with_many} instructions with {many} routes and {with_few} with {few}: it pays for their number"
        );
    }
    Ok(())
}

/// The classes that take more than is wanted, with both figures; nothing where there is none.
fn above(counts: &Counts) -> Option<String> {
    let above: Vec<_> = CLASSES
        .into_iter()
        .filter_map(|(class, wanted)| Some((class, *counts.instructions.get(class)?, wanted)))
        .filter(|(_, now, wanted)| now > wanted)
        .map(|(class, now, wanted)| format!("{class} {now:.0} ({wanted:.0})"))
        .collect();
    (!above.is_empty()).then(|| format!("above what is wanted: {}", above.join(", ")))
}

/// An error where a class has grown; a request where one has shrunk; skipped where the two cannot be compared. What is
/// above the wanted figure is said in any case.
fn compare(counts: &Counts, baseline: &Counts) -> Result<Outcome> {
    if (&counts.rustc, &counts.checksum) != (&baseline.rustc, &baseline.checksum) {
        let why = format!(
            "the baseline is of {} with checksum {}, and this is {} with {}",
            baseline.rustc, baseline.checksum, counts.rustc, counts.checksum
        );
        let all = [Some(why), above(counts)].into_iter().flatten().collect::<Vec<_>>();
        return Ok(Outcome::Skipped(all.join("; ")));
    }
    let mut worse = Vec::new();
    for (class, &now) in &counts.instructions {
        let Some(&before) = baseline.instructions.get(class) else {
            bail!("{BASELINE} has no {class}: --save")
        };
        if now > before * WORSE_MAX {
            worse.push(format!("{class} grew from {before} to {now} instructions a packet"));
        }
        if now < before * BETTER_MIN {
            println!(
                "   {class} shrank from {before} to {now}: keep it with `cargo xtask bench --instructions --save`"
            );
        }
    }
    ensure!(
        worse.is_empty(),
        "{}; if that is worth it, say why in the commit that saves it",
        worse.join("; ")
    );
    Ok(above(counts).map_or(Outcome::Done, Outcome::Noted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rustc: &str, udp4: f64) -> Counts {
        let instructions = BTreeMap::from([("udp4".to_owned(), udp4)]);
        Counts { rustc: rustc.to_owned(), checksum: "avx2".to_owned(), instructions }
    }

    #[test]
    fn more_than_one_per_cent_fails() {
        assert!(compare(&counts("1", 101.0), &counts("1", 100.0)).is_ok());
        assert!(compare(&counts("1", 101.1), &counts("1", 100.0)).is_err());
        assert!(compare(&counts("1", 50.0), &counts("1", 100.0)).is_ok());
    }

    #[test]
    fn a_packet_that_pays_for_the_number_of_routes_fails() {
        let with = |many: f64| {
            let pairs =
                FLAT.into_iter().flat_map(|(few, more)| [(few.to_owned(), 500.0), (more.to_owned(), many)]);
            Counts { instructions: pairs.collect(), ..counts("1", 100.0) }
        };
        assert!(check_flat(&with(504.0)).is_ok() && check_flat(&with(400.0)).is_ok());
        assert!(check_flat(&with(506.0)).is_err());
        assert!(check_flat(&counts("1", 100.0)).is_err(), "what was not counted is not flat");
    }

    #[test]
    fn another_compiler_is_not_compared_and_the_step_is_skipped() {
        let Outcome::Skipped(why) = compare(&counts("2", 100.0), &counts("1", 100.0)).unwrap() else {
            panic!("nothing was compared")
        };
        assert_eq!(why, "the baseline is of 1 with checksum avx2, and this is 2 with avx2");
    }

    #[test]
    fn what_is_above_the_wanted_figure_is_said_whether_compared_or_not() {
        assert_eq!(compare(&counts("1", 140.0), &counts("1", 140.0)).unwrap(), Outcome::Done);
        let above = "above what is wanted: udp4 201 (140)";
        let compared = compare(&counts("1", 200.6), &counts("1", 200.0)).unwrap();
        assert_eq!(compared, Outcome::Noted(above.to_owned()));
        let Outcome::Skipped(why) = compare(&counts("2", 200.6), &counts("1", 200.0)).unwrap() else {
            panic!("nothing was compared")
        };
        assert!(why.ends_with(above), "{why}");
    }

    #[test]
    fn a_baseline_reads_as_it_was_written() {
        let one = counts("rustc 1", 138.25);
        assert_eq!(
            toml::from_str::<Counts>(&(HEAD.to_owned() + &toml::to_string(&one).unwrap())).unwrap(),
            one
        );
    }
}

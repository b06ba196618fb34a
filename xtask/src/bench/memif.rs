//! Round trips and answers a second over memif, as ratios: Barelane beside DPDK's testpmd, asked by the same DPDK program.
//!
//! ```text
//!   core 1                 shared memory               core 0
//!   dpdk-ask ──net_memif──▶ rings ─────────────▶ testpmd 5tswap, icmpecho  or  barelane serve
//! ```
//!
//! How long one core takes to see what another has written changes within seconds where a hypervisor places the cores. So
//! what is compared must be measured within the same second, and every server must be there all the time: starting one
//! takes longer than measuring it. All [pairs](pair) are started once. One server at a time runs, all others are stopped by
//! SIGSTOP, Barelane's as DPDK's, and the programs that ask sleep until they are told to. A stretch is a few tenths of a
//! second; a round has one stretch of each pair with a window of 1 and one with [`WINDOW`], and every other round goes the
//! other way round, so that what comes first has no advantage of it.
//!
//! A second testpmd is measured against the first: what their ratio is beside 1, this harness adds.
//!
//! A stretch with a question that got no answer, or a wrong one, ends the measurement: a server that does less is faster.

pub(super) mod pair;
mod row;
pub(super) mod running;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use self::pair::{Pair, Setup};
use self::row::{Figure, Row};
use self::running::Directory;
use super::facts;
use crate::clients::{self, DPDK_ASK, TESTPMD};
use crate::step::{cargo, output};

/// How many questions are under way where answers a second are measured.
const WINDOW: u32 = 256;

/// A pair that asks and answers, and what it answered, round by round; or why it could not.
#[derive(Debug)]
struct Measured {
    setup: Setup,
    outcome: Result<Rounds, String>,
}

/// What the client printed of each round.
#[derive(Debug, Default)]
struct Rounds {
    one: Vec<Value>,
    many: Vec<Value>,
    commands: Vec<String>,
}

pub(super) fn run(seconds: u32, rounds: u32) -> Result<()> {
    let missing = clients::provide(&[&TESTPMD, &DPDK_ASK]);
    ensure!(missing.is_empty(), "nothing to compare with, or to ask with: {missing:?}");
    output(&mut cargo(&["build", "--quiet", "--release", "--package", "barelane"]))?;
    let measured = measure(seconds, rounds)?;
    let rows: Vec<_> =
        row::COMPARISONS.into_iter().flat_map(|comparison| Row::all_of(&measured, comparison)).collect();
    println!("   ours over theirs within one round: min / median / max");
    for row in &rows {
        println!("   {row}");
    }
    let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
    let pairs: Vec<_> = measured.iter().map(Measured::to_json).collect();
    facts::write("memif", &json!({ "schema": "barelane-bench-memif-1", "ratios": rows, "pairs": pairs }))
        .map(drop)
}

/// Starts every pair, and measures those that start in turns.
fn measure(seconds: u32, rounds: u32) -> Result<Vec<Measured>> {
    let directory = Directory::make()?;
    let setups = Setup::all();
    let stretch_s = f64::from(seconds) / (f64::from(rounds) * 2.0 * f64::from(u32::try_from(setups.len())?));
    println!("   {} pairs, stretches of {stretch_s:.3} s", setups.len());
    let mut pairs = Vec::new();
    let mut measured = Vec::new();
    for setup in setups {
        let pair = Pair::start(setup, &directory).map_err(|error| format!("{error:#}"));
        let commands = pair.as_ref().map(Pair::commands).unwrap_or_default();
        let outcome = pair.as_ref().map(|_| Rounds { commands, ..Rounds::default() }).map_err(Clone::clone);
        pairs.push(pair.ok());
        measured.push(Measured { setup, outcome });
    }
    for round in 0..rounds {
        turn(&mut pairs, &mut measured, round, stretch_s).with_context(|| format!("round {round}"))?;
    }
    Ok(measured)
}

/// One round: every pair with one question under way, then every pair with many.
fn turn(pairs: &mut [Option<Pair>], measured: &mut [Measured], round: u32, stretch_s: f64) -> Result<()> {
    for window in [1, WINDOW] {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let (Some(Some(pair)), Some(measured)) = (pairs.get_mut(index), measured.get_mut(index)) else {
                continue;
            };
            let figures = pair.stretch(window, stretch_s).with_context(|| measured.setup.name())?;
            let Ok(rounds) = &mut measured.outcome else { continue };
            if window == 1 { &mut rounds.one } else { &mut rounds.many }.push(figures);
        }
    }
    Ok(())
}

impl Measured {
    /// What each round says of a figure.
    fn figures(&self, figure: Figure) -> Result<Vec<f64>, String> {
        let rounds = self.outcome.as_ref().map_err(Clone::clone)?;
        let values = if figure.window() == 1 { &rounds.one } else { &rounds.many };
        Ok(values.iter().filter_map(|value| value[figure.key()].as_f64()).collect())
    }

    fn to_json(&self) -> Value {
        let rounds = self.outcome.as_ref().ok();
        json!({
            "name": self.setup.name(), "not_measured": self.outcome.as_ref().err(),
            "commands": rounds.map(|rounds| &rounds.commands),
            "rounds_of_window_1": rounds.map(|rounds| &rounds.one),
            "rounds_of_window_256": rounds.map(|rounds| &rounds.many),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::pair::Server;
    use super::*;

    #[test]
    fn every_comparison_is_of_two_pairs_that_are_measured() {
        let names: Vec<_> = Setup::all().iter().map(|setup| setup.name()).collect();
        for (ours, theirs, _) in row::COMPARISONS {
            assert!(
                names.iter().any(|name| name == ours) && names.iter().any(|name| name == theirs),
                "{ours} {theirs}"
            );
        }
        let ours = Setup::all().iter().filter(|setup| setup.server == Server::Barelane).count();
        assert_eq!(ours, 4, "both roles, both protocols");
    }
}

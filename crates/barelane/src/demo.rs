//! `barelane demo`: two hosts in memory, the kernel's path and Barelane's side by side, nothing to install.
//!
//! ```text
//!   the client's network namespace     the server's network namespace
//!  ┌────────────────────────────┐     ┌─────────────────────────────────────────────┐
//!  │ kernel0  198.18.0.2/24 ────┼ veth┼─ kernel0  198.18.0.1  the kernel's sockets   │
//!  │ poll0    198.18.1.2/24 ────┼ veth┼─ poll0    198.18.1.1  … busy-polled          │
//!  │ dpdk0    198.18.2.2/24 ────┼ veth┼─ dpdk0    198.18.2.1  DPDK's testpmd         │
//!  │ bare0    198.18.3.2/24 ────┼ veth┼─ bare0    198.18.3.1  a bare XDP program     │
//!  │ lane0    198.19.0.2/24 ────┼ veth┼─ lane0    198.19.0.1  Barelane, a lane       │
//!  │ driver0  198.19.1.2/24 ────┼ veth┼─ driver0  198.19.1.1  Barelane, in the driver│
//!  └────────────────────────────┘     └─────────────────────────────────────────────┘
//!           client core                          server core
//! ```
//!
//! Two rows more need no cable and no privileges, and are all that is measured where there are none: a lane on shared memory
//! (memif), and the kernel's sockets on this host's loopback, which is another path.
//!
//! The addresses are those of RFC 2544, for measurements. Each server has its own link, so that the kernel's rows
//! know nothing of a program. The rows are asked in turns, several rounds of all of them, by the same client; only
//! the row that is asked has its server running, so that a spinning lane never takes the kernel's core away. What
//! the machine does meanwhile, it does to all rows: each ratio is taken within one round, and the median is shown.
//!
//! With `--saturation` the same servers are asked for more than they carry: `saturation.rs`.
//!
//! With `--overload` a lane is asked for twice as much as it carries, with an age limit and without: `overload.rs`.
//!
//! Both namespaces are held by file descriptors alone. However the process ends, nothing is left behind.

use std::time::{Duration, Instant};

use telemetry::Ns;

use crate::args::DemoArguments;
use crate::config::keys;
use crate::error::{Error, Wrong};
use crate::probe::number;
use crate::signals::Signals;
use crate::{json, report, say};

mod asking;
mod echo;
mod link;
mod measured_link;
mod outcome;
mod outside;
mod overload;
mod row;
mod saturation;
mod serving;
mod sockperf;
mod table;
mod testpmd;

use link::{Cable, Hosts};
pub(crate) use measured_link::Link;
use outcome::{Measured, Outcome, Page, RowOutcome};
use row::{ROWS, Row};

/// The shortest part of a round that is worth a percentile: some thousand questions.
const SEGMENT_MIN: Duration = Duration::from_millis(20);

/// Why a row gave no figures.
#[derive(Debug)]
enum Unmeasured {
    /// A program that is not ours will not do it here. The other rows go on without this one.
    Refused(String),
    /// It is ours, or the kernel's, that failed: there is no outcome.
    Failed(Error),
}

/// Builds, measures, prints. Fails where a reply was wrong or missing, or where it was interrupted.
pub fn run(arguments: &DemoArguments) -> Result<(), Error> {
    let signals = Signals::catch()?;
    let seconds = number("--seconds", &arguments.seconds, 0.5, 3600.0)?;
    let rounds = number("--rounds", &arguments.rounds, 1, 999)?;
    let privileges = missing_privileges();
    let limit = demo_age_limit(&arguments.age_limit)?;
    if let Some(option) = needs_cables(arguments).filter(|_| !privileges.is_empty()) {
        return Err(Error::Input(format!(
            "demo {option} builds its own network and lacks the privileges for it ({}): run it as root",
            privileges.join(", ")
        )));
    }
    json::check(arguments.json.as_deref())?;
    arguments.report.as_deref().map_or(Ok(()), report::check)?;
    let hosts = Hosts::build(&cables(&privileges))?;
    for line in hosts.facts() {
        say::note(line);
    }
    if arguments.overload {
        return overload::run(&hosts, (seconds, rounds), limit, arguments.json.as_deref(), &signals);
    }
    if arguments.saturation {
        return saturation::run(&hosts, (seconds, rounds), arguments.json.as_deref(), &signals);
    }
    let page = match &arguments.report {
        None => Page::NotWanted,
        Some(_) if hosts.have_cables() => Page::OfCables,
        Some(_) => Page::WithoutCables,
    };
    let mut outcome = measure(&hosts, &privileges, (seconds, rounds), page, &signals)?;
    say::answer(&outcome);
    json::write(arguments.json.as_deref(), &outcome.to_json()?)?;
    if let Some(path) = &arguments.report {
        outcome.write_page(path)?;
    }
    outcome.check()
}

/// The option that measures nothing where no cable can be laid.
fn needs_cables(arguments: &DemoArguments) -> Option<&'static str> {
    [("--saturation", arguments.saturation), ("--overload", arguments.overload)]
        .into_iter()
        .find_map(|(option, is_given)| is_given.then_some(option))
}

/// The age limit of `--overload`.
fn demo_age_limit(text: &str) -> Result<Ns, Error> {
    let limit = keys::age_limit(text).map_err(|fault| fault.of("--age-limit"))?;
    let off = || {
        Wrong::new("--age-limit", text)
            .because("there is nothing to compare")
            .remedy("write a time such as 50us")
    };
    limit.ok_or_else(|| off().into())
}

/// The cables of the rows that can be measured here.
fn cables(privileges: &[&str]) -> Vec<&'static Cable> {
    let mut cables: Vec<&Cable> = Vec::new();
    for row in ROWS.iter().filter(|row| row.lacks(privileges).or_else(|| row.missing()).is_none()) {
        if !cables.iter().any(|cable| cable.name == row.cable.name) {
            cables.push(row.cable);
        }
    }
    cables
}

/// All rounds of all rows, in so many seconds.
fn measure(
    hosts: &Hosts,
    privileges: &[&str],
    (seconds, rounds): (f64, u32),
    page: Page,
    signals: &Signals,
) -> Result<Outcome, Error> {
    let mut rows =
        ROWS.iter().map(|row| prepare(row, hosts, privileges, rounds)).collect::<Result<Vec<_>, _>>()?;
    let segment = segment(seconds, rounds, &rows);
    let began = Instant::now();
    for round in 1..=rounds {
        say::note(format_args!("round {round} of {rounds}, {:.1} s", began.elapsed().as_secs_f64()));
        for row in rows.iter_mut().filter(|row| row.is_due(round)) {
            let measured = measure_row(row.row, hosts, segment, signals);
            if signals.is_stopping() {
                return Err(interrupted());
            }
            match measured {
                Ok(measured) => row.add(round, measured, page),
                Err(Unmeasured::Refused(why)) => row.not_measured = Some(why),
                Err(Unmeasured::Failed(error)) => return Err(error),
            }
        }
    }
    Ok(Outcome::new(hosts, rows, rounds))
}

/// A row before its first round: what is missing for it is said at once.
fn prepare(row: &'static Row, hosts: &Hosts, privileges: &[&str], rounds: u32) -> Result<RowOutcome, Error> {
    if let Some(why) = row.lacks(privileges) {
        return Ok(RowOutcome::without_privileges(row, why, rounds));
    }
    let missing = row.missing();
    if let Some(why) = &missing {
        say::note(format_args!("not measured: \"{}\": {why}", row.title));
    }
    let driver = if missing.is_none() { Some(link::driver(hosts, row.cable)?) } else { None };
    Ok(RowOutcome::new(row, driver, missing, rounds))
}

/// Starts the row's server, asks it for `length`, and stops it.
fn measure_row(
    row: &Row,
    hosts: &Hosts,
    length: Duration,
    signals: &Signals,
) -> Result<Measured, Unmeasured> {
    let stop = signals.stop_flag();
    let serving = row.serve.start(hosts, row.cable, &stop)?;
    let asked = row.ask.ask(hosts, row.cable, length, &stop);
    let served = serving.stop()?;
    Ok(Measured { part: asked?, served })
}

/// Nothing to undo: what was built goes with its last descriptor.
fn interrupted() -> Error {
    Error::Failed("interrupted; nothing is left behind".to_owned())
}

/// How long one row is asked in one round: as long as all rounds together shall take, shared among those that are asked.
fn segment(seconds: f64, rounds: u32, rows: &[RowOutcome]) -> Duration {
    let due = |round| rows.iter().filter(|row| row.is_due(round)).count();
    let count = u32::try_from((1..=rounds).map(due).sum::<usize>()).unwrap_or(u32::MAX).max(1);
    (Duration::from_secs_f64(seconds) / count).max(SEGMENT_MIN)
}

/// What is missing to lay cables. Without it, shared memory and the loopback are left.
fn missing_privileges() -> Vec<&'static str> {
    let mut missing = host::privileges::missing_for_namespaces();
    missing.extend(host::privileges::missing_for_xdp());
    missing.sort_unstable();
    missing.dedup();
    missing
}

impl From<Error> for Unmeasured {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<host::HostError> for Unmeasured {
    fn from(error: host::HostError) -> Self {
        Self::Failed(error.into())
    }
}

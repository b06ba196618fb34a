//! `barelane demo`: two hosts in memory, the kernel's path and Barelane's side by side, nothing to install.
//!
//! ```text
//!   the client's network namespace          the server's network namespace
//!  ┌───────────────────────────────┐      ┌──────────────────────────────────────┐
//!  │ kernel0  198.18.0.2/24 ───────┼ veth ┼─ kernel0  198.18.0.1/24  the kernel's │
//!  │                               │      │                                      │
//!  │ lane0    198.19.0.2/24 ───────┼ veth ┼─ lane0    198.19.0.1/24  Barelane's   │
//!  └───────────────────────────────┘      └──────────────────────────────────────┘
//!            client core                             server core
//! ```
//!
//! The addresses are those of RFC 2544, for measurements. Each server has its own link, so that the kernel's rows
//! know nothing of a program. The rows are asked in turns, several rounds of all of them, by the same client; only
//! the row that is asked has its server running, so that a spinning lane never takes the kernel's core away. What
//! the machine does meanwhile, it does to all rows: each ratio is taken within one round, and the median is shown.
//!
//! Both namespaces are held by file descriptors alone. However the process ends, nothing is left behind.

use std::time::{Duration, Instant};

use crate::args::DemoArguments;
use crate::error::Error;
use crate::probe::number;
use crate::signals::Signals;
use crate::{json, say};

mod echo;
mod link;
mod outcome;
mod row;
mod table;

use link::Hosts;
use outcome::Outcome;
use row::Row;

/// Rounds of all rows. An odd number has a median, and five leave it standing where one round was disturbed.
const ROUNDS: u32 = 5;

/// The shortest part of a round that is worth a percentile: some thousand questions.
const SEGMENT_MIN: Duration = Duration::from_millis(20);

/// Builds, measures, prints. Fails where a reply was wrong or missing, or where it was interrupted.
pub fn run(arguments: &DemoArguments) -> Result<(), Error> {
    let signals = Signals::catch()?;
    let seconds = number("--seconds", &arguments.seconds, 0.5, 3600.0)?;
    check_privileges()?;
    json::check(arguments.json.as_deref())?;
    let hosts = Hosts::build()?;
    for line in hosts.facts() {
        say::note(line);
    }
    let segment = segment(seconds);
    let began = Instant::now();
    let mut outcome = Outcome::new(&hosts);
    for round in 1..=ROUNDS {
        say::note(format_args!("round {round} of {ROUNDS}, {:.1} s", began.elapsed().as_secs_f64()));
        for &row in Row::ALL {
            let measured = row.measure(&hosts, segment, &signals.stop_flag())?;
            if signals.is_stopping() {
                return Err(interrupted());
            }
            outcome.add(row, measured);
        }
    }
    say::answer(&outcome);
    json::write(arguments.json.as_deref(), &outcome.to_json()?)?;
    outcome.check()
}

/// Nothing to undo: what was built goes with its last descriptor.
fn interrupted() -> Error {
    Error::Failed("interrupted; nothing is left behind".to_owned())
}

/// How long one row is asked in one round.
fn segment(seconds: f64) -> Duration {
    let segments = ROUNDS * u32::try_from(Row::ALL.len()).unwrap_or(1);
    (Duration::from_secs_f64(seconds) / segments).max(SEGMENT_MIN)
}

fn check_privileges() -> Result<(), Error> {
    let mut missing = host::privileges::missing_for_namespaces();
    missing.extend(host::privileges::missing_for_xdp());
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(Error::Input(format!(
        "demo builds its own network and lacks the privileges for it ({missing}): run it as root"
    )))
}

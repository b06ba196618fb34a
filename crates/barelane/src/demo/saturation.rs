//! `barelane demo --saturation`: how many answers a second a server gives when more is asked than it carries.
//!
//! On a veth the core that sends does the other end's work up to its XDP program, and what that program sends back as well:
//!
//! ```text
//!                client's core                                       server's core
//!   make a question ─▶ the other end's program ─┬─ XDP_TX ─▶ count
//!                                               └─ ring ────────────▶ lane, DPDK: answer ─▶ count
//! ```
//!
//! So a client that is slow itself makes all servers alike, most of all those in the driver, which share its core. Two
//! clients ask, and each row says by which:
//!
//! * the **generator**: the kernel makes the frames ([`nic::xdp::generator`]) and a program at the client's end drops the
//!   answers, which the link counts. It asks for as much as its core makes, whatever becomes of it. What it makes when
//!   nobody answers is measured as well: it is the client's own ceiling.
//! * the **window**: the probe past its kernel, with 256 questions under way, each answer verified. It loses
//!   nothing, and its own cost is in every figure of the driver tier and of the bare swap.

use std::path::Path;
use std::time::{Duration, Instant};

use nic::xdp::generator::Answered;

use super::link::{BARE, Cable, DPDK, DRIVER, Hosts, LANE};
use super::outside::Program;
use super::serving::{ClientsEnd, Forward, Serve, Served};
use super::{Unmeasured, interrupted};
use crate::error::Error;
use crate::signals::Signals;
use crate::{json, say};

pub(super) mod client;
mod outcome;

use client::{Client, Flooded};
use outcome::Outcome;

/// The shortest part of a round: some thousand turns of the slowest server.
const SEGMENT_MIN: Duration = Duration::from_millis(50);

/// One row: who answers on which cable, and who asks.
#[derive(Debug)]
struct Row {
    title: &'static str,
    name: &'static str,
    cable: &'static Cable,
    serve: Serve,
    client: Client,
}

const IN_PLACE: Client = Client::Generator(Answered::InPlace);
const ELSEWHERE: Client = Client::Generator(Answered::Elsewhere);
const SWAP: Serve = Serve::Swap(ClientsEnd::Own);
const IN_DRIVER: Serve = Serve::Driver(ClientsEnd::Own);
const TESTPMD: Serve = Serve::Testpmd(Forward::FiveTupleSwap);

/// All rows, in the order of the table and of a round.
static ROWS: &[Row] = &[
    row("nobody: the generator alone", "generator_alone", &BARE, Serve::Nobody, ELSEWHERE),
    row("bare XDP_TX swap", "bare_xdp_tx", &BARE, SWAP, IN_PLACE),
    row("Barelane driver", "driver", &DRIVER, IN_DRIVER, IN_PLACE),
    row("DPDK testpmd 5tswap", "dpdk_5tswap", &DPDK, TESTPMD, ELSEWHERE),
    row("Barelane lane", "lane", &LANE, Serve::Lane, ELSEWHERE),
    row("bare XDP_TX swap, window", "bare_xdp_tx_by_window", &BARE, SWAP, Client::Window),
    row("Barelane driver, window", "driver_by_window", &DRIVER, IN_DRIVER, Client::Window),
    row("DPDK testpmd 5tswap, window", "dpdk_5tswap_by_window", &DPDK, TESTPMD, Client::Window),
    row("Barelane lane, window", "lane_by_window", &LANE, Serve::Lane, Client::Window),
];

const fn row(
    title: &'static str,
    name: &'static str,
    cable: &'static Cable,
    serve: Serve,
    client: Client,
) -> Row {
    Row { title, name, cable, serve, client }
}

/// What came of one row.
#[derive(Debug)]
struct RowOutcome {
    row: &'static Row,
    /// With the number of the round.
    rounds: Vec<(u32, Flooded)>,
    /// How it was served, in the last round.
    served: Option<Served>,
    not_measured: Option<String>,
}

/// Measures all rounds, prints, and writes the JSON where it is wanted.
pub(super) fn run(
    hosts: &Hosts,
    duration: (f64, u32),
    path: Option<&Path>,
    signals: &Signals,
) -> Result<(), Error> {
    let outcome = measure(hosts, duration, signals)?;
    say::answer(&outcome);
    json::write(path, &outcome.to_json()?)?;
    outcome.check()
}

fn measure(hosts: &Hosts, (seconds, rounds): (f64, u32), signals: &Signals) -> Result<Outcome, Error> {
    let mut rows: Vec<RowOutcome> = ROWS.iter().map(RowOutcome::new).collect();
    let due = rows.iter().filter(|row| row.not_measured.is_none()).count();
    let parts = u32::try_from(due).unwrap_or(u32::MAX).saturating_mul(rounds).max(1);
    let length = (Duration::from_secs_f64(seconds) / parts).max(SEGMENT_MIN);
    let began = Instant::now();
    for round in 1..=rounds {
        say::note(format_args!("round {round} of {rounds}, {:.1} s", began.elapsed().as_secs_f64()));
        for row in rows.iter_mut().filter(|row| row.not_measured.is_none()) {
            let measured = measure_row(row.row, hosts, length, signals);
            if signals.is_stopping() {
                return Err(interrupted());
            }
            match measured {
                Ok((flooded, served)) => row.add(round, flooded, served),
                Err(Unmeasured::Refused(why)) => row.not_measured = Some(why),
                Err(Unmeasured::Failed(error)) => return Err(error),
            }
        }
    }
    Ok(Outcome { rows, round_count: rounds, client_core: hosts.client_core, server_core: hosts.server_core })
}

fn measure_row(
    row: &Row,
    hosts: &Hosts,
    length: Duration,
    signals: &Signals,
) -> Result<(Flooded, Served), Unmeasured> {
    let stop = signals.stop_flag();
    let serving = row.serve.start(hosts, row.cable, &stop)?;
    let flooded = row.client.flood(hosts, row.cable, length, &stop);
    let served = serving.stop()?;
    Ok((flooded?, served))
}

impl RowOutcome {
    /// Nothing measured yet; what is missing for it is said at once.
    fn new(row: &'static Row) -> Self {
        let missing = row.serve.program().filter(|program| program.find().is_none());
        let not_measured = missing.map(Program::absence);
        if let Some(why) = &not_measured {
            say::note(format_args!("not measured: \"{}\": {why}", row.title));
        }
        Self { row, rounds: Vec::new(), served: None, not_measured }
    }

    fn add(&mut self, round: u32, flooded: Flooded, served: Served) {
        self.rounds.push((round, flooded));
        self.served = Some(served);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_has_its_own_name_and_title() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        let titles: BTreeSet<_> = ROWS.iter().map(|row| row.title).collect();
        assert_eq!((names.len(), titles.len()), (ROWS.len(), ROWS.len()));
    }

    #[test]
    fn the_generator_knows_in_which_frame_a_server_answers() {
        for row in ROWS {
            let in_place = matches!(row.serve, Serve::Swap(_) | Serve::Driver(_));
            let expected = if in_place { IN_PLACE } else { ELSEWHERE };
            assert!(row.client == Client::Window || row.client == expected, "{}", row.name);
        }
    }
}

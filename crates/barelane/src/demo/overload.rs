//! `barelane demo --overload`: what becomes of answers when more is asked than a lane carries, with an age limit and without.
//!
//! ```text
//!                client's core                                       server's core
//!   make a question, at random ─▶ the other end's program: stamp ─▶ ring ─▶ lane: answer, or too old ─▶ count
//! ```
//!
//! The kernel makes the questions ([`nic::xdp::generator`]), each with the same probability, so that their gaps are those of
//! many askers who know nothing of each other; what becomes of answers has no say in it (an open loop). First the harness
//! finds what a question costs it, what the lane gives at saturation, and the highest rate at which the lane loses at most
//! [`LOSS_MAX`]. Then each round asks at parts of that rate from [`LIGHT`] to [`HEAVY`], with the limit and without, each of a server
//! of its own.
//!
//! Times are the server's own: from the stamp that the program made when the question came to the beginning of the lane's
//! next turn, when the answer was handed over. So all of what the server can do something about is in them; the veth's way is
//! not, nor is a question that never got into the ring, whose asker waits for ever. Those are counted as lost.
//!
//! What an overloaded server is good for are the answers that come in time, within [`IN_TIME`] limits: an answer that comes when its
//! asker has given up is work for nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use telemetry::Ns;

use super::link::{Cable, Hosts, LANE};
use super::serving::config;
use super::{Unmeasured, interrupted};
use crate::config::{ArrivalChoice, EarliestChoice};
use crate::error::Error;
use crate::plan::Plan;
use crate::serve::Server;
use crate::signals::Signals;
use crate::{json, say};

mod load;
mod outcome;

use load::{Load, Stretch};
use outcome::Outcome;

/// The shortest stretch whose p99 is one of some hundred values.
const STRETCH_MIN: Duration = Duration::from_millis(200);
/// How long a trial of the search is: some ten thousand questions.
const TRIAL: Duration = Duration::from_millis(300);
/// The most that may be lost where nothing is: what a core that is taken away for a moment costs, of a ring that is full then.
const LOSS_MAX: f64 = 0.001;
/// How often the search asks: each time the rate is known twice as well, at last within 2 %.
const TRIALS: u32 = 6;
/// How often a rate is tried before it counts as too high.
const TRIALS_OF_RATE: u32 = 3;
/// The parts of the rate without loss that are asked for.
const LIGHT: f64 = 0.8;
const WHOLE: f64 = 1.0;
const OVER: f64 = 1.5;
const HEAVY: f64 = 2.0;
/// In how many limits an answer is in time: one of waiting, and two of answering what came within one (decision 0016).
const IN_TIME: u64 = 3;

/// One row: how much is asked, and whether there is a limit.
#[derive(Debug)]
struct Row {
    name: &'static str,
    title: &'static str,
    /// In parts of the rate without loss.
    asked: f64,
    is_limited: bool,
}

/// All rows, in the order of a round: beside each other stand those that differ in the limit alone.
static ROWS: [Row; 8] = [
    Row { name: "light", title: "80 %, no limit", asked: LIGHT, is_limited: false },
    Row { name: "light_limited", title: "80 %, age limit", asked: LIGHT, is_limited: true },
    Row { name: "whole", title: "100 %, no limit", asked: WHOLE, is_limited: false },
    Row { name: "whole_limited", title: "100 %, age limit", asked: WHOLE, is_limited: true },
    Row { name: "over", title: "150 %, no limit", asked: OVER, is_limited: false },
    Row { name: "over_limited", title: "150 %, age limit", asked: OVER, is_limited: true },
    Row { name: "heavy", title: "200 %, no limit", asked: HEAVY, is_limited: false },
    Row { name: "heavy_limited", title: "200 %, age limit", asked: HEAVY, is_limited: true },
];

/// What the lane carries, found before the rounds.
#[derive(Clone, Copy, Debug)]
struct Capacity {
    /// Answers a second when asked for all that the generator makes.
    saturated: f64,
    /// Questions a second of the highest rate that lost no more than [`LOSS_MAX`]; nothing where every trial did.
    without_loss: Option<f64>,
}

impl Capacity {
    /// What 100 % is.
    fn whole(self) -> f64 {
        self.without_loss.unwrap_or(self.saturated)
    }

    /// Whether [`HEAVY`] is more than is answered at saturation: it is not where something else ran on the lane's core while the
    /// rate without loss was looked for.
    fn is_exceeded(self) -> bool {
        HEAVY * self.whole() > self.saturated
    }
}

/// Measures all rounds, prints, and writes the JSON where it is wanted.
pub(super) fn run(
    hosts: &Hosts,
    (seconds, rounds): (f64, u32),
    limit: Ns,
    path: Option<&Path>,
    signals: &Signals,
) -> Result<(), Error> {
    let parts = u32::try_from(ROWS.len()).unwrap_or(u32::MAX).saturating_mul(rounds).max(1);
    let length = (Duration::from_secs_f64(seconds) / parts).max(STRETCH_MIN);
    let mut load = Load::new(hosts, &LANE, length)?;
    let outcome = measure(&mut load, length, rounds, limit, signals);
    if signals.is_stopping() {
        return Err(interrupted());
    }
    let outcome = outcome.map_err(|unmeasured| match unmeasured {
        Unmeasured::Refused(why) => Error::Failed(why),
        Unmeasured::Failed(error) => error,
    })?;
    say::answer(&outcome);
    json::write(path, &outcome.to_json()?)?;
    outcome.check()
}

fn measure(
    load: &mut Load<'_>,
    length: Duration,
    rounds: u32,
    limit: Ns,
    signals: &Signals,
) -> Result<Outcome, Unmeasured> {
    let capacity = capacity(load, signals)?;
    let base = capacity.whole();
    let mut outcome = Outcome::new(load, capacity, limit);
    let began = Instant::now();
    for round in 1..=rounds {
        say::note(format_args!("round {round} of {rounds}, {:.1} s", began.elapsed().as_secs_f64()));
        for row in &ROWS {
            let server = serve(load, row.is_limited.then_some(limit), signals)?;
            let stretch = load.ask(&server, base * row.asked, length, signals)?;
            server.stop()?.check()?;
            outcome.add(round, row, stretch);
        }
    }
    Ok(outcome)
}

/// Looks for what a lane without a limit carries, by halving.
fn capacity(load: &mut Load<'_>, signals: &Signals) -> Result<Capacity, Unmeasured> {
    let server = serve(load, None, signals)?;
    let saturated = load.saturate(&server, TRIAL, signals)?.answered_per_second();
    let (mut passes, mut fails, mut without_loss) = (0.0, 2.0 * saturated, None);
    for _ in 0..TRIALS {
        let middle = f64::midpoint(passes, fails);
        let trial = best_trial(load, &server, middle, signals)?;
        if trial.loss() > LOSS_MAX {
            fails = middle;
        } else {
            passes = middle;
            without_loss = Some(trial.arrived_per_second());
        }
    }
    server.stop()?.check()?;
    Ok(Capacity { saturated, without_loss })
}

/// Asks so many times a second, and again where too much was lost: a core that is taken away for a moment loses at every rate, and
/// a rate that is too high loses each time.
fn best_trial(
    load: &Load<'_>,
    server: &Server,
    per_second: f64,
    signals: &Signals,
) -> Result<Stretch, Error> {
    let mut best = load.ask(server, per_second, TRIAL, signals)?;
    for _ in 1..TRIALS_OF_RATE {
        if best.loss() <= LOSS_MAX {
            break;
        }
        let again = load.ask(server, per_second, TRIAL, signals)?;
        if again.loss() < best.loss() {
            best = again;
        }
    }
    Ok(best)
}

/// A lane with this limit, whose questions are stamped with or without one: what is compared differs in the limit alone, and in
/// how deep the rings are that follow from it.
fn serve(load: &Load<'_>, limit: Option<Ns>, signals: &Signals) -> Result<Server, Unmeasured> {
    let (hosts, cable): (&Hosts, &Cable) = (load.hosts, load.cable);
    let mut config = config(hosts, cable, EarliestChoice::Lane);
    config.nic.arrival_stamps = ArrivalChoice::Driver;
    config.lane.age_limit = limit;
    let stop = signals.stop_flag();
    let server = hosts.server.run(|| Server::start(Plan::new(&config)?, &stop))??;
    Ok(server.ok_or_else(interrupted)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_come_in_pairs_that_differ_in_the_limit_alone() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        for [without, with] in ROWS.as_chunks().0 {
            assert!((without.asked - with.asked).abs() < f64::EPSILON);
            assert_eq!((without.is_limited, with.is_limited), (false, true));
        }
    }
}

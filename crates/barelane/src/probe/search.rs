//! `barelane probe --search`: many short measurements, one after the other.

use probe::search::{Goal, SearchError, SearchReport, Trial};
use probe::transport::Transport;
use probe::{Ask, Clock, Controls, Ended, ProbeError};

use super::platform::ThisPlatform;
use super::settings::Settings;
use super::{Found, Measured, Session, bias, drain, failed};
use crate::error::Error;

/// Searches with measurements that are otherwise like `ask`.
pub(super) fn run<T: Transport, C: Clock>(
    goal: &Goal,
    settings: &Settings,
    ask: &Ask,
    transport: &mut T,
    clock: &C,
    session: &Session<'_>,
) -> Result<Measured, Error> {
    let platform = ThisPlatform::open();
    let stop = session.signals.stop_flag();
    let controls = Controls { stop: &stop, progress: session.live.progress(), platform: &platform };
    let bias = bias::measure(ask, &settings.means, clock).map_err(failed)?;
    let mut trials = 0;
    let mut has_lost = false;
    let trial = |trial: Trial| {
        if has_lost {
            drain(transport, clock, ask.timeout)?;
        }
        if trials > 0 {
            session.live.next_run();
        }
        // Tokens of its own, so that no trial takes an answer to another one's question.
        let ask = Ask { seed: ask.seed.wrapping_add(trials), ..trial.ask(ask) };
        trials += 1;
        let outcome = probe::measure(&ask, transport, clock, &controls)?;
        has_lost = outcome.counts.lost > 0;
        Ok(outcome)
    };
    let search =
        probe::search::search(goal, trial).map_err(|error: SearchError<ProbeError>| match error {
            SearchError::Goal(error) => Error::Input(error.to_string()),
            SearchError::Trial(error) => failed(error),
        })?;
    let mut report = SearchReport::new(&search, ask, &transport.facts(), clock.name());
    for latency in &mut report.latency {
        latency.report.own_error.bias = bias;
    }
    let failure = match &search.ended {
        Ended::Failed(why) => Some(Error::Failed(why.clone())),
        Ended::Done | Ended::Stopped => None,
    };
    Ok(Measured { found: Found::Search(Box::new(report)), failure })
}

/// A search to its end that found no rate has failed.
pub(super) fn judge(report: &SearchReport) -> Result<(), Error> {
    match (report.rate_without_loss_per_second, report.limited_by) {
        (None, Some(limit)) => Err(Error::Failed(format!("no rate passed: {limit}"))),
        _ => Ok(()),
    }
}

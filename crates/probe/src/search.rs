//! The highest rate without loss, and the latency at parts of it.
//!
//! A **trial** asks at one rate for some seconds. It passes where no more is lost than the goal allows (RFC 2544 26.1
//! allows nothing). The search narrows the rate down between one that passed and one that did not, until they are as
//! near to each other as the goal asks for. The rates are halved by their ratio, since the answer may be a thousand per
//! second or ten million.
//!
//! RFC 2544 asks for trials of 60 s, so that a search in halves takes half an hour. As in `MLRsearch` (RFC 9971), cheap
//! trials say where to look, and only trials of full length say what is true:
//!
//! ```text
//!   lowest                                                                                   highest
//!     ├───────────────────────────────────────┬───────────────────────────────────────────────┤
//!   1 short                                 passes                                           fails
//!   2 short                                   ├───────────────────────┬───────────────────────┤
//!   … short                                                         fails
//!                                                 guess
//!   n full                                          │  passes: ▶ up by the precision, twice that, four times, …
//!                                         ◀ ────────┤  fails:  down likewise
//!     full                                     ├──┼─┤  and, once both sides are known, in halves
//! ```
//!
//! So a server that pauses once a second cannot pass on trials of a tenth of a second, and the result is always a rate
//! that passed at full length, with one at most the precision above it that did not.
//!
//! # Whose fault it was
//!
//! A trial can go wrong by the probe. Then it is **invalid**, and says nothing about the target:
//!
//! * The probe did not keep the pace: it reached less than [`PACE_MIN`] of the rate. What is offered then is not what was
//!   asked for (RFC 2285 3.5.2 keeps intended load and offered load apart for this). Nothing above can be tested.
//! * The probe stalled while something was lost ([`OwnError::was_stalled`]), so that the loss may be its own; so may it be
//!   where its own end dropped answers. Or it stalled for more than [`STALLED_RATIO_MAX`] of the time, lost or not. That
//!   is a matter of luck, and the trial is repeated, [`TRIES_MAX`] times at the most.
//!
//! A rate whose trials stay invalid has not passed. Where one of these bounds the result from above, the result is the
//! probe's own limit and not the target's, and [`Search::limited_by`] says so.
//!
//! [`OwnError::was_stalled`]: crate::OwnError::was_stalled

mod goal;
mod report;
mod verdict;

pub use goal::{Goal, GoalError};
pub use report::{LatencyReport, SCHEMA, SearchReport};
pub use verdict::{PACE_MIN, STALLED_RATIO_MAX, Verdict};

use serde::Serialize;
use thiserror::Error;

use crate::ask::{Ask, End};
use crate::measure::{Ended, Outcome};
use crate::schedule::{Arrivals, Ramp, Schedule};

/// How often a trial is run in which the probe stalls.
pub const TRIES_MAX: u32 = 3;

/// At which parts of the rate without loss the latency is measured.
pub const LATENCY_AT: [f64; 3] = [0.1, 0.5, 0.9];

/// How much wider than the goal's precision the search by short trials stays: they only say where to look.
const GUESS_WIDTH: f64 = 4.0;

/// One rate for some seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Questions per second.
    pub rate: f64,
    /// For so long.
    pub seconds: f64,
}

impl Trial {
    /// The trial as a measurement that is otherwise like `ask`.
    pub fn ask(&self, ask: &Ask) -> Ask {
        let rate = Ramp::constant(self.rate);
        let schedule = Schedule::Open { arrivals: Arrivals::Periodic, rate };
        Ask { schedule, end: End::Seconds(self.seconds), ..ask.clone() }
    }
}

/// What a trial has shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    /// The rate that was asked for.
    pub wanted_per_second: f64,
    /// The rate that was reached.
    pub reached_per_second: f64,
    /// How long the trial was to be.
    pub seconds: f64,
    /// Questions sent.
    pub sent: u64,
    /// Questions without a right answer in time: lost or late.
    pub lost: u64,
    /// The part of the trial that the probe itself was away for.
    pub stalled_ratio: f64,
    /// What that means.
    pub verdict: Verdict,
}

/// What keeps the rate from being higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The target, or the way to it, loses more.
    Target,
    /// The probe cannot ask faster.
    Probe,
    /// Nothing was asked for: the highest rate of the goal has passed.
    Goal,
}

/// The latency at a part of the rate without loss.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Which part.
    pub share: f64,
    /// The measurement.
    pub outcome: Outcome,
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Search {
    /// What was looked for.
    pub goal: Goal,
    /// The highest rate that passed at full length; nothing where not even the lowest did.
    pub rate_without_loss: Option<f64>,
    /// The lowest rate that did not pass at full length.
    pub rate_with_loss: Option<f64>,
    /// What keeps the rate from being higher; nothing where the search ended early.
    pub limited_by: Option<Limit>,
    /// Every trial, in the order of time.
    pub steps: Vec<Step>,
    /// The latency at [`LATENCY_AT`].
    pub latency: Vec<Latency>,
    /// How it ended.
    pub ended: Ended,
}

/// Why there is no search.
#[derive(Debug, Error)]
pub enum SearchError<E> {
    /// It cannot be looked for.
    #[error(transparent)]
    Goal(#[from] GoalError),
    /// A trial could not be run.
    #[error(transparent)]
    Trial(E),
}

/// Looks for the highest rate without loss by running trials, and then measures the latency at parts of it.
///
/// A trial that is stopped or fails on its way ends the search; what was found until then is kept.
///
/// # Errors
/// The goal makes no sense, or a trial gives no outcome.
pub fn search<E>(
    goal: &Goal,
    trial: impl FnMut(Trial) -> Result<Outcome, E>,
) -> Result<Search, SearchError<E>> {
    goal.check()?;
    let mut searcher = Searcher { goal, trial, passed: None, not_passed: None, steps: Vec::new() };
    let mut latency = Vec::new();
    let ended = match searcher.narrow().and_then(|()| searcher.measure_latency(&mut latency)) {
        Ok(()) => Ended::Done,
        Err(Halt::Ended(ended)) => ended,
        Err(Halt::Error(error)) => return Err(SearchError::Trial(error)),
    };
    Ok(Search {
        goal: *goal,
        rate_without_loss: searcher.passed,
        rate_with_loss: searcher.not_passed.map(|(rate, _)| rate),
        limited_by: searcher.limited_by(&ended),
        steps: searcher.steps,
        latency,
        ended,
    })
}

/// Why no more trials are run.
enum Halt<E> {
    Ended(Ended),
    Error(E),
}

struct Searcher<'a, F> {
    goal: &'a Goal,
    trial: F,
    /// The highest rate that passed at full length.
    passed: Option<f64>,
    /// The lowest rate that did not, and why.
    not_passed: Option<(f64, Verdict)>,
    steps: Vec<Step>,
}

impl<E, F: FnMut(Trial) -> Result<Outcome, E>> Searcher<'_, F> {
    /// Where to look, by short trials: a rate of which nothing is known but that it is worth a long one.
    ///
    /// Every trial halves the ratio of the two ends by its root: some twelve trials from a thousand to ten million.
    fn guess(&mut self) -> Result<f64, Halt<E>> {
        let Goal { lowest, highest, precision, short_seconds, .. } = *self.goal;
        let step = self.attempt(highest, short_seconds)?;
        if step.verdict == Verdict::Passed {
            return Ok(highest);
        }
        let (mut low, mut high) = (lowest, step.ceiling());
        while high > low * (1.0 + GUESS_WIDTH * precision) {
            let middle = (low * high).sqrt();
            let step = self.attempt(middle, short_seconds)?;
            if step.verdict == Verdict::Passed { low = middle } else { high = step.ceiling() }
        }
        Ok(low)
    }

    /// Narrows the rate down by trials of full length, from the guess on.
    fn narrow(&mut self) -> Result<(), Halt<E>> {
        let mut next = Some(self.guess()?);
        let mut width = self.goal.precision;
        while let Some(rate) = next {
            let step = self.attempt(rate, self.goal.full_seconds)?;
            if step.verdict == Verdict::Passed {
                self.passed = Some(rate);
            } else {
                self.not_passed = Some((rate, step.verdict));
            }
            next = self.next(&mut width);
        }
        Ok(())
    }

    /// The next rate to try at full length, or nothing where the goal is reached. `width` grows until both sides are
    /// known.
    fn next(&self, width: &mut f64) -> Option<f64> {
        let Goal { lowest, highest, precision, .. } = *self.goal;
        let reach = 1.0 + *width;
        match (self.passed, self.not_passed) {
            // A billionth more, so that a quotient's rounding is not one more trial.
            (Some(low), Some((high, _))) if high <= low * (1.0 + precision) * (1.0 + 1e-9) => None,
            (Some(low), Some((high, _))) => Some((low * high).sqrt()),
            (Some(low), None) => {
                *width *= 2.0;
                (low < highest).then(|| (low * reach).min(highest))
            }
            (None, Some((high, _))) => {
                *width *= 2.0;
                (high > lowest).then(|| (high / reach).max(lowest))
            }
            (None, None) => Some(lowest),
        }
    }

    /// Runs a trial, again where the probe stalled.
    fn attempt(&mut self, rate: f64, seconds: f64) -> Result<Step, Halt<E>> {
        let mut step = self.run(rate, seconds)?;
        for _ in 1..TRIES_MAX {
            if !step.verdict.is_luck() {
                break;
            }
            step = self.run(rate, seconds)?;
        }
        Ok(step)
    }

    fn run(&mut self, rate: f64, seconds: f64) -> Result<Step, Halt<E>> {
        let outcome = self.outcome(Trial { rate, seconds })?;
        let step = Step::of(&outcome, rate, seconds, self.goal.loss_ratio);
        self.steps.push(step);
        Ok(step)
    }

    fn outcome(&mut self, trial: Trial) -> Result<Outcome, Halt<E>> {
        let outcome = (self.trial)(trial).map_err(Halt::Error)?;
        if outcome.ended == Ended::Done { Ok(outcome) } else { Err(Halt::Ended(outcome.ended)) }
    }

    fn measure_latency(&mut self, latency: &mut Vec<Latency>) -> Result<(), Halt<E>> {
        let Some(rate) = self.passed else { return Ok(()) };
        for share in LATENCY_AT {
            let outcome = self.outcome(Trial { rate: share * rate, seconds: self.goal.full_seconds })?;
            latency.push(Latency { share, outcome });
        }
        Ok(())
    }

    fn limited_by(&self, ended: &Ended) -> Option<Limit> {
        match (ended, self.not_passed) {
            (Ended::Stopped | Ended::Failed(_), _) => None,
            (Ended::Done, None) => Some(Limit::Goal),
            (Ended::Done, Some((_, Verdict::Failed))) => Some(Limit::Target),
            (Ended::Done, Some(_)) => Some(Limit::Probe),
        }
    }
}

impl Step {
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with some six digits")]
    fn of(outcome: &Outcome, wanted: f64, seconds: f64, loss_ratio_max: f64) -> Self {
        let lost = outcome.counts.lost + outcome.counts.late;
        let sent = outcome.counts.sent;
        // The last question leaves one gap before the trial's end; a probe that is late takes longer.
        let took = (outcome.asking.0 as f64 / 1e9).max(seconds);
        let reached = sent as f64 / took;
        let loss_ratio = if sent == 0 { 1.0 } else { lost as f64 / sent as f64 };
        let is_lossy = loss_ratio > loss_ratio_max;
        let verdict =
            Verdict::of(reached / wanted, is_lossy, outcome.overruns.unwrap_or(0), &outcome.own_error);
        let stalled_ratio = outcome.own_error.stalled_ratio;
        Self {
            wanted_per_second: wanted,
            reached_per_second: reached,
            seconds,
            sent,
            lost,
            stalled_ratio,
            verdict,
        }
    }

    /// What the rate is to stay below, after a trial that did not pass: what was tried, or what the probe reached of it.
    fn ceiling(&self) -> f64 {
        if self.verdict == Verdict::NotPaced { self.reached_per_second } else { self.wanted_per_second }
    }
}

//! What a run leaves behind.

use telemetry::Ns;

use crate::ask::Ask;
use crate::clock::WallTime;
use crate::matching::Counts;
use crate::own_error::OwnError;
use crate::record::Record;
use crate::transport::Facts;

/// What a run leaves behind: everything that a report says about it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was asked for.
    pub ask: Ask,
    /// By which backend, with stamps from where.
    pub facts: Facts,
    /// By which clock.
    pub clock: &'static str,
    /// When the run began, for the rest of the world.
    pub began: WallTime,
    /// From the beginning until every question had its fate, without the warm-up and the linger.
    pub wall: Ns,
    /// From the beginning until the last question was sent: what a rate that was reached is a rate over.
    pub asking: Ns,
    /// Questions of the schedule that were never sent: a run of some seconds that cannot keep the pace ends at twice its
    /// length. Where arrivals are random it is the number expected.
    pub unsent: u64,
    /// Answers that the probe's own end dropped for want of room, from the run's beginning to its end; nothing where the
    /// backend does not count them. Questions whose answers went this way are lost, but not by the target.
    pub overruns: Option<u64>,
    /// What became of the questions.
    pub counts: Counts,
    /// The round trips.
    pub record: Record,
    /// What the probe itself did wrong.
    pub own_error: OwnError,
    /// How it ended.
    pub ended: Ended,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As it was asked for.
    Done,
    /// Early, because it was told to.
    Stopped,
    /// Early, because the backend failed: this is why. What was measured until then stands.
    Failed(String),
}

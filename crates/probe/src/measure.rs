//! The loop: asks when the schedule says so, takes what arrives, gives up what is overdue.
//!
//! The probe's only loop that touches packets. It is the same for every schedule, backend and clock; a simulation
//! passes its own.
//!
//! ```text
//!             ┌──────────────────────── one turn ───────────────────────────┐
//!   warm up ─▶│ send what is due ─▶ flush ─▶ take what has arrived ─▶ expire│─▶ settle ─▶ linger ─▶ Outcome
//!   (not      │  (32 at most)                 (32 at most)           watch  │   (fates)   (late,
//!    counted) └──────────────▲──────────────────────────────────────────┬───┘              double)
//!                            └──────────────────────────────────────────┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `run` | the phases of a run, from the warm-up to its outcome |
//! | `turn` | what happens in one turn |
//! | `finish` | when no more is asked |
//! | `outcome`, `progress` | what a run leaves behind, and what others see of it meanwhile |
//!
//! A probe that was held up sends what is overdue at once, but no more than a batch before it looks at what has arrived:
//! else the answers to the first of it would wait for the last of it to be sent.

mod finish;
mod outcome;
mod progress;
mod run;
mod turn;

pub use outcome::{Ended, Outcome};
pub use progress::{PUBLISHED_EVERY, Progress};

use std::sync::atomic::AtomicBool;

use hdrhistogram::CreationError;
use telemetry::Ns;
use thiserror::Error;

use crate::ask::{Ask, AskError};
use crate::clock::Clock;
use crate::own_error::Platform;
use crate::transport::{Transport, TransportError};
use run::Run;

/// How long the first warm-up question may take: a neighbour is resolved in one to three tries of a second each
/// (`mcast_solicit`, `retrans_time_ms` of the kernel), and a target that has not answered within the first will show
/// itself in the figures.
pub const WARM_UP_PATIENCE: Ns = Ns(1_000_000_000);

/// How long a backend may have no room for a question. Longer means that it is stuck, not busy.
pub const NO_ROOM_PATIENCE: Ns = Ns(1_000_000_000);

/// How long a run that was told to stop still listens for answers to what it has asked.
pub const STOP_PATIENCE: Ns = Ns(1_000_000_000);

/// What goes on beside a run: who ends it, and who looks on.
#[derive(Clone, Copy, Debug)]
pub struct Controls<'a> {
    /// Becomes true when the run is to end early.
    pub stop: &'a AtomicBool,
    /// Where the run publishes how far it is.
    pub progress: &'a Progress,
    /// Who is asked what held the probe up.
    pub platform: &'a dyn Platform,
}

/// Why there is no outcome.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// It cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The backend cannot go on.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The backend has had no room for a question for [`NO_ROOM_PATIENCE`].
    #[error("the backend took no question for {} ms: its transmit ring or buffer stays full", NO_ROOM_PATIENCE.0 / 1_000_000)]
    Stuck,
    /// The time-out cannot be recorded.
    #[error("timeout: {0}")]
    Record(#[from] CreationError),
}

/// Measures, until the end or until it is told to stop. After that nothing more is asked, but what was asked still
/// gets its fate: that takes up to the time-out where the target is silent, and no more than [`STOP_PATIENCE`] after a
/// stop. A backend that fails once questions are counted ends the run, and what was measured until then is kept.
///
/// # Errors
/// Nothing was measured.
pub fn measure<T: Transport, C: Clock>(
    ask: &Ask,
    transport: &mut T,
    clock: &C,
    controls: &Controls<'_>,
) -> Result<Outcome, ProbeError> {
    ask.check()?;
    let mut run = Run::new(ask, transport, clock, *controls)?;
    run.warm_up()?;
    let began = run.begin()?;
    let failure = run.ask_and_listen(began).err();
    Ok(run.outcome(began, failure))
}

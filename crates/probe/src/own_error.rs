//! What the probe does wrong itself: how late it asked, when it was not there, and what its own path costs.
//!
//! A measuring client runs on a machine that interrupts it. What it does not see of that, it reports as the target's.
//! So it watches itself while it measures, and says the result beside the figures; nothing is ever subtracted from
//! them.
//!
//! ```text
//!            intended                                     intended        intended
//!               │ pacing error                               │               │
//!   time ───────┼──▶ sent ───────── turns of the loop ───────┼── gap ────────┼──▶ sent  ───▶
//!                              │ │ │ │ │ │ │ │ │ │ │ │ │ │                     │ │ │ │
//!                                                          └───── stall ─────┘
//! ```
//!
//! * The **pacing error** is how late a question left against its schedule.
//! * A **stall** is a gap between two turns of the loop that is longer than a limit: no question leaves in it and no
//!   arrival is seen. What caused it is asked of the [`Platform`] when it is over, so that a run without stalls makes no
//!   system call for this. The limit is above what a turn takes and below what a percentile shows.
//! * A run [`was_stalled`](OwnError::was_stalled) where the stalls are long or many enough to stand in its figures.
//! * The **bias** is what the loop, the stamps and the matching take where there is nothing between: the round trips of
//!   the [null path](null_path), measured before the run.
//!
//! The cost where nothing happens is one subtraction and one comparison a turn, of an instant that the loop has read
//! anyway: four instructions and a store on x86-64 ([`Watch::turn`]), ten for each question and each arrival
//! ([`Watch::working`]), by the compiler's output.

pub mod null_path;
mod pacing;
mod platform;
mod stalls;
mod table;
mod watch;

use serde::{Deserialize, Serialize};
use telemetry::{Ns, Tick, TickRate};

pub use null_path::Bias;
pub use pacing::Pacing;
pub use platform::{NoPlatform, Platform, Usage};
pub use stalls::{Cause, STALLS_KEPT, Stall};
pub use watch::{Limits, Watch};

/// The longest stall that a run may have without being marked: one millisecond. A question that it meets can be the
/// run's maximum by itself, whatever the target did.
pub const STALL_MAX: Ns = Ns(1_000_000);

/// The largest part of its time that the probe may have been away without being marked: one thousandth. With more, one
/// question in a thousand may have met a stall, and that is all that p99.9 tells of.
pub const STALLED_RATIO_MAX: f64 = 0.001;

/// The probe's own error in one run. Its fields are the keys of `own_error` in the JSON form, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnError {
    /// Whether the probe's own stalls are long or many enough to stand in the figures: one was longer than
    /// [`STALL_MAX`], or together they took more than [`STALLED_RATIO_MAX`] of the run.
    pub was_stalled: bool,
    /// A gap between two turns of the loop counts as a stall where it is longer than this.
    pub stall_limit_ns: u64,
    /// Stalls, all of them.
    pub stall_count: u64,
    /// Their lengths together.
    pub stalled_ns: u64,
    /// The longest one; 0 where there was none.
    pub stall_max_ns: u64,
    /// The part of the run in which the probe was not at its work: the stalls, and the time that it took to ask what
    /// caused them.
    pub stalled_ratio: f64,
    /// How long the probe took to ask what caused its stalls. It does not measure meanwhile; no stall counts this.
    pub reading_ns: u64,
    /// How often the clock went backwards between two turns. Not 0 means that the cores' clocks differ and that the
    /// probe was moved between them.
    pub clock_backwards: u64,
    /// What the probe's own path costs, by a null path that the caller of [`measure`](crate::measure()) has measured
    /// before.
    #[serde(flatten)]
    pub bias: Bias,
    /// How late questions left: their sending stamp less the instant at which the schedule wanted them.
    #[serde(flatten)]
    pub pacing: Pacing,
    /// What the platform counted over the whole run.
    #[serde(flatten)]
    pub usage: Usage,
    /// The longest stalls, at most [`STALLS_KEPT`] of them, in the order of time.
    pub stalls: Vec<Stall>,
    #[serde(skip)]
    scale: Scale,
}

/// How instants of the run's clock become nanoseconds since its beginning. What is read back from JSON has no clock any
/// more: its ticks are those nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    began: Tick,
    rate: TickRate,
}

impl Default for Scale {
    fn default() -> Self {
        Self { began: Tick(0), rate: TickRate::NANOSECONDS }
    }
}

impl OwnError {
    /// What the probe itself was held up by in most of the time from one instant to another, where that was recorded:
    /// the cause of the stall that covers the largest part of it, if that is at least a half. For a round trip that is
    /// an outlier: from its sending stamp to its receiving one.
    pub fn cause_of(&self, from: Tick, to: Tick) -> Option<Cause> {
        let at = |tick: Tick| self.scale.rate.ns(tick - self.scale.began).0;
        let (from, to) = (at(from), at(to));
        let overlaps = self.stalls.iter().map(|stall| (stall.overlap(from, to), stall.cause));
        let (longest, cause) = overlaps.max_by_key(|(overlap, _)| *overlap)?;
        (longest > 0 && longest >= (to - from) / 2).then_some(cause)
    }
}

/// Whether stalls of this length and share can stand in the figures.
fn is_marked(longest: Ns, ratio: f64) -> bool {
    longest > STALL_MAX || ratio > STALLED_RATIO_MAX
}

#[cfg(test)]
mod tests;

//! When no more is asked.

use telemetry::{Ns, Tick};

use crate::ask::End;
use crate::clock::Clock;

/// When to stop asking, in ticks and sequence numbers.
pub(super) struct Finish {
    /// No question is due at this instant or later.
    pub(super) at: Tick,
    /// No question is sent at this instant or later, however many are overdue.
    pub(super) limit: Tick,
    /// No more than so many questions.
    pub(super) count: u64,
}

impl Finish {
    /// After so many questions, whatever the time.
    pub(super) const fn after(count: u64) -> Self {
        Self { at: Tick(u64::MAX), limit: Tick(u64::MAX), count }
    }

    /// A run of some seconds takes at most as long again for what it could not send in time.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Ask::check bounds the seconds"
    )]
    pub(super) fn of(end: End, began: Tick, clock: &impl Clock) -> Self {
        match end {
            End::Count(count) => Self::after(count),
            End::Seconds(seconds) => {
                let ticks = clock.rate().ticks(Ns((seconds * 1e9) as u64));
                let at = Tick(began.0.saturating_add(ticks));
                Self { at, limit: Tick(at.0.saturating_add(ticks)), count: u64::MAX }
            }
        }
    }
}

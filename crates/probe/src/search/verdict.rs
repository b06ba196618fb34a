//! What a trial means.

use std::fmt;

use serde::Serialize;

use crate::own_error::OwnError;

/// The part of the wanted rate that a probe has to reach.
pub const PACE_MIN: f64 = 0.99;

/// The part of a trial that the probe may be away for. What it then sends at once is a harder load than what was asked
/// for, never an easier one, as long as the pace is reached; with more than this it is another load altogether.
pub const STALLED_RATIO_MAX: f64 = 0.1;

/// What a trial means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The rate was reached, and no more was lost than may be.
    Passed,
    /// The rate was reached, and too much was lost.
    Failed,
    /// Invalid: the probe did not reach the rate.
    NotPaced,
    /// Invalid: the probe stalled, so that the load was not even or the loss may be its own.
    Stalled,
    /// Invalid: the probe's own end dropped answers, so that the loss is its own.
    Overrun,
}

impl Verdict {
    /// The verdict on a trial that reached this part of its rate, with so many answers dropped by the probe itself.
    pub(super) fn of(reached_ratio: f64, is_lossy: bool, overruns: u64, own_error: &OwnError) -> Self {
        let was_away = own_error.stalled_ratio > STALLED_RATIO_MAX;
        if was_away || (is_lossy && own_error.was_stalled) {
            Self::Stalled
        } else if is_lossy && overruns > 0 {
            Self::Overrun
        } else if reached_ratio < PACE_MIN {
            Self::NotPaced
        } else if is_lossy {
            Self::Failed
        } else {
            Self::Passed
        }
    }
}

impl Verdict {
    /// Whether another trial may show something else: the probe was unlucky.
    pub(super) const fn is_luck(self) -> bool {
        matches!(self, Self::Stalled | Self::Overrun)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotPaced => "invalid: the probe did not keep the pace",
            Self::Stalled => "invalid: the probe stalled",
            Self::Overrun => "invalid: the probe's own end dropped answers",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_error(stalled_ratio: f64, was_stalled: bool) -> OwnError {
        let mut own_error = OwnError::default();
        (own_error.stalled_ratio, own_error.was_stalled) = (stalled_ratio, was_stalled);
        own_error
    }

    #[test]
    fn a_trial_passes_only_at_its_pace_without_loss_and_without_long_stalls() {
        let fine = own_error(0.0, false);
        assert_eq!(Verdict::of(1.0, false, 0, &fine), Verdict::Passed);
        assert_eq!(Verdict::of(PACE_MIN, false, 0, &fine), Verdict::Passed);
        assert_eq!(Verdict::of(0.9899, false, 0, &fine), Verdict::NotPaced);
        assert_eq!(Verdict::of(1.0, true, 0, &fine), Verdict::Failed);
        assert_eq!(Verdict::of(1.0, true, 1, &fine), Verdict::Overrun);
        assert_eq!(Verdict::of(1.0, false, 1, &fine), Verdict::Passed, "a second answer, or the warm-up's");
    }

    #[test]
    fn a_stall_excuses_a_loss_and_a_long_one_spoils_a_trial_without_loss_too() {
        assert_eq!(Verdict::of(1.0, true, 0, &own_error(0.002, true)), Verdict::Stalled);
        assert_eq!(Verdict::of(1.0, false, 0, &own_error(0.099, true)), Verdict::Passed);
        assert_eq!(Verdict::of(1.0, false, 0, &own_error(0.101, true)), Verdict::Stalled);
        assert_eq!(Verdict::of(0.5, false, 0, &own_error(0.5, true)), Verdict::Stalled);
    }
}

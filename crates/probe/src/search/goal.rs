//! What a search looks for.

use serde::Serialize;
use thiserror::Error;

use crate::ask::{RATE_MAX, RATE_MIN};

/// The finest precision. Repeated trials of one server differ by more.
const PRECISION_MIN: f64 = 0.001;

/// What a search looks for, and where.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// The lowest rate that is tried, in questions per second.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
    /// The part of the questions that may be lost: 0 for the throughput of RFC 2544.
    pub loss_ratio: f64,
    /// How near the result is to a rate that does not pass, as a part of it.
    pub precision: f64,
    /// How long the trials are that say where to look.
    pub short_seconds: f64,
    /// How long the trials are that say what is true. RFC 2544 24 asks for 60.
    pub full_seconds: f64,
}

impl Goal {
    /// The highest rate between two without any loss, to a hundredth, by trials of half a second and of `full_seconds`.
    pub const fn between(lowest: f64, highest: f64, full_seconds: f64) -> Self {
        let short_seconds = full_seconds.min(0.5);
        Self { lowest, highest, loss_ratio: 0.0, precision: 0.01, short_seconds, full_seconds }
    }

    /// Whether that can be looked for.
    ///
    /// # Errors
    /// It cannot.
    pub fn check(&self) -> Result<(), GoalError> {
        let Self { lowest, highest, loss_ratio, precision, short_seconds, full_seconds } = *self;
        let are_rates = lowest >= RATE_MIN && highest <= RATE_MAX && lowest < highest;
        if !are_rates {
            return Err(GoalError::Rates { lowest, highest });
        }
        if !(0.0..1.0).contains(&loss_ratio) {
            return Err(GoalError::LossRatio(loss_ratio));
        }
        if !(PRECISION_MIN..=1.0).contains(&precision) {
            return Err(GoalError::Precision(precision));
        }
        if short_seconds > 0.0 && short_seconds <= full_seconds && full_seconds <= 1e9 {
            Ok(())
        } else {
            Err(GoalError::Seconds { short: short_seconds, full: full_seconds })
        }
    }
}

/// What cannot be looked for: the setting, the value found, and what to do.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub enum GoalError {
    /// No interval.
    #[error(
        "rate: nothing can be looked for from {lowest} to {highest} questions per second; give a lower and a higher \
         rate, {RATE_MIN} to {RATE_MAX}"
    )]
    Rates {
        /// What was asked for.
        lowest: f64,
        /// What was asked for.
        highest: f64,
    },
    /// Not a part.
    #[error("loss ratio: {0} is no part of the questions; give 0 or more, and less than 1")]
    LossRatio(f64),
    /// Not a precision.
    #[error("precision: {0} is no part of a rate; give {PRECISION_MIN} to 1")]
    Precision(f64),
    /// Not the lengths of trials.
    #[error(
        "seconds: trials cannot take {short} s and {full} s; give a short length above 0 and a full one not below it"
    )]
    Seconds {
        /// Of the trials that say where to look.
        short: f64,
        /// Of the trials that say what is true.
        full: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_refused_one_step_beyond_its_limits() {
        let right = Goal::between(1_000.0, 1e6, 5.0);
        assert_eq!(right.check(), Ok(()));
        for wrong in [
            Goal { lowest: 1e6, ..right },
            Goal { lowest: 0.0, ..right },
            Goal { lowest: f64::NAN, ..right },
            Goal { highest: RATE_MAX * 1.01, ..right },
            Goal { loss_ratio: 1.0, ..right },
            Goal { loss_ratio: -0.1, ..right },
            Goal { precision: 0.0, ..right },
            Goal { short_seconds: 0.0, ..right },
            Goal { short_seconds: 6.0, ..right },
            Goal { full_seconds: f64::INFINITY, ..right },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}

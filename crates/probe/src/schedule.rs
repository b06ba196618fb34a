//! When questions are asked.
//!
//! A [`Schedule`] is what the operator wants; a [`Pace`] is one run of it. The pace is told what happens and says
//! when the next question is due. It reads no clock.
//!
//! # Why two kinds
//!
//! A **closed loop** asks the next question when an earlier one is answered, as one patient user does. A server that
//! stalls is then asked less often, just while it is slow: a stall of 200 ms is *one* long round trip, whatever the
//! number of users it would have kept waiting. Percentiles of a closed loop flatter such a server.
//!
//! An **open loop** asks by the clock, as many users do who know nothing of each other. Each question has an intended
//! instant that depends on nothing that the server or the probe does, and its latency counts from there:
//!
//! ```text
//!   intended    │     │     │     │     │     │          the schedule
//!   sent        │     │     └──────────▶│││   │          the probe was held up, and sends at once what is overdue
//!               ├──┤                    ├──┤             round trip: received − sent
//!                           ├──────────────┤             response: received − intended
//! ```
//!
//! So nothing that is slow, the probe included, takes samples away from the figures (that is what "coordinated
//! omission" names). Arrivals are periodic (RFC 3432), or a Poisson process (RFC 2330 11.1.1), which sees a server's
//! states as often as they last and cannot fall into step with anything periodic in it.

mod open;
mod pace;

pub use pace::Pace;

use std::fmt;

use telemetry::Ns;

/// When questions are asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// The next question is asked when an earlier one is answered or given up.
    Closed {
        /// How many questions are under way at once.
        window: u32,
        /// The pause between the end of one question and the one that takes its place.
        gap: Ns,
    },
    /// Questions are asked by the clock. Latency counts from the intended instant.
    Open {
        /// How the intended instants follow each other.
        arrivals: Arrivals,
        /// How many there are per second.
        rate: Ramp,
    },
}

impl Schedule {
    /// One question at a time, without a pause.
    pub const ONE_AT_A_TIME: Self = Self::Closed { window: 1, gap: Ns(0) };
}

/// How the intended instants of an open loop follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly (RFC 3432). The first question is due at the beginning.
    Periodic,
    /// As a Poisson process (RFC 2330 11.1.1): with exponentially distributed gaps, from the run's seed. The first
    /// question is due after the first gap.
    Poisson,
}

impl fmt::Display for Arrivals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Periodic => "periodic",
            Self::Poisson => "poisson",
        })
    }
}

/// Questions per second: one rate, or one that changes linearly from the beginning of the run to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    /// Questions per second at the beginning.
    pub from: f64,
    /// Questions per second at the end.
    pub to: f64,
}

impl Ramp {
    /// The same rate from the beginning to the end.
    pub const fn constant(rate: f64) -> Self {
        Self { from: rate, to: rate }
    }

    /// Whether it is the same rate all along.
    #[expect(clippy::float_cmp, reason = "a constant ramp is made of one number, twice")]
    pub const fn is_constant(self) -> bool {
        self.from == self.to
    }

    /// The highest rate of the run.
    pub const fn highest(self) -> f64 {
        self.from.max(self.to)
    }

    /// The mean rate of the run.
    pub const fn mean(self) -> f64 {
        f64::midpoint(self.from, self.to)
    }
}

/// As on the command line: `PPS`, or `FROM..TO`.
impl fmt::Display for Ramp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_constant() {
            write!(out, "{}", self.from)
        } else {
            write!(out, "{}..{}", self.from, self.to)
        }
    }
}

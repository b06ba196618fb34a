//! The figures of one run: as JSON with units in its keys, and as a table for people.
//!
//! `docs/probe-json.md` explains every key. A key's meaning never changes; a new meaning is a new key, and
//! [`SCHEMA`] changes where a key goes away.

mod parts;
mod runs;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use telemetry::Ns;
use thiserror::Error;

pub use parts::{Outlier, Point, Run};
pub use runs::Runs;

use crate::figures::prefix::prefix;
use crate::figures::{Figures, Interval, log};
use crate::measure::{Ended, Outcome};
use crate::own_error::OwnError;
use crate::schedule::Schedule;

/// Which keys a report has.
pub const SCHEMA: &str = "barelane-probe-2";

prefix!(rtt);
prefix!(response);
prefix!(network);
prefix!(residence);
prefix!(pdv);
prefix!(ipdv);

/// The figures of one measurement, of one run or several. Its fields are the keys of the JSON form, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Report {
    pub schema: String,
    pub target: String,
    pub protocol: String,
    pub port: Option<u16>,
    pub is_authenticated: bool,
    pub size_bytes: u64,
    pub schedule: String,
    pub window: Option<u32>,
    pub gap_ns: Option<u64>,
    pub rate_from_per_second: Option<f64>,
    pub rate_to_per_second: Option<f64>,
    pub timeout_ns: u64,
    pub loss_threshold_ns: u64,
    pub seed: String,
    pub backend: String,
    pub means: String,
    pub nic: Option<String>,
    pub driver: Option<String>,
    pub wait: String,
    pub clock: String,
    pub sent_stamp: String,
    pub received_stamp: String,
    pub began_unix_ns: u64,
    pub wall_ns: u64,
    pub asking_ns: u64,
    pub ended: String,
    pub sent: u64,
    pub answered: u64,
    pub lost: u64,
    pub abandoned: u64,
    pub overruns: Option<u64>,
    pub late: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupted: u64,
    pub unmatched: u64,
    pub refused: u64,
    pub partial_checksums: u64,
    pub unstamped: u64,
    pub unsent: u64,
    pub loss_ratio: Option<f64>,
    pub reordered_ratio: Option<f64>,
    pub sent_per_second: Option<f64>,
    pub answered_per_second: Option<f64>,
    #[serde(flatten, with = "rtt")]
    pub rtt: Figures,
    #[serde(flatten, with = "response")]
    pub response: Figures,
    #[serde(flatten, with = "network")]
    pub network: Figures,
    #[serde(flatten, with = "residence")]
    pub residence: Figures,
    pub jitter_rfc3550_ns: Option<u64>,
    #[serde(flatten, with = "pdv")]
    pub pdv: Figures,
    #[serde(flatten, with = "ipdv")]
    pub ipdv: Figures,
    pub typical_latency_ns: Option<u64>,
    pub worst_case_latency_ns: Option<u64>,
    pub pdv_rfc8219_ns: Option<u64>,
    pub own_error: OwnError,
    pub stalled_runs: u64,
    pub repeats: Vec<Run>,
    pub intervals: BTreeMap<String, Interval>,
    pub outliers: Vec<Outlier>,
    pub series: Vec<Point>,
    pub hdr_log: String,
}

/// Why a text is not a report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// It is not JSON, or a key is missing or has the wrong type.
    #[error("not a report of barelane probe: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It is some other JSON.
    #[error("it names no schema, so that it is no report of barelane probe")]
    NoSchema,
    /// It has another schema.
    #[error("its schema is \"{found}\"; this version reads {SCHEMA}")]
    Schema {
        /// What was found.
        found: String,
    },
}

impl Report {
    /// The figures of one run.
    pub fn new(outcome: &Outcome) -> Self {
        Runs::begin(outcome, 1).report()
    }

    /// What was asked and how it was measured, and no figures yet.
    fn of_nothing(Outcome { ask, facts, clock, began, overruns, .. }: &Outcome) -> Self {
        let (schedule, window, gap, rate) = match ask.schedule {
            Schedule::Closed { window, gap } => ("closed".to_owned(), Some(window), Some(gap.0), None),
            Schedule::Open { arrivals, rate } => (arrivals.to_string(), None, None, Some(rate)),
        };
        Self {
            schema: SCHEMA.to_owned(),
            target: ask.target.to_string(),
            protocol: ask.protocol.name().to_owned(),
            port: ask.protocol.port().map(NonZeroU16::get),
            is_authenticated: ask.stamp_key.is_some(),
            size_bytes: ask.size as u64,
            schedule,
            window,
            gap_ns: gap,
            rate_from_per_second: rate.map(|rate| rate.from),
            rate_to_per_second: rate.map(|rate| rate.to),
            timeout_ns: ask.timeout.0,
            loss_threshold_ns: ask.timeout.0,
            seed: format!("{:#018x}", ask.seed),
            backend: facts.backend.to_owned(),
            means: facts.means.clone(),
            wait: facts.wait.to_owned(),
            clock: (*clock).to_owned(),
            sent_stamp: facts.sent_stamp.to_owned(),
            received_stamp: facts.received_stamp.to_owned(),
            began_unix_ns: began.0,
            ended: runs::ended_of(&Ended::Done),
            overruns: overruns.map(|_| 0),
            ..Self::default()
        }
    }

    /// All samples of one quantity, `rtt`, `response`, `network` or `residence`, in nanoseconds; nothing where there are
    /// none, or the log that a file brought along cannot be read.
    pub fn histogram(&self, quantity: &str) -> Option<Histogram<u64>> {
        log::read(&self.hdr_log, quantity)
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// The text is not JSON, not a report, or a report of another schema.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        let schema = value.get("schema").and_then(serde_json::Value::as_str);
        let found = schema.ok_or(ReportError::NoSchema)?;
        if found != SCHEMA {
            return Err(ReportError::Schema { found: found.to_owned() });
        }
        Ok(serde_json::from_value(value)?)
    }

    /// The JSON form, indented, with a newline at its end.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Whether every question was answered in time and nothing that came was wrong.
    pub const fn is_clean(&self) -> bool {
        self.sent > 0 && self.answered == self.sent && self.duplicated == 0 && self.corrupted == 0
    }
}

/// A part of a whole, or nothing where the whole is nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio is shown with some six digits, a double holds fifteen"
)]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How many there were in a second of `wall`, or nothing where no time has passed.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown with some six digits, a double holds fifteen"
)]
fn per_second(count: u64, wall: Ns) -> Option<f64> {
    (wall.0 > 0).then(|| count as f64 * 1e9 / wall.0 as f64)
}

#[cfg(test)]
mod tests;

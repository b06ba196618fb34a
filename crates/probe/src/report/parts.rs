//! The parts of a report that are lists and objects of their own.

use serde::{Deserialize, Serialize};

use crate::figures::Figures;
use crate::figures::prefix::prefix;

prefix!(rtt);
prefix!(response);
prefix!(pacing);

/// One of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Run {
    pub wall_ns: u64,
    pub sent: u64,
    pub answered: u64,
    pub lost: u64,
    pub late: u64,
    #[serde(flatten, with = "rtt")]
    pub rtt: Figures,
    #[serde(flatten, with = "response")]
    pub response: Figures,
    pub pdv_rfc8219_ns: Option<u64>,
    pub was_stalled: bool,
    pub ended: String,
}

/// The probe's own error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct OwnError {
    pub bias_p50_ns: Option<u64>,
    pub bias_p99_ns: Option<u64>,
    #[serde(flatten, with = "pacing")]
    pub pacing: Figures,
    pub stall_count: u64,
    pub stalls: Vec<Stall>,
    pub steal_ns: Option<u64>,
    pub was_stalled: bool,
}

/// A time in which the probe itself did not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Stall {
    pub run: u64,
    pub at_ns: u64,
    pub length_ns: u64,
    pub cause: Option<String>,
}

/// One of the longest answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Outlier {
    pub run: u64,
    pub sequence: u64,
    pub at_ns: u64,
    pub rtt_ns: u64,
    pub response_ns: Option<u64>,
    pub cause: Option<String>,
}

/// One point of the time series: what was asked in a stretch of time, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Point {
    pub run: u64,
    pub at_ns: u64,
    pub length_ns: u64,
    pub sent: u64,
    pub answered: u64,
    pub lost: u64,
    pub rtt_p50_ns: Option<u64>,
    pub rtt_p99_ns: Option<u64>,
    pub rtt_max_ns: Option<u64>,
}

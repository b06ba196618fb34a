//! The parts of a report that are lists and objects of their own.

use serde::{Deserialize, Serialize};

use crate::figures::Figures;
use crate::figures::prefix::prefix;
use crate::own_error::Cause;

prefix!(rtt);
prefix!(response);

/// One of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Run {
    pub began_unix_ns: u64,
    pub wall_ns: u64,
    pub ended: String,
    pub sent: u64,
    pub answered: u64,
    pub lost: u64,
    pub late: u64,
    #[serde(flatten, with = "rtt")]
    pub rtt: Figures,
    #[serde(flatten, with = "response")]
    pub response: Figures,
    pub jitter_rfc3550_ns: Option<u64>,
    pub pdv_rfc8219_ns: Option<u64>,
    pub was_stalled: bool,
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
    pub cause: Option<Cause>,
}

impl Outlier {
    /// By what it is one: the response time in an open loop, else the round trip.
    pub fn length(&self) -> u64 {
        self.response_ns.unwrap_or(self.rtt_ns)
    }
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

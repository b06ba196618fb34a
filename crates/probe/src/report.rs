//! The figures of one run: as JSON with units in its keys, and as a table for people.
//!
//! `docs/probe-json.md` explains every key. A key's meaning never changes; a new meaning is a new key, and
//! [`SCHEMA`] changes where a key goes away.

mod parts;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetry::Ns;
use thiserror::Error;

pub use parts::{Interval, Outlier, OwnError, Point, Run, Stall};

use crate::ask::Protocol;
use crate::figures::Figures;
use crate::figures::prefix::prefix;
use crate::measure::{Ended, Outcome};
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub seed: u64,
    pub backend: String,
    pub means: String,
    pub wait: String,
    pub clock: String,
    pub sent_stamp: String,
    pub received_stamp: String,
    pub began_unix_ns: Option<u64>,
    pub wall_ns: u64,
    pub ended: String,
    pub sent: u64,
    pub answered: u64,
    pub lost: u64,
    pub late: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub corrupted: u64,
    pub unmatched: u64,
    pub refused: u64,
    pub partial_checksums: u64,
    pub unstamped: u64,
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
    /// It has another schema.
    #[error("its schema is \"{found}\"; this version reads {SCHEMA}")]
    Schema {
        /// What was found.
        found: String,
    },
}

impl Report {
    /// The figures of a run.
    pub fn new(outcome: &Outcome) -> Self {
        let Outcome { ask, facts, clock, wall, counts, record, ended, .. } = outcome;
        let wall = *wall;
        let (protocol, port) = match ask.protocol {
            Protocol::Icmp => ("icmp", None),
            Protocol::Udp { port } => ("udp", Some(port.get())),
        };
        let (schedule, window, gap, rate) = match ask.schedule {
            Schedule::Closed { window, gap } => ("closed".to_owned(), Some(window), Some(gap.0), None),
            Schedule::Open { arrivals, rate } => (arrivals.to_string(), None, None, Some(rate)),
        };
        Self {
            schema: SCHEMA.to_owned(),
            target: ask.target.to_string(),
            protocol: protocol.to_owned(),
            port,
            is_authenticated: false,
            size_bytes: ask.size as u64,
            schedule,
            window,
            gap_ns: gap,
            rate_from_per_second: rate.map(|rate| rate.from),
            rate_to_per_second: rate.map(|rate| rate.to),
            timeout_ns: ask.timeout.0,
            loss_threshold_ns: ask.timeout.0,
            seed: ask.seed,
            backend: facts.backend.to_owned(),
            means: facts.means.clone(),
            wait: facts.wait.to_owned(),
            clock: (*clock).to_owned(),
            sent_stamp: facts.sent_stamp.to_owned(),
            received_stamp: facts.received_stamp.to_owned(),
            began_unix_ns: None,
            wall_ns: wall.0,
            ended: match ended {
                Ended::Done => "done".to_owned(),
                Ended::Stopped => "stopped".to_owned(),
                Ended::Failed(why) => format!("failed: {why}"),
            },
            sent: counts.sent,
            answered: counts.answered,
            lost: counts.lost,
            late: counts.late,
            duplicated: counts.duplicated,
            reordered: counts.reordered,
            corrupted: counts.corrupted,
            unmatched: counts.unmatched,
            refused: counts.refused,
            partial_checksums: counts.partial_checksums,
            unstamped: counts.unstamped,
            loss_ratio: ratio(counts.lost + counts.late, counts.sent),
            reordered_ratio: ratio(counts.reordered, counts.answered + counts.late),
            sent_per_second: per_second(counts.sent, wall),
            answered_per_second: per_second(counts.answered, wall),
            rtt: record.figures(),
            response: Figures::default(),
            network: Figures::default(),
            residence: Figures::default(),
            jitter_rfc3550_ns: None,
            pdv: Figures::default(),
            ipdv: Figures::default(),
            typical_latency_ns: None,
            worst_case_latency_ns: None,
            pdv_rfc8219_ns: None,
            own_error: OwnError::default(),
            repeats: Vec::new(),
            intervals: BTreeMap::new(),
            outliers: Vec::new(),
            series: Vec::new(),
            hdr_log: String::new(),
        }
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// The text is not JSON, not a report, or a report of another schema.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        let found = value.get("schema").and_then(serde_json::Value::as_str).unwrap_or_default();
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
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::num::NonZeroU16;

    use telemetry::{Tick, TickRate};

    use super::*;
    use crate::ask::Ask;
    use crate::matching::{Counts, Sample};
    use crate::own_error;
    use crate::record::Record;
    use crate::transport::Facts;

    const FACTS: Facts = Facts {
        backend: "simulation",
        means: String::new(),
        wait: "spin",
        sent_stamp: "before send",
        received_stamp: "after receive",
    };

    fn outcome(counts: Counts) -> Outcome {
        let udp = Protocol::Udp { port: NonZeroU16::new(7).unwrap() };
        let ask = Ask { seed: 1, ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), udp) };
        let mut record = Record::new(&ask, TickRate::NANOSECONDS).unwrap();
        for _ in 0..counts.answered {
            record.add(&Sample { received: Tick(12_345), ..Sample::default() });
        }
        let wall = Ns(if counts.sent == 0 { 0 } else { 1_000_000_000 });
        let (clock, own_error, ended) = ("simulated", own_error::OwnError::default(), Ended::Done);
        Outcome { ask, facts: FACTS, clock, wall, asking: wall, counts, record, own_error, ended }
    }

    fn report(samples: u64) -> Report {
        let counts = Counts { sent: samples + 2, answered: samples, lost: 1, late: 1, ..Counts::default() };
        Report::new(&outcome(counts))
    }

    #[test]
    fn a_figure_without_samples_is_null_in_json_and_a_dash_in_the_table() {
        let report = report(999);
        let text = report.to_json().unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(Report::from_json(&text).unwrap(), report);
        assert!(json["rtt_p99_9_ns"].is_null());
        assert_eq!(json["rtt_p50_ns"], 12_345);
        assert!(report.to_string().contains("–"), "{report}");
    }

    #[test]
    fn the_fates_add_up_in_the_table() {
        let text = report(1000).to_string();
        assert!(text.contains("sent 1002 = answered 1000 + lost 1 + late 1; loss 0.1996 %"), "{text}");
        assert!(text.contains("12.345"), "{text}");
    }

    /// The keys of an object and of the objects in it, each row of figures as one.
    fn keys_of(value: &serde_json::Value, keys: &mut std::collections::BTreeSet<String>) {
        let ends: Vec<&str> = Figures::default().keyed().map(|(key, _)| key).to_vec();
        for (key, inner) in value.as_object().into_iter().flatten() {
            let end =
                ends.iter().find(|end| key.strip_suffix(*end).is_some_and(|start| start.ends_with('_')));
            keys.insert(end.map_or_else(|| key.clone(), |end| format!("…_{end}")));
            keys_of(inner, keys);
        }
    }

    #[test]
    fn every_key_of_the_report_is_documented() {
        let text = include_str!("../../../docs/probe-json.md");
        let mut keys = std::collections::BTreeSet::new();
        keys_of(&serde_json::to_value(report(1)).unwrap(), &mut keys);
        for key in keys {
            assert!(text.contains(&format!("| `{key}` |")), "docs/probe-json.md does not explain `{key}`");
        }
    }

    #[test]
    fn a_run_with_nothing_sent_has_no_ratios_and_is_not_clean() {
        let report = Report::new(&outcome(Counts::default()));
        assert_eq!((report.loss_ratio, report.answered_per_second, report.is_clean()), (None, None, false));
    }
}

//! The figures of one run: as JSON with units in its keys, and as a table for people.
//!
//! `docs/probe-json.md` explains every key. A key's meaning never changes; a new meaning is a new key, and
//! [`SCHEMA`] changes where a key goes away.

use std::fmt;

use serde::Serialize;
use telemetry::Ns;

use crate::ask::{Ask, Protocol};
use crate::matching::Counts;
use crate::record::Record;
use crate::schedule::Schedule;
use crate::transport::Facts;

/// Which keys a report has.
pub const SCHEMA: &str = "barelane-probe-1";

/// The figures of one run. Its fields are the keys of the JSON form, in their order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct Report {
    pub schema: &'static str,
    pub target: String,
    pub protocol: &'static str,
    pub port: Option<u16>,
    pub size_bytes: usize,
    pub schedule: &'static str,
    pub gap_ns: u64,
    pub timeout_ns: u64,
    pub backend: &'static str,
    pub means: String,
    pub wait: &'static str,
    pub clock: &'static str,
    pub sent_stamp: &'static str,
    pub received_stamp: &'static str,
    pub wall_ns: u64,
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
    pub loss_ratio: Option<f64>,
    pub answered_per_second: Option<f64>,
    pub rtt_samples: u64,
    pub rtt_min_ns: Option<u64>,
    pub rtt_mean_ns: Option<u64>,
    pub rtt_p50_ns: Option<u64>,
    pub rtt_p90_ns: Option<u64>,
    pub rtt_p99_ns: Option<u64>,
    pub rtt_p99_9_ns: Option<u64>,
    pub rtt_p99_99_ns: Option<u64>,
    pub rtt_max_ns: Option<u64>,
}

impl Report {
    /// The figures of a run that took `wall`, without its warm-up and its linger.
    pub fn new(
        ask: &Ask,
        facts: &Facts,
        clock: &'static str,
        wall: Ns,
        counts: &Counts,
        record: &Record,
    ) -> Self {
        let (protocol, port) = match ask.protocol {
            Protocol::Icmp => ("icmp", None),
            Protocol::Udp { port } => ("udp", Some(port.get())),
        };
        let Schedule::Closed { gap } = ask.schedule;
        Self {
            schema: SCHEMA,
            target: ask.target.to_string(),
            protocol,
            port,
            size_bytes: ask.size,
            schedule: "closed",
            gap_ns: gap.0,
            timeout_ns: ask.timeout.0,
            backend: facts.backend,
            means: facts.means.clone(),
            wait: facts.wait,
            clock,
            sent_stamp: facts.sent_stamp,
            received_stamp: facts.received_stamp,
            wall_ns: wall.0,
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
            loss_ratio: ratio(counts.lost + counts.late, counts.sent),
            answered_per_second: ratio(counts.answered, wall.0).map(|per_ns| per_ns * 1e9),
            rtt_samples: record.samples(),
            rtt_min_ns: record.min(),
            rtt_mean_ns: record.mean(),
            rtt_p50_ns: record.exceeded_by_one_in(2),
            rtt_p90_ns: record.exceeded_by_one_in(10),
            rtt_p99_ns: record.exceeded_by_one_in(100),
            rtt_p99_9_ns: record.exceeded_by_one_in(1_000),
            rtt_p99_99_ns: record.exceeded_by_one_in(10_000),
            rtt_max_ns: record.max(),
        }
    }

    /// The JSON form, indented, with a newline at its end.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Whether every question was answered in time and nothing that came was wrong.
    pub const fn is_clean(&self) -> bool {
        self.sent > 0 && self.answered == self.sent && self.duplicated == 0 && self.corrupted == 0
    }

    /// The round trips by name, in the order of the table.
    fn round_trips(&self) -> [(&'static str, Option<u64>); 8] {
        [
            ("min", self.rtt_min_ns),
            ("mean", self.rtt_mean_ns),
            ("p50", self.rtt_p50_ns),
            ("p90", self.rtt_p90_ns),
            ("p99", self.rtt_p99_ns),
            ("p99.9", self.rtt_p99_9_ns),
            ("p99.99", self.rtt_p99_99_ns),
            ("max", self.rtt_max_ns),
        ]
    }
}

/// The table for people: what was asked, how it was measured, what became of the questions, the round trips.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_setting(out)?;
        self.write_fates(out)?;
        self.write_round_trips(out)
    }
}

impl Report {
    fn write_setting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        writeln!(out, "{} {}{port}, {} payload bytes", self.target, self.protocol, self.size_bytes)?;
        writeln!(out, "  {} loop, {} ns gap, {} ns time-out", self.schedule, self.gap_ns, self.timeout_ns)?;
        writeln!(out, "  by {}: {} ({})", self.backend, self.means, self.wait)?;
        writeln!(out, "  stamps by {}: {}; {}", self.clock, self.sent_stamp, self.received_stamp)
    }

    fn write_fates(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sent, answered, lost, late] = [self.sent, self.answered, self.lost, self.late];
        let percent =
            self.loss_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.4} %", ratio * 100.0));
        writeln!(out, "  sent {sent} = answered {answered} + lost {lost} + late {late}; loss {percent}")?;
        let notes = [
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("corrupted", self.corrupted),
            ("unmatched", self.unmatched),
            ("refused", self.refused),
            ("partial checksums", self.partial_checksums),
        ];
        let seen: Vec<String> = notes
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        if seen.is_empty() { Ok(()) } else { writeln!(out, "  {}", seen.join(", ")) }
    }

    fn write_round_trips(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.round_trips();
        write!(out, "  rtt µs ")?;
        for (name, _) in cells {
            write!(out, " {name:>9}")?;
        }
        write!(out, "\n         ")?;
        for (_, ns) in cells {
            write!(out, " {:>9}", ns.map_or_else(|| "–".to_owned(), microseconds))?;
        }
        writeln!(out, "   of {} samples", self.rtt_samples)
    }
}

/// Nanoseconds as microseconds with three decimals, exact.
fn microseconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000, ns % 1_000)
}

/// A part of a whole, or nothing where the whole is nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio is shown with some six digits, a double holds fifteen"
)]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::num::NonZeroU16;

    use super::*;

    const FACTS: Facts = Facts {
        backend: "simulation",
        means: String::new(),
        wait: "spin",
        sent_stamp: "before send",
        received_stamp: "after receive",
    };

    fn report(samples: u64) -> Report {
        let ask = Ask {
            seed: 1,
            ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Udp { port: NonZeroU16::new(7).unwrap() })
        };
        let mut record = Record::up_to(Ns(1_000_000_000)).unwrap();
        for _ in 0..samples {
            record.add(Ns(12_345));
        }
        let counts = Counts { sent: samples + 2, answered: samples, lost: 1, late: 1, ..Counts::default() };
        Report::new(&ask, &FACTS, "simulated", Ns(1_000_000_000), &counts, &record)
    }

    #[test]
    fn a_figure_without_samples_is_null_in_json_and_a_dash_in_the_table() {
        let report = report(999);
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
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

    #[test]
    fn every_key_of_the_report_is_documented() {
        let text = include_str!("../../../docs/probe-json.md");
        let json = serde_json::to_value(report(1)).unwrap();
        for key in json.as_object().unwrap().keys() {
            assert!(text.contains(&format!("| `{key}` |")), "docs/probe-json.md does not explain `{key}`");
        }
    }

    #[test]
    fn a_run_with_nothing_sent_has_no_ratios_and_is_not_clean() {
        let ask = Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Icmp);
        let record = Record::up_to(Ns(1_000)).unwrap();
        let report = Report::new(&ask, &FACTS, "simulated", Ns(0), &Counts::default(), &record);
        assert_eq!((report.loss_ratio, report.answered_per_second, report.is_clean()), (None, None, false));
    }
}

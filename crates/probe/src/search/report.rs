//! What a search says: as JSON with units in its keys, and as a table for people.
//!
//! `docs/probe-json.md` explains every key.

use std::fmt;
use std::num::NonZeroU16;

use serde::Serialize;

use super::{Limit, Search, Step};
use crate::ask::Ask;
use crate::measure::Ended;
use crate::report::Report;
use crate::report::table::way;
use crate::transport::Facts;

/// Which keys the report of a search has.
pub const SCHEMA: &str = "barelane-probe-search-1";

/// What a search says. Its fields are the keys of the JSON form, in their order.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct SearchReport {
    pub schema: &'static str,
    pub target: String,
    pub protocol: &'static str,
    pub port: Option<u16>,
    pub size_bytes: usize,
    pub timeout_ns: u64,
    pub backend: &'static str,
    pub means: String,
    pub nic: Option<String>,
    pub driver: Option<String>,
    pub wait: &'static str,
    pub clock: &'static str,
    pub lowest_per_second: f64,
    pub highest_per_second: f64,
    pub loss_ratio_goal: f64,
    pub precision: f64,
    pub short_seconds: f64,
    pub full_seconds: f64,
    pub ended: String,
    pub rate_without_loss_per_second: Option<f64>,
    pub rate_with_loss_per_second: Option<f64>,
    pub limited_by: Option<Limit>,
    pub steps: Vec<Step>,
    pub latency: Vec<LatencyReport>,
}

/// The latency at a part of the rate without loss.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "docs/probe-json.md explains every key, once")]
pub struct LatencyReport {
    pub share: f64,
    pub report: Report,
}

impl SearchReport {
    /// The report of a search with measurements like `ask`, over this backend and by this clock.
    pub fn new(search: &Search, ask: &Ask, facts: &Facts, clock: &'static str) -> Self {
        let goal = search.goal;
        let latency = search.latency.iter();
        Self {
            schema: SCHEMA,
            target: ask.target.to_string(),
            protocol: ask.protocol.name(),
            port: ask.protocol.port().map(NonZeroU16::get),
            size_bytes: ask.size,
            timeout_ns: ask.timeout.0,
            backend: facts.backend,
            means: facts.means.clone(),
            nic: None,
            driver: None,
            wait: facts.wait,
            clock,
            lowest_per_second: goal.lowest,
            highest_per_second: goal.highest,
            loss_ratio_goal: goal.loss_ratio,
            precision: goal.precision,
            short_seconds: goal.short_seconds,
            full_seconds: goal.full_seconds,
            ended: match &search.ended {
                Ended::Done => "done".to_owned(),
                Ended::Stopped => "stopped".to_owned(),
                Ended::Failed(why) => format!("failed: {why}"),
            },
            rate_without_loss_per_second: search.rate_without_loss,
            rate_with_loss_per_second: search.rate_with_loss,
            limited_by: search.limited_by,
            steps: search.steps.clone(),
            latency: latency
                .map(|latency| LatencyReport { share: latency.share, report: Report::new(&latency.outcome) })
                .collect(),
        }
    }

    /// The JSON form, indented, with a newline at its end.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    fn write_result(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rate_without_loss_per_second, self.rate_with_loss_per_second) {
            (Some(rate), Some(above)) => {
                write!(out, "  {rate:.1} questions per second pass, {above:.1} do not")?;
            }
            (Some(rate), None) => write!(out, "  {rate:.1} questions per second pass")?,
            (None, Some(rate)) => write!(out, "  no rate passes: {rate:.1} questions per second do not")?,
            (None, None) => write!(out, "  no trial of full length was run")?,
        }
        match self.limited_by {
            Some(limit) => writeln!(out, "; {limit}"),
            None => writeln!(out, "; the search ended early: {}", self.ended),
        }
    }
}

/// Every trial, the result, and a table for each latency.
impl fmt::Display for SearchReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        writeln!(out, "{} {}{port}, {} payload bytes", self.target, self.protocol, self.size_bytes)?;
        writeln!(
            out,
            "  by {}: {} ({}){}, with the clock {}",
            self.backend,
            self.means,
            self.wait,
            way(self.nic.as_deref(), self.driver.as_deref()),
            self.clock
        )?;
        writeln!(
            out,
            "  from {} to {} questions per second, to {} %, with a loss of at most {} %",
            self.lowest_per_second,
            self.highest_per_second,
            self.precision * 100.0,
            self.loss_ratio_goal * 100.0
        )?;
        writeln!(
            out,
            "  {:>12} {:>12} {:>8} {:>11} {:>9} {:>9}",
            "wanted/s", "reached/s", "seconds", "sent", "lost", "away %"
        )?;
        for step in &self.steps {
            writeln!(out, "  {step}")?;
        }
        self.write_result(out)?;
        for LatencyReport { share, report } in &self.latency {
            write!(out, "\nat {:.0} % of it: {report}", share * 100.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted_per_second, reached_per_second, seconds, sent, lost, stalled_ratio, verdict } =
            self;
        let away = stalled_ratio * 100.0;
        write!(
            out,
            "{wanted_per_second:>12.1} {reached_per_second:>12.1} {seconds:>8} {sent:>11} {lost:>9} {away:>9.3}  {verdict}"
        )
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Target => "the target, or the way to it, loses more",
            Self::Probe => "the probe cannot ask faster, or was itself held up each time",
            Self::Goal => "that is the highest rate that was looked for",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::ask::Protocol;
    use crate::search::{Goal, Verdict};

    fn search(passed: Option<f64>, ended: Ended) -> Search {
        let step = Step {
            wanted_per_second: 2_000.0,
            reached_per_second: 1_999.5,
            seconds: 0.5,
            sent: 1_000,
            lost: 3,
            stalled_ratio: 0.00125,
            verdict: Verdict::Failed,
        };
        Search {
            goal: Goal::between(1_000.0, 2_000.0, 5.0),
            rate_without_loss: passed,
            rate_with_loss: Some(2_000.0),
            limited_by: (ended == Ended::Done).then_some(Limit::Target),
            steps: vec![step],
            latency: Vec::new(),
            ended,
        }
    }

    fn report(passed: Option<f64>, ended: Ended) -> SearchReport {
        let facts = Facts {
            backend: "simulation",
            means: "a wire in memory".to_owned(),
            wait: "spin",
            sent_stamp: "",
            received_stamp: "",
        };
        let ask = Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Icmp);
        SearchReport::new(&search(passed, ended), &ask, &facts, "simulated")
    }

    #[test]
    fn the_table_says_every_trial_and_the_result() {
        let text = report(Some(1_990.0), Ended::Done).to_string();
        assert!(
            text.starts_with("127.0.0.1 icmp, 56 payload bytes\n  by simulation: a wire in memory"),
            "{text}"
        );
        assert!(
            text.contains("2000.0       1999.5      0.5        1000         3     0.125  failed"),
            "{text}"
        );
        assert!(text.contains("1990.0 questions per second pass, 2000.0 do not; the target"), "{text}");
        let text = report(None, Ended::Stopped).to_string();
        assert!(text.contains("no rate passes") && text.contains("ended early: stopped"), "{text}");
    }

    #[test]
    fn every_key_is_documented() {
        let text = include_str!("../../../../docs/probe-json.md");
        let json = serde_json::to_value(report(None, Ended::Done)).unwrap();
        let steps = json["steps"][0].as_object().unwrap().keys();
        for key in
            json.as_object().unwrap().keys().chain(steps).map(String::as_str).chain(["share", "report"])
        {
            assert!(text.contains(&format!("| `{key}` |")), "docs/probe-json.md does not explain `{key}`");
        }
    }
}

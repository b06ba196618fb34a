//! What came of all rounds: medians, ratios within a round, and whether every reply was right.

use std::fs;

use probe::Report;
use serde_json::{Value, json};

use super::link::Hosts;
use super::row::{Measured, Row, SIZE};
use crate::error::Error;

/// Which keys the JSON form has; `docs/demo-json.md` explains them.
const SCHEMA: &str = "barelane-demo-1";

/// The reports of every round, row by row.
#[derive(Debug)]
pub(super) struct Outcome {
    rows: Vec<(Row, Vec<Report>)>,
    /// How each row's server ran, in the last round.
    servers: Vec<(Row, String)>,
    client_core: usize,
    server_core: usize,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) row: Row,
    pub(super) p50_ns: Option<u64>,
    pub(super) p99_ns: Option<u64>,
    pub(super) p50_ratio: Option<f64>,
    pub(super) asked: u64,
    pub(super) answered: u64,
    pub(super) lost: u64,
    pub(super) wrong: u64,
}

impl Outcome {
    /// Nothing measured yet.
    pub(super) fn new(hosts: &Hosts) -> Self {
        let rows = Row::ALL.iter().map(|&row| (row, Vec::new())).collect();
        Self { rows, servers: Vec::new(), client_core: hosts.client_core, server_core: hosts.server_core }
    }

    /// Adds a round's part of a row.
    pub(super) fn add(&mut self, row: Row, Measured { report, server }: Measured) {
        if let Some((_, reports)) = self.rows.iter_mut().find(|(known, _)| *known == row) {
            reports.push(report);
        }
        self.servers.retain(|(known, _)| *known != row);
        self.servers.push((row, server));
    }

    /// How a row's server ran.
    pub(super) fn server(&self, row: Row) -> &str {
        self.servers.iter().find(|(known, _)| *known == row).map_or("", |(_, server)| server)
    }

    /// Every row's figures.
    pub(super) fn figures(&self) -> Vec<Figures> {
        self.rows.iter().map(|(row, reports)| self.figures_of(*row, reports)).collect()
    }

    fn figures_of(&self, row: Row, reports: &[Report]) -> Figures {
        let sum = |what: fn(&Report) -> u64| reports.iter().map(what).sum();
        Figures {
            row,
            p50_ns: median(reports.iter().filter_map(|report| report.rtt.p50_ns)),
            p99_ns: median(reports.iter().filter_map(|report| report.rtt.p99_ns)),
            p50_ratio: self.ratio(reports),
            asked: sum(|report| report.sent),
            answered: sum(|report| report.answered),
            lost: sum(|report| report.lost + report.late),
            wrong: sum(|report| report.corrupted + report.duplicated + report.unmatched + report.refused),
        }
    }

    /// The median, over all rounds, of this row's p50 over the reference's p50 in the same round.
    #[expect(clippy::cast_precision_loss, reason = "round trips stay far below 2^53 ns")]
    fn ratio(&self, reports: &[Report]) -> Option<f64> {
        let (_, reference) = self.rows.iter().find(|(row, _)| *row == Row::REFERENCE)?;
        let mut ratios: Vec<f64> = reports
            .iter()
            .zip(reference)
            .filter_map(|(ours, theirs)| Some(ours.rtt.p50_ns? as f64 / theirs.rtt.p50_ns? as f64))
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    }

    /// Fails unless every question of every row was answered, once and rightly.
    pub(super) fn check(&self) -> Result<(), Error> {
        let bad: Vec<String> = self
            .figures()
            .iter()
            .filter(|figures| figures.answered == 0 || figures.lost > 0 || figures.wrong > 0)
            .map(|figures| format!("{}: {} lost, {} wrong", figures.row.title(), figures.lost, figures.wrong))
            .collect();
        if bad.is_empty() {
            Ok(())
        } else {
            Err(Error::Failed(format!("not every reply was right: {}", bad.join("; "))))
        }
    }

    /// The JSON form, with the facts of the machine.
    pub(super) fn to_json(&self) -> Result<String, Error> {
        let rows: Vec<Value> = self
            .figures()
            .into_iter()
            .zip(&self.rows)
            .map(|(row, (_, reports))| row_json(row, self.server(row.row), reports))
            .collect();
        let value = json!({
            "schema": SCHEMA,
            "machine": machine(),
            "client_core": self.client_core,
            "server_core": self.server_core,
            "size_bytes": SIZE,
            "reference": Row::REFERENCE.name(),
            "rows": rows,
        });
        let text = serde_json::to_string_pretty(&value).map_err(|error| Error::Failed(error.to_string()))?;
        Ok(text + "\n")
    }
}

fn row_json(figures: Figures, server: &str, rounds: &[Report]) -> Value {
    json!({
        "name": figures.row.name(),
        "title": figures.row.title(),
        "server": server,
        "rtt_p50_ns": figures.p50_ns,
        "rtt_p99_ns": figures.p99_ns,
        "rtt_p50_ratio": figures.p50_ratio,
        "sent": figures.asked,
        "answered": figures.answered,
        "lost": figures.lost,
        "wrong": figures.wrong,
        "rounds": rounds,
    })
}

/// What figures depend on, as far as the kernel tells.
fn machine() -> Value {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo").lines().find_map(|line| {
        line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned())
    });
    json!({
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "processor": cpu,
        "cores_online": host::cores::online().map(|cores| cores.len()).ok(),
    })
}

/// The middle one; of an even number the upper middle.
fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disturbed_round_does_not_move_the_median() {
        assert_eq!(median([5, 900, 6, 4, 5].into_iter()), Some(5));
        assert_eq!(median([].into_iter()), None);
    }
}

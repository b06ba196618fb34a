//! The outcome as programs read it; `docs/demo-json.md` explains the keys.

use std::fs;

use serde_json::{Value, json};

use super::{Outcome, RowOutcome};
use crate::demo::asking::SIZE;
use crate::demo::row::REFERENCE;
use crate::error::Error;

/// Which keys there are.
const SCHEMA: &str = "barelane-demo-1";

impl Outcome {
    /// The JSON form, with the facts of the machine.
    pub(in crate::demo) fn to_json(&self) -> Result<String, Error> {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.row_json(row)).collect();
        let value = json!({
            "schema": SCHEMA,
            "machine": machine(),
            "client_core": self.client_core,
            "server_core": self.server_core,
            "size_bytes": SIZE,
            "reference": REFERENCE,
            "rows": rows,
        });
        let text = serde_json::to_string_pretty(&value);
        text.map(|text| text + "\n").map_err(|error| Error::Failed(error.to_string()))
    }

    fn row_json(&self, outcome: &RowOutcome) -> Value {
        let (row, figures, last) = (outcome.row, self.figures(outcome), outcome.last());
        let rounds: Vec<&Value> = outcome.rounds.iter().map(|(_, measured)| &measured.part.whole).collect();
        let numbers: Vec<u32> = outcome.rounds.iter().map(|(number, _)| *number).collect();
        json!({
            "name": row.name,
            "title": row.title,
            "not_measured": outcome.not_measured,
            "server": last.map(|last| &last.served.server),
            "mode": last.map(|last| &last.served.mode),
            "driver": outcome.driver,
            "client": last.map(|last| &last.part.client),
            "clock": last.map(|last| &last.part.clock),
            "rtt_p50_ns": figures.p50_ns,
            "rtt_p99_ns": figures.p99_ns,
            "ratio_against": row.against,
            "rtt_p50_ratio_min": figures.p50_ratio.map(|ratio| ratio.min),
            "rtt_p50_ratio": figures.p50_ratio.map(|ratio| ratio.median),
            "rtt_p50_ratio_max": figures.p50_ratio.map(|ratio| ratio.max),
            "network_p50_ns": figures.network_p50_ns,
            "residence_p50_ns": figures.residence_p50_ns,
            "stalled_rounds": figures.stalled_rounds,
            "sent": figures.sent,
            "answered": figures.answered,
            "lost": figures.lost,
            "wrong": figures.wrong,
            "round_numbers": numbers,
            "rounds": rounds,
        })
    }
}

/// What figures depend on, as far as the kernel tells.
pub(in crate::demo) fn machine() -> Value {
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

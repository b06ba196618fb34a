//! What came of all rounds, for people and as JSON.

use std::fmt;

use serde_json::{Value, json};
use telemetry::{Histogram, Ns};

use super::load::{Load, Stretch};
use super::{Capacity, IN_TIME, LOSS_MAX, ROWS, Row};
use crate::config::values::duration_text;
use crate::demo::asking::SIZE;
use crate::demo::outcome::{Spread, machine};
use crate::error::Error;

/// Which keys there are.
const SCHEMA: &str = "barelane-overload-2";

/// What came of all rows.
#[derive(Debug)]
pub(super) struct Outcome {
    client_core: usize,
    server_core: usize,
    capacity: Capacity,
    limit: Ns,
    /// Each stretch with its round and its row.
    stretches: Vec<(u32, &'static str, Stretch)>,
}

impl Outcome {
    pub(super) fn new(load: &Load<'_>, capacity: Capacity, limit: Ns) -> Self {
        let (client_core, server_core) = (load.hosts.client_core, load.hosts.server_core);
        Self { client_core, server_core, capacity, limit, stretches: Vec::new() }
    }

    pub(super) fn add(&mut self, round: u32, row: &Row, stretch: Stretch) {
        self.stretches.push((round, row.name, stretch));
    }

    fn of(&self, row: &Row) -> impl Iterator<Item = (u32, &Stretch)> {
        self.stretches
            .iter()
            .filter(|(_, name, _)| *name == row.name)
            .map(|(round, _, stretch)| (*round, stretch))
    }

    fn median(&self, row: &Row, what: impl Fn(&Stretch) -> f64) -> f64 {
        let spread = Spread::of(self.of(row).map(|(_, stretch)| what(stretch)).collect());
        spread.map_or(f64::NAN, |spread| spread.median)
    }

    /// The latest that an answer is worth something.
    fn in_time(&self) -> Ns {
        Ns(self.limit.0.saturating_mul(IN_TIME))
    }

    pub(super) fn to_json(&self) -> Result<String, Error> {
        let value = json!({
            "schema": SCHEMA,
            "machine": machine(),
            "client_core": self.client_core,
            "server_core": self.server_core,
            "size_bytes": SIZE,
            "age_limit_ns": self.limit.0,
            "in_time_ns": self.in_time().0,
            "saturated_per_second": self.capacity.saturated,
            "no_loss_per_second": self.capacity.without_loss,
            "is_overload": self.capacity.is_exceeded(),
            "rows": ROWS.iter().map(|row| self.row_to_json(row)).collect::<Vec<_>>(),
        });
        let text = serde_json::to_string_pretty(&value);
        text.map(|text| text + "\n").map_err(|error| Error::Failed(error.to_string()))
    }

    fn row_to_json(&self, row: &Row) -> Value {
        let numbers: Vec<u32> = self.of(row).map(|(round, _)| round).collect();
        json!({
            "name": row.name,
            "title": row.title,
            "asked_ratio": row.asked,
            "is_limited": row.is_limited,
            "round_numbers": numbers,
            "rounds": self.of(row).map(|(_, stretch)| stretch_to_json(stretch, self.in_time())).collect::<Vec<_>>(),
        })
    }

    /// Fails where no question was stamped, or nothing was answered: then there are no figures.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_void = |stretch: &Stretch| stretch.answered == 0 || stretch.residence.count() == 0;
        match self.stretches.iter().find(|(.., stretch)| is_void(stretch)) {
            None => Ok(()),
            Some((round, name, _)) => {
                Err(Error::Failed(format!("nothing was answered with its stamp in round {round} of {name}")))
            }
        }
    }
}

fn stretch_to_json(stretch: &Stretch, in_time: Ns) -> Value {
    let spread = |histogram: &Histogram| [50.0, 99.0, 99.9].map(|percent| histogram.percentile(percent));
    let [queueing_p50, queueing_p99, _] = spread(&stretch.queueing);
    let [residence_p50, residence_p99, residence_p999] = spread(&stretch.residence);
    json!({
        "arrived": stretch.arrived,
        "answered": stretch.answered,
        "too_old": stretch.too_old,
        "loss_ratio": stretch.loss(),
        "arrived_per_second": stretch.arrived_per_second(),
        "answered_per_second": stretch.answered_per_second(),
        "in_time_per_second": stretch.in_time_per_second(in_time),
        "queueing_p50_ns": queueing_p50,
        "queueing_p99_ns": queueing_p99,
        "standing_queue_ns": stretch.queueing.min(),
        "residence_p50_ns": residence_p50,
        "residence_p99_ns": residence_p99,
        "residence_p999_ns": residence_p999,
        "residence_max_ns": stretch.residence.max(),
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rounds, limit) = (self.stretches.len() / ROWS.len(), duration_text(self.limit));
        writeln!(
            out,
            "a lane that is asked for more than it carries, UDP, {SIZE} bytes of payload; age limit {limit}; {rounds} interleaved \
             rounds\n"
        )?;
        writeln!(out, "{}\n", self.capacity)?;
        let times = "in the server: p50, p99";
        writeln!(
            out,
            "{:<18} {:>10} {:>11} {:>10} {:>8} {times:>24}",
            "", "asked/s", "answered/s", "in time/s", "too old"
        )?;
        ROWS.iter().try_for_each(|row| self.write_row(out, row))?;
        write!(
            out,
            "\nmedians over the rounds; times from the XDP program's stamp (CLOCK_MONOTONIC) to the lane's next turn, of what was \
             answered; in time: within {}",
            duration_text(self.in_time())
        )
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = LOSS_MAX * 100.0;
        let whole = match self.without_loss {
            Some(rate) => format!("{rate:.0}/s come with less than {percent:.1} % lost: that is 100 %"),
            None => format!(
                "at every rate that was tried more than {percent:.1} % was lost, for something else ran on these cores: 100 % is \
                 what is answered at saturation"
            ),
        };
        write!(
            out,
            "{whole}\n{:.0}/s are answered when all is asked that the generator makes",
            self.saturated
        )?;
        if self.is_exceeded() {
            return Ok(());
        }
        write!(
            out,
            ": 200 % is no overload, since the lane's core was taken away while 100 % was looked for; repeat it on a quieter machine"
        )
    }
}

impl Outcome {
    fn write_row(&self, out: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of some seconds")]
        let median = |what: fn(&Stretch) -> u64| self.median(row, |stretch| what(stretch) as f64);
        let too_old = median(|stretch| stretch.too_old) / median(|stretch| stretch.arrived.max(1));
        writeln!(
            out,
            "{:<18} {:>10.0} {:>11.0} {:>10.0} {:>6.1} % {:>11.1} µs {:>7.1} µs",
            row.title,
            self.median(row, Stretch::arrived_per_second),
            self.median(row, Stretch::answered_per_second),
            self.median(row, |stretch| stretch.in_time_per_second(self.in_time())),
            100.0 * too_old,
            median(|stretch| stretch.residence.percentile(50.0)) / 1e3,
            median(|stretch| stretch.residence.percentile(99.0)) / 1e3,
        )
    }
}

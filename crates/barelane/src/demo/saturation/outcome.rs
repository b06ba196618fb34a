//! What came of all rounds, for people and as JSON.

use std::fmt;

use nic::xdp::generator::Answered;
use serde_json::{Value, json};

use super::RowOutcome;
use super::client::{Client, Flooded, WINDOW};
use crate::demo::asking::SIZE;
use crate::demo::outcome::{Spread, machine};
use crate::error::Error;

/// Which keys there are.
const SCHEMA: &str = "barelane-saturation-1";

/// What came of all rows.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) rows: Vec<RowOutcome>,
    pub(super) round_count: u32,
    pub(super) client_core: usize,
    pub(super) server_core: usize,
}

impl Flooded {
    fn sent_per_second(&self) -> f64 {
        self.per_second(self.sent)
    }

    fn answered_per_second(&self) -> f64 {
        self.per_second(self.answered)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of some seconds stay far below 2^53")]
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.length.as_secs_f64()
    }
}

impl RowOutcome {
    fn spread(&self, what: fn(&Flooded) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().map(|(_, flooded)| what(flooded)).collect())
    }

    fn sum(&self, what: fn(&Flooded) -> u64) -> u64 {
        self.rounds.iter().map(|(_, flooded)| what(flooded)).sum()
    }

    /// What makes its figures void. More than is carried is lost by design where the client is the generator; but where
    /// the answer comes in the question's own frame, a lost one would come round as an answer. It counts what its end of
    /// the cable receives, whatever it is: some packets more may be the other kernel's.
    fn complaint(&self) -> Option<String> {
        let (sent, answered) = (self.sum(|flooded| flooded.sent), self.sum(|flooded| flooded.answered));
        let wrong = self.sum(|flooded| flooded.wrong);
        let must_be_whole = match self.row.client {
            Client::Window | Client::Generator(Answered::InPlace) => true,
            Client::Generator(Answered::Elsewhere) => false,
        };
        let is_void = wrong > 0 || (must_be_whole && answered < sent);
        is_void.then(|| format!("{}: {sent} sent, {answered} answered, {wrong} wrong", self.row.title))
    }

    fn to_json(&self) -> Value {
        let numbers: Vec<u32> = self.rounds.iter().map(|(number, _)| *number).collect();
        let round = |(_, flooded): &(u32, Flooded)| {
            json!({
                "sent": flooded.sent,
                "arrived": flooded.arrived,
                "answered": flooded.answered,
                "wrong": flooded.wrong,
                "seconds": flooded.length.as_secs_f64(),
                "sent_per_second": flooded.sent_per_second(),
                "answered_per_second": flooded.answered_per_second(),
            })
        };
        let (sent, answered) =
            (self.spread(Flooded::sent_per_second), self.spread(Flooded::answered_per_second));
        json!({
            "name": self.row.name,
            "title": self.row.title,
            "client": self.row.client.name(),
            "not_measured": self.not_measured,
            "server": self.served.as_ref().map(|served| &served.server),
            "mode": self.served.as_ref().map(|served| &served.mode),
            "sent_per_second": sent.map(|sent| sent.median),
            "answered_per_second_min": answered.map(|answered| answered.min),
            "answered_per_second": answered.map(|answered| answered.median),
            "answered_per_second_max": answered.map(|answered| answered.max),
            "round_numbers": numbers,
            "rounds": self.rounds.iter().map(round).collect::<Vec<_>>(),
        })
    }
}

impl Outcome {
    pub(super) fn to_json(&self) -> Result<String, Error> {
        let value = json!({
            "schema": SCHEMA,
            "machine": machine(),
            "client_core": self.client_core,
            "server_core": self.server_core,
            "size_bytes": SIZE,
            "window": WINDOW,
            "rows": self.rows.iter().map(RowOutcome::to_json).collect::<Vec<_>>(),
        });
        let text = serde_json::to_string_pretty(&value);
        text.map(|text| text + "\n").map_err(|error| Error::Failed(error.to_string()))
    }

    /// Fails where figures are void.
    pub(super) fn check(&self) -> Result<(), Error> {
        let complaints: Vec<String> = self.rows.iter().filter_map(RowOutcome::complaint).collect();
        if complaints.is_empty() {
            Ok(())
        } else {
            Err(Error::Failed(format!("not every question was answered once: {}", complaints.join("; "))))
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "answers a second when more is asked than is carried, UDP, {SIZE} bytes of payload; {} interleaved rounds\n",
            self.round_count
        )?;
        writeln!(out, "{:<28} {:>10} {:>28}  mode", "", "asked/s", "answered/s: min, median, max")?;
        self.rows.iter().try_for_each(|row| write_row(out, row))?;
        writeln!(out)?;
        writeln!(
            out,
            "{:<10} the kernel makes the frames, and a program drops the answers, which the link counts",
            "generator"
        )?;
        writeln!(
            out,
            "{:<10} the probe past its kernel, {WINDOW} questions under way, each answer verified",
            "window"
        )?;
        write!(
            out,
            "On a veth the client's core runs the other end's program: it is in every figure of what answers there."
        )
    }
}

fn write_row(out: &mut fmt::Formatter<'_>, outcome: &RowOutcome) -> fmt::Result {
    let title = outcome.row.title;
    let (Some(sent), Some(answered), Some(served)) = (
        outcome.spread(Flooded::sent_per_second),
        outcome.spread(Flooded::answered_per_second),
        &outcome.served,
    ) else {
        let why = outcome.not_measured.as_deref().unwrap_or("it was not its turn");
        return writeln!(out, "{title:<28} not measured: {why}");
    };
    let Spread { min, median, max } = answered;
    let mode = &served.mode;
    writeln!(out, "{title:<28} {:>10.0} {min:>9.0} {median:>9.0} {max:>8.0}  {mode}", sent.median)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ROWS;
    use super::*;

    fn outcome(name: &str, sent: u64, answered: u64, wrong: u64) -> RowOutcome {
        let row = ROWS.iter().find(|row| row.name == name).unwrap();
        let flooded = Flooded { sent, arrived: sent, answered, wrong, length: Duration::from_millis(500) };
        RowOutcome { row, rounds: vec![(1, flooded)], served: None, not_measured: None }
    }

    #[test]
    fn a_rate_is_that_of_its_own_time() {
        let json = outcome("lane", 1_000, 400, 0).to_json();
        assert_eq!((&json["sent_per_second"], &json["answered_per_second"]), (&json!(2000.0), &json!(800.0)));
    }

    #[test]
    fn what_is_lost_is_a_fault_only_where_nothing_may_be() {
        for (name, is_void) in
            [("lane", false), ("generator_alone", false), ("driver", true), ("lane_by_window", true)]
        {
            assert_eq!(outcome(name, 10, 9, 0).complaint().is_some(), is_void, "{name}");
            assert!(outcome(name, 10, 10, 0).complaint().is_none(), "{name}");
            assert!(outcome(name, 10, 10, 1).complaint().is_some(), "{name}");
        }
    }
}

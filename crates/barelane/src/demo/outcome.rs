//! What came of all rounds: medians, ratios within a round, and whether every reply was right.

mod json;

pub(super) use json::machine;

use std::path::Path;

use probe::report::Runs;

use super::asking::Part;
use super::link::Hosts;
use super::row::Row;
use super::serving::Served;
use crate::error::Error;
use crate::report::{self, Run};

/// One part of a round.
#[derive(Debug)]
pub(super) struct Measured {
    /// What the client found.
    pub(super) part: Part,
    /// How the server ran.
    pub(super) served: Served,
}

/// Whether a page will be written of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// Yes, of the rows that have cables: what it is drawn from is kept, some 12 MB for each row.
    OfCables,
    /// Yes, of those that have none, where no cable can be laid.
    WithoutCables,
    /// No.
    NotWanted,
}

/// What came of one row.
#[derive(Debug)]
pub(super) struct RowOutcome {
    pub(super) row: &'static Row,
    /// The driver of its cable; nothing where there is no cable, since nothing is measured on it.
    pub(super) driver: Option<String>,
    /// What was measured, with the number of its round.
    pub(super) rounds: Vec<(u32, Measured)>,
    /// Why it is not measured, or not any more.
    pub(super) not_measured: Option<String>,
    /// Whether that is because no cable can be laid here.
    pub(super) lacks_privileges: bool,
    /// All rounds summed up, for the page.
    runs: Option<Runs>,
    /// How many rounds there will be.
    round_count: u32,
}

/// What came of all.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) rows: Vec<RowOutcome>,
    pub(super) round_count: u32,
    pub(super) client_core: usize,
    pub(super) server_core: usize,
    /// Whether there were virtual links.
    has_cables: bool,
}

/// The smallest, the middle and the largest over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) p50_ns: Option<u64>,
    pub(super) p99_ns: Option<u64>,
    pub(super) p50_ratio: Option<Spread>,
    pub(super) network_p50_ns: Option<u64>,
    pub(super) residence_p50_ns: Option<u64>,
    /// Rounds in which the client itself stood still; nothing where it does not say.
    pub(super) stalled_rounds: Option<usize>,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) lost: u64,
    pub(super) wrong: u64,
}

impl RowOutcome {
    /// Nothing measured yet.
    pub(super) fn new(
        row: &'static Row,
        driver: Option<String>,
        not_measured: Option<String>,
        round_count: u32,
    ) -> Self {
        let (rounds, runs, lacks_privileges) = (Vec::new(), None, false);
        Self { row, driver, rounds, not_measured, lacks_privileges, runs, round_count }
    }

    /// A row that needs a cable where none can be laid.
    pub(super) fn without_privileges(row: &'static Row, why: String, round_count: u32) -> Self {
        Self { lacks_privileges: true, ..Self::new(row, None, Some(why), round_count) }
    }

    /// Adds a round.
    pub(super) fn add(&mut self, round: u32, mut measured: Measured, page: Page) {
        let outcome = measured.part.outcome.take().filter(|_| self.row.is_drawn_on(page));
        if let Some(outcome) = outcome {
            match &mut self.runs {
                Some(runs) => runs.add(&outcome),
                None => self.runs = Some(Runs::begin(&outcome, self.round_count as usize)),
            }
        }
        self.rounds.push((round, measured));
    }

    /// Whether it takes part in a round.
    pub(super) fn is_due(&self, round: u32) -> bool {
        self.not_measured.is_none() && self.row.is_asked_in(round)
    }

    /// How it was served and asked, in the last round.
    pub(super) fn last(&self) -> Option<&Measured> {
        self.rounds.last().map(|(_, measured)| measured)
    }

    /// All rounds as one run, by the row's title, with who answered and how.
    fn take_run(&mut self) -> Option<Run> {
        let mut report = self.runs.take()?.report();
        (report.nic, report.driver) = (Some(self.row.cable.name.to_owned()), self.driver.clone());
        let Served { server, mode, .. } = &self.last()?.served;
        let beside = vec![("Answered by", server.clone()), ("Answered over", mode.clone())];
        Some(Run { name: self.row.title.to_owned(), report, beside })
    }

    fn p50_in(&self, round: u32) -> Option<u64> {
        self.rounds.iter().find(|(number, _)| *number == round)?.1.part.p50_ns
    }

    fn stalled_rounds(&self) -> Option<usize> {
        let told: Option<Vec<bool>> =
            self.rounds.iter().map(|(_, measured)| measured.part.was_stalled).collect();
        told.map(|told| told.into_iter().filter(|was_stalled| *was_stalled).count())
    }

    fn sum(&self, what: fn(&Part) -> u64) -> u64 {
        self.rounds.iter().map(|(_, measured)| what(&measured.part)).sum()
    }

    fn median(&self, what: fn(&Part) -> Option<u64>) -> Option<u64> {
        median(self.rounds.iter().filter_map(|(_, measured)| what(&measured.part)))
    }
}

impl Outcome {
    pub(super) fn new(hosts: &Hosts, rows: Vec<RowOutcome>, round_count: u32) -> Self {
        let Hosts { client_core, server_core, .. } = *hosts;
        Self { rows, round_count, client_core, server_core, has_cables: hosts.have_cables() }
    }

    /// A row's figures over all rounds.
    pub(super) fn figures(&self, row: &RowOutcome) -> Figures {
        Figures {
            p50_ns: row.median(|part| part.p50_ns),
            p99_ns: row.median(|part| part.p99_ns),
            p50_ratio: self.ratio(row),
            network_p50_ns: row.median(|part| part.network_p50_ns),
            residence_p50_ns: row.median(|part| part.residence_p50_ns),
            stalled_rounds: row.stalled_rounds(),
            sent: row.sum(|part| part.sent),
            answered: row.sum(|part| part.answered),
            lost: row.sum(|part| part.lost),
            wrong: row.sum(|part| part.wrong),
        }
    }

    /// This row's p50 over that of the row that it is compared with, in the same round.
    #[expect(clippy::cast_precision_loss, reason = "round trips stay far below 2^53 ns")]
    fn ratio(&self, row: &RowOutcome) -> Option<Spread> {
        let against = self.row(row.row.against)?;
        let ratios = row.rounds.iter().filter_map(|(round, measured)| {
            Some(measured.part.p50_ns? as f64 / against.p50_in(*round)? as f64)
        });
        Spread::of(ratios.collect())
    }

    fn row(&self, name: &str) -> Option<&RowOutcome> {
        self.rows.iter().find(|row| row.row.name == name)
    }

    /// Writes the page of the UDP rows, all rounds of each summed up.
    pub(super) fn write_page(&mut self, path: &Path) -> Result<(), Error> {
        let runs: Vec<Run> = self.rows.iter_mut().filter_map(RowOutcome::take_run).collect();
        let links = if self.has_cables { "virtual links" } else { "shared memory, and over the loopback" };
        report::write(path, &runs, &format!("barelane demo: UDP round trips over {links}"))
    }

    /// The title of a row.
    pub(super) fn title_of(&self, name: &'static str) -> &'static str {
        self.row(name).map_or(name, |row| row.row.title)
    }

    /// Fails unless every question of every row that was measured was answered, once and rightly.
    pub(super) fn check(&self) -> Result<(), Error> {
        let bad: Vec<String> = self.rows.iter().filter_map(|row| self.complaint(row)).collect();
        if bad.is_empty() {
            Ok(())
        } else {
            Err(Error::Failed(format!("not every reply was right: {}", bad.join("; "))))
        }
    }

    fn complaint(&self, row: &RowOutcome) -> Option<String> {
        let Figures { answered, lost, wrong, .. } = self.figures(row);
        let is_right = answered > 0 && lost == 0 && wrong == 0;
        let was_measured = !row.rounds.is_empty();
        (was_measured && !is_right)
            .then(|| format!("{}: {answered} answered, {lost} lost, {wrong} wrong", row.row.title))
    }
}

impl Spread {
    /// Of an even number the upper middle.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let median = *values.get(values.len() / 2)?;
        Some(Self { min, median, max })
    }
}

/// The middle one; of an even number the upper middle.
fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::row::{REFERENCE, ROWS};
    use super::*;

    fn row(name: &str, p50s: &[(u32, u64)]) -> RowOutcome {
        let row = ROWS.iter().find(|row| row.name == name).unwrap();
        let measured = |&(round, p50)| {
            let part = Part {
                p50_ns: Some(p50),
                p99_ns: None,
                sent: 10,
                answered: 10,
                lost: 0,
                wrong: 0,
                client: String::new(),
                clock: String::new(),
                network_p50_ns: None,
                residence_p50_ns: None,
                was_stalled: Some(p50 > 30),
                whole: Value::Null,
                outcome: None,
            };
            (round, Measured { part, served: Served::new("", "") })
        };
        let rounds = p50s.iter().map(measured).collect();
        RowOutcome { rounds, ..RowOutcome::new(row, None, None, 5) }
    }

    fn outcome(rows: Vec<RowOutcome>) -> Outcome {
        Outcome { rows, round_count: 5, client_core: 0, server_core: 1, has_cables: true }
    }

    #[test]
    fn one_disturbed_round_does_not_move_the_median() {
        assert_eq!(median([5, 900, 6, 4, 5].into_iter()), Some(5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn a_ratio_is_taken_within_a_round_and_has_a_spread() {
        let reference = row(REFERENCE, &[(1, 10), (2, 20), (3, 40)]);
        let outcome = outcome(vec![row("lane_udp", &[(1, 5), (3, 10), (4, 7)]), reference]);
        let figures = outcome.figures(&outcome.rows[0]);
        assert_eq!(figures.p50_ratio, Some(Spread { min: 0.25, median: 0.5, max: 0.5 }));
        assert_eq!((figures.p50_ns, figures.sent), (Some(7), 30));
        assert_eq!(outcome.figures(&outcome.rows[1]).stalled_rounds, Some(1));
    }

    #[test]
    fn a_row_without_its_reference_has_no_ratio() {
        let outcome = outcome(vec![row("lane_udp", &[(1, 5)])]);
        assert_eq!(outcome.figures(&outcome.rows[0]).p50_ratio, None);
    }

    #[test]
    fn what_was_not_measured_is_no_fault_and_what_was_lost_is() {
        let mut lost = row("lane_udp", &[(1, 5)]);
        assert!(outcome(vec![row("dpdk_5tswap", &[])]).check().is_ok());
        lost.rounds[0].1.part.lost = 1;
        let error = outcome(vec![lost]).check().unwrap_err().to_string();
        assert!(error.ends_with("Barelane lane, UDP echo: 10 answered, 1 lost, 0 wrong"), "{error}");
    }
}

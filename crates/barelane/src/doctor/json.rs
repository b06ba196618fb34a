//! The findings for programs: see `docs/doctor-json.md`.

use std::collections::BTreeMap;
use std::path::Path;

use host::doctor::{Card, Examined, Machine, Outcome, Status};
use serde::Serialize;

use crate::error::Error;

/// Which keys there are.
const SCHEMA: &str = "barelane-doctor-1";

#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    kernel: Option<String>,
    lanes: &'a [usize],
    card: Option<&'a Card>,
    cards: Vec<&'a Card>,
    counts: BTreeMap<Status, usize>,
    requirements: &'a [Examined],
    boot: Vec<&'a str>,
    changed: Option<&'a [Outcome]>,
}

#[derive(Serialize)]
struct Undone<'a> {
    schema: &'static str,
    record: String,
    had_record: bool,
    changed: &'a [Outcome],
}

pub(super) fn of(
    machines: &[Machine],
    examined: &[Examined],
    outcomes: Option<&[Outcome]>,
) -> Result<String, Error> {
    let machine = machines.first();
    let cards: Vec<&Card> = machines.iter().filter_map(|machine| machine.card.as_ref()).collect();
    text(&Report {
        schema: SCHEMA,
        kernel: machine.and_then(|machine| machine.tree.word("/proc/sys/kernel/osrelease").ok()),
        lanes: machine.map_or(&[], |machine| &machine.lanes),
        card: cards.first().copied(),
        cards,
        counts: counts(examined),
        requirements: examined,
        boot: boot(examined),
        changed: outcomes,
    })
}

pub(super) fn of_undo(record: &Path, had_record: bool, outcomes: &[Outcome]) -> Result<String, Error> {
    text(&Undone { schema: SCHEMA, record: record.display().to_string(), had_record, changed: outcomes })
}

/// How many requirements have each status; 0 is said, too.
pub(super) fn counts(examined: &[Examined]) -> BTreeMap<Status, usize> {
    let all = [Status::Good, Status::CouldBeBetter, Status::Bad, Status::NotApplicable, Status::CannotTell];
    let of = |status| examined.iter().filter(|one| one.finding.status == status).count();
    all.into_iter().map(|status| (status, of(status))).collect()
}

/// What the boot command line should have more.
pub(super) fn boot(examined: &[Examined]) -> Vec<&str> {
    examined.iter().flat_map(|one| &one.finding.boot).map(String::as_str).collect()
}

fn text(report: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string_pretty(report).map_err(|error| Error::Failed(format!("--json: {error}")))
}

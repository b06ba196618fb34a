//! The findings for people: a row for each requirement, and below it why it matters and what to do, where something is.

use std::fmt::Write;
use std::path::Path;

use host::doctor::{Examined, Machine, Outcome, Status};

use super::json::{boot, counts};

/// Room for the longest status and for the longest name.
const STATUS: usize = 16;
const NAME: usize = 26;

pub(super) fn of(machines: &[Machine], examined: &[Examined], outcomes: Option<&[Outcome]>) -> String {
    let mut text: String = machines.iter().map(heading).collect();
    text.push('\n');
    for one in examined {
        row(&mut text, one);
    }
    text.push('\n');
    if let Some(outcomes) = outcomes {
        told(&mut text, "changed", outcomes);
    }
    summary(&mut text, examined, outcomes.is_some());
    text
}

pub(super) fn of_undo(record: &Path, had_record: bool, outcomes: &[Outcome]) -> String {
    let record = record.display();
    if !had_record {
        return format!("nothing to undo: there is no record {record}");
    }
    let mut text = String::new();
    told(&mut text, "put back", outcomes);
    if outcomes.iter().any(|outcome| outcome.failed.is_some()) {
        line(&mut text, format_args!("what was not put back stays in the record {record}"));
    } else {
        line(&mut text, format_args!("all is as it was; the record {record} is removed"));
    }
    text
}

fn heading(machine: &Machine) -> String {
    let lanes: Vec<_> = machine.own_lanes.iter().map(ToString::to_string).collect();
    let card = machine.card.as_ref().map_or_else(
        || "no card (--nic)".to_owned(),
        |card| format!("{} ({})", card.name, card.driver.as_deref().unwrap_or("no driver")),
    );
    format!("{card}, lanes on cores {}\n", lanes.join(", "))
}

fn row(text: &mut String, one: &Examined) {
    let finding = &one.finding;
    let on = one.nic.as_ref().map_or_else(String::new, |nic| format!("{nic}: "));
    let status = finding.status.to_string();
    line(text, format_args!("{status:<STATUS$}{:<NAME$}{on}{}", one.name, finding.found));
    if !matches!(finding.status, Status::CouldBeBetter | Status::Bad) {
        return;
    }
    below(text, "why", one.why);
    below(text, "do", &finding.remedy);
    for parameter in &finding.boot {
        below(text, "boot", parameter);
    }
}

fn below(text: &mut String, what: &str, words: &str) {
    line(text, format_args!("{:STATUS$}  {what:<5}{words}", ""));
}

fn told(text: &mut String, what: &str, outcomes: &[Outcome]) {
    for outcome in outcomes {
        let Outcome { setting, from, to, .. } = outcome;
        match &outcome.failed {
            None => line(text, format_args!("{what}: {setting}: {from} -> {to}")),
            Some(why) => line(text, format_args!("not {what}: {setting}: {why}")),
        }
    }
}

fn summary(text: &mut String, examined: &[Examined], is_fixed: bool) {
    let counts: Vec<_> =
        counts(examined).into_iter().map(|(status, count)| format!("{count} {status}")).collect();
    line(text, counts.join(", "));
    let changes: usize = examined.iter().map(|one| one.finding.changes.len()).sum();
    if changes > 0 && !is_fixed {
        line(text, format_args!("--fix would change {changes} settings; --undo puts them back"));
    }
    let parameters = boot(examined);
    if !parameters.is_empty() {
        line(text, format_args!("only the boot command line can do: {}", parameters.join(" ")));
    }
}

fn line(text: &mut String, words: impl std::fmt::Display) {
    // A string takes whatever is written to it.
    let _always = writeln!(text, "{words}");
}

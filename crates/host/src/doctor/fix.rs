//! Makes changes, each of them recorded before it is made.

use std::ops::ControlFlow;
use std::path::Path;

use super::Machine;
use super::record::{Entry, Place, Record};
use super::setting::{Change, is_same};

/// The identity of this start of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// A moment of a fix or of an undo. Whoever is told may end it there, as a crash would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A setting is about to be changed; nothing was done for it yet.
    Begin {
        /// For which requirement.
        requirement: &'a str,
        /// Which, as a person reads it.
        setting: &'a str,
        /// What it holds.
        from: &'a str,
        /// What it shall hold.
        to: &'a str,
    },
    /// The record says so, the setting is as it was.
    Recorded,
    /// The setting is changed, the record does not know.
    Changed,
    /// It does.
    Done,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// For which requirement.
    pub requirement: String,
    /// Which setting, as a person reads it.
    pub setting: String,
    /// What it held.
    pub from: String,
    /// What it holds now.
    pub to: String,
    /// Why that is not what was wanted; nothing where it is.
    pub failed: Option<String>,
}

/// Makes these changes, one after the other. One that the kernel refuses is told in its outcome and does not keep the
/// others from being made. A record that cannot be read or written does: nothing is changed that is not in it.
///
/// # Errors
/// The record cannot be used.
pub fn fix(
    machine: &Machine,
    wanted: &[(&str, Change)],
    record: &Path,
    told: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> Result<Vec<Outcome>, String> {
    let place = Place::take(record)?;
    let boot = boot_of(machine);
    let mut record = match place.read()? {
        // What was changed before the machine was started again is in force no more.
        Some(record) if record.boot == boot => record,
        _ => Record::new(boot),
    };
    let mut outcomes = Vec::new();
    for (requirement, change) in wanted {
        match make(machine, &place, &mut record, requirement, change, told)? {
            ControlFlow::Continue(outcome) => outcomes.extend(outcome),
            ControlFlow::Break(()) => break,
        }
    }
    Ok(outcomes)
}

fn boot_of(machine: &Machine) -> String {
    machine.tree.word(BOOT).unwrap_or_default()
}

/// Makes one change. Nothing comes of one that is not needed any more.
fn make(
    machine: &Machine,
    place: &Place,
    record: &mut Record,
    requirement: &str,
    change: &Change,
    told: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Option<Outcome>>, String> {
    let setting = change.setting.to_string();
    let mut outcome = Outcome {
        requirement: requirement.to_owned(),
        setting: setting.clone(),
        from: String::new(),
        to: change.to.clone(),
        failed: None,
    };
    let former = match change.setting.read(machine) {
        Ok(former) if is_same(&former, &change.to) => return Ok(ControlFlow::Continue(None)),
        Ok(former) => former,
        Err(why) => {
            outcome.failed = Some(why);
            return Ok(ControlFlow::Continue(Some(outcome)));
        }
    };
    former.trim().clone_into(&mut outcome.from);
    let begin = Step::Begin { requirement, setting: &setting, from: former.trim(), to: &change.to };
    if told(begin).is_break() {
        return Ok(ControlFlow::Break(()));
    }
    let index = note(record, requirement, change, former);
    place.write(record)?;
    if told(Step::Recorded).is_break() {
        return Ok(ControlFlow::Break(()));
    }
    let made = change.setting.write(machine, &change.to);
    if told(Step::Changed).is_break() {
        return Ok(ControlFlow::Break(()));
    }
    let now = change.setting.read(machine).unwrap_or_default();
    now.trim().clone_into(&mut outcome.to);
    outcome.failed = made.err().or_else(|| not_as_wanted(&change.to, &now));
    settle(record, index, now);
    place.write(record)?;
    Ok(if told(Step::Done).is_break() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(Some(outcome))
    })
}

/// Puts a change into the record before it is made; gives where. A setting that is there already keeps its first value.
fn note(record: &mut Record, requirement: &str, change: &Change, now: String) -> usize {
    let known = record.entries.iter().position(|entry| entry.setting == change.setting);
    let index = known.unwrap_or(record.entries.len());
    match record.entries.get_mut(index) {
        Some(entry) => (entry.set, entry.begun_at) = (change.to.clone(), Some(now)),
        None => record.entries.push(Entry {
            requirement: requirement.to_owned(),
            setting: change.setting.clone(),
            former: now.clone(),
            set: change.to.clone(),
            begun_at: Some(now),
        }),
    }
    index
}

/// Puts what came of a change into the record; where nothing did, there is nothing to undo.
fn settle(record: &mut Record, index: usize, now: String) {
    let Some(entry) = record.entries.get_mut(index) else { return };
    if now == entry.former {
        record.entries.remove(index);
    } else {
        (entry.set, entry.begun_at) = (now, None);
    }
}

fn not_as_wanted(wanted: &str, now: &str) -> Option<String> {
    (!is_same(wanted, now)).then(|| format!("the kernel took it and shows `{}`", now.trim()))
}

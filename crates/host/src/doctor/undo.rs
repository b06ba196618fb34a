//! Puts back what a fix has changed: in reverse order, exactly, and nothing that somebody else has changed since.

use std::ops::ControlFlow;
use std::path::Path;

use super::Machine;
use super::fix::{Outcome, Step};
use super::record::{Entry, Place};
use super::setting::{Change, is_same};

/// What is to be done about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is as it was.
    Restored,
    /// It is as we set it.
    Ours,
    /// It is neither.
    Foreign,
}

/// Undoes what is in the record, and removes it. What could not be put back stays in the record, and its outcome says why.
/// Nothing where there is no record.
///
/// # Errors
/// The record cannot be used.
pub fn undo(
    machine: &Machine,
    record: &Path,
    told: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> Result<Option<Vec<Outcome>>, String> {
    undo_those(machine, record, |_| true, told)
}

/// The same for these changes alone; the rest stays in force and in the record.
///
/// # Errors
/// The record cannot be used.
pub fn undo_these(
    machine: &Machine,
    record: &Path,
    these: &[Change],
    told: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> Result<Option<Vec<Outcome>>, String> {
    undo_those(machine, record, |entry| these.iter().any(|change| change.setting == entry.setting), told)
}

fn undo_those(
    machine: &Machine,
    record: &Path,
    is_wanted: impl Fn(&Entry) -> bool,
    told: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> Result<Option<Vec<Outcome>>, String> {
    if !record.exists() {
        return Ok(None);
    }
    let place = Place::take(record)?;
    let Some(mut record) = place.read()? else { return Ok(None) };
    let (mut outcomes, mut left) = (Vec::new(), Vec::new());
    while let Some(entry) = record.entries.pop() {
        if !is_wanted(&entry) {
            left.push(entry);
            continue;
        }
        let ControlFlow::Continue(outcome) = put_back(machine, &entry, told) else {
            return Ok(Some(outcomes));
        };
        let Some(outcome) = outcome else { continue };
        left.extend(outcome.failed.is_some().then_some(entry));
        outcomes.push(outcome);
    }
    left.reverse();
    record.entries = left;
    if record.entries.is_empty() {
        place.remove()?;
    } else {
        place.write(&record)?;
    }
    Ok(Some(outcomes))
}

/// Puts one setting back. Nothing comes of one that is as it was.
fn put_back(
    machine: &Machine,
    entry: &Entry,
    told: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
) -> ControlFlow<(), Option<Outcome>> {
    let setting = entry.setting.to_string();
    let mut outcome = Outcome {
        requirement: entry.requirement.clone(),
        setting: setting.clone(),
        from: String::new(),
        to: entry.former.trim().to_owned(),
        failed: None,
    };
    let now = match entry.setting.read(machine) {
        Ok(now) => now,
        Err(why) => {
            outcome.failed = Some(why);
            return ControlFlow::Continue(Some(outcome));
        }
    };
    now.trim().clone_into(&mut outcome.from);
    match verdict(entry, &now) {
        Verdict::Restored => return ControlFlow::Continue(None),
        Verdict::Foreign => {
            let (set, former) = (entry.set.trim(), entry.former.trim());
            outcome.failed = Some(format!(
                "somebody else has changed it: we set `{set}`, it is `{}`; left so. To have it as it was, write `{former}`",
                now.trim()
            ));
            now.trim().clone_into(&mut outcome.to);
            return ControlFlow::Continue(Some(outcome));
        }
        Verdict::Ours => {}
    }
    told(Step::Begin {
        requirement: &entry.requirement,
        setting: &setting,
        from: now.trim(),
        to: entry.former.trim(),
    })?;
    let written = entry.setting.write(machine, &entry.former);
    told(Step::Changed)?;
    let after = entry.setting.read(machine).unwrap_or_default();
    outcome.failed = written.err().or_else(|| not_restored(&entry.former, &after));
    ControlFlow::Continue(Some(outcome))
}

/// A change that was not seen to end may have been made or not: either value is ours.
fn verdict(entry: &Entry, now: &str) -> Verdict {
    let was_begun_here = entry.begun_at.as_ref().is_some_and(|begun_at| begun_at == now);
    if now == entry.former {
        Verdict::Restored
    } else if is_same(now, &entry.set) || was_begun_here {
        Verdict::Ours
    } else {
        Verdict::Foreign
    }
}

fn not_restored(former: &str, after: &str) -> Option<String> {
    (former != after).then(|| format!("it was `{}` and is `{}`", former.trim(), after.trim()))
}

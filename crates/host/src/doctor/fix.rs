//! Makes changes, each of them recorded before it is made.

use std::ops::ControlFlow;
use std::path::Path;

use super::Machine;
use super::record::{Entry, Place, Record};
use super::setting::{Change, is_same};

/// The identity of this start of the machine.
pub(super) const BOOT: &str = "/proc/sys/kernel/random/boot_id";

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

/// Why no more changes are made.
enum Stop {
    /// Whoever is told of each step wanted it so.
    Told,
    /// The record cannot be used.
    Record(String),
}

/// A fix on its way.
struct Work<'a> {
    machine: &'a Machine,
    place: Place,
    record: Record,
    told: &'a mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
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
    let boot = machine.tree.word(BOOT).unwrap_or_default();
    let record = match place.read()? {
        // What was changed before the machine was started again is in force no more.
        Some(record) if record.boot == boot => record,
        _ => Record::new(boot),
    };
    let mut work = Work { machine, place, record, told };
    let mut outcomes = Vec::new();
    for (requirement, change) in wanted {
        match work.make(requirement, change) {
            Ok(outcome) => outcomes.extend(outcome),
            Err(Stop::Told) => break,
            Err(Stop::Record(why)) => return Err(why),
        }
    }
    Ok(outcomes)
}

impl Work<'_> {
    /// Makes one change. Nothing comes of one that is not needed any more.
    fn make(&mut self, requirement: &str, change: &Change) -> Result<Option<Outcome>, Stop> {
        let (setting, to) = (change.setting.to_string(), change.to.clone());
        let mut outcome =
            Outcome { requirement: requirement.to_owned(), setting, from: String::new(), to, failed: None };
        match change.setting.read(self.machine) {
            Ok(former) if is_same(&former, &change.to) => return Ok(None),
            Ok(former) => {
                former.trim().clone_into(&mut outcome.from);
                let now = self.make_recorded(&mut outcome, change, former)?;
                now.trim().clone_into(&mut outcome.to);
            }
            Err(why) => outcome.failed = Some(why),
        }
        Ok(Some(outcome))
    }

    /// Records a change, makes it, and records what came of it, which it gives.
    fn make_recorded(
        &mut self,
        outcome: &mut Outcome,
        change: &Change,
        former: String,
    ) -> Result<String, Stop> {
        let Outcome { requirement, setting, from, to, .. } = &*outcome;
        self.tell(Step::Begin { requirement, setting, from, to })?;
        let index = note(&mut self.record, requirement, change, former);
        self.write_record()?;
        self.tell(Step::Recorded)?;
        let made = change.setting.write(self.machine, &change.to);
        self.tell(Step::Changed)?;
        let now = change.setting.read(self.machine).unwrap_or_default();
        outcome.failed = made.err().or_else(|| not_as_wanted(&change.to, &now));
        settle(&mut self.record, index, &now);
        self.write_record()?;
        self.tell(Step::Done)?;
        Ok(now)
    }

    fn tell(&mut self, step: Step<'_>) -> Result<(), Stop> {
        if (self.told)(step).is_break() { Err(Stop::Told) } else { Ok(()) }
    }

    fn write_record(&self) -> Result<(), Stop> {
        self.place.write(&self.record).map_err(Stop::Record)
    }
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
fn settle(record: &mut Record, index: usize, now: &str) {
    let Some(entry) = record.entries.get_mut(index) else { return };
    if now == entry.former {
        record.entries.remove(index);
    } else {
        (entry.set, entry.begun_at) = (now.to_owned(), None);
    }
}

fn not_as_wanted(wanted: &str, now: &str) -> Option<String> {
    (!is_same(wanted, now)).then(|| format!("the kernel took it and shows `{}`", now.trim()))
}

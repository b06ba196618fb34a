//! `barelane doctor`: what of this host costs latency, and the same put right and back again.

mod json;
mod measure;
mod noise;
mod settings;
mod table;

use std::ops::ControlFlow;

use host::doctor::{Change, Examined, Machine, Outcome, Status, Step};

use crate::args::DoctorArguments;
use crate::error::{Error, Wrong};
use crate::say;

use settings::Settings;

/// Looks, changes or undoes, and says what came of it. Fails where something is bad, or could not be changed.
pub fn run(arguments: &DoctorArguments) -> Result<(), Error> {
    let settings = Settings::new(arguments)?;
    if let Some(seconds) = &arguments.noise {
        return noise::run(&settings, seconds);
    }
    if arguments.measuring.measure {
        return measure::run(&settings, arguments);
    }
    if arguments.undo {
        return undo(&settings);
    }
    let machines = settings.machines()?;
    let before = settings.examine(&machines);
    if !arguments.fix {
        return report(&settings, &machines, &before, None);
    }
    let outcomes = fix(&settings, &machines, &before)?;
    // Looked at again, since a change can change more than it says.
    let machines = settings.machines()?;
    report(&settings, &machines, &settings.examine(&machines), Some(&outcomes))
}

fn fix(settings: &Settings, machines: &[Machine], examined: &[Examined]) -> Result<Vec<Outcome>, Error> {
    let wanted: Vec<(&str, Change)> = examined
        .iter()
        .flat_map(|one| one.finding.changes.iter().map(|change| (one.name, change.clone())))
        .collect();
    let Some(machine) = machines.first().filter(|_| !wanted.is_empty()) else { return Ok(Vec::new()) };
    host::doctor::fix(machine, &wanted, &settings.record, &mut say_step)
        .map_err(|why| no_record(settings, &why))
}

fn undo(settings: &Settings) -> Result<(), Error> {
    let machines = settings.machines()?;
    let undone = machines.first().map(|machine| host::doctor::undo(machine, &settings.record, &mut say_step));
    let undone = undone.transpose().map_err(|why| no_record(settings, &why))?.flatten();
    let is_record = undone.is_some();
    let outcomes = undone.unwrap_or_default();
    if settings.is_json {
        say::answer(json::of_undo(&settings.record, is_record, &outcomes)?);
    } else {
        say::answer(table::of_undo(&settings.record, is_record, &outcomes).trim_end());
    }
    judged(&[], &outcomes)
}

/// Says each change before it is made.
fn say_step(step: Step<'_>) -> ControlFlow<()> {
    if let Step::Begin { requirement, setting, from, to } = step {
        say::note(format_args!("changing {setting}: {from} -> {to} ({requirement})"));
    }
    ControlFlow::Continue(())
}

fn report(
    settings: &Settings,
    machines: &[Machine],
    examined: &[Examined],
    outcomes: Option<&[Outcome]>,
) -> Result<(), Error> {
    if settings.is_json {
        say::answer(json::of(machines, examined, outcomes)?);
    } else {
        say::answer(table::of(machines, examined, outcomes).trim_end());
    }
    judged(examined, outcomes.unwrap_or_default())
}

/// What the exit code says.
fn judged(examined: &[Examined], outcomes: &[Outcome]) -> Result<(), Error> {
    let bad: Vec<_> =
        examined.iter().filter(|one| one.finding.status == Status::Bad).map(|one| one.name).collect();
    let failed: Vec<_> =
        outcomes.iter().filter(|one| one.failed.is_some()).map(|one| one.setting.as_str()).collect();
    match (bad.as_slice(), failed.as_slice()) {
        ([], []) => Ok(()),
        (bad, []) => Err(Error::Failed(format!("bad: {}", bad.join(", ")))),
        ([], failed) => Err(Error::Failed(format!("not changed: {}", failed.join(", ")))),
        (bad, failed) => {
            Err(Error::Failed(format!("bad: {}; not changed: {}", bad.join(", "), failed.join(", "))))
        }
    }
}

fn no_record(settings: &Settings, why: &str) -> Error {
    Wrong::new("--record", settings.record.display())
        .because(why)
        .remedy("name a file that can be written and that is this doctor's alone; nothing was changed")
        .into()
}

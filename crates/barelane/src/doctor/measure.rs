//! `barelane doctor --measure`: what each fix gains, as a number with its spread.
//!
//! ```text
//!   round 1       round 2       round 3       …    at the end
//!   ask           ask (fixed)   ask                --fix: fixed
//!   fix           undo          fix                else:  undone
//!   ask (fixed)   ask           ask (fixed)
//! ```
//!
//! Neighbouring parts make a pair, and the order alternates, so that what drifts does not look like a gain. Every fix and every undo
//! goes through the record, so that whenever the process ends, `--undo` knows what may be changed.

mod bench;
mod gain;
mod report;

use std::thread;
use std::time::Duration;

use host::doctor::{Change, Examined, Machine, Outcome, Setting, undo_these};

use super::settings::Settings;
use super::{no_record, say_step};
use crate::args::DoctorArguments;
use crate::error::Error;
use crate::probe::number;
use crate::say;
use crate::signals::Signals;

use bench::{Bench, Figures};
use gain::Pairs;
use report::{Measured, NotMeasured, Report};

/// The fewest rounds that give an interval, and the most that anybody waits for.
const ROUNDS_MIN: usize = 6;
const ROUNDS_MAX: usize = 999;

/// What a change may take to be in force everywhere: the kernel's timers look ten times a second at most.
const SETTLED: Duration = Duration::from_millis(100);

/// Requirements whose fix can take the card's link down for seconds: what is asked meanwhile is lost.
const DISTURBING: &[&str] = &["nic-rings", "nic-coalescing", "flow-control", "energy-efficient-ethernet"];

/// Measures what each fix gains, and leaves it in force where `--fix` says so.
pub(super) fn run(settings: &Settings, arguments: &DoctorArguments) -> Result<(), Error> {
    let rounds = number("--rounds", &arguments.measuring.rounds, ROUNDS_MIN, ROUNDS_MAX)?;
    let signals = Signals::catch()?;
    let machines = settings.machines()?;
    let Some(machine) = machines.first() else { return Ok(()) };
    let bench = Bench::new(arguments, machine.lanes.first().copied())?;
    let mut report = Report::new(bench.words(), rounds);
    // The first part finds caches, neighbours and the scheduler cold.
    bench.ask(&signals)?;
    for one in settings.examine(&machines).iter().filter(|one| !one.finding.changes.is_empty()) {
        let fix = Fix { settings, machine, examined: one };
        fix.measure_or_say_why(&bench, rounds, arguments.fix, &signals, &mut report)?;
    }
    say_report(settings, &report)
}

fn say_report(settings: &Settings, report: &Report) -> Result<(), Error> {
    if settings.is_json {
        say::answer(report.to_json()?);
    } else {
        say::answer(report.to_table().trim_end());
    }
    match report.failed().as_slice() {
        [] => Ok(()),
        failed => Err(Error::Failed(format!("not changed: {}", failed.join(", ")))),
    }
}

/// The fix of one requirement.
struct Fix<'a> {
    settings: &'a Settings,
    machine: &'a Machine,
    examined: &'a Examined,
}

impl Fix<'_> {
    fn measure_or_say_why(
        &self,
        bench: &Bench,
        rounds: usize,
        shall_stay: bool,
        signals: &Signals,
        report: &mut Report,
    ) -> Result<(), Error> {
        if let Some(why) = self.why_not(bench) {
            let changed = if shall_stay { self.make()? } else { Vec::new() };
            report.not_measured.push(self.not_measured(why, changed));
            return Ok(());
        }
        let outcomes = self.make()?;
        if let Some(why) = outcomes.iter().find_map(|outcome| outcome.failed.as_ref()) {
            let why = format!("not all of it can be changed: {why}");
            let changed = if shall_stay { outcomes } else { self.undo()? };
            report.not_measured.push(self.not_measured(why, changed));
            return Ok(());
        }
        self.undo()?;
        report.fixes.push(self.measure(bench, rounds, shall_stay, signals)?);
        Ok(())
    }

    /// Why nothing could be measured of it.
    fn why_not(&self, bench: &Bench) -> Option<String> {
        if DISTURBING.contains(&self.examined.name) {
            return Some("changing it can take the link down for seconds".to_owned());
        }
        let is_of_card = self.examined.finding.changes.iter().any(|change| is_of_card(&change.setting));
        (is_of_card && !bench.has_card()).then(|| {
            "it is the card's, and the link in memory has none: name whom to ask by it (--target)".to_owned()
        })
    }

    fn not_measured(&self, why: String, changed: Vec<Outcome>) -> NotMeasured {
        NotMeasured { requirement: self.examined.name, why, changed }
    }

    /// All rounds. Whatever happens in them, nothing of this fix is left in force but at the end of the last one.
    fn measure(
        &self,
        bench: &Bench,
        rounds: usize,
        shall_stay: bool,
        signals: &Signals,
    ) -> Result<Measured, Error> {
        let measured = self.rounds(bench, rounds, signals);
        let in_force = shall_stay && measured.is_ok();
        if in_force {
            self.make()?
        } else {
            self.undo()?
        };
        let (p50, p99) = measured?;
        let settings = self.examined.finding.changes.iter().map(|change| change.setting.to_string());
        let settings = settings.collect();
        let requirement = self.examined.name;
        Ok(Measured { requirement, settings, p50: p50.gain(), p99: p99.gain(), in_force })
    }

    fn rounds(&self, bench: &Bench, rounds: usize, signals: &Signals) -> Result<(Pairs, Pairs), Error> {
        let (mut p50, mut p99) = (Pairs::default(), Pairs::default());
        for round in 0..rounds {
            say::note(format_args!("{}: round {} of {rounds}", self.examined.name, round + 1));
            let (before, after) = self.pair(bench, round % 2 == 0, signals)?;
            p50.add(before.p50_ns, after.p50_ns);
            p99.add(before.p99_ns, after.p99_ns);
        }
        Ok((p50, p99))
    }

    /// One part without the fix and one with it, beginning with the state that is in force.
    fn pair(
        &self,
        bench: &Bench,
        begins_without: bool,
        signals: &Signals,
    ) -> Result<(Figures, Figures), Error> {
        let first = self.part(bench, signals)?;
        if begins_without {
            self.make()?
        } else {
            self.undo()?
        };
        thread::sleep(SETTLED);
        let second = self.part(bench, signals)?;
        Ok(if begins_without { (first, second) } else { (second, first) })
    }

    fn part(&self, bench: &Bench, signals: &Signals) -> Result<Figures, Error> {
        let figures = bench.ask(signals);
        if signals.is_stopping() {
            let what = self.examined.name;
            return Err(Error::Failed(format!("interrupted; {what} is as it was")));
        }
        figures
    }

    fn make(&self) -> Result<Vec<Outcome>, Error> {
        let changes = self.examined.finding.changes.iter();
        let wanted: Vec<(&str, Change)> =
            changes.map(|change| (self.examined.name, change.clone())).collect();
        host::doctor::fix(self.machine, &wanted, &self.settings.record, &mut say_step)
            .map_err(|why| no_record(self.settings, &why))
    }

    fn undo(&self) -> Result<Vec<Outcome>, Error> {
        let these = &self.examined.finding.changes;
        let undone = undo_these(self.machine, &self.settings.record, these, &mut say_step);
        undone.map(Option::unwrap_or_default).map_err(|why| no_record(self.settings, &why))
    }
}

/// Whether a setting is one of a card.
fn is_of_card(setting: &Setting) -> bool {
    match setting {
        Setting::File { file } => {
            ["/sys/class/net/", "/sys/bus/pci/devices/"].iter().any(|card| file.starts_with(card))
        }
        Setting::Parameter { .. } | Setting::Offload { .. } => true,
    }
}

//! What a server holds for as long as it runs: how fast cores wake, and where interrupts go.
//!
//! | what | how | goes back |
//! |---|---|---|
//! | power | `/dev/cpu_dma_latency` held open with a wish of 0 µs (`Documentation/power/pm_qos_interface.rst`) | when the process ends, however it ends: the kernel's doing |
//! | interrupts | `smp_affinity_list` of each that comes to a lane's core, recorded first, as a fix is | at the server's end; after a SIGKILL at the next start of any server |
//!
//! Each server has a directory of its own, named by its process, with the record and a file that it keeps locked. Where that
//! lock is free, nobody is there any more:
//!
//! ```text
//!   hold/            locked while somebody looks or comes
//!   hold/812/alive   locked as long as process 812 lives
//!   hold/812/record.json
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::fix::{BOOT, Outcome, Step, fix};
use super::machine::Machine;
use super::record::Place;
use super::setting::Change;
use super::tree::{Tree, Unread};
use super::undo::undo;
use crate::cores::as_list;
use crate::cores::card_interrupts::{CardInterrupts, numbered};

const LATENCY: &str = "/dev/cpu_dma_latency";
const INTERRUPTS: &str = "/proc/irq";

/// For which requirement interrupts are moved: the doctor's.
const REQUIREMENT: &str = "irq-placement";

/// How long is waited for others who look: each does for milliseconds.
const TRIES: u32 = 250;
const PAUSE: Duration = Duration::from_millis(20);

/// While this lives, no core sinks into an idle state that takes time to wake from.
#[derive(Debug)]
pub struct Power {
    _held: File,
}

impl Power {
    /// Asks for it.
    ///
    /// # Errors
    /// The kernel has no such thing, or not for this process.
    pub fn hold(tree: &Tree) -> io::Result<Self> {
        let no_latency_us = 0_i32.to_ne_bytes();
        Ok(Self { _held: tree.hold(LATENCY, &no_latency_us)? })
    }
}

/// What would keep interrupts away from the lanes' cores: each that comes to one goes to those of its cores that no lane has, or
/// to any such core where it has none; a card's own to those on that card's node, where there are any.
///
/// # Errors
/// The kernel does not show interrupts, or no core is left for them.
pub fn interrupts_off_lanes(machine: &Machine) -> Result<Vec<Change>, String> {
    let said = |unread: Unread| unread.to_string();
    let others = machine.no_lanes().map_err(said)?;
    if others.is_empty() {
        return Err("every core is a lane's, and interrupts must go somewhere".to_owned());
    }
    let cards: Vec<(CardInterrupts, Vec<usize>)> =
        machine.all_cards().map(|card| (CardInterrupts::of(card), machine.near(card, &others))).collect();
    let mut changes = Vec::new();
    for (number, owner) in numbered(&machine.tree.read("/proc/interrupts").map_err(said)?) {
        let file = |name: &str| format!("{INTERRUPTS}/{number}/{name}");
        // One that nobody has asked for has no such file, and one may go away between two looks.
        let Ok(now) = machine.tree.cores(&file("effective_affinity_list")) else { continue };
        let Ok(may) = machine.tree.cores(&file("smp_affinity_list")) else { continue };
        if now.iter().any(|core| machine.lanes.contains(core)) {
            let own = cards.iter().find(|(card, _)| card.has(&machine.tree, number, &owner));
            let better = own.map_or(&others, |(_, near)| near);
            changes.push(Change::file(file("smp_affinity_list"), as_list(&within(better, &may))));
        }
    }
    Ok(changes)
}

/// Those of the cores that are among `may`; all of them where none is.
fn within(cores: &[usize], may: &[usize]) -> Vec<usize> {
    let both: Vec<_> = cores.iter().filter(|core| may.contains(core)).copied().collect();
    if both.is_empty() { cores.to_vec() } else { both }
}

/// Settings that are held. Put back when this is dropped; [`Held::give_back`] also says what came of it.
#[derive(Debug)]
pub struct Held {
    machine: Machine,
    directory: PathBuf,
    /// Locked: the sign that this server lives.
    _alive: File,
    is_given_back: bool,
}

impl Held {
    /// Makes these changes, each recorded below `state` before it is made, and keeps them.
    ///
    /// # Errors
    /// There is no place for the record; nothing was changed then.
    pub fn hold(
        machine: Machine,
        changes: &[Change],
        state: &Path,
        told: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<(Self, Vec<Outcome>), String> {
        let (directory, alive) = come(state).map_err(|error| said(state, &error))?;
        let wanted: Vec<_> = changes.iter().map(|change| (REQUIREMENT, change.clone())).collect();
        let held = Self { machine, directory, _alive: alive, is_given_back: false };
        let outcomes = fix(&held.machine, &wanted, &record_in(&held.directory), told)?;
        Ok((held, outcomes))
    }

    /// Puts everything back that nobody else has changed since.
    ///
    /// # Errors
    /// The record cannot be used.
    pub fn give_back(mut self) -> Result<Vec<Outcome>, String> {
        self.is_given_back = true;
        put_back(&self.machine, &self.directory)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_given_back {
            // What stays in the record is put back at the next start.
            let _left = put_back(&self.machine, &self.directory);
        }
    }
}

/// Puts back what servers have held that live no more; nothing where there are none. What somebody else has changed since is
/// left, and the outcome says so.
///
/// # Errors
/// A record cannot be used.
pub fn give_back_left(machine: &Machine, state: &Path) -> Result<Vec<Outcome>, String> {
    let all = state.join("hold");
    if !all.is_dir() {
        return Ok(Vec::new());
    }
    let _turn = turn(&all).map_err(|error| said(&all, &error))?;
    let mut outcomes = Vec::new();
    for entry in fs::read_dir(&all).map_err(|error| said(&all, &error))?.flatten() {
        let directory = entry.path();
        // Whoever cannot be locked lives.
        let Ok(alive) = File::options().write(true).open(alive_in(&directory)) else { continue };
        if alive.try_lock().is_ok() {
            outcomes.extend(put_back(machine, &directory)?);
        }
    }
    Ok(outcomes)
}

/// A directory of this process's own, and the lock that says that it lives.
fn come(state: &Path) -> io::Result<(PathBuf, File)> {
    let all = state.join("hold");
    fs::create_dir_all(&all)?;
    let _turn = turn(&all)?;
    let directory = all.join(std::process::id().to_string());
    fs::create_dir_all(&directory)?;
    let alive = File::create(alive_in(&directory))?;
    match alive.try_lock() {
        Ok(()) => Ok((directory, alive)),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("this process holds something already")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Waits until nobody else looks at the directories.
fn turn(all: &Path) -> io::Result<File> {
    let directory = File::open(all)?;
    for _ in 0..TRIES {
        match directory.try_lock() {
            Ok(()) => return Ok(directory),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another server is at work there"))
}

/// Undoes what a directory's record says, and removes the directory where nothing is left in it. The record of an earlier start of
/// the machine says nothing: no setting outlives one, and its numbers mean other interrupts now.
fn put_back(machine: &Machine, directory: &Path) -> Result<Vec<Outcome>, String> {
    let record = record_in(directory);
    if is_of_earlier_start(machine, &record)? {
        Place::take(&record)?.remove()?;
    }
    let outcomes = undo(machine, &record, &mut |_| ControlFlow::Continue(()))?.unwrap_or_default();
    if !record.exists() {
        fs::remove_dir_all(directory).map_err(|error| said(directory, &error))?;
    }
    Ok(outcomes)
}

fn is_of_earlier_start(machine: &Machine, record: &Path) -> Result<bool, String> {
    if !record.exists() {
        return Ok(false);
    }
    let boot = machine.tree.word(BOOT).unwrap_or_default();
    Ok(Place::take(record)?.read()?.is_some_and(|record| record.boot != boot))
}

fn record_in(directory: &Path) -> PathBuf {
    directory.join("record.json")
}

fn alive_in(directory: &Path) -> PathBuf {
    directory.join("alive")
}

fn said(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_stays_among_the_cores_that_it_may_have() {
        assert_eq!(within(&[0, 1, 4], &[1, 2, 3, 4]), [1, 4]);
        assert_eq!(within(&[0, 1, 4], &[2, 3]), [0, 1, 4]);
    }

    #[test]
    fn what_the_kernel_does_not_have_cannot_be_held() {
        let nowhere = Tree::copy(PathBuf::from("/nowhere"));
        assert_eq!(Power::hold(&nowhere).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

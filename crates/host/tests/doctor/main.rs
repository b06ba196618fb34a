//! The doctor on four machines that are not here: each is a tree of the kernel's files (see `testkit::machines`).

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

mod examined;
mod undone;

use std::ops::ControlFlow;
use std::path::PathBuf;

use barelane_host::doctor::{Change, Machine, Status, Step, examine};
use testkit::machines;

/// The machines and their cards.
const MACHINES: [(&str, &str); 4] =
    [("virtual-machine", "eth0"), ("server", "ens2f0np0"), ("laptop", "enp0s31f6"), ("cloud", "ens5")];

/// A machine's copy, and the doctor's view of it.
struct Patient {
    files: machines::Machine,
    machine: Machine,
    /// Beside the machine, not in it.
    record: PathBuf,
}

impl Patient {
    fn new(name: &str, nic: &str, test: &str) -> Self {
        let files = machines::Machine::unpack(name, test).unwrap();
        let machine = Machine::copy(files.root().to_owned(), Some(nic), &[]).unwrap();
        let record = files.root().with_extension("record");
        Self { files, machine, record }
    }

    /// What would put right all that could be better.
    fn wanted(&self) -> Vec<(&'static str, Change)> {
        let examined = examine(&self.again()).into_iter();
        let wanted = examined.filter(|one| matches!(one.finding.status, Status::CouldBeBetter | Status::Bad));
        wanted.flat_map(|one| one.finding.changes.into_iter().map(move |change| (one.name, change))).collect()
    }

    /// The same machine, looked at again.
    fn again(&self) -> Machine {
        let nic = self.machine.card.as_ref().map(|card| card.name.as_str());
        Machine::copy(self.files.root().to_owned(), nic, &self.machine.lanes).unwrap()
    }

    fn record_file(&self) -> PathBuf {
        self.record.join("record.json")
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        // There is none where nothing was changed.
        let _none = std::fs::remove_dir_all(&self.record);
    }
}

fn go_on(_: Step<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

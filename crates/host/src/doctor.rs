//! What the host should be for lanes, whether it is, and how it becomes so: a check, a fix and an undo for each requirement.
//!
//! ```text
//!   tree, card ──gather──▶ facts ──judge──▶ finding ──▶ table, JSON
//!   (files, netlink)                         │ changes
//!                                            ▼
//!                          fix: record ──▶ change ──▶ record       undo: the record, backwards
//! ```
//!
//! Looking needs no rights beyond those that the kernel asks for each file; what cannot be read is said to be unknown, never
//! taken for good. A fix changes what its findings list and nothing else, and what it was is on the disk before it is
//! changed.

mod card;
mod finding;
mod fix;
mod hold;
mod machine;
mod record;
mod requirements;
mod setting;
mod tree;
mod undo;

use serde::Serialize;

pub use card::{Card, Peer, as_text};
pub use finding::{Finding, Requirement, Status};
pub use fix::{Outcome, Step, fix};
pub use hold::{Held, Power, give_back_left, interrupts_off_lanes};
pub use machine::Machine;
pub use requirements::REQUIREMENTS;
pub use setting::{CardName, Change, Setting};
pub use tree::{Tree, Unread};
pub use undo::{undo, undo_these};

/// One requirement and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// The requirement's name.
    pub name: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// The card that it is of, where several were looked at and it is not the same of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nic: Option<String>,
    /// How it stands.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Looks at every requirement. Changes nothing.
pub fn examine(machine: &Machine) -> Vec<Examined> {
    examine_all(std::slice::from_ref(machine))
}

/// Looks at every requirement of one machine around each of several cards. What is found alike of all of them is told once, and else
/// once for each. Changes nothing.
pub fn examine_all(machines: &[Machine]) -> Vec<Examined> {
    REQUIREMENTS.iter().flat_map(|one| examine_one(one, machines)).collect()
}

fn examine_one(one: &Requirement, machines: &[Machine]) -> Vec<Examined> {
    let findings: Vec<Finding> = machines.iter().map(one.check).collect();
    let examined = |nic, finding| Examined { name: one.name, why: one.why, nic, finding };
    if findings.windows(2).all(|pair| pair.first() == pair.last()) {
        return findings.into_iter().take(1).map(|finding| examined(None, finding)).collect();
    }
    let nics = machines.iter().map(|machine| machine.card.as_ref().map(|card| card.name.clone()));
    nics.zip(findings).map(|(nic, finding)| examined(nic, finding)).collect()
}

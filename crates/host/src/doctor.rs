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
    /// How it stands.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Looks at every requirement. Changes nothing.
pub fn examine(machine: &Machine) -> Vec<Examined> {
    let examined =
        |one: &Requirement| Examined { name: one.name, why: one.why, finding: (one.check)(machine) };
    REQUIREMENTS.iter().map(examined).collect()
}

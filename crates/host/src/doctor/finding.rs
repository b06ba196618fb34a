//! What the doctor has to say of one requirement.

use std::fmt;

use serde::Serialize;

use super::Machine;
use super::setting::Change;
use super::tree::Unread;

/// Something that the host should be, or have, or leave alone.
#[derive(Clone, Copy, Debug)]
pub struct Requirement {
    /// Its name for programs and for `--only`.
    pub name: &'static str,
    /// Why it matters to a lane, in a sentence.
    pub why: &'static str,
    pub(crate) check: fn(&Machine) -> Finding,
}

/// How a requirement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nothing is to be done.
    Good,
    /// It works, and costs something.
    CouldBeBetter,
    /// Latency suffers every time, or a lane does not start.
    Bad,
    /// This machine has no such thing.
    NotApplicable,
    /// The kernel does not tell, or not this process.
    CannotTell,
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Good => "good",
            Self::CouldBeBetter => "could be better",
            Self::Bad => "bad",
            Self::NotApplicable => "not applicable",
            Self::CannotTell => "cannot tell",
        })
    }
}

/// How a requirement stands on this machine, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// In a word.
    pub status: Status,
    /// What was found, or why nothing could be.
    pub found: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
    /// What `--fix` would change.
    pub changes: Vec<Change>,
    /// What only the kernel's command line at boot can do: parameters to add to it.
    pub boot: Vec<String>,
}

impl Finding {
    pub(crate) fn good(found: impl fmt::Display) -> Self {
        Self::new(Status::Good, found)
    }

    pub(crate) fn could_be_better(found: impl fmt::Display) -> Self {
        Self::new(Status::CouldBeBetter, found)
    }

    pub(crate) fn bad(found: impl fmt::Display) -> Self {
        Self::new(Status::Bad, found)
    }

    pub(crate) fn not_applicable(why: impl fmt::Display) -> Self {
        Self::new(Status::NotApplicable, why)
    }

    pub(crate) fn cannot_tell(why: impl fmt::Display) -> Self {
        Self::new(Status::CannotTell, why)
    }

    fn new(status: Status, found: impl fmt::Display) -> Self {
        Self { status, found: found.to_string(), remedy: String::new(), changes: vec![], boot: vec![] }
    }

    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = remedy.to_string();
        self
    }

    #[must_use]
    pub(crate) fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    #[must_use]
    pub(crate) fn changes(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.changes.extend(changes);
        self
    }

    #[must_use]
    pub(crate) fn boot(mut self, parameter: impl fmt::Display) -> Self {
        self.boot.push(parameter.to_string());
        self
    }

    /// What was judged; where a file was missing, the sentence that says what this machine then has not.
    pub(crate) fn or_absent(judged: Result<Self, Unread>, absent: &str) -> Self {
        match judged {
            Err(unread) if unread.is_absent => Self::not_applicable(absent),
            judged => Self::or_unread(judged),
        }
    }

    /// What was judged, or why nothing could be.
    pub(crate) fn or_unread(judged: Result<Self, Unread>) -> Self {
        judged.unwrap_or_else(Self::cannot_tell)
    }
}

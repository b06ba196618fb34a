//! What was found, in words: a line for each thing that was looked at.

use std::fmt;

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is as it should be.
    Good(String),
    /// It is not.
    Bad(String),
    /// It was not looked at, and why.
    Skipped(String),
}

impl From<Result<String, String>> for Finding {
    fn from(found: Result<String, String>) -> Self {
        found.map_or_else(Self::Bad, Self::Good)
    }
}

/// Everything that was looked at, by its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report(pub(crate) Vec<(String, Finding)>);

impl Report {
    /// Whether nothing is as it should not be.
    pub(crate) fn is_good(&self) -> bool {
        self.0.iter().all(|(_, found)| !matches!(found, Finding::Bad(_)))
    }

    /// Adds what was found of one thing.
    pub(crate) fn add(&mut self, name: impl Into<String>, found: impl Into<Finding>) {
        self.0.push((name.into(), found.into()));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, found)| match found {
            Finding::Good(what) => writeln!(out, "good {name}: {what}"),
            Finding::Bad(what) => writeln!(out, "bad  {name}: {what}"),
            Finding::Skipped(what) => writeln!(out, "skip {name}: {what}"),
        })
    }
}

//! Everything that the binary says to a person goes through here, but for what happens to a server, which `events` tells.
//!
//! Standard output carries what was asked for (a plan, a table, a report); standard error carries progress, facts
//! and complaints, each line beginning with `barelane:`. A reader that has gone away is not a reason to die: a failed write
//! is ignored. No lane ever calls this module.

use std::fmt;
use std::io::{self, Write};

/// A fact or a step on standard error.
pub fn note(line: impl fmt::Display) {
    let _gone = writeln!(io::stderr().lock(), "barelane: {line}");
}

/// Something that works, but not as well as it could, on standard error.
pub fn warn(line: impl fmt::Display) {
    note(format_args!("warning: {line}"));
}

/// Why the process ends, on standard error.
pub fn error(line: impl fmt::Display) {
    note(format_args!("error: {line}"));
}

/// What was asked for, on standard output.
pub fn answer(text: impl fmt::Display) {
    let _gone = writeln!(io::stdout().lock(), "{text}");
}

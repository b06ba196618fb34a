//! Results as files: whether one can be written is found out before anything is measured for it.

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Wrong};

/// Refuses a file that cannot be written. What it holds stays until there is a result to replace it.
pub(crate) fn check(path: Option<&Path>) -> Result<(), Wrong> {
    let Some(path) = path else { return Ok(()) };
    let opened = File::options().append(true).create(true).open(path);
    opened.map(drop).map_err(|cause| {
        Wrong::new("--json", path.display()).because(cause).remedy("name a file that can be written")
    })
}

/// Writes the result.
pub(crate) fn write(path: Option<&Path>, text: &str) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text).map_err(|cause| Error::Failed(format!("--json {}: {cause}", path.display())))
}

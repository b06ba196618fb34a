//! Results as files: whether one can be written is found out before anything is measured for it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Wrong};

/// Refuses a file that cannot be written. What it holds stays until there is a result to replace it.
pub(crate) fn check(path: Option<&Path>) -> Result<(), Wrong> {
    path.map_or(Ok(()), |path| check_as("--json", path))
}

/// The same for the file of another option. A file that is not there yet is not there afterwards either.
pub(crate) fn check_as(option: &str, path: &Path) -> Result<(), Wrong> {
    let created = File::options().append(true).create_new(true).open(path);
    let writable = match created {
        Ok(_) => fs::remove_file(path),
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
            File::options().append(true).open(path).map(drop)
        }
        Err(cause) => Err(cause),
    };
    writable.map_err(|cause| {
        Wrong::new(option, path.display()).because(cause).remedy("name a file that can be written")
    })
}

/// Writes the result.
pub(crate) fn write(path: Option<&Path>, text: &str) -> Result<(), Error> {
    path.map_or(Ok(()), |path| replace("--json", path, text))
}

/// Writes the result of an option as a whole: who reads the file meanwhile sees what it was or what it is, and what
/// it was stays where the disk is full. What is no plain file, such as `/dev/stdout`, is written to as it is.
pub(crate) fn replace(option: &str, path: &Path, text: &str) -> Result<(), Error> {
    let failed = |cause| Error::Failed(format!("{option} {}: {cause}", path.display()));
    // A link stays, and what it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let is_plain = path.metadata().map_or(true, |facts| facts.is_file());
    if !is_plain {
        return fs::write(&path, text).map_err(failed);
    }
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}.new", std::process::id()));
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        let _not_there = fs::remove_file(&beside);
    }
    written.map_err(failed)
}

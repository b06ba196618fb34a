//! What was changed, and what it was before: the file that `--undo` goes by.
//!
//! It is written before each change, so that nothing can be changed that is not in it, however the process ends: to a
//! file beside it, which is brought to the disk, renamed over it, and the directory brought to the disk. Whoever reads it
//! sees one whole state or the next.
//!
//! ```text
//!   entry  former 60, set 1, begun at 60 ──▶ the change ──▶ set 1 (or what the kernel made of it), not begun
//!                    │                           │
//!     killed here: undo finds 60,     killed here: undo finds 1, which
//!     and has nothing to do           the entry says was being set
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::setting::Setting;

/// Which keys there are.
const SCHEMA: &str = "barelane-doctor-record-1";

/// All changes that are in force, in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    schema: String,
    /// The start of the machine that the changes belong to: none of them outlives it.
    pub(super) boot: String,
    pub(super) entries: Vec<Entry>,
}

/// One changed setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// For which requirement.
    pub(super) requirement: String,
    pub(super) setting: Setting,
    /// What it held before it was first changed, exactly.
    pub(super) former: String,
    /// What it holds since, as it reads, or will hold.
    pub(super) set: String,
    /// What it held when a change was begun that was not seen to end.
    pub(super) begun_at: Option<String>,
}

/// The place of a record. While this lives, no other doctor works with it.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    directory: File,
}

impl Record {
    /// Nothing changed yet.
    pub(super) fn new(boot: String) -> Self {
        Self { schema: SCHEMA.to_owned(), boot, entries: Vec::new() }
    }
}

impl Place {
    /// Takes a place, and makes its directory where there is none.
    pub(super) fn take(path: &Path) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| format!("the record {}: {error}", path.display());
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(|error| said(&error))?;
        let directory = File::open(parent).map_err(|error| said(&error))?;
        match directory.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), directory }),
            Err(TryLockError::WouldBlock) => {
                Err(said(&"another doctor is at work there; wait for it to end"))
            }
            Err(TryLockError::Error(error)) => Err(said(&error)),
        }
    }

    /// The record there; nothing where there is none.
    pub(super) fn read(&self) -> Result<Option<Record>, String> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| self.said(&error))?,
        };
        let record: Record = serde_json::from_str(&text).map_err(|error| self.said(&error))?;
        if record.schema == SCHEMA {
            return Ok(Some(record));
        }
        Err(self.said(&format!("its schema is `{}`, and this program reads `{SCHEMA}`", record.schema)))
    }

    /// Writes it, so that it is there whatever happens next.
    pub(super) fn write(&self, record: &Record) -> Result<(), String> {
        self.write_durably(record).map_err(|error| self.said(&error))
    }

    fn write_durably(&self, record: &Record) -> io::Result<()> {
        let text = serde_json::to_string_pretty(record)? + "\n";
        let beside = self.beside();
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        self.directory.sync_all()
    }

    /// Removes it, and what a killed process may have left beside it.
    pub(super) fn remove(&self) -> Result<(), String> {
        for path in [self.beside(), self.path.clone()] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(self.said(&error)),
                _ => {}
            }
        }
        self.directory.sync_all().map_err(|error| self.said(&error))
    }

    fn beside(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        name.into()
    }

    fn said(&self, error: &dyn std::fmt::Display) -> String {
        format!("the record {}: {error}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(test: &str) -> (PathBuf, PathBuf) {
        let directory = std::env::temp_dir().join(format!("barelane-record-{test}-{}", std::process::id()));
        let path = directory.join("below").join("record.json");
        (directory, path)
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_gone_when_removed() {
        let (directory, path) = place("written");
        let place = Place::take(&path).unwrap();
        assert_eq!(place.read().unwrap(), None);
        let mut record = Record::new("boot".to_owned());
        for begun_at in [Some("60\n".to_owned()), None] {
            record.entries = vec![Entry {
                requirement: "swap".to_owned(),
                setting: Setting::File { file: "/proc/sys/vm/swappiness".to_owned() },
                former: "60\n".to_owned(),
                set: "1".to_owned(),
                begun_at,
            }];
            place.write(&record).unwrap();
            assert_eq!(place.read().unwrap().unwrap(), record);
        }
        place.remove().unwrap();
        assert_eq!(place.read().unwrap(), None);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn two_doctors_do_not_share_a_record() {
        let (directory, path) = place("shared");
        let first = Place::take(&path).unwrap();
        let error = Place::take(&path).unwrap_err();
        assert!(error.contains("another doctor"), "{error}");
        drop(first);
        drop(Place::take(&path).unwrap());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_is_no_record_is_refused_and_stays() {
        let (directory, path) = place("odd");
        let place = Place::take(&path).unwrap();
        for text in ["", "{}", "{\"schema\":\"other\",\"boot\":\"\",\"entries\":[]}"] {
            fs::write(&path, text).unwrap();
            let error = place.read().unwrap_err();
            assert!(error.contains("record.json"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_dir_all(directory).unwrap();
    }
}

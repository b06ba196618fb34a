//! Machines as trees of the kernel's files, for whoever reads `/proc` and `/sys` below another directory than `/`.
//!
//! A machine is one text file in `crates/testkit/machines`, written by hand from the documented formats:
//!
//! ```text
//! # a remark
//! /proc/sys/vm/swappiness = 60
//! /sys/devices/system/cpu/cpu{0-3}/topology/core_id = 0
//! /proc/swaps <<
//! Filename  Type  Size  Used  Priority
//! .
//! ```
//!
//! A line with `=` is a file of one line; one with `<<` is followed by the file's lines, up to a line that is a dot. A range
//! in braces stands for as many files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A machine in a directory of its own, gone when dropped.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
}

/// Files that a killed writer may have left half written are no part of a machine.
const HALF_WRITTEN: &str = "half-written";

impl Machine {
    /// Unpacks the machine of this name for this test.
    ///
    /// # Errors
    /// There is none, it is not understood, or there is no room for it.
    pub fn unpack(name: &str, test: &str) -> io::Result<Self> {
        let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("machines").join(format!("{name}.txt"));
        let text = fs::read_to_string(text)?;
        let machine = Self { root: place().join(format!("barelane-{name}-{test}-{}", std::process::id())) };
        for (path, content) in files(&text)? {
            let path = machine.root.join(path.trim_start_matches('/'));
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, content)?;
        }
        Ok(machine)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All its files, to be compared.
    pub fn dump(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        dump_below(&self.root, &mut found);
        found
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What cannot be removed is in the system's own place for such things.
        let _left = fs::remove_dir_all(&self.root);
    }
}

/// In memory where there is such a place: what is written and synchronised thousands of times had better be on no disk.
fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn dump_below(directory: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            dump_below(&path, found);
        } else if !path.to_string_lossy().contains(HALF_WRITTEN) {
            found.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
}

fn files(text: &str) -> io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (path, content) = if let Some(path) = line.strip_suffix(" <<") {
            let block = lines.by_ref().take_while(|line| *line != ".");
            (path, block.flat_map(|line| [line, "\n"]).collect())
        } else if let Some((path, value)) = line.split_once(" =").filter(|_| line.starts_with('/')) {
            (path, value.strip_prefix(' ').unwrap_or(value).to_owned() + "\n")
        } else if line.is_empty() || line.starts_with('#') {
            continue;
        } else {
            return Err(io::Error::other(format!("`{line}` is neither a file nor a remark")));
        };
        files.extend(expanded(path)?.into_iter().map(|path| (path, content.clone())));
    }
    Ok(files)
}

/// The paths that a path with ranges in braces stands for.
fn expanded(path: &str) -> io::Result<Vec<String>> {
    let parts = path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (range, after))) = parts else { return Ok(vec![path.to_owned()]) };
    let ends =
        range.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let (first, last): (u32, u32) = ends.ok_or_else(|| io::Error::other(format!("`{range}` is no range")))?;
    let each = (first..=last).map(|number| expanded(&format!("{before}{number}{after}")));
    each.collect::<io::Result<Vec<_>>>().map(|paths| paths.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_blocks_and_ranges_become_files() {
        let files =
            files("# a\n/one = 1\n/empty =\n/block <<\na\n\nb\n.\n/cpu{0-1}/state{2-3} = x\n").unwrap();
        let files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
        assert_eq!(
            files,
            [
                ("/one", "1\n"),
                ("/empty", "\n"),
                ("/block", "a\n\nb\n"),
                ("/cpu0/state2", "x\n"),
                ("/cpu0/state3", "x\n"),
                ("/cpu1/state2", "x\n"),
                ("/cpu1/state3", "x\n"),
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(files("proc/x = 1").is_err());
        assert!(files("/cpu{0..1} = x").is_err());
        assert!(Machine::unpack("no-such-machine", "none").is_err());
    }
}

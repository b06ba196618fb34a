//! `barelane probe` as a process of its own, over the loopback and over shared memory: what it measures, says, writes and
//! refuses. No privileges.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

mod echo;
mod measured;
mod memif;
mod refused;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program with these arguments.
fn barelane(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn probe(arguments: &[&str]) -> Output {
    barelane(&[&["probe", "127.0.0.1"], arguments].concat()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory of a test's own, gone when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("barelane-probe-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is a directory of the system's own place for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(path: &str) -> probe::Report {
    probe::Report::from_json(&fs::read_to_string(Path::new(path)).unwrap()).unwrap()
}

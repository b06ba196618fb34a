//! A client of our own in C, around a library of the distribution: compiled for this machine, where it also runs.
//!
//! It is compiled again where any file of `xtask/clients/` is younger than what was made of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::{Client, apt, shown};
use crate::step::output;
use crate::workspace;

/// Where the sources are: `NAME.c`, and its parts below `NAME/`.
const SOURCES: &str = "xtask/clients";
/// The name that DPDK has for pkg-config.
const LIBRARY: &str = "libdpdk";
/// What compiling takes beside the client's own package.
const COMPILERS: [&str; 2] = ["gcc", "pkg-config"];

/// Whether a program has been made of the sources as they are now.
pub(super) fn is_current(program: &Path) -> bool {
    let made = changed(program);
    made.is_some() && workspace::files(SOURCES, "").iter().all(|source| changed(source) <= made)
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|about| about.modified()).ok()
}

/// Whether compiler and library are installed.
pub(super) fn can_compile() -> bool {
    library().is_ok() && output(Command::new("cc").arg("--version")).is_ok()
}

/// Installs what compiling takes, where it is not here, and compiles.
pub(super) fn bring(client: &Client) -> Result<()> {
    if !can_compile() {
        let install = ["install", "--yes", "--no-install-recommends", client.package];
        shown(apt(&install).args(COMPILERS))?;
    }
    let program = client.path();
    let home = program.parent().context("a client has a directory of its own")?;
    std::fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    shown(&mut compile(&source(client.program), &program)?)
}

fn source(name: &str) -> PathBuf {
    workspace::root().join(SOURCES).join(format!("{name}.c"))
}

/// The compiler's command. What DPDK says of the processor is the least that it runs on, and this is the one to run on.
fn compile(source: &Path, program: &Path) -> Result<Command> {
    let mut command = Command::new("cc");
    command.args(["-O3", "-Wall", "-Wextra", "-o"]).arg(program).arg(source);
    command.args(library()?.split_whitespace()).arg("-march=native");
    Ok(command)
}

/// The compiler's arguments for the library.
fn library() -> Result<String> {
    output(Command::new("pkg-config").args(["--cflags", "--libs", LIBRARY]))
}

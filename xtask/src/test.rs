//! `cargo xtask test`: every test there is.
//!
//! ```text
//! cargo test --workspace            unit, property, vector, simulation, corpus and doc tests: no privileges
//! cargo test --package barelane-ring  with --cfg loom: every interleaving of the rings
//! cargo test -- --ignored           what needs root: namespaces, AF_XDP, third-party clients; one at a time
//! ```
//!
//! A test that needs root is marked `#[ignore = "needs root: …"]`, so that a plain `cargo test` is green for
//! everybody, and it never skips itself. Here those tests run, or stand in the summary as skipped.

use std::process::Command;

use anyhow::Result;

use crate::clients::{self, CLIENTS, Client};
use crate::step::{Steps, cargo};
use crate::workspace;

/// What of the tests to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only tests whose name contains this, of those that need root.
    filter: Option<String>,
}

/// Runs every test and sums up.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::default();
    all(&mut steps, arguments.filter.as_deref());
    steps.close()
}

/// Every test, as steps.
pub(crate) fn all(steps: &mut Steps, filter: Option<&str>) {
    if filter.is_none() {
        steps.run(
            "unit, property, vector, simulation, corpus and doc tests",
            &mut cargo(&["test", "--workspace"]),
        );
        steps.run("the rings under loom", &mut loom());
    }
    rooted(steps, filter);
}

/// Loom replaces the atomics of the whole build, so it has a build directory of its own. Release, because it tries
/// every interleaving.
fn loom() -> Command {
    let mut command = cargo(&["test", "--package", "barelane-ring", "--release", "--lib", "--tests"]);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    command
}

/// What needs root: one test at a time, because each wants both cores for itself.
fn rooted(steps: &mut Steps, filter: Option<&str>) {
    let name = "tests on interfaces, in network namespaces, with third-party clients";
    if !clients::can_make_namespaces() {
        return steps.skip(name, "they need root, and a place where root may make network namespaces");
    }
    let wanted: Vec<&'static Client> = CLIENTS.iter().collect();
    let missing = clients::provide(&wanted);
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests", "--"]);
    command.env("BARELANE_TOOLS", clients::tools());
    command.args(["--ignored", "--test-threads=1"]).args(filter);
    for (client, why) in &missing {
        steps.skip(&format!("tests with {} ({})", client.package, client.program), why);
        command.args(["--skip", client.tests]);
    }
    steps.run(name, &mut command);
}

//! `cargo xtask test`: every test there is.
//!
//! ```text
//! cargo test --workspace                 unit, property, vector, simulation, corpus and doc tests
//! cargo test --package barelane-ring     with --cfg loom: every interleaving of the rings
//! cargo test --test interface -- --ignored
//!                                        the binary on an interface, with third-party clients and a browser;
//!                                        one at a time
//! cargo test --test demo --test page --test probe -- --ignored
//!                                        the demonstration, its report in a browser, and the probe; one at a time
//! cargo test --test memif -- --ignored   the binary over memif, with DPDK at the other end; one at a time
//! ```
//!
//! A plain `cargo test` is green for everybody: a test that needs a privilege says `skipped: …` on standard error
//! where it is not to be had, and those with third-party clients are `#[ignore]`d, because somebody has to install the
//! clients first. Here they are installed, and every skip stands in the summary.

use std::process::Command;

use anyhow::Result;

use crate::clients::{self, CLIENTS, Client, DPDK_ASK, TESTPMD};
use crate::step::{Steps, cargo};
use crate::workspace;

/// What of the tests to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only tests whose name contains this, of those that need root or other people's programs.
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
        steps.run("the build of the tests", &mut cargo(&["test", "--workspace", "--no-run"]));
        steps.test(
            "unit, property, vector, simulation, corpus and doc tests",
            &mut cargo(&["test", "--workspace", "--no-fail-fast"]),
        );
        steps.run("the rings under loom", &mut loom());
    }
    rooted(steps, filter);
    over_memif(steps, filter);
}

/// Loom replaces the atomics of the whole build, so it has a build directory of its own. Release, because it tries
/// every interleaving.
fn loom() -> Command {
    let mut command = cargo(&["test", "--package", "barelane-ring", "--release", "--lib", "--tests"]);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    command
}

/// What needs root, and which tests that are.
const ROOTED: [(&str, &[&str]); 2] = [
    ("tests on interfaces, in network namespaces, with third-party clients and a browser", &["interface"]),
    ("the demonstration, its report in a browser, and the probe", &["demo", "page", "probe"]),
];

/// What needs root: one test at a time, because each wants both cores for itself.
fn rooted(steps: &mut Steps, filter: Option<&str>) {
    if !clients::can_make_namespaces() {
        let why = "they need root, and a place where root may make network namespaces";
        return ROOTED.iter().for_each(|(name, _)| steps.skip(name, why));
    }
    let wanted: Vec<&'static Client> = CLIENTS.iter().collect();
    let missing = clients::provide(&wanted);
    for (name, tests) in ROOTED {
        let mut command = cargo(&["test", "--package", "barelane", "--no-fail-fast"]);
        command.args(tests.iter().flat_map(|test| ["--test", test])).arg("--");
        command.env("BARELANE_TOOLS", clients::tools());
        command.args(["--ignored", "--show-output", "--test-threads=1"]).args(filter);
        leave_out(&mut command, &missing);
        steps.test(name, &mut command);
    }
    say_skipped(steps, &missing);
}

/// What wants no privilege but DPDK, and both cores: one test at a time.
fn over_memif(steps: &mut Steps, filter: Option<&str>) {
    let missing = clients::provide(&[&TESTPMD, &DPDK_ASK]);
    let mut command = cargo(&["test", "--package", "barelane", "--test", "memif", "--"]);
    command.env("BARELANE_TOOLS", clients::tools());
    command.args(["--ignored", "--show-output", "--test-threads=1"]).args(filter);
    leave_out(&mut command, &missing);
    steps.test("tests over memif, with DPDK", &mut command);
    say_skipped(steps, &missing);
}

/// Leaves out the tests with clients that could not be had.
fn leave_out(command: &mut Command, missing: &[(&'static Client, String)]) {
    for (client, _) in missing {
        command.args(["--skip", client.tests]);
    }
}

/// Says which clients could not be had, and why.
fn say_skipped(steps: &mut Steps, missing: &[(&'static Client, String)]) {
    for (client, why) in missing {
        steps.skip(&format!("tests with {} ({})", client.package, client.program), why);
    }
}

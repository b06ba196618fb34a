//! `cargo xtask soak`: the same tests, many times more.
//!
//! Every seed of the simulated wire is another history of losses, repetitions, damage and slow peers; every SIGKILL
//! strikes at another moment. A failure names its seed, and `BARELANE_SEEDS=SEED..SEED+1` repeats it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::clients;
use crate::step::{Steps, cargo, run as run_command};

/// Seeds of one run of the tests: some seconds, so that the end is met within that.
const SEEDS_PER_RUN: u64 = 64;
/// SIGKILLs of the long form, and of the short one.
const KILLS: [&str; 2] = ["1000", "10"];

/// How long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long to simulate, in minutes; 1000 SIGKILLs come on top, some four minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Half a minute of simulation and 10 SIGKILLs, as CI does.
    #[arg(long, conflicts_with = "minutes")]
    short: bool,
}

/// Simulates and kills, and sums up.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::default();
    if arguments.short {
        short(&mut steps);
    } else {
        steps.call("simulated faults", || simulate(Duration::from_mins(arguments.minutes)));
        kill(&mut steps, KILLS[0]);
    }
    steps.close()
}

/// The short form, as steps.
pub(crate) fn short(steps: &mut Steps) {
    steps.call("simulated faults", || simulate(Duration::from_secs(30)));
    kill(steps, KILLS[1]);
}

/// Runs the tests of the simulated wire with new seeds until the time is over.
fn simulate(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    let mut first = 1000;
    let test =
        ["test", "--quiet", "--release", "--package", "barelane-lane", "--test", "conformance", "faults"];
    while Instant::now() < end {
        let seeds = format!("{first}..{}", first + SEEDS_PER_RUN);
        println!("   $ BARELANE_SEEDS={seeds} cargo {}", test.join(" "));
        let status = run_command(cargo(&test).env("BARELANE_SEEDS", &seeds))?;
        ensure!(status.success(), "the seeds {seeds} fail: {status}");
        first += SEEDS_PER_RUN;
    }
    Ok(())
}

fn kill(steps: &mut Steps, count: &str) {
    let name = "SIGKILL at random moments";
    if !clients::can_make_namespaces() {
        return steps.skip(name, "it needs root, and a place where root may make network namespaces");
    }
    let test = ["test", "--quiet", "--package", "barelane", "--test", "interface", "--", "sigkill"];
    let mut command = cargo(&test);
    command.args(["--ignored", "--nocapture"]).env("BARELANE_KILLS", count);
    steps.test(name, &mut command);
}

//! `cargo xtask soak`: the same tests, many times more.
//!
//! Every seed of the simulated wire is another history of losses, repetitions, damage and slow peers; every SIGKILL
//! strikes at another moment, in both tiers. A failure names its seed, and `BARELANE_SEEDS=SEED..SEED+1` repeats it. The
//! configuration changes a thousand times while questions are asked, and the interface goes and comes five hundred times. The probe asks ten million as fast as this machine
//! carries them, and both sides account for every one. Ten million random and mutated frames go to the lane and to the driver
//! tier, which must do the same; and every question of every vector over a virtual cable. A thousand million questions go over
//! memif, from DPDK, in both roles, with copies and without; and a hostile peer writes ten million times over rings,
//! buffers and messages while a lane answers over them, and once more under `AddressSanitizer`. A hundred million packets go to
//! sixty-four simulated lanes, which must have counted together what one would have.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::clients::{self, DPDK_ASK};
use crate::step::{Steps, cargo, run as run_command};

/// Seeds of one run of the tests: some seconds, so that the end is met within that.
const SEEDS_PER_RUN: u64 = 64;
/// What CI does.
const SHORT: Form = Form {
    time: Duration::from_secs(30),
    kills: "10",
    reloads: "20",
    removals: "20",
    questions: "100000",
    build: &[],
    frames: "200000..400000",
    garbage: "1000..1045",
    vectors: Vectors::AsTested,
    over_memif: "1000000",
    packets: "1000000",
};
/// What is asked for by hand; its time is an argument.
const LONG: Form = Form {
    time: Duration::ZERO,
    kills: "1000",
    reloads: "1000",
    removals: "500",
    questions: "10000000",
    build: RELEASE,
    frames: "1000000..11000000",
    garbage: "2000..3000",
    vectors: Vectors::Whole,
    over_memif: "250000000",
    packets: "100000000",
};
/// The build whose questions are as fast as this machine carries them.
const RELEASE: &[&str] = &["--release"];

/// How much of each part.
#[derive(Clone, Copy, Debug)]
struct Form {
    time: Duration,
    kills: &'static str,
    reloads: &'static str,
    /// How often an interface is taken from under a server and given back.
    removals: &'static str,
    questions: &'static str,
    /// What asks the questions: a build that is there already, or one that is fast.
    build: &'static [&'static str],
    /// The seeds of the frames that lane and driver are compared on.
    frames: &'static str,
    /// The seeds of a memif peer's garbage, each of which writes ten thousand times.
    garbage: &'static str,
    vectors: Vectors,
    /// Questions over memif, of each of four setups.
    over_memif: &'static str,
    /// Packets to sixty-four simulated lanes.
    packets: &'static str,
}

/// What of the vectors goes over a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vectors {
    /// What `cargo test` has put already.
    AsTested,
    /// Every question.
    Whole,
}

/// What to do for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this part.
    part: Option<Part>,
    /// How long to simulate, in minutes; 1000 SIGKILLs and 1000 reloads of each tier come on top, some twenty minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Half a minute of simulation, 10 SIGKILLs and 20 reloads of each tier, 100,000 questions, 200,000 frames, and over memif
    /// four million questions and garbage 450,000 times, as CI does.
    #[arg(long, conflicts_with = "minutes")]
    short: bool,
}

/// The parts of a soak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Seeds of the simulated wire.
    Faults,
    /// SIGKILLs.
    Kill,
    /// Reloads under load.
    Reload,
    /// Removals of the interface under load.
    Vanishing,
    /// Questions of the probe.
    Probe,
    /// Frames to the lane and to the driver tier.
    Differential,
    /// Vectors over a cable.
    Vectors,
    /// Questions over memif.
    Memif,
    /// Packets to many simulated lanes.
    ManyLanes,
    /// Garbage of a memif peer.
    MemifHostile,
}

/// Simulates and kills, and sums up.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::default();
    let long = Form { time: Duration::from_mins(arguments.minutes), ..LONG };
    parts(&mut steps, arguments.part, if arguments.short { SHORT } else { long });
    steps.close()
}

/// The short form, as steps.
pub(crate) fn short(steps: &mut Steps) {
    parts(steps, None, SHORT);
}

/// One part, or all of them.
fn parts(steps: &mut Steps, only: Option<Part>, form: Form) {
    let is_wanted = |part| only.is_none_or(|only| only == part);
    if is_wanted(Part::Faults) {
        steps.call("simulated faults", || simulate(form.time));
    }
    if is_wanted(Part::Kill) {
        let kills = ("BARELANE_KILLS", form.kills);
        on_an_interface(steps, "SIGKILL at random moments, a lane", "leaves_nothing_of_a_lane", kills, &[]);
        let driver = "leaves_nothing_of_the_driver_tier";
        on_an_interface(steps, "SIGKILL at random moments, the driver tier", driver, kills, &[]);
    }
    if is_wanted(Part::Reload) {
        let reloads = ("BARELANE_RELOADS", form.reloads);
        on_an_interface(steps, "reloads under load, a lane", "no_answer_of_a_lane", reloads, &[]);
        let driver = "no_answer_of_the_driver_tier";
        on_an_interface(steps, "reloads under load, the driver tier", driver, reloads, &[]);
    }
    if is_wanted(Part::Vanishing) {
        let removals = ("BARELANE_REMOVALS", form.removals);
        on_an_interface(steps, "interfaces that go and come", "loses_one_answer_each_time", removals, &[]);
    }
    if is_wanted(Part::Probe) {
        let count = ("BARELANE_QUESTIONS", form.questions);
        on_an_interface(steps, "questions of the probe", "flood::", count, form.build);
    }
    if is_wanted(Part::Differential) {
        let frames = ("BARELANE_FRAMES", form.frames);
        in_the_driver(steps, "the lane and the driver on the same frames", "the_lane_and_the_driver", frames);
    }
    if is_wanted(Part::Vectors) && form.vectors == Vectors::Whole {
        let all = ("BARELANE_ALL_QUESTIONS", "1");
        in_the_driver(steps, "every question of every vector over a cable", "on_a_cable", all);
    }
    if is_wanted(Part::Memif) {
        over_memif(steps, form);
    }
    if is_wanted(Part::ManyLanes) {
        steps.test("sixty-four lanes", many_lanes().env("BARELANE_PACKETS", form.packets));
    }
    if is_wanted(Part::MemifHostile) {
        steps.test("garbage of a memif peer", garbage().env("BARELANE_GARBAGE", form.garbage));
    }
    // A build of its own: minutes, so that it is no part of the short form unless it is asked for.
    if is_wanted(Part::MemifHostile) && form.vectors == Vectors::Whole {
        sanitized(steps, form.garbage);
    }
}

/// Asks by DPDK over memif, which takes some seconds for a million as tests are built.
fn over_memif(steps: &mut Steps, form: Form) {
    let name = "questions over memif, from DPDK";
    let missing = clients::provide(&[&DPDK_ASK]);
    if let Some((client, why)) = missing.first() {
        return steps.skip(name, &format!("no {}: {why}", client.program));
    }
    let mut command = cargo(&["test", "--quiet"]);
    command.args(form.build).args(["--package", "barelane", "--test", "memif", "--", "many::"]);
    command.args(["--ignored", "--nocapture", "--test-threads=1"]);
    command.env("BARELANE_QUESTIONS", form.over_memif).env("BARELANE_TOOLS", clients::tools());
    steps.test(name, &mut command);
}

/// The tests of sixty-four lanes over simulated cards.
fn many_lanes() -> Command {
    let mut command =
        cargo(&["test", "--quiet", "--release", "--package", "barelane-lane", "--test", "conformance"]);
    command.args(["--", "sixty_four_lanes"]);
    command
}

/// The tests of a lane over memif with a peer that writes garbage.
fn garbage() -> Command {
    let mut command = cargo(&["test", "--quiet", "--package", "barelane-lane", "--test", "memif"]);
    command.args(["--", "garbage", "--nocapture"]);
    command
}

/// The same, and all other tests of memif, where every access to memory is checked. `cfg(fuzzing)` copies packets in a way that
/// the sanitizer sees. The stable compiler has it, and only does not promise to keep it.
fn sanitized(steps: &mut Steps, seeds: &str) {
    let name = "memif under AddressSanitizer";
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return steps.skip(name, "it is set up for x86-64 Linux");
    }
    for package in ["barelane-nic", "barelane-lane"] {
        let mut command = cargo(&["test", "--quiet", "--package", package, "--test", "memif"]);
        command.args(["--target", "x86_64-unknown-linux-gnu", "--target-dir", "target/asan"]);
        command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address --cfg fuzzing");
        // SIGBUS is what it would be without: some tests are about that.
        command.env("ASAN_OPTIONS", "handle_sigbus=0").env("BARELANE_GARBAGE", seeds);
        steps.test(&format!("{name}: {package}"), &mut command);
    }
}

/// Runs those tests of the driver tier that have `filter` in their names. Two minutes for ten million frames as tests are
/// built; most of it is the kernel's, so that a release build would cost more than it saves.
fn in_the_driver(steps: &mut Steps, name: &str, filter: &str, (variable, value): (&str, &str)) {
    let test = ["test", "--quiet", "--package", "barelane", "--test", "driver", "--", filter];
    steps.test(name, cargo(&test).arg("--nocapture").env(variable, value));
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

/// Runs those tests of the binary on an interface that have `filter` in their names, with a variable that says how often.
fn on_an_interface(
    steps: &mut Steps,
    name: &str,
    filter: &str,
    (variable, count): (&str, &str),
    build: &[&str],
) {
    if !clients::can_make_namespaces() {
        return steps.skip(name, "it needs root, and a place where root may make network namespaces");
    }
    let mut command = cargo(&["test", "--quiet"]);
    command.args(build).args(["--package", "barelane", "--test", "interface", "--", filter]);
    command.args(["--ignored", "--nocapture", "--test-threads=1"]).env(variable, count);
    steps.test(name, &mut command);
}

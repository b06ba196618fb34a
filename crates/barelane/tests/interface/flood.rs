//! Are questions by the million accounted for, on both sides, in memory that does not grow?
//!
//! The probe runs in this process and asks past its kernel, as fast as it can; `cargo xtask soak` makes ten million of it.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use probe::{Arrivals, Ask, Counts, End, Ended, Outcome, Progress, Protocol, Ramp, Schedule};
use telemetry::Ns;

use crate::asking::{by_xdp, dropped_towards_clients, dropped_towards_server};
use crate::server::Server;
use crate::tier::Tier;
use crate::topology::{SERVER, Topology};

/// How many questions are asked in each way; `cargo xtask soak` asks for more by the variable `BARELANE_QUESTIONS`.
const QUESTION_COUNT: u64 = 100_000;
/// How many are under way at once where the machine sets the pace.
const WINDOW: u32 = 256;
/// Questions per second that no such cable carries.
const FLOOD_RATE: f64 = 5e6;
const WARM_UP_COUNT: u64 = 100;
/// After it an answer of a flood that loses is late. What is remembered for so long has to fit the memory.
const TIMEOUT: Ns = Ns(300_000_000);
/// The same where nothing is lost: long enough for a lane that waits for its core on a machine that is busy with other things.
const PATIENCE: Ns = Ns(2_000_000_000);
/// What a process may grow by between the first tenth of a run and its end: some pages of the allocator's own, and far
/// below one byte for each question of a soak.
const GROWTH_MAX_KIB: u64 = 1_024;
const UDP_PORT: NonZeroU16 = NonZeroU16::new(7).unwrap();

fn question_count() -> u64 {
    std::env::var("BARELANE_QUESTIONS").map_or(QUESTION_COUNT, |count| count.parse().unwrap())
}

fn ask(schedule: Schedule) -> Ask {
    Ask {
        schedule,
        size: 64,
        end: End::Count(question_count()),
        timeout: if matches!(schedule, Schedule::Open { .. }) { TIMEOUT } else { PATIENCE },
        linger: Ns(500_000_000),
        warm_up: WARM_UP_COUNT,
        ..Ask::new(SERVER[0].parse().unwrap(), Protocol::Udp { port: UDP_PORT })
    }
}

/// The resident memory of a process, in KiB: `VmRSS` of `/proc/PID/status` (proc(5)).
fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// What one run was: the probe's word, the server's, and the cable's ends'.
struct Run {
    outcome: Outcome,
    server: HashMap<String, u64>,
    /// Frames dropped on the cable, on the way to the probe and on the way to the server.
    dropped: [u64; 2],
    /// The most memory of the probe and of the server, in KiB.
    resident: [u64; 2],
}

/// Measures a server of its own by AF_XDP, watching the memory.
fn run(tier: Tier, schedule: Schedule) -> Run {
    let topology = Topology::new();
    // The probe's own program is the one that the driver's answers need at the other end.
    let server = Server::alone_with(&topology, tier.options());
    let processes = [std::process::id(), server.id()];
    let (progress, is_over) = (Progress::default(), AtomicBool::new(false));
    let (outcome, [early, resident]) = thread::scope(|scope| {
        let watching = scope.spawn(|| watch_memory(&progress, &is_over, processes));
        let outcome = by_xdp(&topology, &ask(schedule), &progress, &AtomicBool::new(false));
        is_over.store(true, Ordering::Relaxed);
        (outcome, watching.join().unwrap())
    });
    for (early, most) in early.into_iter().zip(resident) {
        assert!(
            most <= early + GROWTH_MAX_KIB,
            "a process grew from {early} KiB to {most} KiB: {processes:?}"
        );
    }
    let server = tier.counts(&server.counts());
    let dropped = [dropped_towards_clients(&topology), dropped_towards_server(&topology)];
    Run { outcome, server, dropped, resident }
}

/// The memory of the processes when a tenth of the questions was sent, and the most that it was from then on.
fn watch_memory(progress: &Progress, is_over: &AtomicBool, processes: [u32; 2]) -> [[u64; 2]; 2] {
    let mut seen: Option<[[u64; 2]; 2]> = None;
    while !is_over.load(Ordering::Relaxed) {
        if progress.counts().sent >= question_count() / 10 {
            let now = processes.map(resident_kib);
            let [early, most] = seen.unwrap_or([now, now]);
            seen = Some([early, [most[0].max(now[0]), most[1].max(now[1])]]);
        }
        thread::sleep(Duration::from_millis(1));
    }
    seen.expect("a run takes longer than two looks at it")
}

fn say(run: &Run) {
    let Counts { sent, answered, lost, late, .. } = run.outcome.counts;
    let rate = u128::from(sent) * 1_000_000_000 / u128::from(run.outcome.asking.0);
    println!("{rate} questions a second: {sent} sent = {answered} answered + {lost} lost + {late} late");
    println!("memory: {} KiB, and {} KiB at the server", run.resident[0], run.resident[1]);
}

/// A window sets the highest pace that loses nothing: each answer makes room for a question.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_flood_that_waits_for_its_answers_loses_none() {
    for tier in [Tier::Driver, Tier::Lane] {
        let run = run(tier, Schedule::Closed { window: WINDOW, gap: Ns(0) });
        say(&run);
        let Counts { sent, answered, duplicated, corrupted, unmatched, .. } = run.outcome.counts;
        assert_eq!((sent, answered, &run.outcome.ended), (question_count(), question_count(), &Ended::Done));
        assert_eq!((duplicated, corrupted, unmatched, run.outcome.overruns), (0, 0, 0, Some(0)));
        assert_eq!(run.server["replied_udp"], sent + WARM_UP_COUNT);
        // The driver sees what is the kernel's too, and passes it.
        let passed = run.server.get("passed").unwrap_or(&0);
        assert_eq!(run.server["rx"] - passed, sent + WARM_UP_COUNT);
    }
}

/// More than anybody carries: what is not answered has been dropped at a place that counts it.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_flood_past_whtowards_server_carries_is_accounted_for_on_both_sides() {
    let rate = Ramp::constant(FLOOD_RATE);
    let run = run(Tier::Lane, Schedule::Open { arrivals: Arrivals::Periodic, rate });
    say(&run);
    let counts = run.outcome.counts;
    assert_eq!((counts.sent, &run.outcome.ended), (question_count(), &Ended::Done));
    assert_eq!(counts.sent, counts.answered + counts.lost + counts.late);
    let [towards_probe, towards_server] = run.dropped;
    assert_eq!(counts.sent + WARM_UP_COUNT, run.server["rx"] + towards_server, "what was asked");
    let arrived = counts.answered + counts.late + counts.duplicated + counts.corrupted + counts.unmatched;
    assert_eq!(run.server["replied_udp"], arrived + WARM_UP_COUNT + towards_probe, "what was answered");
    assert_eq!((counts.duplicated, counts.corrupted), (0, 0));
    assert!(run.outcome.overruns.unwrap() <= towards_probe, "{:?}", run.outcome.overruns);
}

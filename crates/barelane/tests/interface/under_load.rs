//! Does the configuration change under load without an answer lost, doubled or falsified, in either tier?
//!
//! ```text
//!   a server of its own:  a window of questions sets the highest rate without loss
//!   another one:          at 80 % of it ──▶ asked ── asked ── asked ── … ──▶ every question has its fate
//!                                              ▲ SIGHUP  ▲ SIGHUP  ▲ …
//! ```
//!
//! A question can also be lost because the machine gave its core to somebody else and a ring ran over. Where that is so,
//! the kernel has counted the frame at one of the cable's ends, and the run says nothing: it is repeated. A loss that
//! nobody has counted is the reload's, and so is one that comes again however low the rate.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use probe::{Arrivals, Ask, Counts, End, Ended, Outcome, Progress, Protocol, Ramp, Schedule};
use telemetry::Ns;

use crate::asking::{by_xdp, dropped_towards_clients, dropped_towards_server};
use crate::reload::{File, ONE, RELOAD_MAX, TWO, hang_up};
use crate::server::Server;
use crate::topology::{SERVER, Topology};

/// How often the configuration changes; `cargo xtask soak` asks for more by the variable `BARELANE_RELOADS`.
const RELOAD_COUNT: u64 = 20;
/// How many of them one run has, at the most: so many seconds, for which a machine leaves its cores alone now and then.
const RELOADS_PER_RUN: u64 = 50;
/// How much of the highest rate without loss is asked for meanwhile, in one try after the other: what is lost for want of a
/// core is nobody's fault. Where others use the cores again and again, a lower rate leaves room for what waits.
const LOADS: [f64; 7] = [LOAD, LOAD, LOAD, LOAD, 0.4, 0.2, 0.1];
/// What is wanted.
const LOAD: f64 = 0.8;
/// A run is ended when all reloads are done. Longer than any number of them takes.
const SECONDS_MAX: f64 = 3_600.0;
/// How many questions are under way at once where the highest rate without loss is looked for.
const WINDOW: u32 = 256;
/// For so long.
const WINDOW_SECONDS: f64 = 1.0;

fn reload_count() -> u64 {
    std::env::var("BARELANE_RELOADS").map_or(RELOAD_COUNT, |count| count.parse().unwrap())
}

/// One of the two configurations: the first serves one address and one port, the second two of each.
fn configuration(tier: &str, which: u64) -> String {
    let (addresses, respond) = if which.is_multiple_of(2) {
        (ONE, "\"udp-echo:7\"")
    } else {
        (TWO, "\"udp-echo:7\", \"udp-echo:8\"")
    };
    // Rings that hold what comes while a core is somebody else's for some ten milliseconds.
    format!(
        "[nic]\nring_size = 32768\n[serve]\naddresses = [{addresses}]\nrespond = [{respond}]\n\
         tier = \"{tier}\"\naddress_check_ms = 0\n"
    )
}

fn serve(topology: &Topology, file: &File, tier: &str) -> Server {
    file.set(&configuration(tier, 0));
    Server::start(topology, &["--config", file.path()])
}

/// Questions in an open loop. None is for warming up, so that all of them are counted.
fn ask() -> Ask {
    Ask {
        size: 64,
        timeout: Ns(2_000_000_000),
        linger: Ns(200_000_000),
        warm_up: 0,
        ..Ask::new(SERVER[0].parse().unwrap(), Protocol::Udp { port: 7.try_into().unwrap() })
    }
}

/// The highest rate at which this tier loses nothing, here and now: a window sets it, for each answer makes room for a
/// question. A search by trials would take the hundred moments for its own in which this machine is somebody else's.
fn rate_without_loss(tier: &str) -> f64 {
    let (topology, file) = (Topology::new(), File::new(&format!("rate-{tier}")));
    let _server = serve(&topology, &file, tier);
    let schedule = Schedule::Closed { window: WINDOW, gap: Ns(0) };
    let ask = Ask { schedule, end: End::Seconds(WINDOW_SECONDS), ..ask() };
    let outcome = by_xdp(&topology, &ask, &Progress::default(), &AtomicBool::new(false));
    assert_eq!(outcome.counts.sent, outcome.counts.answered, "{outcome:#?}");
    let whole = Duration::from_nanos(outcome.asking.0).as_secs_f64();
    f64::from(u32::try_from(outcome.counts.sent).unwrap()) / whole
}

/// What both sides say of one run.
#[derive(Debug)]
struct Run {
    reload_count: u64,
    outcome: Outcome,
    server: HashMap<String, u64>,
    /// Frames dropped on the cable, by direction.
    towards_clients: u64,
    towards_server: u64,
}

/// Asks at `rate` while the configuration changes again and again.
fn run(tier: &str, rate: f64, reload_count: u64) -> Run {
    let (topology, file) = (Topology::new(), File::new(&format!("reloads-{tier}")));
    let server = serve(&topology, &file, tier);
    let schedule = Schedule::Open { arrivals: Arrivals::Periodic, rate: Ramp::constant(rate) };
    let ask = Ask { schedule, end: End::Seconds(SECONDS_MAX), ..ask() };
    let (progress, stop) = (Progress::default(), AtomicBool::new(false));
    let outcome = thread::scope(|scope| {
        let asking = scope.spawn(|| by_xdp(&topology, &ask, &progress, &stop));
        while progress.counts().answered == 0 && !asking.is_finished() {
            thread::yield_now();
        }
        for which in 1..=reload_count {
            file.set(&configuration(tier, which));
            hang_up(&server);
            server.line("barelane: reloaded", RELOAD_MAX);
        }
        stop.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    let server = server.counts();
    let towards_clients = dropped_towards_clients(&topology);
    let towards_server = dropped_towards_server(&topology);
    Run { reload_count, outcome, server, towards_clients, towards_server }
}

impl Run {
    fn counted(&self, name: &str) -> u64 {
        self.server.get(name).copied().unwrap_or_default()
    }

    /// Demands that nothing was doubled or falsified, and that whatever was lost has been counted by the kernel. Gives
    /// whether nothing was lost.
    fn judge(&self, tier: &str) -> bool {
        let counts = self.outcome.counts;
        assert_eq!(self.outcome.ended, Ended::Stopped);
        assert_eq!(self.counted("tables_taken"), self.reload_count, "{:?}", self.server);
        assert_eq!((counts.duplicated, counts.corrupted, counts.unmatched, counts.refused), (0, 0, 0, 0));
        let (replied, by_the_other_tier) = match tier {
            "driver" => (self.counted("driver_replied_udp"), self.counted("replied_udp")),
            _ => (self.counted("replied_udp"), self.counted("driver_replied_udp")),
        };
        assert_eq!(by_the_other_tier, 0, "an answer that came from the other tier");
        assert_eq!(counts.sent, replied + self.towards_server, "what was asked: {self:#?}");
        let arrived = counts.answered + counts.late;
        assert_eq!(replied, arrived + self.towards_clients, "what was answered: {self:#?}");
        counts.lost + counts.late == 0
    }

    fn say(&self, tier: &str, rate: f64) {
        let counts = self.outcome.counts;
        println!(
            "tier {tier}: {} reloads in {:.1} s at {rate:.0} questions a second: {} asked, {} answered, {} lost, {} late, \
             {} doubled, {} wrong; dropped for want of room: {} towards the server, {} towards the client",
            self.reload_count,
            Duration::from_nanos(self.outcome.asking.0).as_secs_f64(),
            counts.sent,
            counts.answered,
            counts.lost,
            counts.late,
            counts.duplicated,
            counts.corrupted + counts.unmatched + counts.refused,
            self.towards_server,
            self.towards_clients,
        );
    }
}

/// Changes the configuration as often as is wanted.
fn change_under_load(tier: &str) {
    let (wanted, mut done, mut answered, mut at_less) = (reload_count(), 0, 0, 0);
    while done < wanted {
        let reload_count = RELOADS_PER_RUN.min(wanted - done);
        let (load, counts) = run_without_loss(tier, reload_count);
        answered += counts.answered;
        at_less += if load < LOAD { reload_count } else { 0 };
        done += reload_count;
    }
    println!(
        "tier {tier}: {done} reloads, {at_less} of them at less than {LOAD} of the highest rate; {answered} questions asked \
         and answered once and rightly"
    );
}

/// Runs until nothing is lost for want of a core. Gives at which load that was.
fn run_without_loss(tier: &str, reload_count: u64) -> (f64, Counts) {
    for load in LOADS {
        let rate = rate_without_loss(tier) * load;
        let run = run(tier, rate, reload_count);
        run.say(tier, rate);
        if run.judge(tier) {
            return (load, run.outcome.counts);
        }
    }
    panic!("a ring ran over at each of the loads {LOADS:?}: this machine has no core to spare");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn reloads_under_load_lose_double_and_falsify_no_answer_of_the_driver_tier() {
    change_under_load("driver");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn reloads_under_load_lose_double_and_falsify_no_answer_of_a_lane() {
    change_under_load("lane");
}

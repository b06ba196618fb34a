//! Is a thread that takes a lane's core away told with its length and as what it is?
//!
//! The competitor has real-time priority (`SCHED_FIFO`), so that a lane of ordinary priority cannot run beside it, and says itself by
//! `CLOCK_MONOTONIC` how long it had the core. That is less than the kernel lets it spin (`sched_rt_runtime_us`, 950 ms of each
//! second) and than it lets others starve (the fair server comes after about as long).

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::admin::{body, get, hosts, sample};
use crate::server::Server;
use crate::side_channel::segment_of;
use crate::top::top;
use crate::topology::{Topology, finish};

/// For how long it has the core.
const WANTED_MS: &str = "300";
/// What the script ends with where this machine gives nobody such a priority.
const NOT_ALLOWED: i32 = 77;
/// How often it is tried: others may have had the core as well, just before or behind it, and then the stall is longer.
const TRIES_MAX: usize = 8;

/// When somebody else had a lane's core, by his own clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Competed {
    began_unix_ns: u64,
    lasted_ns: u64,
}

impl Competed {
    /// Takes the core from whoever runs there; nothing where this machine does not let it, which is said.
    pub(crate) fn on(core: u64) -> Option<Self> {
        let script = format!("{}/tests/interface/competitor.py", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("python3");
        command.args(["-B", &script, &core.to_string(), WANTED_MS]).stdin(Stdio::null());
        let ended = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        if ended.status.code() == Some(NOT_ALLOWED) {
            eprintln!("skipped: a competing thread needs CAP_SYS_NICE for a real-time priority");
            return None;
        }
        assert!(ended.status.success(), "{}", ended.said);
        let mut numbers = ended.said.split_whitespace().map(|number| number.parse().unwrap());
        Some(Self { began_unix_ns: numbers.next().unwrap(), lasted_ns: numbers.next().unwrap() })
    }

    /// Whether a stall is this: of the same length within a tenth, and most of it at the same time.
    pub(crate) fn is(&self, stall: &Value) -> bool {
        let [began, length] = ["began_unix_ns", "length_ns"].map(|key| stall[key].as_u64().unwrap());
        let ended = (began + length).min(self.began_unix_ns + self.lasted_ns);
        let shared = ended.saturating_sub(began.max(self.began_unix_ns));
        shared >= self.lasted_ns / 2 && length.abs_diff(self.lasted_ns) <= self.lasted_ns / 10
    }
}

/// What `barelane top` says of the only lane of a server.
pub(crate) fn lane_of(server: &Server) -> Value {
    let segment = segment_of(server);
    let ended = top(&["--json", "--interval", "0.2", "--segment", segment.to_str().unwrap()]);
    let document: Value = serde_json::from_str(&ended.said).unwrap();
    document["servers"][0]["lanes"][0].clone()
}

/// Competes once with the lane of a new server. Gives whether the stall was found with its length; its cause must be the right one.
fn is_told(topology: &Topology) -> Option<bool> {
    const STALLED: &str = "barelane_lane_stalled_by_cause_seconds_total{lane=\"0\",cause=\"preempted\"}";
    let server = Server::alone_with(topology, &["--tier", "lane"]);
    let before = sample(body(&get(topology, "/metrics", "")), STALLED);
    let competed = Competed::on(lane_of(&server)["core"].as_u64().unwrap())?;
    let lane = lane_of(&server);
    let page = get(topology, "/metrics", "");
    let Some(stall) = lane["stalls"].as_array().unwrap().iter().find(|stall| competed.is(stall)) else {
        println!("no stall like {competed:?} in {}", lane["stalls"]);
        return Some(false);
    };
    println!("{competed:?}: {stall}");
    assert_eq!(stall["cause"], "preempted", "{stall}");
    assert!(stall["run_delay_ns"].as_u64() >= Some(competed.lasted_ns * 9 / 10), "{stall}");
    assert!(stall["involuntary_switches"].as_u64() >= Some(1), "{stall}");
    // All else of this cause since then is counted there as well.
    let stalled_s = sample(body(&page), STALLED) - before;
    let longest_s = sample(body(&page), "barelane_lane_longest_stall_seconds{lane=\"0\"}");
    let [length_s, lasted_s] =
        [stall["length_ns"].as_f64().unwrap(), nanoseconds(competed.lasted_ns)].map(|ns| ns / 1e9);
    assert!(stalled_s > length_s * 0.999, "{stalled_s} s of this cause, and {stall}");
    Some((longest_s / lasted_s - 1.0).abs() <= 0.1)
}

fn nanoseconds(ns: u64) -> f64 {
    f64::from(u32::try_from(ns).unwrap())
}

#[test]
#[ignore = "needs root: a network namespace, and a real-time priority"]
fn a_competing_threads_stall_stands_in_top_and_in_metrics_with_its_length_and_as_preempted() {
    for _ in 0..TRIES_MAX {
        match is_told(&hosts()) {
            Some(false) => {}
            Some(true) | None => return,
        }
    }
    panic!("in {TRIES_MAX} tries none was told with its length");
}

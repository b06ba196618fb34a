//! Does the side channel say what happened, exactly, to whoever reads it, and does nobody who reads it disturb a server?

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use barelane::side_channel::{self, NotedStall, Reader, Snapshot};
use probe::own_error::Cause;
use serde_json::Value;

use crate::server::Server;
use crate::steady::wait_until_traced;
use crate::topology::{SERVER, Topology, finish};

/// How long until what has happened stands in the segment, on two busy cores: it is published every tenth of a second.
const PUBLISHED_MAX: Duration = Duration::from_secs(10);

/// The segment of a server.
pub(crate) fn segment_of(server: &Server) -> PathBuf {
    let of_server =
        |path: &PathBuf| Reader::open(path).is_ok_and(|reader| reader.process == u64::from(server.id()));
    let found: Vec<_> = side_channel::running().0.into_iter().filter(of_server).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

/// What the segment says when this is so.
pub(crate) fn when(reader: &Reader, is_so: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + PUBLISHED_MAX;
    loop {
        let snapshot = reader.read().unwrap();
        if is_so(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "{snapshot:#?}");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn replied_udp(snapshot: &Snapshot) -> u64 {
    snapshot.of_kind("lane").filter_map(|lane| lane.number("replied_udp")).sum()
}

/// How many questions lanes were asked for health.
pub(crate) fn asked_for_health(snapshot: &Snapshot) -> u64 {
    snapshot.of_kind("server").filter_map(|server| server.number("health_questions_lane")).sum()
}

/// Asks so often, and demands that each answer comes.
pub(crate) fn ask(topology: &Topology, count: u64) {
    let socket = topology.socket(SERVER[0], 7);
    let (question, mut answer) = ([0xa5; 64], [0; 128]);
    for number in 0..count {
        socket.send(&question).unwrap();
        let len = socket.recv(&mut answer).unwrap_or_else(|error| panic!("question {number}: {error}"));
        assert_eq!(answer[..len], question);
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_was_asked_stands_in_the_segment_exactly_and_every_frame_has_a_fate() {
    const COUNT: u64 = 5_000;
    let topology = Topology::with_queues(2);
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    ask(&topology, COUNT);
    let snapshot = when(&reader, |snapshot| replied_udp(snapshot) >= COUNT);
    assert_eq!(replied_udp(&snapshot), COUNT);
    let mut residences = 0;
    for (number, lane) in snapshot.of_kind("lane").enumerate() {
        let [received, replied, passed, dropped] =
            ["received", "replied", "passed", "dropped"].map(|kind| lane.sum(kind));
        assert_eq!(received, replied + passed + dropped, "lane {number}");
        assert_eq!(lane.number("queue"), Some(number as u64));
        let places = ["rx", "tx", "fill", "completion", "free"].map(|place| format!("depth_{place}"));
        let frames: u64 = places.iter().map(|place| lane.number(place).unwrap()).sum();
        assert!(frames > 0 && lane.number("depth_fill_max") >= lane.number("depth_fill"), "{frames}");
        residences += lane.histogram("residence_udp").unwrap().count();
    }
    assert_eq!(residences, COUNT, "each answer has its residence, as long as another turn came after it");
    let facts = snapshot.of_kind("server").next().unwrap();
    let facts = ["nic", "mode", "zero_copy", "tier", "driver"].map(|name| facts.text(name).unwrap());
    assert_eq!(facts, ["lane0", "native", "no", "lane", "veth"]);
    let routes: Vec<_> = snapshot.of_kind("route").filter_map(|route| route.text("route")).collect();
    assert!(routes.iter().any(|route| route.contains("udp-echo")), "{routes:?}");
    assert_eq!((snapshot.of_kind("queue").count(), snapshot.of_kind("driver").count()), (2, 1));
    let path = reader.path().to_owned();
    assert_eq!(server.counts()["replied_udp"], COUNT);
    assert!(!path.exists() && !reader.is_served(), "a server that has ended has no segment");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_reader_in_another_language_needs_nothing_but_the_documentation() {
    const COUNT: u64 = 300;
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let path = segment_of(&server);
    ask(&topology, COUNT);
    let ours = when(&Reader::open(&path).unwrap(), |snapshot| replied_udp(snapshot) == COUNT);
    let script = format!("{}/tests/interface/segment.py", env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new("python3");
    python.arg(&script).arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = finish(python.spawn().unwrap());
    assert!(ended.status.success(), "{}", ended.said);
    let theirs: Value = serde_json::from_str(&ended.said).unwrap();
    assert_eq!(
        (theirs["process"].as_u64(), theirs["alive"].as_bool()),
        (Some(server.id().into()), Some(true))
    );
    let areas = theirs["areas"].as_array().unwrap();
    assert_eq!(areas.len(), ours.areas.len());
    for (ours, theirs) in ours.areas.iter().zip(areas) {
        assert_eq!(theirs["kind"], ours.kind.as_str());
        for field in &ours.fields {
            assert!(!theirs[&field.name].is_null(), "{} has no {}", ours.kind, field.name);
        }
    }
    let lane = areas.iter().find(|area| area["kind"] == "lane").unwrap();
    assert_eq!(lane["replied_udp"].as_u64(), Some(COUNT));
    let counts = lane["residence_udp"]["buckets"].as_object().unwrap();
    assert_eq!(counts.values().filter_map(Value::as_u64).sum::<u64>(), COUNT);
    let fates = ["replied", "passed", "dropped"].map(|fate| lane["fates"][fate].as_u64().unwrap_or(0));
    assert_eq!(lane["fates"]["received"].as_u64(), Some(fates.iter().sum()));
}

/// Waits until so many more publications have come.
pub(crate) fn publications(reader: &Reader, count: u64) {
    for _ in 0..count {
        let before = reader.read().unwrap().areas[0].published_unix_ns();
        when(reader, |snapshot| snapshot.areas[0].published_unix_ns() > before);
    }
}

/// Memory that is taken or given back makes the kernel interrupt every core on which the process runs.
#[test]
#[ignore = "needs root: a network namespace"]
fn publishing_does_not_take_memory_and_give_it_back_each_time() {
    const PUBLICATIONS: u64 = 10;
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    // What housekeeping does for the first time may take memory that it keeps.
    publications(&reader, PUBLICATIONS);
    let process = server.id().to_string();
    let mut strace = Command::new("strace");
    strace.args(["-e", "trace=memory,pwrite64", "-p", &process]).stdout(Stdio::null()).stderr(Stdio::piped());
    let strace = strace.spawn().unwrap();
    wait_until_traced(&process);
    publications(&reader, PUBLICATIONS);
    assert!(Command::new("kill").args(["-s", "INT", &strace.id().to_string()]).status().unwrap().success());
    let said = finish(strace).said;
    let writes = said.matches("pwrite64(").count() as u64;
    let memory = said.lines().filter(|line| line.contains('(') && !line.contains("pwrite64(")).count() as u64;
    assert!(writes >= PUBLICATIONS && memory < PUBLICATIONS / 2, "{memory} calls for memory: {said}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn readers_that_are_killed_while_they_read_disturb_nothing() {
    const COUNT: u64 = 3_000;
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let path = segment_of(&server);
    let script = "import os,sys\nwhile True: os.pread(os.open(sys.argv[1],os.O_RDONLY),1<<20,0)";
    let readers = (0..4).map(|_| Command::new("python3").args(["-c", script]).arg(&path).spawn().unwrap());
    let mut readers: Vec<_> = readers.collect();
    ask(&topology, COUNT / 2);
    for reader in &mut readers {
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
    ask(&topology, COUNT / 2);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(replied_udp(&when(&reader, |snapshot| replied_udp(snapshot) >= COUNT)), COUNT);
    assert_eq!(server.counts()["replied_udp"], COUNT);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_killed_servers_segment_is_known_for_dead_and_the_next_server_removes_it() {
    let topology = Topology::new();
    let killed = Server::alone(&topology);
    let path = segment_of(&killed);
    let reader = Reader::open(&path).unwrap();
    drop(killed);
    assert!(path.exists() && !reader.is_served() && reader.read().is_ok());
    assert!(!side_channel::running().0.contains(&path));
    let next = Server::alone(&topology);
    assert!(!path.exists() && segment_of(&next) != path);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_stopped_servers_stall_stands_there_with_its_length_and_its_cause() {
    const STOPPED: Duration = Duration::from_millis(200);
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    let process = server.id().to_string();
    let signal =
        |name| assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    let lane = server.lanes()[0];
    signal("STOP");
    wait_until(lane, "T");
    let began = Instant::now();
    thread::sleep(STOPPED);
    signal("CONT");
    wait_until(lane, "R");
    let lasted = began.elapsed();
    // What others had of its core between CONT and its next turn is a part of the stall, and no error of its length.
    let is_ours = |stall: &NotedStall| {
        let waited_ns = stall.usage.run_delay_ns.unwrap_or(0);
        let [length, least, most] =
            [stall.length_ns, nanoseconds(STOPPED) * 9 / 10, nanoseconds(lasted) * 11 / 10];
        length >= least && length.saturating_sub(waited_ns) <= most
    };
    let found = |snapshot: &Snapshot| {
        let lane = snapshot.of_kind("lane").next().unwrap();
        let stalls = lane.stalls("stalls").unwrap();
        stalls.last.into_iter().find(is_ours)
    };
    let stall = found(&when(&reader, |snapshot| found(snapshot).is_some())).unwrap();
    // Where others had its core for so long before or after, that is the stronger evidence.
    let has_waited = stall.usage.run_delay_ns >= Some(stall.length_ns / 2);
    let cause = if has_waited { Cause::Preempted } else { Cause::OffCore };
    assert_eq!(stall.cause, cause, "{stall:?}");
    assert!(stall.usage.voluntary_switches > Some(0), "{stall:?}");
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap()
}

/// Waits until the kernel says that a thread is in this state (proc(5)).
pub(crate) fn wait_until(thread: u32, state: &str) {
    let deadline = Instant::now() + PUBLISHED_MAX;
    while Instant::now() < deadline {
        let stat = std::fs::read_to_string(format!("/proc/{thread}/stat")).unwrap();
        if stat.rsplit_once(") ").unwrap().1.starts_with(state) {
            return;
        }
        thread::sleep(Duration::from_micros(200));
    }
    panic!("thread {thread} is never in state {state}");
}

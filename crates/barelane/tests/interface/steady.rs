//! What does an answered packet cost in system calls and page faults, when everything has been seen before?
//! (Allocations are counted in `lane`, where an allocator that counts is to be had.)

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::server::Server;
use crate::topology::{SERVER, Topology, finish};

/// Questions until everything has been seen: caches, branch history, the first publication of the counters.
const WARM_UP_COUNT: u32 = 2_000;

fn ask(socket: &UdpSocket, count: u32) {
    let (question, mut answer) = ([0xa5; 64], [0; 128]);
    for number in 0..count {
        socket.send(&question).unwrap();
        let len = socket.recv(&mut answer).unwrap_or_else(|error| panic!("question {number}: {error}"));
        assert_eq!(answer[..len], question);
    }
}

/// Minor and major page faults of one thread: fields 10 and 12 of `/proc/PID/task/TID/stat` (proc(5)).
fn page_faults(server: &Server, lane: u32) -> [u64; 2] {
    let stat = std::fs::read_to_string(format!("/proc/{}/task/{lane}/stat", server.id())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    [fields[7].parse().unwrap(), fields[9].parse().unwrap()]
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_lane_in_steady_state_has_no_page_fault() {
    let topology = Topology::new();
    let server = Server::alone(&topology);
    let lane = server.lanes()[0];
    let socket = topology.socket(SERVER[0], 7);
    ask(&socket, WARM_UP_COUNT);
    let before = page_faults(&server, lane);
    ask(&socket, 100_000);
    assert_eq!(page_faults(&server, lane), before, "minor and major page faults over 100,000 answers");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn strace_sees_no_system_call_of_a_lane_but_one_ring_kick_an_answer() {
    const QUESTION_COUNT: u32 = 5_000;
    let topology = Topology::new();
    let server = Server::alone(&topology);
    let lane = server.lanes()[0].to_string();
    let socket = topology.socket(SERVER[0], 7);
    ask(&socket, WARM_UP_COUNT);
    let mut strace = Command::new("strace");
    strace.args(["-c", "-U", "calls,name", "-p", &lane]).stdout(Stdio::null()).stderr(Stdio::piped());
    let strace = strace.spawn().unwrap();
    wait_until_traced(&lane);
    ask(&socket, QUESTION_COUNT);
    assert!(Command::new("kill").args(["-s", "INT", &strace.id().to_string()]).status().unwrap().success());
    let said = finish(strace).said;
    let calls = calls(&said);
    let kicks = calls.iter().find(|(name, _)| name == "sendto").map_or(0, |&(_, count)| count);
    println!("{kicks} ring kicks for {QUESTION_COUNT} answers, one at a time");
    assert!(calls.iter().all(|(name, _)| name == "sendto"), "{said}");
    assert!(kicks <= QUESTION_COUNT + QUESTION_COUNT / 100, "{said}");
}

/// Waits until somebody traces the thread: `TracerPid` of `/proc/TID/status` (proc(5)).
pub(crate) fn wait_until_traced(lane: &str) {
    for _ in 0..1000 {
        let status = std::fs::read_to_string(format!("/proc/{lane}/status")).unwrap();
        if status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("strace did not attach");
}

/// The rows of strace's summary: calls and name.
fn calls(said: &str) -> Vec<(String, u32)> {
    let rows = said.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    let rows = rows.filter_map(|(count, name)| Some((name.trim().to_owned(), count.parse().ok()?)));
    rows.filter(|(name, _)| name != "total").collect()
}

//! Is what has waited for too long dropped and counted, and what comes in time answered?
//!
//! A server that is stopped takes nothing from its ring, while the kernel goes on to fill it. When it goes on, all of that is
//! too old, whatever else the machine does.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::Server;
use crate::side_channel::segment_of;
use crate::top::top;
use crate::topology::{SERVER, Topology};

/// Long enough for a fresh question whose lane waits for its core.
const LIMIT: &str = "100ms";
const STOPPED: Duration = Duration::from_millis(400);
/// Fewer than the ring holds.
const COUNT: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn signal(server: &Server, name: &str) {
    let process = server.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
}

/// Whether every thread of the server stands still: the third word of its line, behind the name in parentheses (proc(5)).
fn is_stopped(server: &Server) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap().flatten();
    let mut lines = tasks.map(|task| fs::read_to_string(task.path().join("stat")).unwrap());
    lines.all(|line| line.rsplit_once(") ").unwrap().1.starts_with('T'))
}

/// Stops it, and waits until its lane has stopped too: on a busy machine that takes the time of a thread to get its core.
pub(crate) fn stop(server: &Server) {
    signal(server, "STOP");
    let deadline = Instant::now() + PATIENCE;
    while !is_stopped(server) {
        assert!(Instant::now() < deadline, "it does not stop within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Asks until this question is answered, or the patience ends; what else comes back is looked at by `check`.
fn ask_until_answered(socket: &UdpSocket, question: &[u8], check: impl Fn(&[u8])) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        socket.send(question).unwrap();
        let mut room = [0; 64];
        if let Ok(len) = socket.recv(&mut room) {
            check(&room[..len]);
            if room[..len] == *question {
                return;
            }
        }
    }
    panic!("a fresh question is not answered within {PATIENCE:?}");
}

fn lane_of(server: &Server) -> (Value, Value) {
    let segment = segment_of(server);
    let ended = top(&["--json", "--interval", "0.5", "--segment", segment.to_str().unwrap()]);
    let document: Value = serde_json::from_str(&ended.said).unwrap();
    let said = document["servers"][0].clone();
    let lane = said["lanes"][0].clone();
    (said, lane)
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_waited_while_the_server_was_stopped_is_too_old_and_what_comes_then_is_not() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane", "--age-limit", LIMIT]);
    let socket = topology.clients.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
    socket.connect((SERVER[0], 7)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    ask_until_answered(&socket, b"before", |_| {});
    stop(&server);
    for _ in 0..COUNT {
        socket.send(b"stale").unwrap();
    }
    thread::sleep(STOPPED);
    signal(&server, "CONT");
    ask_until_answered(&socket, b"after", |answer| assert_ne!(answer, b"stale", "answered late"));
    let (said, lane) = lane_of(&server);
    assert_eq!(said["arrival_clock"], "CLOCK_MONOTONIC, XDP program");
    assert_eq!(said["age_limit_ns"], 100_000_000);
    let too_old = said["drops"].as_array().unwrap().iter().find(|drop| drop["reason"] == "answer_too_old");
    assert!(too_old.unwrap()["count"].as_u64() >= Some(COUNT), "{said}");
    assert_eq!(lane["too_old"], too_old.unwrap()["count"], "{said}");
    assert_eq!(lane["queueing"]["count"], lane["received"], "each frame was stamped");
    assert!(lane["queueing"]["max_ns"].as_u64() > Some(200_000_000), "{lane}");
    assert_eq!(lane["arrival_residence"]["count"], lane["replied"]);
    assert!(lane["arrival_residence"]["min_ns"].as_u64() < Some(100_000_000), "{lane}");
    let ended = top(&["--once", "--interval", "0.2", "--segment", segment_of(&server).to_str().unwrap()]);
    assert!(ended.said.contains("too old") && ended.said.contains("waited p50"), "{}", ended.said);
    let counts = server.counts();
    // ARP as well.
    let replied: u64 =
        counts.iter().filter(|(name, _)| name.starts_with("replied_")).map(|(_, count)| count).sum();
    assert_eq!(counts["rx"], counts["answer_too_old"] + replied, "{counts:?}");
    assert!(!counts.contains_key("arrival_unknown"), "{counts:?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn without_a_limit_nothing_is_stamped_and_what_waited_is_answered() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let socket = topology.clients.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
    socket.connect((SERVER[0], 7)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    stop(&server);
    socket.send(b"stale").unwrap();
    thread::sleep(STOPPED);
    signal(&server, "CONT");
    let mut room = [0; 64];
    let len = socket.recv(&mut room).unwrap();
    assert_eq!(room[..len], *b"stale");
    let (said, lane) = lane_of(&server);
    assert_eq!((&said["arrival_clock"], &said["age_limit_ns"]), (&Value::from("none"), &Value::from(0)));
    assert_eq!((&lane["queueing"]["count"], &lane["queueing"]["p50_ns"]), (&Value::from(0), &Value::Null));
    let ended = top(&["--once", "--interval", "0.2", "--segment", segment_of(&server).to_str().unwrap()]);
    assert!(!ended.said.contains("too old"), "{}", ended.said);
}

//! A probe that was stopped says so: `barelane probe` as a process of its own, over the loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long the probe is stopped for.
const STOPPED: Duration = Duration::from_millis(300);

/// The longest wait for anything here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Echoes datagrams until it is told to end, or patience ends, and counts them.
#[derive(Debug)]
struct Echo {
    socket: UdpSocket,
    answered: AtomicU64,
    is_over: AtomicBool,
}

impl Echo {
    fn open() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Self { socket, answered: AtomicU64::new(0), is_over: AtomicBool::new(false) }
    }

    fn serve(&self) {
        let mut room = [0; 2048];
        let deadline = Instant::now() + PATIENCE;
        while !self.is_over.load(Ordering::Relaxed) && Instant::now() < deadline {
            if let Ok((len, asker)) = self.socket.recv_from(&mut room) {
                self.socket.send_to(&room[..len], asker).unwrap();
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn wait_for(what: &str, mut has_come: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !has_come() {
        assert!(Instant::now() < deadline, "{what}: waited {PATIENCE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

/// Whether every thread of a process is stopped (`T` of proc(5)'s `stat`, behind the name in brackets).
fn is_stopped(child: &Child) -> bool {
    let is_stopped = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'));
    let threads = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    threads.flatten().all(|thread| fs::read_to_string(thread.path().join("stat")).is_ok_and(is_stopped))
}

/// Measures an echo service while `meanwhile` is done to the probe; gives what it reports.
fn report_of(echo: &Echo, meanwhile: impl FnOnce(&Child)) -> Value {
    let port = echo.socket.local_addr().unwrap().port();
    let file = std::env::temp_dir().join(format!("barelane-own-error-{}.json", std::process::id()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_barelane"))
        .args(["probe", "127.0.0.1", "--spin", "--seconds", "1", "--proto", &format!("udp:{port}")])
        .arg("--json")
        .arg(&file)
        .spawn()
        .unwrap();
    let report = thread::scope(|threads| {
        threads.spawn(|| echo.serve());
        wait_for("the first answers", || echo.answered.load(Ordering::Relaxed) > 100);
        meanwhile(&child);
        let status = child.wait().unwrap();
        echo.is_over.store(true, Ordering::Relaxed);
        assert!(status.success(), "{status}");
        fs::read_to_string(&file).unwrap()
    });
    fs::remove_file(&file).unwrap();
    serde_json::from_str(&report).unwrap()
}

#[test]
fn a_probe_that_was_stopped_for_300_ms_reports_one_such_stall_off_its_core_and_marks_the_run() {
    let report = report_of(&Echo::open(), |child| {
        signal(child, "STOP");
        wait_for("the probe to stop", || is_stopped(child));
        thread::sleep(STOPPED);
        signal(child, "CONT");
    });
    let own_error = &report["own_error"];
    let is_long = |stall: &&Value| u128::from(stall["length_ns"].as_u64().unwrap()) >= STOPPED.as_nanos();
    let long: Vec<&Value> = own_error["stalls"].as_array().unwrap().iter().filter(is_long).collect();
    assert_eq!(long.len(), 1, "{own_error}");
    assert_eq!(long[0]["cause"], "off_core", "{own_error}");
    assert_eq!(own_error["was_stalled"], true, "{own_error}");
}

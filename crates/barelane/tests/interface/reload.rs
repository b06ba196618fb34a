//! SIGHUP: another configuration takes over, and not one packet is lost on the way.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::server::Server;
use crate::topology::{SERVER, Topology};

/// How often the configuration changes while questions are asked.
const RELOADS: usize = 20;
/// How long a reload may take on two busy cores: an address check of 20 ms, and a few looks at signals and mailboxes.
pub(crate) const RELOAD_MAX: Duration = Duration::from_secs(10);

/// A configuration file that goes with its test.
pub(crate) struct File(PathBuf);

impl File {
    pub(crate) fn new(test: &str) -> Self {
        Self(std::env::temp_dir().join(format!("barelane-{test}-{}.toml", std::process::id())))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub(crate) fn set(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }

    fn write(&self, mode: &str, addresses: &str, respond: &str) {
        let serve = format!("addresses = [{addresses}]\nrespond = [{respond}]\naddress_check_ms = 20\n");
        self.set(&format!("[nic]\nmode = \"{mode}\"\n[serve]\n{serve}"));
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A file that is not there any more is what is wanted.
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) fn hang_up(server: &Server) {
    assert!(Command::new("kill").args(["-s", "HUP", &server.id().to_string()]).status().unwrap().success());
}

pub(crate) const ONE: &str = "\"10.9.0.1/24\"";
pub(crate) const TWO: &str = "\"10.9.0.1/24\", \"fd09::1/64\"";

#[test]
#[ignore = "needs root: a network namespace"]
fn routes_and_addresses_change_without_losing_a_packet() {
    let topology = Topology::new();
    let file = File::new("reload");
    file.write("auto", ONE, "\"udp-echo:7\"");
    let server = Server::start(&topology, &["--config", file.path()]);
    let stays = topology.socket(SERVER[0], 7);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut answered = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                stays.send(&answered.to_be_bytes()).unwrap();
                let mut answer = [0; 64];
                let len = stays.recv(&mut answer).expect("an answer, whatever is reloaded");
                assert_eq!(answer[..len], answered.to_be_bytes());
                answered += 1;
            }
            answered
        });
        for reload in 0..RELOADS {
            match reload % 2 {
                0 => file.write("auto", TWO, "\"udp-echo:7\", \"udp-echo:8\""),
                _ => file.write("auto", ONE, "\"udp-echo:7\""),
            }
            hang_up(&server);
            server.line("barelane: reloaded", RELOAD_MAX);
        }
        stop.store(true, Ordering::Relaxed);
        assert!(asked.join().unwrap() > 0);
    });
    let (status, said) = server.end("TERM");
    assert!(status.success(), "{said:#?}");
    let taken = said.iter().find(|line| line.contains("tables_taken")).expect("the count of reloads");
    assert!(taken.contains(&format!(" {RELOADS} ")), "{taken}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_a_reload_adds_is_answered_and_what_it_removes_is_not() {
    let topology = Topology::new();
    let file = File::new("reload-routes");
    file.write("auto", ONE, "\"udp-echo:7\"");
    let server = Server::start(&topology, &["--config", file.path()]);
    let is_answered = |address, port| {
        let socket = topology.socket(address, port);
        socket.send(b"?").unwrap();
        socket.recv(&mut [0; 8]).is_ok()
    };
    assert!(is_answered(SERVER[0], 7) && !is_answered(SERVER[0], 8));
    file.write("auto", TWO, "\"udp-echo:8\"");
    hang_up(&server);
    server.line("barelane: reloaded", RELOAD_MAX);
    assert!(is_answered(SERVER[0], 8) && is_answered(SERVER[1], 8) && !is_answered(SERVER[0], 7));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_cannot_change_while_lanes_run_is_refused_and_the_old_configuration_stays() {
    let topology = Topology::new();
    let file = File::new("reload-refused");
    file.write("auto", ONE, "\"udp-echo:7\"");
    let server = Server::start(&topology, &["--config", file.path()]);
    for (mode, addresses, wrong) in [
        ("generic", ONE, "nic.mode (--mode)"),
        ("auto", "\"10.9.0.2/24\"", "02:00:00:00:09:02"),
        ("auto", "\"224.0.0.1/4\"", "serve.addresses (--address)"),
    ] {
        file.write(mode, addresses, "\"udp-echo:8\"");
        hang_up(&server);
        let line = server.line("barelane: error: reload refused", RELOAD_MAX);
        assert!(line.contains(wrong) && line.contains("the old configuration stays"), "{line}");
        let socket = topology.socket(SERVER[0], 7);
        socket.send(b"still there?").unwrap();
        assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 12);
    }
}

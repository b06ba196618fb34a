//! Does a capture say what the lanes saw and sent, to Wireshark, and does nobody who captures disturb a server?

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::side_channel::{ask, segment_of};
use crate::topology::{SERVER, Topology, finish};

/// How long a capture may take to begin or to end, on two busy cores.
const PATIENCE: Duration = Duration::from_secs(20);

/// A capture that runs.
struct Capturing {
    child: Child,
    lines: Receiver<String>,
    file: PathBuf,
}

impl Capturing {
    /// Of this server, by these options, to a file of this name.
    fn of(server: &Server, name: &str, options: &[&str]) -> Self {
        let file = std::env::temp_dir().join(format!("barelane-{}-{name}.pcapng", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
        command.arg("capture").arg("--write").arg(&file).args(options).arg(segment_of(server));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, file }
    }

    /// The same, when it has begun.
    fn begun(server: &Server, name: &str, options: &[&str]) -> Self {
        let capturing = Self::of(server, name, options);
        let line = capturing.lines.recv_timeout(PATIENCE).unwrap();
        assert!(line.starts_with("barelane: capturing on lane0"), "{line}");
        capturing
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    }

    /// What it ends with, and all that it says until then.
    fn end(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.lines.iter().collect::<Vec<_>>().join("\n"));
            }
            assert!(
                Instant::now() < deadline,
                "the capture does not end: {:?}",
                self.lines.try_iter().collect::<Vec<_>>()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        // All of it fails where it is done already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.file);
    }
}

/// What tshark reads of these fields, a packet a line. It has nothing to complain of.
fn tshark(file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("/usr/bin/tshark");
    command.arg("-r").arg(file).args(["-T", "fields", "-E", "separator=|"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output =
        command.output().unwrap_or_else(|error| panic!("{error}; `cargo xtask test` installs tshark"));
    let complaints = String::from_utf8_lossy(&output.stderr)
        .replace("Running as user \"root\" and group \"root\". This could be dangerous.", "");
    assert!(output.status.success() && complaints.trim().is_empty(), "{complaints}");
    let read = String::from_utf8_lossy(&output.stdout).into_owned();
    read.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

#[test]
#[ignore = "needs root: a network namespace; and tshark"]
fn tshark_reads_each_question_with_its_answer_and_what_became_of_it() {
    const COUNT: usize = 200;
    let topology = Topology::with_queues(2);
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let count = COUNT.to_string();
    let mut capturing = Capturing::begun(&server, "tshark", &["--filter", "udp port 7", "--count", &count]);
    ask(&topology, COUNT as u64);
    let (code, said) = capturing.end();
    let written = format!("{COUNT} questions and {COUNT} answers");
    assert!(code == Some(0) && said.contains(&written) && said.contains(" 0 dropped"), "{code:?} {said}");
    let fields =
        ["udp.dstport", "udp.payload", "frame.comment", "frame.packet_flags_direction", "frame.time_epoch"];
    let packets = tshark(&capturing.file, &fields);
    assert_eq!(packets.len(), 2 * COUNT);
    let comment = "reply replied_udp; responder udp-echo; route ";
    for exchange in packets.chunks(2) {
        let [asked, answered] = exchange else { panic!("{exchange:?}") };
        assert_eq!((&asked[0][..], asked[1].len()), ("7", 128), "{asked:?}");
        assert_eq!(asked[1], answered[1], "an echo carries what was asked");
        assert!(
            asked[3].ends_with('1') && answered[3].ends_with('2'),
            "inbound, outbound: {asked:?} {answered:?}"
        );
        assert!(
            asked[2].starts_with(comment) && answered[2].starts_with(&asked[2]),
            "{asked:?} {answered:?}"
        );
        assert!(answered[2].ends_with("ns after its turn began"), "{answered:?}");
        assert!(asked[4] <= answered[4] && asked[4].len() == "1700000000.123456789".len(), "{asked:?}");
    }
    assert_eq!(server.counts()["replied_udp"], COUNT as u64);
}

/// What is dropped is there with its reason; what another filter would take is not there at all.
#[test]
#[ignore = "needs root: a network namespace; and tshark"]
fn tshark_reads_why_a_question_had_no_answer_and_sigint_ends_a_whole_file() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let filter = ["--filter", "udp and not port 7 and dst host 10.9.0.1", "--snaplen", "66"];
    let mut capturing = Capturing::begun(&server, "closed", &filter);
    ask(&topology, 20);
    // Nobody answers there: by a limited number of ICMP errors a second, and then not at all.
    let closed = topology.socket(SERVER[0], 9);
    for _ in 0..50 {
        let _refused_already = closed.send(&[0xa5; 200]);
    }
    ask(&topology, 20);
    capturing.signal("INT");
    let (code, said) = capturing.end();
    assert_eq!(code, Some(0), "{said}");
    let packets = tshark(&capturing.file, &["frame.comment", "frame.len", "frame.cap_len"]);
    let asked = packets.iter().filter(|packet| packet[1] == "242");
    assert!(asked.clone().count() >= 25, "{packets:?}");
    assert!(asked.clone().all(|packet| packet[2] == "66" && packet[0].contains("closed port; route none")));
    let verdict = |wanted: &str| packets.iter().filter(|packet| packet[0].starts_with(wanted)).count();
    assert!(verdict("reply replied_unreachable") >= 2 && verdict("drop ") >= 1, "{packets:?}");
    server.counts();
}

#[test]
#[ignore = "needs root: a network namespace"]
fn captures_that_are_killed_and_stopped_disturb_no_server_and_the_next_one_begins() {
    const COUNT: u64 = 20_000;
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let killed = Capturing::begun(&server, "killed", &[]);
    ask(&topology, 500);
    drop(killed);
    let mut stopped = begun_after_another(&server, "stopped");
    stopped.signal("STOP");
    ask(&topology, COUNT);
    let mut refused = Capturing::of(&server, "refused", &[]);
    let (code, said) = refused.end();
    assert!(code == Some(1) && said.contains("another capture") && !refused.file.exists(), "{code:?} {said}");
    stopped.signal("CONT");
    ask(&topology, 10);
    stopped.signal("INT");
    let (code, said) = stopped.end();
    assert_eq!(code, Some(0), "{said}");
    // What comes while it is stopped is more than ring, server and socket hold: 4.5 MiB, of 260 bytes for each.
    let [written, answers, dropped, seen, matched] = numbers(&said);
    assert!(dropped > 0 && written + dropped == matched && answers == written, "{said}");
    assert!(matched == seen && seen >= COUNT + 10, "{said}");
    assert_eq!(server.counts()["replied_udp"], COUNT + 510);
}

/// What a capture says at its end: questions and answers written, questions dropped, seen and matched.
fn numbers(said: &str) -> [u64; 5] {
    let line = said
        .lines()
        .find(|line| line.contains("dropped for want of room"))
        .unwrap_or_else(|| panic!("{said}"));
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap()
}

/// Another capture has just been killed; the server notices within milliseconds.
fn begun_after_another(server: &Server, name: &str) -> Capturing {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let capturing = Capturing::of(server, name, &[]);
        let line = capturing.lines.recv_timeout(PATIENCE).unwrap();
        if line.starts_with("barelane: capturing on lane0") {
            return capturing;
        }
        assert!(Instant::now() < deadline && line.contains("another capture"), "{line}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_the_driver_answers_is_said_to_be_missing() {
    let topology = Topology::new();
    let _carried = topology.carry_what_drivers_answer();
    let server = Server::alone_with(&topology, &["--tier", "driver"]);
    let mut capturing = Capturing::begun(&server, "driver", &["--seconds", "1"]);
    ask(&topology, 100);
    let (code, said) = capturing.end();
    assert_eq!(code, Some(0), "{said}");
    for part in ["this server's tier is driver", "serve with --tier lane", "0 questions and 0 answers"] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    let missing = said.lines().find(|line| line.contains("the driver answered")).unwrap();
    assert!(missing.contains(" 10") && missing.contains("which no lane saw"), "{missing}");
    server.counts();
}

#[test]
#[ignore = "needs root: a network namespace"]
fn the_end_of_a_server_ends_its_capture_and_nothing_is_left_of_it() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let socket = segment_of(&server).with_extension("capture");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut capturing = Capturing::begun(&server, "ended", &[]);
    ask(&topology, 30);
    server.counts();
    let (_, said) = capturing.end();
    assert!(said.contains("dropped for want of room"), "{said}");
    assert!(!socket.exists());
    let killed = Server::alone_with(&topology, &["--tier", "lane"]);
    let socket = segment_of(&killed).with_extension("capture");
    drop(killed);
    assert!(socket.exists());
    let _next = Server::alone(&topology);
    assert!(!socket.exists(), "the next server sweeps it away");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_is_wrong_with_a_capture_is_said_before_anything_happens() {
    for (options, parts) in [
        (&["--filter", "vlan 3"][..], &["--filter = \"vlan 3\"", "'vlan' is no word"][..]),
        (&["--count", "0"], &["--count", "from 1"]),
        (&["--seconds", "0"], &["--seconds", "0.1"]),
        (&["--sample", "x"], &["--sample = \"x\"", "write a number"]),
        (&["--snaplen", "65"], &["--snaplen = \"65\"", "66 to 65535"]),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
        command.args(["capture", "--write", "/nowhere/at/all.pcapng"]).args(options);
        let ended = finish(command.stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!(ended.status.code(), Some(2), "{}", ended.said);
        for part in parts {
            assert!(ended.said.contains(part), "`{part}` is not in {}", ended.said);
        }
    }
}

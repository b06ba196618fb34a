//! Is our STAMP reflector one to senders that others wrote, in both modes and over both families? And does it say of the
//! time that a packet spent here what it counts?

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use wire::stamp::Key;

use crate::server::Server;
use crate::stamp_suite::{self, KEY};
use crate::topology::{CLIENT, SERVER, Topology};

/// Packets of one sender. It paces them, so that this is a second.
const COUNT: &str = "400";

/// A file of this process's own, gone when dropped.
#[derive(Debug)]
pub(crate) struct OwnFile(PathBuf);

impl OwnFile {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("barelane-{name}-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        Self(path)
    }

    /// A file that holds the key, and that nobody else may read.
    pub(crate) fn key() -> Self {
        let file = Self::new("stamp-key");
        fs::write(&file.0, format!("{KEY}\n")).unwrap();
        fs::set_permissions(&file.0, fs::Permissions::from_mode(0o600)).unwrap();
        file
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// A server that reflects; authenticated where there is a key.
fn reflector(topology: &Topology, key: Option<&OwnFile>) -> Server {
    reflector_with(topology, key, &[])
}

/// The same with more options.
pub(crate) fn reflector_with(topology: &Topology, key: Option<&OwnFile>, more: &[&str]) -> Server {
    let mut options = [&["--respond", "stamp"], more].concat();
    if let Some(key) = key {
        options.extend(["--stamp-key", key.path()]);
    }
    Server::alone_with(topology, &options)
}

/// Has scapy ask in one of the modes, and compares what its answers said with what the server counted.
fn scapy_asks(key: Option<&OwnFile>, answers: &OwnFile) {
    let topology = Topology::new();
    let server = reflector(&topology, key);
    let mode = if key.is_some() { "signed" } else { "open" };
    let said = topology.scapy_with("stamp", &[mode, KEY, answers.path()]);
    let last = said.lines().find_map(|line| line.strip_prefix("residence ")).expect(&said);
    let (count, sum) = last.split_once(' ').unwrap();
    let [count, sum] = [count, sum].map(|number| number.parse::<u64>().unwrap());
    let counts = server.counts();
    assert_eq!(counts.get("replied_stamp"), Some(&count), "{counts:?}");
    assert_eq!(counts.get("residence_count"), Some(&count), "{counts:?}");
    assert_eq!(counts.get("residence_sum_ns"), Some(&sum), "{counts:?}");
    assert!(counts["residence_min_ns"] > 0, "{counts:?}");
    assert_eq!(counts.get("stamp_hmac").copied().unwrap_or(0), u64::from(key.is_some()), "{counts:?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn scapy_is_reflected_and_the_time_between_the_stamps_is_what_the_server_counts() {
    scapy_asks(None, &OwnFile::new("answers"));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn scapy_with_a_key_is_reflected_and_the_time_between_the_stamps_is_what_the_server_counts() {
    scapy_asks(Some(&OwnFile::key()), &OwnFile::new("answers"));
}

/// tshark knows the unauthenticated packets, as those of TWAMP (RFC 8762 section 4.6: they are the same on the wire).
#[test]
#[ignore = "needs root: a network namespace"]
fn tshark_reads_what_scapy_was_answered_without_a_complaint() {
    let answers = OwnFile::new("answers");
    scapy_asks(None, &answers);
    let tshark = |more: &[&str]| {
        let mut command = Command::new("/usr/bin/tshark");
        command.args(["-r", answers.path(), "-d", "udp.port==862,twamp.test"]).args(more);
        command.args(["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]);
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("tshark: {error}; `cargo xtask test` installs it"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let fields =
        ["seq_number", "sender_seq_number", "sender_ttl", "error_estimate.multiplier", "error_estimate.z"];
    let fields: Vec<String> = fields.map(|field| format!("-etwamp.test.{field}")).into();
    let arguments: Vec<&str> =
        ["-Tfields", "-Eoccurrence=f"].into_iter().chain(fields.iter().map(String::as_str)).collect();
    let read = tshark(&arguments);
    assert_eq!(read.lines().count(), 200 * 2 * 4, "{read}");
    for line in read.lines() {
        let numbers: Vec<u64> = line.split('\t').map(|field| field.parse().expect(line)).collect();
        let [sequence, sender_sequence, ttl, multiplier, z] = numbers[..] else { panic!("{line}") };
        assert_eq!((sender_sequence, ttl, z), (sequence, sequence + 1, 0), "{line}");
        assert!(multiplier > 0, "{line}");
    }
    let complaints = tshark(&["-Y", "_ws.malformed || _ws.expert.severity >= \"Warning\""]);
    assert!(complaints.is_empty(), "{complaints}");
}

/// What stamp-suite says of a session with our reflector.
pub(crate) fn stamp_suite_asks(topology: &Topology, ipv6: bool, key: Option<&str>, more: &[&str]) -> Value {
    let family = usize::from(ipv6);
    let mode = stamp_suite::mode(key);
    let mut arguments = vec!["--remote-addr", SERVER[family], "--local-addr", CLIENT[family]];
    arguments.extend(["--count", COUNT, "--send-delay", "2", "--timeout", "2", "--output-format", "json"]);
    arguments.extend(mode.iter().map(String::as_str));
    arguments.extend(more);
    let ended = topology.client(stamp_suite::program().to_str().unwrap(), &arguments);
    assert!(ended.status.success(), "{}", ended.said);
    let summary =
        ended.said.lines().find(|line| line.starts_with("{\"type\":\"summary\"")).expect(&ended.said);
    serde_json::from_str(summary).unwrap()
}

/// Every packet was answered once, by the time and in the order that it was sent.
fn assert_whole(summary: &Value) {
    let measurements = &summary["measurements"];
    assert_eq!(summary["packets_received"].to_string(), COUNT, "{summary}");
    for none in
        ["late_replies", "duplicate_replies", "unknown_replies", "reordered_replies", "additional_replies"]
    {
        assert_eq!(measurements[none], 0, "{none}: {summary}");
    }
    assert_eq!(measurements["tlv_validation"]["rejected_replies"], 0, "{summary}");
    assert_eq!(summary["packets_lost"], 0, "{summary}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_suite_is_reflected_over_both_families() {
    let topology = Topology::new();
    let server = reflector(&topology, None);
    for ipv6 in [false, true] {
        assert_whole(&stamp_suite_asks(&topology, ipv6, None, &["--ssid", "4711"]));
        let summary = stamp_suite_asks(&topology, ipv6, None, &["--extra-padding", "200", "--cos"]);
        assert_whole(&summary);
        let flags = &summary["measurements"]["tlv_validation"]["flags"];
        assert_eq!(flags["unrecognized"].to_string(), COUNT, "class of service is not known: {summary}");
        assert_eq!((&flags["malformed"], &flags["integrity_failed"]), (&0.into(), &0.into()), "{summary}");
    }
    let counts = server.counts();
    assert_eq!(counts.get("replied_stamp"), Some(&(4 * COUNT.parse::<u64>().unwrap())), "{counts:?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_suite_with_a_key_is_reflected_and_believes_every_answer() {
    let topology = Topology::new();
    let key = OwnFile::key();
    let server = reflector(&topology, Some(&key));
    for ipv6 in [false, true] {
        assert_whole(&stamp_suite_asks(&topology, ipv6, Some(KEY), &[]));
        let summary = stamp_suite_asks(&topology, ipv6, Some(KEY), &["--extra-padding", "200", "--cos"]);
        assert_whole(&summary);
        let validation = &summary["measurements"]["tlv_validation"];
        assert_eq!(validation["hmac"]["verified"].to_string(), COUNT, "{summary}");
        assert_eq!(
            (&validation["hmac"]["failed"], &validation["flags"]["integrity_failed"]),
            (&0.into(), &0.into())
        );
    }
    let counts = server.counts();
    assert_eq!(counts.get("stamp_hmac"), None, "{counts:?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_suite_with_another_key_is_not_answered() {
    let topology = Topology::new();
    let key = OwnFile::key();
    let server = reflector(&topology, Some(&key));
    let mode = stamp_suite::mode(Some("a key that nobody here has"));
    let mut arguments = vec!["--remote-addr", SERVER[0], "--local-addr", CLIENT[0], "--count", "5"];
    arguments.extend(["--send-delay", "2", "--timeout", "1", "--output-format", "json"]);
    arguments.extend(mode.iter().map(String::as_str));
    let ended = topology.client(stamp_suite::program().to_str().unwrap(), &arguments);
    assert!(ended.said.contains("\"packets_received\":0"), "{}", ended.said);
    let counts = server.counts();
    assert_eq!((counts.get("stamp_hmac"), counts.get("replied_stamp")), (Some(&5), None), "{counts:?}");
}

/// A signed packet, as a sender with this key sends it.
fn signed(key: &str) -> [u8; 112] {
    let mut packet = [0; 112];
    wire::stamp::authenticate(&mut packet, &Key::new(key.as_bytes()).unwrap()).unwrap();
    packet
}

/// A key is changed as everything else is: in its file, and with SIGHUP.
#[test]
#[ignore = "needs root: a network namespace"]
fn another_key_is_in_force_after_a_reload_and_the_old_one_no_longer() {
    let topology = Topology::new();
    let key = OwnFile::key();
    let server = reflector(&topology, Some(&key));
    let socket = topology.socket(SERVER[0], stamp_suite::PORT);
    let is_answered = |key| {
        socket.send(&signed(key)).unwrap();
        let mut answer = [0; 128];
        socket.recv(&mut answer).is_ok_and(|len| {
            assert!(wire::stamp::is_authentic(&answer[..len], &Key::new(key.as_bytes()).unwrap()));
            len == 112
        })
    };
    assert!(is_answered(KEY));
    fs::write(&key.0, "another one").unwrap();
    assert!(is_answered(KEY), "a file that nobody has read again changes nothing");
    assert!(Command::new("kill").args(["-s", "HUP", &server.id().to_string()]).status().unwrap().success());
    server.line("barelane: reloaded", Duration::from_secs(20));
    assert!(is_answered("another one") && !is_answered(KEY));
    let counts = server.counts();
    assert_eq!((counts.get("stamp_hmac"), counts.get("replied_stamp")), (Some(&1), Some(&3)), "{counts:?}");
}

/// What a sender of TWAMP Light may send at the least (RFC 5357 section 4.1.2) has no answer of its length.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_short_packet_is_answered_where_the_operator_wants_it_and_counted_where_not() {
    for (options, is_answered) in [(&[][..], false), (&["--stamp-short", "answer"], true)] {
        let topology = Topology::new();
        let server = Server::alone_with(&topology, &[&["--respond", "stamp"], options].concat());
        for address in SERVER {
            let socket = topology.socket(address, stamp_suite::PORT);
            // The whole one behind it is answered in any case, so that nobody waits for what does not come.
            for (sequence, len) in [(1, 14), (2, 44)] {
                let mut packet = [0; 44];
                packet[..4].copy_from_slice(&u32::to_be_bytes(sequence));
                socket.send(&packet[..len]).unwrap();
            }
            for sequence in if is_answered { 1..3 } else { 2..3 } {
                let mut answer = [0; 64];
                assert_eq!(socket.recv(&mut answer).unwrap(), 44, "{address}");
                assert_eq!(answer[..4], u32::to_be_bytes(sequence), "{address}");
            }
        }
        let counts = server.counts();
        let expected = if is_answered { (None, Some(&4)) } else { (Some(&2), Some(&2)) };
        assert_eq!((counts.get("stamp_short"), counts.get("replied_stamp")), expected, "{counts:?}");
    }
}

/// The other way round: what the probe will ask.
#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_suite_reflects_on_the_servers_kernel() {
    let topology = Topology::new();
    for (family, address) in crate::topology::KERNEL.into_iter().enumerate() {
        let _reflector = stamp_suite::Reflector::start(&topology, family == 1, None);
        let socket = topology.socket(address, stamp_suite::PORT);
        socket.send(&[0; 44]).unwrap();
        assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 44);
    }
}

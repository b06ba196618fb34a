//! A capture of questions goes in, a capture of right answers comes out: the binary, without a NIC and without root.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::fmt::Write;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output};

use nic::pcap::{Reader, Stamp, Writer};
use testkit::endpoint::{self, Endpoint};
use testkit::packets::{Exchange, Packets};

const SEED: u64 = 7;

/// Files that go with their test.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("barelane-replay-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A capture of these frames, a millisecond apart.
    fn capture<'a>(&self, name: &str, frames: impl Iterator<Item = &'a Vec<u8>>) -> String {
        let path = self.path(name);
        let mut writer = Writer::new(File::create(&path).unwrap()).unwrap();
        for (index, frame) in (0..).zip(frames) {
            writer
                .put(Stamp { seconds: index / 1000, nanoseconds: index % 1000 * 1_000_000 }, frame)
                .unwrap();
        }
        writer.finish().unwrap();
        path
    }

    /// A configuration that serves what the endpoint serves.
    fn config(&self, endpoint: &Endpoint) -> String {
        let addresses: Vec<String> = endpoint
            .addresses
            .iter()
            .map(|address| format!("\"{}/{}\"", address.ip, address.prefix_len))
            .collect();
        let mut text = format!("[serve]\nrespond = []\naddresses = [{}]\n", addresses.join(", "));
        for address in &endpoint.addresses {
            for service in &address.services {
                writeln!(text, "[[route]]\naddress = \"{}\"\nrespond = \"{service}\"", address.ip).unwrap();
            }
        }
        let path = self.path("barelane.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's own place for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn replay(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_barelane")).arg("replay").args(arguments).output().unwrap()
}

fn frames(path: &str) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(File::open(path).unwrap()).unwrap();
    std::iter::from_fn(|| reader.next(|_, bytes| bytes.to_vec()).unwrap()).collect()
}

fn exchanges(endpoint: &Endpoint, count: usize) -> Vec<Exchange> {
    let mut packets = Packets::new(endpoint, SEED);
    (0..count).map(|_| packets.valid()).collect()
}

#[test]
fn every_question_of_a_capture_gets_its_answer_byte_for_byte() {
    let directory = Directory::new("answers");
    let endpoint = endpoint::load().unwrap();
    let exchanges = exchanges(&endpoint, 500);
    let questions = directory.capture("questions.pcap", exchanges.iter().map(|exchange| &exchange.question));
    let answers = directory.path("answers.pcap");
    let output = replay(&[&questions, "--config", &directory.config(&endpoint), "--write", &answers]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("500 frames = 500 answered + 0 passed + 0 dropped\n"), "{text}");
    for (exchange, answer) in exchanges.iter().zip(frames(&answers)) {
        assert_eq!(exchange.answer, answer);
    }
}

#[test]
fn a_trace_has_a_line_for_every_stage_of_every_packet_and_agrees_with_the_lane() {
    let directory = Directory::new("trace");
    let endpoint = endpoint::load().unwrap();
    let mut packets = Packets::new(&endpoint, SEED);
    let questions: Vec<_> = (0..300).map(|_| packets.damaged()).collect();
    let capture = directory.capture("damaged.pcap", questions.iter());
    let output = replay(&[&capture, "--config", &directory.config(&endpoint), "--trace"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for number in 1..=questions.len() {
        for stage in ["rx", "parse", "respond", "tx"] {
            let line = format!("{number:>6} {stage:<9} ");
            assert_eq!(text.lines().filter(|other| other.starts_with(&line)).count(), 1, "{line}");
        }
    }
}

#[test]
fn without_a_configuration_the_replay_is_the_host_that_was_asked() {
    let directory = Directory::new("learnt");
    let endpoint = endpoint::load().unwrap();
    let exchanges = exchanges(&endpoint, 200);
    let questions = directory.capture("questions.pcap", exchanges.iter().map(|exchange| &exchange.question));
    let output = replay(&[&questions]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("02:00:00:00:00:01") && said.contains("fd00::1"), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    for counter in ["replied_icmpv4", "replied_icmpv6", "replied_arp"] {
        assert!(text.contains(counter), "{counter} is not in\n{text}");
    }
}

#[test]
fn what_is_no_capture_is_refused_by_name() {
    let directory = Directory::new("no-capture");
    let path = directory.path("text.pcap");
    fs::write(&path, "this is a text and no capture").unwrap();
    for path in [path, directory.path("absent.pcap")] {
        let output = replay(&[&path]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("barelane: error: ") && said.contains(&path), "{said}");
    }
}

#[test]
fn the_capture_itself_is_never_written_to_under_whatever_name() {
    let directory = Directory::new("itself");
    let endpoint = endpoint::load().unwrap();
    let exchanges = exchanges(&endpoint, 3);
    let capture = directory.capture("questions.pcap", exchanges.iter().map(|exchange| &exchange.question));
    let before = fs::read(&capture).unwrap();
    let (hard, soft) = (directory.path("hard.pcap"), directory.path("soft.pcap"));
    fs::hard_link(&capture, &hard).unwrap();
    std::os::unix::fs::symlink(&capture, &soft).unwrap();
    for name in [&capture, &hard, &soft] {
        let output = replay(&[&capture, "--write", name]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("barelane: error: --write = ") && said.contains("name another"), "{said}");
        assert_eq!(fs::read(&capture).unwrap(), before, "{name}");
    }
}

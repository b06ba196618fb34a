//! The measuring client asks other people's servers: STAMP of stamp-suite and of scapy, and sockperf's own.
//!
//! They run in the server's namespace, on the addresses of its kernel. Each is asked over both families, by every way
//! that the client has, in every form that the server understands.

use std::fs::File;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use nic::pcap::{Stamp, Writer};
use nic::xdp::Settings;
use probe::frames::{Frames, Link, PartialChecksums};
use probe::own_error::NoPlatform;
use probe::question::Questions;
use probe::socket::{Socket, Wait};
use probe::xdp::Xdp;
use probe::{
    Ask, Clock, Controls, End, MonotonicClock, Progress, Protocol, RealtimeClock, Report, StampKey, Transport,
};
use telemetry::Ns;
use wire::Mac;

use crate::stamp::OwnFile;
use crate::topology::{CLIENT, CLIENT_NIC, KERNEL, SERVER_MAC, Topology, tools};

/// How long another program may take until it answers.
const READY_MAX: Duration = Duration::from_secs(20);

/// Long enough that no answer is late on a machine that is busy with other things.
const PATIENCE: Ns = Ns(2_000_000_000);

/// What each measurement asks.
const COUNT: u64 = 50;

/// The largest payload that fits an MTU of 1500 over IPv6.
const SIZE_MAX: usize = 1_452;

/// The bytes of an HMAC TLV, by which stamp-suite lengthens an answer that it signs: one that is then too long for the
/// link comes in fragments, which a card leaves to the kernel.
const HMAC_TLV: usize = 20;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Another program, until it is dropped.
struct Peer(Child);

impl Peer {
    /// Starts it in the server's namespace, and waits until it answers `ask`.
    fn start(topology: &Topology, command: &mut Command, ask: &Ask) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = topology.server.run(|| command.spawn()).unwrap();
        let mut peer = Self(
            child.unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo xtask test` installs it")),
        );
        let once = Ask { end: End::Count(1), warm_up: 0, timeout: Ns(200_000_000), ..ask.clone() };
        let deadline = Instant::now() + READY_MAX;
        while measure(topology, &once, Way::Socket).answered == 0 {
            assert!(Instant::now() < deadline, "{command:?} does not answer {}", ask.protocol);
            assert!(peer.0.try_wait().unwrap().is_none(), "{command:?} has ended");
            thread::sleep(Duration::from_millis(20));
        }
        peer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How the questions travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Socket,
    KernelStamps,
    Card,
}

const WAYS: [Way; 3] = [Way::Socket, Way::KernelStamps, Way::Card];

fn measure(topology: &Topology, ask: &Ask, way: Way) -> Report {
    let measuring = || match way {
        Way::Socket => report(ask, &mut Socket::open(ask, Wait::Block).unwrap(), &MonotonicClock::start()),
        Way::KernelStamps => {
            let mut socket = Socket::open(ask, Wait::Block).unwrap().stamped_by_kernel().unwrap();
            report(ask, &mut socket, &RealtimeClock::start().unwrap())
        }
        Way::Card => report(ask, &mut card(ask), &MonotonicClock::start()),
    };
    topology.clients.run(measuring).unwrap()
}

fn report(ask: &Ask, transport: &mut impl Transport, clock: &impl Clock) -> Report {
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    let controls = Controls { stop: &stop, progress: &progress, platform: &NoPlatform };
    Report::new(&probe::measure(ask, transport, clock, &controls).unwrap())
}

fn card(ask: &Ask) -> Xdp {
    let nic = host::links::link(CLIENT_NIC).unwrap();
    let own = if ask.target.is_ipv4() { CLIENT[0] } else { CLIENT[1] };
    let link = Link {
        mac: Mac(nic.mac),
        ip: own.parse().unwrap(),
        next_hop: SERVER_MAC.parse().unwrap(),
        identity: NonZeroU16::new(40_000).unwrap(),
        mtu: nic.mtu as usize,
    };
    let settings = Settings::new(CLIENT_NIC, nic.index, nic.mtu);
    Xdp::open(ask, link, &settings, PartialChecksums::Accept).unwrap()
}

fn ask(target: &str, protocol: Protocol, size: usize) -> Ask {
    let target: IpAddr = target.parse().unwrap();
    Ask { size, end: End::Count(COUNT), timeout: PATIENCE, ..Ask::new(target, protocol) }
}

/// Asks by every way, and demands that every answer is right.
fn assert_answered(topology: &Topology, ask: &Ask) -> Vec<Report> {
    let measured = |way| {
        let report = measure(topology, ask, way);
        assert!(report.is_clean() && report.sent == COUNT, "{way:?}, {} bytes: {report}", ask.size);
        assert_eq!(report.rtt.samples + report.unstamped, COUNT, "{way:?}: {report}");
        report
    };
    WAYS.map(measured).into()
}

const STAMP: Protocol = Protocol::Stamp { port: NonZeroU16::new(862).unwrap() };

/// A reflector says how long it had each question: no longer than the round trip took.
fn assert_residence(reports: &[Report]) {
    for report in reports {
        assert_eq!(report.residence.samples, report.rtt.samples, "{report}");
        // Where the kernel has stamped nothing yet, there is nothing to compare.
        assert!(report.rtt.samples == 0 || report.residence.max_ns < report.rtt.max_ns, "{report}");
    }
}

fn stamp_suite(address: &str, options: &[&str]) -> Command {
    let mut command = Command::new(tools().join("stamp-suite/bin/stamp-suite"));
    command.args(["--is-reflector", "--local-addr", address, "--local-port", "862"]).args(options);
    command
}

fn signed(mut ask: Ask) -> Ask {
    let key: Vec<u8> = (0..32).collect();
    ask.stamp_key = StampKey::new(&key);
    ask
}

/// Asks stamp-suite with these options, at every size.
fn ask_stamp_suite(options: &[&str], sizes: &[usize], as_asked: impl Fn(Ask) -> Ask) {
    let topology = Topology::new();
    for address in KERNEL {
        let first = as_asked(ask(address, STAMP, sizes[0]));
        let _peer = Peer::start(&topology, &mut stamp_suite(address, options), &first);
        for &size in sizes {
            assert_residence(&assert_answered(&topology, &as_asked(ask(address, STAMP, size))));
        }
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_suite_answers_the_client_at_every_size() {
    ask_stamp_suite(&[], &[44, 48, 49, 56, 57, 300, SIZE_MAX], |ask| ask);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_suite_answers_the_client_with_signatures() {
    let options = ["--auth-mode", "A", "--hmac-key", KEY, "--verify-tlv-hmac"];
    ask_stamp_suite(&options, &[112, 116, 124, 125, 300, SIZE_MAX - HMAC_TLV], signed);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_suite_may_count_its_answers_itself_write_ptp_and_know_no_tlvs() {
    for options in [&["--stateful-reflector"][..], &["--clock-source", "PTP"], &["--tlv-mode", "ignore"]] {
        ask_stamp_suite(options, &[44, 56, 300], |ask| ask);
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn scapy_reflects_the_client_and_has_each_question_for_a_millisecond() {
    let topology = Topology::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interface/scapy/reflector.py");
    for address in KERNEL {
        let mut command = Command::new("python3");
        command.args(["-B", script, address]).env("PYTHONPATH", tools().join("scapy"));
        let _peer = Peer::start(&topology, &mut command, &ask(address, STAMP, 44));
        for size in [44, 48, 56, 300] {
            let reports = assert_answered(&topology, &ask(address, STAMP, size));
            assert_residence(&reports);
            // It has slept for a millisecond, and scapy keeps its stamps to the microsecond.
            let is_long = |report: &Report| report.residence.min_ns.is_none_or(|ns| ns > 990_000);
            assert!(reports.iter().all(is_long) && reports[0].residence.samples == COUNT, "{reports:?}");
        }
    }
}

/// The frames of the first questions, as they leave the card, in a file.
fn captured(file: &OwnFile, asks: &[Ask]) {
    let mut writer = Writer::new(File::create(file.path()).unwrap()).unwrap();
    for ask in asks {
        let own = if ask.target.is_ipv4() { CLIENT[0] } else { CLIENT[1] };
        let link = Link {
            mac: Mac([2, 0, 0, 0, 9, 2]),
            ip: own.parse().unwrap(),
            next_hop: SERVER_MAC.parse().unwrap(),
            identity: NonZeroU16::new(40_000).unwrap(),
            mtu: 1500,
        };
        let frames = Frames::new(ask, link, PartialChecksums::Refuse).unwrap();
        let (questions, clock) = (Questions::new(ask), MonotonicClock::start());
        for sequence in 0..3 {
            let mut room = [0xa5; 2048];
            let question = questions.at(sequence);
            let len = frames.write(&question, question.stamp(&clock), &mut room).unwrap();
            writer.put(Stamp::default(), &room[..len]).unwrap();
        }
    }
    writer.finish().unwrap();
}

/// tshark knows STAMP as TWAMP (RFC 8762 section 4.6), and sockperf as nothing but UDP.
#[test]
#[ignore = "needs a program that `cargo xtask test` installs"]
fn tshark_reads_the_clients_questions_without_a_complaint() {
    let file = OwnFile::new("questions");
    let sockperf = Protocol::Sockperf { port: NonZeroU16::new(11_111).unwrap() };
    let both = |protocol, size| KERNEL.map(|address| ask(address, protocol, size));
    let open = [both(STAMP, 44), both(STAMP, 56), both(STAMP, 300), both(STAMP, SIZE_MAX)].concat();
    let others = [both(STAMP, 112).map(signed), both(STAMP, 300).map(signed), both(sockperf, 56)].concat();
    captured(&file, &[open, others].concat());
    let tshark = |more: &[&str]| {
        let mut command = Command::new("/usr/bin/tshark");
        command.args(["-r", file.path(), "-d", "udp.port==862,twamp.test"]).args(more);
        command.args(["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let read = tshark(&["-Tfields", "-etwamp.test.seq_number", "-etwamp.test.timestamp"]);
    let this_century = |line: &&str| line.contains(", 20");
    assert_eq!(read.lines().count(), 14 * 3, "{read}");
    for (index, line) in read.lines().take(8 * 3).enumerate() {
        assert!(line.starts_with(&format!("{}\t", index % 3)) && this_century(&line), "{line}");
    }
    let complaints = tshark(&["-Y", "_ws.malformed || _ws.expert.severity >= \"Warning\""]);
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn sockperf_server_answers_the_client_at_every_size() {
    let topology = Topology::new();
    let protocol = Protocol::Sockperf { port: NonZeroU16::new(11_111).unwrap() };
    // The distribution's sockperf knows IPv4 alone.
    let address = KERNEL[0];
    let mut command = Command::new("sockperf");
    command.args(["server", "--ip", address, "--port", "11111"]);
    let _peer = Peer::start(&topology, &mut command, &ask(address, protocol, 22));
    for size in [22, 23, 56, 300, SIZE_MAX] {
        assert_answered(&topology, &ask(address, protocol, size));
    }
}

//! The backends on a real cable between two namespaces, against the kernel of the other end, and against a server whose
//! faults are known.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may stop, and says when it is skipped"
)]

mod known;
mod reflector;

use std::io::{self, Write};
use std::net::{IpAddr, UdpSocket};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use barelane_probe::frames::{Link, PartialChecksums};
use barelane_probe::own_error::NoPlatform;
use barelane_probe::socket::{Socket, Wait};
use barelane_probe::xdp::Xdp;
use barelane_probe::{
    Ask, Clock, Controls, End, MonotonicClock, Progress, Protocol, Report, Transport, measure,
};
use host::namespace::Namespace;
use host::veth::{self, Indices, VethPair};
use host::{links, privileges};
use nic::xdp::{ModeChoice, Settings, Wake};
use telemetry::Ns;
use wire::Mac;

const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];
const MTU: u32 = 1500;
const PORT: NonZeroU16 = NonZeroU16::new(7).unwrap();
const UDP: Protocol = Protocol::Udp { port: PORT };

/// Long enough that no answer is late on a machine that is busy with other tests.
const PATIENCE: Ns = Ns(10_000_000_000);

/// Two hosts on one cable. The probe is on `a`; on `b` the kernel answers pings, and a thread answers UDP.
struct Hosts {
    a: Namespace,
    b: Namespace,
    indices: Indices,
    stop: Arc<AtomicBool>,
    servers: Vec<JoinHandle<()>>,
}

impl Hosts {
    /// Lays the cable, or says why not.
    fn new() -> Option<Self> {
        let mut missing = privileges::missing_for_namespaces();
        missing.extend(privileges::missing_for_xdp());
        if !missing.is_empty() {
            // Not by a macro, whose words the test harness keeps to itself where a test passes.
            let _ = writeln!(io::stderr(), "skipped: a cable with AF_XDP on it needs {missing:?}");
            return None;
        }
        let (a, b) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let [addresses_a, addresses_b] = ["1", "2"].map(addresses);
        let a_end = veth::End {
            namespace: Some(&a),
            name: "left",
            mac: MAC_A,
            rx_queues: 1,
            tx_queues: 1,
            addresses: &addresses_a,
        };
        let b_end =
            veth::End { namespace: Some(&b), name: "right", mac: MAC_B, addresses: &addresses_b, ..a_end };
        let indices = veth::create(&VethPair { a: a_end, b: b_end, mtu: MTU }).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let servers = addresses_b.map(|(ip, _)| echo_in(&b, ip, Arc::clone(&stop))).into();
        Some(Self { a, b, indices, stop, servers })
    }

    fn link(own: IpAddr) -> Link {
        let identity = NonZeroU16::new(40_000).unwrap();
        Link { mac: Mac(MAC_A), ip: own, next_hop: Mac(MAC_B), identity, mtu: MTU as usize }
    }

    fn settings(&self, mode: ModeChoice, wake: Wake) -> Settings {
        Settings { mode, wake, ring_size: 256, ..Settings::new("left", self.indices.a, MTU) }
    }

    fn measure_by_xdp(
        &self,
        ask: &Ask,
        own: IpAddr,
        settings: &Settings,
        partial: PartialChecksums,
    ) -> Report {
        let measuring = || {
            let mut xdp = Xdp::open(ask, Self::link(own), settings, partial).unwrap();
            report(ask, &mut xdp, &MonotonicClock::start(), &AtomicBool::new(false))
        };
        self.a.run(measuring).unwrap()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.servers.drain(..).for_each(|server| server.join().unwrap());
    }
}

/// Measures until the end or a stop.
fn report(ask: &Ask, transport: &mut impl Transport, clock: &impl Clock, stop: &AtomicBool) -> Report {
    let controls = Controls { stop, progress: &Progress::default(), platform: &NoPlatform };
    Report::new(&measure(ask, transport, clock, &controls).unwrap())
}

fn addresses(host: &str) -> [(IpAddr, u8); 2] {
    [(format!("10.9.0.{host}").parse().unwrap(), 24), (format!("fd09::{host}").parse().unwrap(), 64)]
}

fn echo_in(namespace: &Namespace, ip: IpAddr, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    let socket = namespace.run(|| UdpSocket::bind((ip, PORT.get())).unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    thread::spawn(move || {
        let mut room = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            if let Ok((len, asker)) = socket.recv_from(&mut room) {
                let _ = socket.send_to(&room[..len], asker);
            }
        }
    })
}

fn pairs() -> [[IpAddr; 2]; 2] {
    let [a, b] = ["1", "2"].map(addresses);
    [[a[0].0, b[0].0], [a[1].0, b[1].0]]
}

fn ask(target: IpAddr, protocol: Protocol, size: usize) -> Ask {
    Ask { size, end: End::Count(200), timeout: PATIENCE, ..Ask::new(target, protocol) }
}

#[test]
fn the_kernel_at_the_other_end_answers_everything() {
    let Some(hosts) = Hosts::new() else { return };
    for [own, target] in pairs() {
        let headers_len = if target.is_ipv4() { 28 } else { 48 };
        for size in [16, 17, 64, 1_500 - headers_len] {
            for (mode, wake) in [(ModeChoice::Native, Wake::NeedWakeup), (ModeChoice::Generic, Wake::Spin)] {
                let settings = hosts.settings(mode, wake);
                for protocol in [UDP, Protocol::Icmp] {
                    let ask = ask(target, protocol, size);
                    let report = hosts.measure_by_xdp(&ask, own, &settings, PartialChecksums::Accept);
                    assert!(report.is_clean() && report.sent == 200, "{report}");
                    // A sum that is left to a NIC is the whole one once in 65,536 times: two of 200, once in 200,000.
                    let wanted = if protocol == UDP { 198..=200 } else { 0..=0 };
                    assert!(wanted.contains(&report.partial_checksums), "{report}");
                }
            }
        }
    }
}

#[test]
fn a_long_run_uses_its_few_buffers_again_and_again() {
    let Some(hosts) = Hosts::new() else { return };
    let [own, target] = pairs()[0];
    for wake in [Wake::NeedWakeup, Wake::BusyPoll, Wake::Spin] {
        let settings = hosts.settings(ModeChoice::Auto, wake);
        let ask = Ask { end: End::Count(20_000), ..ask(target, Protocol::Icmp, 64) };
        let report = hosts.measure_by_xdp(&ask, own, &settings, PartialChecksums::Refuse);
        assert!(report.is_clean() && report.sent == 20_000, "{report}");
    }
}

#[test]
fn an_unfinished_checksum_is_corrupted_where_it_is_not_accepted() {
    let Some(hosts) = Hosts::new() else { return };
    let [own, target] = pairs()[0];
    let settings = hosts.settings(ModeChoice::Auto, Wake::NeedWakeup);
    let ask = Ask { timeout: Ns(100_000_000), warm_up: 0, end: End::Count(3), ..ask(target, UDP, 64) };
    let report = hosts.measure_by_xdp(&ask, own, &settings, PartialChecksums::Refuse);
    assert_eq!((report.sent, report.lost, report.corrupted), (3, 3, 3), "{report}");
}

#[test]
fn the_kernel_keeps_what_the_probe_does_not_claim() {
    let Some(hosts) = Hosts::new() else { return };
    let [own, target] = pairs()[0];
    let asks = [ask(target, Protocol::Icmp, 64), ask(target, UDP, 64)];
    let beside = || {
        let settings = hosts.settings(ModeChoice::Auto, Wake::NeedWakeup);
        let _xdp = Xdp::open(&asks[1], Hosts::link(own), &settings, PartialChecksums::Accept).unwrap();
        asks.each_ref().map(|ask| {
            let mut socket = Socket::open(ask, Wait::Spin).unwrap();
            report(ask, &mut socket, &MonotonicClock::start(), &AtomicBool::new(false))
        })
    };
    for report in hosts.a.run(beside).unwrap() {
        assert!(report.is_clean(), "{report}");
    }
}

#[test]
fn the_card_is_as_it_was_when_the_probe_has_ended() {
    let Some(hosts) = Hosts::new() else { return };
    let [own, target] = pairs()[0];
    let settings = hosts.settings(ModeChoice::Auto, Wake::NeedWakeup);
    hosts.measure_by_xdp(&ask(target, UDP, 64), own, &settings, PartialChecksums::Accept);
    let left = hosts.a.run(|| links::link("left").unwrap()).unwrap();
    assert_eq!(left.program, None);
}

#[test]
fn a_link_local_target_is_asked_over_its_link() {
    let Some(hosts) = Hosts::new() else { return };
    let [own, target] = ["fe80::1", "fe80::2"].map(|ip| ip.parse::<IpAddr>().unwrap());
    let measuring = || {
        links::add_address(hosts.indices.a, own, 64).unwrap();
        let ask = Ask { scope: hosts.indices.a, ..ask(target, Protocol::Icmp, 64) };
        let mut socket = Socket::open(&ask, Wait::Block).unwrap();
        report(&ask, &mut socket, &MonotonicClock::start(), &AtomicBool::new(false))
    };
    hosts.b.run(|| links::add_address(hosts.indices.b, target, 64).unwrap()).unwrap();
    let report = hosts.a.run(measuring).unwrap();
    assert!(report.is_clean(), "{report}");
}

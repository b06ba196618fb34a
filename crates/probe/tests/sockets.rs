//! Real sockets on the loopback interface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop, and says when it is skipped"
)]

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use barelane_probe::own_error::NoPlatform;
use barelane_probe::socket::{Socket, Wait};
use barelane_probe::{
    Ask, Clock, Controls, End, MonotonicClock, Progress, Protocol, Report, Schedule, Transport,
    TransportError, measure,
};
use telemetry::Ns;

/// Long enough that no answer is late on a machine that is busy with other tests.
const PATIENCE: Ns = Ns(10_000_000_000);
const LOCALHOSTS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// A UDP echo in a thread of its own, until it is dropped.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(ip: IpAddr, change: impl Fn(&mut [u8]) + Send + 'static) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut room = vec![0; 65_536];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, asker)) = socket.recv_from(&mut room) {
                    change(&mut room[..len]);
                    let _ = socket.send_to(&room[..len], asker);
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn ask(target: IpAddr, protocol: Protocol, count: u64) -> Ask {
    Ask { end: End::Count(count), timeout: PATIENCE, ..Ask::new(target, protocol) }
}

fn udp(port: u16) -> Protocol {
    Protocol::Udp { port: NonZeroU16::new(port).unwrap() }
}

/// Measures until the end or a stop.
fn report(ask: &Ask, transport: &mut impl Transport, clock: &impl Clock, stop: &AtomicBool) -> Report {
    let controls = Controls { stop, progress: &Progress::default(), platform: &NoPlatform };
    Report::new(&measure(ask, transport, clock, &controls).unwrap())
}

fn run(ask: &Ask, wait: Wait) -> Report {
    try_run(ask, wait).unwrap()
}

fn try_run(ask: &Ask, wait: Wait) -> Result<Report, TransportError> {
    let mut socket = Socket::open(ask, wait)?;
    Ok(report(ask, &mut socket, &MonotonicClock::start(), &AtomicBool::new(false)))
}

#[test]
fn a_udp_echo_answers_every_question_whichever_way_the_probe_waits() {
    for ip in LOCALHOSTS {
        let server = Server::start(ip, |_| ());
        for (wait, name) in [(Wait::Block, "block"), (Wait::Spin, "spin")] {
            let report = run(&ask(ip, udp(server.address.port()), 300), wait);
            assert!(report.is_clean(), "{report}");
            assert_eq!((report.sent, report.rtt.samples, report.wait.as_str()), (300, 300, name));
            assert!(report.rtt.p99_ns.unwrap() < report.wall_ns, "{report}");
            assert!(report.rtt.p99_9_ns.is_none(), "{report}");
        }
    }
}

#[test]
fn every_size_up_to_the_largest_comes_back() {
    let server = Server::start(LOCALHOSTS[0], |_| ());
    for size in [16, 17, 1_471, 1_472, 9_001, barelane_probe::ask::SIZE_MAX] {
        let report = run(&Ask { size, ..ask(LOCALHOSTS[0], udp(server.address.port()), 3) }, Wait::Block);
        assert!(report.is_clean(), "{size}: {report}");
    }
}

#[test]
fn an_answer_with_one_wrong_byte_is_corrupted_and_its_question_lost() {
    let server = Server::start(LOCALHOSTS[0], |bytes| bytes[40] ^= 1);
    let timeout = Ns(100_000_000);
    let report = run(&Ask { timeout, ..ask(LOCALHOSTS[0], udp(server.address.port()), 3) }, Wait::Block);
    assert_eq!((report.sent, report.lost, report.corrupted, report.rtt.samples), (3, 3, 3, 0), "{report}");
}

#[test]
fn a_closed_port_is_refused_and_its_questions_lost() {
    let port = UdpSocket::bind((LOCALHOSTS[0], 0)).unwrap().local_addr().unwrap().port();
    let timeout = Ns(100_000_000);
    for wait in [Wait::Block, Wait::Spin] {
        let report = run(&Ask { timeout, ..ask(LOCALHOSTS[0], udp(port), 3) }, wait);
        assert_eq!((report.sent, report.lost, report.refused), (3, 3, 3), "{report}");
    }
}

#[test]
fn a_gap_is_kept() {
    let server = Server::start(LOCALHOSTS[0], |_| ());
    let schedule = Schedule::Closed { window: 1, gap: Ns(5_000_000) };
    let report = run(&Ask { schedule, ..ask(LOCALHOSTS[0], udp(server.address.port()), 5) }, Wait::Block);
    assert!(report.is_clean() && report.wall_ns >= 20_000_000, "{report}");
}

#[test]
fn a_measurement_ends_after_its_seconds() {
    let server = Server::start(LOCALHOSTS[0], |_| ());
    let end = End::Seconds(0.05);
    let report = run(&Ask { end, ..ask(LOCALHOSTS[0], udp(server.address.port()), 1) }, Wait::Spin);
    assert!(report.is_clean() && report.wall_ns >= 50_000_000, "{report}");
}

#[test]
fn a_stop_gives_what_was_measured_so_far() {
    let server = Server::start(LOCALHOSTS[0], |_| ());
    let ask = Ask { end: End::Seconds(60.0), ..ask(LOCALHOSTS[0], udp(server.address.port()), 1) };
    let stop = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        let measuring = scope.spawn(|| {
            let mut socket = Socket::open(&ask, Wait::Block).unwrap();
            report(&ask, &mut socket, &MonotonicClock::start(), &stop)
        });
        thread::sleep(Duration::from_millis(30));
        stop.store(true, Ordering::Relaxed);
        measuring.join().unwrap()
    });
    assert!(report.is_clean() && report.wall_ns < 10_000_000_000, "{report}");
}

#[test]
fn the_kernel_answers_echoes_of_any_size() {
    for ip in LOCALHOSTS {
        for size in [0, 1, 7, 8, 15, 56, 1_471] {
            let ask = Ask { size, ..ask(ip, Protocol::Icmp, 20) };
            match try_run(&ask, Wait::Spin) {
                Ok(report) => assert!(report.is_clean() && report.refused == 0, "{report}"),
                Err(error) => {
                    assert!(error.to_string().contains("CAP_NET_RAW"), "{error}");
                    // Not by a macro, whose words the test harness keeps to itself where a test passes.
                    let _ = writeln!(io::stderr(), "skipped: no ICMP socket for this user: {error}");
                    return;
                }
            }
        }
    }
}

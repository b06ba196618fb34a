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
use barelane_probe::question::Questions;
use barelane_probe::socket::{Socket, Wait};
use barelane_probe::transport::{Arrival, What};
use barelane_probe::{
    Ask, Clock, Controls, End, Ended, MonotonicClock, Progress, Protocol, RealtimeClock, Report, Schedule,
    Transport, TransportError, measure,
};
use telemetry::{Ns, Tick};

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

/// A server that sends every answer a hundred thousand times: more than the largest room holds.
#[test]
fn what_the_probe_had_no_room_for_is_told_and_is_not_forgotten() {
    const TIMES: u64 = 100_000;
    let server = UdpSocket::bind((LOCALHOSTS[0], 0)).unwrap();
    let ask = ask(LOCALHOSTS[0], udp(server.local_addr().unwrap().port()), 1);
    let mut socket = Socket::open(&ask, Wait::Spin).unwrap();
    let clock = MonotonicClock::start();
    let before = socket.overruns().unwrap();
    assert!(socket.send(&Questions::new(&ask).at(0), &clock).unwrap().is_some());
    let mut room = [0; 2048];
    let (len, asker) = server.recv_from(&mut room).unwrap();
    for _ in 0..TIMES {
        server.send_to(&room[..len], asker).unwrap();
    }
    let mut taken = 0;
    while socket.receive(Tick(0), &clock).unwrap().is_some() {
        taken += 1;
    }
    let dropped = socket.overruns().unwrap() - before;
    assert_eq!(taken + dropped, TIMES);
    assert!(dropped > 0 && taken >= 270, "{taken} taken, {dropped} dropped");
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
    // Without a warm-up, so that every answer that is seen from outside is one of the run.
    let end = End::Seconds(60.0);
    let ask = Ask { end, warm_up: 0, ..ask(LOCALHOSTS[0], udp(server.address.port()), 1) };
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    let outcome = thread::scope(|scope| {
        let measuring = scope.spawn(|| {
            let mut socket = Socket::open(&ask, Wait::Block).unwrap();
            let controls = Controls { stop: &stop, progress: &progress, platform: &NoPlatform };
            measure(&ask, &mut socket, &MonotonicClock::start(), &controls).unwrap()
        });
        while progress.counts().answered == 0 && !measuring.is_finished() {
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        measuring.join().unwrap()
    });
    let report = Report::new(&outcome);
    assert_eq!(outcome.ended, Ended::Stopped, "{report}");
    assert!(report.answered > 0 && report.lost == report.abandoned, "{report}");
    assert_eq!((report.sent, report.corrupted), (report.answered + report.lost + report.late, 0), "{report}");
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

/// A socket with the kernel's stamps, or nothing where this user gets no ICMP socket.
fn stamped_by_kernel(ask: &Ask, wait: Wait) -> Option<Socket> {
    match Socket::open(ask, wait) {
        Ok(socket) => Some(socket.stamped_by_kernel().unwrap()),
        Err(error) => {
            assert!(error.to_string().contains("CAP_NET_RAW"), "{error}");
            let _ = writeln!(io::stderr(), "skipped: no ICMP socket for this user: {error}");
            None
        }
    }
}

#[test]
fn the_kernel_stamps_what_goes_over_every_kind_of_socket() {
    for ip in LOCALHOSTS {
        let server = Server::start(ip, |_| ());
        for protocol in [udp(server.address.port()), Protocol::Icmp] {
            for wait in [Wait::Block, Wait::Spin] {
                let ask = ask(ip, protocol, 300);
                let Some(mut socket) = stamped_by_kernel(&ask, wait) else { continue };
                let clock = RealtimeClock::start().unwrap();
                // Twice: the second run's sequence numbers begin at 0 again.
                for _ in 0..2 {
                    let report = report(&ask, &mut socket, &clock, &AtomicBool::new(false));
                    assert!(report.is_clean() && report.sent == 300, "{report}");
                    assert_eq!(report.rtt.samples + report.unstamped, 300, "{report}");
                    assert_eq!(report.clock, "CLOCK_REALTIME");
                    assert!(report.rtt.samples > 0 && report.sent_stamp.contains("kernel"), "{report}");
                }
            }
        }
    }
}

#[test]
fn the_kernels_stamps_lie_between_the_processs_own() {
    let server = Server::start(LOCALHOSTS[0], |_| ());
    let ask = ask(LOCALHOSTS[0], udp(server.address.port()), 1);
    let mut socket = stamped_by_kernel(&ask, Wait::Block).unwrap();
    let clock = RealtimeClock::start().unwrap();
    let questions = Questions::new(&ask);
    for sequence in 0..100 {
        let before = socket.send(&questions.at(sequence), &clock).unwrap().unwrap();
        socket.flush().unwrap();
        let (departed, whose) = next(&mut socket, &clock);
        assert_eq!(whose, Ok(sequence), "the sending stamp comes before the answer");
        let (arrived, payload) = next(&mut socket, &clock);
        let after = clock.now();
        let recognised = questions.recognise(&payload.unwrap_err(), None, sequence + 1);
        assert_eq!(recognised.unwrap().sequence, sequence);
        let is_in_order = before <= departed && departed <= arrived && arrived <= after;
        assert!(is_in_order || clock.has_stepped(), "{before:?} {departed:?} {arrived:?} {after:?}");
    }
}

/// The next arrival, its payload taken out of the socket.
fn next(socket: &mut Socket, clock: &RealtimeClock) -> (Tick, Result<u64, Vec<u8>>) {
    let until = Tick(clock.now().0 + PATIENCE.0);
    while clock.now() < until {
        match socket.receive(until, clock).unwrap() {
            Some(Arrival { at, what: What::Sent { sequence }, .. }) => return (at, Ok(sequence)),
            Some(Arrival { at, what: What::Answer { payload, .. }, .. }) => {
                return (at, Err(payload.to_vec()));
            }
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    panic!("nothing arrives");
}

#[test]
fn a_closed_port_is_refused_with_the_kernels_stamps_as_well() {
    let port = UdpSocket::bind((LOCALHOSTS[0], 0)).unwrap().local_addr().unwrap().port();
    let ask = Ask { timeout: Ns(100_000_000), ..ask(LOCALHOSTS[0], udp(port), 3) };
    let mut socket = stamped_by_kernel(&ask, Wait::Block).unwrap();
    let report = report(&ask, &mut socket, &RealtimeClock::start().unwrap(), &AtomicBool::new(false));
    assert_eq!((report.sent, report.lost, report.refused), (3, 3, 3), "{report}");
}

#[test]
fn the_kernels_stamps_are_measured_by_the_kernels_clock_alone() {
    let server = Server::start(LOCALHOSTS[0], |_| ());
    let ask = ask(LOCALHOSTS[0], udp(server.address.port()), 1);
    let mut socket = stamped_by_kernel(&ask, Wait::Block).unwrap();
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    let controls = Controls { stop: &stop, progress: &progress, platform: &NoPlatform };
    let error = measure(&ask, &mut socket, &MonotonicClock::start(), &controls).unwrap_err();
    assert!(error.to_string().contains("CLOCK_REALTIME, not of CLOCK_MONOTONIC"), "{error}");
}

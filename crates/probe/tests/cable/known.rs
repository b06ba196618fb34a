//! A server whose faults are known, on a real cable.
//!
//! What is exact in a simulation (`tests/truth`) is shown here where the machine has a say: counts are exact all the same,
//! and of the times only what no disturbance can undo is asserted, which is that things take at least as long as the
//! server made them.

use std::net::{IpAddr, UdpSocket};
use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use barelane_probe::frames::PartialChecksums;
use barelane_probe::own_error::NoPlatform;
use barelane_probe::question::Questions;
use barelane_probe::socket::{Socket, Wait};
use barelane_probe::xdp::Xdp;
use barelane_probe::{
    Arrivals, Ask, Controls, Counts, End, Ended, MonotonicClock, Outcome, Progress, Protocol, Ramp, Schedule,
    Transport, measure,
};
use nic::xdp::{ModeChoice, Settings, Wake};
use telemetry::{Ns, Tick};

use super::reflector::{Plan, Reflector};
use super::{Hosts, PATIENCE, pairs};

const RATE: f64 = 1_000.0;
const STALL: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug)]
enum Backend {
    Socket,
    Xdp,
}

fn open(arrivals: Arrivals) -> Schedule {
    Schedule::Open { arrivals, rate: Ramp::constant(RATE) }
}

fn run(ask: &Ask, transport: &mut impl Transport) -> Outcome {
    let stop = AtomicBool::new(false);
    let progress = Progress::default();
    let controls = Controls { stop: &stop, progress: &progress, platform: &NoPlatform };
    measure(ask, transport, &MonotonicClock::start(), &controls).unwrap()
}

impl Hosts {
    fn run(&self, ask: &Ask, own: IpAddr, backend: Backend) -> Outcome {
        // What a stall holds back comes at once.
        let settings = Settings { ring_size: 2_048, ..self.settings(ModeChoice::Auto, Wake::NeedWakeup) };
        let measuring = || match backend {
            Backend::Socket => run(ask, &mut Socket::open(ask, Wait::Block).unwrap()),
            Backend::Xdp => {
                run(ask, &mut Xdp::open(ask, Self::link(own), &settings, PartialChecksums::Accept).unwrap())
            }
        };
        self.a.run(measuring).unwrap()
    }

    /// Measures a reflector of this plan; gives the outcome, and what the reflector says.
    fn measure(&self, plan: Plan, backend: Backend, ask: impl FnOnce(Ask) -> Ask) -> (Outcome, Counts) {
        let [own, target] = pairs()[0];
        let reflector = Reflector::start(&self.b, target, plan);
        let udp = Protocol::Udp { port: NonZeroU16::new(reflector.port()).unwrap() };
        let ask = ask(Ask { timeout: PATIENCE, ..Ask::new(target, udp) });
        let outcome = self.run(&ask, own, backend);
        (outcome, reflector.stop())
    }
}

/// 200 ms of every half second, so that two questions in five meet a stall: nine in ten responses are shorter than
/// 150 ms, 99 in 100 shorter than 195 ms (the formula is in `tests/truth/stalls.rs`). Nothing that the machine does to
/// this test makes a response shorter.
#[test]
fn a_stall_shows_in_the_figures_of_an_open_loop_and_not_in_those_of_a_closed_one() {
    let Some(hosts) = Hosts::new() else { return };
    let plan = Plan { stalls: Some((500, STALL)), ..Plan::PROMPT };
    let by = |schedule, backend| {
        let (outcome, done) =
            hosts.measure(plan, backend, |ask| Ask { schedule, end: End::Count(3_000), ..ask });
        let counts = outcome.counts;
        assert_eq!((counts.sent, counts.answered, done.answered), (3_000, 3_000, 3_000), "{counts:?}");
        outcome
    };
    let closed = by(Schedule::ONE_AT_A_TIME, Backend::Socket).record.figures();
    assert!(closed.max_ns.unwrap() >= 200_000_000, "{closed:?}");
    for (arrivals, backend) in [
        (Arrivals::Periodic, Backend::Socket),
        (Arrivals::Poisson, Backend::Socket),
        (Arrivals::Periodic, Backend::Xdp),
    ] {
        let open = by(open(arrivals), backend).record.response_figures();
        let [p90, p99] = [open.p90_ns, open.p99_ns].map(Option::unwrap);
        assert!(p90 >= 135_000_000 && p99 >= 185_000_000, "{arrivals} by {backend:?}: {open:?}");
        assert!(closed.p99_ns.unwrap() * 2 < p99, "closed {closed:?}, open {open:?}");
    }
}

#[test]
fn what_a_server_does_wrong_is_counted_exactly_on_a_real_cable() {
    let Some(hosts) = Hosts::new() else { return };
    let plan = Plan {
        delay: Duration::from_millis(1),
        lost: Some(37),
        doubled: Some(41),
        corrupted: Some(43),
        later: Some((47, Duration::from_millis(50))),
        ..Plan::PROMPT
    };
    for (schedule, backend) in [
        (open(Arrivals::Periodic), Backend::Socket),
        (open(Arrivals::Poisson), Backend::Xdp),
        (Schedule::Closed { window: 100, gap: Ns(0) }, Backend::Socket),
        (Schedule::Closed { window: 100, gap: Ns(0) }, Backend::Xdp),
    ] {
        let (outcome, done) = hosts.measure(plan, backend, |ask| Ask {
            schedule,
            end: End::Count(2_000),
            timeout: Ns(2_000_000_000),
            ..ask
        });
        let found = Counts { partial_checksums: 0, ..outcome.counts };
        assert_eq!((found, outcome.ended), (done, Ended::Done), "{schedule:?} by {backend:?}");
        assert!(found.lost > 90 && found.duplicated > 40 && found.reordered > 30, "{found:?}");
    }
}

/// Two thousand answers to one question, and nobody takes them: more than the smallest rings hold.
#[test]
fn what_the_probes_own_card_had_no_room_for_is_told() {
    const TIMES: u64 = 2_000;
    let Some(hosts) = Hosts::new() else { return };
    let [own, target] = pairs()[0];
    let server = hosts.b.run(|| UdpSocket::bind((target, 0)).unwrap()).unwrap();
    let udp = Protocol::Udp { port: NonZeroU16::new(server.local_addr().unwrap().port()).unwrap() };
    let ask = Ask::new(target, udp);
    let clock = MonotonicClock::start();
    let settings = Settings { ring_size: 256, ..hosts.settings(ModeChoice::Auto, Wake::NeedWakeup) };
    let open = || Xdp::open(&ask, Hosts::link(own), &settings, PartialChecksums::Accept).unwrap();
    let mut xdp = hosts.a.run(open).unwrap();
    assert_eq!(xdp.overruns(), Some(0));
    assert!(xdp.send(&Questions::new(&ask).at(0), &clock).unwrap().is_some());
    xdp.flush().unwrap();
    let mut room = [0; 2048];
    let (len, asker) = server.recv_from(&mut room).unwrap();
    for _ in 0..TIMES {
        server.send_to(&room[..len], asker).unwrap();
    }
    let taken = (0..TIMES).filter(|_| xdp.receive(Tick(0), &clock).unwrap().is_some()).count() as u64;
    let overruns = xdp.overruns().unwrap();
    assert!(taken >= 64 && overruns > 0 && taken + overruns <= TIMES, "{taken} taken, {overruns} dropped");
}

/// An answer after the time-out is late, neither lost nor answered, and the server knows of no difference.
#[test]
fn answers_after_the_time_out_are_late() {
    let Some(hosts) = Hosts::new() else { return };
    let plan = Plan { later: Some((10, Duration::from_millis(2_500))), ..Plan::PROMPT };
    let (outcome, done) = hosts.measure(plan, Backend::Socket, |ask| Ask {
        schedule: open(Arrivals::Periodic),
        end: End::Count(500),
        timeout: Ns(1_500_000_000),
        linger: Ns(2_000_000_000),
        ..ask
    });
    let counts = outcome.counts;
    assert_eq!((counts.sent, counts.answered, counts.lost, counts.late), (500, 450, 0, 50), "{counts:?}");
    assert_eq!((done.answered, counts.reordered), (500, done.reordered));
}

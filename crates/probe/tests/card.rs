//! The queue backend over a card in memory: whole frames, a peer that is not ours, faults from a seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;

use barelane_probe::frames::{Frames, Link, PartialChecksums};
use barelane_probe::neighbours::{Neighbours, NextHop, Station};
use barelane_probe::own_error::NoPlatform;
use barelane_probe::queue::{Card, Origin};
use barelane_probe::{Ask, Clock, Controls, End, Progress, Protocol, Report, Transport, WallTime, measure};
use nic::queue::{Burst, Frame, Queue};
use nic::sim::{self, Faults, Impairments};
use telemetry::{Ns, Tick, TickRate};
use wire::Mac;

const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const UDP: Protocol = Protocol::Udp { port: NonZeroU16::new(7).unwrap() };
/// Three times as many buffers hold all questions of a test, and the answers under way.
const RING_SIZE: usize = 1_024;
const COUNT: u64 = 2_000;

/// A card with an echo server behind its wire.
///
/// A card gives a frame only for what it has received, so that the frames for all questions are received beforehand.
struct Echoing {
    card: sim::Card,
    stock: Vec<Frame>,
    before: Impairments,
    /// What others send to us, each once, and what they are told.
    others: Vec<Vec<u8>>,
    told: Vec<Vec<u8>>,
}

impl Echoing {
    fn new(question_count: u64, seed: u64, faults: Faults) -> Self {
        let mut card = sim::Card::new(RING_SIZE, seed, faults);
        let mut stock = Vec::new();
        while (stock.len() as u64) < question_count {
            card.inject(&[0; 60]);
            let mut burst = card.rx();
            stock.extend(std::iter::from_fn(|| card.next(&mut burst)));
        }
        while stock.len() as u64 > question_count {
            card.release(stock.pop().unwrap());
        }
        let before = card.impairments();
        Self { card, stock, before, others: Vec::new(), told: Vec::new() }
    }

    /// What the wire did to the answers.
    fn impairments(&self) -> Impairments {
        let (now, before) = (self.card.impairments(), self.before);
        Impairments {
            injected: now.injected - before.injected,
            delivered: now.delivered - before.delivered,
            lost: now.lost - before.lost,
            duplicated: now.duplicated - before.duplicated,
            reordered: now.reordered - before.reordered,
            corrupted: now.corrupted - before.corrupted,
            truncated: now.truncated - before.truncated,
            overrun: now.overrun - before.overrun,
        }
    }

    /// Swaps the two ends of every UDP frame that has left, and sends it back.
    fn echo(&mut self) {
        let mut answers: Vec<Vec<u8>> = self.others.pop().into_iter().collect();
        let told = &mut self.told;
        self.card.take_sent(|frame| {
            if frame[12..14] != [8, 0] {
                told.push(frame.to_vec());
                return;
            }
            let mut answer = frame.to_vec();
            for (left, right, len) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
                for offset in 0..len {
                    answer.swap(left + offset, right + offset);
                }
            }
            answers.push(answer);
        });
        for answer in &answers {
            self.card.inject(answer);
        }
    }
}

impl Queue for Echoing {
    fn rx(&mut self) -> Burst {
        self.card.rx()
    }

    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        self.card.next(burst)
    }

    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.card.room_mut(frame)
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        self.card.tx(frame)
    }

    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        self.card.pass(frame)
    }

    fn release(&mut self, frame: Frame) {
        self.card.release(frame);
    }

    fn flush(&mut self) {
        self.card.flush();
        self.echo();
    }
}

impl Origin for Echoing {
    fn spare(&mut self) -> Option<Frame> {
        self.stock.pop()
    }
}

/// A clock by which every reading takes 100 ns, so that no time-out depends on the machine's load.
#[derive(Default)]
struct CountingClock(Cell<u64>);

impl Clock for CountingClock {
    fn now(&self) -> Tick {
        self.0.set(self.0.get() + 100);
        Tick(self.0.get())
    }

    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }

    fn wall(&self, at: Tick) -> WallTime {
        WallTime(at.0)
    }

    fn name(&self) -> &'static str {
        "counting"
    }
}

fn ask(size: usize) -> Ask {
    Ask { size, end: End::Count(COUNT), timeout: Ns(100_000), linger: Ns(100_000), ..Ask::new(TARGET, UDP) }
}

/// Measures until the end or a stop.
fn report(ask: &Ask, transport: &mut impl Transport, clock: &impl Clock, stop: &AtomicBool) -> Report {
    let controls = Controls { stop, progress: &Progress::default(), platform: &NoPlatform };
    Report::new(&measure(ask, transport, clock, &controls).unwrap())
}

const OWN_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const TARGET_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn frames(ask: &Ask) -> Frames {
    let identity = NonZeroU16::new(40_000).unwrap();
    let link = Link { mac: OWN_MAC, ip: OWN, next_hop: TARGET_MAC, identity, mtu: 1500 };
    Frames::new(ask, link, PartialChecksums::Refuse).unwrap()
}

fn run(ask: &Ask, seed: u64, faults: Faults) -> (Report, Impairments) {
    let frames = frames(ask);
    let queues = vec![Echoing::new(COUNT + ask.warm_up, seed, faults)];
    let mut card = Card::new(queues, frames, "simulation", "a card in memory".to_owned()).unwrap();
    let report = report(ask, &mut card, &CountingClock::default(), &AtomicBool::new(false));
    let [echoing] = card.queues() else { panic!("there is one queue") };
    echoing.card.accounted().unwrap();
    (report, echoing.impairments())
}

#[test]
fn every_question_is_answered_on_a_wire_without_faults() {
    for size in [16, 17, 18, 64, 1_472] {
        let (report, done) = run(&ask(size), 1, Faults::default());
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.sent, done.delivered), (COUNT, COUNT + 1), "one of them was the warm-up");
    }
}

#[test]
fn loss_and_duplication_are_reported_exactly() {
    let faults = Faults { loss_ppm: 20_000, duplication_ppm: 50_000, ..Faults::default() };
    let ask = Ask { warm_up: 0, ..ask(64) };
    let (report, done) = run(&ask, 7, faults);
    assert!(done.lost > 10 && done.duplicated > 10, "{done:?}");
    assert_eq!(
        (report.sent, report.lost, report.duplicated),
        (COUNT, done.lost, done.duplicated),
        "{report}"
    );
    assert_eq!((report.corrupted, report.unmatched, report.late), (0, 0, 0), "{report}");
}

#[test]
fn a_damaged_answer_never_counts_as_an_answer() {
    let faults = Faults { corruption_ppm: 20_000, truncation_ppm: 20_000, ..Faults::default() };
    let ask = Ask { warm_up: 0, ..ask(64) };
    let (report, done) = run(&ask, 7, faults);
    assert!(done.corrupted > 10 && done.truncated > 10, "{done:?}");
    assert_eq!(report.sent, report.answered + report.lost, "{report}");
    // A flipped bit in the sender's Ethernet address is harmless; one in a port or an address makes it another's.
    assert!(
        report.lost <= done.corrupted + done.truncated && report.corrupted <= report.lost,
        "{report} {done:?}"
    );
    assert!(report.corrupted * 10 >= report.lost * 7, "most of the damage is seen as such: {report}");
}

#[test]
fn a_slow_peer_delays_and_loses_nothing() {
    let faults = Faults { slow_peer_ppm: 500_000, ..Faults::default() };
    let (report, _) = run(&ask(64), 3, faults);
    assert!(report.is_clean(), "{report}");
}

/// Frames that are none of our answers: one each of what a link without a filter carries.
fn frames_of_others() -> Vec<Vec<u8>> {
    let frame = |ethertype: [u8; 2], packet: &[u8]| {
        let mut bytes = [&OWN_MAC.0[..], &TARGET_MAC.0, &ethertype, packet].concat();
        bytes.resize(bytes.len().max(60), 0);
        bytes
    };
    let arp =
        [&[0, 1, 8, 0, 6, 4, 0, 1][..], &TARGET_MAC.0, &[10, 0, 0, 2], &[0; 6], &[10, 0, 0, 1]].concat();
    // A TCP segment of the target to us. Its header's checksum is right.
    let tcp = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0x66, 0xce, 10, 0, 0, 2, 10, 0, 0, 1];
    let reports = [&[0x60, 0, 0, 0, 0, 36, 0, 1][..], &[0xfe; 32], &[0; 36]].concat();
    vec![
        frame([8, 6], &arp),
        frame([8, 0], &[&tcp[..], &[0; 20]].concat()),
        frame([0x86, 0xdd], &reports),
        frame([0x88, 0xcc], &[2, 7]),
        vec![0xff; 60],
    ]
}

#[test]
fn where_no_kernel_is_arp_is_answered_while_it_is_measured_and_what_others_send_counts_for_nothing() {
    let ask = Ask { end: End::Count(500), ..ask(64) };
    let own = Station { mac: OWN_MAC, ip: OWN };
    let neighbours = Neighbours::new(own, NextHop::Owner(TARGET)).unwrap();
    let others = frames_of_others();
    let queue = Echoing { others, ..Echoing::new(510, 1, Faults::default()) };
    let card = Card::new(vec![queue], frames(&ask).among_others(), "simulation", String::new()).unwrap();
    let mut card = card.with_neighbours(neighbours);
    let report = report(&ask, &mut card, &CountingClock::default(), &AtomicBool::new(false));
    assert!(report.is_clean() && report.answered == 500, "{report}");
    let [queue] = card.queues() else { panic!("there is one queue") };
    assert!(queue.others.is_empty());
    let [told] = &queue.told[..] else { panic!("{:?}", queue.told) };
    assert_eq!((&told[..6], &told[6..12]), (&TARGET_MAC.0[..], &OWN_MAC.0[..]));
    assert_eq!(
        (&told[20..22], &told[22..28], &told[28..32]),
        (&[0, 2][..], &OWN_MAC.0[..], &[10, 0, 0, 1][..])
    );
}

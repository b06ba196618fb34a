//! Streams: what was lost, doubled and overtaken on the wire is what the lane says of the stream, to the packet, and nothing is
//! said of what was not heard.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use barelane_lane::{Lane, mailbox};
use nic::Arrival;
use nic::sim::{Card, Faults, Stamped};
use route::{PartialChecksums, ShortPackets};
use telemetry::streams::{Counts, Jitter, Protocol, ProtocolTotals, Stream, StreamKey};
use telemetry::{ArrivalClock, Counter, Kind, Ns, Reason, SharedStreams, Tick, TickRate};
use testkit::clock::SimulatedClock;
use testkit::random::Random;
use testkit::vectors::{Outcome, Tier};
use testkit::{endpoint, packets};
use wire::checksum::Summer;
use wire::headers::Headers;
use wire::sockperf::{self, Message};
use wire::stamp::{
    self, ErrorEstimate, Format, Key, SenderPacket, SenderPacketAuthenticated, Synchronised, Timestamp,
};
use wire::udp::{self, Udp};

use crate::faults::seeds;
use crate::simulated::{SimulatedLane, Window, card, settings_of, table_of};

const RING_SIZE: usize = 64;
/// The sender's clock stands that far from ours, which is nobody's business.
const CLOCKS_APART: u64 = 1_795_424_400_000_000_000;

/// A lane with streams, and what others read of them.
struct Watched<Q: Window> {
    lane: SimulatedLane<Q>,
    streams: Arc<SharedStreams>,
}

impl<Q: Window> Watched<Q> {
    fn new(lane: SimulatedLane<Q>, room: usize) -> Self {
        let (lane, streams) = lane.with_streams(room);
        Self { lane, streams }
    }

    fn of(queue: Q) -> Self {
        Self::new(SimulatedLane::new(queue, PartialChecksums::Refuse, Summer::fastest()), 64)
    }

    /// What is known of the only stream.
    fn only(&self) -> Stream {
        let all: Vec<_> = self.streams.iter().collect();
        let [(_, stream)] = all[..] else { panic!("{all:?}") };
        stream
    }

    fn totals(&mut self, protocol: Protocol) -> ProtocolTotals {
        self.lane.lane.publish();
        *self.streams.totals().unwrap().of(protocol)
    }
}

/// Who asks, and of which session its packets are.
#[derive(Clone, Copy, Debug)]
struct Sender {
    ours: IpAddr,
    port: u16,
    ssid: u16,
    format: Format,
}

impl Sender {
    fn to(ours: &str) -> Self {
        Self { ours: ours.parse().unwrap(), port: 40_000, ssid: 0, format: Format::Ntp }
    }

    /// A STAMP packet of this sequence, sent at this time of the simulation, less all that is behind `len`.
    fn stamp(self, sequence: u32, sent_ns: u64, len: usize) -> Vec<u8> {
        let mut payload = [0; 44];
        *SenderPacket::of_mut(&mut payload, 0).unwrap() = SenderPacket {
            sequence: sequence.into(),
            timestamp: Timestamp::new(sent_ns + CLOCKS_APART, self.format),
            error_estimate: ErrorEstimate::new(1_000, Synchronised::No, self.format),
            ssid: self.ssid.into(),
            zero: [0; 28],
        };
        self.datagram(stamp::PORT, &payload[..len])
    }

    /// The same, signed.
    fn signed(self, sequence: u32, sent_ns: u64, key: &Key) -> Vec<u8> {
        let mut payload = [0; 112];
        *SenderPacketAuthenticated::of_mut(&mut payload, 0).unwrap() = SenderPacketAuthenticated {
            sequence: sequence.into(),
            zero: [0; 12],
            timestamp: Timestamp::new(sent_ns + CLOCKS_APART, self.format),
            error_estimate: ErrorEstimate::new(1_000, Synchronised::No, self.format),
            ssid: self.ssid.into(),
            more_zeros: [0; 68],
            hmac: [0; 16],
        };
        stamp::authenticate(&mut payload, key).unwrap();
        self.datagram(stamp::PORT, &payload)
    }

    /// A sockperf message with these flags.
    fn message(self, sequence: u64, flags: u16) -> Vec<u8> {
        let mut payload = [0; 20];
        *Message::of_mut(&mut payload, 0).unwrap() =
            Message { sequence: sequence.into(), flags: flags.into(), len: 20.into() };
        self.datagram(sockperf::PORT, &payload)
    }

    fn datagram(self, port: u16, payload: &[u8]) -> Vec<u8> {
        let endpoint = endpoint::load().unwrap();
        let kind = packets::Kind::UdpEcho(port);
        let mut frame = packets::exchange(&endpoint, self.ours, kind, payload).question;
        let headers = headers(&frame);
        Udp::of_mut(&mut frame, headers.transport()).unwrap().src = self.port.into();
        udp::set_checksum(&mut frame, headers, &Summer::fastest()).unwrap();
        frame
    }
}

fn headers(frame: &[u8]) -> Headers {
    wire::parse::untagged(frame).unwrap()
}

/// The sequence of each STAMP answer that has left, by the port that it went to, in the order in which the questions had come.
fn take_answered(card: &mut Card, answered: &mut BTreeMap<u16, Vec<u32>>) {
    card.take_sent(|frame| {
        let headers = headers(frame);
        let port = Udp::of(frame, headers.transport()).unwrap().dst.get();
        let payload = udp::payload(frame, headers).unwrap();
        answered.entry(port).or_default().push(SenderPacket::of(payload, 0).unwrap().sequence.get());
    });
}

/// What the lane must say of a stream whose packets have come in this order.
fn counts_of(come: &[u32]) -> Counts {
    let mut counts = Counts::default();
    let mut known = BTreeSet::new();
    for &sequence in come {
        let is_late = known.last().is_some_and(|&highest| sequence < highest);
        if known.insert(sequence) {
            counts.received += 1;
            counts.late += u64::from(is_late);
        } else {
            counts.duplicate += 1;
        }
    }
    counts.expected = u64::from(known.last().unwrap() - known.first().unwrap() + 1);
    counts
}

/// One sender asks until its first packet has come, then so many times, and then until its last one has. Gives what the wire lost and
/// doubled between.
fn ask_over(lane: &mut Watched<Card>, sender: Sender, mut count: u32) -> (u64, u64) {
    let mut answered = BTreeMap::new();
    let mut sequence = 0;
    let mut ask = |lane: &mut Watched<Card>, count: u32| {
        for _ in 0..count {
            let question = sender.stamp(sequence, u64::from(sequence) * 1_000, 44);
            lane.lane.lane.queue_mut().inject(&question);
            sequence += 1;
        }
        lane.lane.turn(Ns(1_000 * u64::from(count)));
        let card = lane.lane.lane.queue_mut();
        take_answered(card, &mut answered);
        card.impairments()
    };
    let mut before = ask(lane, 1);
    while before.delivered == 0 {
        before = ask(lane, 1);
    }
    while count > 0 {
        // Half of what the ring holds, so that all of it may come twice.
        let burst = count.min(u32::try_from(RING_SIZE).unwrap() / 2);
        ask(lane, burst);
        count -= burst;
    }
    let last = lane.lane.lane.queue_mut().impairments().delivered;
    let mut now = ask(lane, 1);
    while now.delivered == last {
        now = ask(lane, 1);
    }
    assert_eq!((now.overrun, now.corrupted, now.truncated), (0, 0, 0));
    let counts = counts_of(&answered[&sender.port]);
    assert_eq!(lane.only().counts, counts, "what was answered, in its order");
    (now.lost - before.lost, now.duplicated)
}

#[test]
fn what_the_wire_loses_and_doubles_is_what_the_stream_says_to_the_packet() {
    let [mut lost_all, mut duplicated_all, mut late_all] = [0; 3];
    for seed in seeds() {
        for ours in ["10.0.0.1", "fd00::1"] {
            let faults = Faults {
                loss_ppm: 70_000,
                duplication_ppm: 40_000,
                reordering_ppm: 100_000,
                ..Faults::default()
            };
            let mut lane = Watched::of(Card::new(RING_SIZE, seed, faults));
            let (lost, duplicated) = ask_over(&mut lane, Sender::to(ours), 2_000);
            let counts = lane.only().counts;
            assert_eq!(
                (counts.lost(), counts.duplicate),
                (lost, duplicated),
                "BARELANE_SEEDS={seed}..{}",
                seed + 1
            );
            assert_eq!((counts.too_late, counts.restarts), (0, 0));
            assert_eq!(lane.totals(Protocol::Stamp).counts, counts);
            lost_all += lost;
            duplicated_all += duplicated;
            late_all += counts.late;
        }
    }
    assert!(
        lost_all > 500 && duplicated_all > 500 && late_all > 500,
        "{lost_all} {duplicated_all} {late_all}"
    );
}

#[test]
fn a_wire_without_faults_loses_nothing_of_any_stream() {
    let mut lane = Watched::of(Card::new(RING_SIZE, 0, Faults::default()));
    let senders: Vec<_> =
        (0..16).map(|number| Sender { port: 30_000 + number, ..Sender::to("10.0.0.1") }).collect();
    for sequence in 0..500 {
        for sender in &senders {
            lane.lane.lane.queue_mut().inject(&sender.stamp(sequence, u64::from(sequence), 44));
        }
        lane.lane.turn(Ns(1_000));
        lane.lane.lane.queue_mut().take_sent(|_| {});
    }
    let known: Vec<_> = lane.streams.iter().collect();
    let all = Counts { expected: 500, received: 500, ..Counts::default() };
    assert!(known.iter().all(|(_, stream)| stream.counts == all), "{known:?}");
    let ports: BTreeSet<_> = known.iter().map(|(key, _)| key.source_port).collect();
    assert_eq!(ports, senders.iter().map(|sender| sender.port).collect());
    assert_eq!(lane.lane.lane.counters().of(Counter::StreamEvicted), 0);
}

#[test]
fn a_damaged_packet_is_not_heard_and_so_is_lost() {
    for seed in seeds() {
        let faults = Faults { corruption_ppm: 200_000, truncation_ppm: 100_000, ..Faults::default() };
        let mut lane = Watched::of(Card::new(RING_SIZE, seed, faults));
        let (sender, mut answered) = (Sender::to("10.0.0.1"), BTreeMap::new());
        for sequence in 0..3_000 {
            lane.lane.lane.queue_mut().inject(&sender.stamp(sequence, u64::from(sequence) * 1_000, 44));
            lane.lane.turn(Ns(1_000));
            take_answered(lane.lane.lane.queue_mut(), &mut answered);
        }
        // Where the destination port itself, or nothing that a checksum covers, was damaged, nothing else is; the sender's port is another stream.
        let counts = counts_of(&answered[&sender.port]);
        let (_, stream) = lane.streams.iter().find(|(key, _)| key.source_port == sender.port).unwrap();
        assert_eq!(stream.counts, counts, "BARELANE_SEEDS={seed}..{}", seed + 1);
        assert!(counts.lost() > 500 && counts.received > 1_500, "{counts:?}");
    }
}

#[test]
fn a_stream_has_the_addresses_ports_and_session_of_its_packets() {
    for ours in ["10.0.0.1", "fd00::1"] {
        let mut lane = Watched::of(card());
        let sender = Sender { port: 4_711, ssid: 0x8102, ..Sender::to(ours) };
        let question = sender.stamp(7, 5, 44);
        assert!(matches!(lane.lane.ask(&question, Ns(0)), Outcome::Reply(_)));
        let source = headers(&question).source(&question).unwrap();
        let mapped = |ip: Ipv4Addr| ip.to_ipv6_mapped().to_bits();
        let (source, destination) = match sender.ours {
            IpAddr::V4(ip) => (mapped(Ipv4Addr::from_bits(u32::try_from(source).unwrap())), mapped(ip)),
            IpAddr::V6(ip) => (source, ip.to_bits()),
        };
        let key = StreamKey {
            source,
            destination,
            source_port: 4_711,
            destination_port: stamp::PORT,
            ssid: 0x8102,
            protocol: Protocol::Stamp,
        };
        assert_eq!(lane.streams.iter().map(|(key, _)| key).collect::<Vec<_>>(), [key]);
    }
}

#[test]
fn jitter_is_of_when_the_lane_found_a_packet_and_when_its_sender_says_that_it_was_sent() {
    for format in [Format::Ntp, Format::Ptp] {
        let mut lane = Watched::of(card());
        let sender = Sender { format, ..Sender::to("10.0.0.1") };
        let (mut now, mut transit, mut jitter) = (0, None::<i128>, Jitter::default());
        let mut random = Random::new(3_550);
        for sequence in 0..200_u32 {
            let waits = 1_000_000 + random.below(500_000) as u64;
            now += waits;
            let sent_ns = u64::from(sequence) * 1_200_000;
            assert!(matches!(
                lane.lane.ask(&sender.stamp(sequence, sent_ns, 44), Ns(waits)),
                Outcome::Reply(_)
            ));
            let way = i128::from(now) - i128::from(sent_ns);
            if let Some(before) = transit.replace(way) {
                jitter.take(u64::try_from((way - before).abs()).unwrap());
            }
        }
        // NTP's fractions are a fourth of a nanosecond, and each instant is read to the nearest one.
        let apart = lane.only().jitter.ns().abs_diff(jitter.ns());
        assert!(jitter.ns() > 50_000 && apart <= 1, "{apart} ns of {jitter:?}, {format:?}");
        assert_eq!(lane.streams.differences.read().count(), 199);
        assert_eq!(lane.totals(Protocol::Stamp).jitter, lane.only().jitter);
    }
}

#[test]
fn jitter_is_of_the_arrival_stamps_where_there_are_any_and_not_of_what_frames_wait_for_each_other() {
    let endpoint = endpoint::load().unwrap();
    let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
    let (mut sender, mailbox) = mailbox();
    sender.tell_arrival_clock(ArrivalClock::new(Tick(0), 1 << 40, TickRate::NANOSECONDS));
    let (clock, streams) = (SimulatedClock::default(), Arc::new(SharedStreams::new(4)));
    let tables = Box::new(table_of(&endpoint).compile(&settings));
    let queue = Stamped(Card::new(RING_SIZE, 0, Faults::default()));
    let mut lane =
        Lane::new(queue, tables, clock.clone(), Arc::default(), mailbox).with_streams(Some(streams.clone()));
    // Ten in a turn, each on its way for as long as the others, but for one that took 160 ns longer.
    for sequence in 0..10_u32 {
        let sent_ns = u64::from(sequence) * 1_000;
        let way_ns = if sequence == 9 { 5_160 } else { 5_000 };
        lane.queue_mut().0.set_time(Some(Arrival((1 << 40) + sent_ns + way_ns)));
        lane.queue_mut().0.inject(&Sender::to("10.0.0.1").stamp(sequence, sent_ns, 44));
    }
    clock.set(Tick(1_000_000));
    assert_eq!(lane.turn(Tick(1_000_000)), 10);
    let (_, stream) = streams.iter().next().unwrap();
    assert_eq!((stream.counts.received, stream.jitter.ns()), (10, 10));
    let differences = streams.differences.read();
    assert_eq!((differences.count(), differences.sum(), differences.max()), (9, 160, 160));
}

#[test]
fn a_sender_that_does_not_say_when_it_sent_has_no_jitter_and_all_else() {
    let mut lane = Watched::of(card());
    for sequence in [0_u32, 1, 3, 2, 3] {
        let mut packet = [0; 44];
        packet[..4].copy_from_slice(&sequence.to_be_bytes());
        let question = Sender::to("10.0.0.1").datagram(stamp::PORT, &packet);
        assert!(matches!(lane.lane.ask(&question, Ns(1_000)), Outcome::Reply(_)));
    }
    let counts = Counts { expected: 4, received: 4, late: 1, duplicate: 1, ..Counts::default() };
    assert_eq!((lane.only().counts, lane.only().jitter), (counts, Jitter::default()));
    assert_eq!(lane.streams.differences.read().count(), 0);
}

#[test]
fn in_the_authenticated_mode_only_what_is_signed_is_heard() {
    let endpoint = endpoint::load().unwrap();
    let key = Key::new(endpoint.stamp.key.as_bytes()).unwrap();
    let mut lane = Watched::new(SimulatedLane::authenticated(card()), 64);
    let sender = Sender { ssid: 9, ..Sender::to("fd00::1") };
    for sequence in [0, 1, 4] {
        let question = sender.signed(sequence, 1_000 * u64::from(sequence), &key);
        assert!(matches!(lane.lane.ask(&question, Ns(1_000)), Outcome::Reply(_)));
    }
    let before = lane.only();
    assert_eq!(before.counts, Counts { expected: 5, received: 3, ..Counts::default() });
    // What a stranger says of this sender: that it is far ahead, and that it has begun anew.
    let forger = Key::new(b"another key").unwrap();
    for sequence in [900_000, 0] {
        let question = sender.signed(sequence, 1 << 40, &forger);
        let Outcome::Drop(reason) = lane.lane.ask(&question, Ns(1_000)) else { panic!("it was answered") };
        assert_eq!(reason, Some(Reason::StampHmac));
    }
    assert_eq!(lane.only(), before);
}

#[test]
fn a_short_packet_is_heard_where_it_is_answered() {
    for short_packets in [ShortPackets::Drop, ShortPackets::Answer] {
        let mut lane = Watched::new(SimulatedLane::answering(short_packets, card()), 64);
        for (sequence, len) in [(0, 14), (1, 20), (2, 43), (3, 44)] {
            lane.lane
                .ask(&Sender::to("10.0.0.1").stamp(sequence, 1_000 * u64::from(sequence), len), Ns(1_000));
        }
        let received = if short_packets == ShortPackets::Answer { 4 } else { 1 };
        assert_eq!(lane.only().counts, Counts { expected: received, received, ..Counts::default() });
    }
}

#[test]
fn sockperfs_messages_are_heard_whether_they_want_an_answer_or_not() {
    let mut lane = Watched::of(card());
    let sender = Sender::to("fd00::1");
    let (pong, silent) = (sockperf::CLIENT | sockperf::PONG_REQUEST, sockperf::CLIENT);
    for (sequence, flags) in [(1, pong), (2, silent), (3, silent), (5, pong), (5, silent)] {
        lane.lane.ask(&sender.message(sequence, flags), Ns(1_000));
    }
    // What only warms up bears the number of the next one, and what is a server's is none of a stream.
    for flags in [sockperf::CLIENT | sockperf::WARM_UP, sockperf::PONG_REQUEST, 0] {
        lane.lane.ask(&sender.message(9, flags), Ns(1_000));
    }
    let counts = Counts { expected: 5, received: 4, duplicate: 1, ..Counts::default() };
    assert_eq!((lane.only().counts, lane.only().highest), (counts, 5));
    assert_eq!((lane.only().jitter, lane.streams.differences.read().count()), (Jitter::default(), 0));
    assert_eq!(lane.totals(Protocol::Sockperf).counts, counts);
    assert_eq!(lane.totals(Protocol::Stamp), ProtocolTotals::default());
}

#[test]
fn a_flood_of_new_streams_takes_places_and_nothing_from_any_count() {
    const PACKETS: u64 = 20_000;
    let lane = SimulatedLane::new(
        Card::new(RING_SIZE, 0, Faults::default()),
        PartialChecksums::Refuse,
        Summer::fastest(),
    );
    let mut lane = Watched::new(lane, 32);
    let mut random = Random::new(9);
    for _ in 0..PACKETS / 32 {
        for _ in 0..32 {
            let sender = Sender {
                port: 20_000 + u16::try_from(random.below(40_000)).unwrap(),
                ssid: u16::try_from(random.below(65_536)).unwrap(),
                ..Sender::to("10.0.0.1")
            };
            let sequence = u32::try_from(random.below(1 << 31)).unwrap();
            lane.lane.lane.queue_mut().inject(&sender.stamp(sequence, random.next() >> 24, 44));
        }
        lane.lane.turn(Ns(1_000));
        lane.lane.lane.queue_mut().take_sent(|_| {});
    }
    let counters = lane.lane.lane.counters().clone();
    assert_eq!((counters.of(Counter::Rx), counters.sum(Kind::Replied)), (PACKETS, PACKETS));
    assert_eq!(lane.streams.iter().count(), 32);
    let totals = lane.totals(Protocol::Stamp);
    assert_eq!(totals.begun, counters.of(Counter::StreamEvicted) + 32);
    assert_eq!(totals.begun, PACKETS, "no two of the same, as it happens by this seed");
    assert_eq!(
        (totals.counts.received, totals.counts.expected, totals.counts.duplicate),
        (PACKETS, PACKETS, 0)
    );
}

#[test]
fn what_was_dropped_before_it_was_heard_is_lost_to_its_stream() {
    let mut lane = Watched::of(card());
    let [first, mut damaged, last] =
        [0_u32, 1, 2].map(|sequence| Sender::to("10.0.0.1").stamp(sequence, 1_000 * u64::from(sequence), 44));
    *damaged.last_mut().unwrap() ^= 1;
    for question in [first, damaged, last] {
        lane.lane.ask(&question, Ns(1_000));
    }
    assert_eq!(lane.only().counts.lost(), 1);
    assert_eq!(lane.lane.lane.counters().of(Counter::UdpChecksum), 1);
}

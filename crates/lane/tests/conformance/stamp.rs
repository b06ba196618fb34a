//! The two stamps of a STAMP answer: what they say of the time between them is what the lane counts, and they follow
//! the clock that the lane is told.

use std::net::IpAddr;

use route::{LaneSettings, PartialChecksums, ShortPackets};
use telemetry::{Counter, Ns, Reason, Tick, TickRate, WallClock, WallTime};
use testkit::random::Random;
use testkit::vectors::{self, Outcome, Tier};
use testkit::{endpoint, packets};
use wire::checksum::Summer;
use wire::stamp::{Key, ReflectorPacket, ReflectorPacketAuthenticated, Synchronised, Timestamp};

use crate::simulated::{SimulatedLane, Window, card, settings_of};

/// Where the packet begins in an untagged frame over IPv4.
const PACKET: usize = 42;

/// A lane does its seldom work after so many turns.
const TURNS: usize = 4_096;

fn question(id: &str) -> Vec<u8> {
    vectors::load().unwrap().into_iter().find(|vector| vector.rule.id == id).unwrap().question
}

/// Tells a lane that its ticks are nanoseconds from `time` on, and turns until it goes by that.
fn tell<Q: Window>(lane: &mut SimulatedLane<Q>, time: WallTime, error: Ns, is_synchronised: bool) {
    let line = WallClock::new(Tick(0), time, TickRate::NANOSECONDS, error, is_synchronised);
    lane.sender.tell_time(line);
    (0..TURNS).for_each(|_| lane.turn(Ns(0)));
}

fn answer<Q: Window>(lane: &mut SimulatedLane<Q>, question: &[u8], quiet: Ns) -> Vec<u8> {
    match lane.ask(question, quiet) {
        Outcome::Reply(answer) => answer,
        outcome => panic!("{outcome:?}"),
    }
}

/// The unauthenticated answer to the plain question.
fn reflected<Q: Window>(lane: &mut SimulatedLane<Q>, quiet: Ns) -> ReflectorPacket {
    let answer = answer(lane, &question("P1-unauthenticated"), quiet);
    *ReflectorPacket::of(&answer, PACKET).unwrap()
}

fn between(sent: Timestamp, received: Timestamp) -> u64 {
    sent.since(received, wire::stamp::Format::Ntp).unwrap()
}

fn lane() -> SimulatedLane<impl Window> {
    SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest())
}

#[test]
fn the_time_between_the_stamps_is_what_the_lane_counts() {
    let mut lane = lane();
    tell(&mut lane, WallTime(1_795_424_400_000_000_000), Ns(10), true);
    let mut carried = Vec::new();
    for takes in [1, 2, 3, 100, 999, 1_000_003, 200_000_000] {
        lane.clock.take_time(takes);
        let packet = reflected(&mut lane, Ns(1_234_567));
        carried.push(between(packet.timestamp, packet.receive_timestamp));
        assert_eq!(carried.last(), Some(&takes));
    }
    let counted = lane.page.residence.read();
    assert_eq!((counted.count(), counted.sum()), (carried.len() as u64, carried.iter().sum()));
    assert_eq!((counted.min(), counted.max()), (1, 200_000_000));
    assert_eq!(lane.lane.counters().of(Counter::RepliedStamp), counted.count());
}

#[test]
fn an_authenticated_answer_is_counted_alike() {
    let mut lane = SimulatedLane::authenticated(card());
    tell(&mut lane, WallTime(1_795_424_400_000_000_000), Ns(10), true);
    lane.clock.take_time(777);
    let answer = answer(&mut lane, &question("P1-authenticated"), Ns(5));
    let packet = ReflectorPacketAuthenticated::of(&answer, PACKET).unwrap();
    assert_eq!(between(packet.timestamp, packet.receive_timestamp), 777);
    assert_eq!((lane.page.residence.read().count(), lane.page.residence.read().sum()), (1, 777));
}

#[test]
fn nothing_takes_no_time_not_even_by_a_clock_that_stands_still_or_goes_back() {
    let mut lane = lane();
    tell(&mut lane, WallTime(1_795_424_400_000_000_000), Ns(10), true);
    let packet = reflected(&mut lane, Ns(5));
    assert_eq!(between(packet.timestamp, packet.receive_timestamp), 1);
    lane.clock.take_time(u64::MAX);
    let packet = reflected(&mut lane, Ns(5));
    assert_eq!(between(packet.timestamp, packet.receive_timestamp), 1);
    assert_eq!(lane.page.residence.read().min(), 1);
}

#[test]
fn packets_of_one_burst_were_received_together_and_wait_for_each_other() {
    let mut lane = lane();
    let begin = 1_795_424_400_000_000_000;
    tell(&mut lane, WallTime(begin), Ns(10), true);
    for (turn, after) in [(1_u64, 1_000_000), (2, 2_000_000)] {
        lane.clock.take_time(100);
        (0..3).for_each(|_| lane.lane.queue_mut().card().inject(&question("P1-unauthenticated")));
        lane.turn(Ns(1_000_000));
        let mut packets = Vec::new();
        let card = lane.lane.queue_mut().card();
        card.take_sent(|frame| packets.push(*ReflectorPacket::of(frame, PACKET).unwrap()));
        let format = wire::stamp::Format::Ntp;
        let received: Vec<_> =
            packets.iter().map(|packet| packet.receive_timestamp.unix_ns(format)).collect();
        assert_eq!(received, [Some(begin + after + 100); 3], "turn {turn}");
        let took = packets.iter().map(|packet| between(packet.timestamp, packet.receive_timestamp));
        assert_eq!(took.collect::<Vec<_>>(), [100, 200, 300], "turn {turn}");
    }
    assert_eq!((lane.page.residence.read().count(), lane.page.residence.read().sum()), (6, 1_200));
}

#[test]
fn a_packet_was_received_when_it_was_found() {
    let mut lane = lane();
    let begin = 1_795_424_400_000_000_000;
    tell(&mut lane, WallTime(begin), Ns(10), true);
    let packet = reflected(&mut lane, Ns(5_000_000_007));
    assert_eq!(packet.receive_timestamp.unix_ns(packet.error_estimate.format()), Some(begin + 5_000_000_007));
}

#[test]
fn a_clock_that_steps_is_followed_and_its_error_told() {
    let mut lane = lane();
    for (time, error, is_synchronised) in
        [(1_795_424_400_000_000_000, 40_000, true), (1_000_000_000, 16_000_000_000, false)]
    {
        tell(&mut lane, WallTime(time), Ns(error), is_synchronised);
        let packet = reflected(&mut lane, Ns(0));
        let estimate = packet.error_estimate;
        assert_eq!(packet.receive_timestamp.unix_ns(estimate.format()), Some(time));
        assert_eq!(estimate.synchronised() == Synchronised::ToUtc, is_synchronised);
        let told = estimate.error_ns().unwrap();
        assert!(told >= error && told <= error + error / 127 + 1, "{told} for {error}");
    }
}

#[test]
fn the_newest_line_is_taken_and_those_that_found_no_room_are_not_missed() {
    let mut lane = lane();
    let begin = 1_795_424_400_000_000_000;
    for second in 0..10 {
        let line = WallClock::new(Tick(0), WallTime(begin + second), TickRate::NANOSECONDS, Ns(10), true);
        lane.sender.tell_time(line);
    }
    (0..TURNS).for_each(|_| lane.turn(Ns(0)));
    let packet = reflected(&mut lane, Ns(0));
    let second = packet.receive_timestamp.unix_ns(packet.error_estimate.format()).unwrap() - begin;
    assert_eq!(second, 3, "four lines wait, the fourth of them is the newest");
    tell(&mut lane, WallTime(begin + 11), Ns(10), true);
    let packet = reflected(&mut lane, Ns(0));
    assert_eq!(packet.receive_timestamp.unix_ns(packet.error_estimate.format()), Some(begin + 11));
}

/// Sends what a stranger may send, any bytes in any number. Of each length is expected how long the answer's payload is, or
/// why there is none.
fn assert_each_length<Q: Window>(
    mut lane: SimulatedLane<Q>,
    expected: impl Fn(usize) -> Result<usize, Reason>,
) {
    let endpoint = endpoint::load().unwrap();
    let mut random = Random::new(862);
    for ip in ["10.0.0.1", "fd00::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        let kind = packets::Kind::UdpEcho(wire::stamp::PORT);
        for len in 0..=packets::data_size_max(ip, kind) {
            let question = packets::exchange(&endpoint, ip, kind, &random.bytes(len)).question;
            let begin = if ip.is_ipv4() { PACKET } else { PACKET + 20 };
            let found = match lane.ask(&question, Ns(0)) {
                Outcome::Reply(answer) => Ok(answer.len() - begin),
                Outcome::Drop(Some(reason)) => Err(reason),
                outcome => panic!("{len} bytes to {ip}: {outcome:?}"),
            };
            assert_eq!(found, expected(len), "{len} bytes to {ip}");
        }
    }
}

#[test]
fn an_answer_is_as_long_as_its_question_and_what_is_too_short_for_that_gets_none() {
    assert_each_length(lane(), |len| match len {
        0..14 => Err(Reason::StampMalformed),
        14..44 => Err(Reason::StampShort),
        _ => Ok(len),
    });
}

#[test]
fn where_short_packets_are_answered_an_answer_is_no_shorter_than_a_base_packet() {
    let lane = SimulatedLane::answering(ShortPackets::Answer, card());
    assert_each_length(lane, |len| if len < 14 { Err(Reason::StampMalformed) } else { Ok(len.max(44)) });
}

#[test]
fn with_a_key_no_short_packet_is_answered_whatever_is_set() {
    let endpoint = endpoint::load().unwrap();
    for short_packets in [ShortPackets::Drop, ShortPackets::Answer] {
        let settings = LaneSettings {
            stamp_key: Key::new(endpoint.stamp.key.as_bytes()),
            short_packets,
            ..settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest())
        };
        assert_each_length(SimulatedLane::with(card(), settings), |len| {
            Err(if len < 112 { Reason::StampMalformed } else { Reason::StampHmac })
        });
    }
}

//! Each answer is counted as what it is, and what stands beside the law of the counters where it happened and nowhere
//! else. The vectors only see that something was counted as an answer.

use route::PartialChecksums;
use telemetry::{Counter, Kind};
use testkit::vectors::{self, Outcome, QUIET, Tier};
use wire::checksum::Summer;

use crate::simulated::{SimulatedLane, card};

/// What a vector's question adds to the counters of answers and of notes, those of the loop left out.
fn counted(id: &str) -> Vec<Counter> {
    let vector = vectors::load().unwrap().into_iter().find(|vector| vector.rule.id == id).expect(id);
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Accept, Summer::fastest());
    assert!(matches!(lane.ask(&vector.questions().next().unwrap(), QUIET), Outcome::Reply(_)), "{id}");
    let of_interest = |counter: &Counter| {
        matches!(counter.row().kind, Kind::Replied | Kind::Note) && *counter != Counter::Turn
    };
    lane.lane
        .counters()
        .iter()
        .filter(|&(_, count)| count > 0)
        .map(|(counter, _)| counter)
        .filter(of_interest)
        .collect()
}

#[test]
fn each_answer_is_counted_as_what_it_is() {
    for (id, counters) in [
        ("A1-request", &[Counter::RepliedArp][..]),
        ("A4-conflict-gratuitous-request", &[Counter::RepliedArp, Counter::ArpConflict]),
        ("D2-solicitation", &[Counter::RepliedNdp]),
        ("C4-echo", &[Counter::RepliedIcmpv4]),
        ("N5-echo", &[Counter::RepliedIcmpv6]),
        ("U1-echo", &[Counter::RepliedUdp]),
        ("U1-echo-6", &[Counter::RepliedUdp]),
        ("U2-no-checksum", &[Counter::RepliedUdp]),
        ("U2-partial-accepted", &[Counter::RepliedUdp, Counter::UdpChecksumPartial]),
        ("U2-partial-accepted-6", &[Counter::RepliedUdp, Counter::UdpChecksumPartial]),
        ("P1-unauthenticated", &[Counter::RepliedStamp]),
        ("P1-unauthenticated-6", &[Counter::RepliedStamp]),
        ("P1-partial-accepted", &[Counter::RepliedStamp, Counter::UdpChecksumPartial]),
        ("P7-pong", &[Counter::RepliedSockperf]),
        ("P7-pong-6", &[Counter::RepliedSockperf]),
        ("P7-partial-accepted", &[Counter::RepliedSockperf, Counter::UdpChecksumPartial]),
        ("U3-closed-port", &[Counter::RepliedUnreachable]),
        ("U3-closed-port-6", &[Counter::RepliedUnreachable]),
    ] {
        assert_eq!(counted(id), counters, "{id}");
    }
}

#[test]
fn a_turn_that_finds_nothing_is_counted_as_empty_and_no_other_is() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    lane.turn(QUIET);
    lane.lane.queue_mut().inject(&[0; 60]);
    lane.lane.queue_mut().inject(&[0; 60]);
    lane.turn(QUIET);
    lane.turn(QUIET);
    let counters = lane.lane.counters();
    assert_eq!(
        (counters.of(Counter::Rx), counters.of(Counter::Turn), counters.of(Counter::TurnEmpty)),
        (2, 1, 2)
    );
}

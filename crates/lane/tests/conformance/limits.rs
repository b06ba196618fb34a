//! The limits of what strangers can make us send: RFC 1812 4.3.2.8, RFC 4443 2.4 (f).

use std::sync::Arc;

use barelane_lane::{State, Verdict, classify, respond};
use route::{PartialChecksums, ShortPackets};
use telemetry::{Counter, Ns, Reason, Still, Tick};
use testkit::endpoint;
use testkit::vectors::{self, Outcome, QUIET, Tier};
use wire::checksum::Summer;

use crate::simulated::{SimulatedLane, card};
use crate::tables::limited;

const SECOND: u64 = 1_000_000_000;

/// The question of a vector.
pub(crate) fn question(id: &str) -> Vec<u8> {
    vectors::load().unwrap().into_iter().find(|vector| vector.rule.id == id).unwrap().question
}

/// How many of `count` questions, `gap` apart, are answered; the others must have been withheld.
fn answered(lane: &mut impl Tier, questions: &[Vec<u8>], count: u64, gap: Ns) -> u64 {
    let mut answered = 0;
    for question in questions.iter().cycle().take(usize::try_from(count).unwrap()) {
        match lane.ask(question, gap) {
            Outcome::Reply(_) => answered += 1,
            outcome => assert_eq!(outcome, Outcome::Drop(Some(Reason::ErrorWithheld))),
        }
    }
    answered
}

#[test]
fn a_flood_to_closed_ports_gets_a_bounded_number_of_errors_and_the_rest_is_counted() {
    let limit = u64::from(endpoint::load().unwrap().errors_per_second);
    let closed = ["U3-closed-port", "U3-closed-port-6"].map(question);
    for questions in [&closed[..1], &closed[1..], &closed[..]] {
        let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
        lane.ask(&question("A1-request"), QUIET);
        let at_once = answered(&mut lane, questions, 10_000, Ns(0));
        assert!((1..=limit).contains(&at_once), "{at_once} of at most {limit} at once");
        assert_eq!(lane.lane.counters().of(Counter::ErrorWithheld), 10_000 - at_once);
        let in_ten_seconds = answered(&mut lane, questions, 100_000, Ns(SECOND / 10_000));
        assert!((9 * limit..=10 * limit).contains(&in_ten_seconds), "{in_ten_seconds} in 10 s");
    }
}

#[test]
fn a_flood_to_closed_ports_does_not_touch_the_answers_of_open_ones() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let (closed, open) = (question("U3-closed-port"), question("U1-echo"));
    for _ in 0..1_000 {
        lane.ask(&closed, Ns(1_000));
        assert!(matches!(lane.ask(&open, Ns(1_000)), Outcome::Reply(_)));
    }
}

#[test]
fn what_may_not_cause_an_error_uses_up_none() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let mut wrong = question("U3-closed-port");
    wrong[45] ^= 1;
    lane.ask(&question("A1-request"), QUIET);
    for _ in 0..1_000 {
        assert_eq!(lane.ask(&wrong, Ns(0)), Outcome::Drop(Some(Reason::UdpChecksum)));
    }
    assert!(matches!(lane.ask(&question("U3-closed-port"), Ns(0)), Outcome::Reply(_)));
}

#[test]
fn new_tables_bring_their_own_limit() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let closed = question("U3-closed-port");
    assert!(matches!(lane.ask(&closed, QUIET), Outcome::Reply(_)));
    assert!(lane.limit_errors(0) <= 1 << 12, "housekeeping comes every 2^12 turns");
    assert_eq!(lane.lane.counters().of(Counter::TablesTaken), 1);
    assert_eq!(lane.ask(&closed, QUIET), Outcome::Drop(Some(Reason::ErrorWithheld)));
    lane.limit_errors(1);
    assert!(matches!(lane.ask(&closed, QUIET), Outcome::Reply(_)));
}

#[test]
fn our_own_announcement_come_back_is_no_conflict() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let own = endpoint::load().unwrap().mac;
    let mut announcement = question("A4-conflict-gratuitous-request");
    announcement[6..12].copy_from_slice(&own);
    announcement[22..28].copy_from_slice(&own);
    let mut to_another = announcement.clone();
    to_another[41] = 77;
    for frame in [announcement, to_another] {
        let outcome = lane.ask(&frame, QUIET);
        assert!(!matches!(outcome, Outcome::Reply(_)), "{outcome:?}");
    }
    assert_eq!(lane.lane.counters().of(Counter::ArpConflict), 0);
}

/// RFC 2464 section 7: groups of IPv6 have 33-33 in front, and a host listens to no others for it.
#[test]
fn a_solicitation_in_a_frame_to_a_group_of_another_protocol_is_not_answered() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let mut solicitation = question("D2-solicitation");
    assert!(matches!(lane.ask(&solicitation, QUIET), Outcome::Reply(_)));
    for start in [[0x33, 0x32], [0x33, 0x00], [0x01, 0x33], [0xff, 0xff]] {
        solicitation[..2].copy_from_slice(&start);
        assert_eq!(
            lane.ask(&solicitation, QUIET),
            Outcome::Drop(Some(Reason::EthernetNotOurs)),
            "{start:02x?}"
        );
    }
}

#[test]
fn an_answer_that_the_room_is_too_short_for_is_not_given_and_nothing_is_written() {
    let mut tables = limited(10);
    tables.short_packets = ShortPackets::Answer;
    for id in ["U3-closed-port", "U3-closed-port-6", "D3-probe", "P1-14-bytes", "P1-14-bytes-6"] {
        let question = question(id);
        let headers = wire::parse(&question).unwrap();
        let class = classify(headers, &question, &tables).unwrap();
        let mut state = State::new(&tables, Still::default(), Arc::default());
        let mut room = question.clone();
        let verdict = respond(class, headers, &mut room, &tables, &mut state, Tick(0));
        assert_eq!((verdict, room), (Verdict::Drop(Reason::TailroomMissing), question), "{id}");
    }
}

/// A switch that sends a frame back to where it came from is no other host.
#[test]
fn an_arp_packet_from_our_own_station_is_no_conflict() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let mut conflict = question("A4-conflict-request-to-another");
    assert!(matches!(lane.ask(&conflict, QUIET), Outcome::Reply(_)));
    conflict[6..12].copy_from_slice(&endpoint::load().unwrap().mac);
    assert!(matches!(lane.ask(&conflict, QUIET), Outcome::Pass(..)));
    assert_eq!(lane.lane.counters().of(Counter::ArpConflict), 1, "the first one only");
}

//! A lane that sends frames to itself: what leaves, that it is counted beside the law of the counters, and that no frame is lost by it.

use nic::Queue;
use nic::sim::{Card, Faults};
use route::PartialChecksums;
use telemetry::{Counter, Kind, Ns};
use testkit::endpoint;
use testkit::packets::{Exchange, Packets};
use testkit::vectors::{Outcome, Tier};
use wire::checksum::Summer;

use crate::simulated::{SimulatedLane, card};

fn lane(card: Card) -> SimulatedLane<Card> {
    SimulatedLane::new(card, PartialChecksums::Refuse, Summer::fastest())
}

#[test]
fn what_leaves_is_a_reply_of_the_loopback_protocol_to_oneself_and_no_answer() {
    let mut lane = lane(card());
    lane.keep_warm();
    let mut sent = Vec::new();
    lane.lane.queue_mut().take_sent(|frame| sent.push(frame.to_vec()));
    let mac = endpoint::load().unwrap().mac;
    let mut wanted = [&mac[..], &mac, &[0x90, 0, 0, 0, 1, 0]].concat();
    wanted.resize(60, 0);
    assert_eq!(sent, [wanted]);
    let counters = lane.lane.counters();
    assert_eq!(
        (counters.of(Counter::Warmed), counters.of(Counter::Rx), counters.sum(Kind::Replied)),
        (1, 0, 0)
    );
}

#[test]
fn one_that_a_wire_brings_back_is_not_answered() {
    let mut lane = lane(card());
    lane.keep_warm();
    let mut sent = Vec::new();
    lane.lane.queue_mut().take_sent(|frame| sent.push(frame.to_vec()));
    let outcome = lane.ask(&sent[0], Ns(0));
    assert!(!matches!(outcome, Outcome::Reply(_)), "{outcome:?}");
}

#[test]
fn where_no_frame_is_free_or_the_transmit_ring_is_full_nothing_is_sent_and_nothing_lost() {
    let mut starved = lane(card());
    let held: Vec<_> = std::iter::from_fn(|| starved.lane.queue_mut().free_frame()).collect();
    starved.lane.keep_warm();
    for frame in held {
        starved.lane.queue_mut().release(frame);
    }
    let mut full = lane(Card::new(1, 0, Faults::default()));
    let mut frame = full.lane.queue_mut().free_frame().unwrap();
    frame.set_len(60);
    full.lane.queue_mut().tx(frame).unwrap();
    full.keep_warm();
    for mut lane in [starved, full] {
        let counters = lane.lane.counters();
        assert_eq!((counters.of(Counter::Warmed), counters.of(Counter::TxRingFull)), (0, 0));
        lane.lane.queue_mut().take_sent(|_| ());
        let Exchange { question, answer } = Packets::new(&endpoint::load().unwrap(), 1).valid();
        assert_eq!(lane.ask(&question, Ns(0)), Outcome::Reply(answer));
    }
}

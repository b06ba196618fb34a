//! Wires that lose, repeat, reorder, damage and cut, and peers that are slow: whatever they do, every frame has one
//! fate after every turn, and what is answered is right.

use std::collections::HashSet;
use std::env;
use std::ops::Range;

use nic::sim::{Card, Faults};
use route::PartialChecksums;
use telemetry::{Counter, Kind, Ns};
use testkit::endpoint::{self, Endpoint};
use testkit::packets::{Exchange, Packets};
use wire::checksum::Summer;

use crate::simulated::SimulatedLane;

const RING_SIZE: usize = 32;
const TURNS: u64 = 500;

/// Everything that does not change a frame.
const MISPLACED: Faults = Faults {
    loss_ppm: 50_000,
    duplication_ppm: 50_000,
    reordering_ppm: 100_000,
    corruption_ppm: 0,
    truncation_ppm: 0,
    slow_peer_ppm: 200_000,
};

/// All of that, and frames that change on their way.
pub(crate) const DAMAGED: Faults = Faults { corruption_ppm: 200_000, truncation_ppm: 100_000, ..MISPLACED };

/// Sends bursts over a wire with faults and gives every turn's answers to `check`.
fn simulate(seed: u64, faults: Faults, mut send: impl FnMut(&mut Card, usize), mut check: impl FnMut(&[u8])) {
    let card = Card::new(RING_SIZE, seed, faults);
    let mut lane = SimulatedLane::new(card, PartialChecksums::Refuse, Summer::fastest());
    let mut sent = 0;
    for turn in 0..TURNS {
        // From nothing to more than the ring holds.
        send(lane.lane.queue_mut(), usize::try_from(turn).unwrap() % (RING_SIZE + 8));
        lane.turn(Ns(1_000));
        sent += lane.lane.queue_mut().take_sent(&mut check);
        lane.lane.queue_mut().take_passed(|_| {});
    }
    let (counters, seen) = (lane.lane.counters(), lane.lane.queue().impairments());
    assert_eq!(counters.of(Counter::Rx), seen.delivered, "seed {seed}");
    let waiting = counters.sum(Kind::Replied) - sent as u64;
    assert!(waiting <= RING_SIZE as u64, "seed {seed}: {waiting} answers neither sent nor queued");
}

/// The seeds of this run: eight, or those of `BARELANE_SEEDS=FIRST..END`, as `cargo xtask soak` asks for thousands.
pub(crate) fn seeds() -> Range<u64> {
    let Ok(wanted) = env::var("BARELANE_SEEDS") else { return 0..8 };
    let (first, end) = wanted.split_once("..").expect("BARELANE_SEEDS=FIRST..END");
    first.parse().unwrap()..end.parse().unwrap()
}

/// So many questions and answers of one seed.
fn exchanges(endpoint: &Endpoint, seed: u64) -> Vec<Exchange> {
    let mut packets = Packets::new(endpoint, seed);
    (0..1_000).map(|_| packets.valid()).collect()
}

#[test]
fn whatever_a_wire_misplaces_no_answer_is_wrong() {
    let endpoint = endpoint::load().unwrap();
    for seed in seeds() {
        let exchanges = exchanges(&endpoint, seed);
        let answers: HashSet<&[u8]> = exchanges.iter().map(|exchange| &exchange.answer[..]).collect();
        let mut questions = exchanges.iter().map(|exchange| &exchange.question).cycle();
        let send =
            |card: &mut Card, count| questions.by_ref().take(count).for_each(|frame| card.inject(frame));
        simulate(seed, MISPLACED, send, |answer| {
            assert!(answers.contains(answer), "seed {seed}: {answer:02x?}");
        });
    }
}

#[test]
fn whatever_a_wire_damages_no_frame_is_lost_or_counted_twice() {
    let endpoint = endpoint::load().unwrap();
    for seed in seeds() {
        let mut packets = Packets::new(&endpoint, seed);
        let send = |card: &mut Card, count| (0..count).for_each(|_| card.inject(&packets.damaged()));
        simulate(seed, DAMAGED, send, |_| {});
    }
}

#[test]
fn a_slow_peer_costs_answers_and_each_is_counted() {
    let endpoint = endpoint::load().unwrap();
    let exchanges = exchanges(&endpoint, 1);
    let faults = Faults { slow_peer_ppm: 1_000_000, ..Faults::default() };
    let mut lane = SimulatedLane::new(Card::new(4, 1, faults), PartialChecksums::Refuse, Summer::fastest());
    let mut sent = 0;
    for burst in exchanges.chunks(4) {
        for exchange in burst {
            lane.lane.queue_mut().inject(&exchange.question);
        }
        lane.turn(Ns(1_000));
        sent += lane.lane.queue_mut().take_sent(|_| {});
    }
    // One leaves a turn; the ring of four fills up at first.
    assert_eq!(sent, exchanges.len() / 4);
    let counters = lane.lane.counters();
    assert_eq!(counters.sum(Kind::Replied), sent as u64 + 3);
    assert_eq!(counters.of(Counter::TxRingFull), 1_000 - sent as u64 - 3);
}

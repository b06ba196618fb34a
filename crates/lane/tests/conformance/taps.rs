//! A lane while somebody captures: it does what it does without, and both directions are recorded byte for byte, or counted as
//! dropped.

use std::collections::HashMap;

use barelane_lane::TapSender;
use barelane_lane::filter::{Expression, Filter, Test};
use barelane_lane::tap::{
    self, EXCHANGE_SIZE_MAX, ExchangeHead, Exchanges, SNAPLEN_MAX, SNAPLEN_MIN, TapCounts, TapSettings,
};
use nic::sim::{Card, Faults};
use route::PartialChecksums;
use telemetry::{Counter, Counters, Kind, Ns, Reason};
use testkit::endpoint;
use testkit::packets::Packets;
use testkit::vectors::{self, Outcome, Tier, Vector};
use wire::checksum::Summer;

use crate::faults::{DAMAGED, seeds};
use crate::simulated::{Alone, SimulatedLane, Window, card};

/// Turns between two housekeepings, and one more.
const TURNS: usize = (1 << 12) + 1;

/// A lane with a tap, and what comes out of that.
struct TappedLane<Q: Window> {
    inner: SimulatedLane<Q>,
    taps: TapSender,
    exchanges: Exchanges,
}

fn everything() -> TapSettings {
    let filter = Filter::new(&Expression::Anything).unwrap();
    TapSettings { filter, sample: 1, snaplen: SNAPLEN_MAX, lane: 3 }
}

impl<Q: Window> TappedLane<Q> {
    fn new(queue: Q, settings: TapSettings) -> Self {
        let mut inner = SimulatedLane::new(queue, PartialChecksums::Refuse, Summer::fastest());
        let mut taps = inner.sender.take_taps().unwrap();
        let (tap, exchanges) = tap::tap(settings);
        taps.send(Some(Box::new(tap))).unwrap();
        (0..TURNS).for_each(|_| inner.turn(Ns(0)));
        assert!(matches!(taps.collect(), Some(None)), "the lane had none before");
        Self { inner, taps, exchanges }
    }

    /// The next exchange, taken apart.
    fn exchange(&mut self) -> Option<(ExchangeHead, Vec<u8>, Vec<u8>)> {
        let mut exchange = Vec::new();
        if !self.exchanges.take(&mut exchange, EXCHANGE_SIZE_MAX) {
            return None;
        }
        let (head, question, answer) = ExchangeHead::read(&exchange).unwrap();
        Some((head, question.to_vec(), answer.to_vec()))
    }

    /// Takes the tap away, and gives what it has counted.
    fn counts(&mut self) -> TapCounts {
        self.taps.send(None).unwrap();
        (0..TURNS).for_each(|_| self.inner.turn(Ns(0)));
        self.taps.collect().unwrap().unwrap().counts()
    }
}

impl<Q: Window> Tier for TappedLane<Q> {
    /// Asks, and demands that the exchange says what happened.
    fn ask(&mut self, question: &[u8], quiet: Ns) -> Outcome {
        let outcome = self.inner.ask(question, quiet);
        let (head, asked, answered) = self.exchange().unwrap();
        assert_eq!(asked, question);
        assert_eq!(head.lane, 3);
        let fate = Counter::ALL[usize::from(head.fate)];
        match &outcome {
            Outcome::Reply(answer) => {
                assert_eq!((fate.row().kind, &answered), (Kind::Replied, answer));
                assert!(head.answered_ns >= head.asked_ns && head.responder != ExchangeHead::NOTHING);
            }
            Outcome::Pass(..) => {
                assert_eq!((fate, answered.len()), (Counter::Passed, 0));
                assert_eq!(Counter::ALL[usize::from(head.reason)].row().kind, Kind::Dropped);
            }
            Outcome::Drop(reason) => {
                assert_eq!((Some(fate), answered.len()), (reason.map(Reason::counter), 0));
            }
            Outcome::Silence | Outcome::Nonsense(_) => panic!("{outcome:?}"),
        }
        assert!(self.exchange().is_none());
        outcome
    }

    fn can_pass(&self) -> bool {
        self.inner.can_pass()
    }
}

/// Puts every vector to a tapped lane. Gives how many questions that were.
fn ask_all(queue: impl Window) -> u64 {
    let all = vectors::load().unwrap();
    let wanted: Vec<&Vector> =
        all.iter().filter(|vector| vector.settings == vectors::Settings::default()).collect();
    let mut lane = TappedLane::new(queue, everything());
    let asked = vectors::run(wanted, &mut lane).unwrap_or_else(|failures| panic!("{failures}")).questions;
    let asked = u64::try_from(asked).unwrap();
    let TapCounts { seen, matched, chosen, dropped } = lane.counts();
    assert!(seen >= asked && (matched, chosen, dropped) == (seen, seen, 0), "{seen} of {asked}");
    asked
}

#[test]
fn every_vector_holds_while_somebody_captures_and_its_record_says_what_became_of_it() {
    assert!(ask_all(card()) > 10_000 && ask_all(Alone(card())) > 10_000);
}

/// What the wire does not bring is not recorded, and what a full transmit ring refuses is no answer.
#[test]
fn over_wires_with_faults_the_records_count_what_the_lane_counts() {
    let endpoint = endpoint::load().unwrap();
    for seed in seeds() {
        let faults = Faults { slow_peer_ppm: 900_000, ..DAMAGED };
        let mut lane = TappedLane::new(Card::new(32, seed, faults), everything());
        let mut packets = Packets::new(&endpoint, seed);
        let (mut fates, mut sent, mut answers) = (HashMap::<u8, u64>::new(), Vec::new(), Vec::new());
        for turn in 0..500_usize {
            for _ in 0..turn % 40 {
                let question = if turn % 2 == 0 { packets.valid().question } else { packets.damaged() };
                lane.inner.lane.queue_mut().inject(&question);
            }
            lane.inner.turn(Ns(1_000));
            lane.inner.lane.queue_mut().take_sent(|answer| sent.push(answer.to_vec()));
            lane.inner.lane.queue_mut().take_passed(|_| {});
            while let Some((head, _, answer)) = lane.exchange() {
                *fates.entry(head.fate).or_default() += 1;
                answers.extend((!answer.is_empty()).then_some(answer));
            }
        }
        let counters = lane.inner.lane.counters().clone();
        assert_eq!(fates_of(&counters), fates, "seed {seed}");
        assert!(counters.of(Counter::TxRingFull) > 0, "seed {seed}");
        // What is still in the transmit ring was recorded before it leaves.
        assert_eq!(answers[..sent.len()], sent, "seed {seed}");
        let counts = lane.counts();
        let rx = counters.of(Counter::Rx);
        assert_eq!((counts.seen, counts.chosen, counts.dropped), (rx, rx, 0), "seed {seed}");
    }
}

/// How often each fate was counted.
fn fates_of(counters: &Counters) -> HashMap<u8, u64> {
    let is_fate = |counter: Counter| !matches!(counter.row().kind, Kind::Received | Kind::Note);
    let counted = counters.iter().filter(|&(counter, count)| is_fate(counter) && count > 0);
    counted.map(|(counter, count)| (counter as u8, count)).collect()
}

#[test]
fn a_ring_that_nobody_reads_costs_records_and_no_answer_and_each_is_counted() {
    let endpoint = endpoint::load().unwrap();
    let mut packets = Packets::new(&endpoint, 1);
    let mut lane = TappedLane::new(card(), everything());
    let mut asked = Vec::new();
    for _ in 0..30_000 {
        let exchange = packets.valid();
        lane.inner.lane.queue_mut().inject(&exchange.question);
        lane.inner.turn(Ns(1_000));
        lane.inner.lane.queue_mut().take_sent(|answer| assert_eq!(answer, exchange.answer));
        asked.push(exchange);
    }
    assert_eq!(lane.inner.lane.counters().sum(Kind::Replied), 30_000);
    let counts = lane.counts();
    let mut recorded = 0;
    let mut expected = asked.iter();
    while let Some((_, question, answer)) = lane.exchange() {
        // Those that were recorded are some of those that were asked, in their order.
        assert!(expected.any(|exchange| exchange.question == question && exchange.answer == answer));
        recorded += 1;
    }
    assert_eq!((counts.chosen, recorded + counts.dropped), (30_000, 30_000));
    assert!(counts.dropped > 0 && recorded > 1_000, "{counts:?}");
}

#[test]
fn a_filter_takes_an_answer_with_its_question_and_sampling_takes_one_in_so_many() {
    let endpoint = endpoint::load().unwrap();
    let mut packets = Packets::new(&endpoint, 2);
    let filter = Filter::new(&Expression::Is(Test::Protocol(17))).unwrap();
    let mut lane = TappedLane::new(card(), TapSettings { filter, sample: 3, ..everything() });
    let mut of_udp = Vec::new();
    for _ in 0..2_000 {
        let exchange = packets.valid();
        lane.inner.lane.queue_mut().inject(&exchange.question);
        lane.inner.turn(Ns(1_000));
        lane.inner.lane.queue_mut().take_sent(|_| {});
        let is_ipv4 = exchange.question[12] == 8 && exchange.question[13] == 0;
        let protocol = exchange.question[if is_ipv4 { 23 } else { 20 }];
        of_udp.extend((exchange.question[13] != 6 && protocol == 17).then_some(exchange));
    }
    for exchange in of_udp.iter().step_by(3) {
        let (_, question, answer) = lane.exchange().unwrap();
        assert_eq!((&question, &answer), (&exchange.question, &exchange.answer));
    }
    assert!(lane.exchange().is_none() && of_udp.len() > 100);
    let matched = u64::try_from(of_udp.len()).unwrap();
    let counts = TapCounts { seen: 2_000, matched, chosen: matched.div_ceil(3), dropped: 0 };
    assert_eq!(lane.counts(), counts);
}

#[test]
fn no_more_than_the_snaplen_is_kept_and_the_lengths_are_those_of_the_wire() {
    let endpoint = endpoint::load().unwrap();
    let mut packets = Packets::new(&endpoint, 3);
    let mut lane = TappedLane::new(card(), TapSettings { snaplen: SNAPLEN_MIN, ..everything() });
    for _ in 0..500 {
        let exchange = packets.valid();
        lane.inner.lane.queue_mut().inject(&exchange.question);
        lane.inner.turn(Ns(1_000));
        lane.inner.lane.queue_mut().take_sent(|_| {});
        let (head, question, answer) = lane.exchange().unwrap();
        let kept = |whole: &[u8]| whole[..whole.len().min(SNAPLEN_MIN)].to_vec();
        assert_eq!((question, answer), (kept(&exchange.question), kept(&exchange.answer)));
        let lens = [exchange.question.len(), exchange.answer.len()];
        assert_eq!([head.question.sent, head.answer.sent].map(|len| len as usize), lens);
    }
}

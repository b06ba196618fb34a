//! More is asked than a lane carries, by simulated time and from a seed: what is answered is answered in time, as much as can
//! be, and every frame has one fate. Without a limit it is not so.

use std::sync::Arc;

use barelane_lane::filter::{Expression, Filter};
use barelane_lane::tap::{self, EXCHANGE_SIZE_MAX, ExchangeHead, SNAPLEN_MAX, TapSettings};
use barelane_lane::{Lane, mailbox};
use nic::sim::{Card, Faults, Stamped};
use nic::{Arrival, Burst, Frame, Queue};
use route::PartialChecksums;
use telemetry::{ArrivalClock, Counter, Counters, Histogram, Kind, Ns, Page, Reason, Tick, TickRate};
use testkit::allocations::{self, Allocations};
use testkit::clock::SimulatedClock;
use testkit::conservation::Conservation;
use testkit::endpoint;
use testkit::packets::{Exchange, Packets};
use testkit::random::Random;
use wire::checksum::Summer;

use crate::faults::seeds;
use crate::simulated::{settings_of, table_of};

/// What an answer takes of the lane, what a drop takes, and a turn by itself.
const ANSWER_NS: u64 = 1_000;
const DROP_NS: u64 = 10;
const TURN_NS: u64 = 50;
/// How much longer `CLOCK_MONOTONIC` has gone than the lane's clock.
const STAMPS_AHEAD_NS: u64 = 5_000_000_000;
const LIMIT: Ns = Ns(30_000);
const RING_SIZE: usize = 1_024;
const LENGTH_NS: u64 = 10_000_000;

/// A card that remembers how old the oldest frame was that it was given to send: looked at beside the lane.
struct Watched {
    card: Stamped,
    now: Tick,
    oldest_sent: u64,
}

impl Queue for Watched {
    const HAS_ARRIVALS: bool = true;

    fn rx(&mut self) -> Burst {
        self.card.rx()
    }

    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        self.card.next(burst)
    }

    fn arrival(&mut self, frame: &Frame) -> Option<Arrival> {
        self.card.arrival(frame)
    }

    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.card.room_mut(frame)
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        if let Some(Arrival(stamp)) = self.card.0.arrival_of(&frame) {
            self.oldest_sent = self.oldest_sent.max((self.now.0 + STAMPS_AHEAD_NS).saturating_sub(stamp));
        }
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
    }
}

/// What came of a run.
struct Run {
    counters: Counters,
    page: Arc<Page>,
    oldest_sent: u64,
    delivered: u64,
}

impl Run {
    /// Answers, in parts of what the lane could have given in that time.
    fn goodput(&self) -> f64 {
        let answered = u32::try_from(self.counters.sum(Kind::Replied)).unwrap();
        let most = u32::try_from(LENGTH_NS / ANSWER_NS).unwrap();
        f64::from(answered) / f64::from(most)
    }

    fn resided(&self) -> Histogram {
        self.page.arrival_residence.read()
    }

    fn shed(&self) -> u64 {
        self.counters.of(Counter::AnswerTooOld)
    }
}

/// A lane that is asked by the clock: `percent` of what it carries.
fn run(seed: u64, percent: u64, limit: Option<Ns>, faults: Faults) -> Run {
    let endpoint = endpoint::load().unwrap();
    let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
    let (mut sender, mailbox) = mailbox();
    sender.tell_arrival_clock(ArrivalClock::new(Tick(0), STAMPS_AHEAD_NS, TickRate::NANOSECONDS));
    let (page, clock) = (Arc::new(Page::default()), SimulatedClock::default());
    let card = Card::new(RING_SIZE, seed, faults);
    let queue = Watched { card: Stamped(card), now: Tick(0), oldest_sent: 0 };
    let tables = Box::new(table_of(&endpoint).compile(&settings));
    let mut lane = Lane::new(queue, tables, clock.clone(), page.clone(), mailbox).with_age_limit(limit);
    let exchanges: Vec<Exchange> = {
        let mut packets = Packets::new(&endpoint, seed);
        (0..1_000).map(|_| packets.valid()).collect()
    };
    let mut questions = exchanges.iter().cycle();
    let (mut random, mut watch) = (Random::new(seed), Conservation::default());
    let gap_max = 2 * usize::try_from(ANSWER_NS * 100 / percent).unwrap();
    let (mut now, mut due) = (0, 0);
    while now < LENGTH_NS {
        let card = &mut lane.queue_mut().card.0;
        while due <= now {
            card.set_time(Some(Arrival(due + STAMPS_AHEAD_NS)));
            card.inject(&questions.next().unwrap().question);
            due += random.below(gap_max + 1) as u64;
        }
        let before = lane.counters().clone();
        lane.queue_mut().now = Tick(now);
        clock.set(Tick(now));
        let (taken, asked) = allocations::of(|| lane.turn(Tick(now)));
        assert_eq!(asked, Allocations::default(), "a lane allocates nothing after its start");
        let card = &mut lane.queue_mut().card.0;
        card.take_sent(|_| {});
        card.take_passed(|_| {});
        card.accounted().unwrap_or_else(|why| panic!("BARELANE_SEEDS={seed}..{}: {why}", seed + 1));
        watch
            .check(lane.counters())
            .unwrap_or_else(|why| panic!("BARELANE_SEEDS={seed}..{}: {why}", seed + 1));
        let answered = lane.counters().sum(Kind::Replied) - before.sum(Kind::Replied);
        now += TURN_NS + answered * ANSWER_NS + (taken as u64 - answered) * DROP_NS;
    }
    let counters = lane.counters().clone();
    let delivered = lane.queue().card.0.impairments().delivered - lane.queue().card.0.waiting() as u64;
    Run { counters, page, oldest_sent: lane.queue().oldest_sent, delivered }
}

/// What becomes of all frames together; the law of conservation is looked at after every turn as well.
fn assert_each_has_one_fate(run: &Run) {
    assert_eq!(run.counters.of(Counter::Rx), run.delivered);
    let dropped: u64 = Reason::ALL.iter().map(|reason| run.counters.of(reason.counter())).sum();
    let passed = run.counters.sum(Kind::Passed);
    assert_eq!(run.delivered, run.counters.sum(Kind::Replied) + passed + dropped);
}

#[test]
fn under_twice_its_load_a_lane_answers_in_time_and_as_much_as_it_can() {
    for seed in seeds() {
        let repeat = format!("BARELANE_SEEDS={seed}..{}", seed + 1);
        let light = run(seed, 80, Some(LIMIT), Faults::default());
        let heavy = run(seed, 200, Some(LIMIT), Faults::default());
        assert_each_has_one_fate(&light);
        assert_each_has_one_fate(&heavy);
        assert!(heavy.oldest_sent <= LIMIT.0, "{} ns old: {repeat}", heavy.oldest_sent);
        assert!(heavy.goodput() > 0.95, "{:.3}: {repeat}", heavy.goodput());
        assert!(heavy.shed() > heavy.delivered / 3, "{} of {}: {repeat}", heavy.shed(), heavy.delivered);
        assert_eq!(heavy.page.queueing.read().count(), heavy.delivered, "{repeat}");
        // At most the limit, and the turn that what came within the limit takes: at twice the load as long again, twice.
        let longest = heavy.resided().max();
        assert!(longest <= 4 * LIMIT.0, "{longest} ns: {repeat}");
        assert!(light.shed() < light.delivered / 100, "{} of {}: {repeat}", light.shed(), light.delivered);
    }
}

#[test]
fn without_a_limit_everybody_waits_for_the_whole_ring() {
    for seed in seeds() {
        let run = run(seed, 200, None, Faults::default());
        assert_each_has_one_fate(&run);
        let (resided, ring_ns) = (run.resided(), RING_SIZE as u64 * ANSWER_NS);
        assert!(
            resided.percentile(50.0) > ring_ns * 9 / 10,
            "{resided:?}: BARELANE_SEEDS={seed}..{}",
            seed + 1
        );
        assert_eq!((run.shed(), run.counters.of(Counter::ArrivalUnknown)), (0, 0));
    }
}

#[test]
fn whatever_the_wire_does_nothing_too_old_is_answered_and_no_frame_is_lost() {
    let faults = Faults {
        loss_ppm: 50_000,
        duplication_ppm: 50_000,
        reordering_ppm: 100_000,
        corruption_ppm: 100_000,
        truncation_ppm: 50_000,
        slow_peer_ppm: 10_000,
    };
    for seed in seeds() {
        let run = run(seed, 150, Some(LIMIT), faults);
        assert_each_has_one_fate(&run);
        assert!(
            run.oldest_sent <= LIMIT.0,
            "{} ns old: BARELANE_SEEDS={seed}..{}",
            run.oldest_sent,
            seed + 1
        );
        assert!(run.shed() > 0 && run.counters.sum(Kind::Replied) > 0);
    }
}

#[test]
fn a_frame_without_a_stamp_is_answered_and_counted() {
    let endpoint = endpoint::load().unwrap();
    let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
    let (mut sender, mailbox) = mailbox();
    sender.tell_arrival_clock(ArrivalClock::new(Tick(0), STAMPS_AHEAD_NS, TickRate::NANOSECONDS));
    let (page, tables) = (Arc::new(Page::default()), Box::new(table_of(&endpoint).compile(&settings)));
    let queue = Stamped(Card::new(4, 0, Faults::default()));
    let clock = SimulatedClock::default();
    clock.set(Tick(1_000_000));
    let mut lane = Lane::new(queue, tables, clock, page.clone(), mailbox).with_age_limit(Some(LIMIT));
    let question = Packets::new(&endpoint, 0).valid().question;
    for (stamp, is_answered) in
        [(None, 1), (Some(STAMPS_AHEAD_NS), 0), (Some(STAMPS_AHEAD_NS + 1_000_000), 1)]
    {
        let before = lane.counters().sum(Kind::Replied);
        lane.queue_mut().0.set_time(stamp.map(Arrival));
        lane.queue_mut().0.inject(&question);
        lane.turn(Tick(1_000_000));
        assert_eq!(lane.counters().sum(Kind::Replied) - before, is_answered, "{stamp:?}");
    }
    let counters = lane.counters();
    assert_eq!((counters.of(Counter::ArrivalUnknown), counters.of(Counter::AnswerTooOld)), (1, 1));
    assert_eq!(page.queueing.read().count(), 2);
}

#[test]
fn a_lane_whose_core_is_taken_away_before_it_looks_knows_how_old_is_what_it_finds() {
    let endpoint = endpoint::load().unwrap();
    let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
    let (mut sender, mailbox) = mailbox();
    sender.tell_arrival_clock(ArrivalClock::new(Tick(0), STAMPS_AHEAD_NS, TickRate::NANOSECONDS));
    let (page, tables) = (Arc::new(Page::default()), Box::new(table_of(&endpoint).compile(&settings)));
    let (queue, clock) = (Stamped(Card::new(4, 0, Faults::default())), SimulatedClock::default());
    let mut lane = Lane::new(queue, tables, clock.clone(), page, mailbox).with_age_limit(Some(LIMIT));
    lane.queue_mut().0.set_time(Some(Arrival(STAMPS_AHEAD_NS + 2_000)));
    lane.queue_mut().0.inject(&Packets::new(&endpoint, 0).valid().question);
    // The turn was given its instant before the frame came; the clock has gone on by far when the ring is looked into.
    clock.set(Tick(1_000_000));
    lane.turn(Tick(1_000));
    assert_eq!((lane.counters().of(Counter::AnswerTooOld), lane.counters().sum(Kind::Replied)), (1, 0));
}

#[test]
fn what_is_too_old_is_captured_as_that() {
    let endpoint = endpoint::load().unwrap();
    let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
    let (mut sender, mailbox) = mailbox();
    sender.tell_arrival_clock(ArrivalClock::new(Tick(0), STAMPS_AHEAD_NS, TickRate::NANOSECONDS));
    let mut taps = sender.take_taps().unwrap();
    let filter = Filter::new(&Expression::Anything).unwrap();
    let (tap, mut exchanges) = tap::tap(TapSettings { filter, sample: 1, snaplen: SNAPLEN_MAX, lane: 0 });
    taps.send(Some(Box::new(tap))).unwrap();
    let clock = SimulatedClock::default();
    let tables = Box::new(table_of(&endpoint).compile(&settings));
    let queue = Stamped(Card::new(RING_SIZE, 1, Faults::default()));
    let page = Arc::new(Page::default());
    let mut lane = Lane::new(queue, tables, clock.clone(), page, mailbox).with_age_limit(Some(LIMIT));
    while taps.collect().is_none() {
        lane.turn(Tick(0));
    }
    let exchange = Packets::new(&endpoint, 1).valid();
    for came in [0, LIMIT.0] {
        lane.queue_mut().0.set_time(Some(Arrival(STAMPS_AHEAD_NS + came)));
        lane.queue_mut().0.inject(&exchange.question);
    }
    clock.set(Tick(LIMIT.0 + 1));
    assert_eq!(lane.turn(Tick(LIMIT.0 + 1)), 2);
    let fates = [(); 2].map(|()| {
        let mut bytes = Vec::new();
        assert!(exchanges.take(&mut bytes, EXCHANGE_SIZE_MAX));
        let (head, question, answer) = ExchangeHead::read(&bytes).unwrap();
        assert_eq!(question, exchange.question);
        (Counter::ALL[usize::from(head.fate)], answer.is_empty())
    });
    assert_eq!(fates[0], (Counter::AnswerTooOld, true));
    assert!(fates[1].0.row().kind == Kind::Replied && !fates[1].1, "{fates:?}");
}

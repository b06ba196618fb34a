//! Sixty-four lanes, each over a card of its own, in an order that a seed chooses: no frame is lost or counted twice by any of
//! them, and all of them together have counted and measured what one lane would have that saw everything.
//!
//! ```text
//!   questions ──seed──▶ lane 0, 1, … 63 ── counters and histograms, added up ─┐
//!       └─────────────▶ one lane ──────── its own ────────────────────────────┴─▶ the same
//! ```

use std::env;
use std::sync::Arc;

use barelane_lane::{Lane, mailbox};
use nic::sim::{Card, Faults};
use telemetry::{ANSWERED_COUNT, Counter, Counters, Histogram, Kind, Page, Still, Tick};
use testkit::endpoint;
use testkit::packets::Packets;
use testkit::random::Random;

use crate::tables::limited;

/// How many lanes.
const LANE_COUNT: usize = 64;
/// How many packets come; `cargo xtask soak` asks for more by the variable `BARELANE_PACKETS`.
const PACKET_COUNT: u64 = 200_000;
/// How many different packets there are, of each sort.
const POOL_SIZE: usize = 2_000;
/// Slots of the cards' rings.
const RING_SIZE: usize = 32;

/// A histogram: sum, least, most, and every bucket.
type Measured = (u64, u64, u64, Vec<(u64, u64)>);

/// Everything that a wire can do to a frame.
const FAULTS: Faults = Faults {
    loss_ppm: 50_000,
    duplication_ppm: 50_000,
    reordering_ppm: 100_000,
    corruption_ppm: 100_000,
    truncation_ppm: 50_000,
    slow_peer_ppm: 200_000,
};

/// A lane with its page and its own time.
struct One {
    lane: Lane<Card, Still>,
    page: Arc<Page>,
    now: u64,
}

impl One {
    /// A lane that says nothing of closed ports: how often it may is each lane's own limit.
    fn new(seed: u64, faults: Faults) -> Self {
        let (_, mailbox) = mailbox();
        let page = Arc::new(Page::default());
        let card = Card::new(RING_SIZE, seed, faults);
        let lane = Lane::new(card, limited(0), Still::default(), page.clone(), mailbox);
        Self { lane, page, now: 0 }
    }

    /// One turn, after which so much time passes, and what has left the card is taken away.
    fn turn(&mut self, ns: u64) {
        self.lane.turn(Tick(self.now));
        self.now += ns;
        let card = self.lane.queue_mut();
        card.take_sent(|_| {});
        card.take_passed(|_| {});
    }

    /// Everything that it has counted and measured, with the last turn looked back at.
    fn end(mut self) -> Total {
        self.turn(0);
        self.lane.queue().accounted().unwrap();
        let counters = self.lane.counters().clone();
        assert_eq!(counters.unaccounted(), 0);
        let delivered = self.lane.queue().impairments().delivered;
        let residence = std::array::from_fn(|place| self.page.turn_residence[place].read());
        Total { counters, delivered, residence }
    }
}

/// What one lane has counted and measured, or several have.
#[derive(Debug)]
struct Total {
    counters: Counters,
    delivered: u64,
    residence: [Histogram; ANSWERED_COUNT],
}

impl Total {
    fn of(lanes: Vec<One>) -> Self {
        let all = lanes.into_iter().map(One::end);
        all.reduce(|mut sum, one| {
            one.counters.iter().for_each(|(counter, count)| sum.counters.add(counter, count));
            sum.delivered += one.delivered;
            sum.residence.iter_mut().zip(&one.residence).for_each(|(sum, one)| sum.merge(one));
            sum
        })
        .unwrap()
    }

    /// Every count but that of turns that found nothing, of which each lane has had one more at its end.
    fn counts(&self) -> Vec<(Counter, u64)> {
        self.counters.iter().filter(|(counter, _)| *counter != Counter::TurnEmpty).collect()
    }

    /// Every histogram whole.
    fn measured(&self) -> Vec<Measured> {
        let whole = |one: &Histogram| (one.sum(), one.min(), one.max(), one.iter().collect());
        self.residence.iter().map(whole).collect()
    }
}

fn packet_count() -> u64 {
    env::var("BARELANE_PACKETS").map_or(PACKET_COUNT, |count| count.parse().unwrap())
}

/// Packets that are answered, and packets that are not.
fn pool(seed: u64) -> Vec<Vec<u8>> {
    let endpoint = endpoint::load().unwrap();
    let mut packets = Packets::new(&endpoint, seed);
    (0..POOL_SIZE).flat_map(|_| [packets.valid().question, packets.damaged()]).collect()
}

#[test]
fn sixty_four_lanes_count_and_measure_together_what_one_lane_would_have() {
    const SEED: u64 = 64;
    let (pool, mut random) = (pool(SEED), Random::new(SEED));
    let mut lanes: Vec<One> = (0..LANE_COUNT as u64).map(|seed| One::new(seed, Faults::default())).collect();
    let mut alone = One::new(SEED, Faults::default());
    for _ in 0..packet_count() {
        let (packet, lane) = (&pool[random.below(pool.len())], random.below(LANE_COUNT));
        // Shorter than a stall, and of all lengths below.
        let ns = random.next() % (1 << (random.next() % 18));
        for one in [&mut lanes[lane], &mut alone] {
            one.lane.queue_mut().inject(packet);
            one.turn(ns);
        }
    }
    let (all, one) = (Total::of(lanes), alone.end());
    assert_eq!(all.counters.of(Counter::Rx), packet_count());
    assert_eq!((all.counts(), all.measured()), (one.counts(), one.measured()));
    assert!(all.counters.sum(Kind::Replied) > packet_count() / 3, "most of what is whole is answered");
}

#[test]
fn sixty_four_lanes_over_bad_wires_account_for_every_frame_that_came() {
    for seed in 0..4 {
        let (pool, mut random) = (pool(seed), Random::new(seed));
        let mut lanes: Vec<One> =
            (0..LANE_COUNT as u64).map(|lane| One::new(seed << 8 | lane, FAULTS)).collect();
        let mut injected = 0;
        while injected < packet_count() / 4 {
            let one = &mut lanes[random.below(LANE_COUNT)];
            // From nothing to more than the ring holds.
            let burst = random.below(RING_SIZE + 8);
            (0..burst).for_each(|_| one.lane.queue_mut().inject(&pool[random.below(pool.len())]));
            injected += burst as u64;
            one.turn(1_000);
        }
        let all = Total::of(lanes);
        assert_eq!(all.counters.of(Counter::Rx), all.delivered, "seed {seed}");
        assert_eq!(all.counters.unaccounted(), 0, "seed {seed}");
        assert!(all.counters.sum(Kind::Dropped) > 0 && all.delivered != injected, "seed {seed}");
    }
}

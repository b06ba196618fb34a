//! A lane whose answers say when they left: each is counted once, from its question's arrival or from its turn, or as not known; by the queue
//! that runs over AF_XDP sockets, over rings in memory.

use std::sync::Arc;

use barelane_lane::{Inquiry, Lane, TableSender, mailbox};
use nic::Arrival;
use nic::xdp::testing::{self, MemoryKernel};
use nic::xdp::{Departing, OverXdp, Stamped, Wake, XdpQueue};
use route::PartialChecksums;
use telemetry::{ArrivalClock, Counter, Kind, Ns, Page, Tick, TickRate};
use testkit::allocations::{self, Allocations};
use testkit::clock::SimulatedClock;
use testkit::conservation::Conservation;
use testkit::endpoint::{self, Endpoint};
use testkit::packets::Packets;
use testkit::random::Random;
use wire::checksum::Summer;

use crate::faults::seeds;
use crate::simulated::{settings_of, table_of};

/// How much longer `CLOCK_MONOTONIC` has gone than the lane's clock.
const STAMPS_AHEAD_NS: u64 = 5_000_000_000;
/// How far `CLOCK_TAI` is ahead of that.
const TAI_AHEAD_NS: u64 = 1_700_000_000_000_000_000;
const RING_SIZE: u32 = 256;
const HOUR_NS: u64 = 3_600_000_000_000;

/// A lane, and what stands around it.
struct Departed<Q: OverXdp<Kernel = MemoryKernel>> {
    lane: Lane<Q, SimulatedClock>,
    clock: SimulatedClock,
    page: Arc<Page>,
    sender: TableSender,
    endpoint: Endpoint,
}

impl<Q: OverXdp<Kernel = MemoryKernel>> Departed<Q> {
    fn new(over: impl FnOnce(XdpQueue<MemoryKernel>) -> Q) -> Self {
        let endpoint = endpoint::load().unwrap();
        let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
        let (mut sender, mailbox) = mailbox();
        let line = ArrivalClock::new(Tick(0), STAMPS_AHEAD_NS, TickRate::NANOSECONDS);
        sender.tell_arrival_clock(line.with_tai_ahead(TAI_AHEAD_NS));
        let (page, clock) = (Arc::new(Page::default()), SimulatedClock::default());
        let tables = Box::new(table_of(&endpoint).compile(&settings));
        let queue = over(testing::queue(RING_SIZE, Wake::Spin).unwrap());
        let lane = Lane::new(queue, tables, clock.clone(), Arc::clone(&page), mailbox);
        Self { lane, clock, page, sender, endpoint }
    }

    fn xdp(&mut self) -> &mut XdpQueue<MemoryKernel> {
        self.lane.queue_mut().xdp_mut()
    }

    /// A valid question comes at this instant of the lane's clock.
    fn ask(&mut self, came: u64) {
        let question = Packets::new(&self.endpoint, 1).valid().question;
        self.xdp().set_arrival(Some(Arrival(came + STAMPS_AHEAD_NS)));
        assert!(self.xdp().inject(&question));
    }

    /// A turn at this instant.
    fn turn(&mut self, now: u64) -> usize {
        self.clock.set(Tick(now));
        self.lane.turn(Tick(now))
    }

    /// What was answered leaves at this instant, or nobody says when.
    fn leave(&mut self, left: Option<u64>) -> usize {
        self.xdp().set_tai(left.map(|left| left + STAMPS_AHEAD_NS + TAI_AHEAD_NS));
        self.xdp().transmit(|_| ())
    }

    /// How long what has left took, how often; and of how many that is not known.
    fn took(&self) -> (Vec<(u64, u64)>, u64) {
        let took = self.page.transmit_residence.read().iter().collect();
        (took, self.lane.counters().of(Counter::TransmitUnknown))
    }
}

#[test]
fn an_answer_counts_from_its_turn_where_its_question_does_not_say_when_it_came() {
    let mut departed = Departed::new(Departing::new);
    departed.ask(900);
    departed.turn(1_000);
    assert_eq!(departed.leave(Some(1_100)), 1);
    departed.turn(9_000);
    assert_eq!(departed.took(), (vec![(100, 1)], 0));
}

#[test]
fn an_answer_counts_from_its_questions_arrival_where_that_is_known() {
    let mut departed = Departed::new(|queue| Departing::new(Stamped::new(queue)));
    departed.ask(990);
    departed.ask(1_010);
    departed.turn(1_020);
    assert_eq!(departed.leave(Some(1_100)), 2);
    departed.turn(9_000);
    assert_eq!(departed.took(), (vec![(90, 1), (110, 1)], 0));
    // One that does not say when it came is noted as that, and nobody asks when its answer leaves.
    departed.xdp().set_arrival(None);
    let question = Packets::new(&departed.endpoint, 1).valid().question;
    assert!(departed.xdp().inject(&question));
    departed.turn(9_100);
    assert_eq!(departed.leave(Some(9_200)), 1);
    departed.turn(9_300);
    assert_eq!(departed.took(), (vec![(90, 1), (110, 1)], 0));
    assert_eq!(departed.lane.counters().of(Counter::ArrivalUnknown), 1);
}

#[test]
fn a_time_at_which_an_answer_was_not_under_way_is_counted_and_not_believed() {
    let mut departed = Departed::new(Departing::new);
    for (number, left) in [None, Some(999), Some(1_000_000_000)].into_iter().enumerate() {
        departed.ask(0);
        departed.turn(1_000);
        assert_eq!(departed.leave(left), 1);
        departed.turn(5_000);
        assert_eq!(departed.took(), (vec![], number as u64 + 1), "{left:?}");
    }
}

#[test]
fn the_distance_of_the_clocks_is_the_newest_that_was_told() {
    let mut departed = Departed::new(Departing::new);
    departed.ask(0);
    departed.turn(1_000);
    // Somebody sets the time of day by an hour: the stamp is of the clock behind that.
    assert_eq!(departed.leave(Some(1_100 + HOUR_NS)), 1);
    let line = ArrivalClock::new(Tick(0), STAMPS_AHEAD_NS, TickRate::NANOSECONDS);
    departed.sender.tell_arrival_clock(line.with_tai_ahead(TAI_AHEAD_NS + HOUR_NS));
    departed.lane.housekeeping();
    departed.turn(2_000);
    assert_eq!(departed.took(), (vec![(100, 1)], 0));
}

#[test]
fn an_inquiry_counts_from_its_beginning_and_not_where_arrivals_are_counted_from() {
    let mut plain = Departed::new(Departing::new);
    inquire(&mut plain);
    assert_eq!(plain.took(), (vec![(100, 1)], 0));
    let mut stamped = Departed::new(|queue| Departing::new(Stamped::new(queue)));
    inquire(&mut stamped);
    assert_eq!(stamped.took(), (vec![], 0));
}

fn inquire<Q: OverXdp<Kernel = MemoryKernel>>(departed: &mut Departed<Q>) {
    let mut inquiries = departed.sender.take_inquiries().unwrap();
    let mut inquiry = Box::new(Inquiry::with_room(2_048));
    assert!(inquiry.ask(&Packets::new(&departed.endpoint, 1).valid().question));
    inquiries.send(inquiry).unwrap();
    departed.clock.set(Tick(1_000));
    departed.lane.housekeeping();
    assert_eq!(departed.lane.counters().sum(Kind::Replied), 1);
    assert_eq!(departed.leave(Some(1_100)), 1);
    departed.turn(2_000);
}

/// Whatever comes, whenever it leaves and whoever says so: each answer has one fate.
#[test]
fn each_answer_is_counted_once_and_a_turn_allocates_nothing() {
    for seed in seeds() {
        run(seed, Departing::new);
        run(seed, |queue| Departing::new(Stamped::new(queue)));
    }
}

fn run<Q: OverXdp<Kernel = MemoryKernel>>(seed: u64, over: impl FnOnce(XdpQueue<MemoryKernel>) -> Q) {
    let repeat = format!("BARELANE_SEEDS={seed}..{}", seed + 1);
    let mut departed = Departed::new(over);
    let questions: Vec<_> = {
        let mut packets = Packets::new(&departed.endpoint, seed);
        (0..200).map(|_| packets.valid().question).collect()
    };
    let mut questions = questions.iter().cycle();
    let (mut random, mut watch) = (Random::new(seed), Conservation::default());
    let mut now = 10_000;
    for _ in 0..2_000 {
        for _ in 0..random.below(40) {
            departed.xdp().set_arrival(Some(Arrival(now + STAMPS_AHEAD_NS)));
            departed.xdp().inject(questions.next().unwrap());
            now += 10;
        }
        departed.clock.set(Tick(now));
        let (_, asked) = allocations::of(|| departed.lane.turn(Tick(now)));
        assert_eq!(asked, Allocations::default(), "a lane allocates nothing after its start");
        watch.check(departed.lane.counters()).unwrap_or_else(|why| panic!("{repeat}: {why}"));
        now += random.below(1_000) as u64;
        if random.below(3) > 0 {
            let left = match random.below(10) {
                0 => None,
                1 => Some(5),
                _ => Some(now),
            };
            departed.leave(left);
        }
        now += random.below(1_000) as u64;
    }
    departed.turn(now);
    departed.leave(Some(now));
    departed.turn(now);
    let (took, unknown) = departed.took();
    let known: u64 = took.iter().map(|(_, count)| count).sum();
    assert!(known > unknown && unknown > 0, "{known} {unknown}: {repeat}");
    assert_eq!(known + unknown, departed.lane.counters().sum(Kind::Replied), "{repeat}");
    assert_eq!(departed.xdp().held(), 0, "{repeat}");
    let longest = departed.page.transmit_residence.read().max();
    assert!(Ns(longest) < Ns(now), "{longest}: {repeat}");
}

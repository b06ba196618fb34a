//! A lane over a simulated card, as a tier that vectors can be put to. The tests of the driver tier have it behind the
//! program (`crates/barelane/tests/driver`).

use std::sync::Arc;

use barelane_lane::{Lane, TableSender, mailbox};
use nic::sim::{Card, Faults};
use nic::{Burst, Frame, Queue};
use route::{
    Address, LaneSettings, NextHop, NextHops, Owner, PartialChecksums, Route, RouteCount, RouteTable,
    RouteTotals, ShortPackets,
};
use telemetry::{
    Counter, Counters, Kind, Ns, Page, Reason, SharedStreams, Tick, TickRate, WallClock, WallTime,
};
use testkit::allocations::{self, Allocations};
use testkit::clock::SimulatedClock;
use testkit::conservation::Conservation;
use testkit::endpoint::{self, Endpoint};
use testkit::vectors::{Outcome, Tier};
use wire::checksum::Summer;
use wire::ethernet::Mac;
use wire::stamp::Key;

/// A card with a window to the test that stands behind it.
pub(crate) trait Window: Queue {
    fn card(&mut self) -> &mut Card;
    fn has_stack(&self) -> bool;
}

impl Window for Card {
    fn card(&mut self) -> &mut Card {
        self
    }

    fn has_stack(&self) -> bool {
        true
    }
}

/// A card without a stack behind it: it refuses what it is to hand on, as AF_XDP does.
pub(crate) struct Alone(pub(crate) Card);

impl Window for Alone {
    fn card(&mut self) -> &mut Card {
        &mut self.0
    }

    fn has_stack(&self) -> bool {
        false
    }
}

impl Queue for Alone {
    fn rx(&mut self) -> Burst {
        self.0.rx()
    }

    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        self.0.next(burst)
    }

    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.0.room_mut(frame)
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        self.0.tx(frame)
    }

    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        Err(frame)
    }

    fn release(&mut self, frame: Frame) {
        self.0.release(frame);
    }

    fn free_frame(&mut self) -> Option<Frame> {
        self.0.free_frame()
    }

    fn flush(&mut self) {
        self.0.flush();
    }
}

/// A lane that answers one question a turn, watched by every checker there is.
pub(crate) struct SimulatedLane<Q: Window> {
    pub(crate) lane: Lane<Q, SimulatedClock>,
    pub(crate) page: Arc<Page>,
    pub(crate) clock: SimulatedClock,
    pub(crate) sender: TableSender,
    settings: LaneSettings,
    now: Tick,
    watch: Conservation,
    /// Where the lane counts its routes: by all tables that it ever had.
    counts: Vec<Arc<[RouteCount]>>,
}

impl<Q: Window> SimulatedLane<Q> {
    pub(crate) fn new(queue: Q, partial_checksums: PartialChecksums, checksum: Summer) -> Self {
        Self::with(queue, settings_of(&endpoint::load().unwrap(), partial_checksums, checksum))
    }

    /// One that serves authenticated STAMP.
    pub(crate) fn authenticated(queue: Q) -> Self {
        let endpoint = endpoint::load().unwrap();
        let stamp_key = Key::new(endpoint.stamp.key.as_bytes());
        let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
        Self::with(queue, LaneSettings { stamp_key, ..settings })
    }

    /// One that does this with STAMP packets that are shorter than their answers.
    pub(crate) fn answering(short_packets: ShortPackets, queue: Q) -> Self {
        let settings = settings_of(&endpoint::load().unwrap(), PartialChecksums::Refuse, Summer::fastest());
        Self::with(queue, LaneSettings { short_packets, ..settings })
    }

    /// One for which every asker is behind a router, by these ways.
    pub(crate) fn by_routes(queue: Q, next_hops: NextHops) -> Self {
        let (endpoint, settings) = far_from_all();
        Self::of_table(queue, &table_of(&endpoint), settings, next_hops)
    }

    pub(crate) fn with(queue: Q, settings: LaneSettings) -> Self {
        Self::of_table(queue, &table_of(&endpoint::load().unwrap()), settings, NextHops::default())
    }

    /// One of these routes.
    pub(crate) fn of_table(
        queue: Q,
        table: &RouteTable,
        settings: LaneSettings,
        next_hops: NextHops,
    ) -> Self {
        let tables = Box::new(table.compile(&settings));
        let counts = vec![tables.counts.clone()];
        let (mut sender, mailbox) = mailbox();
        sender.send_next_hops(Box::new(next_hops)).unwrap();
        sender.tell_time(still(&endpoint::load().unwrap()));
        let (page, clock) = (Arc::new(Page::default()), SimulatedClock::default());
        let lane = Lane::new(queue, tables, clock.clone(), page.clone(), mailbox);
        Self { lane, page, clock, sender, settings, now: Tick(0), watch: Conservation::default(), counts }
    }

    /// The same with streams, and what others read of them.
    pub(crate) fn with_streams(self, room: usize) -> (Self, Arc<SharedStreams>) {
        let streams = Arc::new(SharedStreams::new(room));
        let lane = self.lane.with_streams(Some(streams.clone()));
        (Self { lane, ..self }, streams)
    }

    /// Sends new tables with another error limit, and turns until the lane has taken them. Gives how many turns that
    /// took.
    pub(crate) fn limit_errors(&mut self, errors_per_second: u32) -> usize {
        self.settings.errors_per_second = errors_per_second;
        let tables = Box::new(table_of(&endpoint::load().unwrap()).compile(&self.settings));
        self.counts.push(tables.counts.clone());
        self.sender.send(tables).unwrap();
        for turns in 1..100_000 {
            self.turn(Ns(0));
            if self.sender.collect() {
                return turns;
            }
        }
        panic!("the lane never took its new tables");
    }

    /// One turn, `quiet` after the one before, watched by every checker there is.
    pub(crate) fn turn(&mut self, quiet: Ns) {
        self.watched(quiet, |lane, now| {
            lane.turn(now);
        });
    }

    /// The lane's housekeeping, watched likewise.
    pub(crate) fn look_after(&mut self, quiet: Ns) {
        self.watched(quiet, |lane, _| lane.housekeeping());
    }

    /// The lane sends a frame to itself, watched likewise.
    pub(crate) fn keep_warm(&mut self) {
        self.watched(Ns(0), |lane, _| lane.keep_warm());
    }

    fn watched(&mut self, quiet: Ns, work: impl FnOnce(&mut Lane<Q, SimulatedClock>, Tick)) {
        self.now.0 += quiet.0;
        self.clock.set(self.now);
        let ((), asked) = allocations::of(|| work(&mut self.lane, self.now));
        assert_eq!(asked, Allocations::default(), "a lane allocates nothing after its start");
        self.lane.queue_mut().card().accounted().unwrap();
        self.watch.check(self.lane.counters()).unwrap();
        self.check_routes();
    }

    /// What routes took and answered is what the lane answered, but for what an address's owner answers.
    fn check_routes(&self) {
        let totals = self.counts.iter().flat_map(|counts| counts.iter().map(RouteCount::read));
        let sum = totals.fold(RouteTotals::default(), RouteTotals::plus);
        let by_owner = [Counter::RepliedArp, Counter::RepliedNdp, Counter::RepliedUnreachable];
        let counters = self.lane.counters();
        let by_owner: u64 = by_owner.iter().map(|&counter| counters.of(counter)).sum();
        assert_eq!(sum.answered(), counters.sum(Kind::Replied) - by_owner, "{sum:?}");
        let others = counters.sum(Kind::Dropped) + counters.of(Counter::Passed);
        assert!(sum.unanswered <= others, "{sum:?}");
    }

    /// What the turn did with the one frame, by its counters and by what left the card.
    pub(crate) fn outcome(&mut self, before: &Counters) -> Outcome {
        let (mut sent, mut passed) = (Vec::new(), Vec::new());
        let card = self.lane.queue_mut().card();
        card.take_sent(|frame| sent.push(frame.to_vec()));
        card.take_passed(|frame| passed.push(frame.to_vec()));
        let counted = Counted::between(before, self.lane.counters());
        match (&sent[..], &passed[..], counted) {
            ([answer], [], Counted { replied: 1, passed: 0, dropped: None }) => {
                Outcome::Reply(answer.clone())
            }
            ([], [frame], Counted { replied: 0, passed: 1, dropped: None }) => {
                Outcome::Pass(frame.clone(), None)
            }
            ([], [], Counted { replied: 0, passed: 0, dropped: reason @ Some(_) }) => Outcome::Drop(reason),
            _ => Outcome::Nonsense(format!("{} sent, {} passed, {counted:?}", sent.len(), passed.len())),
        }
    }
}

/// The endpoint, with nobody on its links, and the settings by which its answers take the kernel's routes.
pub(crate) fn far_from_all() -> (Endpoint, LaneSettings) {
    let endpoint = alone_on_their_links();
    let settings = settings_of(&endpoint, PartialChecksums::Accept, Summer::fastest());
    (endpoint, LaneSettings { next_hop: NextHop::Auto, ..settings })
}

/// What one turn added to the counters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) replied: u64,
    pub(crate) passed: u64,
    pub(crate) dropped: Option<Reason>,
}

impl Counted {
    pub(crate) fn between(before: &Counters, after: &Counters) -> Self {
        let more = |kind| after.sum(kind) - before.sum(kind);
        let grew = |reason: &&Reason| after.of(reason.counter()) > before.of(reason.counter());
        Self {
            replied: more(Kind::Replied),
            passed: after.of(Counter::Passed) - before.of(Counter::Passed),
            dropped: Reason::ALL.iter().find(grew).copied(),
        }
    }
}

impl<Q: Window> Tier for SimulatedLane<Q> {
    fn ask(&mut self, question: &[u8], quiet: Ns) -> Outcome {
        let before = self.lane.counters().clone();
        self.lane.queue_mut().card().inject(question);
        self.turn(quiet);
        self.outcome(&before)
    }

    fn can_pass(&self) -> bool {
        self.lane.queue().has_stack()
    }
}

/// The endpoint, of whose askers none is on the link.
pub(crate) fn alone_on_their_links() -> Endpoint {
    let mut endpoint = endpoint::load().unwrap();
    endpoint.addresses.iter_mut().for_each(|one| one.prefix_len = if one.ip.is_ipv4() { 32 } else { 128 });
    endpoint
}

pub(crate) fn settings_of(
    endpoint: &Endpoint,
    partial_checksums: PartialChecksums,
    checksum: Summer,
) -> LaneSettings {
    LaneSettings {
        mac: Mac(endpoint.mac),
        checksum,
        partial_checksums,
        hop_limit: endpoint.hop_limit,
        errors_per_second: endpoint.errors_per_second,
        next_hop: NextHop::Reflect,
        stamp_key: None,
        short_packets: ShortPackets::Drop,
    }
}

/// The endpoint's clock, which stands still: whatever the ticks are, it is always the same time.
pub(crate) fn still(endpoint: &Endpoint) -> WallClock {
    let endpoint::Clock { unix_ns, error_ns, is_synchronised } = endpoint.clock;
    let never = TickRate::new(u64::MAX);
    WallClock::new(Tick(0), WallTime(unix_ns), never, Ns(error_ns), is_synchronised)
}

pub(crate) fn table_of(endpoint: &Endpoint) -> RouteTable {
    let mut addresses = Vec::new();
    let mut routes = Vec::new();
    for &endpoint::Address { ip, prefix_len, owner, ref services } in &endpoint.addresses {
        let owner = match owner {
            endpoint::Owner::Kernel => Owner::Kernel,
            endpoint::Owner::Barelane => Owner::Barelane,
        };
        addresses.push(Address { ip, prefix_len, owner });
        routes.extend(services.iter().map(|name| Route::on(ip, name.parse().unwrap())));
    }
    RouteTable::new(addresses, routes).unwrap()
}

/// A card without faults.
pub(crate) fn card() -> Card {
    Card::new(4, 0, Faults::default())
}

//! A server that runs: the card, its lanes, and the addresses that are Barelane's alone.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::clock::Clock;
use host::groups::SolicitedNode;
use host::wall::{Line, Wall};
use lane::GatewaysUsed;
use nic::memif::{self, MemifError};
use nic::xdp::{self, Claims, StandIn, XdpError};
use telemetry::{Counter, Counters, Histogram, Ns, Page, Tick, TickRate, WallClock, WallTime};

use super::address_check::{self, Announced};
use super::card::{Card, Losses};
use super::lanes::{Beginning, CardQueue, Running};
use super::next_hops::KernelWays;
use super::print::Summary;
use super::recovery::{Absence, LinkWord};
use super::routes::RouteTally;
use super::stamping::Stamping;
use super::tell;
use crate::config::keys::{INTERFACE, MEMIF, MODE, TRANSMIT_STAMPS, ZERO_COPY};
use crate::error::{Error, Wrong};
use crate::events::News;
use crate::health;
use crate::plan::{CardPlan, Plan, free, next_hops_of, without_copies};
use crate::side_channel::RouteFigures;

/// How often the lanes are told the time of day. A clock that is stepped is followed so late at most; one that is slewed by
/// 500 parts in a million, the most that the kernel does, leads half a millisecond away until then, which the error that
/// answers carry says from the next line on. More often would follow the noise of single readings.
const TIME_INTERVAL: Duration = Duration::from_secs(1);

/// How often is looked whether the link still carries what the driver answers. For so long answers may be lost at most,
/// where the other end of a veth takes its program away; more often asks the kernel for nothing more often.
const LINK_INTERVAL: Duration = Duration::from_secs(1);

/// Lanes at work on a card. [`Server::stop`] ends it in order and counts; dropping it detaches the program at once.
#[derive(Debug)]
pub struct Server {
    pub(super) plan: Plan,
    /// How many plans came before it: whoever goes by it sees by this that it is another one.
    pub(super) plan_number: u64,
    pub(super) card: Card,
    pub(super) lanes: Vec<Running>,
    pub(super) groups: Option<SolicitedNode>,
    pub(super) announced: Announced,
    pub(super) routes: RouteTally,
    kernel_ways: Option<KernelWays>,
    /// The number of the ways that the lanes had before `kernel_ways`.
    ways_told: u32,
    /// The number of the ways that the program has.
    ways_in_program: u32,
    wall: Wall,
    /// The clocks of stamps, and what is said of stamps that are missing.
    pub(super) stamping: Stamping,
    time_told: Instant,
    link_looked_at: Instant,
    /// Whether the link carried at the last look.
    pub(super) link: LinkWord,
    /// There while the interface is gone.
    pub(super) absence: Option<Absence>,
    /// How often it has come back.
    pub(super) return_count: u64,
    /// What is asked only to know whether it is answered.
    pub(super) health: Arc<health::Counts>,
}

impl Server {
    /// Starts everything that the plan says, in the order that [`serve`](crate::serve) explains, and gives it back
    /// when packets are answered; nothing where `stop` was set before that, and then the interface is as it was.
    pub fn start(plan: Plan, stop: &AtomicBool) -> Result<Option<Self>, Error> {
        let Some(mut server) = Self::prepare(plan, stop)? else { return Ok(None) };
        server.begin()?;
        Ok(Some(server))
    }

    /// The same up to where packets come: what can be refused is refused here, and leaves the interface as it was.
    pub(super) fn prepare(mut plan: Plan, stop: &AtomicBool) -> Result<Option<Self>, Error> {
        let is_told_to_stop = || stop.load(Ordering::Relaxed);
        if is_told_to_stop() {
            return Ok(None);
        }
        let (mut card, queues) = open(&plan)?;
        lock_memory(&mut plan)?;
        let ours: Vec<IpAddr> = addresses_to_look_after(&plan);
        let groups = address_check::join_groups(&plan, &ours)?;
        check_addresses(&mut plan, &ours, stop)?;
        let mut lanes = Vec::new();
        let clock = Clock::calibrate();
        let wall = Wall::new(clock);
        let stamping = Stamping::new(clock, &plan.card);
        let kernel_ways = KernelWays::of(&plan)?;
        let next_hops = kernel_ways.as_ref().map(KernelWays::next_hops).cloned().unwrap_or_default();
        let beginning = Beginning {
            clock,
            idle: plan.idle(),
            keep_warm: plan.config.lane.keep_warm,
            age_limit: plan.config.lane.age_limit,
            streams: plan.config.lane.streams,
            wall: told(wall.line()),
            arrival_clock: stamping.clock(),
            next_hops,
        };
        for (&lane, queue) in plan.lanes.iter().zip(queues) {
            lanes.push(Running::start(lane, queue, plan.tables(), beginning.clone())?);
        }
        if is_told_to_stop() {
            return Ok(None);
        }
        card.set_next_hops(&next_hops_of(&beginning.next_hops))?;
        let now = Instant::now();
        let (time_told, link_looked_at) = (now, now);
        Ok(Some(Self {
            plan,
            plan_number: 0,
            card,
            lanes,
            groups,
            announced: Announced::nothing(),
            routes: RouteTally::default(),
            kernel_ways,
            ways_told: 0,
            ways_in_program: beginning.next_hops.generation,
            wall,
            stamping,
            time_told,
            link_looked_at,
            link: LinkWord::default(),
            absence: None,
            return_count: 0,
            health: Arc::default(),
        }))
    }

    /// From here on packets are answered, and switches learn where the addresses are.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.card.set_claims(&self.plan.claims())?;
        self.announced = Announced::once(&self.plan, addresses_to_look_after(&self.plan))?;
        Ok(())
    }

    /// Tells the lanes the time of day, when it is due: once a second. To be called more often than that for as long as
    /// the server runs; without it, the lanes go on by the clock as it went when they started.
    pub fn tell_time(&mut self) {
        if self.time_told.elapsed() < TIME_INTERVAL {
            return;
        }
        self.time_told = Instant::now();
        let wall = told(self.wall.look());
        self.lanes.iter_mut().for_each(|lane| lane.tell_time(wall));
        if let Some(clock) = self.stamping.look() {
            self.lanes.iter_mut().for_each(|lane| lane.tell_arrival_clock(clock));
        }
    }

    /// Looks whether another tier is the earliest now that the link carries, when it is due: once a second. Gives what to say
    /// if so; the lanes and the program have changed over to it then.
    pub(super) fn look_at_link(&mut self) -> Result<Option<News>, Error> {
        if self.link_looked_at.elapsed() < LINK_INTERVAL {
            return Ok(None);
        }
        self.link_looked_at = Instant::now();
        let plan = match self.plan.refreshed() {
            None => return Ok(None),
            Some(Err(wrong)) => {
                return Ok(Some(News::warning(format_args!("the tier stays as it is: {wrong}"))));
            }
            Some(Ok(plan)) => plan,
        };
        self.change_over(&plan)?;
        self.set_plan(plan);
        Ok(Some(tell::tier(&self.plan)))
    }

    /// Follows the kernel's routes and neighbours, and has the kernel look after the gateways that answers go by. Gives what to
    /// say. To be called some ten times a second for as long as the server runs: so late are changes followed.
    pub(super) fn look_at_next_hops(&mut self) -> Vec<News> {
        let Some(kernel_ways) = &mut self.kernel_ways else { return Vec::new() };
        let mut news = Vec::new();
        let Some(program) = self.card.program() else { return news };
        let by_program = program.take_gateways_used().unwrap_or_else(|error| {
            news.extend(kernel_ways.failed(&error).news);
            0
        });
        let by_program = GatewaysUsed { generation: self.ways_in_program, gateways: by_program };
        let by_lanes = self.lanes.iter_mut().filter_map(Running::gateways_used);
        // What the kernel does not tell now it may tell at the next look; until then answers go by what is known.
        let look = kernel_ways
            .look(&self.plan, by_lanes.chain([by_program]))
            .unwrap_or_else(|error| kernel_ways.failed(&error));
        self.lanes.iter_mut().for_each(|lane| lane.tell_next_hops(look.newer.as_ref()));
        news.extend(look.news);
        if let Err(error) = self.tell_program() {
            news.extend(self.kernel_ways.iter_mut().flat_map(|ways| ways.failed(&error).news));
        }
        news
    }

    /// Puts the ways in force in the program, where it has others.
    fn tell_program(&mut self) -> Result<(), Error> {
        let Some(next_hops) = self.kernel_ways.as_ref().map(KernelWays::next_hops) else { return Ok(()) };
        if next_hops.generation != self.ways_in_program {
            self.card.set_next_hops(&next_hops_of(next_hops))?;
            self.ways_in_program = next_hops.generation;
        }
        Ok(())
    }

    /// Goes by these ways from now on. Where there are none the tiers keep what they have, which their next tables will not ask.
    pub(super) fn go_by(&mut self, kernel_ways: Option<KernelWays>) -> Result<(), Error> {
        if let Some(before) = self.kernel_ways.take() {
            self.ways_told = before.generation();
        }
        self.kernel_ways = kernel_ways.map(|ways| ways.numbered_after(self.ways_told));
        let newer = self.kernel_ways.as_ref().map(KernelWays::next_hops);
        self.lanes.iter_mut().for_each(|lane| lane.tell_next_hops(newer));
        self.tell_program()
    }

    /// Goes from the tables and claims in force to those of another plan, so that nothing is redirected to a lane that cannot
    /// answer it.
    pub(super) fn change_over(&mut self, plan: &Plan) -> Result<(), Error> {
        self.claim(&plan.claims().common(&self.plan.claims()))?;
        self.exchange_tables(plan)?;
        self.claim(&plan.claims())
    }

    /// Has the lanes answer by the tables of another plan, and keeps what was counted of the routes by those before. Nothing may be
    /// redirected to a lane that only the old ones or only the new ones answer.
    pub(super) fn exchange_tables(&mut self, plan: &Plan) -> Result<(), Error> {
        for lane in &mut self.lanes {
            let counted = lane.exchange(plan.tables())?;
            self.routes.add_lane(&counted);
        }
        self.routes.renumber(self.plan.routes.routes(), plan.routes.routes());
        Ok(())
    }

    /// From here on exactly this is redirected to the lanes.
    pub(super) fn claim(&mut self, claims: &Claims) -> Result<(), Error> {
        let counted = self.card.set_claims(claims)?;
        self.routes.add_driver(&counted);
        Ok(())
    }

    /// Goes by another plan from now on: all that it says has been done.
    pub(super) fn set_plan(&mut self, plan: Plan) {
        self.plan = plan;
        self.plan_number += 1;
    }

    /// Announces addresses for the second time, when it is due.
    pub(super) fn announce_again(&mut self) -> Result<(), Error> {
        self.announced.again(&self.plan)
    }

    /// What has happened beside the lanes since this was last asked.
    pub(super) fn news(&mut self) -> Vec<News> {
        let mut news = self.card.news();
        if self.stamping.is_to_look_for_missing() {
            news.extend(self.stamping.news(&self.counters()));
        }
        news
    }

    /// What runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All lanes' counters, as they were last published.
    pub fn counters(&self) -> Counters {
        Summary::sum(self.lanes.iter().map(Running::counters))
    }

    /// What the driver tier has counted so far.
    pub fn driver_counters(&self) -> Result<Counters, Error> {
        driver_counters(&self.card)
    }

    /// What puts questions to the program, for another thread; or why there is nothing.
    pub(super) fn stand_in(&self) -> Result<StandIn, String> {
        match self.card.program() {
            Some(program) => program.stand_in().map_err(|error| error.to_string()),
            None => Err("over memif nothing stands before the lanes that could be asked; \
                         ask from the other end: barelane probe --memif"
                .to_owned()),
        }
    }

    /// What no lane has seen.
    pub(super) fn losses(&self) -> Result<Losses, Error> {
        self.card.losses()
    }

    /// What became of the questions of the first routes, of so many at most, in their order.
    pub(super) fn route_figures(&self, most: usize) -> Result<Vec<RouteFigures>, Error> {
        let driver = self.card.route_counts()?;
        let figures = |number| {
            let lanes = self.lanes.iter().map(|lane| lane.route_count(number));
            self.routes.figures(number, lanes, &driver)
        };
        Ok((0..self.plan.routes.routes().len().min(most)).map(figures).collect())
    }

    /// The line by which the lanes' ticks are times of day.
    pub(super) fn wall_clock(&self) -> WallClock {
        told(self.wall.line())
    }

    /// T3 − T2 of all lanes' STAMP answers so far, in nanoseconds.
    pub fn residence(&self) -> Histogram {
        merged(self.lanes.iter().map(Running::residence))
    }

    /// Where the lanes publish, for whoever reads it on another thread.
    pub fn pages(&self) -> Vec<Arc<Page>> {
        self.lanes.iter().map(Running::shared_page).collect()
    }

    /// Stops: no more is redirected, what was is answered, then the lanes end and the program is detached.
    pub fn stop(mut self) -> Result<Summary, Error> {
        let nothing = nothing(&self.plan);
        self.claim(&nothing)?;
        for lane in &self.lanes {
            lane.tell_to_stop();
        }
        let is_without_interface = self.is_without_interface();
        let lanes = self.lanes.into_iter().map(Running::join).collect::<Result<Vec<_>, _>>()?;
        for lane in lanes.iter().filter(|_| is_without_interface) {
            self.card.count_lost(lane.queue, lane.unsent);
        }
        let driver = driver_counters(&self.card)?;
        let losses = self.card.losses()?;
        let held = lanes.iter().map(|lane| lane.held).collect();
        let residence = merged(lanes.iter().map(|lane| lane.residence.clone()));
        let counters = Summary::sum(lanes.into_iter().map(|lane| lane.counters));
        Ok(Summary::new(counters, residence, driver, losses, held))
    }
}

/// Opens the card: nothing comes to the lanes yet.
fn open(plan: &Plan) -> Result<(Card, Vec<CardQueue>), Error> {
    Ok(match &plan.card {
        CardPlan::Xdp(settings) => {
            let (attachment, queues) = xdp::open(settings, &nothing(plan)).map_err(refusal)?;
            let queues = queues.into_iter().map(|queue| CardQueue::of_interface(queue, &plan.card));
            (Card::Xdp(Box::new(attachment)), queues.collect())
        }
        CardPlan::Memif(settings) => {
            let (control, queues) = memif::open(settings).map_err(|error| refusal_of_memif(&error))?;
            (Card::Memif(control), queues.into_iter().map(CardQueue::from).collect())
        }
    })
}

/// Locks all memory. Who serves in shared memory may be anybody, and then it is said that his memory is not locked.
fn lock_memory(plan: &mut Plan) -> Result<(), Error> {
    match host::memory::lock_all() {
        Err(error) if plan.facts.is_memif() => {
            plan.warnings.push(format!("pages may be missing when they are needed: {error}"));
            Ok(())
        }
        result => Ok(result?),
    }
}

/// The addresses that other hosts are asked about, and told of: in shared memory there are none.
pub(super) fn addresses_to_look_after(plan: &Plan) -> Vec<IpAddr> {
    if plan.facts.is_memif() { Vec::new() } else { plan.own_addresses().collect() }
}

/// What an interface that will not open says, by the name of the setting that has to change.
fn refusal_of_memif(error: &MemifError) -> Error {
    let wrong = |value: &str| Wrong::new(MEMIF, value).because(error);
    match error {
        MemifError::Socket { socket, .. } => {
            wrong(socket).remedy("stop who listens there, or name another socket").into()
        }
        MemifError::TooLarge { queues, .. } => {
            wrong(&format!("queues={queues}")).remedy("have fewer queues, or smaller rings").into()
        }
        MemifError::Thread(_) | MemifError::Kicker(_) => Error::Failed(error.to_string()),
    }
}

/// The program's counts by the names that a lane has for them.
fn driver_counters(card: &Card) -> Result<Counters, Error> {
    let mut counters = Counters::default();
    let Some(program) = card.program() else { return Ok(counters) };
    for (&counter, count) in Counter::ALL.iter().zip(program.counts()?) {
        counters.add(counter, count);
    }
    Ok(counters)
}

/// A line as lanes are told it.
fn told(line: Line) -> WallClock {
    let Line { tick, unix_ns, ticks_per_second, error_ns, is_synchronised } = line;
    let rate = TickRate::new(ticks_per_second);
    WallClock::new(Tick(tick), WallTime(unix_ns), rate, Ns(error_ns), is_synchronised)
}

fn merged(lanes: impl Iterator<Item = Histogram>) -> Histogram {
    lanes.fold(Histogram::default(), |mut all, one| {
        all.merge(&one);
        all
    })
}

/// Refuses where another host has one of `ours`, once the link is there to ask on.
pub(super) fn check_addresses(plan: &mut Plan, ours: &[IpAddr], stop: &AtomicBool) -> Result<(), Error> {
    if ours.is_empty() || plan.address_check().is_zero() {
        return Ok(());
    }
    if !address_check::wait_for_link(plan, stop)? {
        plan.warnings
            .push("without a carrier no other host could be asked whether it has the addresses".to_owned());
    }
    address_check::check(plan, ours, stop)
}

/// Claims under which every packet passes to the kernel.
pub(super) fn nothing(plan: &Plan) -> Claims {
    Claims { mac: plan.lane.mac.0, ..Claims::default() }
}

/// What a card that will not open says, by the name of the setting that has to change, where there is one.
pub(super) fn refusal(error: XdpError) -> Error {
    match error {
        XdpError::ZeroCopyAbsent { interface, queue, source } => Wrong::new(ZERO_COPY, "yes")
            .because(format_args!("the driver of {interface} has none for queue {queue}: {source}"))
            .remedy("write auto or no")
            .into(),
        XdpError::TransmitClock { interface } => without_copies(&interface).into(),
        XdpError::TransmitMetadata { interface, source } => Wrong::new(TRANSMIT_STAMPS, "kernel")
            .because(format_args!(
                "this kernel takes no metadata with what is sent on {interface}, by which it would say so: {source}"
            ))
            .remedy("write none, or run Linux 6.11 or later")
            .into(),
        XdpError::ModeAbsent { interface, mode, source } => Wrong::new(MODE, mode)
            .because(format_args!("{interface} does not have it: {source}"))
            .remedy("write auto")
            .into(),
        XdpError::Occupied { interface, program } => {
            let name = program.as_ref().and_then(|program| program.name.clone());
            let program = program.map_or_else(String::new, |program| format!(": {program}"));
            Wrong::new(INTERFACE, &interface)
                .because(format_args!("an XDP program is already attached{program}"))
                .remedy(free(&interface, name.as_deref()))
                .into()
        }
        other => other.into(),
    }
}

//! Lane threads: one pinned core each, turning until told to stop.
//!
//! A thread pins itself, calibrates nothing, allocates nothing and says nothing once its loop has begun. What it
//! shares with the rest of the process is one word that it reads seldom ([`orders`]), its counter page, and its mailbox.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use host::clock::Clock;
use host::memory::Thread;
use lane::{GatewaysUsed, Lane, Mailbox, MailboxFull, TableSender, mailbox};
use nic::Queue;
use route::{LaneTables, NextHops, RouteCount, RouteTotals};
use telemetry::{ArrivalClock, Counters, Histogram, Ns, Page, SharedStreams, Tick, TickRate, WallClock};

use crate::capture::LaneEnd;
use crate::error::Error;
use crate::health::LaneDoor;
use crate::plan::{Idle, LanePlan};

mod card_queue;
mod idle;
mod orders;
mod warm;

pub(super) use card_queue::CardQueue;
use card_queue::Held;
use idle::Sleeper;
use orders::{Giver, Order, Taker, orders};
use warm::Warmer;

/// Turns between two looks at what it is told. An empty turn takes some 20 ns and a full one some 10 µs, so a lane
/// stops within 10 ms. Fewer would show in the turn; more would make SIGTERM slow.
const TURNS_PER_LOOK: u32 = 1024;

/// Turns before a lane counts as started: its code, its tables and its rings have been touched, and their pages
/// are mapped. No claim stands yet, so nothing waits for an answer meanwhile.
const TURNS_WARM: u32 = 4096;

/// How long a thread may take to start. Pinning and some thousand empty turns take milliseconds, on a machine under
/// full load a second; a thread that has not come by then never will.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long a lane may take to fetch new tables from its mailbox: its housekeeping comes every few milliseconds.
const MAILBOX_PATIENCE: Duration = Duration::from_secs(5);

/// How often a waiting thread looks.
const LOOK_INTERVAL: Duration = Duration::from_micros(200);

/// This machine's clock, as lanes read it.
#[derive(Clone, Copy, Debug)]
struct LaneClock(Clock);

impl telemetry::Clock for LaneClock {
    #[inline]
    fn now(&self) -> Tick {
        Tick(self.0.now())
    }

    #[inline]
    fn rate(&self) -> TickRate {
        TickRate::new(self.0.ticks_per_second())
    }
}

/// What a lane begins with, beside its queue and its tables.
#[derive(Clone, Debug)]
pub(super) struct Beginning {
    /// The clock of its turns.
    pub(super) clock: Clock,
    /// When it sleeps.
    pub(super) idle: Idle,
    /// How long one that never sleeps answers nothing before it warms its way out.
    pub(super) keep_warm: Option<Ns>,
    /// How old a question may be.
    pub(super) age_limit: Option<Ns>,
    /// How many streams it tells apart; 0 for none.
    pub(super) streams: u32,
    /// The time of day.
    pub(super) wall: WallClock,
    /// The clocks of stamps.
    pub(super) arrival_clock: ArrivalClock,
    /// How answers reach askers that are not on the link.
    pub(super) next_hops: NextHops,
}

/// What a lane leaves behind.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) counters: Counters,
    /// T3 − T2 of its STAMP answers.
    pub(super) residence: Histogram,
    /// Frames that it took from its queue and neither sent nor gave back: 0, or the lane is at fault.
    pub(super) held: i64,
    /// Its queue, and how many answers that had not sent.
    pub(super) queue: u32,
    pub(super) unsent: u32,
}

/// A lane at work. Dropping it stops the lane and waits for its end.
#[derive(Debug)]
pub(super) struct Running {
    plan: LanePlan,
    /// There until somebody waits for its end.
    thread: Option<JoinHandle<(Counters, i64)>>,
    tables: TableSender,
    /// Where the lane counts by the tables that it has.
    counts: Arc<[RouteCount]>,
    /// Tables that were sent and whose predecessors have not come back yet.
    tables_under_way: u32,
    /// Ways that the lane could not take yet.
    next_hops: Option<Box<NextHops>>,
    page: Arc<Page>,
    /// There where it tells streams apart.
    streams: Option<Arc<SharedStreams>>,
    /// Known when it has started.
    watched: Option<Thread>,
    orders: Giver,
    /// Frames that it had of queues that it has no more: 0, or the lane is at fault.
    held_before: i64,
}

impl Running {
    /// Starts a lane on `queue`, and waits until it turns.
    pub(super) fn start(
        plan: LanePlan,
        queue: CardQueue,
        tables: LaneTables,
        beginning: Beginning,
    ) -> Result<Self, Error> {
        let Beginning { clock, idle, keep_warm, age_limit, streams, wall, arrival_clock, next_hops } =
            beginning;
        let (mut sender, mailbox) = mailbox();
        sender.tell_time(wall);
        sender.tell_arrival_clock(arrival_clock);
        let sent = sender.send_next_hops(Box::new(next_hops));
        debug_assert!(sent.is_ok(), "a new mailbox is empty");
        let page = Arc::new(Page::default());
        let streams = (streams > 0).then(|| Arc::new(SharedStreams::new(streams as usize)));
        let (giver, taker) = orders();
        let (started, starting) = mpsc::sync_channel(1);
        let counts = Arc::clone(&tables.counts);
        let clock = LaneClock(clock);
        let shared = (Arc::clone(&page), streams.clone());
        let task = Task { plan, idle, keep_warm, clock, tables, shared, mailbox, age_limit };
        let thread = thread::Builder::new()
            .name(format!("lane-{}", plan.queue))
            .spawn(move || match queue {
                CardQueue::Xdp(queue) => task.run(*queue, &taker, &started),
                CardQueue::Stamped(queue) => task.run(*queue, &taker, &started),
                CardQueue::Departing(queue) => task.run(*queue, &taker, &started),
                CardQueue::StampedDeparting(queue) => task.run(*queue, &taker, &started),
                CardQueue::Memif(queue) => task.run(*queue, &taker, &started),
            })
            .map_err(|cause| {
                Error::Failed(format!("no thread for the lane of queue {}: {cause}", plan.queue))
            })?;
        let running = Self {
            plan,
            thread: Some(thread),
            tables: sender,
            counts,
            tables_under_way: 0,
            next_hops: None,
            page,
            streams,
            watched: None,
            orders: giver,
            held_before: 0,
        };
        running.wait_until_started(&starting)
    }

    fn wait_until_started(mut self, starting: &Receiver<Result<Thread, String>>) -> Result<Self, Error> {
        let why = match starting.recv_timeout(START_PATIENCE) {
            Ok(Ok(thread)) => {
                self.watched = Some(thread);
                return Ok(self);
            }
            Ok(Err(why)) => why,
            Err(RecvTimeoutError::Timeout) => format!("it has not started within {START_PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => "its thread has ended".to_owned(),
        };
        Err(Error::Failed(format!("lane of queue {} on core {}: {why}", self.plan.queue, self.plan.core)))
    }

    /// Exchanges the lane's tables; returns when the lane answers by the new ones, with what it has counted of the routes of the
    /// old ones.
    pub(super) fn exchange(&mut self, tables: LaneTables) -> Result<Vec<RouteTotals>, Error> {
        self.collect();
        let counts = Arc::clone(&tables.counts);
        if let Err(MailboxFull(_)) = self.tables.send(Box::new(tables)) {
            return Err(self.does_not_take());
        }
        self.tables_under_way += 1;
        let deadline = Instant::now() + MAILBOX_PATIENCE;
        while self.tables_under_way > 0 {
            if Instant::now() >= deadline {
                return Err(self.does_not_take());
            }
            thread::sleep(LOOK_INTERVAL);
            self.collect();
        }
        let before = std::mem::replace(&mut self.counts, counts);
        Ok(before.iter().map(RouteCount::read).collect())
    }

    /// What the lane has counted of the route with this number by the tables that it has.
    pub(super) fn route_count(&self, number: usize) -> RouteTotals {
        self.counts.get(number).map(RouteCount::read).unwrap_or_default()
    }

    /// Frees what the lane has given back. Each return says that one more of the tables sent is in force.
    fn collect(&mut self) {
        while self.tables_under_way > 0 && self.tables.collect() {
            self.tables_under_way -= 1;
        }
    }

    fn does_not_take(&self) -> Error {
        let LanePlan { queue, core } = self.plan;
        Error::Failed(format!(
            "the lane of queue {queue} does not take new tables: core {core} is busy with something else"
        ))
    }

    /// Tells the lane new ways, once it has taken those before; they wait here until then.
    pub(super) fn tell_next_hops(&mut self, newer: Option<&NextHops>) {
        if let Some(newer) = newer {
            self.next_hops = Some(Box::new(newer.clone()));
        }
        if let Some(next_hops) = self.next_hops.take() {
            self.next_hops = self.tables.send_next_hops(next_hops).err().map(|MailboxFull(back)| back);
        }
    }

    /// Which gateways the lane has answered by since it was last asked.
    pub(super) fn gateways_used(&mut self) -> Option<GatewaysUsed> {
        self.tables.gateways_used()
    }

    /// Tells the lane the time of day.
    pub(super) fn tell_time(&mut self, wall: WallClock) {
        self.tables.tell_time(wall);
    }

    /// The same of the clocks of stamps.
    pub(super) fn tell_arrival_clock(&mut self, clock: ArrivalClock) {
        self.tables.tell_arrival_clock(clock);
    }

    /// What captures need of it; once.
    pub(super) fn lane_end(&mut self) -> Option<LaneEnd> {
        Some(LaneEnd { queue: self.plan.queue, taps: self.tables.take_taps()? })
    }

    /// What whoever asks whether it answers needs of it; once.
    pub(super) fn door(&mut self) -> Option<LaneDoor> {
        let inquiries = self.tables.take_inquiries()?;
        Some(LaneDoor::new(self.plan.queue, self.shared_page(), inquiries))
    }

    /// T3 − T2 of the lane's STAMP answers so far.
    pub(super) fn residence(&self) -> Histogram {
        self.page.residence.read()
    }

    /// Its core and its queue.
    pub(super) fn plan(&self) -> LanePlan {
        self.plan
    }

    /// Its thread, to be watched.
    pub(super) fn watched(&self) -> Option<Thread> {
        self.watched
    }

    /// Where it publishes.
    pub(super) fn page(&self) -> &Page {
        &self.page
    }

    /// Where it tells streams apart, if it does.
    pub(super) fn streams(&self) -> Option<&SharedStreams> {
        self.streams.as_deref()
    }

    /// The page, to be kept.
    pub(super) fn shared_page(&self) -> Arc<Page> {
        Arc::clone(&self.page)
    }

    /// What the lane has published.
    pub(super) fn counters(&self) -> Counters {
        self.page.read().unwrap_or_default().counters
    }

    /// Has the lane go on with another queue. Gives how many answers the one before has not sent.
    pub(super) fn exchange_queue(&mut self, queue: CardQueue) -> Result<u32, Error> {
        let mut before = self.orders.exchange(queue, MAILBOX_PATIENCE).ok_or_else(|| {
            let LanePlan { queue, core } = self.plan;
            Error::Failed(format!(
                "the lane of queue {queue} does not take another queue: core {core} is busy with something else"
            ))
        })?;
        self.held_before += before.held();
        Ok(before.unsent())
    }

    /// Tells the lane to stop; [`Running::join`] waits for it.
    pub(super) fn tell_to_stop(&self) {
        self.orders.stop();
    }

    /// Waits for the lane's end and gives what it leaves behind.
    pub(super) fn join(mut self) -> Result<Ended, Error> {
        let died = || Error::Failed(format!("the lane of queue {} has died", self.plan.queue));
        let (counters, held) = self.thread.take().ok_or_else(died)?.join().map_err(|_| died())?;
        let (queue, held) = (self.plan.queue, held + self.held_before);
        let unsent = self.page.read().map_or(0, |published| published.depths.tx);
        let unsent = u32::try_from(unsent).unwrap_or(u32::MAX);
        Ok(Ended { counters, residence: self.residence(), held, queue, unsent })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tell_to_stop();
        // Whoever wanted its counters has called `join`.
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// What a lane's thread is given, beside its queue.
struct Task {
    plan: LanePlan,
    idle: Idle,
    keep_warm: Option<Ns>,
    clock: LaneClock,
    tables: LaneTables,
    /// What others read of it.
    shared: (Arc<Page>, Option<Arc<SharedStreams>>),
    mailbox: Mailbox,
    age_limit: Option<Ns>,
}

impl Task {
    /// The thread. Pins itself, warms up, says that it has started, and spins. Gives what it counted, and the frames that it
    /// still holds.
    fn run(
        self,
        queue: impl Held,
        orders: &Taker,
        started: &SyncSender<Result<Thread, String>>,
    ) -> (Counters, i64) {
        let Self { plan, idle, keep_warm, clock, tables, shared: (page, streams), mailbox, age_limit } = self;
        let lane = Lane::new(queue, Box::new(tables), clock, page, mailbox);
        let mut lane = lane.with_age_limit(age_limit).with_streams(streams);
        if let Err(error) = host::cores::pin(plan.core) {
            let _gone = started.try_send(Err(error.to_string()));
            return (lane.counters().clone(), lane.queue().held());
        }
        spin(&mut lane, &clock, TURNS_WARM);
        let _gone = started.try_send(Ok(Thread::current()));
        let mut sleeper = Sleeper::of(idle, &clock);
        let mut warmer = keep_warm.map(|after| Warmer::new(after, &clock));
        loop {
            match orders.look() {
                Order::GoOn => match &mut sleeper {
                    None => {
                        spin(&mut lane, &clock, TURNS_PER_LOOK);
                        if let Some(warmer) = &mut warmer {
                            warmer.look(&mut lane, &clock);
                        }
                    }
                    Some(sleeper) => sleeper.bout(&mut lane, &clock, TURNS_PER_LOOK),
                },
                Order::Exchange => orders.exchange(lane.queue_mut()),
                Order::Stop => break,
            }
        }
        // What was redirected before the claims went away is still answered.
        spin(&mut lane, &clock, TURNS_PER_LOOK);
        lane.publish();
        (lane.counters().clone(), lane.queue().held())
    }
}

#[inline]
fn spin<Q: Queue, C: telemetry::Clock>(lane: &mut Lane<Q, C>, clock: &C, turns: u32) {
    for _ in 0..turns {
        lane.turn(clock.now());
    }
}

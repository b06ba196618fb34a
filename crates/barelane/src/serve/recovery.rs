//! An interface that goes away while it is served, and comes back.
//!
//! ```text
//!   served ──gone──▶ nothing is claimed, the program detached ──one of that name──▶ plan, program, sockets,
//!     ▲                lanes turn over empty rings, and keep                        are the addresses free?
//!     │                what they have counted                                              │
//!     └──────────────── announce ◀── claims ◀── tables ◀── queues to the lanes ◀───────────┘
//! ```
//!
//! Whoever takes a network card out, or has a virtual interface made anew, wants the server to go on when it is back, and does
//! not want to lose what was counted. So the lanes' threads stay, with their counters, their pages and their mailboxes; only
//! their queues are exchanged. The interface that comes back may be another one: its index, its Ethernet address, its driver and
//! its MTU are looked at anew, by the configuration in force. What keeps it from being served is said once and tried again.

use std::mem;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::groups::SolicitedNode;
use host::links;
use nic::xdp::{XdpQueue, XdpSocket};

use super::address_check::{self, Announced};
use super::lanes::CardQueue;
use super::next_hops::KernelWays;
use super::server::{Server, addresses_to_look_after, check_addresses, nothing, refusal};
use super::tell;
use crate::config::Hold;
use crate::error::Error;
use crate::events::{Event, News};
use crate::plan::{CardPlan, Facts, Plan};

/// How often is looked for an interface that is gone: how late its return is noticed. A look takes some ten microseconds.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long the pause after a try that failed is at most; each is twice as long as the one before. A try takes the program off
/// and on, some ten milliseconds of a core that lanes may need.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Whether anything can come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LinkWord {
    #[default]
    Up,
    Down,
    Gone,
}

impl LinkWord {
    /// As the side channel has it.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Gone => "gone",
        }
    }
}

/// The time without an interface.
#[derive(Debug)]
pub(super) struct Absence {
    began: Instant,
    due: Instant,
    pause: Duration,
    /// Why it was not taken again at the last try.
    said: String,
}

impl Absence {
    fn new() -> Self {
        let began = Instant::now();
        Self { began, due: began + LOOK_INTERVAL, pause: LOOK_INTERVAL, said: String::new() }
    }

    /// How long it has been.
    pub(super) fn length(&self) -> Duration {
        self.began.elapsed()
    }

    /// Puts the next look off; gives what to tell, if it was not told at the last try.
    fn put_off(&mut self, nic: &str, error: &Error) -> Option<News> {
        self.pause = (2 * self.pause).min(PAUSE_MAX);
        self.due = Instant::now() + self.pause;
        let reason = error.to_string();
        if self.said == reason {
            return None;
        }
        self.said.clone_from(&reason);
        let line = format!("the interface is there, and cannot be served yet: {reason}");
        Some(News::new(Event::InterfaceRefused { nic: nic.to_owned(), reason }, line))
    }
}

/// An interface that can be served again.
struct Ready {
    plan: Plan,
    queues: Vec<XdpQueue<XdpSocket>>,
    /// The addresses to look after.
    ours: Vec<IpAddr>,
    groups: Option<SolicitedNode>,
    kernel_ways: Option<KernelWays>,
}

impl Server {
    /// Whether the interface is gone, and has not come back yet.
    pub(super) const fn is_without_interface(&self) -> bool {
        self.absence.is_some()
    }

    /// Whether anything can come.
    pub(super) const fn link(&self) -> LinkWord {
        if self.is_without_interface() { LinkWord::Gone } else { self.link }
    }

    /// Whether there is no interface, and it is time to look for one: then [`Server::try_again`] is to be called.
    pub(super) fn is_due_to_try_again(&self) -> bool {
        self.absence.as_ref().is_some_and(|absence| Instant::now() >= absence.due)
    }

    /// Looks whether the interface has gone away. Gives what to tell. To be called some ten times a second for as long as the server
    /// runs.
    pub(super) fn look_whether_it_went(&mut self) -> Result<Vec<News>, Error> {
        let Some(program) = self.card.program().filter(|_| !self.is_without_interface()) else {
            return Ok(Vec::new());
        };
        if !program.has_lost_interface()? {
            return Ok(Vec::new());
        }
        self.claim(&nothing(&self.plan))?;
        self.let_go()?;
        self.absence = Some(Absence::new());
        Ok(vec![tell::gone(&self.plan)])
    }

    /// Leaves the interface, if there is one, as it was before it was served.
    fn let_go(&mut self) -> Result<(), Error> {
        self.groups = None;
        self.card.detach()
    }

    /// Looks for an interface of that name, and takes it if there is one. Gives what to tell. What the interface or the host refuses
    /// is tried again; fails where a lane does not follow, for it may have the new queue then, and no other can be bound.
    pub(super) fn try_again(&mut self, stop: &AtomicBool) -> Result<Vec<News>, Error> {
        let Some(absence) = &mut self.absence else { return Ok(Vec::new()) };
        absence.due = Instant::now() + LOOK_INTERVAL;
        match self.prepare_again(stop) {
            Ok(None) => Ok(Vec::new()),
            Ok(Some(ready)) => {
                let mut news = self.take_again(ready)?;
                news.extend(self.absence.take().map(|absence| tell::back(self, &absence)));
                Ok(news)
            }
            Err(error) => {
                self.let_go()?;
                let nic = &self.plan.facts.link.name;
                let news = self.absence.as_mut().and_then(|absence| absence.put_off(nic, &error));
                Ok(news.into_iter().collect())
            }
        }
    }

    /// The plan for the interface as it is now; nothing where there is none of that name.
    fn plan_again(&self, stop: &AtomicBool) -> Result<Option<Plan>, Error> {
        let config = &self.plan.config;
        if links::link(&config.nic.interface).is_err() {
            return Ok(None);
        }
        Facts::settle(config, stop)?;
        let mut plan = Plan::resolve(config, Facts::gather(config)?)?;
        // What is fixed while lanes run: which of them has which queue.
        plan.lanes.clone_from(&self.plan.lanes);
        plan.placement.clone_from(&self.plan.placement);
        if let CardPlan::Xdp(settings) = &mut plan.card {
            settings.queues = plan.lanes.iter().map(|lane| lane.queue).collect();
        }
        plan.admin.clone_from(&self.plan.admin);
        warn_of_interrupts(&mut plan);
        Ok(Some(plan))
    }

    /// Everything that can be refused, in the order of a start: nothing is claimed yet, and the lanes have their old queues.
    /// Nothing where there is no interface of that name, or `stop` is set.
    fn prepare_again(&mut self, stop: &AtomicBool) -> Result<Option<Ready>, Error> {
        let Some(mut plan) = self.plan_again(stop)? else { return Ok(None) };
        // A queue in shared memory has no interface that could go.
        let CardPlan::Xdp(settings) = &plan.card else { return Ok(None) };
        let queues = self.card.attach_again(settings).map_err(refusal)?;
        let ours: Vec<IpAddr> = addresses_to_look_after(&plan);
        let groups = address_check::join_groups(&plan, &ours)?;
        let kernel_ways = KernelWays::of(&plan)?;
        check_addresses(&mut plan, &ours, stop)?;
        let ready = Ready { plan, queues, ours, groups, kernel_ways };
        Ok((!stop.load(Ordering::Relaxed)).then_some(ready))
    }

    /// The lanes go on with the new queues and by the new tables, and then packets come to them. Gives what to tell.
    fn take_again(
        &mut self,
        Ready { plan, queues, ours, groups, kernel_ways }: Ready,
    ) -> Result<Vec<News>, Error> {
        self.exchange_queues(queues)?;
        self.go_by(kernel_ways)?;
        self.exchange_tables(&plan)?;
        self.claim(&plan.claims())?;
        self.set_plan(plan);
        (self.groups, self.link) = (groups, LinkWord::Up);
        self.return_count += 1;
        let mut news: Vec<News> = self.plan.warnings.iter().map(News::warning).collect();
        // Where it is gone again already, the next look hears of it.
        match Announced::once(&self.plan, ours) {
            Ok(announced) => self.announced = announced,
            Err(error) => news.push(News::warning(error)),
        }
        Ok(news)
    }

    /// Gives the lanes new queues. Answers that the ones before have not sent are counted as lost with the interface.
    fn exchange_queues(&mut self, queues: Vec<XdpQueue<XdpSocket>>) -> Result<(), Error> {
        for (lane, queue) in self.lanes.iter_mut().zip(queues) {
            let queue = CardQueue::of_interface(queue, &self.plan.card);
            let unsent = lane.exchange_queue(queue)?;
            self.card.count_lost(lane.plan().queue, unsent);
        }
        Ok(())
    }

    /// Notes whether the link carries, as was just looked at. Where it does again, the addresses are announced anew: switches may
    /// have forgotten where they are.
    pub(super) fn note_link(&mut self, is_running: bool) -> Result<(), Error> {
        let link = if is_running { LinkWord::Up } else { LinkWord::Down };
        let before = mem::replace(&mut self.link, link);
        if (before, link) == (LinkWord::Down, LinkWord::Up) {
            self.announced = Announced::once(&self.plan, self.plan.own_addresses().collect())?;
        }
        Ok(())
    }
}

/// What was moved for the interface before is not moved for the next one.
fn warn_of_interrupts(plan: &mut Plan) {
    if plan.config.serve.hold.as_ref().is_some_and(|holds| holds.contains(&Hold::Irqs)) {
        plan.warnings.push(
            "hold: the interrupts of the interface that has come back are where the kernel puts them; start the server again \
             to have them leave the lanes' cores"
                .to_owned(),
        );
    }
}

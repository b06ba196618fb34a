//! AF_XDP: a queue of a network card in the process's own memory, and the program that decides what goes there.
//!
//! ```text
//!             ┌──────────── kernel ────────────┐
//!   wire ────▶│ driver ─▶ XDP program ─┬─ PASS ┼──▶ the kernel's own stack: whatever nobody claims
//!             │             │          └─ xsk ─┼──▶ XdpQueue ─▶ lane
//!   wire ◀────┼─ driver ◀───┘ TX               │                 │
//!   wire ◀────┼─ driver ◀──────────────────────┼─── XdpQueue ◀───┘
//!             └────────────────────────────────┘
//! ```
//!
//! | file | one kernel concept |
//! |---|---|
//! | `umem`, `lent` | the packet memory that kernel and lane take turns with |
//! | `rings` | the four rings of a socket |
//! | `queue` | rings and memory as a lane sees them: [`Queue`](crate::Queue) |
//! | `stamped`, `departing` | the same queue, whose frames say when they came, and when they left |
//! | `socket` | AF_XDP socket, bind, counts |
//! | `again` | an interface that goes away under its sockets, and comes again |
//! | `sleep` | waiting for packets without spinning |
//! | `claims` | what is taken from the kernel, and where it is answered |
//! | `refinements` | the part of it that depends on who asks, on VLANs and on ranges of ports |
//! | `next_hops`, `sources` | the ways to askers that are not on the link, and how a source's prefix is found |
//! | `image` | all of it as the program reads it |
//! | `program` | the XDP program, its maps, attaching it |
//! | [`dry_run`] | the program on frames that no wire has brought |
//! | `stand_in` | the same of a card that serves, in the wire's place |
//! | [`bare`] | programs that do one thing, to be measured against |
//! | [`generator`] | frames that the kernel sends by itself, to measure with |
//! | `vlans` | which VLANs of the link are looked at |
//! | `bpf`, `sys`, `interface` | bpf(2), the other system calls, and what the kernel says of an interface |
//! | [`objects`] | whether a program or a map is still there |
//! | `testing` | the kernel's side in memory, for tests and instruction counts |
//!
//! The program is attached by a link, whose descriptor the [`Attachment`] holds: when it is dropped, or the process
//! ends in whatever way, the kernel detaches the program and everything is the kernel's again.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

mod again;
pub mod bare;
mod bpf;
mod claims;
mod departing;
pub mod dry_run;
mod error;
pub mod generator;
mod image;
mod interface;
mod lent;
mod next_hops;
pub mod objects;
mod program;
mod queue;
mod refinements;
mod rings;
mod routes;
mod sleep;
mod socket;
mod sources;
mod stamped;
mod stand_in;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;
mod umem;
mod vlans;

pub use claims::{
    Answers, Claim, ClaimKey, ClaimedAddress, Claims, Owner, PartialChecksums, RefinedKey, Tier,
};
pub use departing::{Departing, OverXdp, TransmitStamps};
pub use error::{AttachedProgram, XdpError};
pub use next_hops::NextHops;
use program::{Attached, Program};
pub use program::{CLAIMS_MAX, COUNT_MAX, Mode, ModeChoice, OWNED_MAX, PROGRAM_NAME, QUEUES_MAX};
pub use queue::{Kernel, Kick, Kicks, Wake, XdpQueue};
pub use refinements::{LIMIT_COUNT_MAX, Limit, Refinements, SourceLimit, Verdict};
pub use routes::{ROUTES_COUNTED_MAX, RouteCount};
use socket::{Bound, Prepared, Watch};
pub use socket::{BusyPoll, Statistics, XdpSocket};
pub use sources::Sources;
pub use stamped::{ArrivalStamps, Stamped};
pub use stand_in::{Entrance, Judged, StandIn};
pub use umem::{Layout, PageSize, RING_SIZE_MAX, RING_SIZE_MIN};
pub use vlans::{VlanError, Vlans};

/// The ring size where none is given: room for 1,024 packets that wait, 3 ms of what a veth delivers at its best.
/// Smaller loses packets when the lane's core is taken away for a moment; larger spreads the frames over more memory
/// than the second-level cache holds.
pub const RING_SIZE_DEFAULT: u32 = 2048;

/// Whether packets are to be read and written in place by the card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroCopyChoice {
    /// Where the driver can, else copied.
    #[default]
    Auto,
    /// In place or an error.
    Yes,
    /// Copied.
    No,
}

/// How a card is to be opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The interface's name, for messages.
    pub interface: String,
    /// The interface's index.
    pub ifindex: u32,
    /// The queues to take, one for each lane.
    pub queues: Vec<u32>,
    /// Where the program runs.
    pub mode: ModeChoice,
    /// Whether packets are copied.
    pub zero_copy: ZeroCopyChoice,
    /// Who wakes whom.
    pub wake: Wake,
    /// Whether its lanes sleep where nothing comes: then the kernel may poll the NIC while they wait.
    pub may_sleep: bool,
    /// Slots of the fill and the receive ring; the transmit and the completion ring have half as many.
    pub ring_size: u32,
    /// The interface's MTU.
    pub mtu: u32,
    /// The NUMA node that the card is on, for the packet memory.
    pub numa_node: Option<u32>,
    /// Whether frames say when they came: see [`Stamped`].
    pub arrivals: ArrivalStamps,
    /// Whether frames that were sent say when they left: see [`Departing`].
    pub departures: TransmitStamps,
}

impl Settings {
    /// Queue 0 of an interface, everything else as it is best where nothing is known.
    pub fn new(interface: &str, ifindex: u32, mtu: u32) -> Self {
        Self {
            interface: interface.to_owned(),
            ifindex,
            queues: vec![0],
            mode: ModeChoice::Auto,
            zero_copy: ZeroCopyChoice::Auto,
            wake: Wake::NeedWakeup,
            may_sleep: false,
            ring_size: RING_SIZE_DEFAULT,
            mtu,
            numa_node: None,
            arrivals: ArrivalStamps::None,
            departures: TransmitStamps::None,
        }
    }

    /// What is wrong with them, so far as it can be said without a kernel; else how the packet memory is cut up.
    pub fn check(&self) -> Result<Layout, XdpError> {
        if self.queues.is_empty() {
            return Err(XdpError::QueuesMissing);
        }
        let mut seen = BTreeSet::new();
        for &queue in &self.queues {
            if queue >= QUEUES_MAX {
                return Err(XdpError::QueueNumber { queue, max: QUEUES_MAX - 1 });
            }
            if !seen.insert(queue) {
                return Err(XdpError::QueueTwice { queue });
            }
        }
        if self.zero_copy == ZeroCopyChoice::Yes && self.mode == ModeChoice::Generic {
            return Err(XdpError::ZeroCopyGeneric);
        }
        if self.zero_copy == ZeroCopyChoice::Yes && self.departures == TransmitStamps::Kernel {
            return Err(XdpError::TransmitClock { interface: self.interface.clone() });
        }
        Layout::new(self.ring_size, self.mtu, &self.interface)
    }
}

/// A program that is attached, with its maps and the means to watch its queues. Dropping it detaches.
///
/// Drop it before its queues: then what they would have answered is the kernel's at once. While it lives, what is
/// claimed goes to a queue even if nobody reads there.
#[derive(Debug)]
pub struct Attachment {
    /// First, so that nothing is redirected any more when the maps go. Nothing while the interface is gone.
    link: Option<OwnedFd>,
    program: Program,
    watches: Vec<Watch>,
    /// What was counted for sockets that are no more, by queue: each of the queues is there.
    before: BTreeMap<u32, Statistics>,
    mode: Mode,
    why_not_native: Option<String>,
    is_zero_copy: bool,
    page_size: PageSize,
}

/// Opens queues of a card: memory, rings, program, sockets, claims, in this order, so that at no moment anything is
/// redirected to where nobody is.
///
/// Where it fails, the interface is as it was before.
pub fn open(
    settings: &Settings,
    claims: &Claims,
) -> Result<(Attachment, Vec<XdpQueue<XdpSocket>>), XdpError> {
    let prepared = prepare(settings)?;
    let queue_count = settings.queues.iter().max().map_or(1, |last| last + 1);
    let nothing = Claims { mac: claims.mac, ..Claims::default() };
    let mut program = Program::load(queue_count, &nothing, settings.arrivals)?;
    let Taken { attached, watches, queues, is_zero_copy, page_size } = take(settings, prepared, &program)?;
    program.set_claims(claims)?;
    let attachment = Attachment {
        link: Some(attached.link),
        program,
        watches,
        before: settings.queues.iter().map(|&queue| (queue, Statistics::default())).collect(),
        mode: attached.mode,
        why_not_native: attached.why_not_native,
        is_zero_copy,
        page_size,
    };
    Ok((attachment, queues))
}

/// Memory and rings for each queue: what can fail without touching the interface.
fn prepare(settings: &Settings) -> Result<Vec<Prepared>, XdpError> {
    let layout = settings.check()?;
    check_interface(settings)?;
    settings.queues.iter().map(|&queue| Prepared::new(settings, layout, queue)).collect()
}

/// An interface with the program on it and a socket on each queue.
struct Taken {
    attached: Attached,
    watches: Vec<Watch>,
    queues: Vec<XdpQueue<XdpSocket>>,
    is_zero_copy: bool,
    page_size: PageSize,
}

/// Attaches the program, binds the sockets, and enters them into the program's map.
fn take(settings: &Settings, prepared: Vec<Prepared>, program: &Program) -> Result<Taken, XdpError> {
    let attached = program.attach(settings)?;
    let bind = |socket: Prepared| socket.bind(settings, attached.mode);
    let bound = prepared.into_iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    for queue in &bound {
        program.set_socket(queue.watch.number, queue.watch.socket())?;
    }
    let is_zero_copy = bound.iter().all(|queue| queue.is_zero_copy);
    let has_huge_pages = bound.iter().all(|queue| queue.queue.page_size() == PageSize::Huge);
    let page_size = if has_huge_pages { PageSize::Huge } else { PageSize::Normal };
    let (watches, queues) = bound.into_iter().map(|Bound { watch, queue, .. }| (watch, queue)).unzip();
    Ok(Taken { attached, watches, queues, is_zero_copy, page_size })
}

/// In copy mode the kernel binds to an interface that is down, and then nothing ever comes.
fn check_interface(settings: &Settings) -> Result<(), XdpError> {
    let interface = settings.interface.clone();
    match interface::is_up(settings.ifindex) {
        None => Err(XdpError::InterfaceAbsent { interface, index: settings.ifindex }),
        Some(false) => Err(XdpError::InterfaceDown { interface }),
        Some(true) => Ok(()),
    }
}

impl Attachment {
    /// Where the program runs.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The kernel's reason for refusing native mode, where [`ModeChoice::Auto`] took generic.
    pub fn why_not_native(&self) -> Option<&str> {
        self.why_not_native.as_deref()
    }

    /// Whether the card reads and writes packets in place, on every queue.
    pub fn is_zero_copy(&self) -> bool {
        self.is_zero_copy
    }

    /// Which pages the packet memory has: huge only where it is so on every queue.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Makes other claims the ones in force, all of them at once: a packet is judged by the old ones or by the new ones.
    /// When this returns, no packet is judged by the old ones any more. Where it fails, they stay.
    ///
    /// Takes as long as the kernel takes to see every core pass a quiet point (RCU), some ten milliseconds.
    ///
    /// Gives what was counted of the old claims' routes since they were put in force.
    pub fn set_claims(&mut self, claims: &Claims) -> Result<Vec<RouteCount>, XdpError> {
        self.program.set_claims(claims)
    }

    /// What the program has counted of each route since the claims in force were put in force, on all cores together: of the
    /// first [`ROUTES_COUNTED_MAX`].
    pub fn route_counts(&self) -> Result<Vec<RouteCount>, XdpError> {
        self.program.route_counts()
    }

    /// The same for the ways to askers that are not on the link. Until they are set, such askers are not answered.
    pub fn set_next_hops(&mut self, next_hops: &NextHops) -> Result<(), XdpError> {
        self.program.set_next_hops(next_hops)
    }

    /// Which gateways the program has answered by since the last time, or since anything was put in force: a bit for each, by
    /// its index modulo 64.
    pub fn take_gateways_used(&self) -> Result<u64, XdpError> {
        self.program.take_gateways_used()
    }

    /// How often claims were put in force.
    pub fn generation(&self) -> u32 {
        self.program.generation()
    }

    /// What the program has counted, by the index of a row in THE counter table, on all cores together.
    pub fn counts(&self) -> Result<[u64; COUNT_MAX], XdpError> {
        self.program.counts()
    }

    /// The kernel's counts of each queue, over all sockets that it has had.
    pub fn statistics(&self) -> Result<Vec<(u32, Statistics)>, XdpError> {
        let watch = |queue| self.watches.iter().find(|watch| watch.number == queue);
        let now = |queue| watch(queue).map_or(Ok(Statistics::default()), Watch::statistics);
        self.before.iter().map(|(&queue, before)| Ok((queue, before.with(now(queue)?)))).collect()
    }

    /// Who drives the NIC, for each queue.
    pub fn busy_poll(&self) -> Result<Vec<(u32, BusyPoll)>, XdpError> {
        self.watches.iter().map(|watch| Ok((watch.number, watch.busy_poll()?))).collect()
    }
}

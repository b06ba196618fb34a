//! One `match`: each class has one responder, which writes the answer into the frame that the question came in.
//!
//! Every responder checks in the same order: that the asker can be asked back, that the packet is undamaged, that an
//! answer may be given. Only then does it write an answer, and at last finds its [next hop](next_hop). A frame that is passed
//! on is unchanged; in one that is dropped, what follows the packet may have been cleared, and a length trimmed, before the
//! checksum was found wrong, and an answer may stand in one that has no next hop.

mod arp;
mod closed;
mod datagram;
mod icmp;
mod ndp;
mod next_hop;
mod sockperf;
mod source;
mod stamp;
mod streams;
mod udp;

use std::sync::Arc;

use route::{Class, Decision, LaneTables, NextHops, Responder};
use telemetry::{Clock, Counters, Ns, Page, Reason, Tick, WallClock, WallTime};
use wire::headers::{Headers, Kind};
use wire::stamp::{ErrorEstimate, Format, Synchronised};

use crate::bucket::Bucket;
use crate::limits::Limits;
use crate::streams::Streams;
use crate::verdict::{Answer, Verdict};

/// How many ICMP errors may be sent at once, before the rate of [`LaneTables::errors_per_second`] holds.
const ERRORS_BURST: u32 = 10;

/// An address is defended against another host's use once in so long, at most (RFC 5227 2.4, `DEFEND_INTERVAL`).
const DEFENCE_INTERVAL_NS: Ns = Ns(10_000_000_000);

/// What a lane changes while it answers: counts and limits; and the clock, for answers that carry the time. Small,
/// private, in one place.
#[derive(Debug)]
pub struct State<C> {
    /// What was counted so far.
    pub counters: Counters,
    /// The route that took the last packet, or [`Decision::NO_ROUTE`].
    pub(crate) route: u16,
    errors: Bucket,
    pub(crate) limits: Limits,
    defences: Bucket,
    /// The ways to askers that are not on the link.
    pub(crate) next_hops: Box<NextHops>,
    /// Which gateways there were answers for, as [`GatewaysUsed`](crate::GatewaysUsed) says it.
    pub(crate) gateways_used: u64,
    pub(crate) clock: C,
    wall: WallClock,
    /// What an answer says of `wall`.
    error_estimate: ErrorEstimate,
    /// The last turn that found a packet whose answer says when, and that instant.
    found: (Tick, Tick),
    /// When the frame in hand came, in nanoseconds of the clock of arrival stamps; nothing where frames are not stamped.
    pub(crate) arrived: Option<u64>,
    /// There where streams are told apart.
    pub(crate) streams: Option<Box<Streams>>,
    /// Whose histogram of residence this lane writes.
    page: Arc<Page>,
}

impl<C: Clock> State<C> {
    /// Nothing counted, every limit untouched, the time of day unknown. `clock` is the lane's.
    pub fn new(tables: &LaneTables, clock: C, page: Arc<Page>) -> Self {
        let rate = clock.rate();
        let wall = WallClock::unset(rate);
        Self {
            counters: Counters::default(),
            route: Decision::NO_ROUTE,
            errors: Bucket::new(rate, tables.errors_per_second, ERRORS_BURST),
            limits: Limits::new(rate, &tables.limits),
            defences: Bucket::every(rate.ticks(DEFENCE_INTERVAL_NS), 1),
            next_hops: Box::default(),
            gateways_used: 0,
            clock,
            wall,
            error_estimate: estimate(wall),
            found: (Tick(u64::MAX), Tick(0)),
            arrived: None,
            streams: None,
            page,
        }
    }

    /// Notes which route takes the packet that is about to be answered, and counts it.
    #[inline(always)]
    pub(crate) fn take(&mut self, route: u16, tables: &LaneTables) {
        if cfg!(silent) {
            return;
        }
        self.route = route;
        if let Some(count) = tables.count(route) {
            count.take();
        }
    }

    /// Begins to hold the limits of new tables.
    pub(crate) fn set_limits(&mut self, tables: &LaneTables) {
        let rate = self.clock.rate();
        self.errors = Bucket::new(rate, tables.errors_per_second, ERRORS_BURST);
        self.limits.set(rate, &tables.limits);
    }

    /// The time of day of an instant of the lane's clock.
    pub(crate) fn wall_time(&self, tick: Tick) -> WallTime {
        self.wall.at(tick)
    }

    /// The time of day, by a look at the lane's clock.
    pub(crate) fn wall_time_now(&self) -> WallTime {
        self.wall_time(self.clock.now())
    }

    /// Begins to go by a newer line.
    pub(crate) fn set_wall(&mut self, wall: WallClock) {
        self.wall = wall;
        self.error_estimate = estimate(wall);
    }
}

/// What is true of an instant on this line.
fn estimate(wall: WallClock) -> ErrorEstimate {
    let synchronised = if wall.is_synchronised() { Synchronised::ToUtc } else { Synchronised::No };
    ErrorEstimate::new(wall.error().0, synchronised, Format::Ntp)
}

/// Answers a packet of a known class, in place.
pub fn respond<C: Clock>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    Verdict::of(answer(class, headers, room, tables, state, now))
}

/// The same on the road.
#[inline(always)]
pub(crate) fn answer<C: Clock>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Answer {
    let span = [headers.network, headers.end];
    match (headers.kind, class.responder) {
        (Kind::Udpv4, Responder::UdpEcho) => udp::answer_v4(class, headers, room, tables, state),
        (Kind::Udpv6, Responder::UdpEcho) => udp::answer_v6(class, headers, room, tables, state),
        (Kind::Icmpv4, Responder::Echo) => icmp::answer_v4(class, headers, room, tables, state),
        (Kind::Icmpv6, Responder::Echo) => icmp::answer_v6(class, headers, room, tables, state),
        (Kind::Arp, Responder::Arp) => arp::answer(class, headers, room, tables, state, now),
        (Kind::Solicitation, Responder::Neighbour) => ndp::answer(class, headers, room, tables),
        (Kind::Udpv4, Responder::UdpClosed) => Err(closed::answer_v4(class, span, room, tables, state, now)),
        (Kind::Udpv6, Responder::UdpClosed) => Err(closed::answer_v6(class, span, room, tables, state, now)),
        (kind @ (Kind::Udpv4 | Kind::Udpv6), Responder::Stamp | Responder::Sockperf) => {
            Err(match state.streams {
                None => answer_datagram(kind, class, span, room, tables, state, now),
                Some(_) => streams::answer(kind, class, span, room, tables, state, now),
            })
        }
        _ => Err(IMPOSSIBLE),
    }
}

/// The responders over UDP beside echo: those that write answers of their own. A match apart, which echo is told from by
/// one comparison; with all of them in one match it was a jump through a table, and seven instructions more.
#[inline(never)]
fn answer_datagram<C: Clock>(
    kind: Kind,
    class: Class,
    span: [usize; 2],
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    match (kind, class.responder) {
        (Kind::Udpv4, Responder::Stamp) => stamp::answer(Kind::Udpv4, class, span, room, tables, state, now),
        (Kind::Udpv6, Responder::Stamp) => stamp::answer(Kind::Udpv6, class, span, room, tables, state, now),
        (Kind::Udpv4, Responder::Sockperf) => sockperf::answer(Kind::Udpv4, class, span, room, tables, state),
        (Kind::Udpv6, Responder::Sockperf) => sockperf::answer(Kind::Udpv6, class, span, room, tables, state),
        _ => IMPOSSIBLE,
    }
}

/// What parsing and the tables exclude: a header that is not there, a host that no table holds, a responder of another
/// kind of packet. Not reached; should
/// it be, a packet is dropped and counted, and the process goes on.
const IMPOSSIBLE: Verdict = Verdict::Drop(Reason::FrameTruncated);

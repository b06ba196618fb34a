//! One `match`: each class has one responder, which writes the answer into the frame that the question came in.
//!
//! Every responder checks in the same order: that the asker can be asked back, that the packet is undamaged, that an
//! answer may be given. Only then does it write an answer. A frame that is passed on is unchanged; in one that is dropped,
//! what follows the packet may have been cleared, and a length trimmed, before the checksum was found wrong.

mod arp;
mod closed;
mod icmp;
mod ndp;
mod source;
mod udp;

use route::{Class, LaneTables, Responder};
use telemetry::{Counters, Ns, Reason, Tick, TickRate};
use wire::headers::{Headers, Kind};

use crate::bucket::Bucket;
use crate::verdict::{Answer, Verdict};

/// How many ICMP errors may be sent at once, before the rate of [`LaneTables::errors_per_second`] holds.
const ERRORS_BURST: u32 = 10;

/// An address is defended against another host's use once in so long, at most (RFC 5227 2.4, `DEFEND_INTERVAL`).
const DEFENCE_INTERVAL_NS: Ns = Ns(10_000_000_000);

/// What a lane changes while it answers: counts and limits. Small, private, in one place.
#[derive(Debug)]
pub struct State {
    /// What was counted so far.
    pub counters: Counters,
    errors: Bucket,
    defences: Bucket,
}

impl State {
    /// Nothing counted, every limit untouched. `rate` is the speed of the lane's clock.
    pub fn new(tables: &LaneTables, rate: TickRate) -> Self {
        Self {
            counters: Counters::default(),
            errors: Bucket::new(rate, tables.errors_per_second, ERRORS_BURST),
            defences: Bucket::every(rate.ticks(DEFENCE_INTERVAL_NS), 1),
        }
    }

    /// Begins to hold the limits of new tables.
    pub(crate) fn set_limits(&mut self, tables: &LaneTables, rate: TickRate) {
        self.errors = Bucket::new(rate, tables.errors_per_second, ERRORS_BURST);
    }
}

/// Answers a packet of a known class, in place.
pub fn respond(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State,
    now: Tick,
) -> Verdict {
    Verdict::of(answer(class, headers, room, tables, state, now))
}

/// The same on the road.
#[inline(always)]
pub(crate) fn answer(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State,
    now: Tick,
) -> Answer {
    let span = [headers.network, headers.end];
    match (headers.kind, class.responder) {
        (Kind::Udpv4, Responder::UdpEcho) => udp::answer_v4(class, headers, room, tables, state),
        (Kind::Udpv6, Responder::UdpEcho) => udp::answer_v6(class, headers, room, tables, state),
        (Kind::Icmpv4, Responder::Echo) => icmp::answer_v4(class, headers, room, tables),
        (Kind::Icmpv6, Responder::Echo) => icmp::answer_v6(class, headers, room, tables),
        (Kind::Arp, Responder::Arp) => arp::answer(class, headers, room, tables, state, now),
        (Kind::Solicitation, Responder::Neighbour) => ndp::answer(class, headers, room, tables),
        (Kind::Udpv4, Responder::UdpClosed) => Err(closed::answer_v4(class, span, room, tables, state, now)),
        (Kind::Udpv6, Responder::UdpClosed) => Err(closed::answer_v6(class, span, room, tables, state, now)),
        _ => Err(IMPOSSIBLE),
    }
}

/// What parsing and the tables exclude: a header that is not there, a host that no table holds, a responder of another
/// kind of packet. Not reached; should
/// it be, a packet is dropped and counted, and the process goes on.
const IMPOSSIBLE: Verdict = Verdict::Drop(Reason::FrameTruncated);

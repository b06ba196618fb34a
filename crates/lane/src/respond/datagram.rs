//! What the services over UDP that write answers of their own have in common: the checks before the answer, and the way
//! back. Echo does the same in [`udp`](super::udp), in fewer instructions, since its answer's checksum is its question's.

use route::{Class, LaneTables};
use telemetry::{Counter, Reason};
use wire::headers::{Headers, Kind};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp::{self, Checksum};

use super::source::{may_ask_v4, may_ask_v6};
use super::udp::{check_odd, refuses_source};
use super::{IMPOSSIBLE, State, next_hop};
use crate::verdict::Verdict;

/// A datagram that may be answered, with its headers cut to its end, and what its IP header says that an answer may need.
pub(super) struct Question {
    pub(super) headers: Headers,
    /// The TTL or hop limit that it came with.
    pub(super) ttl: u8,
    /// Whether its asker is on the link of the address that was asked.
    pub(super) is_on_link: bool,
}

/// Lets a datagram in that echo would answer, for the same reasons. What follows its end is cleared, as far as
/// [`Summer::sum_and_clear`](wire::checksum::Summer::sum_and_clear) does.
#[inline(always)]
pub(super) fn admit<C>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Result<Question, Verdict> {
    let headers = if udp::is_shorter(room, headers) {
        udp::trim(room, headers.network, headers.kind).ok_or(IMPOSSIBLE)?
    } else {
        headers
    };
    let Source { may_ask, ttl, is_on_link } = source(class, headers, room, tables).ok_or(IMPOSSIBLE)?;
    if !may_ask {
        return Err(Verdict::Drop(Reason::SourceInvalid));
    }
    if refuses_source(headers, room, tables) {
        return Err(Verdict::Drop(Reason::UdpSourcePort));
    }
    let checksum = udp::check_and_clear(room, headers, &tables.checksum);
    if checksum != Checksum::Right {
        check_odd(checksum, headers.kind, tables).map_err(Verdict::Drop)?;
        if checksum == Checksum::Partial {
            state.counters.count(Counter::UdpChecksumPartial);
        }
    }
    Ok(Question { headers, ttl, is_on_link })
}

/// What the IP header says of the asker.
struct Source {
    may_ask: bool,
    ttl: u8,
    is_on_link: bool,
}

#[inline(always)]
fn source(class: Class, headers: Headers, room: &[u8], tables: &LaneTables) -> Option<Source> {
    Some(if headers.kind == Kind::Udpv4 {
        let (ip, host) = (Ipv4::of(room, headers.network)?, tables.host4(class)?);
        Source { may_ask: may_ask_v4(ip.src, host), ttl: ip.ttl, is_on_link: host.is_on_link(ip.src) }
    } else {
        let (ip, host) = (Ipv6::of(room, headers.network)?, tables.host6(class)?);
        Source { may_ask: may_ask_v6(ip.src, host), ttl: ip.hop_limit, is_on_link: host.is_on_link(ip.src) }
    })
}

/// Turns the three headers round, towards who asked. The checksum is left to the caller.
#[inline(always)]
pub(super) fn turn_round<C>(
    class: Class,
    question: &Question,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Result<(), Verdict> {
    turn_packet_round(class, question.headers, room, tables).ok_or(IMPOSSIBLE)?;
    next_hop::address(question.is_on_link, question.headers, room, tables, state)
}

#[inline(always)]
fn turn_packet_round(class: Class, headers: Headers, room: &mut [u8], tables: &LaneTables) -> Option<()> {
    if headers.kind == Kind::Udpv4 {
        tables.host4(class)?.udp.answer(room, headers)?;
    } else {
        tables.host6(class)?.ipv6.answer(room, headers)?;
    }
    udp::turn_round(room, headers)
}

//! UDP echo (RFC 862), with every check of RFC 768, RFC 1122 4.1.3 and RFC 8200 8.1.

use route::{Class, LaneTables, PartialChecksums};
use telemetry::{Counter, Reason};
use wire::ethernet;
use wire::headers::{Headers, Kind};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp::{self, Checksum, Udp};

use super::source::{may_ask_v4, may_ask_v6};
use super::{IMPOSSIBLE, State};
use crate::verdict::Verdict;

#[inline(always)]
pub(super) fn answer_v4(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State,
) -> Verdict {
    let Some(host) = tables.host4(class) else { return IMPOSSIBLE };
    let Some(ip) = Ipv4::of(room, headers.network) else { return IMPOSSIBLE };
    if !may_ask_v4(ip.src, host) {
        return Verdict::Drop(Reason::SourceInvalid);
    }
    let checksum = match check(headers, room, tables) {
        Ok(checksum) => checksum,
        Err(reason) => return Verdict::Drop(reason),
    };
    let Some(headers) = datagram(headers, room) else { return IMPOSSIBLE };
    let Some(()) = host.udp.answer(room, headers) else { return IMPOSSIBLE };
    reply(checksum, headers, room, tables, state)
}

#[inline(always)]
pub(super) fn answer_v6(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State,
) -> Verdict {
    let Some(host) = tables.host6(class) else { return IMPOSSIBLE };
    let Some(ip) = Ipv6::of(room, headers.network) else { return IMPOSSIBLE };
    if !may_ask_v6(ip.src, host) {
        return Verdict::Drop(Reason::SourceInvalid);
    }
    let checksum = match check(headers, room, tables) {
        Ok(checksum) => checksum,
        Err(reason) => return Verdict::Drop(reason),
    };
    let Some(headers) = datagram(headers, room) else { return IMPOSSIBLE };
    let Some(()) = host.ipv6.answer(room, headers) else { return IMPOSSIBLE };
    reply(checksum, headers, room, tables, state)
}

/// What the checksum says, if the datagram is undamaged and its port may be answered.
#[inline(always)]
fn check(headers: Headers, room: &[u8], tables: &LaneTables) -> Result<Checksum, Reason> {
    let Some(udp) = Udp::of(room, headers.transport()) else { return Err(Reason::UdpLength) };
    if tables.refuses_source(udp.src.get()) {
        return Err(Reason::UdpSourcePort);
    }
    let checksum = udp::check(room, headers, &tables.checksum);
    if checksum == Checksum::Right { Ok(checksum) } else { check_odd(checksum, headers.kind, tables) }
}

/// What is to be said of a datagram whose checksum is not simply right.
#[cold]
pub(super) fn check_odd(checksum: Checksum, kind: Kind, tables: &LaneTables) -> Result<Checksum, Reason> {
    match checksum {
        Checksum::Absent if kind == Kind::Udpv6 => Err(Reason::UdpChecksumMissing),
        Checksum::Partial if tables.partial_checksums == PartialChecksums::Refuse => Err(Reason::UdpChecksum),
        Checksum::Wrong => Err(Reason::UdpChecksum),
        Checksum::Right | Checksum::Absent | Checksum::Partial => Ok(checksum),
    }
}

/// The headers of the datagram alone: IP payload behind it is not echoed.
#[inline(always)]
fn datagram(headers: Headers, room: &mut [u8]) -> Option<Headers> {
    if udp::is_shorter(room, headers) {
        udp::trim(room, headers.network, headers.kind)
    } else {
        Some(headers)
    }
}

/// Sends the datagram back. Its checksum stays right where it was: addresses and ports only change places in the sum.
#[inline(always)]
fn reply(
    checksum: Checksum,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State,
) -> Verdict {
    let Some(()) = udp::turn_round(room, headers) else { return IMPOSSIBLE };
    if checksum != Checksum::Right {
        complete(checksum, [headers.network, headers.end], headers.kind, room, tables, state);
    }
    let Some(()) = ethernet::turn_round(room, tables.mac) else { return IMPOSSIBLE };
    Verdict::reply(room, headers.end, Counter::RepliedUdp)
}

/// Gives the answer the checksum that the question did not have: a host sends one by default (RFC 1122 4.1.3.4).
#[cold]
#[inline(never)]
fn complete(
    checksum: Checksum,
    [network, end]: [usize; 2],
    kind: Kind,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State,
) {
    if checksum == Checksum::Partial {
        state.counters.count(Counter::UdpChecksumPartial);
    }
    let completed = udp::set_checksum(room, Headers { network, end, selector: 0, kind }, &tables.checksum);
    debug_assert!(completed.is_some(), "the headers lie in the room");
}

//! UDP echo (RFC 862), with every check of RFC 768, RFC 1122 4.1.3 and RFC 8200 8.1.

use route::{Class, Host4, Host6, LaneTables, PartialChecksums};
use telemetry::{Counter, Reason};
use wire::ethernet;
use wire::headers::{Headers, Kind};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp::{self, Checksum, Udp};

use super::source::{may_ask_v4, may_ask_v6};
use super::{IMPOSSIBLE, State, next_hop};
use crate::verdict::{Answer, Reply, Verdict};

#[inline(always)]
pub(super) fn answer_v4<C>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Answer {
    if udp::is_shorter(room, headers) {
        return Err(answer_trimmed(class, headers.network, Kind::Udpv4, room, tables, state));
    }
    let host = tables.host4(class).ok_or(IMPOSSIBLE)?;
    let ip = Ipv4::of(room, headers.network).ok_or(IMPOSSIBLE)?;
    if !may_ask_v4(ip.src, host) {
        return Err(Verdict::Drop(Reason::SourceInvalid));
    }
    if !host.is_on_link(ip.src) {
        return Err(answer_by_route(class, [headers.network, headers.end], Kind::Udpv4, room, tables, state));
    }
    reply_v4(class, host, headers, room, tables, state)
}

#[inline(always)]
fn reply_v4<C>(
    class: Class,
    host: &Host4,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Answer {
    if refuses_source(headers, room, tables) {
        return Err(Verdict::Drop(Reason::UdpSourcePort));
    }
    match udp::check_and_clear(room, headers, &tables.checksum) {
        Checksum::Right => {
            host.udp.answer(room, headers).ok_or(IMPOSSIBLE)?;
            reply(headers, room, tables)
        }
        checksum => {
            Err(answer_odd(checksum, class, [headers.network, headers.end], Kind::Udpv4, room, tables, state))
        }
    }
}

#[inline(always)]
pub(super) fn answer_v6<C>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Answer {
    if udp::is_shorter(room, headers) {
        return Err(answer_trimmed(class, headers.network, Kind::Udpv6, room, tables, state));
    }
    let host = tables.host6(class).ok_or(IMPOSSIBLE)?;
    let ip = Ipv6::of(room, headers.network).ok_or(IMPOSSIBLE)?;
    if !may_ask_v6(ip.src, host) {
        return Err(Verdict::Drop(Reason::SourceInvalid));
    }
    if !host.is_on_link(ip.src) {
        return Err(answer_by_route(class, [headers.network, headers.end], Kind::Udpv6, room, tables, state));
    }
    reply_v6(class, host, headers, room, tables, state)
}

#[inline(always)]
fn reply_v6<C>(
    class: Class,
    host: &Host6,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Answer {
    if refuses_source(headers, room, tables) {
        return Err(Verdict::Drop(Reason::UdpSourcePort));
    }
    match udp::check_and_clear(room, headers, &tables.checksum) {
        Checksum::Right => {
            host.ipv6.answer(room, headers).ok_or(IMPOSSIBLE)?;
            reply(headers, room, tables)
        }
        checksum => {
            Err(answer_odd(checksum, class, [headers.network, headers.end], Kind::Udpv6, room, tables, state))
        }
    }
}

/// The answer to an asker behind a router.
#[cold]
#[inline(never)]
fn answer_by_route<C>(
    class: Class,
    [network, end]: [usize; 2],
    kind: Kind,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Verdict {
    let headers = Headers { network, end, selector: 0, kind };
    let answer = match (kind, tables.host4(class), tables.host6(class)) {
        (Kind::Udpv4, Some(host), _) => reply_v4(class, host, headers, room, tables, state),
        (Kind::Udpv6, _, Some(host)) => reply_v6(class, host, headers, room, tables, state),
        _ => Err(IMPOSSIBLE),
    };
    next_hop::by_route(answer, headers, room, tables, state)
}

/// Answers the datagram alone: IP payload behind it is not echoed. Nothing covers that payload, so that what is wrong
/// with the datagram is as wrong without it.
#[cold]
#[inline(never)]
fn answer_trimmed<C>(
    class: Class,
    network: usize,
    kind: Kind,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Verdict {
    match udp::trim(room, network, kind) {
        Some(headers) if kind == Kind::Udpv4 => Verdict::of(answer_v4(class, headers, room, tables, state)),
        Some(headers) => Verdict::of(answer_v6(class, headers, room, tables, state)),
        None => IMPOSSIBLE,
    }
}

/// Whether an answer could come back as a question.
#[inline(always)]
pub(super) fn refuses_source(headers: Headers, room: &[u8], tables: &LaneTables) -> bool {
    Udp::of(room, headers.transport()).is_none_or(|udp| tables.refuses_source(udp.src.get()))
}

/// What is to be said of a datagram whose checksum is not simply right.
#[cold]
pub(super) fn check_odd(checksum: Checksum, kind: Kind, tables: &LaneTables) -> Result<(), Reason> {
    match checksum {
        Checksum::Absent if kind == Kind::Udpv6 => Err(Reason::UdpChecksumMissing),
        Checksum::Partial if tables.partial_checksums == PartialChecksums::Refuse => Err(Reason::UdpChecksum),
        Checksum::Wrong => Err(Reason::UdpChecksum),
        Checksum::Right | Checksum::Absent | Checksum::Partial => Ok(()),
    }
}

/// Sends the datagram back. Its checksum stays right where it was: addresses and ports only change places in the sum.
#[inline(always)]
fn reply(headers: Headers, room: &mut [u8], tables: &LaneTables) -> Answer {
    udp::turn_round(room, headers).ok_or(IMPOSSIBLE)?;
    ethernet::turn_round(room, tables.mac).ok_or(IMPOSSIBLE)?;
    Ok(Reply::cleared(headers.end, Counter::RepliedUdp))
}

/// Answers a datagram whose checksum is not simply right, where it may be answered. The answer has the checksum that
/// the question did not have: a host sends one by default (RFC 1122 4.1.3.4).
#[cold]
#[inline(never)]
fn answer_odd<C>(
    checksum: Checksum,
    class: Class,
    [network, end]: [usize; 2],
    kind: Kind,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Verdict {
    let headers = Headers { network, end, selector: 0, kind };
    if let Err(reason) = check_odd(checksum, kind, tables) {
        return Verdict::Drop(reason);
    }
    let written = match kind {
        Kind::Udpv4 => tables.host4(class).and_then(|host| host.udp.answer(room, headers)),
        _ => tables.host6(class).and_then(|host| host.ipv6.answer(room, headers)),
    };
    let Some(()) = written else { return IMPOSSIBLE };
    let verdict = Verdict::of(reply(headers, room, tables));
    if checksum == Checksum::Partial {
        state.counters.count(Counter::UdpChecksumPartial);
    }
    let Some(()) = udp::set_checksum(room, headers, &tables.checksum) else { return IMPOSSIBLE };
    verdict
}

//! Echo: ICMP (RFC 792, RFC 1122 3.2.2.6) and ICMPv6 (RFC 4443 4.2).

use route::{Class, Host4, Host6, LaneTables};
use telemetry::{Counter, Reason};
use wire::ethernet;
use wire::headers::{Headers, Kind};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::{icmpv4, icmpv6};

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
    let host = tables.host4(class).ok_or(IMPOSSIBLE)?;
    let ip = Ipv4::of(room, headers.network).ok_or(IMPOSSIBLE)?;
    if !may_ask_v4(ip.src, host) {
        return Err(Verdict::Drop(Reason::SourceInvalid));
    }
    if !host.is_on_link(ip.src) {
        return Err(answer_by_route(
            class,
            [headers.network, headers.end],
            Kind::Icmpv4,
            room,
            tables,
            state,
        ));
    }
    reply_v4(host, headers, room, tables)
}

#[inline(always)]
fn reply_v4(host: &Host4, headers: Headers, room: &mut [u8], tables: &LaneTables) -> Answer {
    if !icmpv4::is_echo_request(room, headers) {
        return Err(pass(icmpv4::is_right(room, headers, &tables.checksum)));
    }
    if !icmpv4::is_right_and_clear(room, headers, &tables.checksum) {
        return Err(Verdict::Drop(Reason::IcmpChecksum));
    }
    host.icmp.answer(room, headers).ok_or(IMPOSSIBLE)?;
    icmpv4::answer_echo(room, headers).ok_or(IMPOSSIBLE)?;
    reply(headers, room, tables, Counter::RepliedIcmpv4)
}

#[inline(always)]
pub(super) fn answer_v6<C>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Answer {
    let host = tables.host6(class).ok_or(IMPOSSIBLE)?;
    let ip = Ipv6::of(room, headers.network).ok_or(IMPOSSIBLE)?;
    if !may_ask_v6(ip.src, host) {
        return Err(Verdict::Drop(Reason::SourceInvalid));
    }
    if !host.is_on_link(ip.src) {
        return Err(answer_by_route(
            class,
            [headers.network, headers.end],
            Kind::Icmpv6,
            room,
            tables,
            state,
        ));
    }
    reply_v6(host, headers, room, tables)
}

#[inline(always)]
fn reply_v6(host: &Host6, headers: Headers, room: &mut [u8], tables: &LaneTables) -> Answer {
    if !icmpv6::is_echo_request(room, headers) {
        return Err(pass(icmpv6::is_right(room, headers, &tables.checksum)));
    }
    if !icmpv6::is_right_and_clear(room, headers, &tables.checksum) {
        return Err(Verdict::Drop(Reason::IcmpChecksum));
    }
    host.ipv6.answer(room, headers).ok_or(IMPOSSIBLE)?;
    icmpv6::answer_echo(room, headers).ok_or(IMPOSSIBLE)?;
    reply(headers, room, tables, Counter::RepliedIcmpv6)
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
        (Kind::Icmpv4, Some(host), _) => reply_v4(host, headers, room, tables),
        (Kind::Icmpv6, _, Some(host)) => reply_v6(host, headers, room, tables),
        _ => Err(IMPOSSIBLE),
    };
    next_hop::by_route(answer, headers, room, tables, state)
}

/// A message of an echo request's type but of another code, which nobody has defined, is the kernel's to judge.
#[cold]
fn pass(is_right: bool) -> Verdict {
    if is_right { Verdict::Pass(Reason::Unclaimed) } else { Verdict::Drop(Reason::IcmpChecksum) }
}

#[inline(always)]
fn reply(headers: Headers, room: &mut [u8], tables: &LaneTables, counter: Counter) -> Answer {
    ethernet::turn_round(room, tables.mac).ok_or(IMPOSSIBLE)?;
    Ok(Reply::cleared(headers.end, counter))
}

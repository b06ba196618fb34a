//! Closed ports of addresses that only Barelane has: Port Unreachable, where an error may be sent at all.
//!
//! Parsing and classifying have already excluded what must never be answered with an error (RFC 1122 3.2.2, RFC 4443
//! 2.4 (e)): ICMP errors (only UDP comes here), fragments, packets to a group on either layer, sources that are no
//! single host. What remains to be checked is the source, the checksum and the limit.

use route::{Class, LaneTables};
use telemetry::{Counter, Reason, Tick};
use wire::headers::{Headers, Kind};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp;
use wire::{icmpv4, icmpv6};

use super::source::{may_ask_v4, may_ask_v6};
use super::udp::check_odd;
use super::{IMPOSSIBLE, State, next_hop};
use crate::verdict::{Answer, Reply, Verdict};

#[cold]
#[inline(never)]
pub(super) fn answer_v4<C>(
    class: Class,
    [network, end]: [usize; 2],
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    let headers = Headers { network, end, selector: 0, kind: Kind::Udpv4 };
    let Some(host) = tables.host4(class) else { return IMPOSSIBLE };
    let Some(ip) = Ipv4::of(room, network) else { return IMPOSSIBLE };
    if !may_ask_v4(ip.src, host) {
        return Verdict::Drop(Reason::SourceInvalid);
    }
    if let Err(reason) = may_be_refused(headers, room, tables, state, now) {
        return Verdict::Drop(reason);
    }
    let is_on_link = host.is_on_link(ip.src);
    let end = icmpv4::port_unreachable(room, headers, &host.icmp, &tables.checksum);
    Verdict::of(reply(end, is_on_link, headers, room, tables, state))
}

#[cold]
#[inline(never)]
pub(super) fn answer_v6<C>(
    class: Class,
    [network, end]: [usize; 2],
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    let headers = Headers { network, end, selector: 0, kind: Kind::Udpv6 };
    let Some(host) = tables.host6(class) else { return IMPOSSIBLE };
    let Some(ip) = Ipv6::of(room, network) else { return IMPOSSIBLE };
    if !may_ask_v6(ip.src, host) {
        return Verdict::Drop(Reason::SourceInvalid);
    }
    if let Err(reason) = may_be_refused(headers, room, tables, state, now) {
        return Verdict::Drop(reason);
    }
    let is_on_link = host.is_on_link(ip.src);
    let end = icmpv6::port_unreachable(room, headers, &host.ipv6, &tables.checksum);
    Verdict::of(reply(end, is_on_link, headers, room, tables, state))
}

/// Whether the datagram is undamaged and the limit not reached.
fn may_be_refused<C>(
    headers: Headers,
    room: &[u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Result<(), Reason> {
    check_odd(udp::check(room, headers, &tables.checksum), headers.kind, tables)?;
    if state.errors.take(now) { Ok(()) } else { Err(Reason::ErrorWithheld) }
}

fn reply<C>(
    end: Option<usize>,
    is_on_link: bool,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Answer {
    let end = end.ok_or(Verdict::Drop(Reason::TailroomMissing))?;
    next_hop::address(is_on_link, headers, room, tables, state)?;
    Ok(Reply::padded(room, end, Counter::RepliedUnreachable))
}

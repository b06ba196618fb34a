//! Closed ports of addresses that only Barelane has: Port Unreachable, where an error may be sent at all.
//!
//! Parsing and classifying have already excluded what must never be answered with an error (RFC 1122 3.2.2, RFC 4443
//! 2.4 (e)): ICMP errors (only UDP comes here), fragments, packets to a group on either layer, sources that are no
//! single host. What remains to be checked is the source, the checksum and the limit.

use route::{Class, LaneTables};
use telemetry::{Counter, Reason, Tick};
use wire::ethernet;
use wire::headers::Headers;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp::{self, Checksum};
use wire::{icmpv4, icmpv6};

use super::source::{may_ask_v4, may_ask_v6};
use super::{IMPOSSIBLE, State};
use crate::verdict::Verdict;

#[cold]
#[inline(never)]
pub(super) fn answer_v4(
    class: Class,
    headers: &Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State,
    now: Tick,
) -> Verdict {
    let Some(host) = tables.host4(class) else { return IMPOSSIBLE };
    let Some(ip) = Ipv4::of(room, headers.network()) else { return IMPOSSIBLE };
    if !may_ask_v4(ip.src, host) {
        return Verdict::Drop(Reason::SourceInvalid);
    }
    if udp::check(room, headers, &tables.checksum) == Checksum::Wrong {
        return Verdict::Drop(Reason::UdpChecksum);
    }
    if !state.may_send_error(now) {
        return Verdict::Drop(Reason::ErrorWithheld);
    }
    reply(icmpv4::port_unreachable(room, headers, &host.icmp, &tables.checksum), room, tables)
}

#[cold]
#[inline(never)]
pub(super) fn answer_v6(
    class: Class,
    headers: &Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State,
    now: Tick,
) -> Verdict {
    let Some(host) = tables.host6(class) else { return IMPOSSIBLE };
    let Some(ip) = Ipv6::of(room, headers.network()) else { return IMPOSSIBLE };
    if !may_ask_v6(ip.src, host) {
        return Verdict::Drop(Reason::SourceInvalid);
    }
    match udp::check(room, headers, &tables.checksum) {
        Checksum::Wrong => return Verdict::Drop(Reason::UdpChecksum),
        Checksum::Absent => return Verdict::Drop(Reason::UdpChecksumMissing),
        Checksum::Right | Checksum::Partial => {}
    }
    if !state.may_send_error(now) {
        return Verdict::Drop(Reason::ErrorWithheld);
    }
    reply(icmpv6::port_unreachable(room, headers, &host.ipv6, &tables.checksum), room, tables)
}

fn reply(end: Option<usize>, room: &mut [u8], tables: &LaneTables) -> Verdict {
    let Some(end) = end else { return Verdict::Drop(Reason::TailroomMissing) };
    let Some(()) = ethernet::turn_round(room, tables.mac) else { return IMPOSSIBLE };
    Verdict::Reply { len: ethernet::pad(room, end), counter: Counter::RepliedUnreachable }
}

impl State {
    fn may_send_error(&mut self, now: Tick) -> bool {
        self.errors.take(now)
    }
}

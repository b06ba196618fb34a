//! Echo: ICMP (RFC 792, RFC 1122 3.2.2.6) and ICMPv6 (RFC 4443 4.2).

use route::{Class, LaneTables};
use telemetry::{Counter, Reason};
use wire::ethernet;
use wire::headers::Headers;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::{icmpv4, icmpv6};

use super::IMPOSSIBLE;
use super::source::{may_ask_v4, may_ask_v6};
use crate::verdict::Verdict;

#[inline(always)]
pub(super) fn answer_v4(class: Class, headers: Headers, room: &mut [u8], tables: &LaneTables) -> Verdict {
    let Some(host) = tables.host4(class) else { return IMPOSSIBLE };
    let Some(ip) = Ipv4::of(room, headers.network) else { return IMPOSSIBLE };
    if !may_ask_v4(ip.src, host) {
        return Verdict::Drop(Reason::SourceInvalid);
    }
    if !icmpv4::is_echo_request(room, headers) {
        return pass(icmpv4::is_right(room, headers, &tables.checksum));
    }
    if !icmpv4::is_right_and_clear(room, headers, &tables.checksum) {
        return Verdict::Drop(Reason::IcmpChecksum);
    }
    let Some(()) = host.icmp.answer(room, headers) else { return IMPOSSIBLE };
    let Some(()) = icmpv4::answer_echo(room, headers) else { return IMPOSSIBLE };
    reply(headers, room, tables, Counter::RepliedIcmpv4)
}

#[inline(always)]
pub(super) fn answer_v6(class: Class, headers: Headers, room: &mut [u8], tables: &LaneTables) -> Verdict {
    let Some(host) = tables.host6(class) else { return IMPOSSIBLE };
    let Some(ip) = Ipv6::of(room, headers.network) else { return IMPOSSIBLE };
    if !may_ask_v6(ip.src, host) {
        return Verdict::Drop(Reason::SourceInvalid);
    }
    if !icmpv6::is_echo_request(room, headers) {
        return pass(icmpv6::is_right(room, headers, &tables.checksum));
    }
    if !icmpv6::is_right_and_clear(room, headers, &tables.checksum) {
        return Verdict::Drop(Reason::IcmpChecksum);
    }
    let Some(()) = host.ipv6.answer(room, headers) else { return IMPOSSIBLE };
    let Some(()) = icmpv6::answer_echo(room, headers) else { return IMPOSSIBLE };
    reply(headers, room, tables, Counter::RepliedIcmpv6)
}

/// A message of an echo request's type but of another code, which nobody has defined, is the kernel's to judge.
#[cold]
fn pass(is_right: bool) -> Verdict {
    if is_right { Verdict::Pass(Reason::Unclaimed) } else { Verdict::Drop(Reason::IcmpChecksum) }
}

#[inline(always)]
fn reply(headers: Headers, room: &mut [u8], tables: &LaneTables, counter: Counter) -> Verdict {
    let Some(()) = ethernet::turn_round(room, tables.mac) else { return IMPOSSIBLE };
    Verdict::reply_cleared(headers.end, counter)
}

//! Which question a packet asks: one lookup, and whether the link layer meant us.

use route::{Class, Decision, LaneTables, Tier};
use telemetry::Reason;
use wire::arp::Arp;
use wire::ethernet::{Ethernet, MacWord};
use wire::headers::{Headers, Kind};

use crate::verdict::Verdict;

/// The class of a packet, or what becomes of it without one: the whole stage. A lane takes its steps one by one, for
/// what is seldom is not to stand in the way of what is not.
pub fn classify(headers: Headers, room: &[u8], tables: &LaneTables) -> Result<Class, Verdict> {
    match claimed(headers, room, tables) {
        Some(decision) => check_addresses(headers.kind, room, tables).map(|()| decision.class()),
        None => classify_the_rest(headers, room, tables).map(|rest| rest.class),
    }
}

/// What is decided of a packet that a route claims.
#[inline(always)]
pub(crate) fn claimed<'tables>(
    headers: Headers,
    room: &[u8],
    tables: &'tables LaneTables,
) -> Option<&'tables Decision> {
    tables.claimed(headers, headers.target(room)?)
}

/// The class of a packet that the first lookup does not know, and the route that gave it, where one did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    pub(crate) class: Class,
    /// [`Decision::NO_ROUTE`] where it is the address's owner that answers.
    pub(crate) route: u16,
}

impl Rest {
    const fn of(decision: Decision) -> Self {
        Self { class: decision.class(), route: decision.route }
    }
}

/// The class of a packet that no route claims, or what becomes of it without one.
///
/// It may still be that a route takes it by more than address and port; or it is for an address of ours alone; or an ARP
/// packet that uses our address as its sender. What nothing claims goes on to the stack behind, unless it was sent to
/// another station.
#[inline(always)]
pub(crate) fn classify_the_rest(headers: Headers, room: &[u8], tables: &LaneTables) -> Result<Rest, Verdict> {
    let Some(target) = headers.target(room) else { return Err(Verdict::Drop(Reason::FrameTruncated)) };
    if let Some(rest) = tables.rest(headers.kind, target) {
        let rest =
            if rest.refinement == 0 { Some(Rest::of(*rest)) } else { refined(rest, headers, room, tables) };
        if let Some(rest) = rest {
            return check_addresses(headers.kind, room, tables).map(|()| rest);
        }
    }
    let Some(ethernet) = Ethernet::of(room, 0) else { return Err(Verdict::Drop(Reason::FrameTruncated)) };
    if headers.kind == Kind::Arp
        && ethernet.src != tables.mac
        && let Some(arp) = Arp::of(room, headers.network)
        && let Some(class) = tables.arp_class(arp.sender_ip)
    {
        return Ok(Rest { class, route: Decision::NO_ROUTE });
    }
    if ethernet.dst != tables.mac && !ethernet.dst.is_group() {
        return Err(Verdict::Drop(Reason::EthernetNotOurs));
    }
    Err(Verdict::Pass(Reason::Unclaimed))
}

/// The class of a packet whose route depends on its source, its VLAN or its place in a range of ports, or has a limit;
/// nothing where nobody answers it, or a route leaves it to the kernel.
#[inline(never)]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "by value it is copied for every packet of the rest")]
fn refined(any: &Decision, headers: Headers, room: &[u8], tables: &LaneTables) -> Option<Rest> {
    let decision = tables.refine(any, headers, headers.source(room)?, headers.vid(room));
    decision.filter(|decision| decision.tier != Tier::Kernel).map(Rest::of)
}

/// Whether the link layer meant us. What is claimed must have been sent to us alone (RFC 1122 3.3.6: no datagram to a
/// single host in a frame to many), questions for our link address excepted, and by a single station that is not
/// ourselves.
#[inline(always)]
pub(crate) fn check_addresses(kind: Kind, room: &[u8], tables: &LaneTables) -> Result<(), Verdict> {
    if !may_be_to_many(kind) && tables.mac_word.is_asked_alone(room) {
        return Ok(());
    }
    let Some((dst, src)) = MacWord::of(room) else { return Err(Verdict::Drop(Reason::FrameTruncated)) };
    let is_to_us = match kind {
        // RFC 826.
        Kind::Arp => dst == tables.mac_word || dst == MacWord::BROADCAST,
        // RFC 2464 section 7.
        Kind::Solicitation => dst == tables.mac_word || dst.is_ipv6_group(),
        Kind::Icmpv4 | Kind::Icmpv6 | Kind::Udpv4 | Kind::Udpv6 => dst == tables.mac_word,
    };
    if !is_to_us {
        return Err(Verdict::Drop(Reason::EthernetNotOurs));
    }
    if src.is_group() || src == tables.mac_word {
        return Err(Verdict::Drop(Reason::EthernetSource));
    }
    Ok(())
}

/// Whether such a packet usually comes in a frame to a group.
#[inline(always)]
fn may_be_to_many(kind: Kind) -> bool {
    matches!(kind, Kind::Arp | Kind::Solicitation)
}

//! Which question a packet asks: one lookup, and whether the link layer meant us.

use route::{Class, LaneTables, Responder};
use telemetry::Reason;
use wire::arp::Arp;
use wire::ethernet::{Ethernet, Mac, MacWord};
use wire::headers::{Headers, Kind};

use crate::verdict::Verdict;

/// The class of a packet, or what becomes of it without one.
///
/// What nothing claims goes on to the stack behind, unless it was sent to another station. What is claimed must have
/// been sent to us alone (RFC 1122 3.3.6: no datagram to a single host in a frame to many), questions for our link
/// address excepted, and by a single station that is not ourselves.
#[inline(always)]
pub fn classify(headers: Headers, room: &[u8], tables: &LaneTables) -> Result<Class, Verdict> {
    let Some(target) = headers.target(room) else { return Err(Verdict::Drop(Reason::FrameTruncated)) };
    let Some(class) = tables.class(headers, target) else {
        return unclaimed(headers.kind, headers.network, room, tables);
    };
    let Some((dst, src)) = MacWord::of(room) else { return Err(Verdict::Drop(Reason::FrameTruncated)) };
    if dst != tables.mac_word && !may_be_to_many(class, room) {
        return Err(Verdict::Drop(Reason::EthernetNotOurs));
    }
    if src.is_group() || src == tables.mac_word {
        return Err(Verdict::Drop(Reason::EthernetSource));
    }
    Ok(class)
}

/// Whether a question of this class may come in a frame to a group: ARP to all (RFC 826), solicitations to the
/// stations that listen to an IPv6 multicast group (RFC 2464 section 7).
#[inline(never)]
fn may_be_to_many(class: Class, room: &[u8]) -> bool {
    let Some(ethernet) = Ethernet::of(room, 0) else { return false };
    match class.responder {
        Responder::Arp => ethernet.dst == Mac::BROADCAST,
        Responder::Neighbour => ethernet.dst.0.starts_with(&[0x33, 0x33]),
        Responder::Echo | Responder::UdpEcho | Responder::UdpClosed => false,
    }
}

/// What is not asked of us. An ARP packet may still be ours to answer: one that uses our address as its sender.
#[cold]
#[inline(never)]
fn unclaimed(kind: Kind, network: usize, room: &[u8], tables: &LaneTables) -> Result<Class, Verdict> {
    let Some(ethernet) = Ethernet::of(room, 0) else { return Err(Verdict::Drop(Reason::FrameTruncated)) };
    if kind == Kind::Arp
        && ethernet.src != tables.mac
        && let Some(arp) = Arp::of(room, network)
        && let Some(class) = tables.arp_class(arp.sender_ip)
    {
        return Ok(class);
    }
    if ethernet.dst != tables.mac && !ethernet.dst.is_group() {
        return Err(Verdict::Drop(Reason::EthernetNotOurs));
    }
    Err(Verdict::Pass(Reason::Unclaimed))
}

//! From the bytes of a frame to its [`Headers`], or why not.
//!
//! ```text
//!  Ethernet ─┬─ tag ─┬─ tag ─┬─ ARP
//!            │       │       ├─ IPv4 ─┬─ ICMP
//!            │       │       │        └─ UDP
//!            │       │       └─ IPv6 ─┬─ ICMPv6 ── neighbour solicitation
//!            └───────┴─▶             └─ UDP
//! ```
//!
//! Each header is laid over the bytes with one length check, and all its fields are then at fixed offsets. An untagged
//! frame takes a way of its own, on which all offsets are constants; tags cost a call. Whatever is not plain (options,
//! extension headers, fragments) is named and left to the kernel, never guessed at.

use core::hint::cold_path;

use zerocopy::network_endian::U16;

use crate::arp::Arp;
use crate::checksum::Sum;
use crate::ethernet::{self, Ethernet, Vlan};
use crate::headers::{Headers, Kind};
use crate::icmpv4::Icmpv4Echo;
use crate::icmpv6::{self, Icmpv6Echo};
use crate::ipv4::{self, Ipv4};
use crate::ipv6::{self, Ipv6};
use crate::ndp::NeighbourSolicitation;
use crate::udp::Udp;

/// Why a frame has no [`Headers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fault {
    /// The frame ends inside a header that it announces.
    FrameTruncated,
    /// Neither ARP, IPv4 nor IPv6.
    EtherTypeUnknown,
    /// More than two VLAN tags.
    VlanTooDeep,
    /// Not an ARP packet for IPv4 over Ethernet (RFC 826).
    ArpMalformed,
    /// The version field is not 4 (RFC 1122 section 3.2.1.1).
    Ipv4Version,
    /// The header length is below 5, or the total length does not fit header and frame (RFC 791).
    Ipv4Length,
    /// The header checksum is wrong (RFC 1122 section 3.2.1.2).
    Ipv4Checksum,
    /// The header carries options.
    Ipv4Options,
    /// A fragment.
    Ipv4Fragment,
    /// The version field is not 6 (RFC 8200 section 3).
    Ipv6Version,
    /// The payload length does not fit the frame (RFC 8200 section 3).
    Ipv6Length,
    /// An extension header follows.
    Ipv6Extension,
    /// Neither ICMP nor UDP.
    ProtocolUnknown,
    /// Too short for an ICMP header.
    IcmpLength,
    /// The UDP length is below 8 or beyond the IP payload (RFC 768).
    UdpLength,
    /// A neighbour solicitation without room for its target (RFC 4861 section 7.1.1).
    NdpMalformed,
}

/// How many VLAN tags are read: a customer's, and a provider's outside of it (IEEE 802.1ad).
const TAGS_MAX: usize = 2;

/// What every packet that is read here has behind its Ethernet header and tags, at the least: an ARP packet, or an IPv4
/// header and eight bytes of ICMP or UDP.
const PACKET_LEN_MIN: usize = 28;

const _: () = assert!(Arp::LEN == PACKET_LEN_MIN && Ipv4::LEN + Udp::LEN == PACKET_LEN_MIN);
const _: () = assert!(Icmpv4Echo::LEN == Udp::LEN && Icmpv6Echo::LEN == Udp::LEN);

/// Reads the headers of one frame, from its Ethernet destination to its end, without checksum sequence.
///
/// The frame must not be longer than 65,535 bytes; no link has such frames.
///
/// # Errors
/// The first [`Fault`] on the way from the outermost header to the innermost.
#[inline(always)]
pub fn parse(frame: &[u8]) -> Result<Headers, Fault> {
    match untagged(frame) {
        Err(Fault::EtherTypeUnknown) => tagged(frame),
        found => found,
    }
}

/// The same for a frame without tags, whose network header begins at [`Ethernet::LEN`] as the compiler knows: what
/// follows on this result is done at constant offsets. Cost: some 45 instructions for UDP over IPv4.
///
/// # Errors
/// As [`parse`]; a tag is a [`Fault::EtherTypeUnknown`].
#[inline(always)]
pub fn untagged(frame: &[u8]) -> Result<Headers, Fault> {
    debug_assert!(u16::try_from(frame.len()).is_ok(), "offsets within a frame have 16 bits");
    let ethertype = Ethernet::of(frame, 0).ok_or(Fault::FrameTruncated)?.ethertype;
    packet(frame, ethertype, Ethernet::LEN)
}

/// The same for a frame of which an unknown ethertype may be a tag.
#[cold]
fn tagged(frame: &[u8]) -> Result<Headers, Fault> {
    let mut ethertype = Ethernet::of(frame, 0).ok_or(Fault::FrameTruncated)?.ethertype;
    let mut network = Ethernet::LEN;
    for _ in 0..TAGS_MAX {
        if !is_tag(ethertype) {
            break;
        }
        ethertype = Vlan::of(frame, network).ok_or(Fault::FrameTruncated)?.ethertype;
        network += Vlan::LEN;
    }
    if is_tag(ethertype) { Err(Fault::VlanTooDeep) } else { packet(frame, ethertype, network) }
}

/// What begins at `network`. The most frequent first, and what is less frequent marked so: without, the compiler sorts
/// the comparisons by their constants and asks for IPv4, and for UDP, last. Six instructions of a UDP echo.
#[inline(always)]
fn packet(frame: &[u8], ethertype: U16, network: usize) -> Result<Headers, Fault> {
    let packet = frame.get(network..).ok_or(Fault::FrameTruncated)?;
    if ethertype == ethernet::IPV4 {
        return ipv4(packet, network);
    }
    cold_path();
    if ethertype == ethernet::IPV6 {
        ipv6(packet, network)
    } else if ethertype == ethernet::ARP {
        arp(packet, network)
    } else {
        Err(Fault::EtherTypeUnknown)
    }
}

#[inline(always)]
fn is_tag(ethertype: U16) -> bool {
    ethertype == ethernet::VLAN || ethertype == ethernet::SERVICE_VLAN
}

#[inline(always)]
fn arp(packet: &[u8], network: usize) -> Result<Headers, Fault> {
    let arp = Arp::of(packet, 0).ok_or(Fault::FrameTruncated)?;
    if !arp.is_ipv4_over_ethernet() {
        return Err(Fault::ArpMalformed);
    }
    Ok(Headers { network, end: network + Arp::LEN, selector: arp.operation.get(), kind: Kind::Arp })
}

#[inline(always)]
fn ipv4(packet: &[u8], network: usize) -> Result<Headers, Fault> {
    let Some((start, rest)) = packet.split_first_chunk::<PACKET_LEN_MIN>() else {
        return Err(Ipv4::of(packet, 0).map_or(Fault::FrameTruncated, |ip| ipv4_fault(packet, ip)));
    };
    let ip = Ipv4::of(start, 0).ok_or(Fault::FrameTruncated)?;
    // By how much it is longer than the shortest; where it is shorter, by more than any frame has.
    let more = usize::from(ip.total_len.get()).wrapping_sub(PACKET_LEN_MIN);
    if !ip.is_plain() || more > rest.len() {
        return Err(ipv4_fault(packet, ip));
    }
    // Here, and not among the other faults: a damaged header is the one that a lane behind the XDP program sees.
    if !ip.is_right_where_plain() {
        return Err(Fault::Ipv4Checksum);
    }
    let (kind, selector) = if ip.protocol == ipv4::UDP {
        (Kind::Udpv4, udp_port(start, Ipv4::LEN, more).ok_or(Fault::UdpLength)?)
    } else if ip.protocol == ipv4::ICMP {
        cold_path();
        (Kind::Icmpv4, icmp_type(start, Ipv4::LEN).ok_or(Fault::IcmpLength)?)
    } else {
        return Err(Fault::ProtocolUnknown);
    };
    Ok(Headers { network, end: network + usize::from(ip.total_len.get()), selector, kind })
}

/// Which fault an IPv4 packet has that is not plain: the first, in the order of a receiver's checks (RFC 1122 section
/// 3.2.1).
#[cold]
fn ipv4_fault(packet: &[u8], ip: &Ipv4) -> Fault {
    let header_len = usize::from(ip.version_and_len & 0x0f) * 4;
    let total_len = usize::from(ip.total_len.get());
    if ip.version_and_len >> 4 != 4 {
        return Fault::Ipv4Version;
    }
    if header_len < Ipv4::LEN || header_len > total_len || total_len > packet.len() {
        return Fault::Ipv4Length;
    }
    if !packet.get(..header_len).is_some_and(|header| Sum::of(header).is_right()) {
        return Fault::Ipv4Checksum;
    }
    if header_len > Ipv4::LEN {
        return Fault::Ipv4Options;
    }
    if ip.is_fragment() {
        return Fault::Ipv4Fragment;
    }
    // What is left is plain, but shorter than the shortest.
    match ip.protocol {
        ipv4::UDP => Fault::UdpLength,
        ipv4::ICMP => Fault::IcmpLength,
        _ => Fault::ProtocolUnknown,
    }
}

#[inline(always)]
fn ipv6(packet: &[u8], network: usize) -> Result<Headers, Fault> {
    let (start, rest) = packet.split_first_chunk::<{ Ipv6::LEN }>().ok_or(Fault::FrameTruncated)?;
    let ip = Ipv6::of(start, 0).ok_or(Fault::FrameTruncated)?;
    if ip.version() != 6 {
        return Err(Fault::Ipv6Version);
    }
    let len = ip.payload_len.get();
    let payload = rest.get(..usize::from(len)).ok_or(Fault::Ipv6Length)?;
    let end = network + Ipv6::LEN + usize::from(len);
    if ip.next_header == ipv6::UDP {
        let more = payload.len().wrapping_sub(Udp::LEN);
        let selector = udp_port(payload, 0, more).ok_or(Fault::UdpLength)?;
        Ok(Headers { network, end, selector, kind: Kind::Udpv6 })
    } else if ip.next_header == ipv6::ICMP {
        let selector = icmp_type(payload, 0).ok_or(Fault::IcmpLength)?;
        Ok(Headers { network, end, selector, kind: icmpv6_kind(payload, selector)? })
    } else if ipv6::is_extension(ip.next_header) {
        Err(Fault::Ipv6Extension)
    } else {
        Err(Fault::ProtocolUnknown)
    }
}

/// Which kind of ICMPv6 message it is; a solicitation must have room for its target.
#[inline(always)]
fn icmpv6_kind(message: &[u8], selector: u16) -> Result<Kind, Fault> {
    if selector != u16::from(icmpv6::NEIGHBOUR_SOLICITATION) {
        return Ok(Kind::Icmpv6);
    }
    if message.len() < NeighbourSolicitation::LEN { Err(Fault::NdpMalformed) } else { Ok(Kind::Solicitation) }
}

/// The destination port of a datagram whose length fits: not below that of its header, and at most by `more` above.
#[inline(always)]
fn udp_port(bytes: &[u8], offset: usize, more: usize) -> Option<u16> {
    let udp = Udp::of(bytes, offset)?;
    let payload_len = usize::from(udp.len.get()).wrapping_sub(Udp::LEN);
    (payload_len <= more).then_some(udp.dst.get())
}

/// The type of an ICMP or ICMPv6 message that is long enough for any.
#[inline(always)]
fn icmp_type(bytes: &[u8], offset: usize) -> Option<u16> {
    let echo = Icmpv4Echo::of(bytes, offset)?;
    Some(u16::from(echo.kind))
}

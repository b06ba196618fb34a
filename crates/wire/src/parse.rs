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

use zerocopy::IntoBytes;

use crate::arp::Arp;
use crate::checksum::Sum;
use crate::ethernet::{self, Ethernet, Vlan};
use crate::headers::{Headers, Kind, target_v4, target_v6};
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

/// Where the network header of an untagged frame begins.
const NETWORK: u16 = Ethernet::LEN_U16;

/// Reads the headers of one frame, from its Ethernet destination to its end, without checksum sequence.
///
/// Frames of more than 65,535 bytes do not exist on a wire; an IP datagram that ends behind that offset is a fault of
/// its length. Cost: some 40 instructions for UDP over IPv4.
///
/// # Errors
/// The first [`Fault`] on the way from the outermost header to the innermost.
#[inline]
pub fn parse(frame: &[u8]) -> Result<Headers, Fault> {
    let ethernet = Ethernet::of(frame, 0).ok_or(Fault::FrameTruncated)?;
    match ethernet.ethertype.get() {
        ethernet::IPV4 => ipv4(frame, NETWORK),
        ethernet::IPV6 => ipv6(frame, NETWORK),
        ethernet::ARP => arp(frame, NETWORK),
        ethernet::VLAN | ethernet::SERVICE_VLAN => tagged(frame),
        _ => Err(Fault::EtherTypeUnknown),
    }
}

/// A frame with at least one tag. Not inlined, so that the untagged way keeps its constant offsets.
#[inline(never)]
fn tagged(frame: &[u8]) -> Result<Headers, Fault> {
    let mut network = NETWORK;
    let mut ethertype = ethernet::VLAN;
    for _ in 0..2 {
        if !is_tag(ethertype) {
            break;
        }
        let tag = Vlan::of(frame, usize::from(network)).ok_or(Fault::FrameTruncated)?;
        ethertype = tag.ethertype.get();
        network += Vlan::LEN_U16;
    }
    match ethertype {
        ethernet::IPV4 => ipv4(frame, network),
        ethernet::IPV6 => ipv6(frame, network),
        ethernet::ARP => arp(frame, network),
        _ if is_tag(ethertype) => Err(Fault::VlanTooDeep),
        _ => Err(Fault::EtherTypeUnknown),
    }
}

const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, ethernet::VLAN | ethernet::SERVICE_VLAN)
}

#[inline(always)]
fn arp(frame: &[u8], network: u16) -> Result<Headers, Fault> {
    let arp = Arp::of(frame, usize::from(network)).ok_or(Fault::FrameTruncated)?;
    if !arp.is_ipv4_over_ethernet() {
        return Err(Fault::ArpMalformed);
    }
    Ok(Headers {
        target: target_v4(arp.target_ip),
        network,
        end: network + Arp::LEN_U16,
        selector: arp.operation.get(),
        kind: Kind::Arp,
    })
}

#[inline(always)]
fn ipv4(frame: &[u8], network: u16) -> Result<Headers, Fault> {
    let ip = Ipv4::of(frame, usize::from(network)).ok_or(Fault::FrameTruncated)?;
    if ip.version_and_len != ipv4::VERSION_AND_LEN {
        return Err(not_plain(frame, network, ip));
    }
    let end = end_of(frame, network, ip.total_len.get()).ok_or(Fault::Ipv4Length)?;
    let transport = network + Ipv4::LEN_U16;
    if end < transport {
        return Err(Fault::Ipv4Length);
    }
    if !Sum::of(ip.as_bytes()).is_right() {
        return Err(Fault::Ipv4Checksum);
    }
    if ip.fragment.get() & ipv4::FRAGMENT != 0 {
        return Err(Fault::Ipv4Fragment);
    }
    let payload = frame.get(usize::from(transport)..usize::from(end)).ok_or(Fault::Ipv4Length)?;
    let (kind, selector) = match ip.protocol {
        ipv4::UDP => (Kind::Udpv4, udp(payload)?),
        ipv4::ICMP => (Kind::Icmpv4, icmpv4(payload)?),
        _ => return Err(Fault::ProtocolUnknown),
    };
    Ok(Headers { target: target_v4(ip.dst), network, end, selector, kind })
}

/// What is wrong, or merely odd, about an IPv4 header that does not begin with 0x45.
#[cold]
fn not_plain(frame: &[u8], network: u16, ip: &Ipv4) -> Fault {
    let header_len = usize::from(ip.version_and_len & 0x0f) * 4;
    let total_len = ip.total_len.get();
    if ip.version_and_len >> 4 != 4 {
        return Fault::Ipv4Version;
    }
    if header_len < Ipv4::LEN
        || usize::from(total_len) < header_len
        || end_of(frame, network, total_len).is_none()
    {
        return Fault::Ipv4Length;
    }
    match frame.get(usize::from(network)..usize::from(network) + header_len) {
        Some(header) if Sum::of(header).is_right() => Fault::Ipv4Options,
        _ => Fault::Ipv4Checksum,
    }
}

#[inline(always)]
fn ipv6(frame: &[u8], network: u16) -> Result<Headers, Fault> {
    let ip = Ipv6::of(frame, usize::from(network)).ok_or(Fault::FrameTruncated)?;
    if ip.version_and_class.get() >> 28 != 6 {
        return Err(Fault::Ipv6Version);
    }
    let transport = network + Ipv6::LEN_U16;
    let end = end_of(frame, transport, ip.payload_len.get()).ok_or(Fault::Ipv6Length)?;
    let payload = frame.get(usize::from(transport)..usize::from(end)).ok_or(Fault::Ipv6Length)?;
    let (kind, selector) = match ip.next_header {
        ipv6::UDP => (Kind::Udpv6, udp(payload)?),
        ipv6::ICMP => return icmpv6(ip, payload, network, end),
        other if ipv6::is_extension(other) => return Err(Fault::Ipv6Extension),
        _ => return Err(Fault::ProtocolUnknown),
    };
    Ok(Headers { target: target_v6(ip.dst), network, end, selector, kind })
}

/// Where `len` bytes end that begin at `offset`, or nothing where the frame is shorter.
#[inline(always)]
fn end_of(frame: &[u8], offset: u16, len: u16) -> Option<u16> {
    let end = offset.checked_add(len)?;
    if usize::from(end) > frame.len() { None } else { Some(end) }
}

/// The destination port of a datagram whose length fits.
#[inline(always)]
fn udp(payload: &[u8]) -> Result<u16, Fault> {
    let udp = Udp::of(payload, 0).ok_or(Fault::UdpLength)?;
    let len = usize::from(udp.len.get());
    if len < Udp::LEN || len > payload.len() {
        return Err(Fault::UdpLength);
    }
    Ok(udp.dst.get())
}

/// The type of an ICMP message that is long enough for any.
#[inline(always)]
fn icmpv4(payload: &[u8]) -> Result<u16, Fault> {
    let icmp = Icmpv4Echo::of(payload, 0).ok_or(Fault::IcmpLength)?;
    Ok(u16::from(icmp.kind))
}

#[inline(always)]
fn icmpv6(ip: &Ipv6, payload: &[u8], network: u16, end: u16) -> Result<Headers, Fault> {
    let icmp = Icmpv6Echo::of(payload, 0).ok_or(Fault::IcmpLength)?;
    let (kind, target) = if icmp.kind == icmpv6::NEIGHBOUR_SOLICITATION {
        let solicitation = NeighbourSolicitation::of(payload, 0).ok_or(Fault::NdpMalformed)?;
        (Kind::Solicitation, solicitation.target)
    } else {
        (Kind::Icmpv6, ip.dst)
    };
    let selector = u16::from(icmp.kind);
    Ok(Headers { target: target_v6(target), network, end, selector, kind })
}

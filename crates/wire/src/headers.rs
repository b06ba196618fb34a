//! What [`parse`](crate::parse()) found out about a packet: offsets and decoded fields, borrowing nothing.

use core::net::IpAddr;

use crate::arp::Arp;
use crate::ethernet::{Ethernet, Vlan};
use crate::ipv4::Ipv4;
use crate::ipv6::Ipv6;
use crate::ndp::NeighbourSolicitation;

/// Which protocols a packet speaks, innermost last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// ARP for IPv4 over Ethernet.
    Arp,
    /// ICMP over IPv4.
    Icmpv4,
    /// UDP over IPv4.
    Udpv4,
    /// ICMPv6, but no neighbour solicitation.
    Icmpv6,
    /// A neighbour solicitation (RFC 4861).
    Solicitation,
    /// UDP over IPv6.
    Udpv6,
}

/// One packet, decoded.
///
/// More than two registers on purpose: what fits into two is packed into them at every function's boundary and taken
/// apart again behind it, which costs a packet more instructions than it saves.
///
/// Holding it, together with the frame that it was parsed from, proves that the frame is at least `end` bytes long,
/// that every header that `kind` names lies whole between `network` and `end`, that the IPv4 header's checksum is
/// right, and that no option, extension header or fragment is involved. It says nothing of transport checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Where the ARP, IPv4 or IPv6 header begins: 14, 18 or 22.
    pub network: usize,
    /// One past the last byte of the ARP packet or IP datagram. What follows is Ethernet padding.
    ///
    /// A datagram may end before this, by its UDP length (RFC 768 and RFC 1122 say nothing of it). Its checksum covers
    /// the UDP length, and its answer ends there: see [`udp::trim`](crate::udp::trim).
    pub end: usize,
    /// What the packet asks for: the UDP destination port, the ICMP type, or the ARP operation.
    pub selector: u16,
    /// Which protocols it speaks.
    pub kind: Kind,
}

impl Headers {
    /// Whom the packet is for, to be looked up, as words in memory order; see [`target_of`]. `bytes` must be those that
    /// were parsed.
    ///
    /// | kind | target |
    /// |---|---|
    /// | `Arp` | the target's protocol address |
    /// | `Icmpv4`, `Udpv4` | the IPv4 destination |
    /// | `Icmpv6`, `Udpv6` | the IPv6 destination |
    /// | `Solicitation` | the address that is asked for |
    #[inline(always)]
    pub fn target(&self, bytes: &[u8]) -> Option<[u64; 2]> {
        let packet = self.packet(bytes)?;
        Some(match self.kind {
            Kind::Arp => target_v4(Arp::of(packet, 0)?.target_ip),
            Kind::Icmpv4 | Kind::Udpv4 => target_v4(Ipv4::of(packet, 0)?.dst),
            Kind::Icmpv6 | Kind::Udpv6 => target_v6(Ipv6::of(packet, 0)?.dst),
            Kind::Solicitation => target_v6(NeighbourSolicitation::of(packet, Ipv6::LEN)?.target),
        })
    }

    /// Who asks: the IP source as a number, its first bit the highest of 32 or 128; nothing for ARP. `bytes` must be those
    /// that were parsed.
    #[inline]
    pub fn source(&self, bytes: &[u8]) -> Option<u128> {
        let packet = self.packet(bytes)?;
        match self.kind {
            Kind::Arp => None,
            Kind::Icmpv4 | Kind::Udpv4 => Some(u32::from_be_bytes(Ipv4::of(packet, 0)?.src).into()),
            Kind::Icmpv6 | Kind::Solicitation | Kind::Udpv6 => {
                Some(u128::from_be_bytes(Ipv6::of(packet, 0)?.src))
            }
        }
    }

    /// The VLAN that the packet came on, 0 where it is of none: the innermost tag's that names one. A tag with VID 0 only
    /// has a priority (IEEE 802.1Q 9.6). `bytes` must be those that were parsed.
    #[inline]
    pub fn vid(&self, bytes: &[u8]) -> u16 {
        self.vids(bytes).find(|&vid| vid != 0).unwrap_or(0)
    }

    /// The VID of each tag, the innermost first.
    #[inline]
    pub fn vids(self, bytes: &[u8]) -> impl Iterator<Item = u16> {
        let tags = (Ethernet::LEN..self.network).step_by(Vlan::LEN);
        tags.rev().filter_map(|at| Some(Vlan::of(bytes, at)?.control.get() & Vlan::VID))
    }

    /// Where the transport header begins; for ARP, which has none, where it would.
    #[inline(always)]
    pub const fn transport(&self) -> usize {
        self.network + self.network_len()
    }

    /// How long the network header is.
    #[inline(always)]
    pub(crate) const fn network_len(&self) -> usize {
        match self.kind {
            Kind::Arp => Arp::LEN,
            Kind::Icmpv4 | Kind::Udpv4 => Ipv4::LEN,
            Kind::Icmpv6 | Kind::Solicitation | Kind::Udpv6 => Ipv6::LEN,
        }
    }

    /// The bytes from the network header on, padding included.
    ///
    /// Everything that works on a packet begins with this, and goes on at constant offsets: where several such steps
    /// follow each other, the compiler keeps one check of the network header's offset for all.
    #[inline(always)]
    pub(crate) fn packet<'bytes>(&self, bytes: &'bytes [u8]) -> Option<&'bytes [u8]> {
        bytes.get(self.network..)
    }

    /// The same, to be written to.
    #[inline(always)]
    pub(crate) fn packet_mut<'bytes>(&self, room: &'bytes mut [u8]) -> Option<&'bytes mut [u8]> {
        room.get_mut(self.network..)
    }

    /// The length of network header and payload.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a length that came from a field of 16 bits")]
    pub(crate) const fn packet_len(&self) -> u16 {
        self.end.wrapping_sub(self.network) as u16
    }
}

/// The words that [`Headers::target`] gives for packets to `ip`.
#[inline(always)]
pub const fn target_of(ip: IpAddr) -> [u64; 2] {
    match ip {
        IpAddr::V4(ip) => target_v4(ip.octets()),
        IpAddr::V6(ip) => target_v6(ip.octets()),
    }
}

/// An IPv4 address is the second word, as a number of 32 bits; the first is zero.
#[inline(always)]
pub(crate) const fn target_v4(ip: [u8; 4]) -> [u64; 2] {
    [0, u32::from_ne_bytes(ip) as u64]
}

/// An IPv6 address is its two halves.
#[inline(always)]
pub(crate) const fn target_v6(ip: [u8; 16]) -> [u64; 2] {
    zerocopy::transmute!(ip)
}

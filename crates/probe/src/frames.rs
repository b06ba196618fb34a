//! Questions as whole frames, and answers out of whole frames: what the kernel's stack does for the sockets.
//!
//! ```text
//! ┌──────────┬──────────────┬──────────────────┬──────────┐
//! │ Ethernet │ IPv4 or IPv6 │ UDP or ICMP echo │ payload  │ (padding)
//! └──────────┴──────────────┴──────────────────┴──────────┘
//!   own → next hop   own → target   identity     question
//! ```
//!
//! An answer's source and destination, protocol and identity say whether it is one; if it is, then everything else has
//! to be right: Ethernet destination, IPv4 header checksum, transport checksum. A checksum is verified always, and an
//! answer without one is wrong, since every question carries one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use wire::checksum::{Field, Sum, Summer};
use wire::ethernet::{self, Ethernet};
use wire::icmpv4::{self, Icmpv4Echo};
use wire::icmpv6;
use wire::ipv4::{self, Ipv4};
use wire::ipv6::{self, Ipv6};
use wire::udp::{self, Checksum, Udp};
use wire::{Fault, Headers, Kind, Mac, parse};

use crate::ask::{Ask, Protocol};
use crate::clock::WallTime;
use crate::question::Question;
use crate::transport::{Coverage, TransportError, What};

/// How many hops a question may take: the default of RFC 1700 and of most stacks.
const HOP_LIMIT: u8 = 64;

/// The largest IP packet that a 16-bit length can describe in either family.
const MTU_MAX: usize = u16::MAX as usize;

/// Bytes of a UDP header and of an echo header.
const TRANSPORT_LEN: usize = 8;
const _: () = assert!(Udp::LEN == TRANSPORT_LEN && Icmpv4Echo::LEN == TRANSPORT_LEN);

/// Whose frames these are, and where they go. The caller has resolved the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The NIC's own Ethernet address.
    pub mac: Mac,
    /// Our own address: one that the kernel owns, so that it answers ARP and NDP for it, or one that
    /// [`Neighbours`](crate::neighbours::Neighbours) answer for.
    pub ip: IpAddr,
    /// The Ethernet address of the target, or of the router towards it.
    pub next_hop: Mac,
    /// The UDP source port or the ICMP identifier. All that arrives for a claimed port is the probe's: take one that no
    /// other program uses. Echo replies cannot be claimed by identifier: while the probe runs it gets all of them.
    pub identity: NonZeroU16,
    /// The most bytes of an IP packet on this link.
    pub mtu: usize,
}

impl Link {
    /// What a NIC must hand to the probe instead of the kernel: our address, the protocol's number, and the UDP
    /// destination port or the ICMP type of an answer.
    pub fn claim(&self, protocol: Protocol) -> (IpAddr, u8, u16) {
        let (number, selector) = match (protocol, self.ip) {
            (Protocol::Icmp, IpAddr::V4(_)) => (ipv4::ICMP, u16::from(icmpv4::ECHO_REPLY)),
            (Protocol::Icmp, IpAddr::V6(_)) => (ipv6::ICMP, u16::from(icmpv6::ECHO_REPLY)),
            (_, IpAddr::V4(_)) => (ipv4::UDP, self.identity.get()),
            (_, IpAddr::V6(_)) => (ipv6::UDP, self.identity.get()),
        };
        (self.ip, number, selector)
    }
}

/// What becomes of an answer whose sender left the checksum to a NIC that does not exist, as a kernel behind a veth
/// does. Its bytes never crossed a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialChecksums {
    /// It is taken, and counted.
    Accept,
    /// It is corrupted.
    Refuse,
}

/// Writes the questions and reads the answers of one run.
///
/// All questions of a run are of one size, so that everything in front of the transport header is the same for all of
/// them, checksum included, and written once, here.
#[derive(Debug)]
pub struct Frames {
    link: Link,
    protocol: Protocol,
    ethernet: Ethernet,
    network: Network,
    /// The pseudo-header's part in the transport's checksum.
    pseudo: Sum,
    partial_checksums: PartialChecksums,
    company: Company,
    summer: Summer,
}

/// What comes beside answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    /// Nothing: a frame that is handed to us is for our address, protocol and port ([`Link::claim`]).
    None,
    /// Everything that somebody sends to the link.
    Mixed,
}

#[derive(Debug)]
enum Network {
    V4(Ipv4),
    V6(Ipv6),
}

impl Frames {
    /// The frames that ask over `link`.
    ///
    /// # Errors
    /// The link's own address is not of the target's family, or the questions are larger than the link's MTU.
    pub fn new(ask: &Ask, link: Link, partial_checksums: PartialChecksums) -> Result<Self, TransportError> {
        let headers_len = TRANSPORT_LEN + if ask.target.is_ipv4() { Ipv4::LEN } else { Ipv6::LEN };
        let most = link.mtu.min(MTU_MAX).saturating_sub(headers_len);
        let transport_len = u16::try_from(TRANSPORT_LEN + ask.size.min(most)).unwrap_or(u16::MAX);
        if ask.size > most {
            return Err(TransportError::TooLarge { found: ask.size, most });
        }
        let (network, ethertype) = match (link.ip, ask.target) {
            (IpAddr::V4(own), IpAddr::V4(target)) => {
                (Network::V4(ipv4_header(own, target, ask.protocol, transport_len)), ethernet::IPV4)
            }
            (IpAddr::V6(own), IpAddr::V6(target)) => {
                (Network::V6(ipv6_header(own, target, ask.protocol, transport_len)), ethernet::IPV6)
            }
            (own, target) => return Err(TransportError::Families { own, target }),
        };
        let pseudo = match (&network, ask.protocol) {
            (Network::V4(_), Protocol::Icmp) => Sum::ZERO,
            (Network::V4(ip), _) => ip.pseudo(transport_len),
            (Network::V6(ip), _) => ip.pseudo(transport_len),
        };
        let ethernet = Ethernet { dst: link.next_hop, src: link.mac, ethertype: ethertype.into() };
        let (company, summer) = (Company::None, Summer::fastest());
        Ok(Self {
            link,
            protocol: ask.protocol,
            ethernet,
            network,
            pseudo,
            partial_checksums,
            company,
            summer,
        })
    }

    /// The same for a card that hands over every frame there is, not only those of [`Link::claim`].
    #[must_use]
    pub fn among_others(self) -> Self {
        Self { company: Company::Mixed, ..self }
    }

    /// From here on questions go to `next_hop`.
    pub const fn set_next_hop(&mut self, next_hop: Mac) {
        self.link.next_hop = next_hop;
        self.ethernet.dst = next_hop;
    }

    /// Writes the question as a frame to the beginning of `room`, and gives the frame's length; nothing where the room
    /// is too small.
    pub fn write(&self, question: &Question<'_>, sent_at: WallTime, room: &mut [u8]) -> Option<usize> {
        let transport = Ethernet::LEN + self.network.header_len();
        let end = transport + TRANSPORT_LEN + question.size();
        let (frame, _) = room.split_at_mut_checked(end)?;
        *Ethernet::of_mut(frame, 0)? = self.ethernet;
        match &self.network {
            Network::V4(header) => *Ipv4::of_mut(frame, Ethernet::LEN)? = *header,
            Network::V6(header) => *Ipv6::of_mut(frame, Ethernet::LEN)? = *header,
        }
        let message = frame.get_mut(transport..)?;
        question.write(message.get_mut(TRANSPORT_LEN..)?, sent_at);
        match self.protocol.port() {
            Some(port) => self.write_udp(message, port)?,
            None => self.write_echo(message, question)?,
        }
        Some(ethernet::pad(room, end))
    }

    fn write_udp(&self, message: &mut [u8], port: NonZeroU16) -> Option<()> {
        let len = u16::try_from(message.len()).ok()?.into();
        let src = self.link.identity.get().into();
        *Udp::of_mut(message, 0)? = Udp { src, dst: port.get().into(), len, checksum: Field::ZERO };
        let checksum = (self.pseudo + self.summer.sum(message)).complement();
        Udp::of_mut(message, 0)?.checksum = if checksum == Field::ZERO { Field::ONES } else { checksum };
        Some(())
    }

    fn write_echo(&self, message: &mut [u8], question: &Question<'_>) -> Option<()> {
        *Icmpv4Echo::of_mut(message, 0)? = Icmpv4Echo {
            kind: self.network.echo_request(),
            code: 0,
            checksum: Field::ZERO,
            identifier: self.link.identity.get().into(),
            sequence: question.echo_sequence().into(),
        };
        let checksum = (self.pseudo + self.summer.sum(message)).complement();
        Icmpv4Echo::of_mut(message, 0)?.checksum = checksum;
        Some(())
    }

    /// What a frame says, or nothing where it is no answer of the target to us.
    pub fn read<'a>(&self, frame: &'a [u8]) -> Option<What<'a>> {
        let headers = match parse(frame) {
            Ok(headers) => headers,
            Err(fault) => return self.is_damaged_answer(frame, fault).then_some(What::Corrupted),
        };
        if !self.is_from_target(frame, headers) {
            return None;
        }
        let what = match self.protocol.port() {
            Some(port) => self.read_udp(frame, headers, port)?,
            None => self.read_echo(frame, headers)?,
        };
        let is_for_us = Ethernet::of(frame, 0).is_some_and(|ethernet| ethernet.dst == self.link.mac);
        Some(if is_for_us { what } else { What::Corrupted })
    }

    /// Whether a frame that cannot be read was an answer before it was damaged. Where others come too it must still name
    /// both ends, and have what only damage makes: fragments and options are somebody's, and no answers to us.
    #[cold]
    fn is_damaged_answer(&self, frame: &[u8], fault: Fault) -> bool {
        let is_damage = matches!(
            fault,
            Fault::FrameTruncated
                | Fault::Ipv4Length
                | Fault::Ipv4Checksum
                | Fault::Ipv6Length
                | Fault::IcmpLength
                | Fault::UdpLength
        );
        let is_ours = || {
            let ethertype = Ethernet::of(frame, 0).map(|ethernet| ethernet.ethertype);
            ethertype == Some(self.ethernet.ethertype) && self.names_both_ends(frame, Ethernet::LEN)
        };
        self.company == Company::None || (is_damage && is_ours())
    }

    fn is_from_target(&self, frame: &[u8], headers: Headers) -> bool {
        let is_of_family = match self.network {
            Network::V4(_) => matches!(headers.kind, Kind::Udpv4 | Kind::Icmpv4),
            Network::V6(_) => matches!(headers.kind, Kind::Udpv6 | Kind::Icmpv6),
        };
        is_of_family && self.names_both_ends(frame, headers.network)
    }

    /// Whether the header at `network` is from the target and to us.
    fn names_both_ends(&self, frame: &[u8], network: usize) -> bool {
        match &self.network {
            Network::V4(asked) => {
                Ipv4::of(frame, network).is_some_and(|ip| ip.src == asked.dst && ip.dst == asked.src)
            }
            Network::V6(asked) => {
                Ipv6::of(frame, network).is_some_and(|ip| ip.src == asked.dst && ip.dst == asked.src)
            }
        }
    }

    fn read_udp<'a>(&self, frame: &'a [u8], headers: Headers, port: NonZeroU16) -> Option<What<'a>> {
        if !matches!(headers.kind, Kind::Udpv4 | Kind::Udpv6) {
            return None;
        }
        let header = Udp::of(frame, headers.transport())?;
        if header.src.get() != port.get() || header.dst.get() != self.link.identity.get() {
            return None;
        }
        let payload = udp::payload(frame, headers)?;
        Some(match udp::check(frame, headers, &self.summer) {
            Checksum::Right => What::Answer { payload, echo_sequence: None, checksum: Coverage::Whole },
            Checksum::Partial if self.partial_checksums == PartialChecksums::Accept => {
                What::Answer { payload, echo_sequence: None, checksum: Coverage::Partial }
            }
            Checksum::Partial | Checksum::Absent | Checksum::Wrong => What::Corrupted,
        })
    }

    fn read_echo<'a>(&self, frame: &'a [u8], headers: Headers) -> Option<What<'a>> {
        let (reply, is_right) = match headers.kind {
            Kind::Icmpv4 => (icmpv4::ECHO_REPLY, icmpv4::is_right(frame, headers, &self.summer)),
            Kind::Icmpv6 => (icmpv6::ECHO_REPLY, icmpv6::is_right(frame, headers, &self.summer)),
            _ => return None,
        };
        let message = frame.get(headers.transport()..headers.end)?;
        let echo = Icmpv4Echo::of(message, 0)?;
        if echo.kind != reply || echo.identifier.get() != self.link.identity.get() {
            return None;
        }
        if echo.code != 0 || !is_right {
            return Some(What::Corrupted);
        }
        Some(What::Answer {
            payload: message.get(TRANSPORT_LEN..)?,
            echo_sequence: Some(echo.sequence.get()),
            checksum: Coverage::Whole,
        })
    }
}

impl Network {
    const fn header_len(&self) -> usize {
        match self {
            Self::V4(_) => Ipv4::LEN,
            Self::V6(_) => Ipv6::LEN,
        }
    }

    const fn echo_request(&self) -> u8 {
        match self {
            Self::V4(_) => icmpv4::ECHO_REQUEST,
            Self::V6(_) => icmpv6::ECHO_REQUEST,
        }
    }
}

/// An atomic datagram: no identification, fragmentation forbidden (RFC 6864 4.1).
#[expect(clippy::cast_possible_truncation, reason = "an IPv4 header has 20 bytes")]
fn ipv4_header(own: Ipv4Addr, target: Ipv4Addr, protocol: Protocol, transport_len: u16) -> Ipv4 {
    let mut header = [0; Ipv4::LEN];
    let fields = Ipv4 {
        version_and_len: ipv4::VERSION_AND_LEN,
        type_of_service: 0,
        total_len: (Ipv4::LEN as u16).saturating_add(transport_len).into(),
        identification: 0.into(),
        fragment: ipv4::DONT_FRAGMENT.into(),
        ttl: HOP_LIMIT,
        protocol: if protocol == Protocol::Icmp { ipv4::ICMP } else { ipv4::UDP },
        checksum: Field::ZERO,
        src: own.octets(),
        dst: target.octets(),
    };
    if let Some(place) = Ipv4::of_mut(&mut header, 0) {
        *place = fields;
    }
    Ipv4 { checksum: Sum::of(&header).complement(), ..fields }
}

fn ipv6_header(own: Ipv6Addr, target: Ipv6Addr, protocol: Protocol, transport_len: u16) -> Ipv6 {
    Ipv6 {
        version_and_class: ipv6::VERSION.into(),
        payload_len: transport_len.into(),
        next_header: if protocol == Protocol::Icmp { ipv6::ICMP } else { ipv6::UDP },
        hop_limit: HOP_LIMIT,
        src: own.octets(),
        dst: target.octets(),
    }
}

#[cfg(test)]
mod tests;

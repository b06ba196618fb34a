//! What a packet is looked up by, and what is found: its class.

use wire::headers::Kind;
use wire::{icmpv4, icmpv6};

use crate::conditions::{Asks, Tier};
use crate::prefix::Family;
use crate::service::Service;

/// Which responder answers. With the kind of the packet it says which way an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Responder {
    /// ARP requests and conflicts.
    Arp,
    /// Neighbour solicitations.
    Neighbour,
    /// ICMP and ICMPv6 echo.
    Echo,
    /// UDP echo.
    UdpEcho,
    /// STAMP packets of the mode that is served.
    Stamp,
    /// sockperf's messages.
    Sockperf,
    /// A closed UDP port of an address that only Barelane has.
    UdpClosed,
    /// None: no route takes it, and the address's owner has nothing to say of it.
    Nobody,
}

impl Responder {
    /// The one that a service has.
    pub(crate) const fn of(service: Service) -> Self {
        match service {
            Service::IcmpEcho => Self::Echo,
            Service::UdpEcho { .. } => Self::UdpEcho,
            Service::Stamp { .. } => Self::Stamp,
            Service::Sockperf { .. } => Self::Sockperf,
        }
    }
}

/// Which question a packet asks, and of which of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// What answers it.
    pub responder: Responder,
    /// The index of the address, with the next hop of the route, in [`LaneTables::host4`](crate::LaneTables::host4) or
    /// [`LaneTables::host6`](crate::LaneTables::host6).
    pub host: u16,
}

/// What the tables say of a packet: its class, and by which route. Eight bytes, so that a slot of the IPv4 lookup is 16
/// and four of them share a cache line. The road takes the class out of it and reads nothing else: all of it in a
/// register, however packed, cost an echo 3 to 18 instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Decision {
    /// What answers the packet.
    pub responder: Responder,
    /// Where it is answered at the earliest; [`Tier::Kernel`] where a route leaves it to the kernel.
    pub tier: Tier,
    /// The index of the address, with the next hop of the route, in [`LaneTables::host4`](crate::LaneTables::host4) or
    /// [`LaneTables::host6`](crate::LaneTables::host6).
    pub host: u16,
    /// The index of the route that takes it in [`RouteTable::routes`](crate::RouteTable::routes); [`Decision::NO_ROUTE`]
    /// where the address's owner does.
    pub route: u16,
    /// One more than the index of the refinement that has to be asked, where the answer depends on more than was looked
    /// up; else 0. Only what is found for "any selector" has one.
    pub refinement: u16,
}

const _: () = assert!(size_of::<Decision>() == 8);

impl Decision {
    /// What stands for a route where the address's owner decides.
    pub const NO_ROUTE: u16 = u16::MAX;

    /// What fills empty slots, and stands where no route takes anything.
    pub(crate) const NOTHING: Self = Self::of_owner(Responder::Nobody, 0);

    /// What a lane goes by.
    #[inline(always)]
    pub const fn class(&self) -> Class {
        Class { responder: self.responder, host: self.host }
    }

    /// What an address's owner answers.
    pub(crate) const fn of_owner(responder: Responder, host: u16) -> Self {
        Self { responder, tier: Tier::Lane, host, route: Self::NO_ROUTE, refinement: 0 }
    }
}

/// What a packet asks for, beside an address: kind and selector in the upper half of a word, the selector in memory
/// order, as the packet has it.
#[inline(always)]
pub(crate) fn question(kind: Kind, selector: u16) -> u64 {
    u64::from(selector.to_be()) << 48 | u64::from(kind as u8 ^ Kind::Udpv4 as u8) << 32
}

/// The same where the selector does not matter.
pub(crate) fn any_question(kind: Kind) -> u64 {
    question(kind, 0) | 1 << 40
}

/// The protocols that routes are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// ICMP over IPv4, ICMPv6 over IPv6: of them, echo requests.
    Icmp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Icmp, Self::Udp];

    /// Whose questions a service answers.
    pub(crate) const fn of(service: Service) -> Self {
        if service.udp_ports().is_some() { Self::Udp } else { Self::Icmp }
    }

    /// The kind of its packets.
    pub(crate) const fn kind(self, family: Family) -> Kind {
        match (self, family) {
            (Self::Icmp, Family::V4) => Kind::Icmpv4,
            (Self::Icmp, Family::V6) => Kind::Icmpv6,
            (Self::Udp, Family::V4) => Kind::Udpv4,
            (Self::Udp, Family::V6) => Kind::Udpv6,
        }
    }

    /// Its number in an IP header.
    pub(crate) const fn number(self, family: Family) -> u8 {
        match (self, family) {
            (Self::Icmp, Family::V4) => wire::ipv4::ICMP,
            (Self::Icmp, Family::V6) => wire::ipv6::ICMP,
            (Self::Udp, Family::V4) => wire::ipv4::UDP,
            (Self::Udp, Family::V6) => wire::ipv6::UDP,
        }
    }
}

/// The selectors that a service answers, first and last.
pub(crate) const fn selectors(service: Service, family: Family) -> (u16, u16) {
    match (service.udp_ports(), family) {
        (Some(ports), _) => (ports.first(), ports.last()),
        (None, Family::V4) => (icmpv4::ECHO_REQUEST as u16, icmpv4::ECHO_REQUEST as u16),
        (None, Family::V6) => (icmpv6::ECHO_REQUEST as u16, icmpv6::ECHO_REQUEST as u16),
    }
}

/// Kind and selector of the packet that asks so.
pub(crate) const fn asked(asks: Asks, family: Family) -> (Kind, u16) {
    match asks {
        Asks::Echo => (Protocol::Icmp.kind(family), selectors(Service::IcmpEcho, family).0),
        Asks::Udp(port) => (Protocol::Udp.kind(family), port),
    }
}

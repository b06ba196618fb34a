//! One route: its conditions, and whether a packet meets them, told by looking at each. This is what a route means;
//! what it is compiled to must say the same, and tests hold it to that.

use std::fmt;
use std::net::IpAddr;

use crate::class::Protocol;
use crate::limit::Limit;
use crate::ports::PortRange;
use crate::prefix::Prefix;
use crate::service::Service;
use crate::vlan_set::VlanSet;

/// Where an answer is made, the earliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tier {
    /// In the driver, by the XDP program.
    Driver,
    /// In user space, by a lane.
    Lane,
    /// Not by Barelane: the kernel keeps it.
    Kernel,
}

/// Where an answer shall be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// At the earliest tier that is able to.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Driver,
    /// In a lane.
    Lane,
    /// Not by Barelane: an exception from a route that comes later.
    Kernel,
}

/// Who gets the Ethernet frame of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextHop {
    /// Whoever is on the link, the station that asked; everybody else, the gateway that [`NextHops`](crate::NextHops) names.
    #[default]
    Auto,
    /// The station that asked, wherever the asker is.
    Reflect,
}

impl Tier {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Lane => "lane",
            Self::Kernel => "kernel",
        }
    }
}

impl TierChoice {
    /// Every choice by its name.
    pub const NAMES: &[(&str, Self)] =
        &[("auto", Self::Auto), ("driver", Self::Driver), ("lane", Self::Lane), ("kernel", Self::Kernel)];
}

impl NextHop {
    /// Every choice by its name.
    pub const NAMES: &[(&str, Self)] = &[("auto", Self::Auto), ("reflect", Self::Reflect)];
}

impl fmt::Display for Tier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for TierChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, choice)| choice == self).map_or("", |(name, _)| name);
        out.write_str(name)
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, choice)| choice == self).map_or("", |(name, _)| name);
        out.write_str(name)
    }
}

/// What the operator writes: which packets, what answers them, where, and who gets the answers. All conditions must hold;
/// one that is not given always does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What answers, and so what else is matched: protocol, ICMP type, ports.
    pub service: Service,
    /// Which of the addresses that are served: one of them, or all in a prefix.
    pub address: Option<Prefix>,
    /// Who may ask; everybody where it is empty.
    pub from: Vec<Prefix>,
    /// On which VLANs.
    pub vlans: Option<Box<VlanSet>>,
    /// Where it is answered.
    pub tier: TierChoice,
    /// Who gets its answers' frames, where that is not left to [`LaneSettings::next_hop`](crate::LaneSettings::next_hop).
    pub next_hop: Option<NextHop>,
    /// How often it answers, at most.
    pub limit: Limit,
    /// Whether it is for packets of another card than the one that the table is of: it keeps its number, and takes nothing.
    pub is_elsewhere: bool,
}

/// What a route looks at in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it asks for.
    pub asks: Asks,
    /// The destination address.
    pub to: IpAddr,
    /// The source address.
    pub from: IpAddr,
    /// The VLAN; [`VlanSet::NO_VLAN`] where it is of none. Of two tags, the inner one's, where that names a VLAN.
    pub vid: u16,
}

/// The questions that there are routes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// An echo request, of ICMP or ICMPv6 by the family of the addresses.
    Echo,
    /// A UDP datagram to this port.
    Udp(u16),
}

/// The first condition that a packet does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The route is for another card.
    Card,
    /// The service is of another protocol.
    Protocol(Service),
    /// The service answers on other ports.
    Port(PortRange),
    /// The route is for other addresses.
    Address(Prefix),
    /// The route is for other askers.
    Source(Vec<Prefix>),
    /// The route is for other VLANs.
    Vlan(Box<VlanSet>),
}

impl Route {
    /// A route without conditions beside those of its service.
    pub const fn everywhere(service: Service) -> Self {
        Self {
            service,
            address: None,
            from: Vec::new(),
            vlans: None,
            tier: TierChoice::Auto,
            next_hop: None,
            limit: Limit::NONE,
            is_elsewhere: false,
        }
    }

    /// A route on one address.
    pub fn on(address: IpAddr, service: Service) -> Self {
        Self { address: Some(address.into()), ..Self::everywhere(service) }
    }

    /// Why a packet is not this route's; nothing where it is.
    pub fn mismatch(&self, question: &Question) -> Option<Mismatch> {
        if self.is_elsewhere {
            return Some(Mismatch::Card);
        }
        match (self.service.udp_ports(), question.asks) {
            (None, Asks::Echo) => {}
            (Some(ports), Asks::Udp(port)) if ports.contains(port) => {}
            (Some(ports), Asks::Udp(_)) => return Some(Mismatch::Port(ports)),
            (None, Asks::Udp(_)) | (Some(_), Asks::Echo) => return Some(Mismatch::Protocol(self.service)),
        }
        if let Some(address) = self.address.filter(|address| !address.contains(question.to)) {
            return Some(Mismatch::Address(address));
        }
        if !self.from.is_empty() && !self.from.iter().any(|prefix| prefix.contains(question.from)) {
            return Some(Mismatch::Source(self.from.clone()));
        }
        match &self.vlans {
            Some(vlans) if !vlans.contains(question.vid) => Some(Mismatch::Vlan(vlans.clone())),
            _ => None,
        }
    }

    /// Whether who asks, or on which VLAN, decides whether a packet is this route's.
    pub fn is_conditioned(&self) -> bool {
        !self.from.is_empty() || self.vlans.is_some()
    }

    /// Whose questions it answers.
    pub(crate) const fn protocol(&self) -> Protocol {
        Protocol::of(self.service)
    }
}

/// As one would say it: `udp-echo:7 on 10.0.0.1 from 10.0.0.0/8, 192.0.2.0/24 (and 3 more), VLANs 7, tier kernel`.
impl fmt::Display for Route {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.service)?;
        if let Some(address) = self.address {
            write!(out, " on {address}")?;
        }
        if !self.from.is_empty() {
            write!(out, " from {}", Few(&self.from))?;
        }
        if let Some(vlans) = &self.vlans {
            write!(out, ", VLANs {vlans}")?;
        }
        if self.tier != TierChoice::Auto {
            write!(out, ", tier {}", self.tier)?;
        }
        if let Some(next_hop) = self.next_hop {
            write!(out, ", next hop {next_hop}")?;
        }
        if self.limit.is_none() { Ok(()) } else { write!(out, ", {}", self.limit) }
    }
}

/// Why, as the end of a sentence that begins with the route.
impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card => out.write_str("it is for another card"),
            Self::Protocol(Service::IcmpEcho) => out.write_str("it answers ICMP"),
            Self::Protocol(_) => out.write_str("it answers UDP"),
            Self::Port(ports) => write!(out, "its UDP port is {ports}"),
            Self::Address(address) => write!(out, "its address is {address}"),
            Self::Source(from) => write!(out, "it is for questions from {}", Few(from)),
            Self::Vlan(vlans) => write!(out, "its VLANs are {vlans}"),
        }
    }
}

/// The first of a list, and how many more there are: a complaint is one line.
struct Few<'a>(&'a [Prefix]);

impl fmt::Display for Few<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        let shown: Vec<String> = self.0.iter().take(SHOWN).map(ToString::to_string).collect();
        out.write_str(&shown.join(", "))?;
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(out, " (and {more} more)"),
        }
    }
}

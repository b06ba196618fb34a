//! The route table compiled: one lookup for what is asked most, and the refinements beside the road.
//!
//! ```text
//!   headers ─┬─ (host, kind, selector) ──▶ Lookup ──▶ class                    the road
//!            └─ not found: (host, kind) ─▶ Lookup ─┬▶ what the owner answers   a closed port, ARP
//!                                                  └▶ refinement ──▶ class     ranges, sources, VLANs
//! ```

use std::net::IpAddr;

use lookup::{Key, Lookup};
use wire::headers::{Kind, target_of};

use crate::class::{Class, Decision, Protocol, any_question, asked, question};
use crate::conditions::Question;
use crate::prefix::{Family, number};
use crate::refinement::Refinements;

/// One question, and what is said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whom it is sent to.
    pub address: IpAddr,
    /// The IP protocol: 1 ICMP, 17 UDP, 58 ICMPv6.
    pub protocol: u8,
    /// The UDP destination port, or the ICMP or ICMPv6 type; nothing for all that is not named by itself.
    pub selector: Option<u16>,
    /// What is said to it.
    pub decision: Decision,
}

impl Asked {
    /// The question of a key, taken apart; nothing where it is no question of IP.
    fn of(address: IpAddr, [kind, any]: [u8; 2], selector: [u8; 2], decision: Decision) -> Option<Self> {
        let protocol = Protocol::ALL.into_iter().find(|protocol| {
            let sought = protocol.kind(Family::of(address)) as u8 ^ Kind::Udpv4 as u8;
            sought == kind
        })?;
        let selector = (any == 0).then(|| u16::from_be_bytes(selector));
        Some(Self { address, protocol: protocol.number(Family::of(address)), selector, decision })
    }
}

/// Which packets are whose, flat, whole, and replaced only whole.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(crate) lookup4: Lookup<u64, Decision>,
    pub(crate) lookup6: Lookup<[u64; 3], Decision>,
    pub(crate) refinements: Refinements,
}

impl Compiled {
    /// What is decided of a packet to `target`, where a route takes all of its kind. One lookup in constant time.
    #[inline(always)]
    pub(crate) fn claimed(&self, kind: Kind, selector: u16, target: [u64; 2]) -> Option<&Decision> {
        self.find(kind, target, question(kind, selector))
    }

    /// What is said of the other packets of this kind to `target`. A second lookup.
    #[inline(always)]
    pub(crate) fn rest(&self, kind: Kind, target: [u64; 2]) -> Option<&Decision> {
        self.find(kind, target, any_question(kind))
    }

    /// The same for ARP alone, which is asked on the road.
    #[inline(always)]
    pub(crate) fn arp(&self, address: [u8; 4]) -> Option<Class> {
        let [_, low] = target_of(address.into());
        self.lookup4.place_of(any_question(Kind::Arp) | low).map(Decision::class)
    }

    #[inline(always)]
    fn find(&self, kind: Kind, [high, low]: [u64; 2], question: u64) -> Option<&Decision> {
        match kind {
            Kind::Arp | Kind::Icmpv4 | Kind::Udpv4 => self.lookup4.place_of(question | low),
            Kind::Icmpv6 | Kind::Solicitation | Kind::Udpv6 => self.lookup6.place_of([high, low, question]),
        }
    }

    /// The class of a packet as a lane finds it, step by step; nothing where no route takes it and its address's owner
    /// has nothing to say of it.
    pub fn decide(&self, packet: &Question) -> Option<Decision> {
        let (kind, selector) = asked(packet.asks, Family::of(packet.to));
        self.decision(kind, selector, target_of(packet.to), Some(number(packet.from)), packet.vid)
    }

    /// The same of a packet that has such headers. One without a source has no refinements.
    pub(crate) fn decision(
        &self,
        kind: Kind,
        selector: u16,
        target: [u64; 2],
        source: Option<u128>,
        vid: u16,
    ) -> Option<Decision> {
        if let Some(decision) = self.find(kind, target, question(kind, selector)) {
            return Some(*decision);
        }
        let any = self.rest(kind, target)?;
        if any.refinement == 0 {
            return Some(*any);
        }
        self.refinements.decide(any, Family::of_kind(kind), selector, source?, vid)
    }

    /// Every question about which routes or an address's owner have something to say, in no order; ARP and NDP are the
    /// owner's and are left out. This is the lookup as a program reads it that answers in a lane's place.
    pub fn asked(&self) -> impl Iterator<Item = Asked> + '_ {
        let ipv4 =
            self.lookup4.slots().filter(|(key, _)| *key != u64::VACANT).filter_map(|(key, decision)| {
                let [a, b, c, d, kind, any, selector @ ..] = key.to_ne_bytes();
                Asked::of([a, b, c, d].into(), [kind, any], selector, decision)
            });
        let ipv6 = self.lookup6.slots().filter(|(key, _)| *key != <[u64; 3]>::VACANT).filter_map(
            |([high, low, question], decision)| {
                let [_, _, _, _, kind, any, selector @ ..] = question.to_ne_bytes();
                let mut octets = [0; 16];
                let words = high.to_ne_bytes().into_iter().chain(low.to_ne_bytes());
                octets.iter_mut().zip(words).for_each(|(to, from)| *to = from);
                Asked::of(octets.into(), [kind, any], selector, decision)
            },
        );
        ipv4.chain(ipv6)
    }

    /// From address, kind and selector to the class, for IPv4; see [`LaneTables`](crate::LaneTables).
    pub fn lookup4(&self) -> &Lookup<u64, Decision> {
        &self.lookup4
    }

    /// The same for IPv6.
    pub fn lookup6(&self) -> &Lookup<[u64; 3], Decision> {
        &self.lookup6
    }

    /// What has more conditions than an address and a port.
    pub fn refinements(&self) -> &Refinements {
        &self.refinements
    }
}

#[cfg(test)]
mod tests {
    use crate::{Address, Owner, RouteTable};

    #[test]
    fn what_is_asked_is_told_with_its_address_protocol_and_selector() {
        let address =
            |ip: &str, prefix_len| Address { ip: ip.parse().unwrap(), prefix_len, owner: Owner::Barelane };
        let services = ["icmp-echo", "udp-echo:4660"].map(|name| name.parse().unwrap());
        let table =
            RouteTable::everywhere(vec![address("10.0.0.1", 24), address("fd00::1", 64)], &services).unwrap();
        let mut asked: Vec<_> = table
            .compiled()
            .asked()
            .map(|asked| (asked.address.to_string(), asked.protocol, asked.selector))
            .collect();
        asked.sort();
        let wanted = [
            ("10.0.0.1", 1, Some(8)),
            ("10.0.0.1", 17, None),
            ("10.0.0.1", 17, Some(4660)),
            ("fd00::1", 17, None),
            ("fd00::1", 17, Some(4660)),
            ("fd00::1", 58, Some(128)),
        ];
        assert_eq!(asked, wanted.map(|(ip, protocol, selector)| (ip.to_owned(), protocol, selector)));
    }
}

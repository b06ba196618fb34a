//! The route table compiled: one lookup for what is asked most, and the refinements beside the road.
//!
//! ```text
//!   headers ─┬─ (host, kind, selector) ──▶ Lookup ──▶ class                    the road
//!            └─ not found: (host, kind) ─▶ Lookup ─┬▶ what the owner answers   a closed port, ARP
//!                                                  └▶ refinement ──▶ class     ranges, sources, VLANs
//! ```

use wire::headers::{Kind, target_of};

use crate::class::{Class, Decision, any_question, asked, question};
use crate::conditions::Question;
use crate::lookup::Lookup;
use crate::prefix::{Family, number};
use crate::refinement::Refinements;

/// Which packets are whose, flat, whole, and replaced only whole.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(crate) lookup4: Lookup<u64, Decision>,
    pub(crate) lookup6: Lookup<[u64; 3], Decision>,
    pub(crate) refinements: Refinements,
}

impl Compiled {
    /// Which question a packet asks of `target`, where a route takes all of its kind. One lookup in constant time.
    #[inline(always)]
    pub(crate) fn class(&self, kind: Kind, selector: u16, target: [u64; 2]) -> Option<Class> {
        self.find(kind, target, question(kind, selector)).map(Decision::class)
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
        let family = Family::of(packet.to);
        let (kind, selector) = asked(packet.asks, family);
        let target = target_of(packet.to);
        if let Some(decision) = self.find(kind, target, question(kind, selector)) {
            return Some(*decision);
        }
        let any = self.rest(kind, target)?;
        if any.refinement == 0 {
            return Some(*any);
        }
        self.refinements.decide(any, family, selector, number(packet.from), packet.vid)
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

//! The route table compiled: one lookup for what is asked most, and the refinements beside the road.
//!
//! ```text
//!   headers ─┬─ (host, kind, selector) ──▶ Lookup ──▶ class                    the road
//!            └─ not found: (host, kind) ─▶ Lookup ─┬▶ what the owner answers   a closed port, ARP
//!                                                  └▶ refinement ──▶ class     ranges, sources, VLANs
//! ```

use wire::headers::{Kind, target_of};

use crate::class::{Class, any_question, asked, question};
use crate::conditions::Question;
use crate::lookup::Lookup;
use crate::prefix::{Family, number};
use crate::refinement::Refinements;

/// Which packets are whose, flat, whole, and replaced only whole.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(crate) lookup4: Lookup<u64, Class>,
    pub(crate) lookup6: Lookup<[u64; 3], Class>,
    pub(crate) refinements: Refinements,
}

impl Compiled {
    /// Which question a packet asks of `target`, where a route takes all of its kind. One lookup in constant time.
    #[inline(always)]
    pub(crate) fn class(&self, kind: Kind, selector: u16, target: [u64; 2]) -> Option<Class> {
        self.find(kind, target, question(kind, selector))
    }

    /// What is said of the other packets of this kind to `target`. A second lookup.
    #[inline]
    pub(crate) fn any_class(&self, kind: Kind, target: [u64; 2]) -> Option<Class> {
        self.find(kind, target, any_question(kind))
    }

    #[inline(always)]
    fn find(&self, kind: Kind, [high, low]: [u64; 2], question: u64) -> Option<Class> {
        match kind {
            Kind::Arp | Kind::Icmpv4 | Kind::Udpv4 => self.lookup4.find(question | low),
            Kind::Icmpv6 | Kind::Solicitation | Kind::Udpv6 => self.lookup6.find([high, low, question]),
        }
    }

    /// The class of a packet as a lane finds it, step by step; nothing where no route takes it and its address's owner
    /// has nothing to say of it.
    pub fn decide(&self, packet: &Question) -> Option<Class> {
        let family = Family::of(packet.to);
        let (kind, selector) = asked(packet.asks, family);
        let target = target_of(packet.to);
        if let Some(class) = self.class(kind, selector, target) {
            return Some(class);
        }
        let any = self.any_class(kind, target)?;
        if any.refinement == 0 {
            return Some(any);
        }
        self.refinements.class(any, family, selector, number(packet.from), packet.vid)
    }

    /// From address, kind and selector to the class, for IPv4; see [`LaneTables`](crate::LaneTables).
    pub fn lookup4(&self) -> &Lookup<u64, Class> {
        &self.lookup4
    }

    /// The same for IPv6.
    pub fn lookup6(&self) -> &Lookup<[u64; 3], Class> {
        &self.lookup6
    }

    /// What has more conditions than an address and a port.
    pub fn refinements(&self) -> &Refinements {
        &self.refinements
    }
}

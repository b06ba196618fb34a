//! What a route reaches, as sets that can be compared: whether one route takes all that another could ever get.

use crate::class::{Protocol, selectors};
use crate::compiler::{Place, selected};
use crate::conditions::{Asks, Question, Route};
use crate::prefix::{Family, Runs, address};
use crate::vlan_set::VlanSet;

/// What a route reaches of one family.
#[derive(Clone, Debug)]
struct Of {
    /// The hosts, as places among the sorted ones: first, and one past the last.
    hosts: (usize, usize),
    /// Who may ask.
    sources: Runs,
}

/// Every packet that a route could take, were it alone.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    protocol: Protocol,
    ports: (u16, u16),
    families: [Option<Of>; 2],
    vlans: VlanSet,
}

impl Reach {
    /// What `route` reaches of the sorted `places` on the VLANs that are served.
    pub(crate) fn of(route: &Route, places: &[Place], served: &VlanSet) -> Self {
        // One family's ICMP type is as good as the other's to compare by: every service has one or the other.
        let ports = selectors(route.service, Family::V4);
        let vlans = route.vlans.as_deref().map_or(*served, |vlans| vlans.common(served));
        let of = |family| Of::new(route, family, places);
        Self { protocol: route.protocol(), ports, families: Family::ALL.map(of), vlans }
    }

    /// Whether it reaches nothing: no host has an asker of its own family.
    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self.families, [None, None])
    }

    /// Whether everything that `other` reaches is reached.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.ports.0 <= other.ports.0
            && other.ports.1 <= self.ports.1
            && self.families.iter().zip(&other.families).all(|(own, its)| match (own, its) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(own), Some(its)) => own.covers(its),
            })
            && self.vlans.cover(&other.vlans)
    }

    /// One packet that it reaches; nothing where it reaches none.
    pub(crate) fn first(&self, places: &[Place]) -> Option<Question> {
        let (of, family) =
            self.families.iter().zip(Family::ALL).find_map(|(of, one)| Some((of.as_ref()?, one)))?;
        let asks = match self.protocol {
            Protocol::Icmp => Asks::Echo,
            Protocol::Udp => Asks::Udp(self.ports.0),
        };
        Some(Question {
            asks,
            to: places.get(of.hosts.0)?.ip,
            from: address(family, of.sources.first()?),
            vid: self.vlans.first()?,
        })
    }
}

impl Of {
    fn new(route: &Route, family: Family, places: &[Place]) -> Option<Self> {
        let of_family = |place: &Place| Family::of(place.ip) < family;
        let all = || {
            let first = places.partition_point(of_family);
            let end = places.partition_point(|place| Family::of(place.ip) <= family);
            (first, end)
        };
        let hosts = match route.address {
            None => all(),
            Some(prefix) if prefix.family() == family => selected(places, prefix),
            Some(_) => return None,
        };
        let everybody = crate::prefix::Prefix::everything(family);
        let from = route.from.iter().copied().filter(|prefix| prefix.family() == family);
        let sources = if route.from.is_empty() { Runs::of([everybody].into_iter()) } else { Runs::of(from) };
        (hosts.0 < hosts.1 && sources.first().is_some()).then_some(Self { hosts, sources })
    }

    fn covers(&self, other: &Self) -> bool {
        self.hosts.0 <= other.hosts.0 && other.hosts.1 <= self.hosts.1 && self.sources.cover(&other.sources)
    }
}

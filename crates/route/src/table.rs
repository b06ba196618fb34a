//! The route table as the operator means it: addresses, whose they are, and what is answered on them.
//!
//! The first route whose conditions all hold takes a packet, in the operator's order. [`RouteTable::first_match`] says
//! it by looking at one after the other; what the routes are compiled to says the same in constant time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::compiled::Compiled;
use crate::compiler::{self, Place, places_of};
use crate::conditions::{NextHop, Question, Route, Tier, TierChoice};
use crate::error::{Numbered, RouteError};
use crate::limit::Limit;
use crate::reach::Reach;
use crate::service::Service;
use crate::vlan_set::VlanSet;

/// The most addresses of one table: their index in [`crate::LaneTables`] is 16 bits wide. Where routes name one next
/// hop an address counts twice, where they name both four times.
pub const ADDRESS_COUNT_MAX: usize = 1 << 16;

/// The most routes of one table: their index in [`crate::Class`] is 16 bits wide, and one value of it is none.
pub const ROUTE_COUNT_MAX: usize = (1 << 16) - 1;

/// The most routes with a limit of one table: each lane, and the driver, keeps room for so many from its start.
pub const LIMIT_COUNT_MAX: usize = 1 << 10;

/// Who answers for what no route claims on an address, ARP and NDP included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The kernel has this address too: it keeps everything that no route claims.
    Kernel,
    /// Only Barelane has this address: it answers ARP and NDP for it, and what no route claims ends here.
    Barelane,
}

/// An address that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// How many leading bits name its link. Tells the link's broadcast address, which may not ask (RFC 1122 3.2.1.3).
    pub prefix_len: u8,
    /// Who answers for the rest.
    pub owner: Owner,
}

impl Address {
    /// The broadcast address of its link, which may not ask; none for IPv6, and for links without one.
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.ip {
            IpAddr::V4(ip) => broadcast_of(ip, self.prefix_len),
            IpAddr::V6(_) => None,
        }
    }
}

/// What the link gives its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The VLANs that are served, [`VlanSet::NO_VLAN`] among them.
    pub vlans: VlanSet,
    /// The earliest tier that can answer anything: [`Tier::Driver`] or [`Tier::Lane`].
    pub earliest: Tier,
}

/// A link without VLANs on which lanes answer.
impl Default for Terms {
    fn default() -> Self {
        Self { vlans: VlanSet::UNTAGGED, earliest: Tier::Lane }
    }
}

/// Addresses and routes that fit together, compiled. Holding one proves it.
#[derive(Clone, Debug)]
pub struct RouteTable {
    addresses: Vec<Address>,
    routes: Vec<Route>,
    tiers: Vec<Tier>,
    idle: BTreeMap<usize, RouteError>,
    compiled: Compiled,
}

/// Whether there are other cards, on which a route may get what it does not get here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cards {
    One,
    Several,
}

impl RouteTable {
    /// Checks that the parts fit together, on a link without VLANs, and compiles them.
    pub fn new(addresses: Vec<Address>, routes: Vec<Route>) -> Result<Self, RouteError> {
        Self::with_terms(addresses, routes, &Terms::default())
    }

    /// The same services on every address: what the command line's `--respond` means.
    pub fn everywhere(addresses: Vec<Address>, services: &[Service]) -> Result<Self, RouteError> {
        Self::new(addresses, services.iter().copied().map(Route::everywhere).collect())
    }

    /// Checks that the parts fit together and to the link's terms, and compiles them.
    pub fn with_terms(
        addresses: Vec<Address>,
        routes: Vec<Route>,
        terms: &Terms,
    ) -> Result<Self, RouteError> {
        Self::build(addresses, routes, terms, Cards::One)
    }

    /// The same of one card among several: a route that gets nothing here may get something on another one.
    /// [`RouteTable::idle`] has those, and one that is idle on every card must be refused.
    pub fn of_several(
        addresses: Vec<Address>,
        routes: Vec<Route>,
        terms: &Terms,
    ) -> Result<Self, RouteError> {
        Self::build(addresses, routes, terms, Cards::Several)
    }

    fn build(
        addresses: Vec<Address>,
        mut routes: Vec<Route>,
        terms: &Terms,
        cards: Cards,
    ) -> Result<Self, RouteError> {
        check_addresses(&addresses)?;
        check_counts(&addresses, &routes)?;
        let next_hops = compiler::next_hops_of(&routes).len();
        let places = places_of(&addresses, u16::try_from(next_hops).unwrap_or(1));
        let (mut idle, mut reaches) = (BTreeMap::new(), Vec::new());
        for (index, reach) in reaches_of(&routes, &places, &terms.vlans)?.into_iter().enumerate() {
            match reach {
                Err(error) if cards == Cards::One => return Err(error),
                Err(error) => _ = idle.insert(index, error),
                Ok(reach) => reaches.extend(reach.map(|reach| (index, reach))),
            }
        }
        let tiers = tiers_of(&routes, terms.earliest)?;
        let Ok(compiled) = compiler::compile(&places, &routes, &tiers) else {
            let index = first_too_large(&places, &routes, &tiers);
            let route = routes.swap_remove(index);
            return Err(RouteError::TooLarge(Box::new(Numbered { index, route })));
        };
        for (index, error) in shadowed(&routes, &reaches, &places, &compiled) {
            if cards == Cards::One {
                return Err(error);
            }
            idle.insert(index, error);
        }
        Ok(Self { addresses, routes, tiers, idle, compiled })
    }

    /// The addresses, in the operator's order.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The routes, in the operator's order.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Those of them that are for packets of this card.
    pub fn routes_here(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(|route| !route.is_elsewhere)
    }

    /// The routes that get nothing here, by their numbers, and why; without those that are for another card.
    pub fn idle(&self) -> &BTreeMap<usize, RouteError> {
        &self.idle
    }

    /// Whether the route with this number can take a packet here.
    pub fn gets_something(&self, number: usize) -> bool {
        let is_here = self.routes.get(number).is_some_and(|route| !route.is_elsewhere);
        is_here && !self.idle.contains_key(&number)
    }

    /// Where each of them is answered, in the same order.
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// Who gets the frames of a route's answers; `otherwise` where it does not say it, and where it is no route.
    pub fn next_hop(&self, route: u16, otherwise: NextHop) -> NextHop {
        self.routes.get(usize::from(route)).and_then(|route| route.next_hop).unwrap_or(otherwise)
    }

    /// The limits that there are, in the order of their routes; and for each route one more than the index of its own, or 0.
    pub fn limits(&self) -> (Vec<Limit>, Vec<u16>) {
        let mut limits = Vec::new();
        let mut index_of = |route: &Route| {
            if route.limit.is_none() {
                return 0;
            }
            limits.push(route.limit);
            u16::try_from(limits.len()).unwrap_or(0)
        };
        let indices = self.routes.iter().map(&mut index_of).collect();
        (limits, indices)
    }

    /// What they are compiled to.
    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// The index of the route that takes a packet, by looking at each of them; nothing where none does, or where the
    /// address is not served.
    pub fn first_match(&self, question: &Question) -> Option<usize> {
        let is_served = self.addresses.iter().any(|address| address.ip == question.to);
        self.routes.iter().position(|route| is_served && route.mismatch(question).is_none())
    }
}

fn numbered(routes: &[Route], index: usize) -> Option<Numbered> {
    routes.get(index).map(|route| Numbered { index, route: route.clone() })
}

/// Refuses more of anything than there is room for, and nothing at all.
fn check_counts(addresses: &[Address], routes: &[Route]) -> Result<(), RouteError> {
    match routes.len() {
        _ if routes.iter().all(|route| route.is_elsewhere) => return Err(RouteError::NoRoute),
        count if count > ROUTE_COUNT_MAX => return Err(RouteError::TooManyRoutes(count)),
        _ => {}
    }
    let limits = routes.iter().filter(|route| !route.limit.is_none()).count();
    if limits > LIMIT_COUNT_MAX {
        return Err(RouteError::TooManyLimits(limits));
    }
    let next_hops = compiler::next_hops_of(routes).len();
    if addresses.len() * next_hops > ADDRESS_COUNT_MAX {
        return Err(RouteError::TooManyNextHops(addresses.len(), ADDRESS_COUNT_MAX / next_hops));
    }
    Ok(())
}

/// What each route reaches, or why it reaches nothing here; nothing is said of one that is for another card.
type Reached = Vec<Result<Option<Reach>, RouteError>>;

fn reaches_of(routes: &[Route], places: &[Place], served: &VlanSet) -> Result<Reached, RouteError> {
    let reach = |(index, route): (usize, &Route)| {
        if route.is_elsewhere {
            return Ok(Ok(None));
        }
        let numbered = || Numbered { index, route: route.clone() };
        if route.address.is_some_and(|prefix| {
            let (first, end) = compiler::selected(places, prefix);
            first == end
        }) {
            return Ok(Err(RouteError::AddressUnknown(numbered())));
        }
        let mut vids = route.vlans.iter().flat_map(|vlans| vlans.iter());
        if let Some(vid) = vids.find(|&vid| !served.contains(vid)) {
            return Err(RouteError::VlanUnknown(numbered(), vid));
        }
        let reach = Reach::of(route, places, served);
        Ok(if reach.is_empty() { Err(RouteError::SourceFamily(numbered())) } else { Ok(Some(reach)) })
    };
    routes.iter().enumerate().map(reach).collect()
}

/// Where each route is answered.
fn tiers_of(routes: &[Route], earliest: Tier) -> Result<Vec<Tier>, RouteError> {
    let tier = |(index, route): (usize, &Route)| {
        let is_able = route.service.is_answered_in_the_driver();
        let numbered = || Numbered { index, route: route.clone() };
        match (route.tier, earliest) {
            _ if route.is_elsewhere => Ok(Tier::Kernel),
            (TierChoice::Kernel, _) => Ok(Tier::Kernel),
            (TierChoice::Auto, Tier::Driver) if is_able => Ok(Tier::Driver),
            (TierChoice::Auto | TierChoice::Lane, _) => Ok(Tier::Lane),
            (TierChoice::Driver, _) if !is_able => Err(RouteError::DriverUnable(numbered())),
            (TierChoice::Driver, Tier::Driver) => Ok(Tier::Driver),
            (TierChoice::Driver, _) => Err(RouteError::DriverAbsent(numbered())),
        }
    };
    routes.iter().enumerate().map(tier).collect()
}

/// The index of the first route that is too much for those before it; all together are too much.
fn first_too_large(places: &[Place], routes: &[Route], tiers: &[Tier]) -> usize {
    let fits =
        |&count: &usize| compiler::compile(places, routes.get(..count).unwrap_or(routes), tiers).is_ok();
    // Ends: what is left to search becomes smaller by half.
    let (mut fitting, mut bursting) = (0, routes.len());
    while bursting - fitting > 1 {
        let middle = usize::midpoint(fitting, bursting);
        if fits(&middle) { fitting = middle } else { bursting = middle }
    }
    fitting
}

/// The routes that get nothing, since one before takes all that they could.
///
/// Such a one takes the first packet that the later one could get, too. What takes that is a single lookup in the
/// compiled table, and it is nearly always the later one itself; only else are all that come before looked at.
fn shadowed(
    routes: &[Route],
    reaches: &[(usize, Reach)],
    places: &[Place],
    compiled: &Compiled,
) -> Vec<(usize, RouteError)> {
    let error = |(place, (index, reach)): (usize, &(usize, Reach))| {
        let first = reach.first(places).and_then(|question| compiled.decide(&question));
        if first.is_some_and(|class| usize::from(class.route) == *index) {
            return None;
        }
        let (earlier, _) = reaches.iter().take(place).find(|(_, earlier)| earlier.covers(reach))?;
        let [earlier, later] = [numbered(routes, *earlier)?, numbered(routes, *index)?].map(Box::new);
        Some((*index, RouteError::Shadowed { earlier, later }))
    };
    reaches.iter().enumerate().filter_map(error).collect()
}

fn check_addresses(addresses: &[Address]) -> Result<(), RouteError> {
    if addresses.is_empty() {
        return Err(RouteError::NoAddress);
    }
    if addresses.len() > ADDRESS_COUNT_MAX {
        return Err(RouteError::TooManyAddresses(addresses.len()));
    }
    let mut known = BTreeSet::new();
    for address in addresses {
        check_address(address)?;
        if !known.insert(address.ip) {
            return Err(RouteError::AddressTwice(address.ip));
        }
    }
    Ok(())
}

fn check_address(&Address { ip, prefix_len, .. }: &Address) -> Result<(), RouteError> {
    let (bits, is_unicast) = match ip {
        IpAddr::V4(v4) => {
            (32, !(v4.octets().first() == Some(&0) || v4.is_multicast() || v4 >= Ipv4Addr::new(240, 0, 0, 0)))
        }
        IpAddr::V6(v6) => (128, !v6.is_multicast()),
    };
    if ip.is_unspecified() || ip.is_loopback() || !is_unicast {
        return Err(RouteError::AddressNotUnicast(ip));
    }
    if prefix_len > bits {
        return Err(RouteError::PrefixTooLong(ip, prefix_len));
    }
    let IpAddr::V4(v4) = ip else { return Ok(()) };
    match host_part(v4, prefix_len) {
        (host, mask) if mask > 1 && host == 0 => Err(RouteError::AddressNotHost(ip, prefix_len, "network")),
        (host, mask) if mask > 1 && host == mask => {
            Err(RouteError::AddressNotHost(ip, prefix_len, "broadcast"))
        }
        _ => Ok(()),
    }
}

/// The bits of an address behind its prefix, and the mask that took them.
fn host_part(ip: Ipv4Addr, prefix_len: u8) -> (u32, u32) {
    let mask = u32::MAX.checked_shr(u32::from(prefix_len)).unwrap_or(0);
    (ip.to_bits() & mask, mask)
}

/// The broadcast address of the link; none for /31 and /32, which have no such thing (RFC 3021).
pub(crate) fn broadcast_of(ip: Ipv4Addr, prefix_len: u8) -> Option<Ipv4Addr> {
    let (_, mask) = host_part(ip, prefix_len);
    (mask > 1).then(|| Ipv4Addr::from_bits(ip.to_bits() | mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::Asks;

    fn address(text: &str) -> Address {
        let (ip, len) = text.split_once('/').unwrap();
        Address { ip: ip.parse().unwrap(), prefix_len: len.parse().unwrap(), owner: Owner::Barelane }
    }

    fn table(addresses: &[&str], services: &[&str]) -> Result<RouteTable, RouteError> {
        let services: Vec<Service> = services.iter().map(|name| name.parse().unwrap()).collect();
        RouteTable::everywhere(addresses.iter().map(|text| address(text)).collect(), &services)
    }

    #[test]
    fn what_no_host_can_have_is_no_address() {
        for text in [
            "0.0.0.0/0",
            "0.1.2.3/8",
            "127.0.0.1/8",
            "224.0.0.1/24",
            "255.255.255.255/32",
            "240.0.0.1/8",
            "::/0",
            "::1/128",
            "ff02::1/64",
        ] {
            assert!(
                matches!(table(&[text], &["icmp-echo"]), Err(RouteError::AddressNotUnicast(_))),
                "{text}"
            );
        }
        for text in ["10.0.0.0/24", "10.0.0.255/24", "10.0.0.3/30"] {
            assert!(matches!(table(&[text], &["icmp-echo"]), Err(RouteError::AddressNotHost(..))), "{text}");
        }
        for text in ["10.0.0.1/33", "fd00::1/129"] {
            assert!(matches!(table(&[text], &["icmp-echo"]), Err(RouteError::PrefixTooLong(..))), "{text}");
        }
        for text in ["10.0.0.0/31", "10.0.0.1/31", "10.0.0.0/32", "fd00::/64", "10.0.0.1/0"] {
            assert!(table(&[text], &["icmp-echo"]).is_ok(), "{text}");
        }
    }

    #[test]
    fn no_address_may_be_given_twice_and_something_must_be_answered() {
        let refused = |addresses: &[&str], services: &[&str]| table(addresses, services).unwrap_err();
        assert_eq!(refused(&[], &["icmp-echo"]), RouteError::NoAddress);
        assert_eq!(refused(&["10.0.0.1/24"], &[]), RouteError::NoRoute);
        let twice = refused(&["10.0.0.1/24", "10.0.0.1/16"], &["icmp-echo"]);
        assert!(matches!(twice, RouteError::AddressTwice(_)));
    }

    /// A route as a test writes it: service, then `on`, `from`, `vlan`, `tier` and `hop` with what follows.
    fn route(text: &str) -> Route {
        let mut words = text.split_whitespace();
        let mut route = Route::everywhere(words.next().unwrap().parse().unwrap());
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                "on" => route.address = Some(value.parse().unwrap()),
                "from" => route.from = value.split(',').map(|prefix| prefix.parse().unwrap()).collect(),
                "vlan" => {
                    let vids = value.split(',').map(|vid| vid.parse().unwrap());
                    route.vlans = Some(Box::new(vids.collect()));
                }
                "tier" => route.tier = TierChoice::NAMES.iter().find(|(name, _)| *name == value).unwrap().1,
                "hop" => {
                    route.next_hop = NextHop::NAMES.iter().find(|(name, _)| *name == value).map(|one| one.1);
                }
                other => panic!("{other}"),
            }
        }
        route
    }

    /// A table of two addresses that the kernel has too, two of Barelane's own, and VLANs 7 and 8.
    fn routes(texts: &[&str]) -> Result<RouteTable, RouteError> {
        let kernels =
            ["10.0.0.1/24", "fd00::1/64"].map(|text| Address { owner: Owner::Kernel, ..address(text) });
        let addresses = kernels.into_iter().chain(["10.0.0.9/24", "fd00::9/64"].map(address)).collect();
        let vlans = [VlanSet::NO_VLAN, 7, 8].into_iter().collect();
        let terms = Terms { vlans, ..Terms::default() };
        RouteTable::with_terms(addresses, texts.iter().map(|text| route(text)).collect(), &terms)
    }

    #[test]
    fn a_route_that_could_never_take_a_packet_is_refused() {
        for (text, problem) in [
            (
                "icmp-echo on 10.0.0.2",
                "route 1 (`icmp-echo on 10.0.0.2`) stands on an address that is not served",
            ),
            ("icmp-echo on 11.0.0.0/8", "not served"),
            ("icmp-echo vlan 9", "is for VLAN 9, which is not served"),
            ("icmp-echo on 10.0.0.1 from fd00::/8", "another IP version"),
            ("stamp tier driver", "cannot be answered in the driver, which knows"),
            ("icmp-echo tier driver", "cannot be answered in the driver here"),
        ] {
            let told = routes(&[text]).unwrap_err().to_string();
            assert!(told.contains(problem), "{told}");
        }
        assert!(routes(&["icmp-echo on 10.0.0.0/8 from 10.0.0.0/8,fd00::/8 vlan 0,8"]).is_ok());
    }

    #[test]
    fn a_route_in_the_shadow_of_one_before_it_is_refused_by_both_names() {
        for (earlier, later) in [
            ("udp-echo:7", "udp-echo:7"),
            ("udp-echo:1-1000", "stamp"),
            ("udp-echo:862", "stamp on 10.0.0.1"),
            ("icmp-echo from 0.0.0.0/0,::/0", "icmp-echo on fd00::1"),
            ("icmp-echo from 10.0.0.0/9,10.128.0.0/9", "icmp-echo from 10.0.0.0/8"),
            ("icmp-echo vlan 0,7,8", "icmp-echo"),
            ("icmp-echo vlan 0,7", "icmp-echo vlan 7 from 10.0.0.0/8"),
            ("icmp-echo on 10.0.0.0/24", "icmp-echo from 10.0.0.0/8"),
            ("icmp-echo tier kernel", "icmp-echo on 10.0.0.9"),
        ] {
            let told = routes(&["udp-echo:9999", earlier, later]).unwrap_err();
            let RouteError::Shadowed { earlier: first, later: second } = &told else { panic!("{told}") };
            assert_eq!((first.index, second.index), (1, 2), "{earlier} before {later}");
            let told = told.to_string();
            assert!(told.contains(&first.to_string()) && told.contains(&second.to_string()), "{told}");
        }
    }

    #[test]
    fn a_route_that_gets_something_is_not_in_a_shadow() {
        for (earlier, later) in [
            ("udp-echo:7", "icmp-echo"),
            ("udp-echo:862", "stamp:862-863"),
            ("udp-echo:7 on 10.0.0.1", "stamp:7"),
            ("icmp-echo from 0.0.0.0/0", "icmp-echo"),
            ("icmp-echo from 10.0.0.0/9", "icmp-echo from 10.0.0.0/8"),
            ("icmp-echo vlan 0,7", "icmp-echo"),
            ("icmp-echo tier kernel on 10.0.0.1", "icmp-echo"),
            ("icmp-echo from fd00::/8", "icmp-echo from 10.0.0.0/8"),
        ] {
            assert!(routes(&[earlier, later]).is_ok(), "{earlier} before {later}");
        }
        // Both together leave nothing to the third, but neither alone does.
        let halves = ["icmp-echo from 0.0.0.0/1,::/0", "icmp-echo from 128.0.0.0/1", "icmp-echo"];
        assert!(routes(&halves).is_ok());
    }

    #[test]
    fn an_answer_is_made_at_the_earliest_tier_that_is_able() {
        use Tier::{Driver, Kernel, Lane};
        let texts = [
            "icmp-echo",
            "udp-echo:7",
            "stamp",
            "sockperf:9",
            "udp-echo:8 tier lane",
            "udp-echo:10 tier kernel",
        ];
        let tiers = |earliest| {
            let terms = Terms { earliest, ..Terms::default() };
            let texts = texts.iter().map(|text| route(text)).collect();
            RouteTable::with_terms(vec![address("10.0.0.1/24")], texts, &terms).unwrap().tiers().to_vec()
        };
        assert_eq!(tiers(Driver), [Driver, Driver, Lane, Lane, Lane, Kernel]);
        assert_eq!(tiers(Lane), [Lane, Lane, Lane, Lane, Lane, Kernel]);
    }

    /// The same as [`routes`], of one card among several.
    fn among(routes: Vec<Route>) -> Result<RouteTable, RouteError> {
        let addresses = vec![address("10.0.0.1/24"), address("10.0.0.9/24")];
        RouteTable::of_several(addresses, routes, &Terms::default())
    }

    #[test]
    fn a_route_that_gets_nothing_on_one_of_several_cards_stays_and_says_why() {
        let texts = [
            "udp-echo:7 on 10.0.0.1",
            "udp-echo:7 on 11.0.0.1",
            "udp-echo:7 from fd00::/8",
            "stamp",
            "stamp on 10.0.0.9",
        ];
        let table = among(texts.iter().map(|text| route(text)).collect()).unwrap();
        assert_eq!(table.idle().keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
        for (number, why) in
            [(1, "not served"), (2, "another IP version"), (4, "route 4 (`stamp:862`) comes first")]
        {
            let told = table.idle()[&number].to_string();
            assert!(told.contains(why) && told.starts_with(&format!("route {} ", number + 1)), "{told}");
        }
        let what_no_card_has = among(vec![route("icmp-echo vlan 9")]).unwrap_err();
        assert!(matches!(what_no_card_has, RouteError::VlanUnknown(..)));
    }

    #[test]
    fn a_route_of_another_card_takes_nothing_and_keeps_its_number() {
        let elsewhere = |text| Route { is_elsewhere: true, ..route(text) };
        let stamp = elsewhere("stamp on 11.0.0.1 tier driver");
        let table = among(vec![elsewhere("udp-echo:7"), stamp.clone(), route("udp-echo:7")]).unwrap();
        assert_eq!([0, 1, 2].map(|number| table.gets_something(number)), [false, false, true]);
        assert!(table.idle().is_empty() && !table.refused_sources().contains(&862));
        let asked = Question {
            asks: Asks::Udp(7),
            to: "10.0.0.1".parse().unwrap(),
            from: "10.0.0.2".parse().unwrap(),
            vid: VlanSet::NO_VLAN,
        };
        assert_eq!(table.first_match(&asked), Some(2));
        assert_eq!(table.compiled().decide(&asked).unwrap().route, 2);
        assert_eq!(among(vec![stamp]).unwrap_err(), RouteError::NoRoute);
    }

    #[test]
    fn what_would_be_too_large_names_the_route_with_which_it_is() {
        // Each has a map of ports of its own, 128 KiB.
        let own_map = |number: u16| Route {
            address: Some(IpAddr::V4(Ipv4Addr::from((10 << 24) + u32::from(number) + 1)).into()),
            ..route(&format!("udp-echo:{}-{}", number + 1, number + 2))
        };
        let addresses = (1..=600_u32).map(|host| Address {
            ip: IpAddr::V4(Ipv4Addr::from((10 << 24) + host)),
            prefix_len: 8,
            owner: Owner::Kernel,
        });
        let error = RouteTable::new(addresses.collect(), (0..600).map(own_map).collect()).unwrap_err();
        let RouteError::TooLarge(bursting) = &error else { panic!("{error}") };
        assert!((400..512).contains(&bursting.index), "{error}");
        assert!(error.to_string().contains("more than 64 MiB"), "{error}");
    }

    #[test]
    fn an_address_counts_more_than_once_where_routes_name_next_hops() {
        let table = |count: u32, texts: &[&str]| {
            let addresses = (1..=count).map(|host| Address {
                ip: IpAddr::V4(Ipv4Addr::from((10 << 24) + host)),
                prefix_len: 8,
                owner: Owner::Kernel,
            });
            RouteTable::new(addresses.collect(), texts.iter().map(|text| route(text)).collect())
        };
        let both = ["udp-echo:7", "udp-echo:8 hop auto", "udp-echo:9 hop reflect"];
        for (count, texts, port, host) in [(32_769, &both[..2], 8, 65_535), (16_385, &both[..], 9, 65_534)] {
            let most = usize::try_from(count).unwrap() - 1;
            let error = table(count, texts).unwrap_err();
            assert_eq!(error, RouteError::TooManyNextHops(most + 1, most));
            let remedy = format!(": use at most {most}, or leave route.next_hop out");
            assert!(error.to_string().ends_with(&remedy), "{error}");
            let fitting = table(count - 1, texts).unwrap();
            let last = Question {
                asks: Asks::Udp(port),
                to: fitting.addresses().last().unwrap().ip,
                from: "10.0.0.9".parse().unwrap(),
                vid: VlanSet::NO_VLAN,
            };
            assert_eq!(fitting.compiled().decide(&last).unwrap().host, host);
        }
        assert!(table(32_769, &both[..1]).is_ok());
    }

    #[test]
    fn a_point_to_point_link_has_no_broadcast_address() {
        let ip = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(broadcast_of(ip, 24), Some(Ipv4Addr::new(10, 0, 0, 255)));
        assert_eq!(broadcast_of(ip, 0), Some(Ipv4Addr::BROADCAST));
        assert_eq!((broadcast_of(ip, 31), broadcast_of(ip, 32)), (None, None));
    }
}

//! Route tables and packets that are random and drawn from few values, so that prefixes lie in one another, ranges overlap,
//! and exceptions cut holes into both. The tests of the driver tier use them too (`crates/barelane/tests/driver`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use barelane_route::{
    Address, Asks, Family, Limit, NextHop, Owner, Prefix, Question, Route, RouteError, RouteTable, Service,
    Terms, Tier, TierChoice, VlanSet,
};
use proptest::prelude::*;

/// The VLANs of a packet: of no VLAN, of one that is served, of the last one that is, and of one that is not.
pub(crate) const VIDS: [u16; 5] = [0, 7, 8, 4094, 99];

/// The hosts that are served: two of each family are the kernel's, one is Barelane's.
pub(crate) fn addresses() -> Vec<Address> {
    ["10.0.0.1", "10.0.0.2", "10.0.128.3", "fd00::1", "fd00::2", "fd00:0:0:8000::3"]
        .into_iter()
        .map(|ip| {
            let owner = if ip.ends_with('3') { Owner::Barelane } else { Owner::Kernel };
            let ip: IpAddr = ip.parse().unwrap();
            Address { ip, prefix_len: Family::of(ip).bits() / 2, owner }
        })
        .collect()
}

/// An address of which few bits differ, so that it is near others.
pub(crate) fn ip() -> impl Strategy<Value = IpAddr> {
    let near = (any::<bool>(), 0_u32..4, 0_u32..32, 0_u32..8);
    near.prop_map(|(is_v4, network, shift, bits)| {
        let low = bits.rotate_right(shift);
        if is_v4 {
            IpAddr::V4(Ipv4Addr::from(network << 30 ^ low))
        } else {
            IpAddr::V6(Ipv6Addr::from(u128::from(network) << 126 ^ u128::from(low).rotate_right(shift * 4)))
        }
    })
}

pub(crate) fn prefix() -> impl Strategy<Value = Prefix> {
    (ip(), 0_u8..=128).prop_map(|(ip, len)| {
        let bits = Family::of(ip).bits();
        let len = if len == 128 { bits } else { len % bits };
        match Prefix::new(ip, len) {
            Ok(prefix) | Err(barelane_route::PrefixError::HostBits(prefix)) => prefix,
            Err(other) => panic!("{other}"),
        }
    })
}

pub(crate) fn service() -> impl Strategy<Value = Service> {
    let ports = (1_u16..12, prop_oneof![Just(0_u16), 1_u16..6, Just(60_000)]);
    (0..5_usize, ports).prop_map(|(which, (first, more))| {
        let ports = format!("{first}-{}", first.saturating_add(more));
        let name: &str = ["icmp-echo", "udp-echo", "udp-echo", "stamp", "sockperf"][which];
        let text = if which == 0 { name.to_owned() } else { format!("{name}:{ports}") };
        text.parse().unwrap()
    })
}

pub(crate) fn route() -> impl Strategy<Value = Route> {
    let address = prop_oneof![
        4 => Just(None),
        2 => prop::sample::select(addresses()).prop_map(|address| Some(Prefix::from(address.ip))),
        1 => prop::sample::select(vec!["10.0.0.0/24", "10.0.0.0/8", "fd00::/16", "fd00::/64"])
            .prop_map(|text| Some(text.parse().unwrap())),
    ];
    let from = prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(prefix(), 1..6)];
    let vlans = prop_oneof![
        3 => Just(None),
        1 => prop::sample::subsequence(VIDS[..4].to_vec(), 1..4)
            .prop_map(|vids| Some(Box::new(vids.into_iter().collect::<VlanSet>()))),
    ];
    let tiers =
        prop::sample::select(vec![TierChoice::Auto, TierChoice::Auto, TierChoice::Lane, TierChoice::Kernel]);
    let next_hops = prop::sample::select(vec![None, None, Some(NextHop::Auto), Some(NextHop::Reflect)]);
    let elsewhere = prop::bool::weighted(0.1);
    let parts = (service(), address, from, vlans, tiers, next_hops, elsewhere);
    parts.prop_map(|(service, address, from, vlans, tier, next_hop, is_elsewhere)| Route {
        service,
        address,
        from,
        vlans,
        tier,
        next_hop,
        limit: Limit::NONE,
        is_elsewhere,
    })
}

/// Whether an answer to this goes back to the station that asked, where `otherwise` is the next hop of what no route has.
pub(crate) fn is_sent_back(table: &RouteTable, question: &Question, otherwise: NextHop) -> bool {
    let route = table.first_match(question);
    let own = route.and_then(|index| table.routes()[index].next_hop);
    let asked = table.addresses().iter().find(|one| one.ip == question.to).unwrap();
    own.unwrap_or(otherwise) == NextHop::Reflect
        || Prefix::around(asked.ip, asked.prefix_len).unwrap().contains(question.from)
}

/// Something that a packet may ask: of the hosts and of nobody, from near and far.
pub(crate) fn question() -> impl Strategy<Value = (bool, u16, usize, IpAddr, usize)> {
    let port = prop_oneof![4 => 0_u16..20, 1 => any::<u16>()];
    (any::<bool>(), port, 0..7_usize, ip(), 0..VIDS.len())
}

pub(crate) fn asked((is_udp, port, host, from, vid): (bool, u16, usize, IpAddr, usize)) -> Question {
    let to = addresses().get(host).map_or("10.0.0.77".parse().unwrap(), |address| address.ip);
    // The asker has the family of the asked.
    let from = match (from, to) {
        (IpAddr::V6(v6), IpAddr::V4(_)) => IpAddr::V4(v4(u128::from(v6) >> 96)),
        (IpAddr::V4(v4), IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::from(u128::from(u32::from(v4)) << 96)),
        _ => from,
    };
    Question { asks: if is_udp { Asks::Udp(port) } else { Asks::Echo }, to, from, vid: VIDS[vid] }
}

/// The IPv4 address of a number.
fn v4(number: u128) -> Ipv4Addr {
    Ipv4Addr::from(u32::try_from(number).unwrap())
}

/// The terms of the link.
pub(crate) fn terms() -> Terms {
    Terms { vlans: [0, 7, 8, 4094].into_iter().collect(), earliest: Tier::Driver }
}

/// The routes that can stand together: what is in a shadow, or reaches nothing, is left out.
pub(crate) fn table(mut routes: Vec<Route>) -> Option<RouteTable> {
    loop {
        match RouteTable::with_terms(addresses(), routes.clone(), &terms()) {
            Ok(table) => return Some(table),
            Err(RouteError::Shadowed { later, .. }) => drop(routes.remove(later.index)),
            Err(RouteError::SourceFamily(numbered)) => drop(routes.remove(numbered.index)),
            Err(RouteError::NoRoute) => return None,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Packets on both sides of every edge that the routes have: prefixes' first and last addresses, ranges' ends.
pub(crate) fn edges(table: &RouteTable) -> Vec<Question> {
    let mut questions = Vec::new();
    for route in table.routes() {
        let ends = route.from.iter().flat_map(|prefix| {
            let bits = u128::MAX >> (128 - prefix.family().bits());
            [
                prefix.first(),
                prefix.last(),
                prefix.first().wrapping_sub(1) & bits,
                prefix.last().wrapping_add(1) & bits,
            ]
            .map(|number| match prefix.family() {
                Family::V4 => IpAddr::V4(v4(number)),
                Family::V6 => IpAddr::V6(Ipv6Addr::from(number)),
            })
        });
        let ports = route.service.udp_ports().map_or(vec![None], |ports| {
            let (first, last) = (ports.first(), ports.last());
            [first - 1, first, last, last.saturating_add(1)].map(Some).to_vec()
        });
        let froms: Vec<IpAddr> = ends.chain(["192.0.2.9".parse().unwrap()]).collect();
        for (host, (&port, &from)) in
            (0..7).cycle().zip(ports.iter().flat_map(|port| froms.iter().map(move |from| (port, from))))
        {
            questions.extend(
                (0..VIDS.len()).map(|vid| asked((port.is_some(), port.unwrap_or(0), host, from, vid))),
            );
        }
    }
    questions
}

//! Which way the kernel would send a packet, and the table by which it decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHopFlags, RouteProtocol,
    RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::HostError;
use crate::links::family_of;
use crate::netlink::{Ask, ask_route, not_understood};

/// The kernel's decision about one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteTo {
    /// The interface to send on.
    pub ifindex: u32,
    /// The next hop; nothing where the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// The address that the kernel would send from; nothing where no address of the family fits.
    pub source: Option<IpAddr>,
}

/// The way to `destination`, through every routing rule, as the kernel itself would decide.
pub fn route_to(destination: IpAddr) -> Result<RouteTo, HostError> {
    let asked = format!("find the route to {destination}");
    let question = RouteNetlinkMessage::GetRoute(message(destination, host_prefix(destination)));
    let answers = ask_route(question, Ask::One(0), &asked)?;
    answers.iter().find_map(read).ok_or_else(|| not_understood(&asked, "it names no interface"))
}

/// One route of the kernel's main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The first address of its prefix.
    pub destination: IpAddr,
    /// How many bits of that are given.
    pub prefix_len: u8,
    /// The interface to send on; 0 where it says that nothing is to be sent.
    pub ifindex: u32,
    /// The next hop; nothing where the destinations themselves are on the link.
    pub gateway: Option<IpAddr>,
    /// Of two routes to the same prefix, the one with less is taken.
    pub metric: u32,
}

/// The kernel's main table of both families, without the ways that are dead now. Of a route that has several ways, the first
/// one.
pub fn main_table() -> Result<Vec<Route>, HostError> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        let answers = ask_route(RouteNetlinkMessage::GetRoute(question), Ask::List, "list the routes")?;
        routes.extend(answers.iter().filter_map(route));
    }
    Ok(routes)
}

/// A route of the main table; nothing for others, and for those that are no way for a packet to another host.
fn route(answer: &RouteNetlinkMessage) -> Option<Route> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let RouteHeader { address_family, destination_prefix_length: prefix_len, table, kind, flags, .. } =
        message.header;
    let dead = RouteFlags::Dead | RouteFlags::Linkdown;
    // Tables beyond 255 have their number in an attribute, and none of these in the header.
    if table != RouteHeader::RT_TABLE_MAIN || flags.intersects(dead) || flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let unspecified = match address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let mut route = Route { destination: unspecified, prefix_len, ifindex: 0, gateway: None, metric: 0 };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => route.destination = ip_of(address)?,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::MultiPath(ways) => {
                let down = RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown;
                let way = ways.iter().find(|way| !way.flags.intersects(down))?;
                route.ifindex = way.interface_index;
                way.attributes.iter().for_each(|attribute| route.follow(attribute));
            }
            attribute => route.follow(attribute),
        }
    }
    match kind {
        RouteType::Unicast => (route.ifindex != 0).then_some(route),
        RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit => {
            Some(Route { ifindex: 0, gateway: None, ..route })
        }
        _ => None,
    }
}

impl Route {
    fn follow(&mut self, attribute: &RouteAttribute) {
        match attribute {
            RouteAttribute::Oif(index) => self.ifindex = *index,
            RouteAttribute::Gateway(address) => self.gateway = ip_of(address),
            // An IPv4 destination may have an IPv6 next hop (RFC 8950).
            RouteAttribute::Via(RouteVia::Inet6(address)) => self.gateway = Some((*address).into()),
            _ => {}
        }
    }
}

/// Removes a route that [`add`] has added.
pub fn remove(ifindex: u32, destination: IpAddr, prefix_len: u8, gateway: IpAddr) -> Result<(), HostError> {
    let asked = format!("remove the route to {destination}/{prefix_len} by way of {gateway}");
    let message = by_way_of(ifindex, destination, prefix_len, gateway);
    ask_route(RouteNetlinkMessage::DelRoute(message), Ask::One(0), &asked).map(drop)
}

/// Adds a route to `destination`/`prefix_len` by way of `gateway`, which must be on the link of the interface.
pub fn add(ifindex: u32, destination: IpAddr, prefix_len: u8, gateway: IpAddr) -> Result<(), HostError> {
    let message = by_way_of(ifindex, destination, prefix_len, gateway);
    let asked = format!("add a route to {destination}/{prefix_len} by way of {gateway}");
    ask_route(RouteNetlinkMessage::NewRoute(message), Ask::One(NLM_F_CREATE | NLM_F_EXCL), &asked).map(drop)
}

fn by_way_of(ifindex: u32, destination: IpAddr, prefix_len: u8, gateway: IpAddr) -> RouteMessage {
    let mut message = message(destination, prefix_len);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes.push(RouteAttribute::Gateway(gateway.into()));
    message.attributes.push(RouteAttribute::Oif(ifindex));
    message
}

fn message(destination: IpAddr, prefix_len: u8) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family_of(destination);
    message.header.destination_prefix_length = prefix_len;
    message.attributes.push(RouteAttribute::Destination(destination.into()));
    message
}

fn host_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn read(answer: &RouteNetlinkMessage) -> Option<RouteTo> {
    let RouteNetlinkMessage::NewRoute(route) = answer else { return None };
    let mut way = RouteTo { ifindex: 0, gateway: None, source: None };
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => way.ifindex = *index,
            RouteAttribute::Gateway(address) => way.gateway = ip_of(address),
            // An IPv4 destination may have an IPv6 next hop (RFC 8950).
            RouteAttribute::Via(RouteVia::Inet6(address)) => way.gateway = Some((*address).into()),
            RouteAttribute::PrefSource(address) => way.source = ip_of(address),
            _ => {}
        }
    }
    (way.ifindex != 0).then_some(way)
}

fn ip_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

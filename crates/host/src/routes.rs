//! Which way the kernel would send a packet.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType, RouteVia,
};

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

/// Adds a route to `destination`/`prefix_len` by way of `gateway`, which must be on the link of the interface.
pub fn add(ifindex: u32, destination: IpAddr, prefix_len: u8, gateway: IpAddr) -> Result<(), HostError> {
    let mut message = message(destination, prefix_len);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes.push(RouteAttribute::Gateway(gateway.into()));
    message.attributes.push(RouteAttribute::Oif(ifindex));
    let asked = format!("add a route to {destination}/{prefix_len} by way of {gateway}");
    ask_route(RouteNetlinkMessage::NewRoute(message), Ask::One(NLM_F_CREATE | NLM_F_EXCL), &asked).map(drop)
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

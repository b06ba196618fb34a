//! Whose MAC address an address on the link has, as the kernel knows it.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rustix::io::Errno;

use crate::HostError;
use crate::links::family_of;
use crate::netlink::{Ask, ask_route};

/// The MAC address of a neighbour; `None` where the kernel does not know it, or found that nobody answers.
///
/// An entry that has grown stale is given too: the kernel itself still sends to it while it asks anew. Nothing here
/// makes the kernel ask; a packet sent by an ordinary socket does.
pub fn lookup(ifindex: u32, address: IpAddr) -> Result<Option<[u8; 6]>, HostError> {
    let question = RouteNetlinkMessage::GetNeighbour(message(ifindex, address));
    match ask_route(question, Ask::One(0), &format!("look up the neighbour {address}")) {
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(None),
        other => Ok(other?.iter().find_map(usable_mac)),
    }
}

/// A neighbour, as the kernel knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// Its MAC address, where the kernel would send to it.
    pub mac: Option<[u8; 6]>,
    /// Whether that was heard of so lately, or is so certain, that nobody need be asked.
    pub is_fresh: bool,
}

/// All neighbours on an interface, of both families.
pub fn on(ifindex: u32) -> Result<Vec<Neighbour>, HostError> {
    let question = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
    let answers = ask_route(question, Ask::List, "list the neighbours")?;
    Ok(answers.iter().filter_map(|answer| neighbour(answer, ifindex)).collect())
}

fn neighbour(answer: &RouteNetlinkMessage, ifindex: u32) -> Option<Neighbour> {
    let RouteNetlinkMessage::NewNeighbour(message) = answer else { return None };
    if message.header.ifindex != ifindex {
        return None;
    }
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => Some(IpAddr::from(*ip)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => Some(IpAddr::from(*ip)),
        _ => None,
    })?;
    let mac = usable_mac(answer);
    let is_fresh = mac.is_some() && message.header.state != NeighbourState::Stale;
    Some(Neighbour { address, mac, is_fresh })
}

/// Lets the kernel find a neighbour's MAC address, or see whether it still holds, as if a packet were to be sent there: what it
/// does not know it asks for at once, up to three times a second apart; what has grown stale it asks about if nothing is heard
/// within five seconds (`mcast_solicit`, `delay_first_probe_time`, arp(7)). It asks IPv6 neighbours from the interface's
/// link-local address, and does not ask where there is none (`ndisc_send_ns`, `net/ipv6/ndisc.c`).
pub fn ask(ifindex: u32, address: IpAddr) -> Result<(), HostError> {
    let mut message = message(ifindex, address);
    message.header.flags = NeighbourFlags::Use;
    let asked = format!("find the neighbour {address}");
    ask_route(RouteNetlinkMessage::NewNeighbour(message), Ask::One(NLM_F_CREATE), &asked).map(drop)
}

/// Tells the kernel a neighbour's MAC address once and for all, in place of whatever it knew.
pub fn add(ifindex: u32, address: IpAddr, mac: [u8; 6]) -> Result<(), HostError> {
    let mut message = message(ifindex, address);
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    let asked = format!("add the neighbour {address}");
    ask_route(RouteNetlinkMessage::NewNeighbour(message), Ask::One(NLM_F_CREATE | NLM_F_REPLACE), &asked)
        .map(drop)
}

fn message(ifindex: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family_of(address);
    message.header.ifindex = ifindex;
    message.attributes.push(NeighbourAttribute::Destination(address.into()));
    message
}

/// The MAC address of an entry that the kernel would send to.
fn usable_mac(answer: &RouteNetlinkMessage) -> Option<[u8; 6]> {
    let RouteNetlinkMessage::NewNeighbour(neighbour) = answer else { return None };
    if matches!(
        neighbour.header.state,
        NeighbourState::None | NeighbourState::Incomplete | NeighbourState::Failed
    ) {
        return None;
    }
    neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => bytes.as_slice().try_into().ok(),
        _ => None,
    })
}

//! Addresses that only Barelane has: asked for before they are used, announced when they are.
//!
//! Two hosts with one address take each other's traffic in turns, which nobody finds quickly. So each address is
//! asked for once (RFC 5227 2.1.1 and RFC 4862 5.4 ask a configurable number of times, 3 and 1 by default), all at
//! once, and whoever contradicts within `serve.address_check_ms` keeps his address: the start is refused and names
//! him.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use host::groups::SolicitedNode;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};

use crate::config::keys::ADDRESSES;
use crate::error::{Error, Wrong};
use crate::plan::Plan;

mod frames;

/// The longest frame that is read. ARP and neighbour discovery are far shorter, and of longer frames the beginning
/// is enough to tell that they are neither.
const READ_SIZE: usize = 256;

/// The solicited-node groups of `ours`, joined while this is held: neighbours send their solicitations there, and
/// without it the NIC's filter and snooping switches keep them away. Nothing where no address is an IPv6 one.
pub(super) fn join_groups(plan: &Plan, ours: &[IpAddr]) -> Result<Option<SolicitedNode>, Error> {
    let addresses: Vec<Ipv6Addr> = ours
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(*v6),
        })
        .collect();
    if addresses.is_empty() {
        return Ok(None);
    }
    Ok(Some(SolicitedNode::join(plan.facts.link.index, &addresses)?))
}

/// Refuses where another host has one of `ours`.
pub(super) fn check(plan: &Plan, ours: &[IpAddr]) -> Result<(), Error> {
    let wait = plan.address_check();
    if ours.is_empty() || wait.is_zero() {
        return Ok(());
    }
    let socket = PacketSocket::open(plan.facts.link.index, EVERY_ETHERTYPE)?;
    for &ip in ours {
        socket.send(&frames::question(ip, plan.lane.mac))?;
    }
    let deadline = Instant::now() + wait;
    let mut room = [0; READ_SIZE];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let Some(len) = socket.receive(&mut room, left)? else { return Ok(()) };
        let frame = room.get(..len).unwrap_or(&room);
        if let Some((ip, other)) = frames::contradiction(frame, ours, plan.lane.mac) {
            let problem = format!("the host {other} on this link has this address, or is about to take it");
            let remedy = "choose another address, or take it from that host";
            return Err(Wrong::new(ADDRESSES, ip).because(problem).remedy(remedy).into());
        }
    }
}

/// Tells the link that `ours` are here, so that switches and neighbours that remember another place forget it.
pub(super) fn announce(plan: &Plan, ours: &[IpAddr]) -> Result<(), Error> {
    if ours.is_empty() {
        return Ok(());
    }
    let socket = PacketSocket::open(plan.facts.link.index, EVERY_ETHERTYPE)?;
    for &ip in ours {
        socket.send(&frames::announcement(ip, plan.lane.mac))?;
    }
    Ok(())
}

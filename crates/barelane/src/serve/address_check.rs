//! Addresses that only Barelane has: asked for before they are used, announced when they are.
//!
//! Two hosts with one address take each other's traffic in turns, which nobody finds quickly. So each address is
//! asked for three times, all of them at once, spread over `serve.address_check_ms` (RFC 5227 2.1.1 asks three times;
//! RFC 4862 5.4 once, by default), and whoever contradicts meanwhile keeps his address: the start is refused and names
//! him. Before that the link is given time to come up, because attaching a program takes it down on some cards.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host::groups::SolicitedNode;
use host::links;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};

use crate::error::{Error, Wrong};
use crate::plan::Plan;

mod frames;

/// The longest frame that is read. ARP and neighbour discovery are far shorter, and of longer frames the beginning
/// is enough to tell that they are neither.
const READ_SIZE: usize = 256;

/// How often each address is asked for (`PROBE_NUM` of RFC 5227 1.1).
const PROBE_COUNT: u32 = 3;

/// How long after the first announcement the second comes (`ANNOUNCE_INTERVAL` of RFC 5227 1.1).
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// How long a link may take to come up after a program was attached to it: a fast card trains its link in about a
/// second. Longer delays the start where no cable is in.
const LINK_PATIENCE: Duration = Duration::from_secs(2);

/// How late a wait notices that it is to end.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

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

/// Waits, for a limited time and not beyond `stop`, until the link sends. Gives whether it does.
pub(super) fn wait_for_link(plan: &Plan, stop: &AtomicBool) -> Result<bool, Error> {
    let deadline = Instant::now() + LINK_PATIENCE;
    loop {
        let is_running = links::is_running(plan.facts.link.index)?;
        if is_running || stop.load(Ordering::Relaxed) || Instant::now() >= deadline {
            return Ok(is_running);
        }
        thread::sleep(LOOK_INTERVAL);
    }
}

/// Refuses where another host has one of `ours`. Ends early, and has found out nothing, where `stop` is set.
pub(super) fn check(plan: &Plan, ours: &[IpAddr], stop: &AtomicBool) -> Result<(), Error> {
    let wait = plan.address_check();
    if ours.is_empty() || wait.is_zero() {
        return Ok(());
    }
    let socket = PacketSocket::open(plan.facts.link.index, EVERY_ETHERTYPE)?;
    let begun = Instant::now();
    let mut probes = 0;
    let mut room = [0; READ_SIZE];
    while begun.elapsed() < wait && !stop.load(Ordering::Relaxed) {
        if begun.elapsed() >= wait * probes / PROBE_COUNT {
            ours.iter().try_for_each(|&ip| socket.send(&frames::question(ip, plan.lane.mac)))?;
            probes += 1;
        }
        let next = (wait * probes / PROBE_COUNT).saturating_sub(begun.elapsed());
        let Some(len) = socket.receive(&mut room, next.min(LOOK_INTERVAL))? else { continue };
        let frame = room.get(..len).unwrap_or(&room);
        if let Some((ip, other)) = frames::contradiction(frame, ours, plan.lane.mac) {
            let problem = format!("the host {other} on this link has this address, or is about to take it");
            let remedy = "choose another address, or take it from that host";
            let setting = plan.config.setting_of_addresses();
            return Err(Wrong::new(setting, ip).because(problem).remedy(remedy).into());
        }
    }
    Ok(())
}

/// Addresses that have been announced once and will be again: the first announcement may have been lost.
#[derive(Debug)]
pub(super) struct Announced {
    addresses: Vec<IpAddr>,
    due: Instant,
}

impl Announced {
    /// As long as nothing is served.
    pub(super) fn nothing() -> Self {
        Self { addresses: Vec::new(), due: Instant::now() }
    }

    /// Announces for the first time.
    pub(super) fn once(plan: &Plan, addresses: Vec<IpAddr>) -> Result<Self, Error> {
        announce(plan, &addresses)?;
        Ok(Self { addresses, due: Instant::now() + ANNOUNCE_INTERVAL })
    }

    /// Announces for the second time, once, when it is due.
    pub(super) fn again(&mut self, plan: &Plan) -> Result<(), Error> {
        if self.addresses.is_empty() || Instant::now() < self.due {
            return Ok(());
        }
        // Those that a reload has taken away meanwhile are somebody else's now.
        let mut addresses = std::mem::take(&mut self.addresses);
        addresses.retain(|ip| plan.own_addresses().any(|own| own == *ip));
        announce(plan, &addresses)
    }
}

/// Tells the link that `ours` are here, so that switches and neighbours that remember another place forget it.
fn announce(plan: &Plan, ours: &[IpAddr]) -> Result<(), Error> {
    if ours.is_empty() {
        return Ok(());
    }
    let socket = PacketSocket::open(plan.facts.link.index, EVERY_ETHERTYPE)?;
    for &ip in ours {
        socket.send(&frames::announcement(ip, plan.lane.mac))?;
    }
    Ok(())
}

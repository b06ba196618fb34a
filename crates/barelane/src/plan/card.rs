//! Whether the interface can be served on at all, and what its card is opened with.

use nic::xdp::Settings;

use super::{Facts, LanePlan};
use crate::config::Config;
use crate::config::keys::INTERFACE;
use crate::error::Wrong;

/// Refuses an interface that is down, has another program, or lets packets in that no packet buffer can hold.
pub(super) fn check(config: &Config, facts: &Facts) -> Result<(), Wrong> {
    let link = &facts.link;
    let name = &config.nic.interface;
    let wrong = Wrong::new(INTERFACE, name);
    if !link.is_up {
        let remedy = format!("bring it up: ip link set {name} up");
        return Err(wrong.because("the interface is down").remedy(remedy));
    }
    if let Some(program) = &link.program {
        let problem = format!("an XDP program is already attached: {program}");
        let remedy = format!("stop the process that owns it, or detach it: ip link set {name} xdp off");
        return Err(wrong.because(problem).remedy(remedy));
    }
    if link.mtu > nic::xdp::MTU_MAX {
        let problem = format!("its MTU of {} is larger than a packet buffer can hold", link.mtu);
        let remedy = format!("lower it: ip link set {name} mtu {}", nic::xdp::MTU_MAX);
        return Err(wrong.because(problem).remedy(remedy));
    }
    Ok(())
}

/// What the card is opened with.
pub(super) fn settings(config: &Config, facts: &Facts, lanes: &[LanePlan]) -> Settings {
    Settings {
        ifindex: facts.link.index,
        interface: facts.link.name.clone(),
        queues: lanes.iter().map(|lane| lane.queue).collect(),
        mode: config.nic.mode,
        zero_copy: config.nic.zero_copy,
        wake: config.nic.wake,
        ring_size: config.nic.ring_size,
        mtu: facts.link.mtu,
    }
}

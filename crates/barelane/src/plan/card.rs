//! Whether the interface can be served on at all, and what its card is opened with.

use host::links::{self, Link};
use nic::xdp::{Layout, ModeChoice, PROGRAM_NAME, Settings, ZeroCopyChoice};

use super::{Facts, LanePlan};
use crate::config::Config;
use crate::config::keys::{INTERFACE, ZERO_COPY};
use crate::error::Wrong;

/// Refuses an interface that is down, has another program, or lets packets in that no packet buffer can hold.
pub(super) fn check(config: &Config, facts: &Facts) -> Result<(), Wrong> {
    if config.nic.zero_copy == ZeroCopyChoice::Yes && config.nic.mode == ModeChoice::Generic {
        let wrong =
            Wrong::new(ZERO_COPY, "yes").because("mode generic has no zero-copy: it needs the driver");
        return Err(wrong.remedy("write auto or no, or another mode"));
    }
    check_link(&config.nic.interface, &facts.link)
}

fn check_link(name: &str, link: &Link) -> Result<(), Wrong> {
    let wrong = Wrong::new(INTERFACE, name);
    if link.index == links::LOOPBACK {
        let problem = "the loopback interface carries only what this host sends to itself";
        let remedy = "name an Ethernet interface; barelane demo builds a link of its own";
        return Err(wrong.because(problem).remedy(remedy));
    }
    if !link.is_up {
        let remedy = format!("bring it up: ip link set {name} up");
        return Err(wrong.because("the interface is down").remedy(remedy));
    }
    if let Some(program) = &link.program {
        let problem = format!("an XDP program is already attached: {program}");
        return Err(wrong.because(problem).remedy(free(name, program.name.as_deref())));
    }
    let mtu_max = Layout::mtu_max();
    if link.mtu > mtu_max {
        let problem = format!("its MTU of {} is larger than a packet buffer can hold", link.mtu);
        let remedy = format!("lower it: ip link set {name} mtu {mtu_max}");
        return Err(wrong.because(problem).remedy(remedy));
    }
    Ok(())
}

/// How to get rid of a program that is attached to an interface.
pub(crate) fn free(interface: &str, program: Option<&str>) -> String {
    match program {
        Some(PROGRAM_NAME) => {
            "stop the Barelane server that runs there: its program goes with its process".to_owned()
        }
        _ => format!(
            "stop the process that owns it, or detach it: ip link set {interface} xdp off, or, where a link holds it \
             (bpftool link show), bpftool link detach id LINK"
        ),
    }
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
        numa_node: facts.link.numa_node,
    }
}

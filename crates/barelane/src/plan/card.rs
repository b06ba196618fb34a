//! Whether the interface can be served on at all, and what its card is opened with.

use host::links::{self, Link};
use nic::memif;
use nic::xdp::{
    ArrivalStamps, Layout, ModeChoice, PROGRAM_NAME, Settings, TransmitStamps, Wake, ZeroCopyChoice,
};
use route::NextHop;

use super::{Facts, Idle, LanePlan, age, departures, idle};
use crate::config::keys::{
    IDLE, IDLES, INTERFACE, KEEP_WARM, MAC, MEMIF, MODE, MODES, QUEUES, ROUTE_NEXT_HOP, TIER, WAKE, WAKES,
    ZERO_COPIES, ZERO_COPY, name_of,
};
use crate::config::values::duration_text;
use crate::config::{Config, EarliestChoice, IdleChoice, MemifConfig};
use crate::error::Wrong;

/// What a card is opened with.
#[derive(Clone, Debug)]
pub enum CardPlan {
    /// An interface of this host, by AF_XDP.
    Xdp(Settings),
    /// An interface in shared memory.
    Memif(memif::Settings),
}

impl CardPlan {
    /// Who says when a question came.
    pub(crate) fn arrivals(&self) -> ArrivalStamps {
        match self {
            Self::Xdp(settings) => settings.arrivals,
            Self::Memif(_) => ArrivalStamps::None,
        }
    }

    /// Who says when an answer left.
    pub(crate) fn departures(&self) -> TransmitStamps {
        match self {
            Self::Xdp(settings) => settings.departures,
            Self::Memif(_) => TransmitStamps::None,
        }
    }

    /// Whether lanes sleep where nothing comes.
    pub(crate) fn may_sleep(&self) -> bool {
        matches!(self, Self::Memif(settings) if settings.idle == memif::Idle::Sleep)
    }
}

/// Refuses an interface that is down, has another program, or lets packets in that no packet buffer can hold.
pub(super) fn check(config: &Config, facts: &Facts) -> Result<(), Wrong> {
    if let Some(memif) = &config.nic.memif {
        return check_memif(config, memif);
    }
    if let Some(mac) = config.nic.mac {
        let problem = "an interface of this host has an address of its own";
        return Err(Wrong::new(MAC, mac).because(problem).remedy("leave it out, or name --memif"));
    }
    if config.nic.zero_copy == ZeroCopyChoice::Yes && config.nic.mode == ModeChoice::Generic {
        let wrong =
            Wrong::new(ZERO_COPY, "yes").because("mode generic has no zero-copy: it needs the driver");
        return Err(wrong.remedy("write auto or no, or another mode"));
    }
    check_link(&config.nic.interface, &facts.link)
}

/// Refuses what only an interface of this host has.
fn check_memif(config: &Config, memif: &MemifConfig) -> Result<(), Wrong> {
    let nic = &config.nic;
    if !nic.interface.is_empty() {
        let wrong = Wrong::new(MEMIF, memif)
            .because(format_args!("the interface {} is named as well", nic.interface));
        return Err(wrong.remedy("name one of the two"));
    }
    let queues = format!("{:?}", nic.queues);
    let next_hop = config.routes.iter().find_map(|route| route.next_hop.filter(|&hop| hop == NextHop::Auto));
    let foreign = [
        (QUEUES, queues, !nic.queues.is_empty()),
        (MODE, name_of(MODES, &nic.mode).to_owned(), nic.mode != ModeChoice::Auto),
        (ZERO_COPY, name_of(ZERO_COPIES, &nic.zero_copy).to_owned(), nic.zero_copy != ZeroCopyChoice::Auto),
        (WAKE, name_of(WAKES, &nic.wake).to_owned(), nic.wake != Wake::NeedWakeup),
        (
            KEEP_WARM,
            config.lane.keep_warm.map(duration_text).unwrap_or_default(),
            config.lane.keep_warm.is_some(),
        ),
        (TIER, "driver".to_owned(), config.serve.tier == EarliestChoice::Driver),
        (ROUTE_NEXT_HOP, "auto".to_owned(), next_hop.is_some()),
    ];
    if config.lane.idle != IdleChoice::Spin {
        let wrong = Wrong::new(IDLE, name_of(IDLES, &config.lane.idle))
            .because("lanes in shared memory sleep as their interface says");
        return Err(wrong.remedy("leave it out, and write --memif SOCKET,idle=adaptive"));
    }
    match foreign.into_iter().find(|(.., is_set)| *is_set) {
        None => Ok(()),
        Some((setting, value, _)) => {
            let problem =
                "an interface in shared memory has no driver, no queues of a card and no kernel's routes";
            Err(Wrong::new(setting, value).because(problem).remedy("leave it out"))
        }
    }
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
pub(super) fn settings(config: &Config, facts: &Facts, lanes: &[LanePlan]) -> Result<CardPlan, Wrong> {
    let arrivals = age::stamps(config, facts)?;
    let departures = departures::stamps(config, facts)?;
    idle::check_keep_warm(config)?;
    if let Some(memif) = &config.nic.memif {
        return memif.settings(MEMIF).map(CardPlan::Memif);
    }
    Ok(CardPlan::Xdp(Settings {
        ifindex: facts.link.index,
        interface: facts.link.name.clone(),
        queues: lanes.iter().map(|lane| lane.queue).collect(),
        mode: config.nic.mode,
        zero_copy: config.nic.zero_copy,
        wake: config.nic.wake,
        may_sleep: Idle::of(config) != Idle::Spin,
        ring_size: age::ring_size(config, facts),
        mtu: facts.link.mtu,
        numa_node: facts.link.numa_node,
        arrivals,
        departures,
    }))
}

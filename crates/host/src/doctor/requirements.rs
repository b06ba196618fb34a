//! The requirements, in the order in which they are told: memory, cores, interrupts, card, bus, kernel, rights.
//!
//! Each has a file with three parts that are kept apart: `gather` reads facts, `judge` makes a finding of them and touches
//! nothing, `check` joins the two. A finding carries the changes that would put things right; making and undoing them is
//! the same for all ([`fix`](super::fix), [`undo`](super::undo)).

mod busy_poll_sockets;
mod capabilities;
mod clock_source;
mod cpu_boost;
mod cpu_governor;
mod energy_efficient_ethernet;
mod flow_control;
mod huge_pages;
mod idle_states;
mod interrupt_deferral;
mod irq_placement;
mod irqbalance;
mod isolated_cores;
mod kernel_work;
mod known_faults;
mod locked_memory;
mod nic_coalescing;
mod nic_numa;
mod nic_queues;
mod nic_rings;
mod numa_balancing;
mod pcie_link;
mod pcie_power;
mod rcu_callbacks;
mod receive_offloads;
mod rt_throttling;
mod runtime_power;
mod same_page_merging;
mod smt_siblings;
mod steal;
mod swap;
mod threaded_napi;
mod tickless_cores;
mod timer_migration;
mod transparent_huge_pages;
mod veth_checksums;
mod xdp_program;

use super::card::Card;
#[cfg(test)]
use super::finding::Status;
use super::finding::{Finding, Requirement};
use super::machine::Machine;
use super::setting::{CardName, Change, Setting};
use super::tree::Unread;
use crate::cores::as_list;
use crate::ethtool::Parameter;

/// All of them.
pub const REQUIREMENTS: &[Requirement] = &[
    huge_pages::REQUIREMENT,
    locked_memory::REQUIREMENT,
    transparent_huge_pages::REQUIREMENT,
    same_page_merging::REQUIREMENT,
    numa_balancing::REQUIREMENT,
    swap::REQUIREMENT,
    cpu_governor::REQUIREMENT,
    cpu_boost::REQUIREMENT,
    idle_states::REQUIREMENT,
    smt_siblings::REQUIREMENT,
    isolated_cores::REQUIREMENT,
    tickless_cores::REQUIREMENT,
    rcu_callbacks::REQUIREMENT,
    kernel_work::REQUIREMENT,
    timer_migration::REQUIREMENT,
    rt_throttling::REQUIREMENT,
    steal::REQUIREMENT,
    irq_placement::REQUIREMENT,
    irqbalance::REQUIREMENT,
    nic_queues::REQUIREMENT,
    nic_rings::REQUIREMENT,
    nic_coalescing::REQUIREMENT,
    interrupt_deferral::REQUIREMENT,
    threaded_napi::REQUIREMENT,
    busy_poll_sockets::REQUIREMENT,
    receive_offloads::REQUIREMENT,
    veth_checksums::REQUIREMENT,
    flow_control::REQUIREMENT,
    energy_efficient_ethernet::REQUIREMENT,
    pcie_power::REQUIREMENT,
    runtime_power::REQUIREMENT,
    pcie_link::REQUIREMENT,
    nic_numa::REQUIREMENT,
    clock_source::REQUIREMENT,
    known_faults::REQUIREMENT,
    capabilities::REQUIREMENT,
    xdp_program::REQUIREMENT,
];

/// Huge pages that a lane's packet memory takes: 8 MiB at the default ring size, and as much again for larger ones.
const HUGE_PAGES_PER_LANE: i64 = 8;

/// The capabilities that are asked about, by their numbers (`include/uapi/linux/capability.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capability {
    NetAdmin = 12,
    NetRaw = 13,
    IpcLock = 14,
    SysAdmin = 21,
    Perfmon = 38,
    Bpf = 39,
}

impl Capability {
    const fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::IpcLock => "CAP_IPC_LOCK",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

/// The effective capabilities of this process, a bit for each.
fn capabilities_of(machine: &Machine) -> Result<u64, Unread> {
    let path = "/proc/self/status";
    let text = machine.tree.read(path)?;
    let digits = text.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| Unread::odd(path, digits))
}

fn has_capability(machine: &Machine, capability: Capability) -> Result<bool, Unread> {
    Ok(capabilities_of(machine)? >> (capability as u32) & 1 == 1)
}

/// A finding about the card, where one was named.
fn with_card(machine: &Machine, judge: impl FnOnce(&Card) -> Finding) -> Finding {
    machine.card.as_ref().map_or_else(|| Finding::not_applicable("no card was named (--nic)"), judge)
}

fn offload_off(card: CardName, name: &str) -> Change {
    Change { setting: Setting::Offload { card, offload: name.to_owned() }, to: "off".to_owned() }
}

/// What only the boot command line can give to cores: which of the lanes' have it, and what to add for the others.
fn boot_cores(lanes: &[usize], having: &[usize], what: &str, parameter: &str) -> Finding {
    if lanes.is_empty() {
        return Finding::cannot_tell("the kernel does not show which cores there are");
    }
    let lacking: Vec<_> = lanes.iter().filter(|lane| !having.contains(lane)).copied().collect();
    if lacking.is_empty() {
        return Finding::good(format_args!("the lanes' cores ({}) are {what}", as_list(lanes)));
    }
    Finding::could_be_better(format_args!("of the lanes' cores, {} are not {what}", as_list(&lacking)))
        .remedy("add it to the boot command line")
        .boot(format_args!("{parameter}{}", as_list(lanes)))
}

/// Words with commas between them.
fn list<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(word.as_ref());
    }
    text
}

/// A card of which nothing is known.
#[cfg(test)]
fn test_card() -> Card {
    Card {
        name: "eth9".to_owned(),
        mac: "02:00:00:00:00:09".to_owned(),
        driver: Some("test".to_owned()),
        is_virtual: false,
        rx_queues: 1,
        pci: None,
        numa_node: None,
        program: None,
        is_in_sysfs: true,
        active: Vec::new(),
        changeable: Vec::new(),
        parameters: std::collections::BTreeMap::default(),
        napi: None,
        peer: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_requirement_has_a_name_of_its_own_and_a_sentence_that_says_why() {
        let names: BTreeSet<_> = REQUIREMENTS.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), REQUIREMENTS.len());
        for one in REQUIREMENTS {
            assert!(one.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", one.name);
            assert!(one.why.ends_with(['.', ')']) && !one.why.contains("  "), "{}", one.why);
        }
    }

    #[test]
    fn cores_that_lack_something_are_named_and_all_lanes_are_asked_for_at_boot() {
        assert_eq!(boot_cores(&[2, 3], &[1, 2, 3], "isolated", "isolcpus=").status, Status::Good);
        let finding = boot_cores(&[2, 3], &[2], "isolated", "isolcpus=");
        assert_eq!(finding.found, "of the lanes' cores, 3 are not isolated");
        assert_eq!(finding.boot, ["isolcpus=2-3"]);
    }
}

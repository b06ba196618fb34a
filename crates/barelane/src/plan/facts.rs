//! What a plan needs to know of this host, gathered once, so that everything after it is a plain computation.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host::HostError;
use host::cores::{Taken, Topology};
use host::links::{self, AddressState, InterfaceAddress, Link};
use host::ports::Ports;
use host::routes;
use wire::ethernet::Mac;

use super::others;
use crate::config::keys::{ADDRESSES, INTERFACE, MAC};
use crate::config::{Config, MemifConfig};
use crate::error::{Error, Wrong};

/// How long to wait for the kernel to find out whether another host has an IPv6 address. It takes a second, and with a
/// random delay before it two (`dad_transmits` and `retrans_time_ms` of 1 and 1000, RFC 4862 5.4.2); where it takes
/// longer, there is no live cable, or somebody has asked for more questions.
const TENTATIVE_PATIENCE: Duration = Duration::from_secs(3);

/// What kind of link one in shared memory is.
const MEMIF: &str = "memif";

/// An Ethernet header and two VLAN tags: what a frame has beside its MTU.
const ETHERNET_LEN_MAX: u32 = 14 + 2 * 4;

/// How often is looked whether it has found out.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The interface, the kernel's addresses and the cores, as they were when the plan was made.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The interface to serve on.
    pub link: Link,
    /// Whether the other end of a veth has an XDP program; nothing where there is no other end that can be seen.
    pub other_end_has_program: Option<bool>,
    /// The addresses that the kernel uses on it, with their prefix lengths.
    pub interface_addresses: Vec<(IpAddr, u8)>,
    /// The addresses that the kernel has on it and must not use, and why (RFC 4862 5.4).
    pub unusable_addresses: Vec<(IpAddr, AddressState)>,
    /// The addresses that the kernel has on any interface: it answers for them on all.
    pub kernel_addresses: Vec<IpAddr>,
    /// The UDP ports of this host's own programs.
    pub ports: Ports,
    /// The cores, and how near they are to each other and to the card.
    pub topology: Topology,
    /// The cores that others have for themselves.
    pub taken: Vec<Taken>,
}

impl Facts {
    /// Reads this host.
    pub fn gather(config: &Config) -> Result<Self, Error> {
        match &config.nic.memif {
            Some(memif) => Self::of_memif(config, memif),
            None => Self::of_interface(config),
        }
    }

    /// An interface in shared memory is what the operator says, and the host knows nothing of it but its cores.
    fn of_memif(config: &Config, memif: &MemifConfig) -> Result<Self, Error> {
        let Some(Mac(mac)) = config.nic.mac else {
            let wrong =
                Wrong::new(MAC, "").because("an interface in shared memory has no address of its own");
            return Err(wrong.remedy("name one: --mac 02:00:00:00:00:01").into());
        };
        if config.serve.addresses.is_empty() {
            let wrong =
                Wrong::new(ADDRESSES, "").because("an interface in shared memory has none of its own");
            return Err(wrong.remedy("name some: --address 192.0.2.1/24").into());
        }
        let topology = Topology::of_this_machine(None)?;
        let link = memif_link(memif, Mac(mac));
        let taken = others::cores_taken(&link);
        Ok(Self {
            link,
            other_end_has_program: None,
            interface_addresses: Vec::new(),
            unusable_addresses: Vec::new(),
            kernel_addresses: Vec::new(),
            ports: Ports::default(),
            topology,
            taken,
        })
    }

    fn of_interface(config: &Config) -> Result<Self, Error> {
        let link = find_link(&config.nic.interface)?;
        let (in_force, unusable): (Vec<_>, Vec<_>) =
            links::addresses(link.index)?.into_iter().partition(|one| one.state == AddressState::InForce);
        let interface_addresses = in_force.iter().map(|one| (one.ip, one.prefix_len)).collect();
        let unusable_addresses = unusable.iter().map(|one| (one.ip, one.state)).collect();
        let kernel_addresses = kernel_addresses(config)?;
        let ports = Ports::read()?;
        let topology = Topology::of_this_machine(Some(&link))?;
        let taken = others::cores_taken(&link);
        let other_end_has_program = other_end_has_program(&link);
        Ok(Self {
            link,
            other_end_has_program,
            interface_addresses,
            unusable_addresses,
            kernel_addresses,
            ports,
            topology,
            taken,
        })
    }

    /// Waits, for a limited time and not beyond `stop`, until the kernel has found out whether the addresses that are
    /// to be served are its own.
    pub fn settle(config: &Config, stop: &AtomicBool) -> Result<(), Error> {
        if config.nic.memif.is_some() {
            return Ok(());
        }
        let link = find_link(&config.nic.interface)?;
        let wanted = &config.serve.addresses;
        let is_awaited = |one: &InterfaceAddress| {
            one.state == AddressState::Tentative
                && (wanted.is_empty() || wanted.iter().any(|&(ip, _)| ip == one.ip))
        };
        let deadline = Instant::now() + TENTATIVE_PATIENCE;
        while links::addresses(link.index)?.iter().any(is_awaited) {
            if Instant::now() >= deadline || stop.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    /// Looks again at what of the link can change under a server that runs; says whether it has.
    pub fn refresh(&mut self) -> bool {
        let before = self.other_end_has_program;
        self.other_end_has_program = other_end_has_program(&self.link);
        self.other_end_has_program != before
    }

    /// Whether the interface is one in shared memory.
    pub fn is_memif(&self) -> bool {
        self.link.kind.as_deref() == Some(MEMIF)
    }

    /// Whether the other end of the link is another veth: its sender leaves checksums to a NIC that does not exist.
    pub fn is_veth(&self) -> bool {
        self.link.kind.as_deref() == Some("veth")
    }
}

/// What of an interface in shared memory an interface of this host would have.
pub(crate) fn memif_link(memif: &MemifConfig, Mac(mac): Mac) -> Link {
    let settings = &memif.settings;
    Link {
        index: 0,
        name: memif.to_string(),
        mac,
        mtu: settings.buffer_size - ETHERNET_LEN_MAX,
        kind: Some(MEMIF.to_owned()),
        driver: None,
        is_up: true,
        has_carrier: true,
        rx_queues: settings.queues.into(),
        tx_queues: settings.queues.into(),
        program: None,
        numa_node: None,
        rx_vlan_offload: None,
        tx_checksum: None,
        peer_index: None,
        peer_namespace: None,
    }
}

fn other_end_has_program(link: &Link) -> Option<bool> {
    (link.kind.as_deref() == Some("veth")).then(|| links::other_end_has_program(link).ok())?
}

/// Which addresses the kernel answers for: those on every Ethernet interface, and those among the wanted ones that it
/// would deliver to itself, on whatever kind of interface they are.
fn kernel_addresses(config: &Config) -> Result<Vec<IpAddr>, Error> {
    let mut addresses = Vec::new();
    for name in links::names()? {
        // An interface that has just gone has no addresses, and one without Ethernet is asked about below.
        let Ok(link) = links::link(&name) else { continue };
        addresses.extend(links::addresses(link.index)?.into_iter().map(|one| one.ip));
    }
    let is_local = |ip: &IpAddr| routes::route_to(*ip).is_ok_and(|way| way.ifindex == links::LOOPBACK);
    addresses.extend(config.serve.addresses.iter().map(|&(ip, _)| ip).filter(is_local));
    Ok(addresses)
}

fn find_link(name: &str) -> Result<Link, Wrong> {
    let remedy = || format!("name one of {}", links::names().unwrap_or_default().join(", "));
    if name.is_empty() {
        return Err(Wrong::new(INTERFACE, "").because("no interface is named").remedy(remedy()));
    }
    links::link(name).map_err(|error| {
        let problem = match error {
            HostError::NoSuchInterface { .. } => "there is no such interface".to_owned(),
            other => other.to_string(),
        };
        Wrong::new(INTERFACE, name).because(problem).remedy(remedy())
    })
}

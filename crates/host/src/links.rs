//! Network interfaces of this network namespace: what they are, and the few changes that Barelane makes to its own.

mod answer;
mod counters;
mod device;
mod napi;
mod program;
mod queues;

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

pub use counters::{LINK_COUNTER_COUNT, LINK_COUNTERS, LinkCounter, LinkCounts, counts};
pub use napi::{Napi, napi};
pub use program::{AttachedProgram, ProgramMode};

use crate::HostError;
use crate::ethtool::{self, Features};
use crate::netlink::{Ask, ask_route, not_understood};

/// The index of the loopback interface, in every network namespace (`LOOPBACK_IFINDEX`, `include/net/flow.h`).
pub const LOOPBACK: u32 = 1;

/// `disable_ipv6` where it is not.
const IPV6_ON: i32 = 0;

/// What is known of one interface, at the moment it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it, unique within its network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// The longest network packet that it sends, in bytes, without the Ethernet header.
    pub mtu: u32,
    /// What kind of virtual interface it is, as `veth`; nothing for hardware.
    pub kind: Option<String>,
    /// The driver that is bound to its device; nothing for interfaces without a device, whose kind says it all.
    pub driver: Option<String>,
    /// Whether it is set up.
    pub is_up: bool,
    /// Whether there is a live cable: for a veth, whether the other end is up too.
    pub has_carrier: bool,
    /// Receive queues in use: not the most that the device could have.
    pub rx_queues: u32,
    /// Transmit queues in use.
    pub tx_queues: u32,
    /// The XDP program that is attached to it.
    pub program: Option<AttachedProgram>,
    /// The NUMA node that its device is attached to; nothing where the machine has no such notion.
    pub numa_node: Option<u32>,
    /// Whether it takes VLAN tags out of received frames before anyone sees them; nothing where it does not say.
    pub rx_vlan_offload: Option<bool>,
    /// Whether it leaves the checksums of what it sends to the hardware; nothing where it does not say.
    pub tx_checksum: Option<bool>,
    /// The other end of a veth, or the interface below a VLAN, by its index in its own network namespace.
    pub peer_index: Option<u32>,
    /// The number by which this network namespace knows the peer's; nothing where it is this one.
    pub peer_namespace: Option<i32>,
}

impl Link {
    /// The driver's name, or what kind of virtual interface it is, which says the same; nothing for the loopback.
    pub fn driver_name(&self) -> Option<&str> {
        self.driver.as_deref().or(self.kind.as_deref())
    }
}

/// What of an interface can change under whoever uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Whether it is set up and has a live cable.
    pub is_running: bool,
}

/// An address that the kernel has on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub ip: IpAddr,
    /// The length of its prefix.
    pub prefix_len: u8,
    /// Whether the kernel uses it.
    pub state: AddressState,
}

/// Whether the kernel uses an address that it has (RFC 4862 5.4). IPv4 addresses are always in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressState {
    /// It does.
    InForce,
    /// Not yet: it still asks whether another host has it. Without a live cable it never ends to ask.
    Tentative,
    /// Never: another host has it.
    Duplicate,
}

/// The interface of this name.
pub fn link(name: &str) -> Result<Link, HostError> {
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let asked = format!("look up the interface `{name}`");
    match ask_link(question, &asked) {
        Err(error) if is_no_such_name(&error) => Err(no_such_interface(name)),
        answer => described(&answer?, &asked),
    }
}

/// The interface of this index, as routes and neighbours name it.
pub fn link_at(index: u32) -> Result<Link, HostError> {
    described(&answer_at(index)?, &format!("look up the interface of index {index}"))
}

/// The PCI address of the device behind an interface, or of the one that this is a part of; nothing where there is none.
pub fn pci_address(index: u32) -> Result<Option<String>, HostError> {
    Ok(device::pci_address_of(&answer_at(index)?))
}

/// The state of the interface of this index; nothing where there is none any more.
pub fn state_at(index: u32) -> Result<Option<LinkState>, HostError> {
    let answer = match answer_at(index) {
        Err(error) if error.errno() == Some(Errno::NODEV) => return Ok(None),
        answer => answer?,
    };
    let asked = format!("look up the interface of index {index}");
    let name = answer::name_of(&answer).ok_or_else(|| not_understood(&asked, "the interface has no name"))?;
    let mac =
        answer::find(&answer, answer::mac_of).ok_or_else(|| HostError::NotEthernet { name: name.clone() })?;
    Ok(Some(LinkState { name, mac, is_running: answer.header.flags.contains(LinkFlags::Running) }))
}

/// Whether the other end of a veth has an XDP program, in whichever network namespace it is.
///
/// # Errors
/// It has no other end, or the kernel does not show it: its namespace must be one that this one has a number for, which it
/// has from the moment that one end was moved.
pub fn other_end_has_program(link: &Link) -> Result<bool, HostError> {
    let asked = format!("look up the other end of `{}`", link.name);
    let index = link.peer_index.ok_or_else(|| not_understood(&asked, "the interface has none"))?;
    let mut question = LinkMessage::default();
    question.header.index = index;
    question.attributes.extend(link.peer_namespace.map(LinkAttribute::IfNetnsId));
    Ok(answer::find(&ask_link(question, &asked)?, answer::has_program).unwrap_or(false))
}

/// The names of all interfaces, in the order of their indices.
pub fn names() -> Result<Vec<String>, HostError> {
    let question = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let answers = ask_route(question, Ask::List, "list the interfaces")?;
    Ok(answers
        .into_iter()
        .filter_map(answer::into_link)
        .filter_map(|answer| answer::name_of(&answer))
        .collect())
}

/// The addresses of an interface.
pub fn addresses(index: u32) -> Result<Vec<InterfaceAddress>, HostError> {
    let question = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers = ask_route(question, Ask::List, "list the addresses")?;
    Ok(answers.into_iter().filter_map(|answer| answer::address_on(index, &answer)).collect())
}

/// Gives an address to an interface. An IPv6 address is in force at once: duplicate address detection, which would
/// take a second, is left out, as is right only on a link whose every address is known.
pub fn add_address(index: u32, address: IpAddr, prefix_len: u8) -> Result<(), HostError> {
    let mut message = AddressMessage::default();
    message.header.family = family_of(address);
    message.header.index = index;
    message.header.prefix_len = prefix_len;
    message.header.flags = AddressHeaderFlags::Nodad;
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
        AddressAttribute::Flags(AddressFlags::Nodad),
    ];
    let asked = format!("give {address}/{prefix_len} to the interface of index {index}");
    ask_route(RouteNetlinkMessage::NewAddress(message), Ask::One(NLM_F_CREATE | NLM_F_EXCL), &asked).map(drop)
}

/// Sets an interface up.
pub fn set_up(index: u32) -> Result<(), HostError> {
    set_flags(index, LinkFlags::Up, "up")
}

/// Sets an interface down.
pub fn set_down(index: u32) -> Result<(), HostError> {
    set_flags(index, LinkFlags::empty(), "down")
}

/// Removes a virtual interface; of a veth, both ends.
pub fn remove(index: u32) -> Result<(), HostError> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let asked = format!("remove the interface of index {index}");
    ask_route(RouteNetlinkMessage::DelLink(message), Ask::One(0), &asked).map(drop)
}

fn set_flags(index: u32, flags: LinkFlags, state: &str) -> Result<(), HostError> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = flags;
    message.header.change_mask = LinkFlags::Up;
    let asked = format!("set the interface of index {index} {state}");
    ask_route(RouteNetlinkMessage::SetLink(message), Ask::One(0), &asked).map(drop)
}

/// Whether an interface sends what it is given: set up, with a carrier, and with its queues at work.
pub fn is_running(index: u32) -> Result<bool, HostError> {
    Ok(answer_at(index)?.header.flags.contains(LinkFlags::Running))
}

/// Whether the kernel speaks IPv6 on an interface: neither switched off there, nor impossible because the MTU is
/// below 1280 (RFC 8200 5), nor missing from the kernel.
pub(crate) fn speaks_ipv6(index: u32) -> Result<bool, HostError> {
    Ok(answer::find(&answer_at(index)?, answer::ipv6_switch) == Some(IPV6_ON))
}

/// The kernel's description of the interface of this index.
fn answer_at(index: u32) -> Result<LinkMessage, HostError> {
    let mut question = LinkMessage::default();
    question.header.index = index;
    ask_link(question, &format!("look up the interface of index {index}"))
}

/// Asks for one interface, without its statistics, which would be most of the answer.
fn ask_link(mut question: LinkMessage, asked: &str) -> Result<LinkMessage, HostError> {
    question.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let answers = ask_route(RouteNetlinkMessage::GetLink(question), Ask::One(0), asked)?;
    let answer = answers.into_iter().find_map(answer::into_link);
    answer.ok_or_else(|| not_understood(asked, "it describes no interface"))
}

/// All that is known of an interface: the routing family's description, and what other families add.
fn described(message: &LinkMessage, asked: &str) -> Result<Link, HostError> {
    let index = message.header.index;
    let name = answer::name_of(message).ok_or_else(|| not_understood(asked, "the interface has no name"))?;
    let mac =
        answer::find(message, answer::mac_of).ok_or_else(|| HostError::NotEthernet { name: name.clone() })?;
    let device = device::of(message);
    let queues = queues::in_use(message)?;
    let features = ethtool::features(index)?;
    Ok(Link {
        index,
        name,
        mac,
        mtu: answer::find(message, answer::mtu_of).unwrap_or_default(),
        kind: answer::find(message, answer::kind_of),
        driver: device.driver,
        is_up: message.header.flags.contains(LinkFlags::Up),
        has_carrier: message.header.flags.contains(LinkFlags::LowerUp),
        rx_queues: queues.rx,
        tx_queues: queues.tx,
        program: answer::find(message, answer::program_of),
        numa_node: device.numa_node,
        rx_vlan_offload: features.as_ref().map(Features::rx_vlan),
        tx_checksum: features.as_ref().map(Features::tx_checksum),
        peer_index: answer::find(message, answer::peer_of),
        peer_namespace: answer::find(message, answer::peer_namespace_of),
    })
}

pub(crate) fn family_of(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// A name that is too long is refused with another word, but means the same to whoever wrote it.
fn is_no_such_name(error: &HostError) -> bool {
    matches!(error.errno(), Some(Errno::NODEV | Errno::RANGE | Errno::INVAL))
}

fn no_such_interface(name: &str) -> HostError {
    let existing = names().map_or_else(|_| "those that exist".to_owned(), |names| names.join(", "));
    HostError::NoSuchInterface { name: name.to_owned(), existing }
}

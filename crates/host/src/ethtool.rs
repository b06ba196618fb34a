//! What ethtool tells of an interface, asked by generic netlink: the queues in use, the offloads, and the parameters that
//! are one number each. What a driver counts itself is asked by the older call, for there is no other way.
//!
//! The message and attribute numbers are those of `include/uapi/linux/ethtool_netlink.h`. A driver that does not know
//! a question answers EOPNOTSUPP; that is an answer, not a failure, and given as `None`.

mod parameters;
mod request;
mod statistics;

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use rustix::io::Errno;

pub use parameters::{Parameter, Parameters, parameters, set_parameter};
pub use statistics::{STATISTICS_MAX, Statistics, queue_of};

use crate::HostError;
use crate::netlink::generic::{self, Family};
use crate::netlink::{Ask, attribute, attributes_of, number, text};

#[derive(Debug)]
struct Ethtool;

impl Family for Ethtool {
    const NAME: &'static str = "ethtool";
}

const FEATURES_GET: u8 = 11;
const FEATURES_SET: u8 = 12;
const CHANNELS_GET: u8 = 17;

/// Every question and answer begins with the interface it is about.
const HEADER: u16 = 1;
const HEADER_INDEX: u16 = 1;

const FEATURES_CHANGEABLE: u16 = 2;
const FEATURES_WANTED: u16 = 3;
const FEATURES_ACTIVE: u16 = 4;

const BITSET_NO_MASK: u16 = 1;
const BITSET_BITS: u16 = 3;
const BITS_BIT: u16 = 1;
const BIT_NAME: u16 = 2;
const BIT_VALUE: u16 = 3;

const CHANNELS_RX: u16 = 6;
const CHANNELS_TX: u16 = 7;
const CHANNELS_COMBINED: u16 = 9;

/// The kernel's names for transmit checksum offload, by protocol (`net/ethtool/common.c`). A device has the generic
/// one or the two particular ones.
pub(crate) const TX_CHECKSUM_NAMES: [&str; 3] =
    ["tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6"];

const RX_VLAN_NAME: &str = "rx-vlan-hw-parse";

/// The kernel's name for generic receive offload.
const GRO_NAME: &str = "rx-gro";

/// Whether work is left to the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// The hardware does it.
    On,
    /// The kernel does it.
    Off,
}

/// The offloads of an interface, by the kernel's names for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    active: Vec<String>,
    changeable: Vec<String>,
}

impl Features {
    /// Whether an offload of this name is in force.
    pub fn is_active(&self, name: &str) -> bool {
        self.active.iter().any(|active| active == name)
    }

    /// Whether an offload of this name can be changed.
    pub fn is_changeable(&self, name: &str) -> bool {
        self.changeable.iter().any(|changeable| changeable == name)
    }

    /// The offloads in force, by the kernel's names.
    pub fn active(&self) -> &[String] {
        &self.active
    }

    /// The offloads that can be changed, by the kernel's names.
    pub fn changeable(&self) -> &[String] {
        &self.changeable
    }

    /// Whether checksums are left to the hardware on transmission.
    pub fn tx_checksum(&self) -> bool {
        TX_CHECKSUM_NAMES.iter().any(|name| self.is_active(name))
    }

    /// Whether VLAN tags are taken out of received frames.
    pub fn rx_vlan(&self) -> bool {
        self.is_active(RX_VLAN_NAME)
    }
}

/// The queues in use, as the driver groups them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    rx_only: u32,
    tx_only: u32,
    combined: u32,
}

impl Channels {
    /// Receive queues in use.
    pub const fn rx(self) -> u32 {
        self.rx_only.saturating_add(self.combined)
    }

    /// Transmit queues in use.
    pub const fn tx(self) -> u32 {
        self.tx_only.saturating_add(self.combined)
    }
}

/// The offloads of an interface; `None` where it has no such notion.
pub fn features(index: u32) -> Result<Option<Features>, HostError> {
    let asked = format!("read the offloads of the interface of index {index}");
    let answer = ask(FEATURES_GET, vec![header(index)], &asked)?;
    Ok(answer.map(|attributes| Features {
        active: names_in(attribute(&attributes, FEATURES_ACTIVE)),
        changeable: names_in(attribute(&attributes, FEATURES_CHANGEABLE)),
    }))
}

/// The queues in use; `None` where the driver does not say.
pub fn channels(index: u32) -> Result<Option<Channels>, HostError> {
    let asked = format!("read the channels of the interface of index {index}");
    let answer = ask(CHANNELS_GET, vec![header(index)], &asked)?;
    Ok(answer.map(|attributes| {
        let count = |kind| attribute(&attributes, kind).and_then(|bytes| number(&bytes)).unwrap_or(0);
        Channels {
            rx_only: count(CHANNELS_RX),
            tx_only: count(CHANNELS_TX),
            combined: count(CHANNELS_COMBINED),
        }
    }))
}

/// Leaves the checksums of what an interface sends to the hardware, or not.
///
/// A veth has no hardware: with the offload on, what it sends carries unfinished checksums, which a receiver on the
/// same kernel believes and any other does not.
pub fn set_tx_checksum(index: u32, offload: Offload) -> Result<(), HostError> {
    set(index, &TX_CHECKSUM_NAMES, offload, "transmit checksum offload")
}

/// Lets the kernel gather received packets before its stack sees them, or not (generic receive offload).
///
/// A veth that has it on takes packets by NAPI, as hardware does, where it otherwise hands them on within the sender's
/// own call; but only those of a sender whose checksums are whole (`veth_skb_is_eligible_for_gro`, `drivers/net/veth.c`).
pub fn set_gro(index: u32, offload: Offload) -> Result<(), HostError> {
    set(index, &[GRO_NAME], offload, "generic receive offload")
}

/// Switches one offload, by the kernel's name for it.
pub fn set_feature(index: u32, name: &str, offload: Offload) -> Result<(), HostError> {
    set(index, &[name], offload, name)
}

/// Switches those of the named offloads that can be changed. None of them: refused.
fn set(index: u32, names: &[&str], offload: Offload, what: &str) -> Result<(), HostError> {
    let asked = format!("set the {what} of the interface of index {index}");
    let unsupported = || HostError::refused(&asked, Errno::OPNOTSUPP);
    let features = features(index)?.ok_or_else(unsupported)?;
    let names: Vec<_> = names.iter().filter(|name| features.is_changeable(name)).collect();
    if names.is_empty() {
        return Err(unsupported());
    }
    let bits: Vec<_> = names.iter().map(|name| bit(name, offload)).collect();
    let wanted = nest(FEATURES_WANTED, &[nest(BITSET_BITS, &bits)]);
    generic::ask::<Ethtool>(FEATURES_SET, vec![header(index), wanted], Ask::One(0), &asked).map(drop)
}

/// Asks a question that has one answer, or none where the driver does not know it.
fn ask(command: u8, question: Vec<DefaultNla>, asked: &str) -> Result<Option<Vec<DefaultNla>>, HostError> {
    match generic::ask::<Ethtool>(command, question, Ask::One(0), asked) {
        Err(error) if matches!(error.errno(), Some(Errno::OPNOTSUPP | Errno::NOENT)) => Ok(None),
        other => other.map(|answers| answers.into_iter().next()),
    }
}

fn header(index: u32) -> DefaultNla {
    nest(HEADER, &[DefaultNla::new(HEADER_INDEX, index.to_ne_bytes().to_vec())])
}

fn bit(name: &str, offload: Offload) -> DefaultNla {
    let mut attributes = vec![DefaultNla::new(BIT_NAME, [name.as_bytes(), b"\0"].concat())];
    if offload == Offload::On {
        attributes.push(DefaultNla::new(BIT_VALUE, Vec::new()));
    }
    nest(BITS_BIT, &attributes)
}

fn nest(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    DefaultNla::new(kind | NLA_F_NESTED, bytes)
}

/// The names of the bits that are set. A bitset without a mask lists these alone; one with a mask lists all that the
/// mask covers, and marks those that are set.
fn names_in(bitset: Option<Vec<u8>>) -> Vec<String> {
    let bitset = attributes_of(&bitset.unwrap_or_default());
    let lists_all = attribute(&bitset, BITSET_NO_MASK).is_none();
    let bits = attributes_of(&attribute(&bitset, BITSET_BITS).unwrap_or_default());
    let bits = bits.iter().map(|bit| attributes_of(&crate::netlink::value(bit)));
    let set = bits.filter(|bit| !lists_all || attribute(bit, BIT_VALUE).is_some());
    set.filter_map(|bit| attribute(&bit, BIT_NAME).map(|name| text(&name))).collect()
}

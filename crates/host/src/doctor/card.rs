//! What is known of the card: asked by netlink on this machine, read from a file beside a copy.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::setting::{CardName, Change, Setting};
use super::tree::Tree;
use crate::HostError;
use crate::ethtool::{self, Offload, Parameter, Parameters};
use crate::links::{self, Link, Napi};

/// Facts about a card. Whatever judges it looks at these alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: String,
    /// Its driver, or what kind of virtual interface it is.
    pub driver: Option<String>,
    /// Whether there is no hardware behind it that the kernel knows of.
    pub is_virtual: bool,
    /// Receive queues in use.
    pub rx_queues: u32,
    /// Its PCI address, or that of the device that it is a part of.
    pub pci: Option<String>,
    /// The NUMA node that its device is attached to.
    pub numa_node: Option<u32>,
    /// The XDP program that is attached to it.
    pub program: Option<String>,
    /// Whether `/sys/class/net` shows this card: it may be that of another network namespace.
    pub is_in_sysfs: bool,
    /// The offloads in force.
    pub active: Vec<String>,
    /// The offloads that can be changed.
    pub changeable: Vec<String>,
    /// What ethtool tells as numbers.
    pub parameters: Parameters,
    /// Its NAPI instances; nothing where the kernel does not tell of them (before 6.8).
    pub napi: Option<Vec<Napi>>,
    /// The other end of a veth, where it is in this network namespace.
    pub peer: Option<Peer>,
}

/// The other end of a virtual cable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its name and address.
    #[serde(flatten)]
    pub card: CardName,
    /// The transmit checksum offloads that are in force and can be changed.
    pub tx_checksums: Vec<String>,
}

/// Where cards are looked up and changed.
#[derive(Clone, Debug)]
pub(crate) enum Cards {
    /// By netlink, in this thread's network namespace.
    OfThisMachine,
    /// In the files `card/NAME.json` below this directory.
    Copied(PathBuf),
}

impl Card {
    /// Its names.
    pub(crate) fn name(&self) -> CardName {
        CardName { nic: self.name.clone(), mac: self.mac.clone() }
    }

    /// One of its numbers.
    pub(crate) fn number(&self, parameter: Parameter) -> Option<u32> {
        self.parameters.get(&parameter).copied()
    }

    /// A parameter of this card should be this.
    pub(crate) fn change(&self, parameter: Parameter, to: u32) -> Change {
        Change { setting: Setting::Parameter { card: self.name(), parameter }, to: to.to_string() }
    }

    /// Its directory below `/sys/class/net`, where that is the one of its network namespace.
    pub(crate) fn directory(&self) -> Option<String> {
        self.is_in_sysfs.then(|| format!("/sys/class/net/{}", self.name))
    }

    /// Its device's directory.
    pub(crate) fn device(&self) -> Option<String> {
        self.pci.as_ref().map(|address| format!("/sys/bus/pci/devices/{address}"))
    }
}

impl Cards {
    /// The card of this name.
    pub(crate) fn read(&self, name: &str, tree: &Tree) -> Result<Card, HostError> {
        match self {
            Self::OfThisMachine => ask(name, tree),
            Self::Copied(directory) => {
                let path = directory.join(format!("{name}.json"));
                let text = fs::read_to_string(&path)
                    .map_err(|source| HostError::File { path: path.clone(), source })?;
                serde_json::from_str(&text)
                    .map_err(|error| HostError::File { path, source: std::io::Error::other(error) })
            }
        }
    }

    /// Changes a setting of a card.
    pub(super) fn write(&self, card: &CardName, setting: &Setting, value: &str) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        match self {
            Self::OfThisMachine => tell(card, setting, value),
            Self::Copied(directory) => {
                let path = directory.join(format!("{}.json", card.nic));
                let mut facts: Card = fs::read_to_string(&path)
                    .map_err(|error| said(&error))
                    .and_then(|text| serde_json::from_str(&text).map_err(|error| said(&error)))?;
                facts.take(setting, value);
                let text = as_text(&facts).map_err(|error| said(&error))?;
                let beside = path.with_extension("half-written");
                fs::write(&beside, text)
                    .and_then(|()| fs::rename(&beside, &path))
                    .map_err(|error| said(&error))
            }
        }
    }
}

/// A card as its file holds it.
pub fn as_text(card: &Card) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(card).map(|text| text + "\n")
}

impl Card {
    /// Behaves as a card that is told to change.
    fn take(&mut self, setting: &Setting, value: &str) {
        match setting {
            Setting::File { .. } => {}
            Setting::Parameter { parameter, .. } => {
                self.parameters.extend(value.parse().ok().map(|number: u32| (*parameter, number)));
            }
            Setting::Offload { offload, .. } => {
                self.active.retain(|active| active != offload);
                self.active.extend((value == "on").then(|| offload.clone()));
                self.active.sort();
            }
        }
    }
}

fn ask(name: &str, tree: &Tree) -> Result<Card, HostError> {
    let link = links::link(name)?;
    let features = ethtool::features(link.index)?.unwrap_or_default();
    let mut active = features.active().to_vec();
    active.sort();
    Ok(Card {
        mac: as_mac(link.mac),
        driver: link.driver_name().map(str::to_owned),
        is_virtual: link.driver.is_none(),
        rx_queues: link.rx_queues,
        pci: links::pci_address(link.index)?,
        numa_node: link.numa_node,
        program: link.program.as_ref().map(ToString::to_string),
        is_in_sysfs: is_in_sysfs(&link, tree),
        active,
        changeable: features.changeable().to_vec(),
        parameters: ethtool::parameters(link.index)?,
        napi: links::napi(link.index),
        peer: peer_of(&link)?,
        name: link.name,
    })
}

fn tell(card: &CardName, setting: &Setting, value: &str) -> Result<(), String> {
    let said = |error: HostError| error.to_string();
    let odd = || format!("`{value}` is no value of it");
    let index = links::link(&card.nic).map_err(said)?.index;
    match setting {
        Setting::File { .. } => Ok(()),
        Setting::Parameter { parameter, .. } => {
            let number = value.parse().map_err(|_| odd())?;
            ethtool::set_parameter(index, *parameter, number).map_err(said)
        }
        Setting::Offload { offload, .. } => {
            let state = match value {
                "on" => Offload::On,
                "off" => Offload::Off,
                _ => return Err(odd()),
            };
            ethtool::set_feature(index, offload, state).map_err(said)
        }
    }
}

/// `/sys/class/net` shows the namespace of whoever mounted it, where another card may have the same name.
fn is_in_sysfs(link: &Link, tree: &Tree) -> bool {
    let directory = format!("/sys/class/net/{}", link.name);
    let is_index =
        tree.number(&format!("{directory}/ifindex")).is_ok_and(|index| index == i64::from(link.index));
    is_index && tree.word(&format!("{directory}/address")).is_ok_and(|mac| mac == as_mac(link.mac))
}

fn peer_of(link: &Link) -> Result<Option<Peer>, HostError> {
    let (Some(index), None, Some("veth")) = (link.peer_index, link.peer_namespace, link.kind.as_deref())
    else {
        return Ok(None);
    };
    let peer = links::link_at(index)?;
    let features = ethtool::features(index)?.unwrap_or_default();
    let tx_checksums = ethtool::TX_CHECKSUM_NAMES
        .into_iter()
        .filter(|name| features.is_active(name) && features.is_changeable(name))
        .map(str::to_owned)
        .collect();
    Ok(Some(Peer { card: CardName { mac: as_mac(peer.mac), nic: peer.name }, tx_checksums }))
}

fn as_mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

//! The machine that is looked at: its files, its card, and the cores that lanes would have.

use std::path::PathBuf;

use super::card::{Card, Cards};
use super::setting::CardName;
use super::tree::{Tree, Unread};
use crate::HostError;
use crate::cores::{self, Topology, Wish};

/// A machine, or a copy of what one shows of itself.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The kernel's files.
    pub tree: Tree,
    /// The card that lanes would serve, where one was named.
    pub card: Option<Card>,
    /// The cores that lanes would have.
    pub lanes: Vec<usize>,
    pub(crate) cards: Cards,
}

impl Machine {
    /// This machine. Without named cores those that `serve` would take.
    ///
    /// # Errors
    /// There is no such interface, or no such core.
    pub fn this(nic: Option<&str>, cores: &[usize]) -> Result<Self, HostError> {
        Self::open(Tree::of_this_machine(), Cards::OfThisMachine, nic, cores)
    }

    /// A copy of a machine's `/proc` and `/sys` below `root`, with its cards in `root/card/NAME.json`.
    ///
    /// # Errors
    /// The card has no file there, or there is no such core.
    pub fn copy(root: PathBuf, nic: Option<&str>, cores: &[usize]) -> Result<Self, HostError> {
        let cards = Cards::Copied(root.join("card"));
        Self::open(Tree::copy(root), cards, nic, cores)
    }

    fn open(tree: Tree, cards: Cards, nic: Option<&str>, cores: &[usize]) -> Result<Self, HostError> {
        let card = nic.map(|name| cards.read(name, &tree)).transpose()?;
        let mut machine = Self { tree, card, lanes: cores.to_vec(), cards };
        let online = machine.online().unwrap_or_default();
        if let Some(&core) = cores.iter().find(|core| !online.is_empty() && !online.contains(core)) {
            let online = cores::as_list(&online);
            return Err(HostError::CoreNotAllowed { core, allowed: online.clone(), online });
        }
        if cores.is_empty() {
            machine.lanes = machine.default_lanes();
        }
        Ok(machine)
    }

    /// Those that `serve` would take: one core for each queue of the card; without a card, one for each isolated core. Where there
    /// are too few for that, all that this process may run on.
    fn default_lanes(&self) -> Vec<usize> {
        let queues = self.card.as_ref().map(|card| card.rx_queues.max(1));
        let count = queues.unwrap_or_else(|| u32::try_from(self.isolated().len()).unwrap_or(u32::MAX).max(1));
        let topology = Topology::of(self);
        let queues: Vec<u32> = (0..count).collect();
        let placed = cores::place(&topology, &Wish { queues: &queues, ..Wish::default() });
        let mut lanes = placed.map_or_else(
            |_| topology.allowed(),
            |placed| placed.lanes.iter().map(|seat| seat.core).collect(),
        );
        lanes.sort_unstable();
        lanes
    }

    /// The cores that are online.
    pub(crate) fn online(&self) -> Result<Vec<usize>, Unread> {
        self.tree.cores("/sys/devices/system/cpu/online")
    }

    /// The cores that the scheduler leaves alone; none where it does not say.
    pub(crate) fn isolated(&self) -> Vec<usize> {
        self.tree.cores("/sys/devices/system/cpu/isolated").unwrap_or_default()
    }

    /// The cores that are online and no lane's.
    pub(crate) fn others(&self) -> Result<Vec<usize>, Unread> {
        Ok(self.online()?.into_iter().filter(|core| !self.lanes.contains(core)).collect())
    }

    /// Those of the cores that are on the card's NUMA node; all of them where none is, or where it is not known.
    pub(super) fn near_card(&self, cores: &[usize]) -> Vec<usize> {
        let home = self.card.as_ref().and_then(|card| card.numa_node);
        let list = home.map(|home| format!("/sys/devices/system/node/node{home}/cpulist"));
        let home = list.and_then(|list| self.tree.cores(&list).ok()).unwrap_or_default();
        let near: Vec<_> = cores.iter().filter(|core| home.contains(core)).copied().collect();
        if near.is_empty() { cores.to_vec() } else { near }
    }

    /// Whether a hypervisor runs this machine.
    pub(crate) fn is_guest(&self) -> Result<bool, Unread> {
        Ok(self.processor_flags()?.iter().any(|flag| flag == "hypervisor"))
    }

    /// What the processor says of itself; empty where it is of another kind than x86.
    pub(crate) fn processor_flags(&self) -> Result<Vec<String>, Unread> {
        let text = self.tree.read("/proc/cpuinfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix("flags")?.split_once(':'));
        Ok(line.map(|(_, flags)| flags.split_whitespace().map(str::to_owned).collect()).unwrap_or_default())
    }

    /// The card of this name and address, as it is now.
    pub(super) fn card_of(&self, wanted: &CardName) -> Result<Card, String> {
        let card = self.cards.read(&wanted.nic, &self.tree).map_err(|error| error.to_string())?;
        if card.mac == wanted.mac {
            return Ok(card);
        }
        Err(format!("{} is another card now: its address is {}, not {}", wanted.nic, card.mac, wanted.mac))
    }
}

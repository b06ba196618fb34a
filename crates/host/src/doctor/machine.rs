//! The machine that is looked at: its files, its card, and the cores that lanes would have.

use std::path::{Path, PathBuf};

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
    /// The other cards that lanes of the same server would serve.
    pub others: Vec<Card>,
    /// The cores that lanes would have, of all these cards.
    pub lanes: Vec<usize>,
    /// Those of them that would serve `card`.
    pub own_lanes: Vec<usize>,
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
        let mut machine =
            Self { tree, card, others: Vec::new(), lanes: cores.to_vec(), own_lanes: Vec::new(), cards };
        let online = machine.online().unwrap_or_default();
        if let Some(&core) = cores.iter().find(|core| !online.is_empty() && !online.contains(core)) {
            let online = cores::as_list(&online);
            return Err(HostError::CoreNotAllowed { core, allowed: online.clone(), online });
        }
        if cores.is_empty() {
            machine.lanes = machine.default_lanes();
        }
        machine.own_lanes.clone_from(&machine.lanes);
        Ok(machine)
    }

    /// The same machine around each of these cards of one server: this one, or a copy below `root`. Of `cores` each card has one, in
    /// their order; without them those that `serve` would take.
    ///
    /// # Errors
    /// There is no such interface, or no such core.
    pub fn around(root: Option<&Path>, nics: &[&str], cores: &[usize]) -> Result<Vec<Self>, HostError> {
        let mut cores_left = cores.iter();
        let open = |nic: &&str| {
            let core: Vec<usize> = cores_left.next().copied().into_iter().collect();
            match root {
                None => Self::this(Some(*nic), &core),
                Some(root) => Self::copy(root.to_owned(), Some(*nic), &core),
            }
        };
        let mut machines = nics.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        if cores.is_empty() {
            place_together(&mut machines);
        }
        let mut lanes: Vec<usize> = machines.iter().flat_map(|machine| machine.own_lanes.clone()).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let cards: Vec<Card> = machines.iter().filter_map(|machine| machine.card.clone()).collect();
        for (index, machine) in machines.iter_mut().enumerate() {
            machine.lanes.clone_from(&lanes);
            machine.others.clone_from(&cards);
            machine.others.remove(index);
        }
        Ok(machines)
    }

    /// The same, with other cards that lanes serve.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn with_others(mut self, nics: &[&str]) -> Result<Self, HostError> {
        self.others = nics.iter().map(|nic| self.cards.read(nic, &self.tree)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Each of the cards that lanes would serve.
    pub(crate) fn all_cards(&self) -> impl Iterator<Item = &Card> {
        self.card.iter().chain(&self.others)
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
    pub(crate) fn no_lanes(&self) -> Result<Vec<usize>, Unread> {
        Ok(self.online()?.into_iter().filter(|core| !self.lanes.contains(core)).collect())
    }

    /// Those of the cores that are on this card's NUMA node; all of them where none is, or where it is not known.
    pub(super) fn near(&self, card: &Card, cores: &[usize]) -> Vec<usize> {
        let list = card.numa_node.map(|home| format!("/sys/devices/system/node/node{home}/cpulist"));
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

/// Gives each machine's card the lanes that it would have beside those of the others. Where there are too few cores for all of them,
/// each keeps those that it would have alone.
fn place_together(machines: &mut [Machine]) {
    let topologies: Vec<Topology> = machines.iter().map(Topology::of).collect();
    let queues: Vec<Vec<u32>> = machines
        .iter()
        .map(|machine| (0..machine.card.as_ref().map_or(1, |card| card.rx_queues.max(1))).collect())
        .collect();
    let wishes = topologies
        .iter()
        .zip(&queues)
        .map(|(topology, queues)| (topology, Wish { queues, ..Wish::default() }));
    let Ok(placed) = cores::place_all(&wishes.collect::<Vec<_>>()) else { return };
    for (machine, placement) in machines.iter_mut().zip(placed) {
        machine.own_lanes = placement.lanes.iter().map(|seat| seat.core).collect();
        machine.own_lanes.sort_unstable();
    }
}

//! The machine that is looked at: its files, its card, and the cores that lanes would have.

use std::path::PathBuf;

use super::card::{Card, Cards};
use super::setting::CardName;
use super::tree::{Tree, Unread};
use crate::HostError;

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
            let online = crate::cores::as_list(&online);
            return Err(HostError::CoreNotAllowed { core, allowed: online.clone(), online });
        }
        if cores.is_empty() {
            machine.lanes = machine.default_lanes(online);
        }
        Ok(machine)
    }

    /// The rule of `serve`: one core for each queue, isolated ones first, core 0 last.
    fn default_lanes(&self, mut online: Vec<usize>) -> Vec<usize> {
        let isolated = self.isolated();
        let queues = self.card.as_ref().map_or(1, |card| card.rx_queues.max(1)) as usize;
        let count = if self.card.is_none() { isolated.len().max(1) } else { queues };
        online.sort_by_key(|core| (!isolated.contains(core), *core == 0, *core));
        online.truncate(count);
        online.sort_unstable();
        online
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

//! Which interrupts are a card's own, and which core each of its queues interrupts.

use crate::doctor::{Card, Tree};
use crate::links::Napi;

/// How a card's interrupts are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CardInterrupts {
    /// The interface's name, which many drivers call them by.
    pub(crate) name: String,
    /// The card's PCI address, below which the kernel lists them.
    pub(crate) pci: Option<String>,
    /// Those of its NAPI instances.
    pub(crate) of_queues: Vec<u32>,
}

/// A queue, and the core that its interrupt comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueInterrupt {
    /// The queue.
    pub queue: u32,
    /// The core.
    pub core: usize,
}

impl CardInterrupts {
    pub(crate) fn of(card: &Card) -> Self {
        let of_queues = Self::numbers(card.napi.as_deref());
        Self { name: card.name.clone(), pci: card.pci.clone(), of_queues }
    }

    /// The interrupts of NAPI instances.
    pub(crate) fn numbers(napi: Option<&[Napi]>) -> Vec<u32> {
        napi.unwrap_or_default().iter().filter_map(|napi| napi.irq).collect()
    }

    /// Whether the interrupt of this number is the card's, whose owner `/proc/interrupts` calls so.
    pub(crate) fn has(&self, tree: &Tree, number: u32, owner: &str) -> bool {
        let is_named = owner == self.name || owner.starts_with(&format!("{}-", self.name));
        let is_message = || {
            let below = self.pci.as_ref().map(|pci| format!("/sys/bus/pci/devices/{pci}/msi_irqs/{number}"));
            below.is_some_and(|file| tree.has(&file))
        };
        is_named || self.of_queues.contains(&number) || is_message()
    }

    /// Which core each queue interrupts, as far as the names tell which queue an interrupt is for.
    pub(super) fn by_queue(&self, tree: &Tree) -> Vec<QueueInterrupt> {
        let text = tree.read("/proc/interrupts").unwrap_or_default();
        let own: Vec<_> = numbered(&text).filter(|(number, owner)| self.has(tree, *number, owner)).collect();
        let is_only = own.len() == 1;
        let of_queues = own.iter().filter_map(|(number, owner)| {
            let queue = queue_of(owner).or(is_only.then_some(0))?;
            let cores = tree.cores(&format!("/proc/irq/{number}/effective_affinity_list")).ok()?;
            cores.first().map(|&core| QueueInterrupt { queue, core })
        });
        of_queues.collect()
    }
}

/// The numbered interrupts of `/proc/interrupts`, and the word at each line's end that says whose it is.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (u32, String)> {
    text.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let owner = rest.split_whitespace().last()?;
        Some((number.trim().parse().ok()?, owner.to_owned()))
    })
}

/// The receive queue that an interrupt is for, by its name: `ens5-Tx-Rx-0`, `mlx5_comp3@pci:0000:af:00.0`, `virtio2-input.0`,
/// `ice-eth1-TxRx-5`. Nothing where it is for something else, or not understood.
fn queue_of(owner: &str) -> Option<u32> {
    let name = owner.split('@').next()?.to_ascii_lowercase();
    let words = ["rx", "input", "comp", "queue"];
    if name.contains("async") || !words.iter().any(|word| name.contains(word)) {
        return None;
    }
    let digits = name.rsplit(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_read_from_the_names_that_drivers_give() {
        for (owner, queue) in [
            ("ens5-Tx-Rx-0", Some(0)),
            ("mlx5_comp12@pci:0000:af:00.0", Some(12)),
            ("mlx5_async0@pci:0000:af:00.0", None),
            ("virtio2-input.1", Some(1)),
            ("virtio2-output.1", None),
            ("virtio2-config", None),
            ("ice-eth1-TxRx-5", Some(5)),
            ("eth0-tx-3", None),
            ("nvme0q2", None),
            ("enp0s31f6", None),
        ] {
            assert_eq!(queue_of(owner), queue, "{owner}");
        }
    }

    #[test]
    fn interrupts_are_told_from_the_counts_that_have_names_of_their_own() {
        let line = " 36:          0    1112792 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0";
        assert_eq!(numbered(line).collect::<Vec<_>>(), [(36, "virtio1-req.0".to_owned())]);
        assert_eq!(numbered("LOC:    8179426    7690619   Local timer interrupts").count(), 0);
        assert_eq!(numbered("           CPU0       CPU1").count(), 0);
    }
}

//! Which interrupts the lanes' cores take.

use super::{Change, Finding, Machine, Requirement, Unread, list};
use crate::cores::as_list;
use crate::cores::card_interrupts::{CardInterrupts, numbered};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "irq-placement",
    why: "Every interrupt of a disk, a keyboard or another card that a lane's core takes stops the lane for 2 to 20 µs.",
    check,
};

const INTERRUPTS: &str = "/proc/irq";

/// An interrupt that a lane's core may get, and who has it.
struct Interrupt {
    number: u32,
    owner: String,
    /// The cores that are no lane's, of those that it may go to.
    elsewhere: Vec<usize>,
}

struct Facts {
    on_lanes: Vec<Interrupt>,
    others: Vec<usize>,
}

fn check(machine: &Machine) -> Finding {
    Finding::or_absent(gather(machine).map(|facts| judge(&facts)), "this machine shows no interrupts")
}

fn gather(machine: &Machine) -> Result<Facts, Unread> {
    let text = machine.tree.read("/proc/interrupts")?;
    let mut on_lanes = Vec::new();
    let cards: Vec<CardInterrupts> = machine.all_cards().map(CardInterrupts::of).collect();
    // The interrupts of the cards' own queues belong on the lanes' cores.
    let is_of_card = |number, owner: &str| cards.iter().any(|card| card.has(&machine.tree, number, owner));
    for (number, owner) in numbered(&text) {
        let file = format!("{INTERRUPTS}/{number}/effective_affinity_list");
        // An interrupt that nobody has asked for has no such file, and one that may go away between two looks neither.
        let Ok(cores) = machine.tree.cores(&file) else { continue };
        if cores.iter().any(|core| machine.lanes.contains(core)) && !is_of_card(number, &owner) {
            let elsewhere = machine.no_lanes()?;
            on_lanes.push(Interrupt { number, owner, elsewhere });
        }
    }
    Ok(Facts { on_lanes, others: machine.no_lanes()? })
}

fn judge(facts: &Facts) -> Finding {
    if facts.on_lanes.is_empty() {
        return Finding::good("no interrupt but the card's own goes to the lanes' cores");
    }
    let owners = list(facts.on_lanes.iter().take(4).map(|one| one.owner.as_str()));
    let more = facts.on_lanes.len().saturating_sub(4);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let finding = Finding::could_be_better(format_args!("{owners}{more} interrupt the lanes' cores"));
    if facts.others.is_empty() {
        return finding.remedy("leave one core at least to interrupts: every core would be a lane's");
    }
    let place = |one: &Interrupt| {
        Change::file(format!("{INTERRUPTS}/{}/smp_affinity_list", one.number), as_list(&one.elsewhere))
    };
    finding
        .remedy(format_args!("send them to the cores {}", as_list(&facts.others)))
        .changes(facts.on_lanes.iter().map(place))
        .boot(format_args!("irqaffinity={}", as_list(&facts.others)))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn each_interrupt_is_sent_to_cores_that_are_no_lanes() {
        let interrupt = |number| Interrupt { number, owner: "nvme0q1".to_owned(), elsewhere: vec![0, 1, 4] };
        let finding = judge(&Facts { on_lanes: (1..=6).map(interrupt).collect(), others: vec![0, 1, 4] });
        assert_eq!(finding.status, Status::CouldBeBetter);
        assert_eq!(finding.changes[5].to, "0-1,4");
        assert!(finding.found.contains("and 2 more"), "{}", finding.found);
        assert_eq!(judge(&Facts { on_lanes: vec![], others: vec![0] }).status, Status::Good);
    }
}

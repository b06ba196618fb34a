//! Whether the card has a queue for every lane, and a lane for every queue.

use super::{Finding, Machine, Parameter, Requirement, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "nic-queues",
    why: "The card spreads packets over all its queues: what comes by a queue without a lane takes the kernel's road.",
    check,
};

fn check(machine: &Machine) -> Finding {
    with_card(machine, |card| judge(card, machine.own_lanes.len()))
}

/// The number of queues is asked of the operator, not changed: it resets the card, and with it everybody's flows.
fn judge(card: &Card, lanes: usize) -> Finding {
    let queues = card.rx_queues as usize;
    let (most, kinds) = match card.number(Parameter::CombinedMax).filter(|most| *most > 0) {
        Some(most) => (Some(most), format!("combined {lanes}")),
        None => (card.number(Parameter::RxMax), format!("rx {lanes} tx {lanes}")),
    };
    let most = most.map_or(String::new(), |most| format!(" of at most {most}"));
    let found = format!("{queues} receive queues in use{most}, {lanes} lanes");
    let remedy = format!("ethtool -L {} {kinds}", card.name);
    match queues.cmp(&lanes) {
        std::cmp::Ordering::Equal => Finding::good(found),
        std::cmp::Ordering::Greater => {
            Finding::could_be_better(found).remedy(format_args!("{remedy}, or a lane for each queue"))
        }
        std::cmp::Ordering::Less => Finding::bad(found).remedy(format_args!("{remedy}, or fewer lanes")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;

    #[test]
    fn queues_and_lanes_shall_be_as_many() {
        let status = |queues, lanes| judge(&Card { rx_queues: queues, ..test_card() }, lanes).status;
        assert_eq!(status(2, 2), Status::Good);
        assert_eq!(status(3, 2), Status::CouldBeBetter);
        assert_eq!(status(1, 2), Status::Bad);
    }
}

//! Offloads that make one packet of several before XDP sees them.

use super::{Finding, Machine, Requirement, list, offload_off, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "receive-offloads",
    why: "A card that joins packets gives XDP frames that nobody sent; many drivers refuse a program while it does, and the \
          first of the joined packets waits for the last.",
    check,
};

/// The kernel's names (`net/ethtool/common.c`): large receive offload, its successor, and forwarding of joined UDP.
const JOINING: [&str; 3] = ["rx-lro", "rx-gro-hw", "rx-udp-gro-forwarding"];

fn check(machine: &Machine) -> Finding {
    with_card(machine, judge)
}

fn judge(card: &Card) -> Finding {
    let active: Vec<_> =
        JOINING.into_iter().filter(|name| card.active.iter().any(|one| one == name)).collect();
    if active.is_empty() {
        return Finding::good("no offload joins packets");
    }
    let (changeable, fixed): (Vec<&str>, Vec<&str>) =
        active.iter().partition(|name| card.changeable.iter().any(|one| one == *name));
    let finding = Finding::bad(format_args!("{} on", list(active)));
    if !fixed.is_empty() {
        return finding
            .remedy(format_args!(
                "{} cannot be switched off here: have the hypervisor or the firmware not offer it, or serve with --mode generic",
                list(fixed)
            ))
            .changes(changeable.iter().map(|name| offload_off(card.name(), name)));
    }
    let switches: Vec<_> = changeable.iter().map(|name| format!("{name} off")).collect();
    finding
        .remedy(format_args!("ethtool -K {} {}", card.name, switches.join(" ")))
        .changes(changeable.iter().map(|name| offload_off(card.name(), name)))
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;

    #[test]
    fn what_joins_packets_is_bad_and_switched_off_where_it_can_be() {
        let card = |active: &[&str]| Card {
            active: active.iter().map(ToString::to_string).collect(),
            changeable: vec!["rx-lro".to_owned()],
            ..test_card()
        };
        assert_eq!(judge(&card(&["rx-gro", "rx-checksum"])).status, Status::Good);
        let finding = judge(&card(&["rx-lro"]));
        assert_eq!((finding.status, finding.changes.len()), (Status::Bad, 1));
        assert_eq!(finding.remedy, "ethtool -K eth9 rx-lro off");
        let finding = judge(&card(&["rx-gro-hw", "rx-lro"]));
        assert_eq!((finding.status, finding.changes.len()), (Status::Bad, 1));
        assert!(finding.remedy.starts_with("rx-gro-hw cannot be switched off here"), "{}", finding.remedy);
    }
}

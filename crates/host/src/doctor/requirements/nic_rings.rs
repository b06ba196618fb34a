//! How many packets the card's rings hold.

use super::{Finding, Machine, Parameter, Requirement, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "nic-rings",
    why: "A receive ring that is too short loses packets while a lane looks away for a moment; one that is too long does not \
          fit into the cache that the card writes to.",
    check,
};

/// At 10 million packets a second, 51 µs: a stall that an interrupt can cause.
const RING_MIN: u32 = 512;
/// 4096 buffers of 2 KiB are 8 MiB, more than the share of the last-level cache that cards write to.
const RING_MAX: u32 = 4096;
const RING_WANTED: u32 = 1024;

fn check(machine: &Machine) -> Finding {
    with_card(machine, judge)
}

fn judge(card: &Card) -> Finding {
    let Some(slots) = card.number(Parameter::RxRing) else {
        return Finding::not_applicable("the driver has no rings that can be sized");
    };
    let most = card.number(Parameter::RxRingMax).unwrap_or(slots);
    let found = format!("receive rings of {slots} slots, at most {most}");
    let wanted = RING_WANTED.min(most);
    if (RING_MIN..=RING_MAX).contains(&slots) || slots == wanted {
        return Finding::good(found);
    }
    Finding::could_be_better(found)
        .remedy(format_args!("ethtool -G {} rx {wanted} (the link may go down for a moment)", card.name))
        .change(card.change(Parameter::RxRing, wanted))
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;

    #[test]
    fn a_ring_is_neither_too_short_nor_too_long_nor_longer_than_it_can_be() {
        let finding = |slots, most| {
            let parameters = [(Parameter::RxRing, slots), (Parameter::RxRingMax, most)].into();
            judge(&Card { parameters, ..test_card() })
        };
        for (slots, most, status) in [
            (511, 8192, Status::CouldBeBetter),
            (512, 8192, Status::Good),
            (4096, 8192, Status::Good),
            (4097, 8192, Status::CouldBeBetter),
            (256, 256, Status::Good),
        ] {
            assert_eq!(finding(slots, most).status, status, "{slots}");
        }
        assert_eq!(finding(128, 256).changes[0].to, "256");
        assert_eq!(judge(&test_card()).status, Status::NotApplicable);
    }
}

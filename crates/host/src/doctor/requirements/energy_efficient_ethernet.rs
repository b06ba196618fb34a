//! Energy-efficient Ethernet (IEEE 802.3az): whether the link sleeps between packets.

use super::{Finding, Machine, Parameter, Requirement, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "energy-efficient-ethernet",
    why: "A sleeping link takes 5 to 17 µs to wake up, which every packet that comes alone pays in either direction.",
    check,
};

fn check(machine: &Machine) -> Finding {
    with_card(machine, judge)
}

fn judge(card: &Card) -> Finding {
    let Some(is_on) = card.number(Parameter::Eee) else {
        return Finding::not_applicable("the card has none");
    };
    let is_active = card.number(Parameter::EeeActive).unwrap_or(0) != 0;
    if is_on == 0 {
        return Finding::good("off");
    }
    let finding = if is_active {
        Finding::bad("on, and agreed on with the other end")
    } else {
        Finding::could_be_better("on, but the other end does not take part")
    };
    finding
        .remedy(format_args!("ethtool --set-eee {} eee off", card.name))
        .change(card.change(Parameter::Eee, 0))
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;

    #[test]
    fn it_is_bad_where_both_ends_take_part() {
        let status = |on, active| {
            let parameters = [(Parameter::Eee, on), (Parameter::EeeActive, active)].into();
            judge(&Card { parameters, ..test_card() }).status
        };
        assert_eq!(status(0, 0), Status::Good);
        assert_eq!(status(1, 0), Status::CouldBeBetter);
        assert_eq!(status(1, 1), Status::Bad);
        assert_eq!(judge(&test_card()).status, Status::NotApplicable);
    }
}

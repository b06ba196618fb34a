//! Pause frames (IEEE 802.3x).

use super::{Finding, Machine, Parameter, Requirement, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "flow-control",
    why: "A pause frame stops a whole link for up to 3 ms at 10 Gbit/s: one slow receiver holds up everybody behind the \
          same port.",
    check,
};

/// Asked and given separately, so that they are set one by one.
const BOTH: [Parameter; 2] = [Parameter::RxPause, Parameter::TxPause];

fn check(machine: &Machine) -> Finding {
    with_card(machine, judge)
}

fn judge(card: &Card) -> Finding {
    if BOTH.iter().all(|one| card.number(*one).is_none()) {
        return Finding::not_applicable("the driver has no pause frames");
    }
    let on: Vec<_> = BOTH.into_iter().filter(|one| card.number(*one).unwrap_or(0) != 0).collect();
    let found = match on.as_slice() {
        [] => return Finding::good("off"),
        [Parameter::RxPause] => "the other end may stop what is sent",
        [_] => "a full ring stops the other end",
        _ => "either end may stop the other",
    };
    Finding::could_be_better(found)
        .remedy(format_args!("ethtool -A {} rx off tx off, and the same at the switch", card.name))
        .changes(on.iter().map(|one| card.change(*one, 0)))
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;

    #[test]
    fn both_directions_are_told_apart() {
        let judged = |rx, tx| {
            let parameters = [(Parameter::RxPause, rx), (Parameter::TxPause, tx)].into();
            judge(&Card { parameters, ..test_card() })
        };
        assert_eq!(judged(0, 0).status, Status::Good);
        assert_eq!(judged(1, 0).found, "the other end may stop what is sent");
        assert_eq!(judged(0, 1).found, "a full ring stops the other end");
        assert_eq!(judged(1, 1).changes.len(), 2);
        assert_eq!(judge(&test_card()).status, Status::NotApplicable);
    }
}

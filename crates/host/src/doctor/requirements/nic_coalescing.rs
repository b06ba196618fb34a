//! How long the card keeps interrupts back.

use super::{Finding, Machine, Parameter, Requirement, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "nic-coalescing",
    why: "The card waits with its interrupt in case more packets come: each packet that comes alone waits that long for \
          nothing.",
    check,
};

/// From here on the wait is longer than an answer takes.
const USECS_BAD: u32 = 10;

/// What there should be: an interrupt at once, and nobody who changes that.
const WANTED: [(Parameter, u32); 4] = [
    (Parameter::AdaptiveRx, 0),
    (Parameter::AdaptiveTx, 0),
    (Parameter::RxUsecs, 0),
    (Parameter::TxUsecs, 0),
];

fn check(machine: &Machine) -> Finding {
    with_card(machine, judge)
}

fn judge(card: &Card) -> Finding {
    let Some(usecs) = card.number(Parameter::RxUsecs) else {
        return Finding::not_applicable("the driver keeps no interrupts back, or does not say");
    };
    let is_adaptive = card.number(Parameter::AdaptiveRx).unwrap_or(0) != 0;
    let wrong: Vec<_> = WANTED
        .into_iter()
        .filter(|(parameter, wanted)| card.number(*parameter).is_some_and(|found| found != *wanted))
        .collect();
    if wrong.is_empty() {
        return Finding::good("interrupts at once");
    }
    let adapting = if is_adaptive { ", and the driver changes that by itself" } else { "" };
    let found = format!("received packets wait up to {usecs} µs for an interrupt{adapting}");
    let is_bad = is_adaptive || usecs >= USECS_BAD;
    let finding = if is_bad { Finding::bad(found) } else { Finding::could_be_better(found) };
    let words: Vec<_> = wrong.iter().map(|(parameter, _)| as_ethtool(*parameter)).collect();
    finding
        .remedy(format_args!("ethtool -C {} {}", card.name, words.join(" ")))
        .changes(wrong.iter().map(|(parameter, wanted)| card.change(*parameter, *wanted)))
}

fn as_ethtool(parameter: Parameter) -> String {
    match parameter {
        Parameter::AdaptiveRx | Parameter::AdaptiveTx => format!("{parameter} off"),
        _ => format!("{parameter} 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;

    fn judged(usecs: u32, adaptive: u32) -> Finding {
        let parameters = [(Parameter::RxUsecs, usecs), (Parameter::AdaptiveRx, adaptive)].into();
        judge(&Card { parameters, ..test_card() })
    }

    #[test]
    fn a_wait_is_bad_when_it_is_as_long_as_an_answer_or_may_become_so() {
        assert_eq!(judged(0, 0).status, Status::Good);
        assert_eq!(judged(9, 0).status, Status::CouldBeBetter);
        assert_eq!(judged(10, 0).status, Status::Bad);
        assert_eq!(judged(0, 1).status, Status::Bad);
        assert_eq!(judge(&test_card()).status, Status::NotApplicable);
    }

    #[test]
    fn adapting_is_ended_before_the_figure_is_set() {
        let finding = judged(50, 1);
        assert_eq!(finding.remedy, "ethtool -C eth9 adaptive-rx off rx-usecs 0");
        let settings: Vec<_> = finding.changes.iter().map(|change| change.setting.to_string()).collect();
        assert_eq!(settings, ["eth9 adaptive-rx", "eth9 rx-usecs"]);
    }
}

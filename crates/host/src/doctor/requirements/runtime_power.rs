//! Whether the kernel may put the card to sleep when it seems idle (runtime power management).

use super::{Change, Finding, Machine, Requirement, Unread};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "runtime-power",
    why: "A device that the kernel suspends when it is idle takes milliseconds to come back; the bridge above it likewise.",
    check,
};

fn check(machine: &Machine) -> Finding {
    let Some(device) = machine.card.as_ref().and_then(Card::device) else {
        return Finding::not_applicable("no card on a PCI bus was named (--nic)");
    };
    let path = format!("{device}/power/control");
    Finding::or_absent(
        gather(machine, &path).map(|control| judge(&path, &control)),
        "the device has no such switch",
    )
}

fn gather(machine: &Machine, path: &str) -> Result<String, Unread> {
    machine.tree.word(path)
}

fn judge(path: &str, control: &str) -> Finding {
    if control == "on" {
        return Finding::good("the card is kept awake");
    }
    Finding::could_be_better("the card may be suspended when it is idle")
        .remedy(format_args!("echo on > {path}"))
        .change(Change::file(path, "on"))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn only_on_keeps_a_card_awake() {
        assert_eq!(judge("control", "on").status, Status::Good);
        assert_eq!(judge("control", "auto").status, Status::CouldBeBetter);
    }
}

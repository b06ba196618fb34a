//! Whether the `PCIe` link between card and processor sleeps (ASPM).

use super::{Change, Finding, Machine, Requirement, Unread, list};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "pcie-power",
    why: "A PCIe link that sleeps between packets (L1) takes 2 to 60 µs to wake up, on the way in and on the way out.",
    check,
};

const POLICY: &str = "/sys/module/pcie_aspm/parameters/policy";

/// The kernel's switches of a device's link (Documentation/ABI/testing/sysfs-bus-pci), deepest first.
const SWITCHES: [&str; 7] =
    ["l1_2_pcipm", "l1_1_pcipm", "l1_2_aspm", "l1_1_aspm", "l1_aspm", "l0s_aspm", "clkpm"];

struct Facts {
    policy: String,
    /// The switches of the card's link that are on, as paths; nothing where the device has none.
    on: Option<Vec<String>>,
}

fn check(machine: &Machine) -> Finding {
    let Some(device) = machine.card.as_ref().and_then(Card::device) else {
        return Finding::not_applicable("no card on a PCI bus was named (--nic)");
    };
    Finding::or_absent(
        gather(machine, &device).map(|facts| judge(&facts)),
        "this kernel leaves PCIe links as they are",
    )
}

fn gather(machine: &Machine, device: &str) -> Result<Facts, Unread> {
    let paths = SWITCHES.iter().map(|switch| format!("{device}/link/{switch}"));
    let told: Vec<_> =
        paths.filter_map(|path| machine.tree.number(&path).ok().map(|is_on| (path, is_on != 0))).collect();
    let on = told.iter().filter(|(_, is_on)| *is_on).map(|(path, _)| path.clone()).collect();
    Ok(Facts { policy: machine.tree.word(POLICY)?, on: (!told.is_empty()).then_some(on) })
}

/// The switches say what is so; where a device has none, the policy says what may be.
fn judge(facts: &Facts) -> Finding {
    match (&facts.on, facts.policy.as_str()) {
        (Some(on), _) if on.is_empty() => Finding::good("the card's link does not sleep"),
        (Some(on), _) => {
            let names = list(on.iter().filter_map(|path| path.rsplit('/').next()));
            Finding::bad(format_args!("the card's link may sleep: {names}"))
                .remedy(
                    "write 0 to the switches below the device's link/ in /sys, or performance to the policy",
                )
                .changes(on.iter().map(|path| Change::file(path, 0)))
                .boot("pcie_aspm.policy=performance")
        }
        (None, "performance") => Finding::good("the policy is performance"),
        (None, "default") => {
            Finding::good("the device's link has no sleep to switch; the firmware's choice stands")
        }
        (None, policy) => Finding::could_be_better(format_args!("the policy is {policy}"))
            .remedy(format_args!("echo performance > {POLICY}"))
            .change(Change::file(POLICY, "performance"))
            .boot("pcie_aspm.policy=performance"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn switches_say_what_is_so_and_the_policy_only_where_there_are_none() {
        let status = |policy: &str, on: Option<&[&str]>| {
            let on = on.map(|on| on.iter().map(ToString::to_string).collect());
            judge(&Facts { policy: policy.to_owned(), on }).status
        };
        assert_eq!(status("powersave", Some(&[])), Status::Good);
        assert_eq!(status("performance", Some(&["x/l1_aspm"])), Status::Bad);
        assert_eq!(status("performance", None), Status::Good);
        assert_eq!(status("default", None), Status::Good);
        assert_eq!(status("powersave", None), Status::CouldBeBetter);
    }
}

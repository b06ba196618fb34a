//! Whether the card has the lanes and the speed that its slot could give.

use super::{Finding, Machine, Requirement, Unread};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "pcie-link",
    why: "A card in a narrow or slow slot takes longer for every transfer, and packets queue up in it under load.",
    check,
};

#[derive(Debug)]
struct Facts {
    /// As the kernel writes it: `8.0 GT/s PCIe`.
    speed: String,
    speed_max: String,
    width: i64,
    width_max: i64,
}

fn check(machine: &Machine) -> Finding {
    let Some(device) = machine.card.as_ref().and_then(Card::device) else {
        return Finding::not_applicable("no card on a PCI bus was named (--nic)");
    };
    Finding::or_absent(
        gather(machine, &device).map(|facts| judge(&facts)),
        "the device has no PCIe link of its own",
    )
}

fn gather(machine: &Machine, device: &str) -> Result<Facts, Unread> {
    let file = |name: &str| format!("{device}/{name}");
    Ok(Facts {
        speed: machine.tree.word(&file("current_link_speed"))?,
        speed_max: machine.tree.word(&file("max_link_speed"))?,
        width: machine.tree.number(&file("current_link_width"))?,
        width_max: machine.tree.number(&file("max_link_width"))?,
    })
}

fn judge(facts: &Facts) -> Finding {
    let Facts { speed, speed_max, width, width_max } = facts;
    let (Some(now), Some(most)) = (transfers(speed), transfers(speed_max)) else {
        // A virtual function has the link of its physical one, and says `Unknown`.
        return Finding::not_applicable("the device has no PCIe link of its own");
    };
    let found = format!("{speed} on {width} of {width_max} lanes, at most {speed_max}");
    if now >= most && width >= width_max {
        return Finding::good(found);
    }
    Finding::could_be_better(found).remedy(
        "another slot, or a look at how the card sits in this one; the card's most may be beyond the slot's",
    )
}

/// Thousands of millions of transfers a second.
fn transfers(speed: &str) -> Option<f64> {
    speed.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_link_that_is_narrower_or_slower_than_it_could_be_is_found() {
        let status = |speed: &str, width| {
            let (speed, speed_max) = (speed.to_owned(), "16.0 GT/s PCIe".to_owned());
            judge(&Facts { speed, speed_max, width, width_max: 16 }).status
        };
        assert_eq!(status("16.0 GT/s PCIe", 16), Status::Good);
        assert_eq!(status("8.0 GT/s PCIe", 16), Status::CouldBeBetter);
        assert_eq!(status("16.0 GT/s PCIe", 8), Status::CouldBeBetter);
        assert_eq!(status("Unknown", 16), Status::NotApplicable);
    }
}

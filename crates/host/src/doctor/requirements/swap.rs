//! Swap.

use super::{Change, Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "swap",
    why: "A lane's own memory is locked, but the kernel that swaps other programs out takes locks, flushes TLBs on every core, \
          and is slow at all else meanwhile.",
    check,
};

const SWAPPINESS: &str = "/proc/sys/vm/swappiness";

/// How willing the kernel shall be, of 200: 1 is "only instead of killing somebody".
const WILLING: i64 = 1;

struct Facts {
    areas: usize,
    used_kib: u64,
    swappiness: i64,
}

fn check(machine: &Machine) -> Finding {
    Finding::or_absent(gather(machine).map(|facts| judge(&facts)), "this kernel has no swap")
}

fn gather(machine: &Machine) -> Result<Facts, Unread> {
    let text = machine.tree.read("/proc/swaps")?;
    // Below the headings: name, type, size, used, priority.
    let used: Vec<u64> =
        text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(3)?.parse().ok()).collect();
    Ok(Facts { areas: used.len(), used_kib: used.iter().sum(), swappiness: machine.tree.number(SWAPPINESS)? })
}

fn judge(facts: &Facts) -> Finding {
    let Facts { areas, used_kib, swappiness } = facts;
    if *areas == 0 {
        return Finding::good("none");
    }
    let finding = Finding::could_be_better(format_args!(
        "{areas} swap areas, {} MiB in use, swappiness {swappiness}",
        used_kib / 1024
    ))
    .remedy("swapoff --all where memory suffices, and take swap out of /etc/fstab");
    if *swappiness <= WILLING {
        return finding;
    }
    finding.change(Change::file(SWAPPINESS, WILLING))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn without_an_area_the_willingness_to_swap_says_nothing() {
        let judged = |areas, swappiness| judge(&Facts { areas, used_kib: 4096, swappiness });
        assert_eq!(judged(0, 60).status, Status::Good);
        assert_eq!((judged(1, 60).status, judged(1, 60).changes.len()), (Status::CouldBeBetter, 1));
        assert_eq!((judged(1, 1).status, judged(1, 1).changes.len()), (Status::CouldBeBetter, 0));
    }
}

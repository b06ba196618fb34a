//! Huge pages for packet memory.

use super::{Change, Finding, HUGE_PAGES_PER_LANE, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "huge-pages",
    why: "Packet memory on huge pages takes one entry of the processor's TLB for every 2 MiB; on small ones a lane misses it \
          again and again.",
    check,
};

const DIRECTORY: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/// Pages of 2 MiB.
struct Facts {
    total: i64,
    /// Those that nobody has or was promised.
    free: i64,
    needed: i64,
}

fn check(machine: &Machine) -> Finding {
    let judged = gather(machine).map(|facts| judge(&facts));
    Finding::or_absent(judged, "this kernel has no huge pages of 2 MiB")
}

fn gather(machine: &Machine) -> Result<Facts, Unread> {
    let count = |name: &str| machine.tree.number(&format!("{DIRECTORY}/{name}"));
    let lanes = i64::try_from(machine.lanes.len().max(1)).unwrap_or(i64::MAX);
    let free = count("free_hugepages")? - count("resv_hugepages").unwrap_or(0);
    Ok(Facts { total: count("nr_hugepages")?, free, needed: lanes * HUGE_PAGES_PER_LANE })
}

fn judge(facts: &Facts) -> Finding {
    let Facts { total, free, needed } = facts;
    let found = format!("{free} of {total} huge pages of 2 MiB free, {needed} wanted for the lanes");
    if free >= needed {
        return Finding::good(found);
    }
    let enough = total + needed - free;
    Finding::could_be_better(found)
        .remedy(format_args!(
            "set aside {enough}: sysctl vm.nr_hugepages={enough}, early, before memory is in pieces"
        ))
        .change(Change::file(format!("{DIRECTORY}/nr_hugepages"), enough))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn what_others_use_is_not_counted_and_what_is_missing_is_added() {
        let status = |free| judge(&Facts { total: 20, free, needed: 8 }).status;
        assert_eq!(status(8), Status::Good);
        let short = judge(&Facts { total: 20, free: 7, needed: 8 });
        assert_eq!((short.status, short.changes[0].to.as_str()), (Status::CouldBeBetter, "21"));
    }
}

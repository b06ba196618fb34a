//! Merging of equal pages (KSM).

use super::{Change, Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "same-page-merging",
    why: "The merging thread scans memory without end, and a write to a merged page stops for a copy of it.",
    check,
};

const RUN: &str = "/sys/kernel/mm/ksm/run";

fn check(machine: &Machine) -> Finding {
    Finding::or_absent(gather(machine).map(judge), "this kernel has none")
}

fn gather(machine: &Machine) -> Result<i64, Unread> {
    machine.tree.number(RUN)
}

/// 0 is stopped, 1 is running, 2 is stopped and all pages apart again (Documentation/admin-guide/mm/ksm.rst).
fn judge(run: i64) -> Finding {
    if run != 1 {
        return Finding::good("not running");
    }
    Finding::could_be_better("running").remedy(format_args!("echo 0 > {RUN}")).change(Change::file(RUN, 0))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn it_disturbs_while_it_runs() {
        assert_eq!(
            [0, 1, 2].map(|run| judge(run).status),
            [Status::Good, Status::CouldBeBetter, Status::Good]
        );
    }
}

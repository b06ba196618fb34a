//! Automatic NUMA balancing.

use super::{Change, Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "numa-balancing",
    why: "To learn who uses a page the kernel takes it away and waits for the fault: a lane then faults on memory that it has \
          long had.",
    check,
};

const FILE: &str = "/proc/sys/kernel/numa_balancing";

fn check(machine: &Machine) -> Finding {
    Finding::or_absent(gather(machine).map(judge), "this kernel has none (CONFIG_NUMA_BALANCING)")
}

fn gather(machine: &Machine) -> Result<i64, Unread> {
    machine.tree.number(FILE)
}

fn judge(mode: i64) -> Finding {
    if mode == 0 {
        return Finding::good("off");
    }
    Finding::bad(format_args!("on (mode {mode})"))
        .remedy("sysctl kernel.numa_balancing=0")
        .change(Change::file(FILE, 0))
        .boot("numa_balancing=disable")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn every_mode_but_off_is_bad() {
        assert_eq!([0, 1, 2].map(|mode| judge(mode).status), [Status::Good, Status::Bad, Status::Bad]);
    }
}

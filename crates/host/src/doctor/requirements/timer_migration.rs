//! Whether timers of idle cores may be moved to busy ones.

use super::{Change, Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "timer-migration",
    why: "With timer migration an idle core hands its timers to a busy one, and no core is busier than one that spins: the \
          lane then serves the whole machine's timers.",
    check,
};

const FILE: &str = "/proc/sys/kernel/timer_migration";

fn check(machine: &Machine) -> Finding {
    let judged = gather(machine).map(|(is_on, are_isolated)| judge(is_on, are_isolated));
    Finding::or_absent(judged, "this kernel moves no timers (CONFIG_NO_HZ_COMMON)")
}

fn gather(machine: &Machine) -> Result<(bool, bool), Unread> {
    let isolated = machine.isolated();
    let are_isolated = machine.lanes.iter().all(|lane| isolated.contains(lane));
    Ok((machine.tree.number(FILE)? != 0, are_isolated))
}

/// Isolated cores are asked for no timers (`get_nohz_timer_target`, kernel/sched/core.c: it goes by scheduling domains).
fn judge(is_on: bool, are_isolated: bool) -> Finding {
    if !is_on {
        return Finding::good("off");
    }
    if are_isolated {
        return Finding::good("on, and the lanes' cores are isolated from it");
    }
    Finding::could_be_better("on, and the lanes' cores are not isolated")
        .remedy("sysctl kernel.timer_migration=0")
        .change(Change::file(FILE, 0))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn it_matters_where_cores_are_not_isolated() {
        assert_eq!(judge(false, false).status, Status::Good);
        assert_eq!(judge(true, true).status, Status::Good);
        assert_eq!(judge(true, false).status, Status::CouldBeBetter);
    }
}

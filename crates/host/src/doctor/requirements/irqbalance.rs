//! Whether irqbalance moves interrupts about.

use super::{Finding, Machine, Requirement};
use crate::cores::as_list;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "irqbalance",
    why: "irqbalance looks every ten seconds which core is free of interrupts, and sends some to it: just where a lane was \
          left alone.",
    check,
};

fn check(machine: &Machine) -> Finding {
    judge(gather(machine), &machine.lanes, &machine.isolated())
}

/// Whether a process of that name runs.
fn gather(machine: &Machine) -> bool {
    let processes = machine.tree.names("/proc").into_iter().filter(|name| name.parse::<u32>().is_ok());
    processes.into_iter().any(|process| {
        machine.tree.word(&format!("/proc/{process}/comm")).is_ok_and(|name| name == "irqbalance")
    })
}

/// It leaves isolated cores alone by itself. A service is stopped by whoever runs it, not by a doctor.
fn judge(is_running: bool, lanes: &[usize], isolated: &[usize]) -> Finding {
    if !is_running {
        return Finding::good("not running");
    }
    if lanes.iter().all(|lane| isolated.contains(lane)) {
        return Finding::good("running; it leaves isolated cores alone, and the lanes' cores are");
    }
    Finding::could_be_better("running, and the lanes' cores are not isolated").remedy(format_args!(
        "IRQBALANCE_BANNED_CPULIST={} in its configuration, or systemctl disable --now irqbalance",
        as_list(lanes)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn it_disturbs_only_where_it_runs_and_the_cores_are_not_isolated() {
        assert_eq!(judge(false, &[3], &[]).status, Status::Good);
        assert_eq!(judge(true, &[3], &[2, 3]).status, Status::Good);
        assert_eq!(judge(true, &[1, 3], &[2, 3]).status, Status::CouldBeBetter);
    }
}

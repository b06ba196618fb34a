//! The kernel's own work that can be sent elsewhere: unbound work queues, the watchdog, and moved timers.

use super::{Change, Finding, Machine, Requirement, Unread, list};
use crate::cores::{as_list, from_list};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "kernel-work",
    why: "Work queues, the lock-up watchdog and the statistics timer of the kernel interrupt whatever core they are allowed \
          on, for 5 to 50 µs each time.",
    check,
};

const WORK_QUEUES: &str = "/sys/devices/virtual/workqueue/cpumask";
const WATCHDOG: &str = "/proc/sys/kernel/watchdog";
const WATCHDOG_CORES: &str = "/proc/sys/kernel/watchdog_cpumask";
const STATISTICS: &str = "/proc/sys/vm/stat_interval";

/// How seldom the kernel shall fold its memory statistics, in seconds: each time, every core that has some is interrupted.
const STATISTICS_SECONDS: i64 = 120;

#[derive(Debug)]
struct Facts {
    lanes: Vec<usize>,
    others: Vec<usize>,
    /// Where unbound work queues may run.
    work_queues: Vec<usize>,
    /// Where the watchdog looks; none where it is off.
    watchdog: Vec<usize>,
    statistics_seconds: Option<i64>,
}

fn check(machine: &Machine) -> Finding {
    Finding::or_unread(gather(machine).map(|facts| judge(&facts)))
}

fn gather(machine: &Machine) -> Result<Facts, Unread> {
    let mask = machine.tree.read(WORK_QUEUES)?;
    let is_watched = machine.tree.number(WATCHDOG).is_ok_and(|is_on| is_on != 0);
    let watched = machine.tree.read(WATCHDOG_CORES).map(|text| from_list(text.trim())).unwrap_or_default();
    Ok(Facts {
        lanes: machine.lanes.clone(),
        others: machine.no_lanes()?,
        work_queues: cores_of(&mask).ok_or_else(|| Unread::odd(WORK_QUEUES, &mask))?,
        watchdog: if is_watched { watched } else { Vec::new() },
        statistics_seconds: machine.tree.number(STATISTICS).ok(),
    })
}

fn judge(facts: &Facts) -> Finding {
    let on_lanes = |cores: &[usize]| cores.iter().any(|core| facts.lanes.contains(core));
    let mut disturbing = Vec::new();
    let mut changes = Vec::new();
    if on_lanes(&facts.work_queues) {
        disturbing.push("work queues");
        changes.push(Change::file(WORK_QUEUES, mask_of(&facts.others)));
    }
    if on_lanes(&facts.watchdog) {
        disturbing.push("the watchdog");
        changes.push(Change::file(WATCHDOG_CORES, as_list(&facts.others)));
    }
    if facts.statistics_seconds.is_some_and(|seconds| seconds < STATISTICS_SECONDS) {
        disturbing.push("memory statistics");
        changes.push(Change::file(STATISTICS, STATISTICS_SECONDS));
    }
    if disturbing.is_empty() {
        return Finding::good("kept off the lanes' cores");
    }
    let finding = Finding::could_be_better(format_args!("{} may run on the lanes' cores", list(disturbing)));
    if facts.others.is_empty() {
        return finding.remedy("leave one core at least to the kernel: every core would be a lane's");
    }
    finding.remedy("let them run on the other cores, and seldom").changes(changes)
}

/// The cores of a mask as the kernel writes it: groups of eight hexadecimal digits, the highest cores first.
fn cores_of(mask: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for (group, digits) in mask.trim().rsplit(',').enumerate() {
        let bits = u32::from_str_radix(digits, 16).ok()?;
        cores.extend((0..32).filter(|bit| bits >> bit & 1 == 1).map(|bit| group * 32 + bit));
    }
    Some(cores)
}

fn mask_of(cores: &[usize]) -> String {
    let group_count = cores.iter().max().map_or(1, |core| core / 32 + 1);
    let group = |group: usize| {
        let bits =
            cores.iter().filter(|core| *core / 32 == group).fold(0_u32, |bits, core| bits | 1 << (core % 32));
        if group + 1 == group_count { format!("{bits:x}") } else { format!("{bits:08x}") }
    };
    (0..group_count).rev().map(group).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_mask_of_cores_reads_as_the_kernel_writes_it_and_back() {
        assert_eq!(cores_of("3\n"), Some(vec![0, 1]));
        assert_eq!(cores_of("1,00000001"), Some(vec![0, 32]));
        assert_eq!(cores_of("x"), None);
        for cores in [&[0][..], &[1, 5], &[0, 32], &[31, 64]] {
            assert_eq!(cores_of(&mask_of(cores)).unwrap(), cores);
        }
    }

    #[test]
    fn each_disturber_is_named_and_sent_to_the_other_cores() {
        let facts = |work_queues: &[usize], watchdog: &[usize], seconds| Facts {
            lanes: vec![1],
            others: vec![0],
            work_queues: work_queues.to_vec(),
            watchdog: watchdog.to_vec(),
            statistics_seconds: Some(seconds),
        };
        assert_eq!(judge(&facts(&[0], &[], 120)).status, Status::Good);
        let finding = judge(&facts(&[0, 1], &[0, 1], 119));
        assert_eq!(finding.status, Status::CouldBeBetter);
        let to: Vec<_> = finding.changes.iter().map(|change| change.to.as_str()).collect();
        assert_eq!(to, ["1", "0", "120"]);
        let none_left = judge(&Facts { others: vec![], ..facts(&[1], &[], 120) });
        assert!(none_left.changes.is_empty());
    }
}

//! Whether the kernel's deferred frees (RCU callbacks) run elsewhere than on the lanes' cores.

use super::{Finding, Machine, Requirement, Unread, boot_cores};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "rcu-callbacks",
    why: "What the kernel frees later it frees in a softirq on the core that asked for it, thousands at once: on a lane's core \
          that is a stall.",
    check,
};

fn check(machine: &Machine) -> Finding {
    Finding::or_unread(gather(machine).map(|offloaded| judge(&machine.lanes, &offloaded)))
}

/// The kernel shows what it was asked for at boot, and nothing of what came of it. `nohz_full=` implies `rcu_nocbs=`
/// (Documentation/admin-guide/kernel-parameters.txt).
fn gather(machine: &Machine) -> Result<Vec<usize>, Unread> {
    let line = machine.tree.read("/proc/cmdline")?;
    let lists = line.split_whitespace().filter_map(|word| word.split_once('='));
    let lists = lists.filter(|(name, _)| matches!(*name, "rcu_nocbs" | "nohz_full"));
    let online = machine.online()?;
    let cores = lists.flat_map(|(_, list)| match list {
        "all" => online.clone(),
        list => crate::cores::from_list(list),
    });
    Ok(cores.collect())
}

fn judge(lanes: &[usize], offloaded: &[usize]) -> Finding {
    boot_cores(lanes, offloaded, "free of RCU callbacks", "rcu_nocbs=")
}

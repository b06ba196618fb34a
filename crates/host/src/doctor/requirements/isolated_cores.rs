//! Whether the scheduler leaves the lanes' cores alone.

use super::{Finding, Machine, Requirement, Unread, boot_cores};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "isolated-cores",
    why: "The scheduler puts other programs' threads on every core that it may use: a lane whose core is not isolated shares \
          it with whoever wakes up there.",
    check,
};

fn check(machine: &Machine) -> Finding {
    Finding::or_unread(gather(machine).map(|isolated| judge(&machine.lanes, &isolated)))
}

fn gather(machine: &Machine) -> Result<Vec<usize>, Unread> {
    machine.tree.cores("/sys/devices/system/cpu/isolated")
}

fn judge(lanes: &[usize], isolated: &[usize]) -> Finding {
    boot_cores(lanes, isolated, "isolated from the scheduler", "isolcpus=domain,managed_irq,")
}

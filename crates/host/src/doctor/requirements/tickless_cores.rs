//! Whether the timer tick stops on the lanes' cores.

use super::{Finding, Machine, Requirement, Unread, boot_cores};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "tickless-cores",
    why: "The timer tick interrupts a core 100 to 1000 times a second, for some microseconds each; a core that runs one \
          thread can do without it.",
    check,
};

fn check(machine: &Machine) -> Finding {
    let judged = gather(machine).map(|tickless| judge(&machine.lanes, &tickless));
    Finding::or_absent(judged, "this kernel cannot stop the tick of a busy core (CONFIG_NO_HZ_FULL)")
}

/// The file holds `(null)` where the kernel could and no cores were named.
fn gather(machine: &Machine) -> Result<Vec<usize>, Unread> {
    machine.tree.cores("/sys/devices/system/cpu/nohz_full")
}

fn judge(lanes: &[usize], tickless: &[usize]) -> Finding {
    boot_cores(lanes, tickless, "without the timer tick", "nohz_full=")
}

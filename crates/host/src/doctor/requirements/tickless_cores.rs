//! Whether the timer tick stops on the lanes' cores.

use super::{Finding, Machine, Requirement, Unread, boot_cores};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "tickless-cores",
    why: "The timer tick interrupts a core 100 to 1000 times a second, for some microseconds each; a core that runs one \
          thread can do without it.",
    check,
};

fn check(machine: &Machine) -> Finding {
    Finding::or_unread(gather(machine).map(|tickless| judge(&machine.lanes, &tickless)))
}

/// The file is there where the kernel was built so (`CONFIG_NO_HZ_FULL`), and holds `(null)` where none were named.
fn gather(machine: &Machine) -> Result<Vec<usize>, Unread> {
    match machine.tree.cores("/sys/devices/system/cpu/nohz_full") {
        Err(unread) if unread.is_absent => {
            Err(Unread { why: "this kernel has no such cores (CONFIG_NO_HZ_FULL)".into(), ..unread })
        }
        cores => cores,
    }
}

fn judge(lanes: &[usize], tickless: &[usize]) -> Finding {
    boot_cores(lanes, tickless, "without the timer tick", "nohz_full=")
}

//! The clock that the kernel reads, and whether the processor's counter can be one.

use super::{Change, Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "clock-source",
    why: "Every stamp is a reading of the clock: 20 ns from the processor's own counter, over a microsecond and a system call \
          from the chipset's timers.",
    check,
};

const CURRENT: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const AVAILABLE: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";

/// Counters of the processor itself: of x86, Arm and RISC-V.
const OWN: [&str; 3] = ["tsc", "arch_sys_counter", "riscv_clocksource"];

/// A hypervisor's clocks, read without a system call, but with more work.
const OF_HYPERVISORS: [&str; 2] = ["kvm-clock", "hyperv_clocksource_tsc_page"];

struct Facts {
    current: String,
    available: Vec<String>,
    /// Whether the processor's counter runs at one rate in every state; for x86 only.
    is_invariant: bool,
}

fn check(machine: &Machine) -> Finding {
    Finding::or_unread(gather(machine).map(|facts| judge(&facts)))
}

fn gather(machine: &Machine) -> Result<Facts, Unread> {
    let flags = machine.processor_flags()?;
    let has = |wanted: &str| flags.iter().any(|flag| flag == wanted);
    Ok(Facts {
        current: machine.tree.word(CURRENT)?,
        available: machine.tree.read(AVAILABLE)?.split_whitespace().map(str::to_owned).collect(),
        is_invariant: has("constant_tsc") && has("nonstop_tsc"),
    })
}

fn judge(facts: &Facts) -> Finding {
    let current = facts.current.as_str();
    if OWN.contains(&current) {
        return Finding::good(current);
    }
    let found = if facts.is_invariant {
        format!("{current}, though the processor's counter is invariant")
    } else {
        format!("{current}; the processor's counter is not invariant")
    };
    let is_cheap = OF_HYPERVISORS.contains(&current);
    let finding = if is_cheap { Finding::could_be_better(found) } else { Finding::bad(found) };
    if facts.is_invariant && facts.available.iter().any(|one| one == "tsc") {
        return finding
            .remedy(format_args!("echo tsc > {CURRENT}"))
            .change(Change::file(CURRENT, "tsc"))
            .boot("clocksource=tsc");
    }
    finding
        .remedy("look in the kernel's log for why tsc was marked unstable; firmware or hypervisor decide it")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn the_counter_is_chosen_only_where_it_is_there_and_invariant() {
        let judged = |current: &str, available: &str, is_invariant| {
            let available = available.split(' ').map(str::to_owned).collect();
            let finding = judge(&Facts { current: current.to_owned(), available, is_invariant });
            (finding.status, finding.changes.len())
        };
        assert_eq!(judged("tsc", "tsc hpet", true), (Status::Good, 0));
        assert_eq!(judged("arch_sys_counter", "arch_sys_counter", false), (Status::Good, 0));
        assert_eq!(judged("kvm-clock", "kvm-clock tsc", true), (Status::CouldBeBetter, 1));
        assert_eq!(judged("hpet", "hpet acpi_pm", true), (Status::Bad, 0));
        assert_eq!(judged("hpet", "tsc hpet", false), (Status::Bad, 0));
    }
}

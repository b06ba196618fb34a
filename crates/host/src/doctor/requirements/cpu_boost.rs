//! Whether cores may run faster than their nominal frequency.

use super::{Change, Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "cpu-boost",
    why: "A lane is one thread: what one core gains by boosting, every answer gains. (Whoever wants all answers alike rather \
          than fast leaves it off.)",
    check,
};

/// Where the switch is, and what it holds where boosting is on: the general one, and Intel's own, which says the reverse.
const SWITCHES: [(&str, &str); 2] =
    [("/sys/devices/system/cpu/cpufreq/boost", "1"), ("/sys/devices/system/cpu/intel_pstate/no_turbo", "0")];

fn check(machine: &Machine) -> Finding {
    let switch = SWITCHES.iter().find(|(path, _)| machine.tree.has(path));
    let Some((path, on)) = switch else {
        return Finding::not_applicable("nobody here may choose it: the hypervisor or the firmware does");
    };
    Finding::or_unread(gather(machine, path).map(|found| judge(path, on, &found)))
}

fn gather(machine: &Machine, path: &str) -> Result<String, Unread> {
    machine.tree.word(path)
}

fn judge(path: &str, on: &str, found: &str) -> Finding {
    if found == on {
        return Finding::good("on");
    }
    Finding::could_be_better("off")
        .remedy(format_args!("echo {on} > {path}, unless heat or evenness forbids it"))
        .change(Change::file(path, on))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn both_switches_are_read_the_right_way_round() {
        for (path, on) in SWITCHES {
            let off = if on == "1" { "0" } else { "1" };
            assert_eq!(judge(path, on, on).status, Status::Good);
            let finding = judge(path, on, off);
            assert_eq!((finding.status, finding.changes[0].to.as_str()), (Status::CouldBeBetter, on));
        }
    }
}

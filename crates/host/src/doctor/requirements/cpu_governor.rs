//! The governor that chooses a core's frequency.

use super::{Change, Finding, Machine, Requirement, Unread, list};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "cpu-governor",
    why: "A governor that saves power lets a core run slowly until it has been busy for a while: the first answers after \
          a rest take twice as long.",
    check,
};

const POLICIES: &str = "/sys/devices/system/cpu/cpufreq";

/// One choice of frequencies that some cores share.
struct Policy {
    name: String,
    cores: Vec<usize>,
    governor: String,
    /// Whether `performance` can be had.
    has_performance: bool,
    /// Intel's and AMD's hint to the processor; nothing where it takes none.
    preference: Option<String>,
}

fn check(machine: &Machine) -> Finding {
    match gather(machine) {
        Ok(policies) if policies.is_empty() => Finding::not_applicable(
            "nobody here may choose the cores' frequency: the hypervisor or the firmware does",
        ),
        policies => Finding::or_unread(policies.map(|policies| judge(&policies))),
    }
}

fn gather(machine: &Machine) -> Result<Vec<Policy>, Unread> {
    let mut policies = Vec::new();
    for name in machine.tree.names(POLICIES).into_iter().filter(|name| name.starts_with("policy")) {
        let file = |file: &str| format!("{POLICIES}/{name}/{file}");
        let cores = machine.tree.read(&file("affected_cpus"))?;
        let cores: Vec<usize> = cores.split_whitespace().filter_map(|core| core.parse().ok()).collect();
        if !cores.iter().any(|core| machine.lanes.contains(core)) {
            continue;
        }
        let available = machine.tree.read(&file("scaling_available_governors")).unwrap_or_default();
        policies.push(Policy {
            cores,
            governor: machine.tree.word(&file("scaling_governor"))?,
            has_performance: available.split_whitespace().any(|one| one == "performance"),
            preference: machine.tree.word(&file("energy_performance_preference")).ok(),
            name,
        });
    }
    Ok(policies)
}

fn judge(policies: &[Policy]) -> Finding {
    let slow: Vec<_> = policies.iter().filter(|policy| policy.governor != "performance").collect();
    let lazy = policies.iter().filter(|policy| is_lazy(policy)).count();
    let governors = list(policies.iter().map(|policy| policy.governor.as_str()));
    if slow.is_empty() && lazy == 0 {
        return Finding::good(format_args!("{governors} on the lanes' cores"));
    }
    let cores: Vec<_> = slow.iter().flat_map(|policy| &policy.cores).copied().collect();
    let finding = match slow.first() {
        None => Finding::could_be_better("performance, but the processor is told to save energy"),
        Some(_) => {
            Finding::bad(format_args!("{governors} on the lanes' cores ({})", crate::cores::as_list(&cores)))
        }
    };
    finding
        .remedy("cpupower frequency-set --governor performance, at each boot")
        .changes(policies.iter().flat_map(changes))
}

/// Whether the processor was told to save energy, where it listens to that.
fn is_lazy(policy: &Policy) -> bool {
    policy.preference.as_deref().is_some_and(|preference| preference != "performance")
}

/// The preference first: under the governor `performance`, `intel_pstate` refuses every other one.
fn changes(policy: &Policy) -> Vec<Change> {
    let file = |file: &str| format!("{POLICIES}/{}/{file}", policy.name);
    let mut changes = Vec::new();
    if is_lazy(policy) {
        changes.push(Change::file(file("energy_performance_preference"), "performance"));
    }
    if policy.governor != "performance" && policy.has_performance {
        changes.push(Change::file(file("scaling_governor"), "performance"));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn policy(governor: &str, preference: Option<&str>) -> Policy {
        Policy {
            name: "policy3".to_owned(),
            cores: vec![3],
            governor: governor.to_owned(),
            has_performance: true,
            preference: preference.map(str::to_owned),
        }
    }

    #[test]
    fn only_performance_will_do_and_the_processor_shall_know_it() {
        for (governor, preference, status, changes) in [
            ("performance", None, Status::Good, 0),
            ("performance", Some("performance"), Status::Good, 0),
            ("performance", Some("balance_performance"), Status::CouldBeBetter, 1),
            ("powersave", Some("balance_power"), Status::Bad, 2),
            ("schedutil", None, Status::Bad, 1),
        ] {
            let finding = judge(&[policy(governor, preference)]);
            assert_eq!(
                (finding.status, finding.changes.len()),
                (status, changes),
                "{governor} {preference:?}"
            );
        }
    }
}

//! Transparent huge pages: those that the kernel makes unasked.

use super::{Change, Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "transparent-huge-pages",
    why: "To make huge pages unasked the kernel moves memory about and stops whoever touches it, for up to milliseconds.",
    check,
};

const ENABLED: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const DEFRAG: &str = "/sys/kernel/mm/transparent_hugepage/defrag";

fn check(machine: &Machine) -> Finding {
    let judged = gather(machine).map(|(enabled, defrag)| judge(&enabled, &defrag));
    Finding::or_absent(judged, "this kernel has none")
}

fn gather(machine: &Machine) -> Result<(String, String), Unread> {
    Ok((machine.tree.word(ENABLED)?, machine.tree.word(DEFRAG)?))
}

fn judge(enabled: &str, defrag: &str) -> Finding {
    let found = format!("made {enabled}, memory moved for them {defrag}");
    let mut changes = Vec::new();
    if enabled == "always" {
        changes.push(Change::file(ENABLED, "madvise"));
    }
    if enabled != "never" && defrag == "always" {
        changes.push(Change::file(DEFRAG, "madvise"));
    }
    if changes.is_empty() {
        return Finding::good(found);
    }
    Finding::could_be_better(found)
        .remedy(format_args!("echo madvise > {ENABLED}, and the same for defrag"))
        .changes(changes)
        .boot("transparent_hugepage=madvise")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn only_what_is_done_unasked_could_be_better() {
        for (enabled, defrag, changes) in [
            ("never", "always", 0),
            ("madvise", "madvise", 0),
            ("madvise", "always", 1),
            ("always", "defer", 1),
            ("always", "always", 2),
        ] {
            let finding = judge(enabled, defrag);
            assert_eq!(finding.changes.len(), changes, "{enabled} {defrag}");
            assert_eq!(finding.status == Status::Good, changes == 0, "{enabled} {defrag}");
        }
    }
}

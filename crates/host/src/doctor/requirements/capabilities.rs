//! What this process may do.

use super::{Capability, Finding, Machine, Requirement, Unread, capabilities_of, list};
use crate::privileges::GRANT;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "capabilities",
    why: "Without them the kernel lets nobody attach a program to a card, or open the sockets behind it.",
    check,
};

/// Each, and whether `CAP_SYS_ADMIN`, from which the newer ones were taken, stands for it.
const NEEDED: [(Capability, bool); 4] = [
    (Capability::NetAdmin, false),
    (Capability::NetRaw, false),
    (Capability::Bpf, true),
    (Capability::Perfmon, true),
];

fn check(machine: &Machine) -> Finding {
    Finding::or_unread(gather(machine).map(judge))
}

fn gather(machine: &Machine) -> Result<u64, Unread> {
    capabilities_of(machine)
}

fn judge(held: u64) -> Finding {
    let has = |capability: Capability| held >> (capability as u32) & 1 == 1;
    let is_missing = |(capability, is_admins): &(Capability, bool)| {
        !(has(*capability) || *is_admins && has(Capability::SysAdmin))
    };
    let missing: Vec<_> = NEEDED.iter().filter(|one| is_missing(one)).map(|(one, _)| one.name()).collect();
    if missing.is_empty() {
        return Finding::good("all that serve needs");
    }
    Finding::bad(format_args!("this process lacks {}", list(missing))).remedy(format_args!(
        "run as root, or setcap {GRANT} the binary, or AmbientCapabilities= in the unit"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn each_one_that_is_missing_is_named_and_an_administrator_has_the_newer_ones() {
        let bit = |capability: Capability| 1_u64 << (capability as u32);
        let all = NEEDED.iter().fold(0, |all, (one, _)| all | bit(*one));
        assert_eq!(judge(all).status, Status::Good);
        for (one, is_admins) in NEEDED {
            let without = judge(all & !bit(one));
            assert!(without.status == Status::Bad && without.found.contains(one.name()), "{without:?}");
            let status = judge(all & !bit(one) | bit(Capability::SysAdmin)).status;
            assert_eq!(status == Status::Good, is_admins, "{one:?}");
        }
    }
}

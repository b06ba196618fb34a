//! How much memory this process may lock.

use super::{Capability, Finding, Machine, Requirement, Unread, has_capability};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "locked-memory",
    why: "A lane locks all its memory, since one page that has to be fetched costs more than a thousand packets; without the \
          right to do so it does not start.",
    check,
};

/// What a server with one lane locks, with room for its code, its tables and its rings.
const NEEDED: u64 = 64 << 20;

struct Facts {
    /// In bytes; nothing where there is none.
    limit: Option<u64>,
    may_exceed_it: bool,
}

fn check(machine: &Machine) -> Finding {
    Finding::or_unread(gather(machine).map(|facts| judge(&facts)))
}

fn gather(machine: &Machine) -> Result<Facts, Unread> {
    let path = "/proc/self/limits";
    let text = machine.tree.read(path)?;
    let soft =
        text.lines().find_map(|line| line.strip_prefix("Max locked memory")?.split_whitespace().next());
    let limit = match soft {
        Some("unlimited") => None,
        other => {
            Some(other.and_then(|bytes| bytes.parse().ok()).ok_or_else(|| Unread::odd(path, "no limit"))?)
        }
    };
    Ok(Facts { limit, may_exceed_it: has_capability(machine, Capability::IpcLock)? })
}

fn judge(facts: &Facts) -> Finding {
    match facts.limit {
        None => Finding::good("no limit"),
        Some(limit) if facts.may_exceed_it => {
            Finding::good(format_args!("CAP_IPC_LOCK, which stands above the limit of {} KiB", limit >> 10))
        }
        Some(limit) if limit >= NEEDED => Finding::good(format_args!("a limit of {} MiB", limit >> 20)),
        Some(limit) => {
            Finding::bad(format_args!("a limit of {} KiB and no CAP_IPC_LOCK", limit >> 10)).remedy(
                "LimitMEMLOCK=infinity in the unit, or `ulimit -l unlimited` before, or the capability cap_ipc_lock",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_small_limit_is_bad_unless_it_does_not_hold() {
        let status = |limit, may_exceed_it| judge(&Facts { limit, may_exceed_it }).status;
        assert_eq!(status(Some(8 << 20), false), Status::Bad);
        assert_eq!(status(Some(NEEDED - 1), false), Status::Bad);
        assert_eq!(status(Some(NEEDED), false), Status::Good);
        assert_eq!(status(Some(8 << 20), true), Status::Good);
        assert_eq!(status(None, false), Status::Good);
    }
}

//! Whether every socket of the machine polls cards by itself (`net.core.busy_poll`, `net.core.busy_read`).

use super::{Change, Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "busy-poll-sockets",
    why: "With the machine-wide setting every program that waits for a packet spins, on whatever core it is, and polls the \
          queues that lanes live on.",
    check,
};

const FILES: [&str; 2] = ["/proc/sys/net/core/busy_poll", "/proc/sys/net/core/busy_read"];

fn check(machine: &Machine) -> Finding {
    let judged = gather(machine).map(judge);
    Finding::or_absent(
        judged,
        "not in this network namespace, or not in this kernel (CONFIG_NET_RX_BUSY_POLL)",
    )
}

/// Both, in microseconds.
fn gather(machine: &Machine) -> Result<[i64; 2], Unread> {
    let [poll, read] = FILES;
    Ok([machine.tree.number(poll)?, machine.tree.number(read)?])
}

fn judge(microseconds: [i64; 2]) -> Finding {
    let wrong: Vec<_> = FILES.into_iter().zip(microseconds).filter(|(_, found)| *found != 0).collect();
    let Some((_, longest)) = wrong.iter().max_by_key(|(_, found)| *found) else {
        return Finding::good("off: only sockets that ask for it poll");
    };
    Finding::could_be_better(format_args!("every socket polls for up to {longest} µs"))
        .remedy("sysctl net.core.busy_poll=0 net.core.busy_read=0, and SO_BUSY_POLL where it is wanted")
        .changes(wrong.iter().map(|(path, _)| Change::file(*path, 0)))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn each_of_the_two_is_found() {
        assert_eq!(judge([0, 0]).status, Status::Good);
        for figures in [[50, 0], [0, 50]] {
            let finding = judge(figures);
            assert_eq!((finding.status, finding.changes.len()), (Status::CouldBeBetter, 1));
        }
    }
}

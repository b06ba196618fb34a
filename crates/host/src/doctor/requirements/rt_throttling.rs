//! How much of its time a real-time thread may have.
//!
//! Lanes run under the ordinary scheduler, where nothing throttles them. The limit matters to them in another way: it is
//! what gives the core back when another program's real-time thread spins on it. So the doctor never lifts it.

use super::{Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "rt-throttling",
    why: "A lane under SCHED_FIFO would be stopped for the rest of each period; without the limit somebody else's real-time \
          thread can take a core for ever.",
    check,
};

struct Facts {
    /// −1 where there is no limit.
    runtime_us: i64,
    period_us: i64,
}

fn check(machine: &Machine) -> Finding {
    Finding::or_absent(gather(machine).map(|facts| judge(&facts)), "this kernel has no such limit")
}

fn gather(machine: &Machine) -> Result<Facts, Unread> {
    Ok(Facts {
        runtime_us: machine.tree.number("/proc/sys/kernel/sched_rt_runtime_us")?,
        period_us: machine.tree.number("/proc/sys/kernel/sched_rt_period_us")?,
    })
}

fn judge(facts: &Facts) -> Finding {
    let Facts { runtime_us, period_us } = facts;
    if *runtime_us < 0 || runtime_us >= period_us {
        return Finding::could_be_better("no limit: a real-time thread that spins has its core for ever")
            .remedy("sysctl kernel.sched_rt_runtime_us=950000, unless somebody needs it so");
    }
    let stopped_ms = (period_us - runtime_us) / 1_000;
    Finding::good(format_args!(
        "real-time threads are stopped for {stopped_ms} ms of every {} ms: leave lanes under the ordinary scheduler",
        period_us / 1_000
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_limit_below_the_period_is_one() {
        let status = |runtime_us| judge(&Facts { runtime_us, period_us: 1_000_000 }).status;
        assert_eq!(status(950_000), Status::Good);
        assert_eq!(status(1_000_000), Status::CouldBeBetter);
        assert_eq!(status(-1), Status::CouldBeBetter);
    }
}

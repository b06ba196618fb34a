//! How much of the lanes' cores the hypervisor has given to others.

use super::{Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "steal",
    why: "A virtual core that the hypervisor gives to somebody else stands still with everything on it, for milliseconds, and \
          nothing inside can prevent that.",
    check,
};

/// What of a core's time since the start counts, in millionths: a tenth of a per cent, and one per cent.
const STOLEN_GOOD: u64 = 1_000;
const STOLEN_BAD: u64 = 10_000;

/// Clock ticks of the lanes' cores since the machine's start.
struct Facts {
    stolen: u64,
    all: u64,
}

fn check(machine: &Machine) -> Finding {
    match machine.is_guest() {
        Ok(true) => Finding::or_unread(gather(machine).map(|facts| judge(&facts))),
        Ok(false) => Finding::not_applicable("no hypervisor runs this machine"),
        Err(unread) => Finding::cannot_tell(unread),
    }
}

/// proc(5): user nice system idle iowait irq softirq steal, of which the first two hold what guests had.
fn gather(machine: &Machine) -> Result<Facts, Unread> {
    let text = machine.tree.read("/proc/stat")?;
    let mut facts = Facts { stolen: 0, all: 0 };
    for lane in &machine.lanes {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("cpu{lane} ")));
        let ticks =
            line.ok_or_else(|| Unread::odd("/proc/stat", &format!("no cpu{lane}")))?.split_whitespace();
        let ticks: Vec<u64> = ticks.take(8).filter_map(|ticks| ticks.parse().ok()).collect();
        facts.all += ticks.iter().sum::<u64>();
        facts.stolen += ticks.get(7).copied().unwrap_or(0);
    }
    Ok(facts)
}

fn judge(facts: &Facts) -> Finding {
    let millionths = facts.stolen.saturating_mul(1_000_000) / facts.all.max(1);
    let found = format!(
        "{}.{:02} % of the lanes' cores' time since the start",
        millionths / 10_000,
        millionths / 100 % 100
    );
    let finding = match millionths {
        0..=STOLEN_GOOD => return Finding::good(found),
        STOLEN_BAD.. => Finding::bad(found),
        _ => Finding::could_be_better(found),
    };
    finding.remedy("a dedicated host, or an instance whose cores are not shared; on your own hypervisor, pin its virtual cores")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_tenth_of_a_per_cent_is_borne_and_one_is_not() {
        let status = |stolen| judge(&Facts { stolen, all: 1_000_000 }).status;
        assert_eq!(status(0), Status::Good);
        assert_eq!(status(1_000), Status::Good);
        assert_eq!(status(1_001), Status::CouldBeBetter);
        assert_eq!(status(9_999), Status::CouldBeBetter);
        assert_eq!(status(10_000), Status::Bad);
        assert_eq!(judge(&Facts { stolen: 0, all: 0 }).status, Status::Good);
    }
}

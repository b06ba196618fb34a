//! Whether a lane shares its physical core with anybody.

use super::{Finding, Machine, Requirement, Unread};
use crate::cores::as_list;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "smt-siblings",
    why: "Two logical cores of one physical core take turns at its units and share its caches: work on a lane's sibling \
          slows the lane down by up to half.",
    check,
};

/// A lane's core, and the others of its physical core that are online.
struct Lane {
    own: usize,
    siblings: Vec<usize>,
    are_two_lanes: bool,
}

fn check(machine: &Machine) -> Finding {
    Finding::or_absent(
        gather(machine).map(|lanes| judge(&lanes)),
        "the kernel shows no topology of the cores",
    )
}

fn gather(machine: &Machine) -> Result<Vec<Lane>, Unread> {
    let lanes = machine.lanes.iter().map(|&core| {
        let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        let siblings: Vec<_> = machine.tree.cores(&path)?.into_iter().filter(|one| *one != core).collect();
        let are_two_lanes = siblings.iter().any(|one| machine.lanes.contains(one));
        Ok(Lane { own: core, siblings, are_two_lanes })
    });
    lanes.collect()
}

/// A sibling can be taken offline, but what runs there would be moved, and whatever is bound to it unbound for good: so
/// this is said and not done.
fn judge(lanes: &[Lane]) -> Finding {
    let shared: Vec<_> = lanes.iter().filter(|lane| !lane.siblings.is_empty()).collect();
    let mut siblings: Vec<_> = shared.iter().flat_map(|lane| &lane.siblings).copied().collect();
    siblings.sort_unstable();
    siblings.dedup();
    if lanes.is_empty() {
        return Finding::cannot_tell("the kernel does not show which cores there are");
    }
    let Some(first) = shared.first() else {
        return Finding::good("every lane has a physical core of its own");
    };
    if let Some(lane) = shared.iter().find(|lane| lane.are_two_lanes) {
        return Finding::bad(format_args!(
            "core {} and {} would be lanes and are one",
            lane.own,
            as_list(&lane.siblings)
        ))
        .remedy("name with --core one logical core of each physical one");
    }
    Finding::could_be_better(format_args!(
        "core {} shares its physical core with {}",
        first.own,
        as_list(&first.siblings)
    ))
    .remedy(format_args!("keep everything off the cores {}, or take them offline", as_list(&siblings)))
    .boot("nosmt")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_sibling_at_rest_could_be_better_and_one_that_is_a_lane_is_bad() {
        let lane =
            |siblings: &[usize], are_two_lanes| Lane { own: 2, siblings: siblings.to_vec(), are_two_lanes };
        assert_eq!(judge(&[lane(&[], false)]).status, Status::Good);
        assert_eq!(judge(&[lane(&[], false), lane(&[6], false)]).status, Status::CouldBeBetter);
        assert_eq!(judge(&[lane(&[6], true)]).status, Status::Bad);
    }
}

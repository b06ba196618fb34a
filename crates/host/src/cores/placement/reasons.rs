//! Why a core was chosen, in a few words.

use super::{Places, Seat};
use crate::cores::as_list;
use crate::cores::topology::{Core, Topology};

/// The firmware's measure of a node's distance to itself.
pub(super) const NO_DISTANCE: u32 = 10;

impl Places<'_> {
    /// A lane's core, and what speaks for it and against it.
    pub(super) fn lane_seat(&self, queue: u32, core: usize) -> Seat {
        let Some(found) = self.topology.core(core) else {
            return Seat { core, why: "named by hand".to_owned() };
        };
        let named = (!self.wish.cores.is_empty()).then(|| "named by hand".to_owned());
        let reasons = named.into_iter().chain(
            [
                Some(isolation(self.topology, found)),
                node(self.topology, found),
                physical(found),
                speed(self.topology, found),
                interrupt(self.topology, queue, found),
                core_0(self.topology, core),
            ]
            .into_iter()
            .flatten(),
        );
        Seat { core, why: joined(reasons) }
    }

    /// Housekeeping's core, likewise.
    pub(super) fn housekeeping_seat(&self, core: usize) -> Seat {
        let named = self.wish.housekeeping.map(|_| "named by hand".to_owned());
        let found = self.topology.core(core);
        let free = (!self.has_lane(core)).then(|| "no lane has it".to_owned());
        let is_next_to_lane = found.is_some_and(|core| core.siblings().iter().any(|one| self.has_lane(*one)));
        let apart = (!is_next_to_lane).then(|| "nor its physical core".to_owned());
        let apart = apart.filter(|_| free.is_some() && found.is_some_and(|core| core.siblings.is_some()));
        let node = found.and_then(|core| node(self.topology, core));
        Seat { core, why: joined([named, free, apart, node].into_iter().flatten()) }
    }
}

fn joined(reasons: impl Iterator<Item = String>) -> String {
    reasons.collect::<Vec<_>>().join(", ")
}

fn isolation(topology: &Topology, core: &Core) -> String {
    let any = topology.cores.iter().any(|core| core.is_allowed && core.is_isolated);
    match (core.is_isolated, any) {
        (true, _) => "isolated",
        (false, true) => "not isolated",
        (false, false) => "not isolated, as no core is",
    }
    .to_owned()
}

/// Nothing where there is but one node.
fn node(topology: &Topology, core: &Core) -> Option<String> {
    let node = core.node.filter(|_| topology.node_count > 1)?;
    Some(match core.distance {
        Some(NO_DISTANCE) => format!("on the card's NUMA node {node}"),
        Some(distance) => format!("on NUMA node {node}, at distance {distance} from the card"),
        None => format!("on NUMA node {node}, and the card's is not known"),
    })
}

/// Nothing where the kernel shows no topology.
fn physical(core: &Core) -> Option<String> {
    Some(match core.siblings.as_deref()? {
        [] => "a physical core of its own".to_owned(),
        siblings => format!("its sibling {} left to nobody", as_list(siblings)),
    })
}

/// Nothing where all are equally fast.
fn speed(topology: &Topology, core: &Core) -> Option<String> {
    let fastest = topology.cores.iter().filter(|core| core.is_allowed).map(|core| core.speed).max()?;
    if !topology.has_fast_cores() {
        return None;
    }
    Some(if core.speed == fastest {
        format!("one of the fastest ({fastest})")
    } else {
        format!("{}, where the fastest has {fastest}", core.speed)
    })
}

/// Nothing where it is not known which core the queue interrupts.
fn interrupt(topology: &Topology, queue: u32, core: &Core) -> Option<String> {
    let interrupted = topology.interrupted_by(queue)?;
    Some(if interrupted == core.number {
        "where its queue's interrupt comes".to_owned()
    } else if core.last_level.contains(&interrupted) {
        format!("in one cache with core {interrupted}, where its queue's interrupt comes")
    } else {
        format!("its queue's interrupt comes to core {interrupted}")
    })
}

fn core_0(topology: &Topology, core: usize) -> Option<String> {
    topology.core(0)?;
    let own = || "core 0 has the machine's other work too".to_owned();
    Some(if core == 0 { own() } else { "core 0 left to other work".to_owned() })
}

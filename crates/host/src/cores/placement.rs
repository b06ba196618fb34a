//! Which core serves which queue, and where housekeeping runs: a function of facts alone, that says why.
//!
//! A core is weighed by what it costs the lane, the dearest first: somebody else who never sleeps there takes half of all time,
//! in slices of milliseconds; so does, less often, whoever the scheduler puts on a core that is not isolated; then come the
//! link between two NUMA nodes (100 ns for each cache line), what core 0 has to do for the whole machine, and how fast the core
//! is. Where all of that is equal, the lane goes where its queue's interrupt comes, or next to it.
//!
//! Two lanes on one physical core slow each other down by up to half, always: so that is never chosen, only obeyed.

mod compromises;
mod reasons;

use std::cmp::Reverse;

use super::topology::{Core, Speed, Topology};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// The queues that get a lane.
    pub queues: &'a [u32],
    /// The cores that were named by hand, one for each of them; none to have them chosen. This process may run on each.
    pub cores: &'a [usize],
    /// The core that was named by hand for housekeeping, likewise.
    pub housekeeping: Option<usize>,
    /// The cores that others have for themselves.
    pub taken: &'a [Taken],
}

/// A core that somebody else has for himself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The core.
    pub core: usize,
    /// By whom, as the end of a sentence.
    pub by: String,
}

/// A core for one purpose, and why that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The core.
    pub core: usize,
    /// In a few words.
    pub why: String,
}

/// Where everything runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The lanes' cores, in the order of the queues.
    pub lanes: Vec<Seat>,
    /// Housekeeping's; nothing where the lanes have every core.
    pub housekeeping: Option<Seat>,
    /// What is not as it could be, a sentence each.
    pub compromises: Vec<String>,
}

/// There are not as many cores as queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFew {
    /// How many cores this process may run on.
    pub cores: usize,
    /// How many lanes these give, one to each physical core.
    pub lanes: usize,
}

/// Places lanes and housekeeping.
///
/// # Errors
/// No cores were named, and there are too few of them.
pub fn place(topology: &Topology, wish: &Wish<'_>) -> Result<Placement, TooFew> {
    let chosen = choose(topology, wish);
    let cores = if wish.cores.is_empty() {
        let Some(cores) = &chosen else { return Err(too_few(topology)) };
        cores.clone()
    } else {
        wish.cores.to_vec()
    };
    let housekeeping = wish.housekeeping.or_else(|| choose_housekeeping(topology, wish, &cores));
    let places = Places { topology, wish, lanes: &cores, housekeeping, chosen: chosen.as_deref() };
    Ok(Placement {
        lanes: wish.queues.iter().zip(&cores).map(|(&queue, &core)| places.lane_seat(queue, core)).collect(),
        housekeeping: housekeeping.map(|core| places.housekeeping_seat(core)),
        compromises: places.compromises(),
    })
}

/// What reasons and compromises are told of.
struct Places<'a> {
    topology: &'a Topology,
    wish: &'a Wish<'a>,
    /// In the order of the queues.
    lanes: &'a [usize],
    housekeeping: Option<usize>,
    /// What the lanes' cores would be if none had been named.
    chosen: Option<&'a [usize]>,
}

/// What a core costs a lane: the less, the better. The order of the fields is that of their weight.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, and their order is their weight"
)]
struct Cost {
    is_taken: bool,
    is_sibling_taken: bool,
    is_not_isolated: bool,
    distance: u32,
    work_of_core_0: Share,
    speed: Reverse<Speed>,
    is_second_level_shared: bool,
    is_not_interrupted: bool,
    is_far_from_interrupts: bool,
    number: usize,
}

/// What a core has of another one's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Share {
    None,
    /// They take turns on one physical core.
    Half,
    /// It is that one.
    All,
}

/// Cores for all queues, in their order; nothing where there are too few.
fn choose(topology: &Topology, wish: &Wish<'_>) -> Option<Vec<usize>> {
    let mut chosen: Vec<usize> = Vec::new();
    for _ in wish.queues {
        let is_free = |core: &&Core| {
            core.is_allowed
                && !chosen.contains(&core.number)
                && core.siblings().iter().all(|sibling| !chosen.contains(sibling))
        };
        let best =
            topology.cores.iter().filter(is_free).min_by_key(|core| cost(topology, wish, &chosen, core));
        chosen.push(best?.number);
    }
    Some(in_order_of_queues(topology, wish.queues, chosen))
}

fn cost(topology: &Topology, wish: &Wish<'_>, chosen: &[usize], core: &Core) -> Cost {
    let is_taken = |number: &usize| wish.taken.iter().any(|taken| taken.core == *number);
    let interrupted: Vec<usize> =
        wish.queues.iter().filter_map(|&queue| topology.interrupted_by(queue)).collect();
    Cost {
        is_taken: is_taken(&core.number),
        is_sibling_taken: core.siblings().iter().any(is_taken),
        is_not_isolated: !core.is_isolated,
        distance: core.distance.unwrap_or(u32::MAX),
        work_of_core_0: share_of_core_0(core),
        speed: Reverse(core.speed),
        is_second_level_shared: core.second_level.iter().any(|near| chosen.contains(near)),
        is_not_interrupted: !interrupted.contains(&core.number),
        is_far_from_interrupts: !core.last_level.iter().any(|near| interrupted.contains(near)),
        number: core.number,
    }
}

/// Interrupts, timers and whatever else is bound to nothing are on core 0 more than anywhere else.
fn share_of_core_0(core: &Core) -> Share {
    match core.number {
        0 => Share::All,
        _ if core.siblings().contains(&0) => Share::Half,
        _ => Share::None,
    }
}

/// Gives each queue the core that its interrupt comes to, where that is among those that were chosen, and the rest in their order.
fn in_order_of_queues(topology: &Topology, queues: &[u32], mut cores: Vec<usize>) -> Vec<usize> {
    let mut take = |wanted: usize| {
        let place = cores.iter().position(|&core| core == wanted)?;
        Some(cores.remove(place))
    };
    let first: Vec<Option<usize>> =
        queues.iter().map(|&queue| take(topology.interrupted_by(queue)?)).collect();
    let mut rest = cores.into_iter();
    first.into_iter().filter_map(|core| core.or_else(|| rest.next())).collect()
}

/// The best core for what is beside the lanes; nothing where they have every one.
fn choose_housekeeping(topology: &Topology, wish: &Wish<'_>, lanes: &[usize]) -> Option<usize> {
    let is_taken = |number: usize| wish.taken.iter().any(|taken| taken.core == number);
    let shares =
        |core: &Core| core.siblings().iter().any(|&sibling| lanes.contains(&sibling) || is_taken(sibling));
    let free = topology.cores.iter().filter(|core| core.is_allowed && !lanes.contains(&core.number));
    let cost = |core: &&Core| {
        let distance = core.distance.unwrap_or(u32::MAX);
        (is_taken(core.number), core.is_isolated, shares(core), distance, core.number)
    };
    free.min_by_key(cost).map(|core| core.number)
}

/// How many lanes there could be.
fn too_few(topology: &Topology) -> TooFew {
    let allowed = topology.allowed();
    let is_first = |number: &&usize| {
        let siblings = topology.core(**number).map(Core::siblings).unwrap_or_default();
        !siblings.iter().any(|sibling| sibling < *number && allowed.contains(sibling))
    };
    TooFew { cores: allowed.len(), lanes: allowed.iter().filter(is_first).count() }
}

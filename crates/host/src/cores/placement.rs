//! Which core serves which queue of which card, and where housekeeping runs: a function of facts alone, that says why.
//!
//! A core is weighed by what it costs the lane, the dearest first: somebody else who never sleeps there takes half of all time,
//! in slices of milliseconds; so does, less often, whoever the scheduler puts on a core that is not isolated; then come the
//! link between two NUMA nodes (100 ns for each cache line), what core 0 has to do for the whole machine, and how fast the core
//! is. Where all of that is equal, the lane goes where its queue's interrupt comes, or next to it.
//!
//! Two lanes on one physical core slow each other down by up to half, always: so that is never chosen, only obeyed. That holds for
//! the lanes of all cards of a process. Cards are placed one after the other, and none is given what was named for another.

mod compromises;
mod reasons;

use std::cmp::Reverse;

use super::topology::{Core, Speed, Topology};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// The card, as the others are told of its lanes.
    pub nic: &'a str,
    /// The queues that get a lane.
    pub queues: &'a [u32],
    /// The cores that were named by hand, one for each of them; none to have them chosen. This process may run on each.
    pub cores: &'a [usize],
    /// The core that was named by hand for housekeeping, likewise.
    pub housekeeping: Option<usize>,
    /// The cores that other processes have for themselves.
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
    /// Housekeeping's, the same for all cards; nothing where the lanes have every core.
    pub housekeeping: Option<Seat>,
    /// The cores of the other cards' lanes.
    pub others: Vec<usize>,
    /// What is not as it could be, a sentence each. What is so of housekeeping is the first card's.
    pub compromises: Vec<String>,
}

/// There are not as many cores as queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFew {
    /// How many cores this process may run on that no lane of another card has.
    pub cores: usize,
    /// How many lanes these give, one to each physical core.
    pub lanes: usize,
    /// How many lanes the other cards have.
    pub others: usize,
}

/// Places the lanes of one card, and housekeeping.
///
/// # Errors
/// No cores were named, and there are too few of them.
pub fn place(topology: &Topology, wish: &Wish<'_>) -> Result<Placement, TooFew> {
    let mut placed = place_all(&[(topology, *wish)]).map_err(|(_, too_few)| too_few)?;
    Ok(placed.remove(0))
}

/// Places the lanes of all cards of a process, and its housekeeping, which is the first card's to wish.
///
/// # Errors
/// No cores were named for the card of this index, and there are too few that no other card's lane has.
pub fn place_all(cards: &[(&Topology, Wish<'_>)]) -> Result<Vec<Placement>, (usize, TooFew)> {
    let lanes = lanes_of_all(cards)?;
    let all = lanes.concat();
    let first = cards.first();
    let housekeeping = first
        .and_then(|(topology, wish)| wish.housekeeping.or_else(|| choose_housekeeping(topology, wish, &all)));
    let mut placements: Vec<Placement> = Vec::new();
    for (index, ((topology, wish), lanes_here)) in cards.iter().zip(&lanes).enumerate() {
        let others = others_of(cards, &lanes, index);
        let chosen = choose(topology, wish, &others);
        let (lanes, chosen) = (lanes_here.as_slice(), chosen.as_deref());
        let housekeeping = housekeeping.filter(|_| index == 0);
        placements.push(Places { topology, wish, lanes, others: &others, housekeeping, chosen }.placement());
    }
    let seat = placements.first().and_then(|first| first.housekeeping.clone());
    for placement in &mut placements {
        placement.housekeeping.clone_from(&seat);
    }
    Ok(placements)
}

/// The lanes' cores of each card, one card after the other. What is named for one is known before anything is chosen for another.
fn lanes_of_all(cards: &[(&Topology, Wish<'_>)]) -> Result<Vec<Vec<usize>>, (usize, TooFew)> {
    let mut lanes: Vec<Vec<usize>> = cards.iter().map(|(_, wish)| wish.cores.to_vec()).collect();
    for (index, (topology, wish)) in cards.iter().enumerate().filter(|(_, (_, wish))| wish.cores.is_empty()) {
        let others = others_of(cards, &lanes, index);
        let chosen = choose(topology, wish, &others).ok_or_else(|| (index, too_few(topology, &others)))?;
        lanes.iter_mut().skip(index).take(1).for_each(|lanes| lanes.clone_from(&chosen));
    }
    Ok(lanes)
}

/// What the lanes of all cards but one have, as far as they are placed.
fn others_of(cards: &[(&Topology, Wish<'_>)], lanes: &[Vec<usize>], index: usize) -> Vec<Taken> {
    let others = cards.iter().zip(lanes).enumerate().filter(|(other, _)| *other != index);
    let taken = others.flat_map(|(_, ((_, wish), lanes))| {
        let by = |queue| format!("the lane of queue {queue} of {}", wish.nic);
        wish.queues.iter().zip(lanes).map(move |(queue, &core)| Taken { core, by: by(queue) })
    });
    taken.collect()
}

/// What reasons and compromises are told of.
struct Places<'a> {
    topology: &'a Topology,
    wish: &'a Wish<'a>,
    /// In the order of the queues.
    lanes: &'a [usize],
    /// The lanes of the other cards.
    others: &'a [Taken],
    /// Where it is this card's to say.
    housekeeping: Option<usize>,
    /// What the lanes' cores would be if none had been named.
    chosen: Option<&'a [usize]>,
}

impl Places<'_> {
    /// Whether a lane has this core, of whichever card.
    fn has_lane(&self, core: usize) -> bool {
        self.lanes.contains(&core) || self.others.iter().any(|other| other.core == core)
    }

    fn placement(&self) -> Placement {
        let seats = self.wish.queues.iter().zip(self.lanes);
        Placement {
            lanes: seats.map(|(&queue, &core)| self.lane_seat(queue, core)).collect(),
            housekeeping: self.housekeeping.map(|core| self.housekeeping_seat(core)),
            others: self.others.iter().map(|other| other.core).collect(),
            compromises: self.compromises(),
        }
    }
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

/// Cores for all queues, in their order; nothing where those that no other card's lane has are too few.
fn choose(topology: &Topology, wish: &Wish<'_>, others: &[Taken]) -> Option<Vec<usize>> {
    let mut chosen: Vec<usize> = Vec::new();
    for _ in wish.queues {
        let has_lane = |core: &usize| chosen.contains(core) || others.iter().any(|other| other.core == *core);
        let is_free = |core: &&Core| {
            core.is_allowed && !has_lane(&core.number) && !core.siblings().iter().any(has_lane)
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

/// How many lanes there could be beside those of others.
fn too_few(topology: &Topology, others: &[Taken]) -> TooFew {
    let has_lane = |core: &usize| others.iter().any(|other| other.core == *core);
    let siblings = |core: usize| topology.core(core).map(Core::siblings).unwrap_or_default();
    let mut free = topology.allowed();
    free.retain(|core| !has_lane(core));
    let is_first =
        |core: &&usize| !siblings(**core).iter().any(|sibling| sibling < *core && free.contains(sibling));
    let is_alone = |core: &&usize| !siblings(**core).iter().any(has_lane);
    let lanes = free.iter().filter(is_first).filter(is_alone).count();
    TooFew { cores: free.len(), lanes, others: others.len() }
}

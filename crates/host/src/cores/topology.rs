//! Which cores a machine has, and how near they are to each other and to a card: what a [placement](super::place) is made of.
//!
//! All of it is read from the kernel's files, so that a copy of another machine's gives that machine's topology
//! (`Documentation/ABI/testing/sysfs-devices-system-cpu`, `Documentation/ABI/stable/sysfs-devices-node`).

use super::card_interrupts::{CardInterrupts, QueueInterrupt};
use crate::HostError;
use crate::doctor::{Machine, Tree};
use crate::links::{self, Link};

const CPU: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";
const FREE_HUGE_PAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";

/// The cores of a machine, as a card and a process see them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The cores that are online, by their numbers.
    pub cores: Vec<Core>,
    /// The cores that there are, online or not; none where the kernel does not say.
    pub present: Vec<usize>,
    /// How many NUMA nodes there are.
    pub node_count: usize,
    /// The node that the card is attached to, where the firmware says it.
    pub home: Option<u32>,
    /// Which core each of the card's queues interrupts, where that is known.
    pub interrupts: Vec<QueueInterrupt>,
    /// Huge pages of 2 MiB that nobody has; nothing where the kernel has none of that size.
    pub huge_pages_free: Option<u64>,
}

/// One core, as the kernel counts them: a logical one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Core {
    /// Its number.
    pub number: usize,
    /// Whether this process may run on it (affinity and cpuset).
    pub is_allowed: bool,
    /// Whether the scheduler leaves it alone (`isolcpus=`).
    pub is_isolated: bool,
    /// The others of its physical core that are online; nothing where the kernel does not say.
    pub siblings: Option<Vec<usize>>,
    /// The cores that share its second-level cache, itself among them; none where the kernel does not say.
    pub second_level: Vec<usize>,
    /// The cores that share its last-level cache, likewise.
    pub last_level: Vec<usize>,
    /// Its NUMA node.
    pub node: Option<u32>,
    /// From the card's node to its own, by the firmware's measure: 10 is the same one. Nothing where either is not known.
    pub distance: Option<u32>,
    /// How fast it is, beside others of this machine.
    pub speed: Speed,
}

/// How fast a core is. Each figure counts where those before it are equal: the kind of the core, what the firmware ranks it among
/// its kind, and its clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Speed {
    /// What it gets done, 1024 for the machine's best (`cpu_capacity`).
    pub capacity: Option<u32>,
    /// Its place among the preferred cores, higher is better (`amd_pstate_prefcore_ranking`).
    pub ranking: Option<u32>,
    /// Its highest performance by ACPI's measure (`acpi_cppc/highest_perf`).
    pub performance: Option<u32>,
    /// Its highest clock (`cpufreq/cpuinfo_max_freq`).
    pub clock_khz: Option<u32>,
}

/// How a core stands to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may run there.
    Usable,
    /// The core is online, and neither the process's affinity nor its cpuset has it.
    Forbidden,
    /// The machine has the core, and it is switched off.
    Offline,
    /// The machine has no such core.
    Absent,
}

impl Topology {
    /// That of this machine, around the card of this link.
    ///
    /// # Errors
    /// The kernel does not say which cores this process may run on.
    pub fn of_this_machine(link: Option<&Link>) -> Result<Self, HostError> {
        let tree = Tree::of_this_machine();
        let allowed = super::reachable()?;
        let Some(link) = link else { return Ok(Self::gather(&tree, &allowed, None, None)) };
        let card = CardInterrupts {
            name: link.name.clone(),
            // A card whose device cannot be asked for is known by its name alone.
            pci: links::pci_address(link.index).ok().flatten(),
            of_queues: CardInterrupts::numbers(links::napi(link.index).as_deref()),
        };
        Ok(Self::gather(&tree, &allowed, link.numa_node, Some(&card)))
    }

    /// That of a machine that the doctor looks at, around its card. A copy says in `/proc/self/status` which cores the process
    /// may run on that it is a copy of; else it may run on all.
    pub fn of(machine: &Machine) -> Self {
        let allowed = allowed_on(&machine.tree);
        let home = machine.card.as_ref().and_then(|card| card.numa_node);
        let card = machine.card.as_ref().map(CardInterrupts::of);
        Self::gather(&machine.tree, &allowed, home, card.as_ref())
    }

    fn gather(tree: &Tree, allowed: &[usize], home: Option<u32>, card: Option<&CardInterrupts>) -> Self {
        let list = |file: &str| tree.cores(&format!("{CPU}/{file}")).unwrap_or_default();
        let (online, isolated) = (list("online"), list("isolated"));
        let nodes = nodes(tree);
        let cores = online.iter().map(|&number| {
            let node = nodes.iter().find(|node| node.cores.contains(&number));
            Core {
                number,
                is_allowed: allowed.contains(&number),
                is_isolated: isolated.contains(&number),
                node: node.map(|node| node.number),
                distance: home.zip(node).and_then(|(home, node)| distance(&nodes, home, node.number)),
                speed: Speed::read(tree, number),
                ..near(tree, number, &online)
            }
        });
        Self {
            cores: cores.collect(),
            present: list("present"),
            node_count: nodes.len(),
            home,
            interrupts: card.map(|card| card.by_queue(tree)).unwrap_or_default(),
            huge_pages_free: tree.number(FREE_HUGE_PAGES).ok().and_then(|count| count.try_into().ok()),
        }
    }

    /// A machine of which nothing is known but its cores, all of them allowed.
    pub fn plain(cores: &[usize]) -> Self {
        let core = |&number: &usize| Core { number, is_allowed: true, ..Core::default() };
        Self { cores: cores.iter().map(core).collect(), present: cores.to_vec(), ..Self::default() }
    }

    /// The core of this number, where it is online.
    pub fn core(&self, number: usize) -> Option<&Core> {
        self.cores.iter().find(|core| core.number == number)
    }

    /// The cores that this process may run on.
    pub fn allowed(&self) -> Vec<usize> {
        self.cores.iter().filter(|core| core.is_allowed).map(|core| core.number).collect()
    }

    /// How a core stands to this process.
    pub fn standing(&self, number: usize) -> Standing {
        match self.core(number) {
            Some(core) if core.is_allowed => Standing::Usable,
            Some(_) => Standing::Forbidden,
            None if self.present.contains(&number) => Standing::Offline,
            None => Standing::Absent,
        }
    }

    /// Which core a queue of the card interrupts.
    pub fn interrupted_by(&self, queue: u32) -> Option<usize> {
        self.interrupts.iter().find(|one| one.queue == queue).map(|one| one.core)
    }

    /// Whether some cores are faster than others.
    pub fn has_fast_cores(&self) -> bool {
        self.cores.windows(2).any(|pair| matches!(pair, [one, next] if one.speed != next.speed))
    }
}

impl Core {
    /// The others of its physical core; none where that is not known.
    pub fn siblings(&self) -> &[usize] {
        self.siblings.as_deref().unwrap_or_default()
    }
}

impl Speed {
    fn read(tree: &Tree, core: usize) -> Self {
        let number = |file: &str| tree.number(&format!("{CPU}/cpu{core}/{file}")).ok()?.try_into().ok();
        Self {
            capacity: number("cpu_capacity"),
            ranking: number("cpufreq/amd_pstate_prefcore_ranking"),
            performance: number("acpi_cppc/highest_perf"),
            clock_khz: number("cpufreq/cpuinfo_max_freq"),
        }
    }
}

/// As a person says it: the clock where it is known, else the best figure that is.
impl std::fmt::Display for Speed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self { clock_khz: Some(khz), .. } => write!(out, "{:.1} GHz", f64::from(*khz) / 1e6),
            Self { capacity: Some(capacity), .. } => write!(out, "capacity {capacity}"),
            Self { ranking: Some(ranking), .. } => write!(out, "ranking {ranking}"),
            Self { performance: Some(performance), .. } => write!(out, "performance {performance}"),
            _ => out.write_str("unknown speed"),
        }
    }
}

/// Who is how near to a core.
fn near(tree: &Tree, number: usize, online: &[usize]) -> Core {
    let directory = format!("{CPU}/cpu{number}");
    let of_physical = tree.cores(&format!("{directory}/topology/thread_siblings_list")).ok();
    let siblings = of_physical
        .map(|cores| cores.into_iter().filter(|other| *other != number && online.contains(other)).collect());
    let caches = caches(tree, &format!("{directory}/cache"));
    let at = |level: i64| caches.iter().find(|(found, _)| *found == level);
    let cores = |cache: Option<&(i64, Vec<usize>)>| cache.map(|(_, cores)| cores.clone()).unwrap_or_default();
    let last = caches.iter().max_by_key(|(level, _)| *level);
    Core { number, siblings, second_level: cores(at(2)), last_level: cores(last), ..Core::default() }
}

/// The caches of a core: their levels, and the cores that share each.
fn caches(tree: &Tree, directory: &str) -> Vec<(i64, Vec<usize>)> {
    let indexes = tree.names(directory).into_iter().filter(|name| name.starts_with("index"));
    let caches = indexes.filter_map(|index| {
        let level = tree.number(&format!("{directory}/{index}/level")).ok()?;
        Some((level, tree.cores(&format!("{directory}/{index}/shared_cpu_list")).ok()?))
    });
    caches.collect()
}

/// One NUMA node.
struct Node {
    number: u32,
    cores: Vec<usize>,
    /// To each node, in the order of their numbers.
    distances: Vec<u32>,
}

fn nodes(tree: &Tree) -> Vec<Node> {
    let numbers = tree.names(NODES).into_iter().filter_map(|name| name.strip_prefix("node")?.parse().ok());
    let nodes = numbers.map(|number| {
        let directory = format!("{NODES}/node{number}");
        let distances = tree.read(&format!("{directory}/distance")).unwrap_or_default();
        Node {
            number,
            cores: tree.cores(&format!("{directory}/cpulist")).unwrap_or_default(),
            distances: distances.split_whitespace().filter_map(|distance| distance.parse().ok()).collect(),
        }
    });
    nodes.collect()
}

fn distance(nodes: &[Node], home: u32, to: u32) -> Option<u32> {
    let from = nodes.iter().find(|node| node.number == home)?;
    let place = nodes.iter().position(|node| node.number == to)?;
    from.distances.get(place).copied()
}

/// The cores that a process may run on: of a copy, what the process says that looked at itself.
fn allowed_on(tree: &Tree) -> Vec<usize> {
    let of_this_process = tree.is_of_this_machine().then(|| super::reachable().ok()).flatten();
    let said = || {
        let status = tree.read("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some(super::from_list(line.trim()))
    };
    let all = || tree.cores(&format!("{CPU}/online")).unwrap_or_default();
    of_this_process.or_else(said).unwrap_or_else(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machines_cores_are_known_and_those_of_this_process_are_usable() {
        let topology = Topology::of_this_machine(None).unwrap();
        assert_eq!(topology.allowed(), crate::cores::reachable().unwrap());
        for core in topology.allowed() {
            assert_eq!(topology.standing(core), Standing::Usable);
            let last_level = &topology.core(core).unwrap().last_level;
            assert!(last_level.is_empty() || last_level.contains(&core), "{last_level:?}");
        }
        assert_eq!(topology.standing(99_999), Standing::Absent);
    }

    #[test]
    fn a_core_that_is_there_and_not_online_is_offline_and_one_of_others_forbidden() {
        let mut topology = Topology::plain(&[0, 1]);
        topology.present.push(2);
        topology.cores[1].is_allowed = false;
        let standings = [0, 1, 2, 3].map(|core| topology.standing(core));
        assert_eq!(standings, [Standing::Usable, Standing::Forbidden, Standing::Offline, Standing::Absent]);
    }

    #[test]
    fn a_faster_kind_comes_before_a_higher_clock() {
        let of = |capacity, clock_khz| Speed {
            capacity: Some(capacity),
            clock_khz: Some(clock_khz),
            ..Speed::default()
        };
        assert!(of(1024, 4_900_000) > of(600, 5_200_000) && of(1024, 5_200_000) > of(1024, 4_900_000));
        assert_eq!(of(1024, 5_200_000).to_string(), "5.2 GHz");
    }
}

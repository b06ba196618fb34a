//! Which core serves which queue.
//!
//! A queue without a lane hands its packets to the kernel, which knows nothing of Barelane's own addresses, and the
//! NIC spreads flows over all active queues. So by default every active queue gets a lane, and where there are not
//! enough cores for that, the operator decides, not a guess. Which cores these are, and why, is
//! [`host::cores::place`]'s to say.

use host::cores::{Placement, Standing, TooFew, Wish, place};

use super::Facts;
use crate::config::Config;
use crate::config::keys::{CORES, HOUSEKEEPING_CORE, QUEUES};
use crate::error::{Setting, Wrong};

/// One lane: a core and its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePlan {
    /// The NIC's queue.
    pub queue: u32,
    /// The core that serves it.
    pub core: usize,
}

/// A lane for every queue that was asked for, and where everything runs.
pub(super) fn assign(config: &Config, facts: &Facts) -> Result<(Vec<LanePlan>, Placement), Wrong> {
    let cores = &config.lane.cores;
    let housekeeping = config.serve.housekeeping_core;
    cores.iter().try_for_each(|&core| check_core(CORES, core, facts))?;
    housekeeping.iter().try_for_each(|&core| check_core(HOUSEKEEPING_CORE, core, facts))?;
    let queues = queues(config, facts)?;
    if !cores.is_empty() && cores.len() != queues.len() {
        let problem = format!("{} cores for {} queues: a lane is one of each", cores.len(), queues.len());
        let remedy = "name as many cores as queues, or leave one of the two out";
        return Err(Wrong::new(CORES, list(cores)).because(problem).remedy(remedy));
    }
    let wish = Wish { queues: &queues, cores, housekeeping, taken: &facts.taken };
    let placement = place(&facts.topology, &wish).map_err(|too_few| refusal(queues.len(), too_few, facts))?;
    let seats = queues.iter().zip(&placement.lanes);
    let lanes = seats.map(|(&queue, seat)| LanePlan { queue, core: seat.core }).collect();
    Ok((lanes, placement))
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Refuses a core that this process cannot have.
fn check_core(setting: Setting, core: usize, facts: &Facts) -> Result<(), Wrong> {
    let others = list(&facts.topology.allowed());
    let (problem, remedy) = match facts.topology.standing(core) {
        Standing::Usable => return Ok(()),
        Standing::Absent => ("this machine has no such core", format!("choose from {others}")),
        Standing::Offline => (
            "the core is offline",
            format!(
                "choose from {others}, or bring it online: echo 1 > /sys/devices/system/cpu/cpu{core}/online"
            ),
        ),
        Standing::Forbidden => (
            "this process may not run there: its affinity or its cpuset leaves the core out",
            format!("choose from {others}, or start it where it may (taskset -c, AllowedCPUs= of systemd)"),
        ),
    };
    Err(Wrong::new(setting, core).because(problem).remedy(remedy))
}

/// The queues that were named; else one for each core that was named; else all that are active.
fn queues(config: &Config, facts: &Facts) -> Result<Vec<u32>, Wrong> {
    let active = facts.link.rx_queues.min(facts.link.tx_queues).max(1);
    let interface = &facts.link.name;
    let more = |count: usize| {
        if facts.is_memif() {
            return format!("have more of them: --memif SOCKET,queues={count}");
        }
        format!("ask the NIC for more: ethtool -L {interface} combined {count}")
    };
    if let Some(queue) = config.nic.queues.iter().find(|&&queue| queue >= active) {
        let problem = format!("the interface has {active} active queues, from 0 to {}", active - 1);
        let remedy = format!("choose one of them, or {}", more(*queue as usize + 1));
        return Err(Wrong::new(QUEUES, queue).because(problem).remedy(remedy));
    }
    let cores = &config.lane.cores;
    match (config.nic.queues.as_slice(), cores.len()) {
        ([], 0) => Ok((0..active).collect()),
        ([], count) if count > active as usize => {
            let problem = format!("{count} lanes are more than the {active} active queues of {interface}");
            let remedy = format!("name at most {active}, or {}", more(count));
            Err(Wrong::new(CORES, list(cores)).because(problem).remedy(remedy))
        }
        ([], count) => Ok((0..active).take(count).collect()),
        (queues, _) => Ok(queues.to_vec()),
    }
}

/// Why so many lanes have no place, and what helps.
fn refusal(count: usize, TooFew { cores, lanes }: TooFew, facts: &Facts) -> Wrong {
    let problem = if lanes < cores {
        let why = "two lanes on one physical core slow each other down by up to half";
        format!("{count} queues need {count} physical cores, and this process has {lanes}: {why}")
    } else {
        format!("{count} queues need {count} cores, and this process has {cores}")
    };
    let interface = &facts.link.name;
    let fewer = if facts.is_memif() {
        format!("have fewer of them: --memif SOCKET,queues={lanes}")
    } else {
        format!("bring the queues down: ethtool -L {interface} combined {lanes}, or name some with --queue")
    };
    let forced = if lanes < cores { "; or name the cores to have it so" } else { "" };
    Wrong::new(CORES, "").because(problem).remedy(format!("{fewer}{forced}"))
}

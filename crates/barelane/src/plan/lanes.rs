//! Which core serves which queue.
//!
//! A queue without a lane hands its packets to the kernel, which knows nothing of Barelane's own addresses, and the
//! NIC spreads flows over all active queues. So by default every active queue gets a lane, and where there are not
//! enough cores for that, the operator decides, not a guess.

use super::Facts;
use crate::config::Config;
use crate::config::keys::{CORES, QUEUES};
use crate::error::Wrong;

/// One lane: a core and its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePlan {
    /// The NIC's queue.
    pub queue: u32,
    /// The core that serves it.
    pub core: usize,
}

/// A lane for every queue that was asked for.
pub(super) fn assign(config: &Config, facts: &Facts) -> Result<Vec<LanePlan>, Wrong> {
    let cores = &config.lane.cores;
    check_cores(cores, facts)?;
    let queues = queues(config, facts)?;
    let cores = if cores.is_empty() { default_cores(queues.len(), facts)? } else { cores.clone() };
    if cores.len() != queues.len() {
        let problem = format!("{} cores for {} queues: a lane is one of each", cores.len(), queues.len());
        let remedy = "name as many cores as queues, or leave one of the two out";
        return Err(Wrong::new(CORES, list(&cores)).because(problem).remedy(remedy));
    }
    Ok(queues.into_iter().zip(cores).map(|(queue, core)| LanePlan { queue, core }).collect())
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn check_cores(cores: &[usize], facts: &Facts) -> Result<(), Wrong> {
    match cores.iter().find(|core| !facts.cores.contains(core)) {
        None => Ok(()),
        Some(core) => {
            let problem = "this process has no such core";
            Err(Wrong::new(CORES, core)
                .because(problem)
                .remedy(format_args!("choose from {}", list(&facts.cores))))
        }
    }
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

/// Cores for `count` lanes: isolated ones first, core 0 last, where interrupts and other work usually are.
fn default_cores(count: usize, facts: &Facts) -> Result<Vec<usize>, Wrong> {
    let mut cores = facts.cores.clone();
    cores.sort_by_key(|core| (!facts.isolated_cores.contains(core), *core == 0, *core));
    if cores.len() >= count {
        cores.truncate(count);
        return Ok(cores);
    }
    let have = facts.cores.len();
    let problem = format!("{count} queues need {count} cores, and this process has {have}");
    let interface = &facts.link.name;
    let remedy = if facts.is_memif() {
        format!("have fewer of them: --memif SOCKET,queues={have}")
    } else {
        format!("bring the queues down: ethtool -L {interface} combined {have}, or name some with --queue")
    };
    Err(Wrong::new(CORES, "").because(problem).remedy(remedy))
}

//! Which core serves which queue.
//!
//! A queue without a lane hands its packets to the kernel, which knows nothing of Barelane's own addresses, and the
//! NIC spreads flows over all active queues. So by default every active queue gets a lane, and where there are not
//! enough cores for that, the operator decides, not a guess. Which cores these are, and why, is
//! [`host::cores::place`]'s to say.

use host::cores::{Placement, Standing, TooFew, Wish, place_all};

use super::Facts;
use super::several::of_card;
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

/// A lane for every queue of each card that was asked for, and where everything runs.
pub(super) fn assign_all(cards: &[(&Config, Facts)]) -> Result<Vec<(Vec<LanePlan>, Placement)>, Wrong> {
    let wanted = |(config, facts): &(&Config, Facts)| {
        wanted_queues(config, facts).map_err(|wrong| of_card(config, wrong))
    };
    let queues = cards.iter().map(wanted).collect::<Result<Vec<_>, _>>()?;
    let wishes = cards.iter().zip(&queues).map(|((config, facts), queues)| {
        let (cores, housekeeping) = (config.lane.cores.as_slice(), config.serve.housekeeping_core);
        (&facts.topology, Wish { nic: &facts.link.name, queues, cores, housekeeping, taken: &facts.taken })
    });
    let wishes: Vec<_> = wishes.collect();
    let placements =
        place_all(&wishes).map_err(|(index, too_few)| refused(cards, &queues, index, too_few))?;
    let lanes = queues.iter().zip(placements).map(|(queues, placement)| {
        let seats = queues.iter().zip(&placement.lanes);
        (seats.map(|(&queue, seat)| LanePlan { queue, core: seat.core }).collect(), placement)
    });
    Ok(lanes.collect())
}

/// The queues that get a lane, where the cores that were named are as many and can be had.
fn wanted_queues(config: &Config, facts: &Facts) -> Result<Vec<u32>, Wrong> {
    let (cores, setting) = (&config.lane.cores, config.setting_of_cores());
    cores.iter().try_for_each(|&core| check_core(setting, core, facts))?;
    let mut housekeeping = config.serve.housekeeping_core.iter();
    housekeeping.try_for_each(|&core| check_core(HOUSEKEEPING_CORE, core, facts))?;
    let queues = queues(config, facts)?;
    if !cores.is_empty() && cores.len() != queues.len() {
        let problem = format!("{} cores for {} queues: a lane is one of each", cores.len(), queues.len());
        let remedy = "name as many cores as queues, or leave one of the two out";
        return Err(Wrong::new(setting, list(cores)).because(problem).remedy(remedy));
    }
    Ok(queues)
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
            Err(Wrong::new(config.setting_of_cores(), list(cores)).because(problem).remedy(remedy))
        }
        ([], count) => Ok((0..active).take(count).collect()),
        (queues, _) => Ok(queues.to_vec()),
    }
}

/// Why the lanes of one card have no place, and what helps.
fn refused(
    cards: &[(&Config, Facts)],
    queues: &[Vec<u32>],
    index: usize,
    TooFew { cores, lanes, others }: TooFew,
) -> Wrong {
    let count = queues.get(index).map_or(0, Vec::len);
    let Some((config, facts)) = cards.get(index) else { return Wrong::new(CORES, "") };
    let (kind, left) = if lanes < cores { ("physical cores", lanes) } else { ("cores", cores) };
    let has = if others > 0 {
        format!("the {others} lanes of other cards leave {left}")
    } else {
        format!("this process has {left}")
    };
    let why = if lanes < cores {
        ": two lanes on one physical core slow each other down by up to half"
    } else {
        ""
    };
    let problem = format!("{count} queues need {count} {kind}, and {has}{why}");
    let forced = if lanes < cores || others > 0 { "; or name the cores to have it so" } else { "" };
    let remedy = format!("{}{forced}", fewer(config, facts, lanes));
    of_card(config, Wrong::new(config.setting_of_cores(), "").because(problem).remedy(remedy))
}

/// How to have so many lanes.
fn fewer(config: &Config, facts: &Facts, lanes: usize) -> String {
    let interface = &facts.link.name;
    match (config.is_one_of_several(), lanes) {
        _ if facts.is_memif() => format!("have fewer of them: --memif SOCKET,queues={lanes}"),
        (false, _) => {
            format!(
                "bring the queues down: ethtool -L {interface} combined {lanes}, or name some with --queue"
            )
        }
        (true, 0) => "leave the card out, or write fewer queues in the [[nic]] of the others".to_owned(),
        (true, _) => format!(
            "bring the queues down: ethtool -L {interface} combined {lanes}, or write some of them in its [[nic]]"
        ),
    }
}

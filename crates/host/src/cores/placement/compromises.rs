//! What of a placement is not as it could be: a sentence for each, with what would be better.

use super::reasons::NO_DISTANCE;
use super::{Places, Share, share_of_core_0};
use crate::cores::as_list;
use crate::cores::topology::Core;

impl Places<'_> {
    pub(super) fn compromises(&self) -> Vec<String> {
        let mut sentences = self.taken();
        sentences.extend(self.next_to_others());
        let of_lanes = [
            self.one_physical_core(),
            self.far(),
            self.not_isolated(),
            self.core_0(),
            self.next_to_core_0(),
            self.slow(),
            self.open_siblings(),
        ];
        sentences.extend(of_lanes.into_iter().flatten());
        sentences.extend(self.of_housekeeping());
        sentences
    }

    /// Those of the cores of lanes that this is true of.
    fn lanes_where(&self, is_so: impl Fn(&Core) -> bool) -> Vec<usize> {
        let is_so = |core: &&usize| self.topology.core(**core).is_some_and(&is_so);
        self.lanes.iter().filter(is_so).copied().collect()
    }

    /// A sentence about the lanes' cores that something is true of; nothing where it is true of none. Where they were named by
    /// hand and a choice would have spared it, says what that would be.
    fn sentence(&self, is_so: impl Fn(&Core) -> bool, what: impl Fn(&[usize]) -> String) -> Option<String> {
        let cores = sorted(self.lanes_where(&is_so));
        if cores.is_empty() {
            return None;
        }
        let is_any = |core: &usize| self.topology.core(*core).is_some_and(&is_so);
        let better = self.chosen.filter(|chosen| !self.wish.cores.is_empty() && !chosen.iter().any(is_any));
        let better = better
            .map(|chosen| format!("; left to choose it would be {}", as_list(&sorted(chosen.to_vec()))));
        Some(what(&cores) + &better.unwrap_or_default())
    }

    /// Cores that others have for themselves: other processes, or lanes of other cards.
    fn taken(&self) -> Vec<String> {
        let of_us = |core: &usize| self.lanes.contains(core) || self.housekeeping == Some(*core);
        let taken = self.wish.taken.iter().filter(|taken| of_us(&taken.core));
        let taken = taken.chain(self.others.iter().filter(|other| self.lanes.contains(&other.core)));
        let sentence = |core: usize, by: &str| {
            let whose = if self.lanes.contains(&core) { "a lane" } else { "housekeeping" };
            format!(
                "core {core} is {whose}'s, and {by} has it too: the two take turns, for milliseconds each"
            )
        };
        taken.map(|taken| sentence(taken.core, &taken.by)).collect()
    }

    /// Lanes of other cards on the other half of a lane's physical core.
    fn next_to_others(&self) -> Vec<String> {
        let is_half = |lane: &usize, other: usize| {
            self.topology.core(*lane).is_some_and(|core| core.siblings().contains(&other))
        };
        let halves = self.others.iter().filter_map(|other| {
            let lane = self.lanes.iter().find(|lane| is_half(lane, other.core))?;
            Some(format!(
                "core {lane} is one physical core with {}: each slows the other down by up to half",
                other.by
            ))
        });
        halves.collect()
    }

    fn one_physical_core(&self) -> Option<String> {
        let has_lane = |core: &Core| core.siblings().iter().any(|sibling| self.lanes.contains(sibling));
        self.sentence(has_lane, |cores| {
            let cores = as_list(cores);
            format!("the lanes on cores {cores} share a physical core with each other: each slows the other down by up to half")
        })
    }

    fn far(&self) -> Option<String> {
        let is_far = |core: &Core| core.distance.is_some_and(|distance| distance > NO_DISTANCE);
        let home = self.topology.home.unwrap_or_default();
        self.sentence(is_far, |cores| {
            let are = named(cores, "is", "are");
            format!("{are} on another NUMA node than the card, which is on {home}: every packet crosses the link between them")
        })
    }

    fn not_isolated(&self) -> Option<String> {
        let is_had = |core: &Core| {
            self.has_lane(core.number) || self.wish.taken.iter().any(|taken| taken.core == core.number)
        };
        let spare = |core: &&Core| core.is_allowed && core.is_isolated && !is_had(core);
        let spare: Vec<_> = self.topology.cores.iter().filter(spare).map(|core| core.number).collect();
        if spare.is_empty() {
            return None;
        }
        self.sentence(
            |core| !core.is_isolated,
            |cores| {
                let [are, spare] = [cores, &spare].map(|cores| named(cores, "is", "are"));
                format!("{are} not isolated, and {spare}: the scheduler puts other threads beside the lane")
            },
        )
    }

    fn core_0(&self) -> Option<String> {
        self.sentence(
            |core| share_of_core_0(core) == Share::All,
            |_| {
                "a lane is on core 0, where interrupts and whatever else is bound to nothing come first"
                    .to_owned()
            },
        )
    }

    fn next_to_core_0(&self) -> Option<String> {
        self.sentence(
            |core| share_of_core_0(core) == Share::Half,
            |cores| {
                let are = named(cores, "is", "are");
                format!("{are} one physical core with core 0, which the machine's other work uses first")
            },
        )
    }

    fn slow(&self) -> Option<String> {
        let has_no_lane = |number: &usize| !self.has_lane(*number);
        let free = |core: &&Core| {
            core.is_allowed && has_no_lane(&core.number) && core.siblings().iter().all(has_no_lane)
        };
        let fastest = self.topology.cores.iter().filter(free).max_by_key(|core| core.speed)?;
        self.sentence(
            |core| core.speed < fastest.speed,
            |cores| {
                let are = named(cores, "is", "are");
                format!("{are} not among the fastest: core {} has {}", fastest.number, fastest.speed)
            },
        )
    }

    /// Siblings that the scheduler may put others on.
    fn open_siblings(&self) -> Option<String> {
        let is_open = |core: &usize| self.topology.core(*core).is_some_and(|core| !core.is_isolated);
        let of_lane = |lane: &usize| self.topology.core(*lane).map(Core::siblings).unwrap_or_default();
        let open = self.lanes.iter().flat_map(of_lane).filter(|core| is_open(core) && !self.has_lane(**core));
        let open = sorted(open.copied().collect());
        (!open.is_empty()).then(|| {
            let share = named(&open, "shares", "share");
            format!("{share} a physical core with a lane, and other programs may run there: keep them off, or take it offline")
        })
    }

    fn of_housekeeping(&self) -> Option<String> {
        let core = self.topology.core(self.housekeeping?)?;
        let number = core.number;
        if self.has_lane(number) {
            return Some(format!(
                "housekeeping is on core {number}, which a lane has: metrics and reloads wait for a lane that never sleeps, and \
                 stop it when they run"
            ));
        }
        if let Some(lane) = core.siblings().iter().find(|sibling| self.has_lane(**sibling)) {
            return Some(format!(
                "housekeeping is on core {number}, one physical core with the lane on core {lane}: it slows the lane down when it runs"
            ));
        }
        core.is_isolated
            .then(|| format!("housekeeping is on core {number}, which is isolated: a lane could have it"))
    }
}

/// The beginning of a sentence about one core or several.
fn named(cores: &[usize], one: &str, many: &str) -> String {
    match cores {
        [core] => format!("core {core} {one}"),
        cores => format!("cores {} {many}", as_list(cores)),
    }
}

fn sorted(mut cores: Vec<usize>) -> Vec<usize> {
    cores.sort_unstable();
    cores.dedup();
    cores
}

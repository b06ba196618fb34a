//! Which cores there are, and how a thread is bound to one.

mod bound;
pub(crate) mod card_interrupts;
mod placement;
mod topology;

pub use bound::{Bound, bound};
pub use card_interrupts::QueueInterrupt;
pub use placement::{Placement, Seat, Taken, TooFew, Wish, place, place_all};
pub use topology::{Core, Speed, Standing, Topology};

use std::fs;
use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::HostError;

const ONLINE: &str = "/sys/devices/system/cpu/online";
const ISOLATED: &str = "/sys/devices/system/cpu/isolated";

/// The cores that the calling thread may run on: the affinity it was started with, until it is pinned.
pub fn allowed() -> Result<Vec<usize>, HostError> {
    let set = sched_getaffinity(None).map_err(|errno| HostError::refused("read the affinity", errno))?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// The cores that are online, whether this process may use them or not.
pub fn online() -> Result<Vec<usize>, HostError> {
    read_list(ONLINE)
}

/// The cores that the scheduler leaves alone (`isolcpus=`): the best ones for lanes.
pub fn isolated() -> Result<Vec<usize>, HostError> {
    read_list(ISOLATED)
}

/// The cores that the calling thread may be bound to: those of its affinity, and isolated ones as well, which the kernel leaves
/// out of every process's affinity from the start (`sched_init_smp`) and gives to whoever names them. Where somebody has
/// narrowed the affinity beyond that, or a cpuset forbids them, that counts.
pub fn reachable() -> Result<Vec<usize>, HostError> {
    let (own, isolated) = (allowed()?, isolated().unwrap_or_default());
    let is_narrowed = || online().map(|online| is_narrowed(&own, &online, &isolated));
    if isolated.iter().all(|core| own.contains(core)) || is_narrowed()? {
        return Ok(own);
    }
    Ok(merged(own, permitted(&isolated)))
}

/// Whether a core is missing that is not isolated.
fn is_narrowed(own: &[usize], online: &[usize], isolated: &[usize]) -> bool {
    online.iter().any(|core| !own.contains(core) && !isolated.contains(core))
}

/// Those of these cores that a thread of this process may be bound to: a cpuset that lacks one makes the kernel refuse, or leave
/// it out. Tried by a thread that does nothing else.
fn permitted(cores: &[usize]) -> Vec<usize> {
    let may_run = |core: &usize| bind(&[*core]).is_ok() && allowed().is_ok_and(|now| now == [*core]);
    let tried = std::thread::scope(|scope| {
        scope.spawn(|| cores.iter().filter(|core| may_run(core)).copied().collect()).join()
    });
    tried.unwrap_or_default()
}

fn merged(mut one: Vec<usize>, other: Vec<usize>) -> Vec<usize> {
    one.extend(other);
    one.sort_unstable();
    one.dedup();
    one
}

/// Binds the calling thread to these cores, each of which it may be bound to.
///
/// # Errors
/// The kernel refuses.
pub fn bind(cores: &[usize]) -> Result<(), HostError> {
    let mut set = CpuSet::new();
    cores.iter().filter(|core| **core < CpuSet::MAX_CPU).for_each(|core| set.set(*core));
    sched_setaffinity(None, &set)
        .map_err(|errno| HostError::refused(format!("run on the cores {}", as_list(cores)), errno))
}

/// Binds the calling thread to one core.
pub fn pin(core: usize) -> Result<(), HostError> {
    if !reachable()?.contains(&core) {
        return Err(not_allowed(core));
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|errno| HostError::refused(format!("run on core {core}"), errno))
}

fn not_allowed(core: usize) -> HostError {
    let listed =
        |cores: Result<Vec<usize>, _>| cores.map_or_else(|_| "unknown".to_owned(), |cores| as_list(&cores));
    HostError::CoreNotAllowed { core, allowed: listed(allowed()), online: listed(online()) }
}

fn read_list(path: &str) -> Result<Vec<usize>, HostError> {
    let path = Path::new(path);
    let text =
        fs::read_to_string(path).map_err(|source| HostError::File { path: path.to_owned(), source })?;
    Ok(from_list(text.trim()))
}

/// The cores of a list as the kernel writes it: `0-3,8,10-11`.
pub(crate) fn from_list(text: &str) -> Vec<usize> {
    let ranges = text.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    });
    ranges.flatten().collect()
}

/// The same list as text. The cores must be in ascending order.
pub fn as_list(cores: &[usize]) -> String {
    let runs = cores.chunk_by(|one, next| one + 1 == *next);
    let runs: Vec<_> = runs
        .filter_map(|run| match run {
            [] => None,
            [only] => Some(only.to_string()),
            [first, .., last] => Some(format!("{first}-{last}")),
        })
        .collect();
    runs.join(",")
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_core_list_reads_as_the_kernel_writes_it_and_back() {
        assert_eq!(from_list("0-3,8,10-11"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(as_list(&[0, 1, 2, 3, 8, 10, 11]), "0-3,8,10-11");
        assert!(from_list("").is_empty());
        assert_eq!(as_list(&[]), "");
    }

    #[test]
    fn a_pinned_thread_may_run_on_that_core_alone_and_others_as_before() {
        let before = allowed().unwrap();
        let core = *before.last().unwrap();
        let inside = thread::spawn(move || {
            pin(core).unwrap();
            allowed().unwrap()
        });
        assert_eq!(inside.join().unwrap(), [core]);
        assert_eq!(allowed().unwrap(), before);
    }

    #[test]
    fn isolated_cores_can_be_reached_unless_somebody_has_narrowed_the_affinity() {
        assert!(!is_narrowed(&[0, 1], &[0, 1, 2, 3], &[2, 3]));
        assert!(is_narrowed(&[0], &[0, 1, 2, 3], &[2, 3]));
        assert!(!is_narrowed(&[0, 1, 2, 3], &[0, 1, 2, 3], &[]));
        let own = allowed().unwrap();
        assert_eq!(permitted(&own), own);
        assert!(permitted(&[CpuSet::MAX_CPU - 1]).is_empty());
        assert_eq!(allowed().unwrap(), own, "the thread that asked is where it was");
        assert!(own.iter().all(|core| reachable().unwrap().contains(core)));
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused_with_those_that_do() {
        for core in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU, usize::MAX] {
            let text = pin(core).unwrap_err().to_string();
            assert!(text.contains(&core.to_string()), "{text}");
            assert!(text.contains(&as_list(&allowed().unwrap())), "{text}");
        }
    }

    #[test]
    fn every_allowed_core_is_online_and_the_isolated_ones_are_known() {
        let online = online().unwrap();
        assert!(allowed().unwrap().iter().all(|core| online.contains(core)));
        assert!(isolated().unwrap().iter().all(|core| *core < CpuSet::MAX_CPU));
    }
}

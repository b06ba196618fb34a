//! What the hypervisor gave to others while a core of ours had work.
//!
//! The hypervisor tells the guest's kernel how long each virtual core was ready and not running, and the kernel shows
//! it as `steal` in `/proc/stat`. On a machine without a hypervisor it stays 0.
//!
//! The kernel counts nanoseconds and shows clock ticks (`nsec_to_clock_t` in `fs/proc/stat.c`), which are 10 ms on every
//! common machine: a single shorter theft cannot be seen in it, many of them can.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;

use crate::HostError;

const STAT: &str = "/proc/stat";

/// The lines of the cores come first, with at most 230 bytes each (11 numbers of 20 digits): room for 280 of them. Where
/// the wanted cores do not stand within it, [`Steal::total`] gives nothing.
const ROOM: usize = 1 << 16;

/// Where the steal stands in a core's line: cpuN user nice system idle iowait irq softirq steal (proc(5)).
const STEAL_FIELD: usize = 8;

/// The steal of some cores. Its file stays open and its memory is taken once, so that asking allocates nothing; it
/// costs some tens of microseconds, since the kernel writes the whole file, interrupts included, to answer.
#[derive(Debug)]
pub struct Steal {
    file: File,
    cores: Vec<usize>,
    room: RefCell<Vec<u8>>,
}

impl Steal {
    /// The steal of these cores together.
    ///
    /// # Errors
    /// `/proc/stat` cannot be opened.
    pub fn of(cores: Vec<usize>) -> Result<Self, HostError> {
        let file = File::open(STAT).map_err(|source| HostError::File { path: STAT.into(), source })?;
        Ok(Self { file, cores, room: RefCell::new(vec![0; ROOM]) })
    }

    /// What was stolen since the machine's start, or nothing where the kernel does not tell it of all these cores.
    pub fn total(&self) -> Option<Duration> {
        let mut room = self.room.borrow_mut();
        let len = self.file.read_at(&mut room, 0).ok()?;
        let text = std::str::from_utf8(room.get(..len)?).ok()?;
        let ticks = ticks_in(text, &self.cores)?;
        Some(Duration::from_nanos(u64::try_from(nanoseconds(ticks)).ok()?))
    }

    /// The step in which [`Steal::total`] grows.
    pub fn resolution() -> Duration {
        Duration::from_nanos(u64::try_from(nanoseconds(1)).unwrap_or(u64::MAX))
    }
}

fn nanoseconds(ticks: u64) -> u128 {
    u128::from(ticks) * 1_000_000_000 / u128::from(clock_ticks_per_second().max(1))
}

/// The steal of all these cores, in clock ticks; nothing where one of them has no whole line.
fn ticks_in(stat: &str, cores: &[usize]) -> Option<u64> {
    cores.iter().map(|core| ticks_of(stat, *core)).sum()
}

fn ticks_of(stat: &str, core: usize) -> Option<u64> {
    let of_core = |line: &&str| {
        let number = line.strip_prefix("cpu").and_then(|rest| rest.split(' ').next());
        number.and_then(|number| number.parse().ok()) == Some(core)
    };
    let line = stat.lines().find(of_core)?;
    line.split_whitespace().nth(STEAL_FIELD)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores;

    const STAT: &str = "\
cpu  1143 0 1139 5184 91 0 2 77 0 0
cpu0 540 0 549 2609 51 0 1 30 0 0
cpu1 603 0 590 2575 40 0 1 47 0 0
cpu11 1 2 3 4 5 6 7 8 9 10
intr 7 8 9
";

    #[test]
    fn the_steal_of_the_named_cores_is_summed_up() {
        for (cores, ticks) in [(&[0][..], 30), (&[1], 47), (&[0, 1], 77), (&[11], 8), (&[], 0)] {
            assert_eq!(ticks_in(STAT, cores), Some(ticks), "{cores:?}");
        }
    }

    #[test]
    fn a_core_that_is_not_told_of_makes_the_sum_unknown() {
        assert_eq!(ticks_in(STAT, &[2]), None);
        assert_eq!(ticks_in(STAT, &[0, 111]), None);
        assert_eq!(ticks_in("cpu0 1 2 3 4 5 6 7\n", &[0]), None);
    }

    #[test]
    fn this_machines_steal_is_known_and_never_shrinks() {
        let steal = Steal::of(cores::allowed().unwrap()).unwrap();
        let first = steal.total().unwrap();
        let second = steal.total().unwrap();
        assert!(second >= first, "{first:?} {second:?}");
        assert!(Steal::resolution() <= Duration::from_millis(10));
    }
}

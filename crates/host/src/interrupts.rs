//! What interrupted a core, as the kernel counts it.
//!
//! `/proc/interrupts` and `/proc/softirqs` (proc(5)) have a column for each core that is online, with its name at the head:
//!
//! ```text
//!            CPU0       CPU1
//!  36:          0    1112792  PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
//! LOC:    8179426    7690619  Local timer interrupts
//! ```

use std::collections::BTreeMap;
use std::fs;

use crate::HostError;

const HARD: &str = "/proc/interrupts";
const SOFT: &str = "/proc/softirqs";

/// How often each kind of interrupt has come to a core, by its name. Every figure only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// Of devices, timers and other cores, by number or the kernel's three letters, and whose they are.
    pub hard: BTreeMap<String, u64>,
    /// The kernel's own work that is put off to the end of those.
    pub soft: BTreeMap<String, u64>,
}

/// All interrupts that this core has taken since the machine's start; nothing where the kernel does not tell. A kernel makes the
/// whole table to answer: some ten microseconds on a small machine, milliseconds where there are hundreds of cores.
pub fn of_core(core: usize) -> Option<u64> {
    Some(counts_in(&fs::read_to_string(HARD).ok()?, core).values().sum())
}

impl Interrupts {
    /// Those of a core since the machine's start.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn of(core: usize) -> Result<Self, HostError> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|source| HostError::File { path: path.into(), source })
        };
        Ok(Self { hard: counts_in(&read(HARD)?, core), soft: counts_in(&read(SOFT)?, core) })
    }

    /// What came from `earlier` to here.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self { hard: between(&self.hard, &earlier.hard), soft: between(&self.soft, &earlier.soft) }
    }
}

fn between(now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let grown = now.iter().map(|(name, count)| {
        (name.clone(), count.saturating_sub(then.get(name).copied().unwrap_or_default()))
    });
    grown.filter(|(_, count)| *count > 0).collect()
}

/// The counts of a core's column; none where it has none.
fn counts_in(text: &str, core: usize) -> BTreeMap<String, u64> {
    let mut lines = text.lines();
    let heads: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    let wanted = format!("CPU{core}");
    let Some(column) = heads.iter().position(|head| *head == wanted) else { return BTreeMap::new() };
    lines.filter_map(|line| count_in(line, column, heads.len())).collect()
}

/// A line's name, with the words at its end, and its count in a column. The totals that no core has are left out.
fn count_in(line: &str, column: usize, columns: usize) -> Option<(String, u64)> {
    let (name, rest) = line.split_once(':')?;
    let words: Vec<_> = rest.split_whitespace().collect();
    let count = words.get(..columns)?.get(column)?.parse().ok()?;
    let name = name.trim();
    let is_numbered = name.parse::<u32>().is_ok();
    let whose = words.get(columns..)?;
    let whose =
        if is_numbered { whose.last().copied().unwrap_or_default().to_owned() } else { whose.join(" ") };
    Some((format!("{name} {whose}").trim_end().to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HARD: &str = "           CPU0       CPU2
 36:          7         12 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
LOC:         41         42   Local timer interrupts
ERR:          3
";

    #[test]
    fn the_column_of_a_core_is_found_by_its_name_and_not_by_its_place() {
        let counts = counts_in(HARD, 2);
        let counts: Vec<_> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(counts, [("36 virtio1-req.0", 12), ("LOC Local timer interrupts", 42)]);
        assert!(counts_in(HARD, 1).is_empty());
        assert!(counts_in("", 0).is_empty());
    }

    #[test]
    fn only_what_came_since_is_left() {
        let now = Interrupts {
            hard: [("a".into(), 5), ("b".into(), 2), ("c".into(), 9)].into(),
            ..Interrupts::default()
        };
        let then = Interrupts { hard: [("a".into(), 3), ("b".into(), 2)].into(), ..Interrupts::default() };
        assert_eq!(now.since(&then).hard, [("a".into(), 2), ("c".into(), 9)].into());
    }

    #[test]
    fn this_machines_cores_are_known_and_their_counts_never_shrink() {
        let core = crate::cores::allowed().unwrap()[0];
        let first = of_core(core).unwrap();
        assert!(first > 0 && of_core(core).unwrap() >= first);
    }

    #[test]
    fn this_machines_softirqs_are_counted() {
        let core = crate::cores::allowed().unwrap()[0];
        assert!(Interrupts::of(core).unwrap().soft.contains_key("TIMER"));
    }
}

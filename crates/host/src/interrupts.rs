//! How many interrupts a core has taken.
//!
//! The kernel shows them in `/proc/interrupts`: a line for each interrupt, a column for each core that is online. A kernel
//! makes the whole table to answer: some ten microseconds on a small machine, milliseconds where there are hundreds of cores.

use std::fs;

const INTERRUPTS: &str = "/proc/interrupts";

/// All interrupts that this core has taken since the machine's start; nothing where the kernel does not tell.
pub fn of_core(core: usize) -> Option<u64> {
    count_in(&fs::read_to_string(INTERRUPTS).ok()?, core)
}

fn count_in(table: &str, core: usize) -> Option<u64> {
    let mut lines = table.lines();
    let wanted = format!("CPU{core}");
    let column = lines.next()?.split_whitespace().position(|name| name == wanted)?;
    let counts = lines.filter_map(|line| line.split_whitespace().nth(1 + column)?.parse::<u64>().ok());
    Some(counts.sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores;

    const TABLE: &str = "\
           CPU0       CPU3
  1:          9          4   IO-APIC   1-edge      i8042
 24:        100          0   PCI-MSI 65536-edge    virtio0-input.0
LOC:     500000     400000   Local timer interrupts
ERR:          0
";

    #[test]
    fn the_interrupts_of_a_core_are_those_of_its_column() {
        assert_eq!(count_in(TABLE, 0), Some(500_109));
        assert_eq!(count_in(TABLE, 3), Some(400_004));
        assert_eq!((count_in(TABLE, 1), count_in("", 0)), (None, None));
    }

    #[test]
    fn this_machines_cores_are_known_and_their_counts_never_shrink() {
        let core = cores::online().unwrap()[0];
        let first = of_core(core).unwrap();
        assert!(first > 0 && of_core(core).unwrap() >= first);
    }
}

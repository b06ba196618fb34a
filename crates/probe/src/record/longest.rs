//! The longest answers of a run, each with its instants, so that a cause can be looked for.

use crate::matching::Sample;

/// How many are kept. More than a person reads; of ten million questions they are the slowest 0.0006 %.
pub(crate) const LONGEST_MAX: usize = 64;

/// The longest answers so far, in no order.
#[derive(Clone, Debug)]
pub(crate) struct Longest {
    kept: Vec<(u64, Sample)>,
    /// The shortest of those kept, once there is no more room: what another answer must be longer than.
    floor: u64,
}

impl Longest {
    /// None yet. All the memory is taken here.
    pub(crate) fn new() -> Self {
        Self { kept: Vec::with_capacity(LONGEST_MAX), floor: 0 }
    }

    /// Keeps an answer that took so many ticks, if it is among the longest. One comparison where it is not.
    #[inline]
    pub(crate) fn offer(&mut self, took: u64, sample: &Sample) {
        if self.kept.len() < LONGEST_MAX {
            self.kept.push((took, *sample));
            self.floor = self.shortest();
        } else if took > self.floor {
            self.replace_shortest(took, sample);
        }
    }

    #[cold]
    fn replace_shortest(&mut self, took: u64, sample: &Sample) {
        if let Some(shortest) = self.kept.iter_mut().min_by_key(|(took, _)| *took) {
            *shortest = (took, *sample);
        }
        self.floor = self.shortest();
    }

    fn shortest(&self) -> u64 {
        self.kept.iter().map(|(took, _)| *took).min().unwrap_or(0)
    }

    /// The answers, the longest first; of equal ones the earlier first.
    pub(crate) fn sorted(&self) -> Vec<Sample> {
        let mut kept = self.kept.clone();
        kept.sort_by_key(|(took, sample)| (std::cmp::Reverse(*took), sample.sequence));
        kept.into_iter().map(|(_, sample)| sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_are_kept_in_whatever_order_they_come() {
        let count = 1_000_u64;
        for order in [|n: u64| n, |n: u64| 999 - n, |n: u64| n * 7 % 1_000] {
            let mut longest = Longest::new();
            for took in (0..count).map(order) {
                longest.offer(took, &Sample { sequence: took, ..Sample::default() });
            }
            let sequences: Vec<u64> = longest.sorted().iter().map(|sample| sample.sequence).collect();
            let expected: Vec<u64> = (0..count).rev().take(LONGEST_MAX).collect();
            assert_eq!(sequences, expected);
        }
    }
}

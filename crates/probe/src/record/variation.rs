//! How much one round trip differs from the next: IPDV by sequence number, jitter by arrival.

use telemetry::Ns;

/// How many round trips are kept for their neighbours: as many questions as the matcher remembers at the least, so that
/// no answer is so late that its neighbour has been forgotten.
const KEPT: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Kept {
    sequence: u64,
    rtt: Ns,
}

/// The newest round trips by sequence number, to be paired with their neighbours (RFC 5481 4.1).
///
/// ```text
///   sequence     6    7    8    9   10          answers arrive as 6, 8, 7, 10
///   round trip  [a]  [c]  [b]   ·  [d]          8 waits for 7; 7 makes two pairs; 10 makes none, for 9 is lost
///                 └──┘ └──┘
///                 c−a   b−c
/// ```
///
/// An answer makes a pair with each of its two neighbours that is there already, so that every pair is made once, in
/// whatever order its two answers come.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    kept: Box<[Kept]>,
}

impl Neighbours {
    /// No round trips yet. All the memory is taken here.
    pub(crate) fn new() -> Self {
        let none = Kept { sequence: u64::MAX, rtt: Ns(0) };
        Self { kept: vec![none; KEPT].into_boxed_slice() }
    }

    /// Keeps a round trip; gives how much it differs from the one before it and from the one after it, as far as those
    /// are known.
    #[inline]
    pub(crate) fn add(&mut self, sequence: u64, rtt: Ns) -> [Option<Ns>; 2] {
        if let Some(slot) = self.kept.get_mut(slot_of(sequence)) {
            *slot = Kept { sequence, rtt };
        }
        let difference = |other: u64| {
            let kept = self.kept.get(slot_of(other)).filter(|kept| kept.sequence == other)?;
            Some(Ns(kept.rtt.0.abs_diff(rtt.0)))
        };
        [sequence.checked_sub(1).and_then(difference), difference(sequence + 1)]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "masked to the number of slots")]
const fn slot_of(sequence: u64) -> usize {
    sequence as usize & (KEPT - 1)
}

/// The interarrival jitter of RFC 3550 6.4.1, of round trips in the order of their arrival.
///
/// The RFC takes the difference D of two packets' transit times and smooths it, J += (|D| − J) / 16. A transit time is
/// one way there. On round trips it is the whole way: D(i, j) = (Rj − Sj) − (Ri − Si), both stamps by the same clock.
/// The arithmetic is that of its appendix A.8: J is kept sixteenfold, so that no fraction is lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Jitter {
    last: Option<Ns>,
    sixteenfold: u64,
}

impl Jitter {
    /// Takes the round trip of the next arrival.
    #[inline]
    pub(crate) fn add(&mut self, rtt: Ns) {
        if let Some(last) = self.last.replace(rtt) {
            let fades = (self.sixteenfold + 8) >> 4;
            self.sixteenfold = self.sixteenfold + last.0.abs_diff(rtt.0) - fades;
        }
    }

    /// The jitter after the last arrival, or nothing where there were fewer than two.
    pub(crate) fn value(&self) -> Option<Ns> {
        (self.sixteenfold > 0 || self.last.is_some()).then_some(Ns(self.sixteenfold >> 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(arrivals: &[(u64, u64)]) -> Vec<u64> {
        let mut neighbours = Neighbours::new();
        let mut add = |&(sequence, rtt): &(u64, u64)| neighbours.add(sequence, Ns(rtt));
        let mut found: Vec<u64> = arrivals.iter().flat_map(&mut add).flatten().map(|Ns(ns)| ns).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn every_pair_of_neighbours_is_made_once_in_any_order_of_arrival() {
        let in_order = [(0, 10), (1, 13), (2, 9), (3, 30)];
        let mut other = in_order;
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
            for (place, from) in other.iter_mut().zip(order) {
                *place = in_order[from];
            }
            assert_eq!(pairs(&other), [3, 4, 21], "{other:?}");
        }
    }

    #[test]
    fn a_lost_question_makes_no_pair_with_either_neighbour() {
        assert_eq!(pairs(&[(0, 10), (2, 20), (3, 25)]), [5]);
    }

    #[test]
    fn a_forgotten_round_trip_makes_no_pair() {
        let far = KEPT as u64;
        assert_eq!(pairs(&[(0, 10), (far, 11), (1, 12)]), [0_u64; 0]);
        assert_eq!(pairs(&[(1, 10), (far, 11), (far + 1, 15)]), [4]);
    }

    #[test]
    fn jitter_is_what_the_program_of_the_rfc_computes() {
        let mut jitter = Jitter::default();
        assert_eq!(jitter.value(), None);
        // A.8 of RFC 3550, step by step: d, then J += d − ((J + 8) >> 4), then J >> 4.
        for (rtt, expected) in [(100, 0), (260, 10), (260, 9), (100, 18)] {
            jitter.add(Ns(rtt));
            assert_eq!(jitter.value(), Some(Ns(expected)), "{jitter:?}");
        }
    }

    #[test]
    fn a_steady_difference_is_what_jitter_settles_at() {
        let mut jitter = Jitter::default();
        for arrival in 0..1_000_u64 {
            jitter.add(Ns(1_000 + arrival % 2 * 320));
        }
        assert!(jitter.value().unwrap().0.abs_diff(320) <= 1, "{jitter:?}");
    }
}

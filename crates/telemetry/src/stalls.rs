//! Stalls: gaps between two turns of a lane, as it notes them and others read them.
//!
//! | word | written by | with | read with |
//! |---|---|---|---|
//! | `entries` | the lane, at a stall | relaxed, behind a release fence | relaxed, before an acquire fence |
//! | `count` | the lane, behind its entry | release | acquire, and again behind the entries |
//! | `ticks`, `longest` | the lane, before `count` | relaxed | relaxed |
//!
//! The last [`STALLS_KEPT`] stalls stand in a ring. A reader copies it between two looks at the count; what was overwritten
//! meanwhile it does not give. The lane never waits, and where nothing stalls it writes nothing here.

use core::array;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::time::Tick;

/// How many stalls are kept: all of a second in which every sixteenth millisecond has one.
pub const STALLS_KEPT: usize = 64;

/// A gap between two turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stall {
    /// The turn before it.
    pub began: Tick,
    /// How long it was.
    pub ticks: u64,
}

/// All stalls of a lane: their number, their sum, and the last of them.
#[derive(Debug)]
pub struct SharedStalls {
    count: AtomicU64,
    ticks: AtomicU64,
    longest: AtomicU64,
    entries: [[AtomicU64; 2]; STALLS_KEPT],
}

/// What a reader saw of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StallTotals {
    /// How many there were.
    pub count: u64,
    /// Their lengths together.
    pub ticks: u64,
    /// The longest.
    pub longest: u64,
}

impl Default for SharedStalls {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            entries: array::from_fn(|_| [AtomicU64::new(0), AtomicU64::new(0)]),
        }
    }
}

/// The place of the stall with this number.
#[expect(clippy::cast_possible_truncation, reason = "a remainder below STALLS_KEPT")]
const fn place(number: u64) -> usize {
    (number % STALLS_KEPT as u64) as usize
}

impl SharedStalls {
    /// Notes one. Only the one writer may call this.
    pub fn note(&self, Stall { began, ticks }: Stall) {
        let count = self.count.load(Ordering::Relaxed);
        // Who sees the new entry must also see that the one before it was complete, and so that this place is taken again.
        fence(Ordering::Release);
        if let Some([at, length]) = self.entries.get(place(count)) {
            at.store(began.0, Ordering::Relaxed);
            length.store(ticks, Ordering::Relaxed);
        }
        self.ticks.store(self.ticks.load(Ordering::Relaxed).wrapping_add(ticks), Ordering::Relaxed);
        self.longest.store(self.longest.load(Ordering::Relaxed).max(ticks), Ordering::Relaxed);
        self.count.store(count.wrapping_add(1), Ordering::Release);
    }

    /// How many there were so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Number, sum and longest. The sum and the longest may hold one more than the number.
    pub fn totals(&self) -> StallTotals {
        let count = self.count();
        let (ticks, longest) = (self.ticks.load(Ordering::Relaxed), self.longest.load(Ordering::Relaxed));
        StallTotals { count, ticks, longest }
    }

    /// The stall with this number, counted from 0; nothing where there was none yet, or newer ones stand in its place.
    pub fn stall(&self, number: u64) -> Option<Stall> {
        if number >= self.count() {
            return None;
        }
        let [at, length] = self.entries.get(place(number))?;
        let stall = Stall { began: Tick(at.load(Ordering::Relaxed)), ticks: length.load(Ordering::Relaxed) };
        fence(Ordering::Acquire);
        // The writer may be about its next one, whose place this is from STALLS_KEPT later on.
        let count = self.count.load(Ordering::Relaxed);
        (count - number < STALLS_KEPT as u64).then_some(stall)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::thread;

    use super::*;

    /// A stall whose two words say the same, so that a torn one shows.
    const fn whole(number: u64) -> Stall {
        Stall { began: Tick(number * 3), ticks: number * 3 }
    }

    #[test]
    fn the_last_stalls_are_kept_and_all_are_counted() {
        let stalls = SharedStalls::default();
        assert_eq!((stalls.totals(), stalls.stall(0)), (StallTotals::default(), None));
        (0..100).for_each(|number| stalls.note(whole(number)));
        assert_eq!(stalls.totals(), StallTotals { count: 100, ticks: 3 * 99 * 50, longest: 297 });
        assert_eq!((stalls.stall(36), stalls.stall(37)), (None, Some(whole(37))));
        assert_eq!((stalls.stall(99), stalls.stall(100)), (Some(whole(99)), None));
    }

    #[test]
    fn a_reader_beside_the_writer_never_sees_half_a_stall() {
        let stalls = SharedStalls::default();
        thread::scope(|scope| {
            let writer = scope.spawn(|| (0..200_000).for_each(|number| stalls.note(whole(number))));
            while !writer.is_finished() {
                let newest = stalls.count();
                for number in newest.saturating_sub(STALLS_KEPT as u64)..newest {
                    assert!(stalls.stall(number).is_none_or(|stall| stall == whole(number)));
                }
            }
        });
    }
}

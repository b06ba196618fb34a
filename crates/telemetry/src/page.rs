//! The page: a lane's counters as others read them.
//!
//! One writer, the lane; any number of readers. The words and their order:
//!
//! | word | written by | with | read with |
//! |---|---|---|---|
//! | `sequence` | the lane, before and after the counts | odd: release fence after it; even: release store | acquire, before and after |
//! | `counts`, `depths`, `depths_max` | the lane | relaxed | relaxed |
//! | `residence` | the lane, as it answers | relaxed | relaxed |
//! | `turn_residence` | the lane, at the turn after the answers | relaxed | relaxed |
//! | `queueing` | the lane, as it comes to a frame | relaxed | relaxed |
//! | `arrival_residence` | the lane, at the turn after the answers | relaxed | relaxed |
//! | `transmit_residence` | the lane, as sent frames come back | relaxed | relaxed |
//! | `stalls` | the lane, at a stall | see [`SharedStalls`] | |
//!
//! The sequence is odd while the lane writes. A reader that saw the same even sequence before and after its copy
//! has a copy of one instant; else it reads again, at most [`READ_TRIES`] times. The lane never waits.
//!
//! A histogram is too long to be copied between two turns: 16 KiB would take a microsecond. So the lane counts residence
//! on the page itself, see [`SharedHistogram`], and what a reader copies of it may be a few values apart in itself.

use core::array;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::counters::{ANSWERED_COUNT, COUNTER_COUNT, Counter, Counters};
use crate::depths::Depths;
use crate::histogram::SharedHistogram;
use crate::stalls::SharedStalls;

/// How often a reader tries before it gives up. A lane publishes for some 50 ns every few milliseconds, so that
/// a second try is rare and a hundredth means that the lane died while it wrote.
pub const READ_TRIES: usize = 100;

/// What a lane published at one instant.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// What it has counted.
    pub counters: Counters,
    /// How full its rings were.
    pub depths: Depths,
    /// How full they were at most, of all publications so far.
    pub depths_max: Depths,
}

/// One lane's published counters. Its own cache lines: nothing else that anyone writes lies on them.
#[derive(Debug)]
#[repr(align(128))]
pub struct Page {
    sequence: AtomicU64,
    counts: [AtomicU64; COUNTER_COUNT],
    depths: [AtomicU64; Depths::COUNT],
    depths_max: [AtomicU64; Depths::COUNT],
    /// The residence of the answers that carry two stamps of their own: T3 − T2 of STAMP, in nanoseconds. Of all that were
    /// written, those that then found the transmit ring full included.
    pub residence: SharedHistogram,
    /// How long the lane had what it has answered, for each kind of answer in the order of [`Counter::answered`]: from the
    /// instant that its turn was given to that of the next turn, in nanoseconds. All answers of a turn are handed over by one
    /// flush, at its end, so that this is one length for all of them; it counts for each of them.
    pub turn_residence: [SharedHistogram; ANSWERED_COUNT],
    /// How long frames had waited when the lane came to them: from their arrival stamp to its look into the
    /// ring, in nanoseconds, of those that were dropped as too old, too. Empty where frames are not stamped.
    pub queueing: SharedHistogram,
    /// From the arrival stamp of what was answered to the instant that the next turn was given, in nanoseconds.
    pub arrival_residence: SharedHistogram,
    /// Until the transmit stamp of what was answered, in nanoseconds: from its arrival stamp, or where frames are not stamped when they
    /// come, from the instant that its turn was given. Empty where frames are not stamped when they leave.
    pub transmit_residence: SharedHistogram,
    /// When the lane was not there.
    pub stalls: SharedStalls,
}

const _: () = assert!(align_of::<Page>() == 128 && size_of::<Page>().is_multiple_of(128));

impl Default for Page {
    fn default() -> Self {
        Self {
            sequence: AtomicU64::new(0),
            counts: zeros(),
            depths: zeros(),
            depths_max: zeros(),
            residence: SharedHistogram::default(),
            turn_residence: array::from_fn(|_| SharedHistogram::default()),
            queueing: SharedHistogram::default(),
            arrival_residence: SharedHistogram::default(),
            transmit_residence: SharedHistogram::default(),
            stalls: SharedStalls::default(),
        }
    }
}

fn zeros<const COUNT: usize>() -> [AtomicU64; COUNT] {
    array::from_fn(|_| AtomicU64::new(0))
}

impl Page {
    /// Publishes all counters, and how full the rings are. Only the page's one lane may call this.
    pub fn publish(&self, counters: &Counters, depths: Depths) {
        // See `Cargo.toml`: to measure what counting costs.
        if cfg!(silent) {
            return;
        }
        let depths_max = depths.most(load_depths(&self.depths_max));
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, (_, count)) in self.counts.iter().zip(counters.iter()) {
            word.store(count, Ordering::Relaxed);
        }
        store_depths(&self.depths, depths);
        store_depths(&self.depths_max, depths_max);
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// What was published at one instant, or nothing where the writer stopped in the middle of a publication.
    pub fn read(&self) -> Option<Published> {
        for _ in 0..READ_TRIES {
            let before = self.sequence.load(Ordering::Acquire);
            let mut counters = Counters::default();
            for (word, &counter) in self.counts.iter().zip(Counter::ALL) {
                counters.add(counter, word.load(Ordering::Relaxed));
            }
            let (depths, depths_max) = (load_depths(&self.depths), load_depths(&self.depths_max));
            fence(Ordering::Acquire);
            let after = self.sequence.load(Ordering::Relaxed);
            if before == after && before.is_multiple_of(2) {
                return Some(Published { counters, depths, depths_max });
            }
        }
        None
    }
}

fn load_depths(words: &[AtomicU64; Depths::COUNT]) -> Depths {
    Depths::of_words(array::from_fn(|place| words.get(place).map_or(0, |word| word.load(Ordering::Relaxed))))
}

fn store_depths(words: &[AtomicU64; Depths::COUNT], depths: Depths) {
    words.iter().zip(depths.to_words()).for_each(|(word, depth)| word.store(depth, Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn a_reader_never_sees_half_a_publication() {
        let page = Page::default();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut counters = Counters::default();
                for _ in 0..20_000 {
                    counters.count(Counter::Rx);
                    counters.count(Counter::TxRingFull);
                    page.publish(&counters, Depths { rx: counters.of(Counter::Rx), ..Depths::default() });
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                if let Some(copy) = page.read() {
                    let rx = copy.counters.of(Counter::Rx);
                    assert_eq!(rx, copy.counters.of(Counter::TxRingFull));
                    assert_eq!((rx, rx), (copy.depths.rx, copy.depths_max.rx));
                }
            }
        });
        assert_eq!(page.read().unwrap().counters.of(Counter::Rx), 20_000);
    }

    #[test]
    fn the_fullest_that_a_ring_was_stays() {
        let page = Page::default();
        for rx in [3, 7, 1] {
            page.publish(&Counters::default(), Depths { rx, ..Depths::default() });
        }
        let Published { depths, depths_max, .. } = page.read().unwrap();
        assert_eq!((depths.rx, depths_max.rx), (1, 7));
    }

    #[test]
    fn a_writer_that_died_while_writing_is_noticed() {
        let page = Page::default();
        page.sequence.store(1, Ordering::Relaxed);
        assert!(page.read().is_none());
    }
}

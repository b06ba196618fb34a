//! The page: a lane's counters as others read them.
//!
//! One writer, the lane; any number of readers. The words and their order:
//!
//! | word | written by | with | read with |
//! |---|---|---|---|
//! | `sequence` | the lane, before and after the counts | odd: release fence after it; even: release store | acquire, before and after |
//! | `counts` | the lane | relaxed | relaxed |
//! | `residence` | the lane, as it answers | relaxed | relaxed |
//!
//! The sequence is odd while the lane writes. A reader that saw the same even sequence before and after its copy
//! has a copy of one instant; else it reads again, at most [`READ_TRIES`] times. The lane never waits.
//!
//! A histogram is too long to be copied between two turns: 16 KiB would take a microsecond. So the lane counts residence
//! on the page itself, see [`SharedHistogram`], and what a reader copies of it may be a few values apart in itself.

use core::array;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::counters::{COUNTER_COUNT, Counter, Counters};
use crate::histogram::SharedHistogram;

/// How often a reader tries before it gives up. A lane publishes for some 50 ns every few milliseconds, so that
/// a second try is rare and a hundredth means that the lane died while it wrote.
pub const READ_TRIES: usize = 100;

/// One lane's published counters. Its own cache lines: nothing else that anyone writes lies on them.
#[derive(Debug)]
#[repr(align(128))]
pub struct Page {
    sequence: AtomicU64,
    counts: [AtomicU64; COUNTER_COUNT],
    /// The residence of the answers that carry two stamps of their own: T3 − T2 of STAMP, in nanoseconds. Of all that were
    /// written, those that then found the transmit ring full included.
    pub residence: SharedHistogram,
}

const _: () = assert!(align_of::<Page>() == 128 && size_of::<Page>().is_multiple_of(128));

impl Default for Page {
    fn default() -> Self {
        let counts = array::from_fn(|_| AtomicU64::new(0));
        Self { sequence: AtomicU64::new(0), counts, residence: SharedHistogram::default() }
    }
}

impl Page {
    /// Publishes all counters. Only the page's one lane may call this.
    pub fn publish(&self, counters: &Counters) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, (_, count)) in self.counts.iter().zip(counters.iter()) {
            word.store(count, Ordering::Relaxed);
        }
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// The counters of one instant, or nothing where the writer stopped in the middle of a publication.
    pub fn read(&self) -> Option<Counters> {
        for _ in 0..READ_TRIES {
            let before = self.sequence.load(Ordering::Acquire);
            let mut copy = Counters::default();
            for (word, &counter) in self.counts.iter().zip(Counter::ALL) {
                copy.add(counter, word.load(Ordering::Relaxed));
            }
            fence(Ordering::Acquire);
            let after = self.sequence.load(Ordering::Relaxed);
            if before == after && before.is_multiple_of(2) {
                return Some(copy);
            }
        }
        None
    }
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
                    page.publish(&counters);
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                if let Some(copy) = page.read() {
                    assert_eq!(copy.of(Counter::Rx), copy.of(Counter::TxRingFull));
                }
            }
        });
        assert_eq!(page.read().unwrap().of(Counter::Rx), 20_000);
    }

    #[test]
    fn a_writer_that_died_while_writing_is_noticed() {
        let page = Page::default();
        page.sequence.store(1, Ordering::Relaxed);
        assert!(page.read().is_none());
    }
}

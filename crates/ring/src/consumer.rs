//! The reading end.
#![expect(
    unsafe_code,
    reason = "the slot that is read is proven to be the consumer's, here where the indices are"
)]

use core::sync::atomic::Ordering;

#[cfg(feature = "alloc")]
use alloc::sync::Arc;

use crate::NEED_WAKEUP;
#[cfg(feature = "alloc")]
use crate::memory::Memory;
use crate::words::{RawParts, Words};

/// The reading end of a ring: available, read, release.
#[derive(Debug)]
pub struct Consumer<T> {
    words: Words<T>,
    /// The index of the next slot to read. From `released` to here: read, not yet given back.
    next: u32,
    /// What the `consumer` word says. Nobody else writes it.
    released: u32,
    /// One past the last item that [`Consumer::available`] has found: never beyond the `producer` word.
    found: u32,
    #[cfg(feature = "alloc")]
    _memory: Option<Arc<Memory<T>>>,
}

impl<T: Copy> Consumer<T> {
    /// The consumer of a ring in memory that something else keeps.
    ///
    /// # Safety
    /// For as long as the consumer is used, the pointers must be aligned and valid for reads and writes, the slots for
    /// `size` of them; nothing else may write the `consumer` word; whoever writes the `producer` word must have
    /// written a valid `T` to each slot before he submits it and must not touch it until it is released.
    pub unsafe fn from_raw_parts(parts: RawParts<T>) -> Self {
        // SAFETY: the caller's promise is the one that `Words::new` asks for.
        let words = unsafe { Words::new(parts) };
        let released = words.consumer().load(Ordering::Relaxed);
        let producer = words.producer().load(Ordering::Acquire);
        Self {
            words,
            next: released,
            released,
            found: producer,
            #[cfg(feature = "alloc")]
            _memory: None,
        }
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn in_memory(memory: Arc<Memory<T>>) -> Self {
        // SAFETY: the parts point into `memory`, which lives as long as this consumer, and `pair_at` makes only one.
        let consumer = unsafe { Self::from_raw_parts(memory.parts()) };
        Self { _memory: Some(memory), ..consumer }
    }

    /// The number of slots.
    #[inline]
    pub fn size(&self) -> u32 {
        self.words.size()
    }

    /// The free-running index of the next slot to read: how many items were ever read, modulo 2^32.
    #[inline]
    pub fn taken(&self) -> u32 {
        self.next
    }

    /// How many of the `wanted` items wait: so many can be read, and no more. Looks at the shared word only where fewer
    /// were found before.
    #[inline]
    pub fn available(&mut self, wanted: u32) -> u32 {
        let mut waiting = self.found();
        if waiting < wanted {
            // Meets the release in `Producer::submit`: the slots were written before.
            waiting = self.words.producer().load(Ordering::Acquire).wrapping_sub(self.next);
        }
        let found = waiting.min(wanted);
        self.found = self.next.wrapping_add(found);
        found
    }

    /// The next of the items that [`Self::available`] has found; nothing where it has found no more.
    #[inline]
    pub fn read(&mut self) -> Option<T> {
        if self.next == self.found {
            return None;
        }
        // SAFETY: `next` lies before `found`, which is not beyond the producer's index, whose release we have acquired, so
        // the slot is submitted; and not before `released`, so it is not given back.
        let item = unsafe { self.words.read(self.next) };
        self.next = self.next.wrapping_add(1);
        Some(item)
    }

    /// How many items may be read without a further look at the shared word.
    #[inline]
    pub(crate) fn found(&self) -> u32 {
        self.found.wrapping_sub(self.next)
    }

    /// The item that is `ahead` of the next.
    ///
    /// # Safety
    /// `ahead` must be below [`Self::found`].
    #[inline]
    pub(crate) unsafe fn peek(&self, ahead: u32) -> T {
        // SAFETY: the slot lies between `next` and `found`, as in `read`.
        unsafe { self.words.read(self.next.wrapping_add(ahead)) }
    }

    /// Counts `count` items as read: at most those found.
    #[inline]
    pub(crate) fn skip(&mut self, count: u32) {
        self.next = self.next.wrapping_add(count.min(self.found()));
    }

    /// Gives every slot that was read back to the producer. Costs a compare where nothing was read.
    #[inline]
    pub fn release(&mut self) {
        if self.released != self.next {
            self.released = self.next;
            // Meets the acquire in `Producer::room`: the slots are read before the index says so.
            self.words.consumer().store(self.next, Ordering::Release);
        }
    }

    /// Asks the producer to wake this side after it submits, or takes that back: the kernel's part of AF_XDP.
    pub fn ask_for_wakeup(&mut self, asked: Wakeup) {
        self.words.set_wants_wakeup(match asked {
            Wakeup::Wanted => NEED_WAKEUP,
            Wakeup::Needless => 0,
        });
    }
}

/// Whether a consumer must be told of new items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// It sleeps, and has to be woken.
    Wanted,
    /// It looks by itself.
    Needless,
}

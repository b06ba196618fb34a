//! The writing end.
#![expect(
    unsafe_code,
    reason = "the slot that is written is proven to be the producer's, here where the indices are"
)]

use core::sync::atomic::Ordering;

#[cfg(feature = "alloc")]
use alloc::sync::Arc;

use crate::Consumer;
#[cfg(feature = "alloc")]
use crate::memory::Memory;
use crate::words::{RawParts, Words};

/// The writing end of a ring: room, write, submit.
#[derive(Debug)]
pub struct Producer<T> {
    words: Words<T>,
    /// The index of the next slot to write. From `submitted` to here: written, not yet visible.
    next: u32,
    /// What the `producer` word says. Nobody else writes it.
    submitted: u32,
    /// One past the last slot that may be written: a copy of the `consumer` word, as it is or older, plus the size.
    end: u32,
    #[cfg(feature = "alloc")]
    _memory: Option<Arc<Memory<T>>>,
}

impl<T: Copy> Producer<T> {
    /// The producer of a ring in memory that something else keeps.
    ///
    /// # Safety
    /// For as long as the producer is used, the pointers must be aligned and valid for reads and writes, the slots for
    /// `size` of them; nothing else may write the `producer` word or the slots; whoever writes the `consumer` word
    /// must not touch a slot after he has released it.
    pub unsafe fn from_raw_parts(parts: RawParts<T>) -> Self {
        // SAFETY: the caller's promise is the one that `Words::new` asks for.
        let words = unsafe { Words::new(parts) };
        let submitted = words.producer().load(Ordering::Relaxed);
        let end = words.consumer().load(Ordering::Acquire).wrapping_add(words.size());
        Self {
            words,
            next: submitted,
            submitted,
            end,
            #[cfg(feature = "alloc")]
            _memory: None,
        }
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn in_memory(memory: Arc<Memory<T>>) -> Self {
        // SAFETY: the parts point into `memory`, which lives as long as this producer, and `pair_at` makes only one.
        let producer = unsafe { Self::from_raw_parts(memory.parts()) };
        Self { _memory: Some(memory), ..producer }
    }

    /// The number of slots.
    #[inline]
    pub fn size(&self) -> u32 {
        self.words.size()
    }

    /// The free-running index of the next slot to write: how many items were ever written, modulo 2^32.
    #[inline]
    pub fn written(&self) -> u32 {
        self.next
    }

    /// How many slots can be written now: exact at the moment of reading, since then only more.
    #[inline]
    pub fn room(&mut self) -> u32 {
        // Meets the release in `Consumer::release`: what was read of those slots was read before.
        self.end = self.words.consumer().load(Ordering::Acquire).wrapping_add(self.size());
        self.end.wrapping_sub(self.next)
    }

    /// Writes the next slot; gives the item back where the ring is full. Invisible until [`Self::submit`].
    ///
    /// # Errors
    /// The item, if the consumer has not released a slot for it.
    #[inline]
    pub fn write(&mut self, item: T) -> Result<(), T> {
        if self.next == self.end && self.room() == 0 {
            return Err(item);
        }
        // SAFETY: `next` lies before `end`, one size beyond the consumer's index, whose release we have acquired, so the
        // slot's former content lies behind that index; and it is not submitted, since `next` is beyond `submitted`.
        unsafe { self.words.write(self.next, item) };
        self.next = self.next.wrapping_add(1);
        Ok(())
    }

    /// Writes as many of `items` as there is room for, and gives their number. Invisible until [`Self::submit`].
    ///
    /// The check for room is made once, so that an item costs about 8 instructions where [`Self::write`] takes 15.
    #[inline]
    pub fn write_slice(&mut self, items: &[T]) -> u32 {
        let mut count = 0;
        for (item, ahead) in items.iter().zip(0..self.room()) {
            // SAFETY: `ahead` is below what `room` gave, so the slot is the producer's, as in `write`.
            unsafe { self.words.write(self.next.wrapping_add(ahead), *item) };
            count = ahead + 1;
        }
        self.next = self.next.wrapping_add(count);
        count
    }

    /// Moves at most `max` of the items that [`Consumer::available`] has found to this ring, and gives their number:
    /// read there and written here, both invisible until released and submitted. An item costs about 10 instructions.
    #[inline]
    pub fn write_from(&mut self, from: &mut Consumer<T>, max: u32) -> u32 {
        let count = max.min(self.room()).min(from.found());
        for ahead in 0..count {
            // SAFETY: `ahead` is below what `found` gave, and nothing was read since.
            let item = unsafe { from.peek(ahead) };
            // SAFETY: `ahead` is below what `room` gave, so the slot is the producer's, as in `write`.
            unsafe { self.words.write(self.next.wrapping_add(ahead), item) };
        }
        from.skip(count);
        self.next = self.next.wrapping_add(count);
        count
    }

    /// Makes everything written visible to the consumer. Costs a compare where nothing was written.
    #[inline]
    pub fn submit(&mut self) {
        if self.submitted != self.next {
            self.submitted = self.next;
            // Meets the acquire in `Consumer::available`: the slots are written before the index says so.
            self.words.producer().store(self.next, Ordering::Release);
        }
    }

    /// How many submitted items the consumer has not released yet.
    #[inline]
    pub fn pending(&mut self) -> u32 {
        self.end = self.words.consumer().load(Ordering::Acquire).wrapping_add(self.size());
        self.size() - self.end.wrapping_sub(self.submitted)
    }

    /// Whether the consumer has released every submitted item. Touches no shared word once that is known.
    #[inline]
    pub fn is_drained(&mut self) -> bool {
        self.submitted.wrapping_add(self.size()) == self.end || self.pending() == 0
    }

    /// Whether the consumer sleeps and asks to be woken.
    #[inline]
    pub fn wants_wakeup(&self) -> bool {
        self.words.wants_wakeup()
    }
}

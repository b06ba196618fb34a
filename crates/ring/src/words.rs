//! Where a ring lies: the three words and the slots, and the only places where they are dereferenced.
#![expect(
    unsafe_code,
    reason = "shared memory is reached through pointers; every access of a ring is in this file"
)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::NEED_WAKEUP;
use crate::sync::{AtomicU32, UnsafeCell};

/// One place of a ring.
pub type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// How many slots a ring has. Holding one proves that it is a power of two from 1 to 2^31, so that free-running
/// indices can be masked and "full" differs from "empty".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u32);

impl Size {
    /// The size of `slots` slots, if that is a power of two.
    pub const fn new(slots: u32) -> Option<Self> {
        if slots.is_power_of_two() { Some(Self(slots)) } else { None }
    }

    /// The number of slots.
    pub const fn slots(self) -> u32 {
        self.0
    }
}

/// Where a ring lies in memory that something else keeps mapped.
#[derive(Debug)]
pub struct RawParts<T> {
    /// The producer's index.
    pub producer: NonNull<AtomicU32>,
    /// The consumer's index.
    pub consumer: NonNull<AtomicU32>,
    /// The wake-up flag.
    pub flags: NonNull<AtomicU32>,
    /// The first of `size` slots.
    pub slots: NonNull<Slot<T>>,
    /// The number of slots.
    pub size: Size,
}

/// The words and slots of a ring, proven valid for as long as this lives.
#[derive(Debug)]
pub(crate) struct Words<T> {
    parts: RawParts<T>,
    mask: u32,
}

// SAFETY: `Words` is pointers to memory that no thread owns. It is moved with the one `Producer` or `Consumer` that
// holds it; what passes through the slots changes threads, so it must be `Send`.
unsafe impl<T: Send> Send for Words<T> {}

impl<T: Copy> Words<T> {
    /// # Safety
    /// For as long as the result is used, the pointers of `parts` must be aligned and valid for reads and writes (the
    /// slots for `size` of them), and nothing may write to the words and slots against the table in the crate's
    /// documentation. Whatever stands in a submitted slot must be a valid `T`.
    pub(crate) unsafe fn new(parts: RawParts<T>) -> Self {
        let mask = parts.size.slots() - 1;
        Self { parts, mask }
    }

    #[inline]
    pub(crate) fn size(&self) -> u32 {
        self.mask + 1
    }

    #[inline]
    pub(crate) fn producer(&self) -> &AtomicU32 {
        // SAFETY: valid by the contract of `new`; an atomic may be shared with its other side.
        unsafe { self.parts.producer.as_ref() }
    }

    #[inline]
    pub(crate) fn consumer(&self) -> &AtomicU32 {
        // SAFETY: valid by the contract of `new`; an atomic may be shared with its other side.
        unsafe { self.parts.consumer.as_ref() }
    }

    #[inline]
    pub(crate) fn wants_wakeup(&self) -> bool {
        // SAFETY: valid by the contract of `new`; an atomic may be shared with its other side.
        let flags = unsafe { self.parts.flags.as_ref() };
        flags.load(Ordering::Relaxed) & NEED_WAKEUP != 0
    }

    pub(crate) fn set_wants_wakeup(&self, flags: u32) {
        // SAFETY: valid by the contract of `new`; an atomic may be shared with its other side.
        let word = unsafe { self.parts.flags.as_ref() };
        word.store(flags, Ordering::Relaxed);
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot<T> {
        // SAFETY: masked, the index is below `size`, and the contract of `new` gives that many slots.
        let slot = unsafe { self.parts.slots.add((index & self.mask) as usize) };
        // SAFETY: valid by the contract of `new`; a cell may be shared, its content is guarded by the indices.
        unsafe { slot.as_ref() }
    }

    /// # Safety
    /// The slot of `index` must be the producer's: not submitted, or read and released by the consumer.
    #[inline]
    pub(crate) unsafe fn write(&self, index: u32, item: T) {
        self.slot(index).with_mut(|slot| {
            // SAFETY: the slot is the producer's by this function's contract, so nobody else touches it.
            unsafe { slot.write(MaybeUninit::new(item)) };
        });
    }

    /// # Safety
    /// The slot of `index` must be the consumer's: submitted, and not yet released.
    #[inline]
    pub(crate) unsafe fn read(&self, index: u32) -> T {
        let item = self.slot(index).with(|slot| {
            // SAFETY: the slot is the consumer's by this function's contract, so nobody writes to it.
            unsafe { slot.read() }
        });
        // SAFETY: a submitted slot was written before: with a `T` by `write`, or by the kernel as `new` demands.
        unsafe { item.assume_init() }
    }
}

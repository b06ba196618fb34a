//! Rings in own memory: the same layout and the same two ends, kept alive by the ends themselves.
#![expect(
    unsafe_code,
    reason = "the memory of a ring is shared by its two ends, which only its indices keep apart"
)]

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::sync::{AtomicU32, UnsafeCell};
use crate::words::{RawParts, Size, Slot};
use crate::{Consumer, Producer};

/// Keeps a word away from every other: see the crate's documentation for the number.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

const _: () = assert!(align_of::<Padded<u32>>() == 128 && size_of::<Padded<u32>>() == 128);

/// The words and slots of one ring.
#[derive(Debug)]
pub(crate) struct Memory<T> {
    producer: Padded<AtomicU32>,
    consumer: Padded<AtomicU32>,
    flags: Padded<AtomicU32>,
    slots: Box<[Slot<T>]>,
    size: Size,
}

// SAFETY: nothing is reached through `&Memory` but atomics and the addresses in `parts`; the slots behind those are
// touched by the one `Producer` and the one `Consumer` that `pair_at` makes, which their indices keep apart. An item
// may be written on one thread and read on another, so it must be `Send`.
unsafe impl<T: Send> Sync for Memory<T> {}

impl<T> Memory<T> {
    fn starting_at(size: Size, index: u32) -> Self {
        Self {
            producer: Padded(AtomicU32::new(index)),
            consumer: Padded(AtomicU32::new(index)),
            flags: Padded(AtomicU32::new(0)),
            slots: (0..size.slots()).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
            size,
        }
    }

    /// Where everything lies: good for as long as the `Memory` is neither moved nor dropped, which its `Arc` sees to.
    pub(crate) fn parts(&self) -> RawParts<T> {
        RawParts {
            producer: NonNull::from(&self.producer.0),
            consumer: NonNull::from(&self.consumer.0),
            flags: NonNull::from(&self.flags.0),
            slots: NonNull::from(&*self.slots).cast(),
            size: self.size,
        }
    }
}

/// The two ends of a new, empty ring in own memory.
pub fn pair<T: Copy + Send>(size: Size) -> (Producer<T>, Consumer<T>) {
    pair_at(size, 0)
}

/// The two ends of a new, empty ring whose indices start at `index`: shortly before 2^32, to see them wrap.
pub fn pair_at<T: Copy + Send>(size: Size, index: u32) -> (Producer<T>, Consumer<T>) {
    let memory = Arc::new(Memory::starting_at(size, index));
    (Producer::in_memory(Arc::clone(&memory)), Consumer::in_memory(memory))
}

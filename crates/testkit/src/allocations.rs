//! A counting allocator: what shows that a lane allocates nothing after its start.
//!
//! A test binary installs it once and asks what a piece of work did:
//!
//! ```
//! # use barelane_testkit as testkit;
//! use testkit::allocations::{self, CountingAllocator};
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//!
//! assert!(allocations::is_counted());
//! let (sum, found) = allocations::of(|| (1..=10).sum::<u32>());
//! assert_eq!((sum, found.taken), (55, 0));
//! ```
//!
//! The counts are each thread's own, so that tests which run side by side do not see each other.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait by its nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Constant initialisers without destructors: reaching them allocates nothing, also while a thread ends.
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    static GIVEN_BACK: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// What one thread asked of the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocations {
    /// Blocks taken, those that were made larger or smaller included.
    pub taken: u64,
    /// Blocks given back.
    pub given_back: u64,
    /// Bytes in the blocks taken.
    pub bytes: u64,
}

/// The system's allocator, counted.
#[derive(Debug)]
pub struct CountingAllocator;

/// What `work` gives, and what it asked of the allocator on this thread.
pub fn of<T>(work: impl FnOnce() -> T) -> (T, Allocations) {
    let before = so_far();
    let result = work();
    let after = so_far();
    let found = Allocations {
        taken: after.taken - before.taken,
        given_back: after.given_back - before.given_back,
        bytes: after.bytes - before.bytes,
    };
    (result, found)
}

/// Whether this binary's allocator is the counting one. A test that demands zero must first know that it would see one.
pub fn is_counted() -> bool {
    of(|| drop(std::hint::black_box(Box::new(1_u64)))).1.taken == 1
}

fn so_far() -> Allocations {
    Allocations { taken: TAKEN.get(), given_back: GIVEN_BACK.get(), bytes: BYTES.get() }
}

fn take(size: usize) {
    TAKEN.set(TAKEN.get() + 1);
    BYTES.set(BYTES.get() + size as u64);
}

// SAFETY: every method hands its arguments unchanged to `System` and gives back what that gave, so that the
// contract of `GlobalAlloc` holds because it holds for `System`. Counting touches constant-initialised thread-local
// cells only: it neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller of `alloc` gives a layout of non-zero size, which `System` asks for too.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller of `alloc_zeroed` gives a layout of non-zero size, which `System` asks for too.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        GIVEN_BACK.set(GIVEN_BACK.get() + 1);
        // SAFETY: every block that this allocator gave came from `System` with the same layout, and the caller of
        // `realloc` gives a block of ours, its layout, and a non-zero size.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        GIVEN_BACK.set(GIVEN_BACK.get() + 1);
        // SAFETY: every block that this allocator gave came from `System` with the same layout, and the caller of
        // `dealloc` gives a block of ours and its layout.
        unsafe { System.dealloc(block, layout) }
    }
}

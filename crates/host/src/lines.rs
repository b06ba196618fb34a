//! An allocator whose every block has its cache lines to itself.
//!
//! Two threads that write to one cache line take it from each other with every write, though neither touches what the other has
//! written: some hundred nanoseconds each time. Which blocks an ordinary allocator puts side by side is nobody's choice: the end
//! of one lane's stack of free frames and the beginning of another's may be one line. So each block begins at a multiple of
//! [`LINE`] and ends before the next one, and what a lane has on the heap is alone by construction.
//!
//! Costs up to 127 bytes a block and a slower search for one. Lanes allocate nothing after their start, and beside them nothing is in a
//! hurry.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait by its nature")]

use std::alloc::{GlobalAlloc, Layout, System};

/// Two lines of 64 bytes: on many processors the second of a pair is fetched with the first (Intel's optimization manual,
/// "spatial prefetcher"), and so taken away with it.
pub const LINE: usize = 128;

/// The system's allocator, by whole lines.
#[derive(Debug)]
pub struct WholeLines;

/// The same block, grown to whole lines. One that is too large for that stays as it is, and is refused as it would have been.
fn whole(layout: Layout) -> Layout {
    let size = layout.size().checked_next_multiple_of(LINE);
    let grown = size.and_then(|size| Layout::from_size_align(size, layout.align().max(LINE)).ok());
    grown.unwrap_or(layout)
}

// SAFETY: every method asks `System` for the block that `whole` makes of the caller's layout, which has at least its size and its
// alignment; and since `whole` is a function of the layout alone, a block is given back with the layout that it was taken by.
unsafe impl GlobalAlloc for WholeLines {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller of `alloc` gives a layout of non-zero size, and a grown one is not smaller.
        unsafe { System.alloc(whole(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller of `alloc_zeroed` gives a layout of non-zero size, and a grown one is not smaller.
        unsafe { System.alloc_zeroed(whole(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller of `dealloc` gives a block of ours and its layout, by which `System` gave it.
        unsafe { System.dealloc(block, whole(layout)) }
    }

    // `realloc` is left to the trait: it takes a new block by `alloc`, copies, and gives the old one back by `dealloc`.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_any_size_and_alignment_has_whole_lines() {
        for (size, align, whole_size, whole_align) in [
            (1, 1, 128, 128),
            (128, 8, 128, 128),
            (129, 16, 256, 128),
            (4096, 4096, 4096, 4096),
            (1, 256, 128, 256),
        ] {
            let grown = whole(Layout::from_size_align(size, align).unwrap());
            assert_eq!((grown.size(), grown.align()), (whole_size, whole_align), "{size} bytes at {align}");
        }
    }

    #[test]
    fn a_block_that_cannot_grow_stays_as_it_is() {
        let layout = Layout::from_size_align(isize::MAX as usize, 1).unwrap();
        assert_eq!(whole(layout), layout);
    }
}

//! Which frames of a queue are in its lane's hands. Known where debug assertions are on; elsewhere it is nothing, has
//! no size and costs no instruction.
//!
//! A [`Frame`](crate::Frame) is of the queue that gave it, and its type does not say which that is: two words hold an
//! address and a length, and a third would travel through every turn. So that a frame must come back to its own queue,
//! and only once, is a rule for the code that owns several of them. This finds who breaks it, in every test.

use super::umem::Layout;

/// A mark for each frame that is lent.
#[derive(Debug)]
pub(super) struct Lent {
    #[cfg(debug_assertions)]
    marks: Box<[bool]>,
    #[cfg(debug_assertions)]
    chunk_size: u32,
}

#[cfg(debug_assertions)]
impl Lent {
    pub(super) fn none_of(layout: Layout) -> Self {
        let marks = vec![false; layout.frame_count() as usize].into_boxed_slice();
        Self { marks, chunk_size: layout.chunk_size() }
    }

    /// The frame of this address leaves.
    pub(super) fn lend(&mut self, address: u32) {
        assert!(!self.replace(address, true), "a frame is given out twice");
    }

    /// It is back.
    pub(super) fn take_back(&mut self, address: u32) {
        assert!(
            self.replace(address, false),
            "a frame of another queue is given back, or one that is back already"
        );
    }

    /// Whether it has left and is not back.
    pub(super) fn has(&self, address: u32) -> bool {
        self.marks.get((address / self.chunk_size) as usize).is_some_and(|mark| *mark)
    }

    fn replace(&mut self, address: u32, mark: bool) -> bool {
        let place = self.marks.get_mut((address / self.chunk_size) as usize);
        // An address beyond this memory is another queue's: of it nothing is lent, and nothing can be.
        place.map_or(mark, |place| std::mem::replace(place, mark))
    }
}

#[cfg(not(debug_assertions))]
#[expect(clippy::unused_self, reason = "as where debug assertions are on")]
impl Lent {
    pub(super) const fn none_of(_layout: Layout) -> Self {
        Self {}
    }

    #[inline]
    pub(super) const fn lend(&mut self, _address: u32) {}

    #[inline]
    pub(super) const fn take_back(&mut self, _address: u32) {}

    #[inline]
    pub(super) const fn has(&self, _address: u32) -> bool {
        true
    }
}

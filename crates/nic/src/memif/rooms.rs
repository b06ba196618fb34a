//! Private memory for packets: one room for each packet of a burst, and some for packets of one's own.
//!
//! ```text
//!   index:   0 ……………… BURST_MAX - 1   BURST_MAX ………………… ROOMS - 1
//!            the packets of the newest    spare: lent one by one,
//!            burst, in their order        taken back in any order
//! ```
//!
//! A frame's address is the index of its room. Rooms lie a line further apart than they are long: at a power of two apart,
//! the first lines of all of them would meet in the same few places of a cache.

use super::LINE_SIZE;
use crate::queue::{BURST_MAX, Frame};

/// How many rooms there are.
const ROOMS: usize = 2 * BURST_MAX;

/// What all rooms hold at first.
const LEFTOVER: u8 = 0xa5;

/// The rooms, and where the packets in them came from.
#[derive(Debug)]
pub(super) struct Rooms {
    size: usize,
    stride: usize,
    bytes: Box<[u8]>,
    /// How long each packet of the burst is, and the slot that it came in.
    lens: [u32; BURST_MAX],
    slots: [u16; BURST_MAX],
    /// How many of the burst's packets are neither sent nor given back.
    held: usize,
    /// The spare rooms that nobody has.
    spare: Vec<u32>,
}

impl Rooms {
    /// Rooms of `size` bytes.
    #[expect(clippy::cast_possible_truncation, reason = "128 rooms")]
    pub(super) fn new(size: usize) -> Self {
        let stride = size + LINE_SIZE;
        Self {
            size,
            stride,
            bytes: vec![LEFTOVER; ROOMS * stride].into_boxed_slice(),
            lens: [0; BURST_MAX],
            slots: [0; BURST_MAX],
            held: 0,
            spare: (BURST_MAX as u32..ROOMS as u32).rev().collect(),
        }
    }

    /// How many bytes a room has.
    #[inline]
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Whether a new burst may be put into the rooms: nothing of the one before is there any more.
    #[inline]
    pub(super) const fn are_free(&self) -> bool {
        self.held == 0
    }

    /// How many packets are neither sent nor given back.
    #[expect(clippy::cast_possible_wrap, reason = "128 rooms")]
    pub(super) fn held(&self) -> i64 {
        (self.held + (ROOMS - BURST_MAX - self.spare.len())) as i64
    }

    /// How many spare rooms nobody has.
    #[expect(clippy::cast_possible_truncation, reason = "128 rooms")]
    pub(super) fn spare_count(&self) -> u32 {
        self.spare.len() as u32
    }

    /// The room of the burst's packet `index`, to be written into by one that came in `slot` and has `len` bytes.
    #[inline]
    pub(super) fn put(&mut self, index: usize, slot: u16, len: u32) -> Option<&mut [u8]> {
        *self.lens.get_mut(index)? = len;
        *self.slots.get_mut(index)? = slot;
        let start = index * self.stride;
        self.bytes.get_mut(start..start + len as usize)
    }

    /// So many packets were put.
    #[inline]
    pub(super) fn begin(&mut self, count: usize) {
        self.held = count;
    }

    /// The burst's packet `index`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "128 rooms")]
    pub(super) fn frame(&self, index: usize) -> Option<Frame> {
        Some(Frame::new(index as u32, *self.lens.get(index)?))
    }

    /// A spare room.
    pub(super) fn lend(&mut self) -> Option<Frame> {
        Some(Frame::new(self.spare.pop()?, 0))
    }

    /// Takes a room back.
    #[inline]
    pub(super) fn take_back(&mut self, frame: &Frame) {
        if (frame.address() as usize) < BURST_MAX {
            debug_assert!(self.held > 0, "a frame was given back twice");
            self.held = self.held.saturating_sub(1);
        } else {
            self.take_back_spare(frame.address());
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back_spare(&mut self, room: u32) {
        debug_assert!(!self.spare.contains(&room), "a frame was given back twice");
        // There is a place for each, so that nothing is allocated.
        self.spare.push(room);
    }

    /// The slot that a frame's packet came in, where it came.
    #[inline]
    pub(super) fn slot(&self, frame: &Frame) -> Option<u16> {
        self.slots.get(frame.address() as usize).copied()
    }

    /// The first `len` bytes of a frame's room.
    #[inline]
    pub(super) fn bytes(&self, frame: &Frame, len: usize) -> Option<&[u8]> {
        let start = frame.address() as usize * self.stride;
        self.bytes.get(start..start + len)
    }

    /// All of a frame's room.
    #[inline]
    pub(super) fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        let start = frame.address() as usize * self.stride;
        self.bytes.get_mut(start..start + self.size).unwrap_or_default()
    }
}

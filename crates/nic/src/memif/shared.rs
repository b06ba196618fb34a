//! Memory that the other end writes to at the same time: the only ways to read and write it.
//!
//! No reference to plain bytes of it is ever made. Words of the protocol are atomics, each read once where it is judged;
//! packets are copied, in and out, by instructions that the compiler does not look into. A copy may be torn where the other
//! end writes meanwhile: then it has sent a torn packet, which is parsed in private memory like any other.
//!
//! | what | how | checked |
//! |---|---|---|
//! | indices, flags, descriptors | [`Words`]: atomics at a checked place | once, when a ring is accepted |
//! | packets | [`Regions::copy_in`], [`Regions::copy_out`] | at every use, against what is mapped |
#![expect(
    unsafe_code,
    reason = "shared memory is reached through pointers; every access of it is in this file"
)]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

use super::sys::Mapping;

/// What the atomics of a ring need to be aligned to.
pub(super) const ALIGNMENT: usize = 16;

/// How many regions a connection may have. DPDK has one for its rings, and with zero-copy one for each list of segments.
pub(super) const REGIONS_MAX: usize = 16;

// So that the sum of an offset and a length, of 32 bits each, cannot overflow.
const _: () = assert!(usize::BITS >= 64);

/// The memory of one connection.
#[derive(Debug)]
pub(super) struct Regions {
    /// Where each begins, and its size: 0 of those that there are not.
    extents: [(NonNull<u8>, usize); REGIONS_MAX],
    mappings: Vec<Mapping>,
}

// SAFETY: the addresses are those of `mappings`, which may be used by all threads.
unsafe impl Send for Regions {}
// SAFETY: likewise.
unsafe impl Sync for Regions {}

impl Regions {
    /// These mappings, by their indices.
    pub(super) fn new(mappings: Vec<Mapping>) -> Option<Self> {
        if mappings.len() > REGIONS_MAX {
            return None;
        }
        let mut extents = [(NonNull::dangling(), 0); REGIONS_MAX];
        for (extent, mapping) in extents.iter_mut().zip(&mappings) {
            *extent = (mapping.base(), mapping.size());
        }
        Some(Self { extents, mappings })
    }

    /// Whether any of it went away.
    pub(super) fn are_lost(&self) -> bool {
        self.mappings.iter().any(Mapping::is_lost)
    }

    /// The first of `len` bytes at `offset` of a region; nothing where the region does not have all of them.
    #[inline]
    fn locate(&self, region: u16, offset: u32, len: usize) -> Option<NonNull<u8>> {
        let &(base, size) = self.extents.get(usize::from(region))?;
        let offset = offset as usize;
        // No sum overflows: an offset has 32 bits, and a length is that of a room.
        if offset + len > size {
            return None;
        }
        // SAFETY: a region that there is not has no byte, so that the check above has found a mapping, and `offset` lies
        // within it.
        Some(unsafe { base.add(offset) })
    }

    /// Copies as many bytes as `to` has. Says whether there were as many.
    #[inline]
    pub(super) fn copy_in(&self, region: u16, offset: u32, to: &mut [u8]) -> bool {
        let Some(from) = self.locate(region, offset, to.len()) else { return false };
        // SAFETY: `from` is valid for that many bytes of a mapping that `self` keeps; `to` is a reference to private memory,
        // so that the two do not overlap.
        unsafe { copy(from.as_ptr(), to.as_mut_ptr(), to.len()) };
        true
    }

    /// Copies `from` into a region. Says whether there was room.
    #[inline]
    pub(super) fn copy_out(&self, region: u16, offset: u32, from: &[u8]) -> bool {
        let Some(to) = self.locate(region, offset, from.len()) else { return false };
        // SAFETY: `to` is valid for that many bytes of a mapping that `self` keeps, to which there are no references; `from`
        // is a reference to private memory, so that the two do not overlap.
        unsafe { copy(from.as_ptr(), to.as_ptr(), from.len()) };
        true
    }

    /// Fetches the line at `offset`, to be written to: a line that comes to be read alone would have to be asked for a second
    /// time.
    #[inline]
    pub(super) fn prefetch(&self, region: u16, offset: u32) {
        if let Some(place) = self.locate(region, offset, 1) {
            prefetch(place.as_ptr());
        }
    }

    /// The words of a ring of `slots` slots at `offset`; nothing where they do not lie in the region, aligned.
    pub(super) fn words(self: &Arc<Self>, region: u16, offset: u32, slots: usize) -> Option<Words> {
        let base = self.locate(region, offset, Words::size(slots))?;
        let is_aligned = base.addr().get().is_multiple_of(ALIGNMENT);
        is_aligned.then(|| Words { base, mask: slots - 1, _regions: Arc::clone(self) })
    }
}

/// The words of one ring, where they lie (`memif_ring_t`): three lines, and then the slots.
///
/// ```text
///   0        4       6      8        64     66       128
///   ├────────┼───────┼──────┼── … ───┼──────┼── … ───┼─────────┬─────────┬── …
///   │ cookie │ flags │ head │        │ tail │        │ slot 0  │ slot 1  │
///   └────────┴───────┴──────┘        └──────┘        └─────────┴─────────┘
/// ```
#[derive(Debug)]
pub(super) struct Words {
    base: NonNull<u8>,
    mask: usize,
    _regions: Arc<Regions>,
}

// SAFETY: all access is by atomics, and the memory is kept by `_regions`.
unsafe impl Send for Words {}

const FLAGS: usize = 4;
const HEAD: usize = 6;
const TAIL: usize = 64;
const SLOTS: usize = 128;
const SLOT_SIZE: usize = 16;

impl Words {
    /// How many bytes a ring of `slots` slots has.
    pub(super) const fn size(slots: usize) -> usize {
        SLOTS + slots * SLOT_SIZE
    }

    #[inline]
    pub(super) fn cookie(&self) -> &AtomicU32 {
        // SAFETY: the first four bytes of a ring that `Regions::words` has found to lie in its region, aligned to 16.
        unsafe { self.base.cast().as_ref() }
    }

    #[inline]
    pub(super) fn flags(&self) -> &AtomicU16 {
        // SAFETY: within the ring's first line.
        let place = unsafe { self.base.add(FLAGS) };
        // SAFETY: as above, at an even place.
        unsafe { place.cast().as_ref() }
    }

    #[inline]
    pub(super) fn head(&self) -> &AtomicU16 {
        // SAFETY: within the ring's first line.
        let place = unsafe { self.base.add(HEAD) };
        // SAFETY: as above, at an even place.
        unsafe { place.cast().as_ref() }
    }

    #[inline]
    pub(super) fn tail(&self) -> &AtomicU16 {
        // SAFETY: within the ring's second line.
        let place = unsafe { self.base.add(TAIL) };
        // SAFETY: as above, at an even place.
        unsafe { place.cast().as_ref() }
    }

    /// The two halves of a slot: flags, region and length; offset and metadata.
    #[inline]
    pub(super) fn slot(&self, index: u16) -> &[AtomicU64; 2] {
        let offset = SLOTS + (usize::from(index) & self.mask) * SLOT_SIZE;
        // SAFETY: the mask is the number of slots less 1, so that the slot lies within the ring.
        let place = unsafe { self.base.add(offset) };
        // SAFETY: as above, at a multiple of 16.
        unsafe { place.cast().as_ref() }
    }

    /// Fetches the line of a slot, to be written to.
    #[inline]
    pub(super) fn prefetch_slot(&self, index: u16) {
        prefetch(self.slot(index).as_ptr().cast());
    }
}

#[inline]
fn prefetch(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; no address can make it fault.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Copies `len` bytes of which the other end may be writing some at the same time.
///
/// A copy by the language's own means would promise the compiler that nobody does. These instructions promise nothing: they
/// move what is there.
///
/// # Safety
/// `from` is valid for reads and `to` for writes of `len` bytes, and they do not overlap.
#[cfg(all(target_arch = "x86_64", not(any(miri, fuzzing))))]
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    if len < STEP {
        // SAFETY: the caller's promise.
        return unsafe { copy_bytes(from, to, len) };
    }
    let last = len - STEP;
    let mut at = 0;
    // Two steps from the front and two from the end, which overlap as they must, are all that a short packet needs.
    while at + 4 * STEP < len {
        for step in 0..4 {
            // SAFETY: `at + 64` is below `len`.
            unsafe { copy_step(from, to, at + step * STEP) };
        }
        at += 4 * STEP;
    }
    for place in [at, at + STEP, last.saturating_sub(STEP), last] {
        // SAFETY: `last` is one step below `len`, and all that is further is made that.
        unsafe { copy_step(from, to, place.min(last)) };
    }
}

/// What one step of a copy moves: a register.
#[cfg(all(target_arch = "x86_64", not(any(miri, fuzzing))))]
const STEP: usize = 16;

/// # Safety
/// `from` is valid for reads and `to` for writes of 16 bytes behind `at`.
#[cfg(all(target_arch = "x86_64", not(any(miri, fuzzing))))]
#[inline(always)]
unsafe fn copy_step(from: *const u8, to: *mut u8, at: usize) {
    // SAFETY: by the caller's promise. The instructions touch these 16 bytes and nothing else.
    unsafe {
        std::arch::asm!(
            "movdqu {chunk}, [{from} + {at}]",
            "movdqu [{to} + {at}], {chunk}",
            chunk = out(xmm_reg) _,
            from = in(reg) from,
            to = in(reg) to,
            at = in(reg) at,
            options(nostack, preserves_flags),
        );
    }
}

/// The same, where there is no assembly.
#[cfg(not(all(target_arch = "x86_64", not(any(miri, fuzzing)))))]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { copy_bytes(from, to, len) }
}

/// The same, byte by byte.
unsafe fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    for at in 0..len {
        // SAFETY: `at` is below `len`, for which the caller has promised.
        let from = unsafe { from.add(at) };
        // SAFETY: likewise.
        let to = unsafe { to.add(at) };
        // SAFETY: valid for a read, by the caller's promise; volatile, since others may write.
        let byte = unsafe { from.read_volatile() };
        // SAFETY: valid for a write, by the caller's promise; volatile, since others may read.
        unsafe { to.write_volatile(byte) };
    }
}

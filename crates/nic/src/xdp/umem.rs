//! The packet memory (UMEM) of one queue: one chunk per frame, pre-faulted and locked.
//!
//! ```text
//!   0        chunk                 2 × chunk                                   frames × chunk
//!   ├──────────┬──────────────────────┬───────────────── … ─────────────────────┤
//!   │ headroom │ packet        │ room │
//!   └──────────┴──────────────────────┘
//!              ▲ Frame::address       ▲ end of Queue::room_mut
//! ```
//!
//! Both the number of frames and the chunk are powers of two. So `address & (size - 1)` is an index that cannot be
//! out of bounds, and the end of a packet's room is `address | (chunk - 1)`: two instructions instead of a compare
//! and a branch per packet, and no way for a wrong address to leave the memory.
#![expect(unsafe_code, reason = "the kernel and the lane take turns with the same memory")]

use std::fmt;
use std::ptr::NonNull;

use super::error::XdpError;
use super::sys::Mapping;
use crate::queue::BURST_MAX;

/// What the kernel leaves free in front of a packet (`XDP_PACKET_HEADROOM`, include/uapi/linux/bpf.h).
pub(super) const HEADROOM: u32 = 256;
/// An Ethernet header and two VLAN tags: what a frame has beside its MTU.
const ETHERNET_LEN_MAX: u32 = 14 + 2 * 4;
const CHUNK_SIZES: [u32; 2] = [2048, 4096];
const PAGE_SIZE_NORMAL: usize = 4096;
const PAGE_SIZE_HUGE: usize = 2 << 20;

/// [`BURST_MAX`], as slots and frames are counted.
pub(super) const BURST: u32 = 64;
const _: () = assert!(BURST as usize == BURST_MAX);

/// The smallest ring. Half of it must hold a whole burst, twice: one being answered and one coming in.
pub const RING_SIZE_MIN: u32 = 4 * BURST;
/// The largest ring: its frames, of 4 KiB each, still have addresses of 32 bits, by far.
pub const RING_SIZE_MAX: u32 = 1 << 15;

const _: () = assert!(Layout::frames(RING_SIZE_MAX) as u64 * 4096 <= 1 << 32);

/// How the packet memory of one queue is cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    ring_size: u32,
    chunk_size: u32,
}

impl Layout {
    /// The layout for rings of `ring_size` slots and packets of `mtu` bytes. `interface` is for the message.
    pub fn new(ring_size: u32, mtu: u32, interface: &str) -> Result<Self, XdpError> {
        if !ring_size.is_power_of_two() || !(RING_SIZE_MIN..=RING_SIZE_MAX).contains(&ring_size) {
            return Err(XdpError::RingSize { found: ring_size });
        }
        let wanted = mtu.saturating_add(HEADROOM + ETHERNET_LEN_MAX);
        let chunk_size = CHUNK_SIZES.into_iter().find(|&size| size >= wanted);
        let chunk_size =
            chunk_size.ok_or_else(|| XdpError::Mtu { interface: interface.to_owned(), found: mtu })?;
        Ok(Self { ring_size, chunk_size })
    }

    /// The largest MTU that fits a chunk.
    pub const fn mtu_max() -> u32 {
        CHUNK_SIZES[1] - HEADROOM - ETHERNET_LEN_MAX
    }

    /// How many slots the fill and the receive ring have.
    pub const fn ring_size(self) -> u32 {
        self.ring_size
    }

    /// How many slots the transmit and the completion ring have. Half: a lane answers at most what it receives, and no
    /// more than half a ring of frames is ever with the receiver.
    pub const fn transmit_ring_size(self) -> u32 {
        self.ring_size / 2
    }

    /// How many frames are with the receiver, in the fill ring, the kernel's hands or the receive ring.
    ///
    /// Half a ring: the kernel publishes a received packet before it gives the fill ring's slot back, so a reader that
    /// refills at once could find a full fill ring.
    pub const fn receive_share(self) -> u32 {
        self.ring_size / 2
    }

    /// How many bytes one frame has, headroom included.
    pub const fn chunk_size(self) -> u32 {
        self.chunk_size
    }

    /// How many frames there are.
    pub const fn frame_count(self) -> u32 {
        Self::frames(self.ring_size)
    }

    /// A sum whose terms name their owners, made a power of two: what is over waits on the stack of free frames.
    const fn frames(ring_size: u32) -> u32 {
        let with_receiver = ring_size / 2;
        let in_the_lanes_hands = BURST;
        let in_the_transmit_ring = ring_size / 2;
        let with_the_card_or_completed = ring_size / 2;
        (with_receiver + in_the_lanes_hands + in_the_transmit_ring + with_the_card_or_completed)
            .next_power_of_two()
    }

    /// How many bytes all frames have.
    pub const fn size(self) -> usize {
        self.frame_count() as usize * self.chunk_size as usize
    }
}

/// Which pages the packet memory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// The processor's normal ones. Each burst then touches more of them than the first-level TLB holds.
    Normal,
    /// Huge ones of 2 MiB.
    Huge,
}

impl fmt::Display for PageSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Normal => "4 KiB",
            Self::Huge => "2 MiB",
        })
    }
}

/// The packet memory of one queue.
#[derive(Debug)]
pub(super) struct Region {
    mapping: Mapping,
    /// The size of all frames, less 1: kept, because working it out from the layout takes 18 instructions a packet.
    address_mask: u32,
    /// The size of one, less 1.
    chunk_mask: u32,
    layout: Layout,
    page_size: PageSize,
}

impl Region {
    /// Memory in huge pages where enough of them are free, else in normal ones; on `node` where one is given;
    /// faulted in and locked, so that no packet ever waits for a page.
    pub(super) fn locked(layout: Layout, node: Option<u32>) -> Result<Self, XdpError> {
        // Huge pages may be free, but on another node or beyond a limit: then normal ones do, and say why if not.
        match Self::huge(layout).and_then(|region| region.settled(node).ok()) {
            Some(region) => Ok(region),
            None => Self::normal(layout)?.settled(node),
        }
    }

    /// Itself, bound to its node and with every page in memory.
    fn settled(self, node: Option<u32>) -> Result<Self, XdpError> {
        if let Some(node) = node {
            self.mapping.bind_to_node(node).map_err(|source| XdpError::MemoryNode { node, source })?;
        }
        let size = self.mapping.size();
        self.mapping.lock().map_err(|source| XdpError::MemoryLocked { size, source })?;
        Ok(self)
    }

    /// Memory in normal pages, not locked: for simulations, which need no privileges.
    pub(super) fn normal(layout: Layout) -> Result<Self, XdpError> {
        let size = layout.size().next_multiple_of(PAGE_SIZE_NORMAL);
        let mapping =
            Mapping::anonymous(size, false).map_err(|source| XdpError::MemoryMap { size, source })?;
        Ok(Self::new(mapping, layout, PageSize::Normal))
    }

    fn huge(layout: Layout) -> Option<Self> {
        let mapping = Mapping::anonymous(layout.size().next_multiple_of(PAGE_SIZE_HUGE), true).ok()?;
        Some(Self::new(mapping, layout, PageSize::Huge))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 2^32 bytes, by the assertion on RING_SIZE_MAX"
    )]
    fn new(mapping: Mapping, layout: Layout, page_size: PageSize) -> Self {
        let size = layout.size();
        assert!(
            size.is_power_of_two() && size <= mapping.size(),
            "a mask would reach beyond the packet memory"
        );
        let address_mask = (size - 1) as u32;
        Self { mapping, address_mask, chunk_mask: layout.chunk_size() - 1, layout, page_size }
    }

    /// How it is cut up.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Which pages it has.
    pub(super) fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Where it begins, for the kernel.
    pub(super) fn address(&self) -> u64 {
        self.mapping.base().as_ptr() as u64
    }

    /// The room from a packet's first byte to the end of its chunk. Two masks, no branch.
    ///
    /// The caller holds the frame of this address, or has just taken it back from the kernel, and it is one of this memory's own: a
    /// precondition that no type proves (see [`lent`](super::lent)). Whoever breaks it sees bytes of this memory that may change under him, and
    /// never bytes outside of it.
    #[inline]
    pub(super) fn room_mut(&mut self, address: u32) -> &mut [u8] {
        let first = address & self.address_mask;
        let last = first | self.chunk_mask;
        // SAFETY: `new` has made sure that the mapping has a byte for each value of `address_mask`, so `first` lies within
        // it.
        let start = unsafe { self.mapping.base().add(first as usize) };
        let len = (last - first) as usize + 1;
        // SAFETY: `first..=last` is within one chunk, since setting all low bits stays below the next multiple of the
        // chunk, and chunks fill the region to its end. Bytes are always initialised: the mapping began as zeros. No
        // other reference into the region lives, because this one borrows it. The kernel does not touch the chunk of a
        // frame between its receive descriptor, or its address in the completion ring, and its transmit or fill descriptor, and
        // the frame is between them because it is held or was taken from the completion ring by this call's caller (what the
        // kernel wrote before is seen: `Consumer::available` acquires), given that it is this queue's. That last condition
        // is a rule, not a type: a lane owns one queue and gets no frame of another (`Lane::new` takes one, `serve` moves each
        // to a thread of its own), the measuring client keeps queue and frame together within one call, and with debug assertions each `room_mut`
        // of a queue looks whether it has lent the frame.
        unsafe { NonNull::slice_from_raw_parts(start, len).as_mut() }
    }

    /// The bytes before a packet, of its own chunk; nothing where it begins nearer to the chunk's beginning than that.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a few bytes")]
    pub(super) fn headroom_mut<const LEN: usize>(&mut self, address: u32) -> Option<&mut [u8; LEN]> {
        if address & self.chunk_mask < LEN as u32 {
            return None;
        }
        self.room_mut(address - LEN as u32).first_chunk_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        Region::normal(Layout::new(RING_SIZE_MIN, 1500, "in memory").unwrap()).unwrap()
    }

    #[test]
    fn rooms_end_with_their_chunk_and_do_not_overlap() {
        let mut region = region();
        let layout = region.layout();
        for index in 0..layout.frame_count() {
            let room = region.room_mut(index * layout.chunk_size() + HEADROOM);
            assert_eq!(room.len(), (layout.chunk_size() - HEADROOM) as usize);
            room.fill(u8::try_from(index % 251).unwrap());
        }
        for index in 0..layout.frame_count() {
            let room = region.room_mut(index * layout.chunk_size() + HEADROOM);
            assert!(room.iter().all(|&byte| u32::from(byte) == index % 251), "frame {index}");
        }
    }

    #[test]
    fn no_address_leaves_the_memory() {
        let mut region = region();
        let base = region.room_mut(0).as_ptr() as usize;
        for address in [0, 1, 2047, 2048, 1 << 20, (1 << 20) - 1, u32::MAX, u32::MAX - 2047] {
            let size = region.layout().size();
            let room = region.room_mut(address);
            let start = room.as_ptr() as usize - base;
            assert!(!room.is_empty() && start + room.len() <= size, "{address}");
            assert_eq!((start + room.len()) % 2048, 0, "{address}");
        }
    }

    #[test]
    fn the_bytes_before_a_packet_are_its_own_chunks() {
        let mut region = region();
        let chunk = region.layout().chunk_size();
        for (address, is_there) in
            [(chunk + HEADROOM, true), (chunk + 16, true), (chunk + 15, false), (chunk, false)]
        {
            assert_eq!(region.headroom_mut::<16>(address).is_some(), is_there, "{address}");
        }
        region.room_mut(chunk + HEADROOM - 16).fill(7);
        region.room_mut(chunk + HEADROOM).fill(9);
        assert_eq!(region.headroom_mut::<16>(chunk + HEADROOM), Some(&mut [7; 16]));
    }

    #[test]
    fn memory_is_locked_and_says_its_pages() {
        let region = Region::locked(region().layout(), None).unwrap();
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        if meminfo.lines().any(|line| line.starts_with("HugePages_Total:") && line.ends_with(" 0")) {
            assert_eq!(region.page_size(), PageSize::Normal);
        }
        println!("packet memory in pages of {}", region.page_size());
    }

    #[test]
    fn a_numa_node_that_is_not_there_is_named() {
        let layout = region().layout();
        let error = Region::locked(layout, Some(900)).unwrap_err();
        assert!(error.to_string().contains("NUMA node 900 cannot be had"), "{error}");
        assert!(Region::locked(layout, Some(5000)).is_err());
        assert!(Region::locked(layout, Some(0)).is_ok());
    }
}

//! One queue's two rings, and who may touch which of their slots.
//!
//! Both rings are in the client's memory, and in both the client writes `head` and the server `tail`:
//!
//! ```text
//!   to the server:   client fills slots, head moves ──▶ server reads them, tail moves
//!   to the client:   client puts empty buffers, head moves ──▶ server fills them, tail moves ──▶ client reads them
//! ```
//!
//! So for either role the ring that it receives by has an index of the peer's that says how far the packets reach, and one
//! of its own that gives slots back; and the ring that it sends by has one of its own that says how far the packets reach,
//! and one of the peer's that gives room. A client is a ring ahead in both: it begins with all slots its own to give
//! ([`Pair::lead`]).
//!
//! | index | of a server | of a client |
//! |---|---|---|
//! | receiving, the peer's | `head` of the ring to the server | `tail` of the ring to the client |
//! | receiving, our own | `tail`, what is taken | `head`, what is taken and a ring more |
//! | sending, our own | `tail` of the ring to the client | `head` of the ring to the server |
//! | sending, the peer's | `head`, as far as there are buffers | `tail`, and a ring more |
//!
//! A server finds in the slot where the buffer is, and trusts none of it: a place outside the peer's memory ends the
//! connection. A client knows where its own buffers are and never reads that from a slot, which the peer can write to. Its
//! answers leave from the buffer in which the question came: the two slots exchange their buffers.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering, fence};

use super::Role;
use super::fault::{Fault, FrameCounts};
use super::rooms::Rooms;
use super::shared::{Regions, Words};
use crate::queue::BURST_MAX;

/// The flag of a slot whose packet goes on in the next one.
const NEXT: u16 = 1;
/// The flag of a ring whose reader does not sleep.
const MASK_INTERRUPT: u16 = 1;
/// The mark of a ring (`MEMIF_COOKIE`).
pub(super) const COOKIE: u32 = 0x03e3_1f20;

/// [`BURST_MAX`], as slots are counted.
const BURST: u16 = 64;
const _: () = assert!(BURST as usize == BURST_MAX);

/// How often the interrupt flag is looked at again after packets were sent: see [`Pair::publish`].
const LOOKS: u8 = 2;

/// What the rings of a queue are made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) role: Role,
    pub(super) regions: Arc<Regions>,
    pub(super) rx: Words,
    pub(super) tx: Words,
    pub(super) rx_size: u16,
    pub(super) tx_size: u16,
    pub(super) rx_event: OwnedFd,
    pub(super) tx_event: OwnedFd,
    /// Where a client's buffers are.
    pub(super) buffers: Option<Buffers>,
}

/// A client's buffers, all in region 0, by the slots that they are in.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) rx: Box<[u32]>,
    pub(super) tx: Box<[u32]>,
    pub(super) size: u32,
}

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSent {
    Full,
    Fault(Fault),
}

/// The two rings of one queue, and where we are in them. Made by the control thread, used by one lane, and dropped by the
/// control thread.
#[derive(Debug)]
pub(super) struct Pair {
    /// Which connection it belongs to.
    pub(super) generation: u32,
    parts: Parts,
    /// The next slot to look at.
    rx_next: u16,
    /// The first slot that has not been given back.
    rx_owed: u16,
    /// The next slot to write.
    tx_next: u16,
    /// The first slot that the peer has not been told of.
    tx_unpublished: u16,
    /// One past the last slot that may be written, as was last read.
    tx_end: u16,
    is_in_chain: bool,
    /// How often the peer's flag is still to be looked at.
    looks: u8,
}

impl Pair {
    /// A connection's queue, with nothing received or sent. Puts the rings in order for that.
    pub(super) fn new(generation: u32, parts: Parts, is_polling: bool) -> Self {
        let mut pair = Self {
            generation,
            parts,
            rx_next: 0,
            rx_owed: 0,
            tx_next: 0,
            tx_unpublished: 0,
            tx_end: 0,
            is_in_chain: false,
            looks: 0,
        };
        pair.mask_interrupts(is_polling);
        pair.tx_own().store(0, Ordering::Relaxed);
        if pair.parts.role == Role::Client {
            // All its buffers are still to be given.
            pair.rx_owed = pair.rx_next.wrapping_sub(pair.parts.rx_size);
        }
        pair.give_back();
        pair
    }

    /// By how much a client's indices are ahead: a whole ring.
    #[inline]
    fn lead(&self, ring_size: u16) -> u16 {
        if self.parts.role == Role::Client { ring_size } else { 0 }
    }

    #[inline]
    fn rx_peers(&self) -> &AtomicU16 {
        if self.parts.role == Role::Client { self.parts.rx.tail() } else { self.parts.rx.head() }
    }

    #[inline]
    fn rx_own(&self) -> &AtomicU16 {
        if self.parts.role == Role::Client { self.parts.rx.head() } else { self.parts.rx.tail() }
    }

    #[inline]
    fn tx_own(&self) -> &AtomicU16 {
        if self.parts.role == Role::Client { self.parts.tx.head() } else { self.parts.tx.tail() }
    }

    #[inline]
    fn tx_peers(&self) -> &AtomicU16 {
        if self.parts.role == Role::Client { self.parts.tx.tail() } else { self.parts.tx.head() }
    }

    /// The event by which the peer wakes us.
    pub(super) fn rx_event(&self) -> &OwnedFd {
        &self.parts.rx_event
    }

    /// The event by which the peer is woken.
    pub(super) fn tx_event(&self) -> &OwnedFd {
        &self.parts.tx_event
    }

    /// How many slots have been taken and not given back.
    #[inline]
    pub(super) fn owed(&self) -> u16 {
        self.rx_next.wrapping_sub(self.rx_owed)
    }

    /// How many packets wait, how many slots the peer has to receive by, and how many packets it has not taken yet. What it says
    /// of itself is not believed beyond a ring.
    pub(super) fn depths(&self) -> (u32, u32, u32) {
        let (rx_size, tx_size) = (self.parts.rx_size, self.parts.tx_size);
        let rx = self.rx_peers().load(Ordering::Relaxed).wrapping_sub(self.rx_next).min(rx_size);
        let fill = rx_size.saturating_sub(rx).saturating_sub(self.owed());
        let tx_end = self.tx_peers().load(Ordering::Relaxed).wrapping_add(self.lead(tx_size));
        let room = tx_end.wrapping_sub(self.tx_next).min(tx_size);
        (rx.into(), fill.into(), (tx_size - room).into())
    }

    /// Whether anything waits.
    pub(super) fn is_empty(&self) -> bool {
        self.rx_peers().load(Ordering::Acquire) == self.rx_next
    }

    /// Looks at what waits, each slot once, and copies what can be taken into the rooms. Gives how many packets that are.
    ///
    /// # Errors
    /// What the peer did wrong. Nothing of this ring can be believed then.
    #[inline]
    pub(super) fn look(&mut self, rooms: &mut Rooms, counts: &FrameCounts) -> Result<usize, Fault> {
        let waiting = self.rx_peers().load(Ordering::Acquire).wrapping_sub(self.rx_next);
        if waiting == 0 {
            return Ok(0);
        }
        if waiting > self.parts.rx_size {
            return Err(Fault::IndexInvalid);
        }
        self.prefetch_answer();
        let mut taken = 0;
        for _ in 0..waiting.min(BURST) {
            let slot = self.rx_next;
            self.rx_next = slot.wrapping_add(1);
            let (flags, region, offset, len) = self.packet_in(slot);
            if !self.is_whole(flags, counts) || !is_fit(len, rooms.size(), counts) {
                continue;
            }
            let room = rooms.put(taken, slot, len).unwrap_or_default();
            if !self.parts.regions.copy_in(region, offset, room) {
                return Err(Fault::BufferInvalid);
            }
            taken += 1;
        }
        Ok(taken)
    }

    /// Fetches the lines that the first answer will be written to, while the question comes. A client's answer goes into the
    /// question's buffer.
    #[inline]
    fn prefetch_answer(&self) {
        self.parts.tx.prefetch_slot(self.tx_next);
        if self.parts.role == Role::Client {
            let (_, region, offset, _) = self.packet_in(self.rx_next);
            self.parts.regions.prefetch(region, offset);
        }
    }

    /// Flags, region, offset and length of what is in a slot.
    #[inline]
    fn packet_in(&self, slot: u16) -> (u16, u16, u32, u32) {
        let [first, second] = self.parts.rx.slot(slot);
        let (flags, region, len) = unpack(first.load(Ordering::Relaxed));
        match &self.parts.buffers {
            Some(buffers) => (flags, 0, of(&buffers.rx, slot), len),
            None => (flags, region, unpack_offset(second.load(Ordering::Relaxed)), len),
        }
    }

    /// Whether a slot has all of a packet. The slots of one in several buffers are passed over, and it is counted once.
    #[inline]
    fn is_whole(&mut self, flags: u16, counts: &FrameCounts) -> bool {
        let goes_on = flags & NEXT != 0;
        if !goes_on && !self.is_in_chain {
            return true;
        }
        self.pass_over(goes_on, counts);
        false
    }

    #[cold]
    fn pass_over(&mut self, goes_on: bool, counts: &FrameCounts) {
        self.is_in_chain = goes_on;
        if !goes_on {
            counts.chained.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Puts a packet into the next slot. `origin` is the slot that it came in, where it is an answer.
    ///
    /// # Errors
    /// There is no room, or no buffer long enough; or the peer did something wrong.
    #[inline]
    pub(super) fn put(
        &mut self,
        packet: &[u8],
        origin: Option<u16>,
        counts: &FrameCounts,
    ) -> Result<(), NotSent> {
        if self.tx_next == self.tx_end {
            self.look_for_room()?;
        }
        let slot = self.tx_next;
        let [first, second] = self.parts.tx.slot(slot);
        let (region, offset, capacity) = if let Some(buffers) = &mut self.parts.buffers {
            (0, buffers.next(slot, origin), buffers.size)
        } else {
            let (_, region, capacity) = unpack(first.load(Ordering::Relaxed));
            (region, unpack_offset(second.load(Ordering::Relaxed)), capacity)
        };
        if packet.len() > capacity as usize {
            counts.buffer_short.fetch_add(1, Ordering::Relaxed);
            return Err(NotSent::Full);
        }
        if !self.parts.regions.copy_out(region, offset, packet) {
            return Err(NotSent::Fault(Fault::BufferInvalid));
        }
        if self.parts.role == Role::Client {
            second.store(pack_offset(offset), Ordering::Relaxed);
        }
        first.store(pack(region, packet.len()), Ordering::Relaxed);
        self.tx_next = slot.wrapping_add(1);
        Ok(())
    }

    /// Reads how far the peer has come, when what was last read is used up.
    fn look_for_room(&mut self) -> Result<(), NotSent> {
        let size = self.parts.tx_size;
        self.tx_end = self.tx_peers().load(Ordering::Acquire).wrapping_add(self.lead(size));
        match self.tx_end.wrapping_sub(self.tx_next) {
            0 => Err(NotSent::Full),
            room if room <= size => Ok(()),
            _ => {
                self.tx_end = self.tx_next;
                Err(NotSent::Fault(Fault::IndexInvalid))
            }
        }
    }

    /// Tells the peer of what was put. Says whether it sleeps and must be woken.
    ///
    /// The flag orders nothing: a peer that has just said that it will sleep, and looked for packets before these were to be
    /// seen, is told by the next look. A fence would make sure at once, and costs what a packet costs.
    #[inline]
    pub(super) fn publish(&mut self) -> bool {
        if self.tx_unpublished == self.tx_next {
            return false;
        }
        self.tx_own().store(self.tx_next, Ordering::Release);
        self.tx_unpublished = self.tx_next;
        self.looks = LOOKS;
        self.wants_kick()
    }

    /// Whether the peer sleeps and has not been woken since packets were last sent.
    #[inline]
    pub(super) fn wants_kick(&mut self) -> bool {
        if self.looks == 0 {
            return false;
        }
        self.looks -= 1;
        let sleeps = self.parts.tx.flags().load(Ordering::Relaxed) & MASK_INTERRUPT == 0;
        if sleeps {
            self.looks = 0;
        }
        sleeps
    }

    /// Gives back the slots of all packets that were taken. A client puts their buffers into them anew.
    pub(super) fn give_back(&mut self) {
        if let Some(buffers) = &self.parts.buffers {
            let mut slot = self.rx_owed;
            while slot != self.rx_next {
                let [first, second] = self.parts.rx.slot(slot);
                second.store(pack_offset(of(&buffers.rx, slot)), Ordering::Relaxed);
                first.store(pack(0, buffers.size as usize), Ordering::Relaxed);
                slot = slot.wrapping_add(1);
            }
        }
        self.rx_owed = self.rx_next;
        let own = self.rx_next.wrapping_add(self.lead(self.parts.rx_size));
        self.rx_own().store(own, Ordering::Release);
    }

    /// Says whether the peer has to wake us.
    pub(super) fn mask_interrupts(&self, is_masked: bool) {
        let flags = if is_masked { MASK_INTERRUPT } else { 0 };
        self.parts.rx.flags().store(flags, Ordering::Relaxed);
        // Before the look at the ring that follows: a peer that does not see the flag yet has its packet seen by it.
        fence(Ordering::SeqCst);
    }
}

impl Buffers {
    /// The buffer to send from: that of the question where there is one, in exchange for that of the slot.
    #[inline]
    fn next(&mut self, slot: u16, origin: Option<u16>) -> u32 {
        let (rx_mask, tx_mask) = (self.rx.len() - 1, self.tx.len() - 1);
        let Some(own) = self.tx.get_mut(usize::from(slot) & tx_mask) else { return 0 };
        if let Some(theirs) = origin.and_then(|slot| self.rx.get_mut(usize::from(slot) & rx_mask)) {
            std::mem::swap(own, theirs);
        }
        *own
    }
}

#[inline]
fn of(buffers: &[u32], slot: u16) -> u32 {
    buffers.get(usize::from(slot) & (buffers.len() - 1)).copied().unwrap_or(0)
}

/// Whether a packet has a length that is taken.
#[inline]
fn is_fit(len: u32, len_max: usize, counts: &FrameCounts) -> bool {
    if (len.wrapping_sub(1) as usize) < len_max {
        return true;
    }
    count_unfit(len, counts);
    false
}

#[cold]
fn count_unfit(len: u32, counts: &FrameCounts) {
    let count = if len == 0 { &counts.empty } else { &counts.too_long };
    count.fetch_add(1, Ordering::Relaxed);
}

/// The first half of a slot (`memif_desc_t`): flags, region, length. In the byte order of the host.
#[inline]
fn unpack(half: u64) -> (u16, u16, u32) {
    let [flags0, flags1, region0, region1, len @ ..] = half.to_ne_bytes();
    (u16::from_ne_bytes([flags0, flags1]), u16::from_ne_bytes([region0, region1]), u32::from_ne_bytes(len))
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a packet is at most a room long")]
fn pack(region: u16, len: usize) -> u64 {
    let ([region0, region1], [len0, len1, len2, len3]) = (region.to_ne_bytes(), (len as u32).to_ne_bytes());
    u64::from_ne_bytes([0, 0, region0, region1, len0, len1, len2, len3])
}

/// The second half: offset, and metadata that nobody uses.
#[inline]
fn unpack_offset(half: u64) -> u32 {
    let [a, b, c, d, ..] = half.to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

#[inline]
fn pack_offset(offset: u32) -> u64 {
    let [a, b, c, d] = offset.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0])
}

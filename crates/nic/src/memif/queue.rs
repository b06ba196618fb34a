//! One memif queue as a lane sees it: two rings that a peer has too, and rooms that it has not.
//!
//! ```text
//!        the peer's, and ours                    ours alone
//!   ring ─▶ slot ─▶ buffer ── copied once ──▶ room ── parse, respond
//!   ring ◀─ slot ◀─ buffer ◀── copied once ───┘
//! ```
//!
//! A peer can write to all memory that it shares, at any time. So a packet is copied before it is looked at, and what was
//! checked stays true. That is one copy in and one out, of as many bytes as the packet has: some nanoseconds for a small one.
//! A room that has just been used is used next, so that all packets that are answered at once are answered in the same
//! lines of the first cache.
//!
//! Slots are given back to the peer when nothing waits, or when many are owed: each time takes lines from it that it is
//! about to write to.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::event;
use super::fault::Fault;
use super::pair::{NotSent, Pair, Waiting};
use super::post::Inbox;
use crate::queue::{BURST_MAX, Burst, FRAME_LEN_MIN, Frame, Queue};

/// How many rooms there are: those of a burst, and as many for packets of one's own.
const ROOMS: usize = 2 * BURST_MAX;

/// What all rooms hold at first.
const LEFTOVER: u8 = 0xa5;

/// Slots are given back under load when so many are owed. Each time takes the line of an index from the peer, so that
/// fewer cost it more; more make one packet wait for the giving back of many, and a ring has at least [`RING_SIZE_MIN`].
const GIVE_BACK_AT: u16 = 64;
/// Turns without a packet until slots are given back all the same: a peer with a short ring may wait for them. A peer that is
/// about to answer has by then done so.
const IDLE_GIVE_BACK: u32 = 32;
/// Turns without a packet until a lane that may sleep does: some ten microseconds, within which a stream's next packet comes.
const IDLE_SLEEP: u32 = 1024;
/// How long it sleeps at most: peers that look at the flag without a fence may miss that it sleeps, and connections come
/// without an event.
const SLEEP_MAX: Duration = Duration::from_millis(10);

/// The smallest ring that a client makes.
pub const RING_SIZE_MIN: u32 = 2 * GIVE_BACK_AT as u32;

/// What a lane does when nothing waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// It looks again at once, and its peer never has to wake it.
    Spin,
    /// It sleeps after some turns, until its peer wakes it by the event of the ring, or [`SLEEP_MAX`] has passed.
    Sleep,
}

/// The origin of a packet that came in no slot.
const NOWHERE: u32 = u32::MAX;

/// One queue of a memif interface.
#[repr(align(128))]
pub struct MemifQueue {
    pair: Option<Box<Pair>>,
    inbox: Inbox,
    idle: Idle,
    /// Turns since a packet came.
    idle_turns: u32,
    /// What was found by the newest look, and how much of it has been taken.
    burst: [Waiting; BURST_MAX],
    burst_len: usize,
    burst_taken: usize,
    /// Whether anything was found since the last flush.
    has_received: bool,
    room_size: usize,
    rooms: Box<[u8]>,
    /// The slot in which each room's packet came.
    origins: [u32; ROOMS],
    free: [u8; ROOMS],
    free_count: usize,
}

impl fmt::Debug for MemifQueue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MemifQueue")
            .field("pair", &self.pair)
            .field("idle", &self.idle)
            .field("free_count", &self.free_count)
            .finish_non_exhaustive()
    }
}

impl MemifQueue {
    /// A queue that nobody is connected to yet, for packets of at most `room_size` bytes, a power of two.
    #[expect(clippy::cast_possible_truncation, reason = "128 rooms")]
    pub(super) fn new(inbox: Inbox, room_size: usize, idle: Idle) -> Self {
        let mut free = [0; ROOMS];
        for (index, place) in free.iter_mut().enumerate() {
            *place = index as u8;
        }
        Self {
            pair: None,
            inbox,
            idle,
            idle_turns: 0,
            burst: [Waiting::default(); BURST_MAX],
            burst_len: 0,
            burst_taken: 0,
            has_received: false,
            room_size,
            rooms: vec![LEFTOVER; ROOMS * room_size].into_boxed_slice(),
            origins: [NOWHERE; ROOMS],
            free,
            free_count: ROOMS,
        }
    }

    /// A free room for a packet of one's own, empty so far, to be written into, given its length, and handed to
    /// [`Queue::tx`] or [`Queue::release`]; nothing where none is free, or nobody is connected.
    pub fn spare(&mut self) -> Option<Frame> {
        self.pair.as_ref()?;
        self.lend(0, NOWHERE)
    }

    /// Whether a peer is connected, as was seen by the last look.
    pub fn is_connected(&self) -> bool {
        self.pair.is_some()
    }

    /// How many frames are in the lane's hands: 0 between two turns, or one was lost or given back twice.
    #[expect(clippy::cast_possible_wrap, reason = "128 rooms")]
    pub fn held(&self) -> i64 {
        (ROOMS - self.free_count) as i64
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "rooms lie in some megabytes")]
    fn lend(&mut self, len: u32, origin: u32) -> Option<Frame> {
        let last = self.free_count.checked_sub(1)?;
        let room = usize::from(*self.free.get(last)?);
        self.free_count = last;
        *self.origins.get_mut(room)? = origin;
        Some(Frame::new((room * self.room_size) as u32, len))
    }

    /// Takes a room back. Gives the slot that its packet came in.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "128 rooms")]
    fn take_back(&mut self, frame: &Frame) {
        let room = frame.address() as usize / self.room_size;
        debug_assert!(self.free_count < ROOMS, "a frame was given back twice");
        if let Some(place) = self.free.get_mut(self.free_count) {
            *place = room as u8;
            self.free_count += 1;
        }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a slot's index, below 2^16, or NOWHERE")]
    fn origin(&self, frame: &Frame) -> Option<u16> {
        let room = frame.address() as usize / self.room_size;
        let origin = self.origins.get(room).copied().unwrap_or(NOWHERE);
        (origin != NOWHERE).then_some(origin as u16)
    }

    /// Takes what the control thread has sent.
    #[cold]
    #[inline(never)]
    fn take_news(&mut self) {
        self.inbox.take(&mut self.pair);
        // What came by the connection before has no slot in this one.
        self.origins = [NOWHERE; ROOMS];
        self.burst_taken = self.burst_len;
        self.idle_turns = 0;
    }

    /// Believes nothing of the peer any more, and touches none of its memory. The control thread ends the connection.
    #[cold]
    #[inline(never)]
    fn complain(&mut self, fault: Fault) {
        if let Some(pair) = self.pair.take() {
            self.inbox.complain(pair, fault);
        }
        (self.burst_len, self.burst_taken) = (0, 0);
    }

    /// Whether every packet that was found has been taken and has left its room, so that their slots can be given back.
    #[inline]
    fn is_done(&self) -> bool {
        self.burst_taken == self.burst_len && self.free_count == ROOMS
    }

    #[inline(never)]
    fn give_back(&mut self) {
        if let Some(pair) = &mut self.pair {
            pair.give_back();
        }
    }

    /// What is to be done in a turn without a packet, some time after the last one.
    #[cold]
    #[inline(never)]
    fn rest(&mut self) {
        let is_done = self.is_done();
        if let Some(pair) = &mut self.pair {
            if is_done && pair.owed() > 0 {
                pair.give_back();
            }
            if pair.wants_kick() {
                self.inbox.counts().kicks.fetch_add(1, Ordering::Relaxed);
                event::kick(pair.tx_event());
            }
        }
        if self.idle == Idle::Sleep && self.idle_turns >= IDLE_SLEEP {
            self.sleep();
        }
    }

    /// Waits until the peer wakes us, for a limited time.
    fn sleep(&mut self) {
        let patience = Timespec::try_from(SLEEP_MAX).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 10_000_000 });
        let Some(pair) = &self.pair else {
            let _slept = poll(&mut [], Some(&patience));
            return;
        };
        pair.mask_interrupts(false);
        if pair.is_empty() && !self.inbox.has_news() {
            let _woken = poll(&mut [PollFd::new(pair.rx_event(), PollFlags::IN)], Some(&patience));
        }
        pair.mask_interrupts(true);
        event::clear(pair.rx_event());
    }
}

impl Queue for MemifQueue {
    #[inline]
    fn rx(&mut self) -> Burst {
        if self.inbox.has_news() {
            self.take_news();
        }
        let Some(pair) = &mut self.pair else { return Burst { remaining: 0 } };
        #[expect(clippy::cast_possible_truncation, reason = "at most `BUFFER_SIZE_MAX`")]
        let found = pair.look(&mut self.burst, self.room_size as u32, self.inbox.counts());
        match found {
            #[expect(clippy::cast_possible_truncation, reason = "at most BURST_MAX")]
            Ok(found) => {
                (self.burst_len, self.burst_taken) = (found, 0);
                self.has_received |= found > 0;
                Burst { remaining: found as u32 }
            }
            Err(fault) => {
                self.complain(fault);
                Burst { remaining: 0 }
            }
        }
    }

    #[inline]
    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        burst.remaining = burst.remaining.checked_sub(1)?;
        let Waiting { offset, len, region, slot } = *self.burst.get(self.burst_taken)?;
        let frame = self.lend(len, slot.into())?;
        self.burst_taken += 1;
        let start = frame.address() as usize;
        let room = self.rooms.get_mut(start..start + len as usize)?;
        // It was there when it was looked at, in the same connection: regions do not change.
        let is_copied = self.pair.as_ref().is_some_and(|pair| pair.regions().copy_in(region, offset, room));
        debug_assert!(is_copied, "a packet's place was checked");
        Some(frame)
    }

    #[inline]
    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        let start = frame.address() as usize;
        self.rooms.get_mut(start..start + self.room_size).unwrap_or_default()
    }

    #[inline]
    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        let start = frame.address() as usize;
        debug_assert!(frame.len() >= FRAME_LEN_MIN, "{} bytes are no frame", frame.len());
        let origin = self.origin(&frame);
        let packet = self.rooms.get(start..start + frame.len());
        let (Some(packet), Some(pair)) = (packet, &mut self.pair) else { return Err(frame) };
        match pair.put(packet, origin, self.inbox.counts()) {
            Ok(()) => {
                self.take_back(&frame);
                Ok(())
            }
            Err(NotSent::Full) => Err(frame),
            Err(NotSent::Fault(fault)) => {
                self.complain(fault);
                Err(frame)
            }
        }
    }

    /// Always gives it back: there is no stack behind.
    #[inline]
    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        Err(frame)
    }

    #[inline]
    fn release(&mut self, frame: Frame) {
        self.take_back(&frame);
    }

    #[inline]
    fn flush(&mut self) {
        let Some(pair) = &mut self.pair else {
            self.idle_turns = self.idle_turns.saturating_add(1);
            if self.idle == Idle::Sleep {
                self.rest();
            }
            return;
        };
        if pair.publish() {
            self.inbox.counts().kicks.fetch_add(1, Ordering::Relaxed);
            event::kick(pair.tx_event());
        }
        if self.has_received {
            self.has_received = false;
            self.idle_turns = 0;
            if pair.owed() >= GIVE_BACK_AT && self.is_done() {
                self.give_back();
            }
            return;
        }
        self.idle_turns = self.idle_turns.wrapping_add(1);
        if self.idle_turns.is_multiple_of(IDLE_GIVE_BACK) {
            self.rest();
        }
    }
}

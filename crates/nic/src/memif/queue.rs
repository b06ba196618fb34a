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
//! The packets of a burst are copied one after the other before the first is answered, so that the processor fetches the
//! lines of several at a time.
//!
//! Slots are given back to the peer when nothing waits, or when many are owed: each time takes lines from it that it is
//! about to write to.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::event;
use super::fault::Fault;
use super::kick::Kicker;
use super::pair::{NotSent, Pair};
use super::post::Inbox;
use super::rooms::Rooms;
use crate::queue::{Burst, Depths, FRAME_LEN_MIN, Frame, Queue};

/// Slots are given back under load when so many are owed. Each time takes the line of an index from the peer, so that
/// fewer cost it more; more make one packet wait for the giving back of many, and a ring has at least [`RING_SIZE_MIN`].
const GIVE_BACK_AT: u16 = 64;
/// Turns without a packet until slots are given back all the same: a peer with a short ring may wait for them. A peer that is
/// about to answer has by then done so.
const IDLE_GIVE_BACK: u32 = 32;
/// Turns without a packet until a lane that may sleep does, and from one sleep to the next: some ten microseconds, within which
/// a stream's next packet comes. A lane looks whether it shall stop once in as many turns, and warms up for four times as
/// many: were each of them a sleep, it would stop after ten seconds, and not have started after thirty.
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

/// One queue of a memif interface.
#[repr(align(128))]
pub struct MemifQueue {
    pair: Option<Box<Pair>>,
    inbox: Inbox,
    rooms: Rooms,
    kicker: Kicker,
    /// How much of the newest burst has been taken.
    taken: usize,
    /// Whether anything was found since the last flush.
    has_received: bool,
    idle: Idle,
    /// Turns since a packet came, or since it slept.
    idle_turns: u32,
}

impl fmt::Debug for MemifQueue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MemifQueue")
            .field("pair", &self.pair)
            .field("idle", &self.idle)
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

impl MemifQueue {
    /// A queue that nobody is connected to yet, for packets of at most `room_size` bytes, a power of two.
    pub(super) fn new(inbox: Inbox, kicker: Kicker, room_size: usize, idle: Idle) -> Self {
        let rooms = Rooms::new(room_size);
        Self { pair: None, inbox, rooms, kicker, taken: 0, has_received: false, idle, idle_turns: 0 }
    }

    /// A free room for a packet of one's own, empty so far, to be written into, given its length, and handed to
    /// [`Queue::tx`] or [`Queue::release`]; nothing where none is free, or nobody is connected.
    pub fn spare(&mut self) -> Option<Frame> {
        self.pair.as_ref()?;
        self.rooms.lend()
    }

    /// The number of the connection, as was seen by the last look: each has another one. Nothing where no peer is connected.
    pub fn connection(&self) -> Option<u32> {
        self.pair.as_ref().map(|pair| pair.generation)
    }

    /// Whether a peer is connected, as was seen by the last look.
    pub fn is_connected(&self) -> bool {
        self.pair.is_some()
    }

    /// How many frames are in the lane's hands: 0 between two turns, or one was lost or given back twice.
    pub fn held(&self) -> i64 {
        self.rooms.held()
    }

    /// Takes what the control thread has sent.
    #[cold]
    #[inline(never)]
    fn take_news(&mut self) {
        self.inbox.take(&mut self.pair);
        self.idle_turns = 0;
    }

    /// Before a burst: touches none of the peer's memory any more. The control thread ends the connection.
    #[cold]
    #[inline(never)]
    fn give_up(&mut self, fault: Fault) {
        if let Some(pair) = self.pair.take() {
            self.inbox.complain(&pair, fault);
            self.inbox.give_back(pair);
        }
    }

    /// Within a burst: the rings stay, with every use of them checked as before, until the control thread takes them away.
    #[cold]
    #[inline(never)]
    fn complain(&self, fault: Fault) {
        if let Some(pair) = &self.pair {
            self.inbox.complain(pair, fault);
        }
    }

    /// What is to be done in a turn without a packet, some time after the last one.
    #[cold]
    #[inline(never)]
    fn rest(&mut self) {
        let is_done = self.rooms.are_free();
        if let Some(pair) = &mut self.pair {
            if is_done && pair.owed() > 0 {
                pair.give_back();
            }
            if pair.wants_kick() {
                self.inbox.counts().kicks.fetch_add(1, Ordering::Relaxed);
                self.kicker.kick(pair.tx_event().as_fd());
            }
        }
        if self.idle == Idle::Sleep && self.idle_turns >= IDLE_SLEEP {
            self.sleep();
            self.idle_turns = 0;
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
    /// Finds nothing where frames of the burst before are still held: their rooms are needed.
    #[inline]
    fn rx(&mut self) -> Burst {
        if self.inbox.has_news() {
            self.take_news();
        }
        let Some(pair) = &mut self.pair else { return Burst { remaining: 0 } };
        if !self.rooms.are_free() {
            return Burst { remaining: 0 };
        }
        match pair.look(&mut self.rooms, self.inbox.counts()) {
            #[expect(clippy::cast_possible_truncation, reason = "at most BURST_MAX")]
            Ok(found) => {
                self.rooms.begin(found);
                self.taken = 0;
                self.has_received |= found > 0;
                Burst { remaining: found as u32 }
            }
            Err(fault) => {
                self.give_up(fault);
                Burst { remaining: 0 }
            }
        }
    }

    #[inline]
    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        burst.remaining = burst.remaining.checked_sub(1)?;
        let frame = self.rooms.frame(self.taken)?;
        self.taken += 1;
        Some(frame)
    }

    #[inline]
    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.rooms.room_mut(frame)
    }

    #[inline]
    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        debug_assert!(frame.len() >= FRAME_LEN_MIN, "{} bytes are no frame", frame.len());
        let packet = self.rooms.bytes(&frame, frame.len());
        let (Some(packet), Some(pair)) = (packet, &mut self.pair) else { return Err(frame) };
        match pair.put(packet, self.rooms.slot(&frame), self.inbox.counts()) {
            Ok(()) => {
                self.rooms.take_back(&frame);
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
        self.rooms.take_back(&frame);
    }

    /// Buffers that are the peer's to fill count as `fill`, those that it has filled as `rx`, and answers that it has not taken as
    /// `tx`. Spare rooms are what is free.
    fn depths(&mut self) -> Option<Depths> {
        let (rx, fill, tx) = self.pair.as_ref().map_or((0, 0, 0), |pair| pair.depths());
        Some(Depths { free: self.rooms.spare_count(), fill, rx, tx, completion: 0, held: self.held() })
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
            self.kicker.kick(pair.tx_event().as_fd());
        }
        if self.has_received {
            self.has_received = false;
            self.idle_turns = 0;
            if pair.owed() >= GIVE_BACK_AT && self.rooms.are_free() {
                pair.give_back();
            }
            return;
        }
        self.idle_turns = self.idle_turns.wrapping_add(1);
        if self.idle_turns.is_multiple_of(IDLE_GIVE_BACK) {
            self.rest();
        }
    }
}

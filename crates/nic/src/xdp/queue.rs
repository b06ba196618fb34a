//! One AF_XDP queue as a lane sees it: four rings, one packet memory, and a stack of free frames.
//!
//! ```text
//!               fill ──▶ kernel ──▶ rx                  tx ──▶ kernel ──▶ completion
//!                ▲                   │                  ▲                     │
//!        recycle │                   ▼ next          tx │                     │ recycle
//!                └──── free ◀───── the lane ────────────┘                     │
//!                       ▲   release                                           │
//!                       └─────────────────────────────────────────────────────┘
//! ```
//!
//! Every frame is in exactly one place, and four indices of our own say where, without a look at what the kernel
//! writes: with the receiver are `fill.written − rx.taken`, with the sender `tx.written − completion.taken`, free are
//! those on the stack, and the rest are in the lane's hands ([`XdpQueue::held`], 0 between two turns).
//!
//! Frames are recycled when nothing waits, after the answer has left; under load when a burst's worth of frames has
//! accumulated. A packet that comes alone therefore waits for nothing but its own descriptor.
//!
//! The only system calls are made in [`Queue::flush`], which a lane must call every turn, empty ones too: in the mode
//! [`Wake::BusyPoll`] it is what drives the NIC.

use std::fmt;

use ring::{Consumer, Producer};

use super::lent::Lent;
use super::umem::{BURST, HEADROOM, Layout, PageSize, Region};
use crate::queue::{Burst, Depths, FRAME_LEN_MIN, Frame, Queue};

/// A place in the packet memory, with a packet (`struct xdp_desc`, `include/uapi/linux/if_xdp.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Descriptor {
    /// Where the packet begins.
    pub(super) address: u64,
    /// How many bytes it has.
    pub(super) len: u32,
    /// Flags: of packets in several buffers, which are not asked for, and of [metadata](super::departing).
    pub(super) options: u32,
}

const _: () = assert!(size_of::<Descriptor>() == size_of::<libc::xdp_desc>());

/// In copy mode one system call sends at most this many packets (`TX_BATCH_SIZE`, `net/xdp/xsk.c`).
const KICK_PACKETS: u32 = 32;
/// The most kicks of one flush: a whole burst, and what two turns before it could not send. What is left then is
/// tried again in the next turn.
const KICKS_MAX: u32 = 3 * BURST / KICK_PACKETS;
/// Recycle under load when this many frames are missing at the receiver. Fewer would touch the shared lines for each
/// packet; more would make one packet wait for the recycling of many.
const RECYCLE_AT: u32 = BURST;

/// Who wakes whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The kernel says when it has to be woken (`XDP_USE_NEED_WAKEUP`), and is woken only then.
    NeedWakeup,
    /// As `NeedWakeup`, and a turn that finds nothing drives the NIC from the lane's own core (`SO_PREFER_BUSY_POLL`).
    BusyPoll,
    /// The kernel never says; it is woken whenever something is to be sent.
    Spin,
}

/// What came of a kick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kick {
    /// The kernel has taken what it could.
    Taken,
    /// The kernel or the card is busy, or one call's share is used up. Asking again is right.
    Busy,
    /// The kernel cannot send now: the interface is down, or gone.
    Refused,
}

/// The kernel's side of a queue, so far as it has to be called. Implemented by the AF_XDP socket, and by the kernel
/// in memory of `testing`.
pub trait Kernel {
    /// Makes the kernel look at the transmit ring.
    fn kick_tx(&mut self) -> Kick;

    /// Makes the kernel look at the fill ring and at the NIC.
    fn wake_rx(&mut self);
}

/// How often the kernel was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kicks {
    /// Calls to send.
    pub tx: u64,
    /// Of those, how many found the kernel busy.
    pub tx_busy: u64,
    /// Of those, how many the kernel refused.
    pub tx_refused: u64,
    /// Calls to receive.
    pub rx: u64,
}

/// The four rings, from the lane's side.
#[derive(Debug)]
pub(super) struct Rings {
    pub(super) fill: Producer<u64>,
    pub(super) rx: Consumer<Descriptor>,
    pub(super) tx: Producer<Descriptor>,
    pub(super) completion: Consumer<u64>,
}

/// The frames that nobody has. Last in, first out: the frame used last is the one that is still cached.
struct Free {
    addresses: Box<[u64]>,
    count: u32,
}

impl fmt::Debug for Free {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Free").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Free {
    fn all_of(layout: Layout) -> Self {
        let addresses: Box<[u64]> = (0..u64::from(layout.frame_count()))
            .map(|index| index * u64::from(layout.chunk_size()))
            .collect();
        Self { count: layout.frame_count(), addresses }
    }

    /// The room never ends, since there are as many places as frames.
    #[inline]
    fn push(&mut self, address: u64) {
        debug_assert!((self.count as usize) < self.addresses.len(), "a frame was given back twice");
        if let Some(place) = self.addresses.get_mut(self.count as usize) {
            *place = address;
            self.count += 1;
        }
    }

    /// The newest `count`, or all where there are fewer.
    #[inline]
    fn last(&self, count: u32) -> &[u64] {
        let end = self.count as usize;
        self.addresses.get(end.saturating_sub(count as usize)..end).unwrap_or_default()
    }

    /// Forgets the newest `count`.
    #[inline]
    fn discard(&mut self, count: u32) {
        self.count = self.count.saturating_sub(count);
    }
}

/// One AF_XDP queue.
///
/// The order of the fields is the order in which they are dropped: the rings before the socket that mapped them, the
/// packet memory last.
#[derive(Debug)]
#[repr(align(128))]
pub struct XdpQueue<K: Kernel> {
    rings: Rings,
    free: Free,
    lent: Lent,
    /// How many frames the receiver is to have: [`Layout::receive_share`].
    receive_share: u32,
    wake: Wake,
    has_received: bool,
    kicks: Kicks,
    kernel: K,
    region: Region,
}

impl<K: Kernel> XdpQueue<K> {
    /// A queue over new rings: the receiver has its share of frames, all others are free.
    pub(super) fn new(rings: Rings, region: Region, wake: Wake, kernel: K) -> Self {
        let free = Free::all_of(region.layout());
        let lent = Lent::none_of(region.layout());
        let receive_share = region.layout().receive_share();
        let kicks = Kicks::default();
        let mut queue =
            Self { rings, free, lent, receive_share, wake, has_received: false, kicks, kernel, region };
        queue.recycle(receive_share);
        queue
    }

    /// A free buffer for a packet of one's own, empty so far, to be written into, given its length, and handed to
    /// [`Queue::tx`] or [`Queue::release`]; nothing where none is free. For the measuring client, and for what a lane is asked
    /// beside its ring: else it answers in the buffer that the question came in.
    pub fn spare(&mut self) -> Option<Frame> {
        // What is sent without being asked leaves nothing missing at the receiver, so nothing else takes it back.
        if self.with_sender() >= BURST {
            self.reap();
        }
        self.take_free()
    }

    /// The same, of what is free already.
    #[expect(clippy::cast_possible_truncation, reason = "an address of our own packet memory, below 2^32")]
    pub(super) fn take_free(&mut self) -> Option<Frame> {
        let address = self.free.last(1).first().copied()?;
        self.free.discard(1);
        let chunk = address as u32 & !(self.layout().chunk_size() - 1);
        self.lent.lend(chunk);
        Some(Frame::new(chunk | HEADROOM, 0))
    }

    /// The bytes before a frame's first, where the kernel puts what a program has written there.
    #[inline]
    pub(super) fn headroom_mut<const LEN: usize>(&mut self, frame: &Frame) -> Option<&mut [u8; LEN]> {
        debug_assert!(self.lent.has(frame.address()), "a frame of another queue");
        self.region.headroom_mut(frame.address())
    }

    /// The same of a frame that the kernel has given back, by its address.
    #[inline]
    pub(super) fn headroom_of_sent<const LEN: usize>(&mut self, address: u32) -> Option<&mut [u8; LEN]> {
        debug_assert!(!self.lent.has(address), "a frame that was sent is nobody's");
        self.region.headroom_mut(address)
    }

    /// How often the kernel was called so far.
    pub fn kicks(&self) -> Kicks {
        self.kicks
    }

    /// Which pages the packet memory has.
    pub fn page_size(&self) -> PageSize {
        self.region.page_size()
    }

    /// How the packet memory is cut up.
    pub fn layout(&self) -> Layout {
        self.region.layout()
    }

    /// The kernel's side.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Both sides of the border, for the kernel in memory.
    #[cfg(feature = "testing")]
    pub(super) fn parts_mut(&mut self) -> (&mut K, &mut Region) {
        (&mut self.kernel, &mut self.region)
    }

    /// How many frames are in the lane's hands: 0 between two turns, or one was lost or given back twice.
    pub fn held(&self) -> i64 {
        let elsewhere = [self.with_receiver(), self.with_sender(), self.free.count].map(i64::from);
        i64::from(self.layout().frame_count()) - elsewhere.iter().sum::<i64>()
    }

    /// Where every frame is. Reads the kernel's words: for tests and for the side channel, not for the road.
    pub fn depths(&mut self) -> Depths {
        let held = self.held();
        let rings = &mut self.rings;
        Depths {
            free: self.free.count,
            fill: rings.fill.pending(),
            rx: rings.rx.available(rings.rx.size()),
            tx: rings.tx.pending(),
            completion: rings.completion.available(rings.completion.size()),
            held,
        }
    }

    /// Whether answers wait in the transmit ring for the kernel to take them.
    pub(super) fn has_unsent(&mut self) -> bool {
        !self.rings.tx.is_drained()
    }

    #[inline]
    fn with_receiver(&self) -> u32 {
        self.rings.fill.written().wrapping_sub(self.rings.rx.taken())
    }

    #[inline]
    fn with_sender(&self) -> u32 {
        self.rings.tx.written().wrapping_sub(self.rings.completion.taken())
    }

    #[inline]
    fn missing_at_receiver(&self) -> u32 {
        self.receive_share - self.with_receiver()
    }

    /// Gives the receiver the frames that it misses: those that were sent, straight from ring to ring, and then free
    /// ones. Addresses are written as they are: the kernel masks what lies below a chunk
    /// (`Documentation/networking/af_xdp.rst`, "UMEM Fill Ring").
    #[inline(never)]
    fn recycle(&mut self, missing: u32) {
        let Rings { fill, completion, .. } = &mut self.rings;
        completion.available(missing);
        let moved = fill.write_from(completion, missing);
        self.reap();
        self.recycle_free(missing - moved);
    }

    /// Gives the receiver so many free frames.
    #[inline(always)]
    fn recycle_free(&mut self, missing: u32) {
        let fill = &mut self.rings.fill;
        // The room is always there, since the receiver's share is half the ring; were it not, the rest stays free.
        let free = self.free.last(missing.min(fill.room()));
        let written = fill.write_slice(free);
        self.free.discard(written);
        fill.submit();
    }

    /// Takes back what was sent.
    fn reap(&mut self) {
        let completion = &mut self.rings.completion;
        completion.available(completion.size());
        while let Some(address) = completion.read() {
            self.free.push(address);
        }
        completion.release();
    }

    /// Takes back one frame of those that were sent, the oldest first, and gives its address; nothing where none is back. While packets
    /// wait, a burst's worth may stay where they are: what has come is looked at first.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an address of our own packet memory, below 2^32")]
    pub(super) fn reap_one(&mut self) -> Option<u32> {
        let completion = &mut self.rings.completion;
        let (sent, kept) = (self.rings.tx.written(), if self.has_received { RECYCLE_AT - 1 } else { 0 });
        if sent.wrapping_sub(completion.taken()) <= kept {
            completion.release();
            return None;
        }
        let address = completion.read().or_else(|| {
            completion.release();
            completion.available(completion.size());
            completion.read()
        })?;
        self.free.push(address);
        Some(address as u32)
    }

    /// Kicks until the transmit ring is empty, the kernel makes no progress, or the limit is reached.
    #[inline(never)]
    fn drain(&mut self) {
        if self.wake != Wake::Spin && !self.rings.tx.wants_wakeup() {
            return;
        }
        let mut left = self.rings.tx.pending();
        for _ in 0..KICKS_MAX {
            self.kicks.tx += 1;
            match self.kernel.kick_tx() {
                Kick::Taken => {}
                Kick::Busy => self.kicks.tx_busy += 1,
                Kick::Refused => self.kicks.tx_refused += 1,
            }
            let before = left;
            left = self.rings.tx.pending();
            if left == 0 || left == before {
                break;
            }
        }
    }

    #[inline]
    fn must_wake_receiver(&self) -> bool {
        match self.wake {
            Wake::Spin => false,
            Wake::NeedWakeup => self.rings.fill.wants_wakeup(),
            Wake::BusyPoll => !self.has_received || self.rings.fill.wants_wakeup(),
        }
    }
}

impl<K: Kernel> XdpQueue<K> {
    /// [`Queue::rx`], where the receiver gets frames that are free and none that were sent: those are taken back one by one
    /// ([`Self::reap_one`]).
    #[inline]
    pub(super) fn rx_without_reaping(&mut self) -> Burst {
        self.rx_by(Self::recycle_free)
    }

    #[inline(always)]
    fn rx_by(&mut self, recycle: impl FnOnce(&mut Self, u32)) -> Burst {
        let remaining = self.rings.rx.available(BURST);
        self.has_received = remaining != 0;
        let missing = self.missing_at_receiver();
        if missing >= RECYCLE_AT || (remaining == 0 && missing != 0) {
            recycle(self, missing);
        }
        Burst { remaining }
    }

    /// [`Queue::tx`], with flags in the descriptor.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a length that was a u32 in the frame")]
    pub(super) fn tx_with(&mut self, frame: Frame, options: u32) -> Result<(), Frame> {
        let address = u64::from(frame.address());
        let descriptor = Descriptor { address, len: frame.len() as u32, options };
        let written = self.rings.tx.write(descriptor);
        if written.is_ok() {
            self.lent.take_back(frame.address());
        }
        written.map_err(|_full| frame)
    }
}

impl<K: Kernel> Queue for XdpQueue<K> {
    #[inline]
    fn rx(&mut self) -> Burst {
        self.rx_by(Self::recycle)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "an address of our own packet memory, below 2^32")]
    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        // The ring gives what `rx` has found in it, which is the burst: one check does for both.
        let descriptor = self.rings.rx.read()?;
        burst.remaining = burst.remaining.saturating_sub(1);
        self.lent.lend(descriptor.address as u32);
        Some(Frame::new(descriptor.address as u32, descriptor.len))
    }

    #[inline]
    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        debug_assert!(self.lent.has(frame.address()), "a frame of another queue");
        let room = self.region.room_mut(frame.address());
        debug_assert!(
            room.len() >= frame.len().max(FRAME_LEN_MIN),
            "the kernel left less room than promised"
        );
        room
    }

    #[inline]
    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        self.tx_with(frame, 0)
    }

    /// Always gives it back: what AF_XDP has received cannot return to the kernel, so the XDP program decides.
    #[inline]
    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        Err(frame)
    }

    #[inline]
    fn release(&mut self, frame: Frame) {
        self.lent.take_back(frame.address());
        self.free.push(u64::from(frame.address()));
    }

    fn free_frame(&mut self) -> Option<Frame> {
        self.spare()
    }

    fn depths(&mut self) -> Option<Depths> {
        Some(Self::depths(self))
    }

    #[inline]
    fn flush(&mut self) {
        self.rings.rx.release();
        self.rings.tx.submit();
        if !self.rings.tx.is_drained() {
            self.drain();
        }
        if self.must_wake_receiver() {
            self.kicks.rx += 1;
            self.kernel.wake_rx();
        }
    }
}

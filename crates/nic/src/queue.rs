//! What a lane asks of a card: one receive and transmit pair, and the frames that travel through it.
//!
//! ```text
//!            rx ┌──────┐ next           tx ┌─────────┐ flush
//!   wire ──────▶│ ring │─────▶ Frame ─────▶│ ring    │──────▶ wire
//!               └──────┘         │         └─────────┘
//!                                ├─ pass ──▶ the stack behind
//!                                └─ release ──▶ free
//! ```
//!
//! A [`Frame`] is the right to one packet buffer. It is never copied: [`Queue::next`] gives it, and exactly one of
//! [`Queue::tx`], [`Queue::pass`] and [`Queue::release`] takes it back.

/// The most frames of one turn. Chosen, not measured: DPDK's and Linux's own bursts are 32 to 64 (`NAPI_POLL_WEIGHT`).
/// Smaller costs more ring updates and kicks per packet under load; larger makes the first answer of a turn wait
/// longer for the last, since all are sent by one flush.
pub const BURST_MAX: usize = 64;

/// No frame on the wire is shorter than this, without its checksum sequence (IEEE 802.3 4A.3.2.3).
pub const FRAME_LEN_MIN: usize = 60;

/// The right to one packet buffer of the queue that gave it.
///
/// Neither `Clone` nor `Copy`: whoever holds it is the only one who may touch the buffer. It must be handed back to
/// the queue that it came from.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a frame that is dropped is a buffer lost: hand it to tx, pass or release"]
pub struct Frame {
    address: u32,
    len: u32,
}

impl Frame {
    /// The token for `len` bytes at `address`. Only backends make these, one for each buffer they hand out.
    #[inline]
    pub(crate) const fn new(address: u32, len: u32) -> Self {
        Self { address, len }
    }

    /// Where the packet begins, in the backend's own packet memory.
    #[inline]
    pub(crate) const fn address(&self) -> u32 {
        self.address
    }

    /// How many bytes the packet has.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "an empty packet does not exist on a wire")]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Makes the packet `len` bytes long. The caller has written them: see [`Queue::room_mut`].
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a packet buffer is a few thousand bytes at the most"
    )]
    pub const fn set_len(&mut self, len: usize) {
        self.len = len as u32;
    }
}

/// How many frames of a turn are still to be taken. Given by [`Queue::rx`], used up by [`Queue::next`].
#[derive(Debug)]
pub struct Burst {
    pub(crate) remaining: u32,
}

impl Burst {
    /// How many frames are still to be taken.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.remaining as usize
    }

    /// Whether nothing is left to take.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.remaining == 0
    }
}

/// Where the frames of a queue are. What the kernel holds between two rings stands in the ring that it came from or
/// goes to, or in neither, for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depths {
    /// On the stack of free frames.
    pub free: u32,
    /// In the fill ring.
    pub fill: u32,
    /// Received, waiting to be taken.
    pub rx: u32,
    /// In the transmit ring.
    pub tx: u32,
    /// Sent, waiting to be recycled.
    pub completion: u32,
    /// In the lane's hands: see [`XdpQueue::held`](crate::xdp::XdpQueue::held).
    pub held: i64,
}

/// When a frame came: nanoseconds of the kernel's `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival(pub u64);

/// What is known of a frame that has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// What was said when it was handed over: see [`Queue::tx_since`].
    pub since: u64,
    /// When it left: nanoseconds of the kernel's `CLOCK_TAI`. Nothing where nobody has said so, though somebody should have.
    pub left: Option<u64>,
}

/// One receive and transmit pair of a card, owned by one lane.
pub trait Queue {
    /// Whether frames say when they came. A constant, so that a lane whose frames do not has no instruction for it.
    const HAS_ARRIVALS: bool = false;

    /// Whether frames that were sent say when they left. A constant for the same reason.
    const HAS_DEPARTURES: bool = false;

    /// Makes room for new packets, takes back what was sent, and says how many frames wait: at most [`BURST_MAX`].
    fn rx(&mut self) -> Burst;

    /// The next frame of a burst. The burst must be the newest that this queue gave.
    fn next(&mut self, burst: &mut Burst) -> Option<Frame>;

    /// When a frame came; nothing where it does not say, though this queue's frames should. To be asked once, before the frame's
    /// bytes are changed.
    #[inline]
    fn arrival(&mut self, _frame: &Frame) -> Option<Arrival> {
        None
    }

    /// All room from the packet's first byte to the end of its buffer: at least [`FRAME_LEN_MIN`] bytes and never
    /// less than the frame's length. What lies beyond [`Frame::len`] is leftover, never sent unless written first.
    fn room_mut(&mut self, frame: &Frame) -> &mut [u8];

    /// Queues a frame for transmission; gives it back where the transmit ring is full.
    ///
    /// # Errors
    /// The frame itself, untouched, for the caller to release and count.
    fn tx(&mut self, frame: Frame) -> Result<(), Frame>;

    /// The same of a frame that is to say when it leaves. `since` is whatever its sender wants to know again then:
    /// [`Queue::departure`] gives both.
    ///
    /// # Errors
    /// As [`Queue::tx`].
    #[inline]
    fn tx_since(&mut self, frame: Frame, _since: u64) -> Result<(), Frame> {
        self.tx(frame)
    }

    /// The next frame that has left since this was last asked, of those that were to say so; nothing where there is none. To be asked
    /// in each turn, until it gives nothing: what has left is free again when it has been told.
    #[inline]
    fn departure(&mut self) -> Option<Departure> {
        None
    }

    /// Hands a frame on, unchanged, to the stack behind; gives it back where there is none.
    ///
    /// # Errors
    /// The frame itself, untouched, for the caller to release and count.
    fn pass(&mut self, frame: Frame) -> Result<(), Frame>;

    /// Takes a frame back unsent.
    fn release(&mut self, frame: Frame);

    /// A free frame, empty so far, whose room is to be written before it is given its length and handed to [`Queue::tx`] or
    /// [`Queue::release`]; nothing where none is free, or this queue has none to give. Beside the road: a lane answers in the frame
    /// that a question came in.
    fn free_frame(&mut self) -> Option<Frame> {
        None
    }

    /// Where every frame is, or nothing where the card has no rings to tell of. Looks at what the other side of the rings
    /// writes: for housekeeping, not for the road.
    fn depths(&mut self) -> Option<Depths> {
        None
    }

    /// Sends what was queued. Once a turn. The only place where a backend may make a system call.
    fn flush(&mut self);
}

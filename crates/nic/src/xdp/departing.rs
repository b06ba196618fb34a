//! A queue whose sent frames say when they left: the kernel has written it before them
//! (`Documentation/networking/xsk-tx-metadata.rst`, `struct xsk_tx_metadata` in `include/uapi/linux/if_xdp.h`).
//!
//! ```text
//!   chunk
//!   ├──────────┬───────┬──────┬─────────────┬───────┬────────┬──────┤
//!   │ headroom │ flags │ left │ launch time │ since │ packet │ room │
//!   └──────────┴───────┴──────┴─────────────┴───────┴────────┴──────┘
//!              ▲ 32 bytes before Frame::address      ▲ a word of our own: padding to the kernel
//! ```
//!
//! In copy mode the kernel writes `CLOCK_TAI` there when it frees the buffer that it has sent from, and then gives the frame back
//! (`xsk_destruct_skb` in `net/xdp/xsk.c`; 6.18). That is behind the driver's taking it: on a veth, when the other end's stack has it; on a
//! card, when the card has told that it was sent. In zero-copy the driver writes the time of the card's own clock, which nobody follows
//! here: such a queue is refused when it is bound.
//!
//! The word before the packet is the one that the lane wants to know again. It lies in the cache line of the arrival stamp, which was taken
//! before, and is wiped out when it was told, so that nothing looks like an arrival stamp that is none.
//!
//! A type of its own, so that a lane over another queue has no instruction for what was not asked for. It takes frames back one by one,
//! since each of them is to be looked at before it is anybody's again.

use super::queue::{Kernel, XdpQueue};
use super::stamped::Stamped;
use crate::queue::{Arrival, Burst, Departure, Depths, Frame, Queue};

/// How many bytes before each packet that is sent are metadata: a multiple of 8, below 256, and no less than the kernel's structure
/// has (`xdp_umem_reg` in `net/xdp/xdp_umem.c`).
pub(super) const METADATA_LEN: u32 = 32;
const _: () = assert!(
    size_of::<Metadata>() == METADATA_LEN as usize
        && size_of::<libc::xsk_tx_metadata>() <= size_of::<Metadata>() - size_of::<u64>()
);

/// `XDP_TX_METADATA`: this descriptor's packet has metadata before it.
pub(super) const HAS_METADATA: u32 = libc::XDP_TX_METADATA;
/// `XDP_TXMD_FLAGS_TIMESTAMP`: say when it left.
pub(super) const SAY_WHEN: u64 = libc::XDP_TXMD_FLAGS_TIMESTAMP as u64;

/// Who says when an answer left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransmitStamps {
    /// Nobody.
    #[default]
    None,
    /// The kernel, when it has sent a copy.
    Kernel,
}

/// The words before a packet: flags, what the kernel says, room that it does not use for that, and what the sender wants to know again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Metadata([u64; 4]);

impl Metadata {
    /// Asks when the packet leaves.
    pub(super) const fn asking(since: u64) -> Self {
        Self([SAY_WHEN, 0, 0, since])
    }

    /// Asks for nothing.
    const fn nothing() -> Self {
        Self([0; 4])
    }

    /// What was asked for, if anything was, and what became of it.
    fn departure(self) -> Option<Departure> {
        let Self([flags, left, _, since]) = self;
        // The kernel knows no time of 0: it is what was there when it was asked.
        (flags == SAY_WHEN).then_some(Departure { since, left: (left != 0).then_some(left) })
    }

    /// The same when the kernel has said so, if it was asked.
    #[cfg(feature = "testing")]
    pub(super) const fn stamped(self, tai_ns: u64) -> Self {
        let Self([flags, _, launch_time, since]) = self;
        if flags == SAY_WHEN { Self([flags, tai_ns, launch_time, since]) } else { self }
    }

    pub(super) fn read(bytes: &[u8; METADATA_LEN as usize]) -> Self {
        let mut words = [0; 4];
        words
            .iter_mut()
            .zip(bytes.as_chunks().0)
            .for_each(|(word, bytes)| *word = u64::from_ne_bytes(*bytes));
        Self(words)
    }

    pub(super) fn write(self, bytes: &mut [u8; METADATA_LEN as usize]) {
        bytes.as_chunks_mut().0.iter_mut().zip(self.0).for_each(|(bytes, word)| *bytes = word.to_ne_bytes());
    }
}

/// A queue that is an [`XdpQueue`], whatever its frames say of their arrival.
pub trait OverXdp: Queue {
    /// The kernel's side of it.
    type Kernel: Kernel;

    /// The queue itself.
    fn xdp(&self) -> &XdpQueue<Self::Kernel>;

    /// The queue itself, to be used.
    fn xdp_mut(&mut self) -> &mut XdpQueue<Self::Kernel>;
}

impl<K: Kernel> OverXdp for XdpQueue<K> {
    type Kernel = K;

    #[inline]
    fn xdp(&self) -> &Self {
        self
    }

    #[inline]
    fn xdp_mut(&mut self) -> &mut Self {
        self
    }
}

impl<K: Kernel> OverXdp for Stamped<K> {
    type Kernel = K;

    #[inline]
    fn xdp(&self) -> &XdpQueue<K> {
        self.queue()
    }

    #[inline]
    fn xdp_mut(&mut self) -> &mut XdpQueue<K> {
        self.queue_mut()
    }
}

/// A queue whose sent frames say when they left.
#[derive(Debug)]
pub struct Departing<Q>(Q);

impl<Q: OverXdp> Departing<Q> {
    /// The same queue. Its card was opened with [`TransmitStamps::Kernel`], or the kernel takes nothing from it that asks.
    pub fn new(queue: Q) -> Self {
        Self(queue)
    }

    /// Has a frame ask for what its metadata say.
    #[inline]
    fn ask(&mut self, frame: &Frame, metadata: Metadata) -> bool {
        let room = self.0.xdp_mut().headroom_mut(frame);
        room.map(|room| metadata.write(room)).is_some()
    }
}

impl<Q: OverXdp> OverXdp for Departing<Q> {
    type Kernel = Q::Kernel;

    #[inline]
    fn xdp(&self) -> &XdpQueue<Q::Kernel> {
        self.0.xdp()
    }

    #[inline]
    fn xdp_mut(&mut self) -> &mut XdpQueue<Q::Kernel> {
        self.0.xdp_mut()
    }
}

impl<Q: OverXdp> Queue for Departing<Q> {
    const HAS_ARRIVALS: bool = Q::HAS_ARRIVALS;
    const HAS_DEPARTURES: bool = true;

    #[inline]
    fn rx(&mut self) -> Burst {
        self.0.xdp_mut().rx_without_reaping()
    }

    #[inline]
    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        self.0.next(burst)
    }

    #[inline]
    fn arrival(&mut self, frame: &Frame) -> Option<Arrival> {
        self.0.arrival(frame)
    }

    #[inline]
    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.0.room_mut(frame)
    }

    /// Of a frame that is not to say when it leaves, nothing that stands before it may look as if it should.
    #[inline]
    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        self.ask(&frame, Metadata::nothing());
        self.0.tx(frame)
    }

    /// Where there is no room for the question, it leaves without it: a packet begins behind the kernel's headroom, so that there is.
    #[inline]
    fn tx_since(&mut self, frame: Frame, since: u64) -> Result<(), Frame> {
        let options = if self.ask(&frame, Metadata::asking(since)) { HAS_METADATA } else { 0 };
        self.0.xdp_mut().tx_with(frame, options)
    }

    #[inline]
    fn departure(&mut self) -> Option<Departure> {
        // It ends: nothing is sent meanwhile, and each pass takes one back of those that were.
        loop {
            let queue = self.0.xdp_mut();
            let address = queue.reap_one()?;
            let Some(room) = queue.headroom_of_sent(address) else { continue };
            let departure = Metadata::read(room).departure();
            Metadata::nothing().write(room);
            if departure.is_some() {
                return departure;
            }
        }
    }

    #[inline]
    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        self.0.pass(frame)
    }

    #[inline]
    fn release(&mut self, frame: Frame) {
        self.0.release(frame);
    }

    fn free_frame(&mut self) -> Option<Frame> {
        self.0.xdp_mut().take_free()
    }

    fn depths(&mut self) -> Option<Depths> {
        self.0.depths()
    }

    #[inline]
    fn flush(&mut self) {
        self.0.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: [u64; 4]) -> [u8; METADATA_LEN as usize] {
        let mut bytes = [0xa5; METADATA_LEN as usize];
        Metadata(words).write(&mut bytes);
        bytes
    }

    #[test]
    fn what_was_asked_is_where_the_kernel_looks_for_it() {
        let asked = bytes([SAY_WHEN, 0, 0, 7]);
        let mut written = [0xa5; METADATA_LEN as usize];
        Metadata::asking(7).write(&mut written);
        assert_eq!(written, asked);
        let offset = std::mem::offset_of!(libc::xsk_tx_metadata, xsk_tx_metadata_union);
        assert_eq!((std::mem::offset_of!(libc::xsk_tx_metadata, flags), offset), (0, 8));
        assert_eq!(std::mem::offset_of!(libc::xsk_tx_metadata_completion, tx_timestamp), 0);
    }

    #[test]
    fn a_departure_is_what_was_asked_for_and_a_stamp_of_0_is_none() {
        let departure = |words| Metadata::read(&bytes(words)).departure();
        assert_eq!(departure([SAY_WHEN, 9, 3, 7]), Some(Departure { since: 7, left: Some(9) }));
        assert_eq!(departure([SAY_WHEN, 0, 0, 7]), Some(Departure { since: 7, left: None }));
        assert_eq!(departure([0, 9, 0, 7]), None, "nobody has asked");
        assert_eq!(departure([0xa5a5, 9, 0, 7]), None, "leftovers");
    }
}

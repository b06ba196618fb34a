//! A queue whose frames say when they came: the program has written it before them (`bpf/arrival.h`).
//!
//! ```text
//!   chunk
//!   ├──────────┬───────┬───────┬────────┬──────┤
//!   │ headroom │ stamp │ check │ packet │ room │
//!   └──────────┴───────┴───────┴────────┴──────┘
//!              ▲ 16 bytes before Frame::address
//! ```
//!
//! Nothing else says whether a frame has a stamp: its descriptor has no flag for it. So a stamp is believed where the word
//! behind it is what belongs to it, and is wiped out when it was read: the next packet in the same chunk, if nothing is
//! written before that one, has none.
//!
//! A type of its own, so that a lane over an [`XdpQueue`] has no instruction for what was not asked for.

use super::queue::{Kernel, XdpQueue};
use crate::queue::{Arrival, Burst, Depths, Frame, Queue};

/// What `bpf/arrival.h` says that it writes.
const STAMP_LEN: usize = 16;
/// `ARRIVAL_CHECK`.
const CHECK: u64 = 0x6261_7265_206c_616e;

/// Who says when a frame came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArrivalStamps {
    /// Nobody.
    #[default]
    None,
    /// The XDP program, when it hands the frame to a lane.
    Program,
}

/// An [`XdpQueue`] whose frames say when they came.
#[derive(Debug)]
pub struct Stamped<K: Kernel>(XdpQueue<K>);

impl<K: Kernel> Stamped<K> {
    /// The same queue. Its card was opened with [`ArrivalStamps::Program`], or no frame says when it came.
    pub fn new(queue: XdpQueue<K>) -> Self {
        Self(queue)
    }

    /// The queue itself.
    pub fn queue(&self) -> &XdpQueue<K> {
        &self.0
    }

    pub(super) fn queue_mut(&mut self) -> &mut XdpQueue<K> {
        &mut self.0
    }
}

/// The stamp in these bytes, which is not there any more afterwards.
fn take(bytes: &mut [u8; STAMP_LEN]) -> Option<Arrival> {
    let (words, _) = bytes.as_chunks_mut();
    let [stamp, check] = words else { return None };
    let ns = u64::from_ne_bytes(*stamp);
    let is_stamp = u64::from_ne_bytes(*check) == ns ^ CHECK;
    *check = [0; 8];
    // A stamp of 0 and a check of 0 are memory that nobody has written to: that has another check.
    is_stamp.then_some(Arrival(ns))
}

/// The stamp of this time, as the program writes it.
#[cfg(feature = "testing")]
pub(super) fn stamp_of(Arrival(ns): Arrival) -> [u8; STAMP_LEN] {
    let mut bytes = [0; STAMP_LEN];
    bytes
        .as_chunks_mut()
        .0
        .iter_mut()
        .zip([ns, ns ^ CHECK])
        .for_each(|(bytes, word)| *bytes = u64::to_ne_bytes(word));
    bytes
}

impl<K: Kernel> Queue for Stamped<K> {
    const HAS_ARRIVALS: bool = true;

    #[inline]
    fn rx(&mut self) -> Burst {
        self.0.rx()
    }

    #[inline]
    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        self.0.next(burst)
    }

    #[inline]
    fn arrival(&mut self, frame: &Frame) -> Option<Arrival> {
        self.0.headroom_mut(frame).and_then(take)
    }

    #[inline]
    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.0.room_mut(frame)
    }

    #[inline]
    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        self.0.tx(frame)
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
        self.0.spare()
    }

    fn depths(&mut self) -> Option<Depths> {
        Queue::depths(&mut self.0)
    }

    #[inline]
    fn flush(&mut self) {
        self.0.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(ns: u64, check: u64) -> [u8; STAMP_LEN] {
        let mut bytes = [0; STAMP_LEN];
        bytes[..8].copy_from_slice(&ns.to_ne_bytes());
        bytes[8..].copy_from_slice(&check.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_stamp_is_there_once() {
        let mut stamp = bytes(5, 5 ^ CHECK);
        assert_eq!(take(&mut stamp), Some(Arrival(5)));
        assert_eq!(take(&mut stamp), None);
    }

    #[test]
    fn what_is_no_stamp_is_not_believed() {
        for (ns, check) in [(0, 0), (5, 5), (5, 6 ^ CHECK), (u64::MAX, u64::MAX), (CHECK, CHECK)] {
            assert_eq!(take(&mut bytes(ns, check)), None, "{ns:x} {check:x}");
        }
    }

    #[test]
    fn the_stamp_is_that_of_the_source() {
        let source = include_str!("../../bpf/arrival.h");
        assert!(source.contains(&format!("#define ARRIVAL_CHECK {CHECK:#x}ULL")), "{CHECK:#x}");
        assert!(source.contains(&format!("sizeof(struct arrival) == {STAMP_LEN}")));
    }
}

//! A card in memory: a wire that a test writes to and reads from, with faults from one seed.
//!
//! ```text
//!   inject ──▶ faults ──▶ receive ring ──▶ lane ──▶ transmit ring ──▶ (slow) peer ──▶ take_sent
//!                                           ├─▶ pass ──▶ take_passed
//!                                           └─▶ release
//! ```
//!
//! Everything is taken at construction, so that a counting allocator sees what the lane does and nothing else. The
//! card knows for every buffer where it is ([`Card::accounted`]): a frame that is lost, kept or handed back twice is
//! found at the end of the turn in which it happened.

use std::collections::VecDeque;

use crate::queue::{Arrival, BURST_MAX, Burst, FRAME_LEN_MIN, Frame, Queue};

mod stamped;

pub use stamped::Stamped;

/// Bytes of one buffer: a whole Ethernet frame, and room for an ICMP error that quotes it.
pub const BUFFER_SIZE: usize = 2048;

/// What all buffers hold before a frame is written into them, so that a leftover shows.
pub const LEFTOVER: u8 = 0xa5;

/// What goes wrong, in events per million frames. The default is a wire without faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Frames that never arrive.
    pub loss_ppm: u32,
    /// Frames that arrive twice.
    pub duplication_ppm: u32,
    /// Frames that arrive before the one sent before them.
    pub reordering_ppm: u32,
    /// Frames that arrive with one bit flipped.
    pub corruption_ppm: u32,
    /// Frames that arrive cut short.
    pub truncation_ppm: u32,
    /// Flushes after which the peer takes only one frame from the transmit ring instead of all.
    pub slow_peer_ppm: u32,
}

/// What a card did to the frames that were injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impairments {
    /// Frames given to [`Card::inject`].
    pub injected: u64,
    /// Frames that went into the receive ring, duplicates included.
    pub delivered: u64,
    /// Frames lost on purpose.
    pub lost: u64,
    /// Frames delivered a second time.
    pub duplicated: u64,
    /// Frames delivered before an earlier one.
    pub reordered: u64,
    /// Frames with a flipped bit.
    pub corrupted: u64,
    /// Frames cut short.
    pub truncated: u64,
    /// Frames that found no free buffer or a full receive ring.
    pub overrun: u64,
}

/// Where a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Free,
    Waiting,
    Held,
    Queued,
}

/// The card: one queue, its buffers, and the wire behind it.
#[derive(Debug)]
pub struct Card {
    memory: Box<[u8]>,
    places: Box<[Place]>,
    /// When the frame in each buffer came, where anybody has said what time it is.
    arrivals: Box<[Option<Arrival>]>,
    time: Option<Arrival>,
    free: Vec<u32>,
    waiting: VecDeque<Frame>,
    queued: VecDeque<Frame>,
    ring_size: usize,
    sent: Outbox,
    passed: Outbox,
    faults: Faults,
    random: Random,
    impairments: Impairments,
}

/// Frames that have left, kept back to back: taken at construction, bounded, and counted where it overflows.
#[derive(Debug)]
struct Outbox {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    overflowed: u64,
}

impl Outbox {
    fn new(frame_count: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(frame_count * BUFFER_SIZE),
            ends: Vec::with_capacity(frame_count),
            overflowed: 0,
        }
    }

    fn put(&mut self, frame: &[u8]) {
        if self.ends.len() == self.ends.capacity() {
            self.overflowed += 1;
            return;
        }
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
    }

    fn take(&mut self, mut give: impl FnMut(&[u8])) -> usize {
        let count = self.ends.len();
        let mut start = 0;
        for end in self.ends.drain(..) {
            give(self.bytes.get(start..end).unwrap_or_default());
            start = end;
        }
        self.bytes.clear();
        count
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, seeded, good enough to spread faults.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.next() % 1_000_000 < u64::from(ppm)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the bound, which is a usize")]
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

impl Card {
    /// A card with rings of `ring_size` frames and three times as many buffers: one ring waiting, one queued, one free.
    pub fn new(ring_size: usize, seed: u64, faults: Faults) -> Self {
        let ring_size = ring_size.clamp(1, 1 << 16);
        let frame_count = ring_size * 3;
        #[expect(clippy::cast_possible_truncation, reason = "at most 3 * 2^16 * 2 KiB")]
        let free = (0..frame_count).map(|index| (index * BUFFER_SIZE) as u32).rev().collect();
        Self {
            memory: vec![LEFTOVER; frame_count * BUFFER_SIZE].into_boxed_slice(),
            places: vec![Place::Free; frame_count].into_boxed_slice(),
            arrivals: vec![None; frame_count].into_boxed_slice(),
            time: None,
            free,
            waiting: VecDeque::with_capacity(frame_count),
            queued: VecDeque::with_capacity(frame_count),
            ring_size,
            sent: Outbox::new(frame_count),
            passed: Outbox::new(frame_count),
            faults,
            random: Random(seed),
            impairments: Impairments::default(),
        }
    }

    /// Says at what time the frames come that are injected from now on; nothing: at none that they bear.
    pub fn set_time(&mut self, time: Option<Arrival>) {
        self.time = time;
    }

    /// When a frame came that the lane has.
    pub fn arrival_of(&self, frame: &Frame) -> Option<Arrival> {
        self.arrivals.get(frame.address() as usize / BUFFER_SIZE).copied().flatten()
    }

    /// Sends a frame towards the lane; what the wire does to it depends on the seed.
    pub fn inject(&mut self, bytes: &[u8]) {
        self.impairments.injected += 1;
        if self.random.happens(self.faults.loss_ppm) {
            self.impairments.lost += 1;
            return;
        }
        self.deliver(bytes);
        if self.random.happens(self.faults.duplication_ppm) {
            self.impairments.duplicated += 1;
            self.deliver(bytes);
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(BUFFER_SIZE);
        if self.waiting.len() == self.ring_size || len == 0 {
            self.impairments.overrun += 1;
            return;
        }
        let Some(address) = self.free.pop() else {
            self.impairments.overrun += 1;
            return;
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most BUFFER_SIZE")]
        let mut frame = Frame::new(address, len as u32);
        self.move_to(&frame, Place::Free, Place::Waiting);
        if let Some(arrival) = self.arrivals.get_mut(frame.address() as usize / BUFFER_SIZE) {
            *arrival = self.time;
        }
        let buffer = buffer_mut(&mut self.memory, &frame);
        buffer.fill(LEFTOVER);
        for (to, from) in buffer.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.damage(&mut frame);
        self.impairments.delivered += 1;
        let reordered = !self.waiting.is_empty() && self.random.happens(self.faults.reordering_ppm);
        self.impairments.reordered += u64::from(reordered);
        let place = self.waiting.len() - usize::from(reordered);
        self.waiting.insert(place, frame);
    }

    fn damage(&mut self, frame: &mut Frame) {
        if self.random.happens(self.faults.corruption_ppm) {
            self.impairments.corrupted += 1;
            let bit = self.random.below(frame.len() * 8);
            if let Some(byte) = buffer_mut(&mut self.memory, frame).get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        if self.random.happens(self.faults.truncation_ppm) {
            self.impairments.truncated += 1;
            frame.set_len(1 + self.random.below(frame.len()));
        }
    }

    /// Gives every frame that the peer has received, oldest first, and says how many there were.
    pub fn take_sent(&mut self, give: impl FnMut(&[u8])) -> usize {
        self.sent.take(give)
    }

    /// Gives every frame that was handed on, oldest first, and says how many there were.
    pub fn take_passed(&mut self, give: impl FnMut(&[u8])) -> usize {
        self.passed.take(give)
    }

    /// What the wire did so far.
    pub fn impairments(&self) -> Impairments {
        self.impairments
    }

    /// How many frames wait to be received.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Checks that between two turns every buffer is in exactly one place and none is held.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn accounted(&self) -> Result<(), String> {
        let count = |place| self.places.iter().filter(|&&other| other == place).count();
        let (free, waiting, queued, held) =
            (count(Place::Free), count(Place::Waiting), count(Place::Queued), count(Place::Held));
        let lists = (self.free.len(), self.waiting.len(), self.queued.len());
        let overflowed = self.sent.overflowed + self.passed.overflowed;
        if (free, waiting, queued) != lists || held != 0 || overflowed != 0 {
            return Err(format!(
                "buffers: free {free}, waiting {waiting}, queued {queued}, held {held}; lists: {lists:?}; \
                 frames that the test did not take in time: {overflowed}"
            ));
        }
        Ok(())
    }

    fn move_to(&mut self, frame: &Frame, from: Place, to: Place) {
        let place = self.places.get_mut(frame.address() as usize / BUFFER_SIZE);
        assert!(
            place.as_deref() == Some(&from),
            "frame {frame:?} is {place:?}, not {from:?}: it was kept or handed back twice"
        );
        if let Some(place) = place {
            *place = to;
        }
    }
}

fn buffer_mut<'memory>(memory: &'memory mut [u8], frame: &Frame) -> &'memory mut [u8] {
    let start = frame.address() as usize;
    memory.get_mut(start..start + BUFFER_SIZE).unwrap_or_default()
}

impl Queue for Card {
    fn rx(&mut self) -> Burst {
        #[expect(clippy::cast_possible_truncation, reason = "at most BURST_MAX")]
        let remaining = self.waiting.len().min(BURST_MAX) as u32;
        Burst { remaining }
    }

    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        burst.remaining = burst.remaining.checked_sub(1)?;
        let frame = self.waiting.pop_front()?;
        self.move_to(&frame, Place::Waiting, Place::Held);
        Some(frame)
    }

    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        buffer_mut(&mut self.memory, frame)
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.queued.len() == self.ring_size {
            return Err(frame);
        }
        assert!((FRAME_LEN_MIN..=BUFFER_SIZE).contains(&frame.len()), "{} bytes are no frame", frame.len());
        self.move_to(&frame, Place::Held, Place::Queued);
        self.queued.push_back(frame);
        Ok(())
    }

    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        self.passed.put(buffer_mut(&mut self.memory, &frame).get(..frame.len()).unwrap_or_default());
        self.release(frame);
        Ok(())
    }

    fn release(&mut self, frame: Frame) {
        self.move_to(&frame, Place::Held, Place::Free);
        self.free.push(frame.address());
    }

    fn free_frame(&mut self) -> Option<Frame> {
        let frame = Frame::new(self.free.pop()?, 0);
        self.move_to(&frame, Place::Free, Place::Held);
        buffer_mut(&mut self.memory, &frame).fill(LEFTOVER);
        Some(frame)
    }

    fn flush(&mut self) {
        let is_slow = self.random.happens(self.faults.slow_peer_ppm);
        let limit = if is_slow { 1 } else { self.queued.len() };
        for _ in 0..limit {
            let Some(frame) = self.queued.pop_front() else { return };
            self.sent.put(buffer_mut(&mut self.memory, &frame).get(..frame.len()).unwrap_or_default());
            self.move_to(&frame, Place::Queued, Place::Free);
            self.free.push(frame.address());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(card: &mut Card) -> usize {
        let mut burst = card.rx();
        while let Some(mut frame) = card.next(&mut burst) {
            frame.set_len(frame.len().max(FRAME_LEN_MIN));
            if let Err(frame) = card.tx(frame) {
                card.release(frame);
            }
        }
        card.flush();
        card.take_sent(|_| {})
    }

    #[test]
    fn a_wire_without_faults_gives_what_it_got() {
        let mut card = Card::new(4, 0, Faults::default());
        card.inject(&[1; 60]);
        card.inject(&[2; 61]);
        let mut burst = card.rx();
        let frame = card.next(&mut burst).unwrap();
        assert_eq!((frame.len(), card.room_mut(&frame)[60]), (60, LEFTOVER));
        card.tx(frame).unwrap();
        let frame = card.next(&mut burst).unwrap();
        card.pass(frame).unwrap();
        assert!(card.next(&mut burst).is_none());
        card.flush();
        let mut seen = Vec::new();
        card.take_sent(|frame| seen.push(frame.to_vec()));
        card.take_passed(|frame| seen.push(frame.to_vec()));
        assert_eq!(seen, [vec![1; 60], vec![2; 61]]);
        card.accounted().unwrap();
    }

    #[test]
    fn faults_happen_as_often_as_asked_and_are_counted() {
        let faults = Faults {
            loss_ppm: 100_000,
            duplication_ppm: 50_000,
            reordering_ppm: 50_000,
            corruption_ppm: 20_000,
            truncation_ppm: 10_000,
            slow_peer_ppm: 0,
        };
        let mut card = Card::new(64, 7, faults);
        let mut sent = 0;
        for round in 0..1_000_u32 {
            for _ in 0..32 {
                card.inject(&[round.to_le_bytes()[0]; 100]);
            }
            sent += echo(&mut card);
            card.accounted().unwrap();
        }
        let seen = card.impairments();
        assert_eq!(seen.injected, 32_000);
        assert_eq!(seen.delivered, seen.injected - seen.lost + seen.duplicated - seen.overrun);
        assert_eq!(seen.delivered, sent as u64);
        assert!((2_900..3_500).contains(&seen.lost), "{seen:?}");
        assert!((1_200..1_700).contains(&seen.duplicated), "{seen:?}");
        assert!((450..750).contains(&seen.corrupted), "{seen:?}");
    }

    #[test]
    fn a_slow_peer_fills_the_transmit_ring_and_the_frame_comes_back() {
        let mut card = Card::new(4, 0, Faults { slow_peer_ppm: 1_000_000, ..Faults::default() });
        let mut sent = 0;
        for _ in 0..10 {
            (0..4).for_each(|_| card.inject(&[0; 60]));
            sent += echo(&mut card);
            card.accounted().unwrap();
        }
        assert_eq!(sent, 10);
    }

    #[test]
    #[should_panic(expected = "handed back twice")]
    fn a_frame_handed_back_twice_is_caught() {
        let mut card = Card::new(4, 0, Faults::default());
        card.release(Frame::new(0, 60));
    }

    #[test]
    fn a_frame_that_is_kept_is_caught() {
        let mut card = Card::new(4, 0, Faults::default());
        card.inject(&[0; 60]);
        let mut burst = card.rx();
        let _kept = card.next(&mut burst);
        assert!(card.accounted().is_err());
    }
}

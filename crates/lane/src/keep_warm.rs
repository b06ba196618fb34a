//! Frames to oneself, by which the way out stays warm.
//!
//! A lane that only looks into an empty ring touches a few lines of memory. What an answer takes beside them, most of all the kernel's way
//! out, leaves the caches meanwhile, and the next question waits until all of it is back. Nothing warms that way but using it.

use nic::{FRAME_LEN_MIN, Queue};
use telemetry::{Clock, Counter};
use wire::ethernet::{Ethernet, LOOPBACK, Mac};

use crate::lane::Lane;

/// The configuration testing protocol's message behind its Ethernet header: nothing to skip, and a reply, which nobody answers. Its
/// numbers are little-endian (Ethernet 2.0, 8.4.2).
const REPLY: [u8; 4] = [0, 0, 1, 0];

impl<Q: Queue, C: Clock> Lane<Q, C> {
    /// Sends a frame to itself, which no switch forwards, since its destination is where it comes from; beside the road, for who calls
    /// it where no answer has left for a while. Does nothing where no frame is free or the transmit ring is full: a way that is in use is warm.
    pub fn keep_warm(&mut self) {
        let Some(mut frame) = self.queue.free_frame() else { return };
        write(self.queue.room_mut(&frame), self.tables.mac);
        frame.set_len(FRAME_LEN_MIN);
        match self.queue.tx(frame) {
            Ok(()) => self.state.counters.count(Counter::Warmed),
            Err(frame) => self.queue.release(frame),
        }
        self.queue.flush();
    }
}

/// A frame from `mac` to itself.
fn write(room: &mut [u8], Mac(mac): Mac) {
    let Some(frame) = room.first_chunk_mut::<FRAME_LEN_MIN>() else { return };
    frame.fill(0);
    let bytes = [&mac[..], &mac, &LOOPBACK.to_be_bytes(), &REPLY];
    let places = frame.iter_mut();
    places.zip(bytes.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
}

const _: () = assert!(Ethernet::LEN + REPLY.len() <= FRAME_LEN_MIN);

//! Questions over the queues of a card, past the kernel: one spinning core, no system call but the ring kicks.
//!
//! The probe's second backend. It owns its queues as a lane does, and shares none of the lane's code. Questions leave by
//! the first queue; the card decides by which one an answer comes, so that all are looked at in turn.

use nic::queue::{Burst, Frame, Queue};
use telemetry::Tick;

use crate::clock::Clock;
use crate::frames::Frames;
use crate::neighbours::Neighbours;
use crate::question::Question;
use crate::transport::{Arrival, Facts, Transport, TransportError};

/// A queue that has buffers to write a packet of one's own into. A lane needs none: it answers in the buffer that the
/// question came in.
pub trait Origin: Queue {
    /// A free buffer, to be handed to [`Queue::tx`] or [`Queue::release`], or nothing where none is free. Its length is
    /// the caller's to set.
    fn spare(&mut self) -> Option<Frame>;

    /// Which of its connections the queue has: another one, another peer. Nothing while nobody can be at the other end: what
    /// is sent then is lost, as on a cable that is pulled out.
    fn connection(&self) -> Option<u32> {
        Some(0)
    }
}

/// A card, as the queues that answers may come by.
#[derive(Debug)]
pub struct Card<Q> {
    queues: Box<[Q]>,
    /// Which of them is looked at.
    current: usize,
    /// What is still to be taken from it, and when it was seen to be there.
    burst: Option<Burst>,
    seen_at: Tick,
    frames: Frames,
    /// Nothing where a kernel stands behind the card and does all that.
    neighbours: Option<Neighbours>,
    facts: Facts,
    /// The frame that arrived last, taken out of its buffer, so that between two calls every buffer is the queue's.
    arrived: Vec<u8>,
}

impl<Q: Origin> Card<Q> {
    /// Asks with `frames` by the first of these queues. `backend` and `means` are for the report.
    ///
    /// # Errors
    /// There is no queue.
    pub fn new(
        queues: Vec<Q>,
        frames: Frames,
        backend: &'static str,
        means: String,
    ) -> Result<Self, TransportError> {
        if queues.is_empty() {
            return Err(TransportError::QueuesMissing);
        }
        let facts = Facts {
            backend,
            means,
            wait: "spin",
            sent_stamp: "user space, before the frame is put into the transmit ring",
            received_stamp: "user space, when the receive ring shows the frame",
        };
        let queues = queues.into_boxed_slice();
        let (seen_at, arrived) = (Tick(0), Vec::new());
        Ok(Self { queues, current: 0, burst: None, seen_at, frames, neighbours: None, facts, arrived })
    }

    /// The same for a card that no kernel stands behind.
    #[must_use]
    pub fn with_neighbours(self, neighbours: Neighbours) -> Self {
        Self { neighbours: Some(neighbours), ..self }
    }

    /// The queues, for their counters.
    pub fn queues(&self) -> &[Q] {
        &self.queues
    }

    /// The next frame, taken out of its buffer; false where none waits.
    fn take(&mut self, clock: &impl Clock) -> bool {
        if self.burst.as_ref().is_none_or(Burst::is_empty) {
            self.look_at_next(clock);
        }
        let Some((queue, burst)) = self.queues.get_mut(self.current).zip(self.burst.as_mut()) else {
            return false;
        };
        let Some(frame) = queue.next(burst) else { return false };
        let len = frame.len();
        self.arrived.clear();
        self.arrived.extend_from_slice(queue.room_mut(&frame).get(..len).unwrap_or_default());
        queue.release(frame);
        true
    }

    /// Ends the turn of one queue and begins that of the next.
    fn look_at_next(&mut self, clock: &impl Clock) {
        if let Some(queue) = self.queues.get_mut(self.current) {
            queue.flush();
        }
        self.current = (self.current + 1) % self.queues.len();
        self.burst = self.queues.get_mut(self.current).map(Queue::rx);
        if self.burst.as_ref().is_some_and(|burst| !burst.is_empty()) {
            self.seen_at = clock.now();
        }
    }
}

impl<Q: Origin> Transport for Card<Q> {
    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        let Some(queue) = self.queues.first_mut() else { return Ok(None) };
        // What cannot be handed over to anybody is lost at once, and is no reason to wait for room.
        let lost = |queue: &Q| queue.connection().is_none().then(|| clock.now());
        let Some(mut frame) = queue.spare() else { return Ok(lost(queue)) };
        let room = queue.room_mut(&frame);
        let most = room.len();
        let Some(len) = self.frames.write(question, question.stamp(clock), room) else {
            queue.release(frame);
            return Err(TransportError::TooLarge { found: question.size(), most });
        };
        frame.set_len(len);
        let at = clock.now();
        Ok(match queue.tx(frame) {
            Ok(()) => Some(at),
            Err(frame) => {
                queue.release(frame);
                lost(queue)
            }
        })
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        if let Some(queue) = self.queues.first_mut() {
            queue.flush();
        }
        Ok(())
    }

    fn receive(&mut self, _: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        let is_taken = self.take(clock);
        let Self { queues, frames, neighbours, arrived, .. } = self;
        let what = is_taken.then(|| frames.read(arrived)).flatten();
        if what.is_none()
            && let (Some(neighbours), Some(queue)) = (neighbours, queues.first_mut())
        {
            if !is_taken {
                neighbours.rest(queue, clock);
            } else if let Some(next_hop) = neighbours.hear(arrived, queue) {
                frames.set_next_hop(next_hop);
            }
        }
        Ok(what.map(|what| Arrival { at: self.seen_at, is_stamped: true, what }))
    }
}

//! Questions that a lane is asked beside its ring, so that it is known whether it answers.
//!
//! ```text
//!   who asks ── Inquiry ──▶ mailbox ──▶ housekeeping: a free frame ─▶ parse ─▶ … ─▶ respond ─▶ tx ──▶ wire
//!      ▲                                     │
//!      └──── the same, with its outcome ─────┘
//! ```
//!
//! The lane does to it what it does to every frame, by its own tables, limits and state: it answers in a frame of its queue, hands the
//! answer over, and counts both. What lies before a lane has no part in it: the program that redirects, and the receive ring.
//!
//! One is answered at each housekeeping, since who asks can wait and packets cannot: it takes a turn of one frame, some hundred
//! nanoseconds and the kernel's share. Nothing of it is on the road, and nothing is allocated: the inquiry brings room for its answer, and goes
//! back in the box that it came in.

use nic::{Frame, Queue};
use telemetry::{Clock, Counter, Ns, Reason};

use crate::lane::{Lane, answer_long};
use crate::tap::Witness;
use crate::verdict::Verdict;

/// A question, and then what became of it.
#[derive(Debug)]
pub struct Inquiry {
    room: Box<[u8]>,
    len: usize,
    outcome: Option<Outcome>,
}

/// What became of an inquiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the lane decided; an answer that the transmit ring had no room for is dropped.
    pub verdict: Verdict,
    /// From the look at the question until its answer was handed over and the kernel was kicked, by the lane's clock.
    pub took: Ns,
}

impl Inquiry {
    /// An empty one, with room for so many bytes.
    pub fn with_room(size: usize) -> Self {
        Self { room: vec![0; size].into_boxed_slice(), len: 0, outcome: None }
    }

    /// Writes a frame into it that is to be answered. Says whether there was room.
    pub fn ask(&mut self, question: &[u8]) -> bool {
        let Some(room) = self.room.get_mut(..question.len()) else { return false };
        room.copy_from_slice(question);
        (self.len, self.outcome) = (question.len(), None);
        true
    }

    /// What became of it; nothing while it was not answered.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The answer, as it was handed to the queue; nothing where there is none, or it found no room here.
    pub fn answer(&self) -> Option<&[u8]> {
        match self.outcome?.verdict {
            Verdict::Reply { len, .. } => self.room.get(..usize::from(len)),
            Verdict::Pass(_) | Verdict::Drop(_) => None,
        }
    }

    fn question(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }

    /// Keeps what was answered.
    fn keep(&mut self, answer: &[u8]) {
        if let Some(room) = self.room.get_mut(..answer.len()) {
            room.copy_from_slice(answer);
        }
    }
}

impl<Q: Queue, C: Clock> Lane<Q, C> {
    /// Answers the inquiry that has come, if one has. It waits for the next time where no frame is free.
    pub(crate) fn answer_inquiry(&mut self) {
        if !self.mailbox.has_inquiry() {
            return;
        }
        let Some(frame) = self.queue.free_frame() else { return };
        match self.mailbox.inquiry() {
            Some(mut inquiry) => {
                inquiry.outcome = self.inquire(frame, &mut inquiry);
                self.mailbox.give_back(inquiry);
            }
            None => self.queue.release(frame),
        }
    }

    /// A turn of this one frame; nothing where the question does not fit into it.
    fn inquire(&mut self, mut frame: Frame, inquiry: &mut Inquiry) -> Option<Outcome> {
        let began = self.state.clock.now();
        let question = inquiry.question();
        let Some(room) = self.queue.room_mut(&frame).get_mut(..question.len()) else {
            self.queue.release(frame);
            return None;
        };
        room.copy_from_slice(question);
        frame.set_len(question.len());
        if Q::HAS_ARRIVALS {
            self.arrivals.let_go();
        }
        if Q::HAS_DEPARTURES {
            self.begin_departures(began);
        }
        let mut tap = self.tap.take();
        let verdict = self.answer_beside_ring(frame, inquiry, &mut tap);
        self.tap = tap;
        self.queue.flush();
        self.look_back.end(1);
        self.state.counters.count(Counter::Rx);
        let took = self.state.clock.rate().ns(self.state.clock.now() - began);
        Some(Outcome { verdict, took })
    }

    fn answer_beside_ring<W: Witness>(
        &mut self,
        frame: Frame,
        inquiry: &mut Inquiry,
        witness: &mut W,
    ) -> Verdict {
        let (now, len) = (self.state.clock.now(), frame.len());
        let room = self.queue.room_mut(&frame);
        witness.asked(room, len, &self.tables, self.state.wall_time(now));
        let verdict = answer_long(room, len, &self.tables, &mut self.state, now);
        witness.decided(room, Err(verdict), &self.state.counters, self.state.wall_time_now());
        if let Verdict::Reply { len, .. } = verdict {
            inquiry.keep(room.get(..usize::from(len)).unwrap_or_default());
        }
        let unsent = self.state.counters.of(Counter::TxRingFull);
        self.conclude(frame, verdict);
        witness.ended(&self.state.counters);
        let is_unsent = self.state.counters.of(Counter::TxRingFull) != unsent;
        if is_unsent { Verdict::Drop(Reason::TxRingFull) } else { verdict }
    }
}

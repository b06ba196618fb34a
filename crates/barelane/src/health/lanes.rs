//! The lanes of a card, all asked the same at the same time: each has one question under way, and is waited for no longer than
//! that somebody who asks would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lane::{Inquiry, InquirySender, Outcome};
use telemetry::Page;

/// How long a lane may take for a question. It has one answered at each of its housekeepings: within a tenth of a millisecond where it
/// is idle, 13 ms under full load, and 20 ms where it sleeps. One that takes longer has been kept from its core.
const PATIENCE: Duration = Duration::from_millis(700);

/// How often is looked whether a lane has answered.
const LOOK_INTERVAL: Duration = Duration::from_micros(50);

/// Room for a question and its answer: of 56 bytes each with their headers, and 112 of authenticated STAMP.
pub(super) const FRAME_SIZE_MAX: usize = 512;

/// A lane as whoever asks it knows it.
#[derive(Debug)]
pub(crate) struct LaneDoor {
    /// The queue of its card.
    pub(super) queue: u32,
    /// Where it counts what it has answered.
    pub(super) page: Arc<Page>,
    inquiries: InquirySender,
    /// There while none is under way.
    inquiry: Option<Box<Inquiry>>,
}

/// What a lane said to a question.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) outcome: Outcome,
    pub(super) answer: Vec<u8>,
}

impl LaneDoor {
    /// The lane of a queue, by its end for inquiries.
    pub(crate) fn new(queue: u32, page: Arc<Page>, inquiries: InquirySender) -> Self {
        let inquiry = Some(Box::new(Inquiry::with_room(FRAME_SIZE_MAX)));
        Self { queue, page, inquiries, inquiry }
    }

    /// Asks it. Says whether it could: it may still have the question before.
    fn ask(&mut self, question: &[u8]) -> bool {
        self.collect();
        let Some(mut inquiry) = self.inquiry.take() else { return false };
        if !inquiry.ask(question) {
            self.inquiry = Some(inquiry);
            return false;
        }
        match self.inquiries.send(inquiry) {
            Ok(()) => true,
            Err(lane::MailboxFull(inquiry)) => {
                self.inquiry = Some(inquiry);
                false
            }
        }
    }

    /// Whether the question is back.
    fn collect(&mut self) -> bool {
        if self.inquiry.is_none() {
            self.inquiry = self.inquiries.collect();
        }
        self.inquiry.is_some()
    }

    /// What was said to the question that is back.
    fn said(&self) -> Option<Said> {
        let inquiry = self.inquiry.as_ref()?;
        let answer = inquiry.answer().unwrap_or_default().to_vec();
        Some(Said { outcome: inquiry.outcome()?, answer })
    }
}

/// Asks all lanes the same, and waits for those who could be asked, not beyond `deadline` nor `stop`. Gives how many those were, and
/// for each lane what it said; nothing where it has not answered.
pub(super) fn ask_all(
    lanes: &mut [LaneDoor],
    question: &[u8],
    deadline: Instant,
    stop: &AtomicBool,
) -> (u64, Vec<Option<Said>>) {
    let asked: Vec<bool> = lanes.iter_mut().map(|lane| lane.ask(question)).collect();
    let patient_until = deadline.min(Instant::now() + PATIENCE);
    let is_due = || Instant::now() >= patient_until || stop.load(Ordering::Relaxed);
    while !lanes.iter_mut().zip(&asked).all(|(lane, asked)| !asked || lane.collect()) && !is_due() {
        thread::sleep(LOOK_INTERVAL);
    }
    let said = |(lane, asked): (&LaneDoor, &bool)| lane.said().filter(|_| *asked);
    let asked_count = asked.iter().filter(|asked| **asked).count() as u64;
    (asked_count, lanes.iter().zip(&asked).map(said).collect())
}

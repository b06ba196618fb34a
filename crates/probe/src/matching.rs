//! What became of each question.
//!
//! Every question that was sent has exactly one fate, and the three fates add up:
//!
//! ```text
//!                      right answer in time
//!   sent ─▶ waiting ──────────────────────────▶ answered
//!              │
//!              │ time-out         right answer all the same
//!              └────────▶ lost ───────────────────────────▶ late
//!
//!   sent = answered + lost + late        (and + waiting, while the run goes on)
//! ```
//!
//! What else arrives is counted beside that law and settles nothing: a second right answer is **duplicated**, a first
//! one that arrives behind a later question's is **reordered** (RFC 4737 3.3; it is answered or late as well), an
//! answer that is not what was asked is **corrupted**, and a right one to a question that is no longer remembered is
//! **unmatched**.
//!
//! # Memory
//!
//! Questions are remembered in a circle, the newest over the oldest, all of it taken before the first one
//! ([`memory`]):
//!
//! ```text
//!     forgotten │ settled or lost, remembered for late │ the oldest      waiting, or settled        │ next
//!               │ and doubled answers                  │ that waits      out of order               │
//!   ────────────┴──────────────────────────────────────┴────────────────────────────────────────────┴──▶ sequence
//!               ◀───────────────────────── as many as there are slots ─────────────────────────────▶
//! ```
//!
//! A question that waits is never forgotten: where the circle is full of them ([`Matcher::has_room`]), the next one is
//! asked later, which an open loop's figures show as every other delay. So what is counted as lost had its whole
//! time-out.

mod memory;

pub use memory::{REMEMBERED_MAX, REMEMBERED_MIN, slot_count};

use telemetry::{Ns, Tick};

use crate::transport::Stamps;

/// What was counted. See the [module](self) for the law that holds between these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions handed to the backend.
    pub sent: u64,
    /// Questions with a right answer within the time-out.
    pub answered: u64,
    /// Questions without any right answer.
    pub lost: u64,
    /// Those of the lost that were given up before their time-out, because the run was stopped or its backend failed.
    pub abandoned: u64,
    /// Questions whose first right answer came after the time-out.
    pub late: u64,
    /// Right answers to a question that had one already.
    pub duplicated: u64,
    /// First right answers that came behind the answer to a later question.
    pub reordered: u64,
    /// Answers from the target to us that are not byte for byte what was asked, or whose headers are wrong.
    pub corrupted: u64,
    /// Right answers to questions that are no longer remembered.
    pub unmatched: u64,
    /// ICMP errors that the kernel reported instead of an answer: a closed port, an unreachable host.
    pub refused: u64,
    /// Those of the answered whose round trip is not measured, because the kernel has not stamped the question or the
    /// answer.
    pub unstamped: u64,
    /// Answers accepted although their sender left the checksum unfinished, as stacks behind a veth do.
    pub partial_checksums: u64,
}

impl Counts {
    /// The questions that have no fate yet.
    pub const fn outstanding(&self) -> u64 {
        self.sent - self.answered - self.lost - self.late
    }
}

/// A question that was answered in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Its sequence number, as it was on the wire.
    pub sequence: u64,
    /// When it was due.
    pub intended: Tick,
    /// When it was sent.
    pub sent: Tick,
    /// When its answer arrived.
    pub received: Tick,
    /// How long it was at the server, by the server's own clock, where the protocol says so.
    pub residence: Option<Ns>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Lost,
    Settled,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    sequence: u64,
    intended: Tick,
    sent: Tick,
    /// Whether `sent` is a stamp that counts.
    is_stamped: bool,
    state: State,
}

/// The questions of one run, and their fates.
#[derive(Debug)]
pub struct Matcher {
    slots: Box<[Slot]>,
    timeout: u64,
    stamps: Stamps,
    /// The first counted sequence number; those before it were the warm-up.
    first: u64,
    /// The next sequence number.
    next: u64,
    /// No question before this one waits any more.
    oldest: u64,
    /// One more than the highest sequence number that was answered (`NextExp` of RFC 4737).
    expected: u64,
    counts: Counts,
}

impl Matcher {
    /// A matcher that remembers `slot_count` questions, rounded up to a power of two, and gives each of them up
    /// `timeout` ticks after it was sent.
    pub fn new(slot_count: usize, timeout: u64) -> Self {
        let free = Slot {
            sequence: u64::MAX,
            intended: Tick(0),
            sent: Tick(0),
            is_stamped: false,
            state: State::Settled,
        };
        Self {
            slots: vec![free; slot_count.next_power_of_two()].into_boxed_slice(),
            timeout,
            stamps: Stamps::User,
            first: 0,
            next: 0,
            oldest: 0,
            expected: 0,
            counts: Counts::default(),
        }
    }

    /// Forgets what was counted and begins to count, with another time-out. What is still to come for the questions
    /// before is ignored.
    pub fn begin(&mut self, timeout: u64) {
        self.timeout = timeout;
        self.first = self.next;
        self.oldest = self.next;
        self.counts = Counts::default();
    }

    /// The same, with stamps of this kind. Where they are the kernel's, a question without one is answered as any
    /// other is, and gives no sample: a round trip between two kinds of stamps would be of neither.
    #[must_use = "it is another matcher"]
    pub fn with_stamps(self, stamps: Stamps) -> Self {
        Self { stamps, ..self }
    }

    /// The sequence number of the next question.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// What was counted so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether one more question can be remembered without forgetting one that waits.
    pub fn has_room(&mut self) -> bool {
        self.skip_settled();
        self.next - self.oldest < self.slots.len() as u64
    }

    /// Notes that the question [`Matcher::next`] was sent. The question that its slot held is forgotten.
    ///
    /// # Panics
    /// That one still waits. [`Matcher::has_room`] tells.
    pub fn sent(&mut self, intended: Tick, sent: Tick) {
        assert!(self.has_room(), "a question that waits would be forgotten");
        let sequence = self.next;
        let is_stamped = self.stamps == Stamps::User;
        if let Some(slot) = self.slot(sequence) {
            *slot = Slot { sequence, intended, sent, is_stamped, state: State::Waiting };
        }
        self.next += 1;
        self.counts.sent += 1;
    }

    /// Notes a better sending stamp of a question. One that is no longer remembered, or settled, keeps its own: its
    /// round trip is recorded already.
    pub fn stamped(&mut self, sequence: u64, sent: Tick) {
        if let Some(slot) = self.slot(sequence)
            && slot.sequence == sequence
            && slot.state != State::Settled
        {
            (slot.sent, slot.is_stamped) = (sent, true);
        }
    }

    /// Notes that the answer to a question, which is about to be noted, has no stamp that counts.
    pub fn unstamped(&mut self, sequence: u64) {
        if let Some(slot) = self.slot(sequence).filter(|slot| slot.sequence == sequence) {
            slot.is_stamped = false;
        }
    }

    /// Notes a right answer to `sequence`. Gives the sample where it is a first answer within the time-out.
    pub fn answered(&mut self, sequence: u64, received: Tick, residence: Option<Ns>) -> Option<Sample> {
        if sequence < self.first {
            return None;
        }
        let Some(&mut Slot { intended, sent, is_stamped, state, .. }) =
            self.slot(sequence).filter(|slot| slot.sequence == sequence)
        else {
            self.counts.unmatched += 1;
            return None;
        };
        if state == State::Settled {
            self.counts.duplicated += 1;
            return None;
        }
        self.settle(sequence, state);
        if received - sent > self.timeout {
            self.counts.late += 1;
            return None;
        }
        self.counts.answered += 1;
        self.counts.unstamped += u64::from(!is_stamped);
        is_stamped.then_some(Sample { sequence, intended, sent, received, residence })
    }

    /// Gives up the oldest waiting question where it has waited longer than the time-out; says when it was sent.
    pub fn expire(&mut self, now: Tick) -> Option<(u64, Tick)> {
        self.expires_at().filter(|at| *at < now).and_then(|_| self.give_up_oldest())
    }

    /// Gives up the oldest waiting question before its time-out, because nobody listens for its answer any more; says
    /// when it was sent.
    pub fn abandon(&mut self) -> Option<(u64, Tick)> {
        let given_up = self.give_up_oldest();
        self.counts.abandoned += u64::from(given_up.is_some());
        given_up
    }

    /// The last instant at which an answer to the oldest waiting question is in time, or nothing where none waits.
    pub fn expires_at(&mut self) -> Option<Tick> {
        let timeout = self.timeout;
        self.oldest_waiting().map(|slot| Tick(slot.sent.0.saturating_add(timeout)))
    }

    /// Counts an answer that is not what was asked.
    pub const fn corrupted(&mut self) {
        self.counts.corrupted += 1;
    }

    /// Counts an ICMP error.
    pub const fn refused(&mut self) {
        self.counts.refused += 1;
    }

    /// Counts an answer with an unfinished checksum.
    pub const fn partial_checksum(&mut self) {
        self.counts.partial_checksums += 1;
    }

    fn settle(&mut self, sequence: u64, state: State) {
        if let Some(slot) = self.slot(sequence) {
            slot.state = State::Settled;
        }
        if state == State::Lost {
            self.counts.lost -= 1;
        }
        if sequence < self.expected {
            self.counts.reordered += 1;
        }
        self.expected = self.expected.max(sequence + 1);
    }

    fn give_up_oldest(&mut self) -> Option<(u64, Tick)> {
        let slot = self.oldest_waiting()?;
        slot.state = State::Lost;
        let given_up = (slot.sequence, slot.sent);
        self.counts.lost += 1;
        Some(given_up)
    }

    fn oldest_waiting(&mut self) -> Option<&mut Slot> {
        self.skip_settled();
        let oldest = self.oldest;
        if oldest < self.next { self.slot(oldest) } else { None }
    }

    /// Passes over what does not wait any more: each question once in its life.
    fn skip_settled(&mut self) {
        while self.oldest < self.next
            && self.slot(self.oldest).is_some_and(|slot| slot.state != State::Waiting)
        {
            self.oldest += 1;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked to the number of slots")]
    fn slot(&mut self, sequence: u64) -> Option<&mut Slot> {
        let mask = self.slots.len() - 1;
        self.slots.get_mut(sequence as usize & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: u64 = 100;
    const SLOTS: usize = 8;

    fn matcher(sent_at: &[u64]) -> Matcher {
        let mut matcher = Matcher::new(SLOTS, TIMEOUT);
        for &at in sent_at {
            matcher.sent(Tick(at), Tick(at));
        }
        matcher
    }

    /// The round trip of an answer that is in time and the first one.
    fn answer(matcher: &mut Matcher, sequence: u64, at: u64) -> Option<u64> {
        matcher.answered(sequence, Tick(at), None).map(|sample| sample.received - sample.sent)
    }

    fn expire_all(matcher: &mut Matcher, now: u64) -> usize {
        std::iter::from_fn(|| matcher.expire(Tick(now))).count()
    }

    fn fates(matcher: &Matcher) -> [u64; 4] {
        let counts = matcher.counts();
        [counts.answered, counts.lost, counts.late, counts.outstanding()]
    }

    #[test]
    fn an_answer_at_the_time_out_is_in_time_and_one_tick_later_it_is_late() {
        let mut matcher = matcher(&[0, 0]);
        assert_eq!(answer(&mut matcher, 0, TIMEOUT), Some(TIMEOUT));
        assert_eq!(answer(&mut matcher, 1, TIMEOUT + 1), None);
        assert_eq!(fates(&matcher), [1, 0, 1, 0]);
    }

    #[test]
    fn a_lost_question_becomes_late_when_its_answer_comes_after_all() {
        let mut matcher = matcher(&[0]);
        assert_eq!(expire_all(&mut matcher, TIMEOUT), 0);
        assert_eq!(expire_all(&mut matcher, TIMEOUT + 1), 1);
        assert_eq!(fates(&matcher), [0, 1, 0, 0]);
        assert_eq!(answer(&mut matcher, 0, 500), None);
        assert_eq!(fates(&matcher), [0, 0, 1, 0]);
    }

    #[test]
    fn an_answer_stamped_in_time_counts_in_time_although_it_was_read_after_the_time_out() {
        let mut matcher = matcher(&[0]);
        expire_all(&mut matcher, 500);
        assert_eq!(answer(&mut matcher, 0, 7), Some(7));
        assert_eq!(fates(&matcher), [1, 0, 0, 0]);
    }

    #[test]
    fn a_second_answer_is_duplicated_and_changes_no_fate() {
        let mut matcher = matcher(&[0]);
        answer(&mut matcher, 0, 1);
        assert_eq!(answer(&mut matcher, 0, 2), None);
        assert_eq!((fates(&matcher), matcher.counts().duplicated), ([1, 0, 0, 0], 1));
    }

    #[test]
    fn an_answer_behind_a_later_one_is_reordered_once() {
        let mut matcher = matcher(&[0, 1, 2]);
        for sequence in [2, 0, 0, 1] {
            answer(&mut matcher, sequence, 10);
        }
        assert_eq!((fates(&matcher), matcher.counts().reordered), ([3, 0, 0, 0], 2));
    }

    #[test]
    fn an_answer_to_a_question_never_asked_is_unmatched() {
        let mut matcher = matcher(&[0]);
        answer(&mut matcher, 1, 1);
        assert_eq!((fates(&matcher), matcher.counts().unmatched), ([0, 0, 0, 1], 1));
    }

    #[test]
    fn a_question_that_waits_is_never_forgotten() {
        let mut matcher = matcher(&[0; SLOTS]);
        assert!(!matcher.has_room());
        answer(&mut matcher, 1, 1);
        assert!(!matcher.has_room(), "the oldest still waits");
        answer(&mut matcher, 0, 1);
        assert!(matcher.has_room());
        matcher.sent(Tick(2), Tick(2));
        matcher.sent(Tick(2), Tick(2));
        assert!(!matcher.has_room());
        assert_eq!(answer(&mut matcher, 2, 5), Some(5));
    }

    #[test]
    #[should_panic(expected = "would be forgotten")]
    fn asking_without_room_is_a_mistake_of_ours() {
        matcher(&[0; SLOTS + 1]);
    }

    #[test]
    fn a_lost_question_is_remembered_until_its_slot_is_used_again() {
        let mut matcher = matcher(&[0; SLOTS]);
        assert_eq!(expire_all(&mut matcher, TIMEOUT + 1), SLOTS);
        matcher.sent(Tick(200), Tick(200));
        answer(&mut matcher, 0, 250);
        answer(&mut matcher, 1, 250);
        assert_eq!(fates(&matcher), [0, SLOTS as u64 - 1, 1, 1]);
        assert_eq!(matcher.counts().unmatched, 1);
    }

    #[test]
    fn a_better_sending_stamp_takes_the_place_of_the_first() {
        let mut matcher = matcher(&[0, 0]);
        matcher.stamped(0, Tick(3));
        assert_eq!(answer(&mut matcher, 0, 10), Some(7));
        matcher.stamped(0, Tick(5));
        matcher.stamped(9, Tick(5));
        assert_eq!(answer(&mut matcher, 1, 10), Some(10));
    }

    #[test]
    fn what_is_abandoned_is_lost_and_the_fates_add_up() {
        let mut matcher = matcher(&[0, 1, 2]);
        answer(&mut matcher, 1, 5);
        assert_eq!((matcher.abandon(), matcher.abandon()), (Some((0, Tick(0))), Some((2, Tick(2)))));
        assert_eq!(matcher.abandon(), None);
        assert_eq!((fates(&matcher), matcher.counts().abandoned), ([1, 2, 0, 0], 2));
    }

    #[test]
    fn an_answer_without_a_stamp_that_counts_is_answered_and_gives_no_sample() {
        let mut matcher = Matcher::new(SLOTS, TIMEOUT).with_stamps(Stamps::Kernel);
        for sequence in 0..3 {
            matcher.sent(Tick(0), Tick(sequence));
        }
        matcher.stamped(1, Tick(5));
        matcher.stamped(2, Tick(6));
        matcher.unstamped(2);
        assert_eq!(matcher.answered(0, Tick(10), None), None);
        assert_eq!(matcher.answered(1, Tick(10), None).unwrap().sent, Tick(5));
        assert_eq!(matcher.answered(2, Tick(10), None), None);
        assert_eq!((fates(&matcher), matcher.counts().unstamped), ([3, 0, 0, 0], 2));
    }

    #[test]
    fn the_warm_up_counts_for_nothing_and_neither_do_its_stragglers() {
        let mut matcher = matcher(&[0, 0]);
        answer(&mut matcher, 0, 1);
        matcher.begin(TIMEOUT);
        answer(&mut matcher, 1, 2);
        assert_eq!(*matcher.counts(), Counts::default());
        matcher.sent(Tick(3), Tick(3));
        assert_eq!(answer(&mut matcher, 2, 5), Some(2));
    }

    #[test]
    fn the_oldest_waiting_question_says_when_the_next_one_expires() {
        let mut matcher = matcher(&[0, 10, 20]);
        answer(&mut matcher, 0, 30);
        assert_eq!(matcher.expires_at(), Some(Tick(10 + TIMEOUT)));
        expire_all(&mut matcher, 1000);
        assert_eq!(matcher.expires_at(), None);
    }
}

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
//! The memory is bounded whatever the loss: the newest [`REMEMBERED`] questions, overwritten in a circle.

use telemetry::Tick;

/// How many questions are remembered: as many as the 16-bit sequence number of an echo header can tell apart.
/// More would be of no use to short ICMP payloads; fewer would make answers that are very late unmatched.
pub const REMEMBERED: usize = 1 << 16;

/// What was counted. See the [module](self) for the law that holds between these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions handed to the backend.
    pub sent: u64,
    /// Questions with a right answer within the time-out.
    pub answered: u64,
    /// Questions without any right answer.
    pub lost: u64,
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
    /// Answers accepted although their sender left the checksum unfinished, as stacks behind a veth do.
    pub partial_checksums: u64,
}

impl Counts {
    /// The questions that have no fate yet.
    pub const fn outstanding(&self) -> u64 {
        self.sent - self.answered - self.lost - self.late
    }
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
    sent_at: Tick,
    state: State,
}

/// The questions of one run, and their fates.
#[derive(Debug)]
pub struct Matcher {
    slots: Box<[Slot]>,
    timeout: u64,
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
    /// A matcher that gives a question up `timeout` ticks after it was sent.
    pub fn new(timeout: u64) -> Self {
        let free = Slot { sequence: u64::MAX, sent_at: Tick(0), state: State::Settled };
        Self {
            slots: vec![free; REMEMBERED].into_boxed_slice(),
            timeout,
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

    /// The sequence number of the next question.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// What was counted so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Notes that the question [`Matcher::next`] was sent. The question that its slot held is forgotten; if that one
    /// still waited, it is lost.
    pub fn sent(&mut self, at: Tick) {
        if self.next - self.oldest == REMEMBERED as u64 {
            self.give_up_oldest();
        }
        let sequence = self.next;
        if let Some(slot) = self.slot(sequence) {
            *slot = Slot { sequence, sent_at: at, state: State::Waiting };
            self.next += 1;
            self.counts.sent += 1;
        }
    }

    /// Notes the kernel's own stamp of a question that still waits: it takes the place of the one before.
    pub fn stamped(&mut self, sequence: u64, at: Tick) {
        if let Some(slot) = self.slot(sequence)
            && slot.sequence == sequence
            && slot.state != State::Settled
        {
            slot.sent_at = at;
        }
    }

    /// Notes a right answer to `sequence`. Gives the round trip in ticks where it is a first answer within the
    /// time-out.
    pub fn answered(&mut self, sequence: u64, at: Tick) -> Option<u64> {
        if sequence < self.first {
            return None;
        }
        let Some(&mut Slot { sent_at, state, .. }) =
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
        let took = at - sent_at;
        if took > self.timeout {
            self.counts.late += 1;
            return None;
        }
        self.counts.answered += 1;
        Some(took)
    }

    /// Gives up what has waited longer than the time-out. Gives how many those were.
    pub fn expire(&mut self, now: Tick) -> u64 {
        let lost_before = self.counts.lost;
        while self.expires_at().is_some_and(|at| at < now) {
            self.give_up_oldest();
        }
        self.counts.lost - lost_before
    }

    /// The last instant at which an answer to the oldest waiting question is in time, or nothing where none waits.
    pub fn expires_at(&mut self) -> Option<Tick> {
        while self.oldest < self.next {
            let oldest = self.oldest;
            match self.slot(oldest) {
                Some(slot) if slot.state == State::Waiting => {
                    let sent_at = slot.sent_at.0;
                    return Some(Tick(sent_at.saturating_add(self.timeout)));
                }
                _ => self.oldest += 1,
            }
        }
        None
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

    fn give_up_oldest(&mut self) {
        let oldest = self.oldest;
        self.oldest += 1;
        if let Some(slot) = self.slot(oldest)
            && slot.state == State::Waiting
        {
            slot.state = State::Lost;
            self.counts.lost += 1;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked to the number of slots")]
    fn slot(&mut self, sequence: u64) -> Option<&mut Slot> {
        self.slots.get_mut(sequence as usize & (REMEMBERED - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: u64 = 100;

    fn matcher(sent_at: &[u64]) -> Matcher {
        let mut matcher = Matcher::new(TIMEOUT);
        for &at in sent_at {
            matcher.sent(Tick(at));
        }
        matcher
    }

    fn fates(matcher: &Matcher) -> [u64; 4] {
        let counts = matcher.counts();
        [counts.answered, counts.lost, counts.late, counts.outstanding()]
    }

    #[test]
    fn an_answer_at_the_time_out_is_in_time_and_one_tick_later_it_is_late() {
        let mut matcher = matcher(&[0, 0]);
        assert_eq!(matcher.answered(0, Tick(TIMEOUT)), Some(TIMEOUT));
        assert_eq!(matcher.answered(1, Tick(TIMEOUT + 1)), None);
        assert_eq!(fates(&matcher), [1, 0, 1, 0]);
    }

    #[test]
    fn a_lost_question_becomes_late_when_its_answer_comes_after_all() {
        let mut matcher = matcher(&[0]);
        assert_eq!(matcher.expire(Tick(TIMEOUT)), 0);
        assert_eq!(matcher.expire(Tick(TIMEOUT + 1)), 1);
        assert_eq!(fates(&matcher), [0, 1, 0, 0]);
        assert_eq!(matcher.answered(0, Tick(500)), None);
        assert_eq!(fates(&matcher), [0, 0, 1, 0]);
    }

    #[test]
    fn an_answer_stamped_in_time_counts_in_time_although_it_was_read_after_the_time_out() {
        let mut matcher = matcher(&[0]);
        matcher.expire(Tick(500));
        assert_eq!(matcher.answered(0, Tick(7)), Some(7));
        assert_eq!(fates(&matcher), [1, 0, 0, 0]);
    }

    #[test]
    fn a_second_answer_is_duplicated_and_changes_no_fate() {
        let mut matcher = matcher(&[0]);
        matcher.answered(0, Tick(1));
        assert_eq!(matcher.answered(0, Tick(2)), None);
        assert_eq!((fates(&matcher), matcher.counts().duplicated), ([1, 0, 0, 0], 1));
    }

    #[test]
    fn an_answer_behind_a_later_one_is_reordered_once() {
        let mut matcher = matcher(&[0, 1, 2]);
        for sequence in [2, 0, 0, 1] {
            matcher.answered(sequence, Tick(10));
        }
        assert_eq!((fates(&matcher), matcher.counts().reordered), ([3, 0, 0, 0], 2));
    }

    #[test]
    fn an_answer_to_a_question_never_asked_is_unmatched() {
        let mut matcher = matcher(&[0]);
        matcher.answered(1, Tick(1));
        assert_eq!((fates(&matcher), matcher.counts().unmatched), ([0, 0, 0, 1], 1));
    }

    #[test]
    fn a_question_that_is_no_longer_remembered_is_lost_and_its_answer_unmatched() {
        let mut matcher = Matcher::new(u64::MAX);
        for at in 0..=REMEMBERED as u64 {
            matcher.sent(Tick(at));
        }
        assert_eq!(fates(&matcher), [0, 1, 0, REMEMBERED as u64]);
        matcher.answered(0, Tick(1 << 20));
        assert_eq!((fates(&matcher), matcher.counts().unmatched), ([0, 1, 0, REMEMBERED as u64], 1));
    }

    #[test]
    fn the_warm_up_counts_for_nothing_and_neither_do_its_stragglers() {
        let mut matcher = matcher(&[0, 0]);
        matcher.answered(0, Tick(1));
        matcher.begin(TIMEOUT);
        matcher.answered(1, Tick(2));
        assert_eq!(*matcher.counts(), Counts::default());
        matcher.sent(Tick(3));
        assert_eq!(matcher.answered(2, Tick(5)), Some(2));
    }

    #[test]
    fn a_later_stamp_takes_the_place_of_the_first_until_the_answer_has_come() {
        let mut matcher = matcher(&[0, 0]);
        matcher.stamped(0, Tick(4));
        matcher.stamped(7, Tick(4));
        assert_eq!(matcher.answered(0, Tick(10)), Some(6));
        assert_eq!(matcher.answered(1, Tick(10)), Some(10));
    }

    #[test]
    fn the_oldest_waiting_question_says_when_the_next_one_expires() {
        let mut matcher = matcher(&[0, 10, 20]);
        matcher.answered(0, Tick(30));
        assert_eq!(matcher.expires_at(), Some(Tick(10 + TIMEOUT)));
        matcher.expire(Tick(1000));
        assert_eq!(matcher.expires_at(), None);
    }
}

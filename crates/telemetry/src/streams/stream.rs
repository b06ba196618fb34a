//! One stream, and what a packet makes of it: no memory, no clock, only arithmetic.
//!
//! ```text
//!                    first ─────────────────────────────▶ highest
//!   sequence … too late │         the last 64: seen or not │ ahead …
//!                       └──────────── expected ────────────┘
//! ```
//!
//! RFC 3550 A.1 knows a sender that has begun anew by two packets in a row far from all others, since an RTP packet says nothing
//! else of it. Where a packet says when it was sent, that is known from the first one on: what was sent later than the highest, and
//! has a lower sequence, is of another beginning, and so is what was sent longer before it than any packet lives on its way. Where none
//! says so, the rule of RFC 3550 holds.

use super::counts::{Counts, Sequel};
use super::jitter::{Jitter, difference};
use super::sequence::Sequence;
use crate::time::Tick;

/// How many sequences, the highest among them, are known to have come or not.
pub const WINDOW: u64 = 64;

/// No packet is under way for longer: two minutes, the maximum segment lifetime (RFC 9293 3.4.1). Shorter takes what is late for a
/// sender that has begun anew with its clock put back, longer the other way round.
const UNDER_WAY_MAX_NS: u64 = 120_000_000_000;

/// What stands for an instant that a packet does not say.
const UNSAID: u64 = 0;

/// What stands for a sequence that nothing has.
const NO_SEQUENCE: u64 = u64::MAX;

/// A packet of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its sequence.
    pub sequence: Sequence,
    /// When it was sent, by the sender's clock; nothing where it does not say.
    pub sent_ns: Option<u64>,
    /// When it came, by a clock of ours. Only differences mean anything.
    pub arrived_ns: u64,
    /// The lane's instant.
    pub now: Tick,
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What became of its packets, in all of its beginnings.
    pub counts: Counts,
    /// Of the differences between its transits.
    pub jitter: Jitter,
    /// The highest sequence since it last began. Where 32 bits have come round, 2^32 more for each time.
    pub highest: u64,
    /// When its first packet came.
    pub began: Tick,
    /// When its last one did.
    pub last_seen: Tick,
    /// The lowest sequence since it last began.
    first: u64,
    /// Which of the last sequences have come: bit 0 is the highest.
    window: u64,
    /// What would follow the last packet, where that was too late.
    next_of_too_late: u64,
    /// When the highest was sent.
    sent_ns: u64,
    /// How much later it came than that, by two clocks.
    transit_ns: u64,
}

impl Stream {
    /// How many words it has.
    pub const WORDS: usize = Counts::COUNT + 9;

    /// One whose first packet this is.
    pub const fn begin(seen: &Seen) -> Self {
        let number = seen.sequence.number();
        let mut counts = Counts::of_words([0; Counts::COUNT]);
        counts.count(Sequel::Ahead(1));
        let sent_ns = sent_ns(seen);
        Self {
            counts,
            jitter: Jitter::of_word(0),
            highest: number,
            began: seen.now,
            last_seen: seen.now,
            first: number,
            window: 1,
            next_of_too_late: NO_SEQUENCE,
            sent_ns,
            transit_ns: seen.arrived_ns.wrapping_sub(sent_ns),
        }
    }

    /// Whether the highest packet says when it was sent, so that there is a jitter.
    pub const fn is_stamped(&self) -> bool {
        self.sent_ns != UNSAID
    }

    /// Takes the next packet in. Gives how it stands to the others, and by how much its transit differs from the one before,
    /// where both say when they were sent.
    #[inline]
    pub const fn note(&mut self, seen: &Seen) -> (Sequel, Option<u64>) {
        let distance = seen.sequence.distance(self.highest);
        let sequel = self.sequel(distance, seen);
        self.counts.count(sequel);
        self.last_seen = seen.now;
        let differs = self.take_transit(sequel, seen);
        self.next_of_too_late = NO_SEQUENCE;
        match sequel {
            Sequel::Ahead(steps) => self.advance(steps, seen),
            Sequel::Late(more) => {
                self.first = self.first.wrapping_sub(more);
                self.window |= 1 << (distance.unsigned_abs() % WINDOW);
            }
            Sequel::Duplicate => {}
            Sequel::TooLate => self.next_of_too_late = seen.sequence.number().wrapping_add(1),
            Sequel::Restart => *self = self.again(seen),
        }
        (sequel, differs)
    }

    #[inline]
    const fn sequel(&self, distance: i64, seen: &Seen) -> Sequel {
        let apart = distance.unsigned_abs();
        if distance > 0 {
            let is_next = apart < WINDOW || !self.is_left_behind(seen);
            return if is_next { Sequel::Ahead(apart) } else { Sequel::TooLate };
        }
        if self.has_begun_anew(apart, seen) {
            return Sequel::Restart;
        }
        if apart >= WINDOW {
            return Sequel::TooLate;
        }
        if self.window >> apart & 1 == 1 {
            return Sequel::Duplicate;
        }
        Sequel::Late(apart.saturating_sub(self.highest.wrapping_sub(self.first)))
    }

    /// Whether a packet far ahead was sent before the highest: then its sender has begun anew meanwhile.
    const fn is_left_behind(&self, seen: &Seen) -> bool {
        let sent_ns = sent_ns(seen);
        sent_ns != UNSAID && sent_ns < self.sent_ns && self.sent_ns - sent_ns <= UNDER_WAY_MAX_NS
    }

    /// Whether a packet that is no higher than the highest is one of the first ones of a sender that has begun anew.
    const fn has_begun_anew(&self, behind: u64, seen: &Seen) -> bool {
        let (sent_ns, before_ns) = (sent_ns(seen), self.sent_ns);
        if sent_ns == UNSAID || before_ns == UNSAID {
            return behind >= WINDOW && seen.sequence.number() == self.next_of_too_late;
        }
        sent_ns > before_ns || before_ns - sent_ns > UNDER_WAY_MAX_NS
    }

    /// The highest is `steps` more from now on.
    const fn advance(&mut self, steps: u64, seen: &Seen) {
        self.highest = self.highest.wrapping_add(steps);
        self.window = if steps < WINDOW { self.window << steps | 1 } else { 1 };
        self.sent_ns = sent_ns(seen);
    }

    /// The stream as its sender has begun it anew: what was counted stays.
    const fn again(&self, seen: &Seen) -> Self {
        Self { counts: self.counts, jitter: self.jitter, began: self.began, ..Self::begin(seen) }
    }

    /// Takes a transit in. Of what has come before, and of another beginning, it means nothing: a clock may have been put right.
    #[inline]
    const fn take_transit(&mut self, sequel: Sequel, seen: &Seen) -> Option<u64> {
        let sent_ns = sent_ns(seen);
        if !matches!(sequel, Sequel::Ahead(_) | Sequel::Late(_)) || sent_ns == UNSAID {
            return None;
        }
        let transit_ns = seen.arrived_ns.wrapping_sub(sent_ns);
        let before_ns = self.transit_ns;
        self.transit_ns = transit_ns;
        if self.sent_ns == UNSAID {
            return None;
        }
        let difference_ns = difference(transit_ns, before_ns);
        self.jitter.take(difference_ns);
        Some(difference_ns)
    }

    /// As words.
    #[inline]
    pub const fn to_words(self) -> [u64; Self::WORDS] {
        let [expected, received, duplicate, late, too_late, restarts] = self.counts.to_words();
        [
            expected,
            received,
            duplicate,
            late,
            too_late,
            restarts,
            self.jitter.to_word(),
            self.highest,
            self.began.0,
            self.last_seen.0,
            self.first,
            self.window,
            self.next_of_too_late,
            self.sent_ns,
            self.transit_ns,
        ]
    }

    /// The same back.
    #[inline]
    pub const fn of_words(words: [u64; Self::WORDS]) -> Self {
        let [expected, received, duplicate, late, too_late, restarts, rest @ ..] = words;
        let [jitter, highest, began, last_seen, first, window, next_of_too_late, sent_ns, transit_ns] = rest;
        Self {
            counts: Counts::of_words([expected, received, duplicate, late, too_late, restarts]),
            jitter: Jitter::of_word(jitter),
            highest,
            began: Tick(began),
            last_seen: Tick(last_seen),
            first,
            window,
            next_of_too_late,
            sent_ns,
            transit_ns,
        }
    }
}

#[inline]
const fn sent_ns(seen: &Seen) -> u64 {
    match seen.sent_ns {
        Some(ns) => ns,
        None => UNSAID,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    /// When the sender's clock began, which is nothing of ours.
    const SENT: u64 = 1_700_000_000_000 * MS;

    /// A packet of a sender that sends one each millisecond and says when, and that took `way_ns` to come.
    fn stamped(sequence: u32, sent_at_ms: u64, way_ns: u64) -> Seen {
        let sent_ns = SENT + sent_at_ms * MS;
        let arrived_ns = sent_at_ms * MS + way_ns;
        Seen {
            sequence: Sequence::Wrapping(sequence),
            sent_ns: Some(sent_ns),
            arrived_ns,
            now: Tick(arrived_ns),
        }
    }

    fn unstamped(sequence: u64) -> Seen {
        Seen { sequence: Sequence::Wide(sequence), sent_ns: None, arrived_ns: sequence, now: Tick(sequence) }
    }

    /// What becomes of packets of one stream that come in this order.
    fn counts(packets: impl IntoIterator<Item = Seen>) -> Counts {
        let mut packets = packets.into_iter();
        let mut stream = Stream::begin(&packets.next().unwrap());
        packets.for_each(|seen| _ = stream.note(&seen));
        stream.counts
    }

    fn in_time(sequences: impl IntoIterator<Item = u32>) -> Counts {
        counts(sequences.into_iter().map(|sequence| stamped(sequence, sequence.into(), 0)))
    }

    #[test]
    fn what_does_not_come_is_lost_and_what_comes_after_all_is_late() {
        let four_of_six = Counts { expected: 6, received: 4, ..Counts::default() };
        assert_eq!(in_time([0, 1, 3, 5]), four_of_six);
        assert_eq!(in_time([0, 1, 3, 5, 2]), Counts { received: 5, late: 1, ..four_of_six });
        assert_eq!(in_time([0, 1, 3, 5, 2]).lost(), 1);
    }

    #[test]
    fn what_comes_again_is_a_duplicate_however_late() {
        let all = Counts { expected: 64, received: 64, ..Counts::default() };
        assert_eq!(in_time((0..64).chain([63, 0, 0])), Counts { duplicate: 3, ..all });
        assert_eq!(
            in_time([0, 2, 1, 1]),
            Counts { expected: 3, received: 3, late: 1, duplicate: 1, ..Counts::default() }
        );
    }

    #[test]
    fn what_is_further_behind_than_the_window_is_neither_received_nor_a_duplicate() {
        let all = Counts { expected: 66, received: 65, ..Counts::default() };
        let but_one = |missing| (0..66).filter(move |sequence| *sequence != missing);
        // 64 behind, and 63 behind.
        assert_eq!(in_time(but_one(1).chain([1])), Counts { too_late: 1, ..all });
        assert_eq!(in_time(but_one(2).chain([2])), Counts { received: 66, late: 1, ..all });
    }

    #[test]
    fn what_overtook_the_first_packet_makes_it_late_and_expected() {
        let three = Counts { expected: 3, received: 3, ..Counts::default() };
        assert_eq!(in_time([1, 0, 2]), Counts { late: 1, ..three });
        // From before the numbers came round: with 2³² − 2, the one between is expected too.
        let around = counts([stamped(0, 10, 0), stamped(u32::MAX - 1, 8, 3 * MS)]);
        assert_eq!(around, Counts { received: 2, late: 1, ..three });
    }

    #[test]
    fn the_numbers_come_round_without_a_loss() {
        let mut stream = Stream::begin(&stamped(u32::MAX - 1, 0, 0));
        for number in 1..100 {
            stream.note(&stamped((u32::MAX - 1).wrapping_add(number), number.into(), 0));
        }
        assert_eq!(stream.counts, Counts { expected: 100, received: 100, ..Counts::default() });
        assert_eq!(stream.highest, u64::from(u32::MAX) - 1 + 99);
    }

    #[test]
    fn a_lower_sequence_that_was_sent_later_is_of_a_sender_that_has_begun_anew() {
        // As near to what came before as can be, and far from it.
        for before in [2, 10, 1_000] {
            let first = (0..before).map(|sequence| stamped(sequence, sequence.into(), 0));
            let again = (0..before).map(|sequence| stamped(sequence, u64::from(before + sequence), 0));
            let twice = u64::from(before) * 2;
            let expected = Counts { expected: twice, received: twice, restarts: 1, ..Counts::default() };
            assert_eq!(counts(first.chain(again)), expected, "{before}");
        }
    }

    #[test]
    fn what_a_sender_left_on_its_way_before_it_began_anew_is_too_late() {
        let first = (0..999).map(|sequence| stamped(sequence, sequence.into(), 0));
        let again = [0, 1].map(|sequence| stamped(sequence, 1_000 + u64::from(sequence), 0));
        let left = stamped(999, 999, 20 * MS);
        let expected = Counts { expected: 1_002, received: 1_002, restarts: 1, ..Counts::default() };
        let third = stamped(2, 1_002, 0);
        assert_eq!(counts(first.chain(again).chain([left, third])), Counts { too_late: 1, ..expected });
    }

    #[test]
    fn a_clock_that_was_put_back_by_more_than_a_packet_lives_is_a_new_beginning_and_by_less_is_not() {
        let first = |sequence: u32| stamped(sequence, 1_000_000 + u64::from(sequence), 0);
        let back = |ms: u64| counts([first(100), stamped(0, 1_000_100 - ms, 0)]);
        assert_eq!(back(120_001), Counts { expected: 2, received: 2, restarts: 1, ..Counts::default() });
        assert_eq!(back(120_000), Counts { expected: 1, received: 1, too_late: 1, ..Counts::default() });
        // In their order, packets may say what they like.
        let put_back = counts([first(0), stamped(1, 5, 0), stamped(2, 6, 0)]);
        assert_eq!(put_back, Counts { expected: 3, received: 3, ..Counts::default() });
    }

    #[test]
    fn without_stamps_two_in_a_row_far_behind_have_begun_anew_and_one_has_not() {
        let before = Counts { expected: 1_000, received: 1_000, ..Counts::default() };
        let all = |more: &[u64]| counts((0..1_000).chain(more.iter().copied()).map(unstamped));
        assert_eq!(all(&[5]), Counts { too_late: 1, ..before });
        assert_eq!(all(&[5, 1_000, 6]), Counts { expected: 1_001, received: 1_001, too_late: 2, ..before });
        let anew = Counts { expected: 1_001, received: 1_001, too_late: 1, restarts: 1, ..before };
        assert_eq!(all(&[5, 6]), anew);
        assert_eq!(all(&[5, 6, 8, 7]), Counts { expected: 1_003, received: 1_003, late: 1, ..anew });
    }

    #[test]
    fn a_stream_begins_where_it_is_first_seen() {
        assert_eq!(in_time([7_000, 7_001]), Counts { expected: 2, received: 2, ..Counts::default() });
    }

    #[test]
    fn jitter_is_of_what_the_ways_differ_by_whatever_the_clocks_say() {
        let mut stream = Stream::begin(&stamped(0, 0, 500));
        let differences = [(1, 500), (2, 900), (3, 100)]
            .map(|(number, way)| stream.note(&stamped(number, number.into(), way)).1);
        assert_eq!(differences, [Some(0), Some(400), Some(800)]);
        let mut jitter = Jitter::default();
        for ns in [0, 400, 800] {
            jitter.take(ns);
        }
        assert_eq!(stream.jitter, jitter);
    }

    #[test]
    fn what_came_before_was_not_stamped_or_is_of_another_beginning_has_no_jitter() {
        let mut stream = Stream::begin(&stamped(9, 9, 500));
        let mut differs = |seen: Seen| stream.note(&seen).1;
        assert_eq!(differs(stamped(9, 9, 700)), None, "a duplicate");
        assert_eq!(differs(stamped(0, 20, 700)), None, "another beginning");
        assert_eq!(differs(stamped(1, 21, 701)), Some(1));
        assert_eq!(differs(Seen { sent_ns: None, ..stamped(2, 22, 0) }), None);
        assert_eq!(differs(stamped(3, 23, 900)), None, "the one before does not say when it was sent");
        assert_eq!(differs(stamped(4, 24, 910)), Some(10));
    }

    #[test]
    fn a_stream_is_the_same_after_it_was_words() {
        let words = core::array::from_fn(|place| place as u64 + 1);
        assert_eq!(Stream::of_words(words).to_words(), words);
    }
}

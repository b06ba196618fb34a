//! The bytes of a question, and whether an answer carries the same.
//!
//! Every question's payload is a function of the run's seed and the question's sequence number, so that nothing
//! needs to be kept to check an answer byte for byte:
//!
//! ```text
//!  0                 8                 16
//! ┌─────────────────┬─────────────────┬──────────────────────────── … ┐
//! │ sequence (BE)   │ token (BE)      │ pattern that the token begins │   cut off at `size`
//! └─────────────────┴─────────────────┴──────────────────────────── … ┘
//! ```
//!
//! The token is as good as random to anyone who does not know the seed, so that an answer of another run, another
//! probe or a forger does not pass for one of ours. The pattern differs from question to question, so that an answer
//! made up of two questions is found, and it is not zeros, so that a server that loses bytes is found.
//!
//! ICMP brings its own 16 bits of sequence number, so that a payload too short for ours can be measured as well.

use telemetry::Ns;

use crate::ask::Ask;
use crate::clock::WallTime;

/// The bytes of sequence and token. A UDP question carries both whole, since UDP has no sequence of its own.
pub const UDP_SIZE_MIN: usize = 16;

/// All questions of one run.
#[derive(Debug)]
pub struct Questions {
    seed: u64,
    size: usize,
}

/// One question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    run: &'a Questions,
    sequence: u64,
    token: u64,
}

/// What a right answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Which question it answers.
    pub sequence: u64,
    /// How long the target says that it had the question, where the protocol tells (T3 − T2 of STAMP).
    pub residence: Option<Ns>,
}

impl Questions {
    /// The questions of this measurement.
    pub const fn new(ask: &Ask) -> Self {
        Self { seed: ask.seed, size: ask.size }
    }

    /// The question of this sequence number.
    pub const fn at(&self, sequence: u64) -> Question<'_> {
        let token = scatter(self.seed.wrapping_add(sequence.wrapping_mul(STEP)));
        Question { run: self, sequence, token }
    }

    /// Which question a payload answers, or nothing where it is not exactly the payload of a question of this run.
    ///
    /// `echo_sequence` is the sequence number of the ICMP header, where there is one; `next` is the number of the
    /// question that has not been asked yet. A payload without room for its own sequence number is taken for the
    /// newest question with these 16 bits.
    pub fn recognise(&self, payload: &[u8], echo_sequence: Option<u16>, next: u64) -> Option<Recognised> {
        let sequence = match (payload.first_chunk::<8>(), echo_sequence) {
            (Some(bytes), _) => u64::from_be_bytes(*bytes),
            (None, Some(low)) => newest_with(low, next)?,
            (None, None) => return None,
        };
        let question = self.at(sequence);
        let is_right = echo_sequence.is_none_or(|low| low == question.echo_sequence());
        (is_right && question.is_echoed_by(payload)).then_some(Recognised { sequence, residence: None })
    }
}

impl Question<'_> {
    /// Its number in the run, from 0.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The low 16 bits of its number: the sequence number of an ICMP echo header.
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what an echo header holds")]
    pub const fn echo_sequence(&self) -> u16 {
        self.sequence as u16
    }

    /// How many payload bytes it has.
    pub const fn size(&self) -> usize {
        self.run.size
    }

    /// Writes the payload to the beginning of `room`, as far as both reach. `sent_at` is now, for protocols whose
    /// questions say when they were sent.
    pub fn write(&self, room: &mut [u8], _sent_at: WallTime) {
        let size = self.size().min(room.len());
        let (payload, _) = room.split_at_mut(size);
        for (chunk, word) in payload.chunks_mut(8).zip(self.words()) {
            for (byte, value) in chunk.iter_mut().zip(word.to_be_bytes()) {
                *byte = value;
            }
        }
    }

    /// Whether these are exactly the payload's bytes.
    pub fn is_echoed_by(&self, payload: &[u8]) -> bool {
        payload.len() == self.size()
            && payload.chunks(8).zip(self.words()).all(|(chunk, word)| word.to_be_bytes().starts_with(chunk))
    }

    /// The payload, eight bytes at a time, without an end.
    fn words(&self) -> impl Iterator<Item = u64> {
        let token = self.token;
        let pattern = (1..).map(move |index: u64| scatter(token.wrapping_add(index.wrapping_mul(STEP))));
        [self.sequence, token].into_iter().chain(pattern)
    }
}

/// The odd number nearest to 2^64 divided by the golden ratio: its multiples are spread evenly over 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, 2014): every bit of the input changes half of the output.
const fn scatter(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The newest sequence number before `next` whose low 16 bits are `low`.
fn newest_with(low: u16, next: u64) -> Option<u64> {
    let newest = next.checked_sub(1)?;
    let behind = newest.wrapping_sub(u64::from(low)) & 0xffff;
    newest.checked_sub(behind)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::ask::Protocol;

    fn questions(seed: u64, size: usize) -> Questions {
        Questions::new(&Ask { size, seed, ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Icmp) })
    }

    fn run() -> Questions {
        questions(7, 61)
    }

    fn recognise(
        questions: &Questions,
        payload: &[u8],
        echo_sequence: Option<u16>,
        next: u64,
    ) -> Option<u64> {
        questions.recognise(payload, echo_sequence, next).map(|answer| answer.sequence)
    }

    fn payload(questions: &Questions, sequence: u64) -> Vec<u8> {
        let mut room = vec![0xa5; questions.size + 3];
        questions.at(sequence).write(&mut room, WallTime(0));
        assert_eq!(room.split_off(questions.size), [0xa5; 3], "written beyond its size");
        room
    }

    #[test]
    fn an_exact_echo_is_recognised_whatever_its_size() {
        for size in 0..100 {
            let questions = questions(7, size);
            for sequence in [0, 1, 65_535, 65_536, 1 << 40] {
                let bytes = payload(&questions, sequence);
                let echo_sequence = Some(questions.at(sequence).echo_sequence());
                assert_eq!(recognise(&questions, &bytes, echo_sequence, sequence + 3), Some(sequence));
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let right = payload(&run(), 5);
        for bit in 0..right.len() * 8 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(recognise(&run(), &wrong, None, 6), None, "bit {bit}");
        }
    }

    #[test]
    fn a_shorter_a_longer_and_an_empty_answer_are_found() {
        let mut bytes = payload(&run(), 5);
        assert_eq!(recognise(&run(), &bytes[..60], None, 6), None);
        assert_eq!(recognise(&run(), &[], None, 6), None);
        bytes.push(0);
        assert_eq!(recognise(&run(), &bytes, None, 6), None);
    }

    #[test]
    fn an_answer_of_another_run_is_found() {
        assert_eq!(recognise(&run(), &payload(&questions(8, 61), 5), None, 6), None);
    }

    #[test]
    fn a_sequence_that_differs_between_header_and_payload_is_found() {
        assert_eq!(recognise(&run(), &payload(&run(), 5), Some(6), 7), None);
    }

    #[test]
    fn a_short_payload_is_taken_for_the_newest_question_with_its_16_bits() {
        assert_eq!(newest_with(5, 6), Some(5));
        assert_eq!(newest_with(5, 5), None);
        assert_eq!(newest_with(5, 65_536 + 5), Some(5));
        assert_eq!(newest_with(5, 65_536 + 6), Some(65_536 + 5));
        assert_eq!(newest_with(0, 0), None);
    }

    #[test]
    fn no_word_of_the_pattern_is_zero_or_repeats() {
        let bytes = payload(&questions(7, 1472), 0);
        let mut words: Vec<&[u8]> = bytes.chunks(8).skip(1).collect();
        assert!(words.iter().all(|word| *word != [0; 8]));
        words.sort_unstable();
        assert!(words.is_sorted_by(|left, right| left < right));
    }
}

//! The bytes of a question, and whether an answer carries the same.
//!
//! Every question's bytes are a function of the run's seed and the question's sequence number, so that nothing needs to
//! be kept to check an answer byte for byte. What an echo server sends back is all of
//!
//! ```text
//!  0                 8                 16
//! ┌─────────────────┬─────────────────┬──────────────────────────── … ┐
//! │ sequence (BE)   │ token (BE)      │ pattern that the token begins │   cut off at `size`
//! └─────────────────┴─────────────────┴──────────────────────────── … ┘
//! ```
//!
//! and the questions that a STAMP reflector (`stamp`) or a sockperf server (`sockperf`) understands carry the same token
//! and pattern where their formats leave room for it.
//!
//! The token is as good as random to anyone who does not know the seed, so that an answer of another run, another
//! probe or a forger does not pass for one of ours. The pattern differs from question to question, so that an answer
//! made up of two questions is found, and it is not zeros, so that a server that loses bytes is found.
//!
//! ICMP brings its own 16 bits of sequence number, so that a payload too short for ours can be measured as well.

mod pattern;
mod sockperf;
mod stamp;

use telemetry::{Ns, WallTime};

use crate::ask::{Ask, Protocol};
use crate::clock::Clock;
use crate::matching;
use pattern::Tokens;
use stamp::Stamp;

/// The bytes of sequence and token. A UDP question carries both whole, since UDP has no sequence of its own.
pub const UDP_SIZE_MIN: usize = 16;

/// All questions of one run.
#[derive(Debug)]
pub struct Questions {
    tokens: Tokens,
    size: usize,
    form: Form,
}

/// Whose format the questions have.
#[derive(Debug)]
enum Form {
    Echo,
    Stamp(Stamp),
    Sockperf,
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

/// The least payload of a protocol's questions.
pub const fn size_min(protocol: Protocol, is_authenticated: bool) -> usize {
    match protocol {
        Protocol::Icmp => 0,
        Protocol::Udp { .. } => UDP_SIZE_MIN,
        Protocol::Stamp { .. } => stamp::size_min(is_authenticated),
        Protocol::Sockperf { .. } => sockperf::SIZE_MIN,
    }
}

/// Whether a question of this protocol can have a payload of this size: not every larger one than the least is possible.
pub const fn is_size(size: usize, protocol: Protocol, is_authenticated: bool) -> bool {
    match protocol {
        Protocol::Stamp { .. } => stamp::is_size(size, is_authenticated),
        _ => size >= size_min(protocol, is_authenticated),
    }
}

impl Questions {
    /// The questions of this measurement.
    pub fn new(ask: &Ask) -> Self {
        // What is wrong with a measurement `Ask::check` says.
        Self::remembering(matching::slot_count(ask).unwrap_or(matching::REMEMBERED_MIN), ask)
    }

    /// The same for who waits for so few answers at a time: of no more questions is kept what their answers are compared with.
    pub fn remembering(count: usize, ask: &Ask) -> Self {
        let tokens = Tokens::new(ask.seed);
        let form = match ask.protocol {
            Protocol::Icmp | Protocol::Udp { .. } => Form::Echo,
            Protocol::Stamp { .. } => Form::Stamp(Stamp::new(ask, tokens.of_run(), count)),
            Protocol::Sockperf { .. } => Form::Sockperf,
        };
        Self { tokens, size: ask.size, form }
    }

    /// The question of this sequence number.
    pub const fn at(&self, sequence: u64) -> Question<'_> {
        Question { run: self, sequence, token: self.tokens.of(sequence) }
    }

    /// Which question a payload answers, or nothing where it is no right answer to a question of this run.
    ///
    /// `echo_sequence` is the sequence number of the ICMP header, where there is one; `next` is the number of the
    /// question that has not been asked yet. A payload without room for its own sequence number is taken for the
    /// newest question with these 16 bits.
    pub fn recognise(&self, payload: &[u8], echo_sequence: Option<u16>, next: u64) -> Option<Recognised> {
        match &self.form {
            Form::Echo => self.recognise_echo(payload, echo_sequence, next),
            Form::Stamp(stamp) => stamp.recognise(payload, self, next),
            Form::Sockperf => {
                let question = self.at(sockperf::sequence(payload)?);
                let is_right = payload.len() == self.size && sockperf::is_answer(payload, question.token);
                is_right.then_some(Recognised { sequence: question.sequence, residence: None })
            }
        }
    }

    fn recognise_echo(&self, payload: &[u8], echo_sequence: Option<u16>, next: u64) -> Option<Recognised> {
        let sequence = match (payload.first_chunk::<8>(), echo_sequence) {
            (Some(bytes), _) => u64::from_be_bytes(*bytes),
            (None, Some(low)) => newest_with(low.into(), u16::MAX.into(), next)?,
            (None, None) => return None,
        };
        let question = self.at(sequence);
        let is_right = echo_sequence.is_none_or(|low| low == question.echo_sequence());
        let is_whole = payload.len() == self.size && pattern::is_written(payload, question.words());
        (is_right && is_whole).then_some(Recognised { sequence, residence: None })
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

    /// What [`Question::write`] is to be told: now, where the question says it. The clock is not read for the others.
    pub fn stamp(&self, clock: &impl Clock) -> WallTime {
        if matches!(self.run.form, Form::Stamp(_)) { clock.wall(clock.now()) } else { WallTime(0) }
    }

    /// Writes the payload to the beginning of `room`, as far as both reach. `sent_at` is [`Question::stamp`].
    pub fn write(&self, room: &mut [u8], sent_at: WallTime) {
        let (payload, _) = room.split_at_mut(self.size().min(room.len()));
        match &self.run.form {
            Form::Echo => pattern::write(payload, self.words()),
            Form::Stamp(stamp) => stamp.write(payload, self, sent_at),
            Form::Sockperf => sockperf::write(payload, self.sequence, self.token),
        }
    }

    /// The payload of an echo, eight bytes at a time, without an end.
    fn words(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.sequence).chain(pattern::words(self.token))
    }
}

/// The newest sequence number before `next` whose bits in `mask` are `low`. The mask is of low bits.
fn newest_with(low: u64, mask: u64, next: u64) -> Option<u64> {
    let newest = next.checked_sub(1)?;
    newest.checked_sub(newest.wrapping_sub(low) & mask)
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
        assert_eq!(newest_with(5, 0xffff, 6), Some(5));
        assert_eq!(newest_with(5, 0xffff, 5), None);
        assert_eq!(newest_with(5, 0xffff, 65_536 + 5), Some(5));
        assert_eq!(newest_with(5, 0xffff, 65_536 + 6), Some(65_536 + 5));
        assert_eq!(newest_with(0, 0xffff, 0), None);
    }
}

//! Questions that a sockperf server answers: its client's messages of `ping-pong`.
//!
//! ```text
//!  0              8       10       14               22
//! ┌──────────────┬───────┬────────┬────────────────┬──────────────────────── … ┐
//! │ sequence     │ flags │ length │ token          │ pattern                   │
//! └──────────────┴───────┴────────┴────────────────┴──────────────────────── … ┘
//! ```
//!
//! The server sends a message back as it came, but for the flag that says who it is from (`wire::sockperf`). Real
//! clients fill the data with anything; here they carry the token. sockperf's own least message is its header of 14
//! bytes, which nothing tells from another run's.

use wire::sockperf::{CLIENT, Message, PONG_REQUEST, answered};

use super::pattern;

/// The bytes of header and token.
pub(super) const SIZE_MIN: usize = Message::LEN + 8;

/// Writes a client's message that asks for a pong into all of `room`.
pub(super) fn write(room: &mut [u8], sequence: u64, token: u64) {
    let len = u32::try_from(room.len()).unwrap_or(u32::MAX).into();
    if let Some(message) = Message::of_mut(room, 0) {
        *message = Message { sequence: sequence.into(), flags: (CLIENT | PONG_REQUEST).into(), len };
    }
    pattern::write(room.get_mut(Message::LEN..).unwrap_or_default(), pattern::words(token));
}

/// Which question a payload claims to answer.
pub(super) fn sequence(payload: &[u8]) -> Option<u64> {
    Message::of(payload, 0).map(|message| message.sequence.get())
}

/// Whether it is exactly the answer to the question with this token. Its sequence number is taken for right.
pub(super) fn is_answer(payload: &[u8], token: u64) -> bool {
    let is_pong = Message::of(payload, 0).is_some_and(|message| {
        let len = usize::try_from(message.len.get());
        message.flags.get() == answered(CLIENT | PONG_REQUEST) && len == Ok(payload.len())
    });
    let data = payload.get(Message::LEN..).unwrap_or_default();
    is_pong && pattern::is_written(data, pattern::words(token))
}

#[cfg(test)]
mod tests {
    use super::super::Questions;
    use super::*;
    use crate::ask::{Ask, Protocol};
    use crate::clock::WallTime;

    fn questions(size: usize) -> Questions {
        let protocol = Protocol::Sockperf { port: std::num::NonZeroU16::MAX };
        Questions::new(&Ask { size, seed: 7, ..Ask::new(std::net::Ipv4Addr::LOCALHOST.into(), protocol) })
    }

    /// What sockperf's server makes of a question: the lowest bit of the flags is cleared.
    fn answer(questions: &Questions, sequence: u64) -> Vec<u8> {
        let mut room = vec![0xa5; questions.at(0).size() + 3];
        questions.at(sequence).write(&mut room, WallTime(0));
        assert_eq!(room.split_off(room.len() - 3), [0xa5; 3], "written beyond its size");
        assert_eq!(room[8..10], [0, 3], "a client's, which asks for a pong");
        room[9] = 2;
        room
    }

    #[test]
    fn a_message_is_laid_out_as_sockperf_does() {
        let bytes = answer(&questions(30), 0x0102_0304_0506_0708);
        assert_eq!(bytes[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[10..14], [0, 0, 0, 30]);
    }

    #[test]
    fn an_exact_answer_is_recognised_whatever_its_size() {
        for size in [SIZE_MIN, SIZE_MIN + 1, 29, 30, 31, 56, 1_472] {
            let questions = questions(size);
            for sequence in [0, 1, 65_536, 1 << 40] {
                let recognised = questions.recognise(&answer(&questions, sequence), None, sequence + 1);
                assert_eq!(recognised.map(|answer| answer.sequence), Some(sequence), "{size} bytes");
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_found() {
        let questions = questions(33);
        let right = answer(&questions, 5);
        for bit in 0..right.len() * 8 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(questions.recognise(&wrong, None, 6), None, "bit {bit}");
        }
        for len in 0..33 {
            assert_eq!(questions.recognise(&right[..len], None, 6), None, "{len} bytes");
        }
        assert_eq!(questions.recognise(&[right, vec![0]].concat(), None, 6), None);
    }
}

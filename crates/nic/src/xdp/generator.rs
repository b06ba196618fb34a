//! Frames that the kernel sends by itself, as fast as one core carries them: more than any socket or ring sends.
//!
//! A program is run on real frames, as if the interface had received them, and what it returns is done
//! (`BPF_F_TEST_XDP_LIVE_FRAMES`, `Documentation/bpf/bpf_prog_run.rst`). A frame is taken again when whoever got it has
//! freed it, and is then **as it was left**: only a new one is filled. So the program has to make a question of what comes
//! back, and there are two ways:
//!
//! ```text
//!   answered in the frame itself:   answer ── swap ──▶ question ──▶ the other end answers in it ──▶ dropped ─┐
//!   (XDP_TX at the other end)         ▲                                                                     │
//!                                     └─────────────────────────────────────────────────────────────────────┘
//!   answered in another frame:      question ── as it is ──▶ the other end copies it ──▶ freed ─┐
//!   (AF_XDP in copy mode there)       ▲                                                         │
//!                                     └─────────────────────────────────────────────────────────┘
//! ```
//!
//! In the first a question that is lost on its way comes round as an answer, and is sent as such. On a veth none is: a
//! batch of 64 is handled at the other end, by this core, before the next one is made. Whoever counts must see to it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::bare::{self, Bare};
use super::error::XdpError;
use super::program;

/// What becomes of a question's frame at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The answer is in it.
    InPlace,
    /// The answer is in another one.
    Elsewhere,
}

/// A source of frames.
#[derive(Debug)]
pub struct Generator {
    program: OwnedFd,
    ifindex: u32,
    frame: Vec<u8>,
}

impl Generator {
    /// Sends `question`, a UDP datagram over IPv4, by an interface of the calling thread's network namespace. A veth's other
    /// end needs a program, or what is sent is lost; so does this one for what that program answers.
    pub fn new(ifindex: u32, question: &[u8], answered: Answered) -> Result<Self, XdpError> {
        let mut frame = question.to_vec();
        let bare = match answered {
            Answered::InPlace => {
                swap(&mut frame);
                Bare::Swap
            }
            Answered::Elsewhere => Bare::Send,
        };
        Ok(Self { program: program::load(bare.name(), bare.instructions())?, ifindex, frame })
    }

    /// Sends as `Elsewhere` does, but each frame only with this probability, from 0 to 1. What is left out costs a part of what
    /// is sent, so that [`Generator::send`] has moments between two frames: those of askers who know nothing of each other.
    pub fn thinned(ifindex: u32, question: &[u8], share: f64) -> Result<Self, XdpError> {
        let instructions = bare::sometimes(threshold(share));
        let program = program::load(Bare::Send.name(), &instructions)?;
        Ok(Self { program, ifindex, frame: question.to_vec() })
    }

    /// Sends this many frames, as fast as this core does.
    ///
    /// # Errors
    /// The kernel does not: it is older than 5.18, the interface is gone, or a signal has come.
    pub fn send(&self, count: u32) -> io::Result<()> {
        super::bpf::send_live(self.program.as_fd(), self.ifindex, &self.frame, count)
    }
}

/// How many of the 2^32 numbers that chance gives mean that a frame is sent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^32 - 1")]
fn threshold(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u32
}

/// What [`Bare::Swap`] makes of a UDP datagram over IPv4 without options: the Ethernet and IP addresses and the ports
/// change places.
fn swap(frame: &mut [u8]) {
    for (one, other, len) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
        for at in 0..len {
            if other + at < frame.len() {
                frame.swap(one + at, other + at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_all_numbers() {
        assert_eq!([0.0, 0.5, 1.0, 2.0, f64::NAN].map(threshold), [0, u32::MAX / 2, u32::MAX, u32::MAX, 0]);
    }

    #[test]
    fn a_swapped_frame_goes_the_other_way() {
        let mut frame: Vec<u8> = (0..42).collect();
        swap(&mut frame);
        let expected =
            [&[6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5][..], &[30, 31, 32, 33, 26, 27, 28, 29, 36, 37, 34, 35]];
        assert_eq!(frame[..12], *expected[0]);
        assert_eq!(frame[26..38], *expected[1]);
        assert_eq!(frame[12..26], (12..26).collect::<Vec<u8>>());
        swap(&mut frame);
        assert_eq!(frame, (0..42).collect::<Vec<u8>>());
        swap(&mut [0; 13]);
    }
}

//! What stands in for the wire of a card that serves: frames that nobody has sent, put to its program (`BPF_PROG_TEST_RUN`,
//! `net/bpf/test_run.c`).
//!
//! ```text
//!   judge:    frame ─▶ program ─▶ action, and the frame as the program left it         nothing goes anywhere
//!   receive:  frame ─▶ the kernel's receive path ─▶ program ─▶ a lane's ring, or wherever it belongs
//! ```
//!
//! [`StandIn::judge`] is the program itself, with its maps and the image in force, as if a queue of the interface had received
//! the frame. That is the whole of the driver tier: the answer is in the frame. Of the lane tier it says that the frame
//! would be redirected, and that a socket is there for the queue.
//!
//! # Why a frame cannot be put into a lane's ring where the program runs in the driver
//!
//! A program that redirects can be run on real frames too (`BPF_F_TEST_XDP_LIVE_FRAMES`), and then its redirect is done. But a socket's
//! receive ring has one writer, the poll of its queue, and so nothing in the kernel guards it: `xsk_rcv` reserves a slot of the
//! ring and takes a buffer from the fill ring without a lock, and `__xsk_map_redirect` hangs the socket into a list of this
//! core's by the only list head that the socket has (`net/xdp/xsk.c`, Linux 6.18). A frame that is put in on one core while the
//! card's poll brings one on another can so be lost with its buffer, have its buffer handed out twice, or tie the lists of two cores
//! together, which is a fault of the whole machine. Which core polls is not ours to say, so this is not done, however seldom
//! it would be.
//!
//! Where the program runs behind the driver there is a way: [`StandIn::receive`] has the kernel receive the frame, by a program
//! that passes everything, and from there on it goes the way of every frame of the card: the generic XDP program, and
//! `xsk_generic_rcv`, which holds a lock, since there any core may bring frames. The kernel takes such a frame for one of queue 0.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::Attachment;
use super::bare::Bare;
use super::bpf;
use super::dry_run::{Action, action};
use super::error::XdpError;
use super::program;

/// What puts frames to a card's program. It is another owner of the program, which outlives the [`Attachment`] by it, attached
/// to nothing.
#[derive(Debug)]
pub struct StandIn {
    program: OwnedFd,
    /// What has frames received by the kernel.
    pass: OwnedFd,
}

/// Where a frame is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The interface, in the calling thread's network namespace.
    pub ifindex: u32,
    /// Its queue.
    pub queue: u32,
}

/// What a program made of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Where it would go.
    pub action: Action,
    /// How long it is then.
    pub len: usize,
    /// How long the program ran, by the kernel's `CLOCK_MONOTONIC`, whose reading is a part of it.
    pub took: Duration,
}

impl Attachment {
    /// What puts frames to this card's program, for another thread.
    pub fn stand_in(&self) -> Result<StandIn, XdpError> {
        let program = self.program.duplicate()?;
        let pass = program::load(Bare::Pass.name(), Bare::Pass.instructions())?;
        Ok(StandIn { program, pass })
    }
}

impl StandIn {
    /// Runs the program on a frame as if a queue had received it; `out` receives the frame as the program left it. Nothing is sent or
    /// handed on. The program counts it as it counts every frame.
    ///
    /// # Errors
    /// There is no such interface (`ENODEV`), it has no such queue, or the kernel is older than 5.15 (`EINVAL`); the frame is
    /// shorter than its Ethernet header or longer than a page; the answer does not fit into `out`.
    pub fn judge(&self, entrance: Entrance, frame: &[u8], out: &mut [u8]) -> io::Result<Judged> {
        let Entrance { ifindex, queue } = entrance;
        let result = bpf::test_run_at(self.program.as_fd(), ifindex, queue, frame, out)?;
        let took = Duration::from_nanos(result.ns.into());
        Ok(Judged { action: action(result.action)?, len: result.len, took })
    }

    /// Has the kernel receive a frame, as one of the interface's queue 0. For an interface whose program runs in
    /// [`Mode::Generic`](super::Mode::Generic): in a driver, the frame would go past it to the kernel's stack.
    ///
    /// # Errors
    /// There is no such interface (`ENODEV`), or the kernel is older than 5.18 (`EINVAL`).
    pub fn receive(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        bpf::send_live(self.pass.as_fd(), ifindex, frame, 1)
    }
}

//! The program on frames that no wire has brought: run by the kernel, attached to nothing (`BPF_PROG_TEST_RUN`).
//!
//! What loads is what serves: the same instructions, the same maps, past the same verifier. Only the driver is missing,
//! so that a vector can be put to the program as fast as to a function.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::claims::Claims;
use super::error::XdpError;
use super::next_hops::NextHops;
use super::program::{COUNT_MAX, Program};
use super::routes::RouteCount;
use super::stamped::ArrivalStamps;
use super::sys;

/// Where a frame would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nowhere.
    Drop,
    /// To the kernel's stack.
    Pass,
    /// Back to the wire: it is an answer.
    Reply,
    /// To the lane.
    Redirect,
}

/// A loaded program, with a socket where the lane would be.
#[derive(Debug)]
pub struct DryRun {
    program: Program,
    _socket: OwnedFd,
}

/// No frame that the kernel takes for this is longer than a page; with room for an answer that is longer than its question.
const FRAME_LEN_MAX: usize = 4096;

impl DryRun {
    /// The program with these claims in force.
    pub fn load(claims: &Claims) -> Result<Self, XdpError> {
        Self::stamping(claims, ArrivalStamps::None)
    }

    /// The same of a program that stamps arrivals, or does not. What it gives begins with the stamp then.
    pub fn stamping(claims: &Claims, arrivals: ArrivalStamps) -> Result<Self, XdpError> {
        let program = Program::load(1, claims, arrivals)?;
        let socket = sys::socket(libc::AF_XDP, 0);
        let socket = socket.map_err(XdpError::of("making an AF_XDP socket", "CAP_NET_RAW"))?;
        program.set_socket(0, socket.as_fd())?;
        Ok(Self { program, _socket: socket })
    }

    /// Puts other claims in force.
    pub fn set_claims(&mut self, claims: &Claims) -> Result<Vec<RouteCount>, XdpError> {
        self.program.set_claims(claims)
    }

    /// What it has counted of each route since then.
    pub fn route_counts(&self) -> Result<Vec<RouteCount>, XdpError> {
        self.program.route_counts()
    }

    /// Puts other next hops in force.
    pub fn set_next_hops(&mut self, next_hops: &NextHops) -> Result<(), XdpError> {
        self.program.set_next_hops(next_hops)
    }

    /// Which gateways it has answered by since then, or since the last time: a bit for each, by its index modulo 64.
    pub fn take_gateways_used(&self) -> Result<u64, XdpError> {
        self.program.take_gateways_used()
    }

    /// Runs it on a frame, of 14 to some 3,500 bytes, and gives the frame as it is then.
    ///
    /// # Errors
    /// The kernel does not take such a frame, or the program returned what is no action.
    pub fn run(&self, frame: &[u8]) -> io::Result<(Action, Vec<u8>)> {
        let mut out = vec![0; FRAME_LEN_MAX];
        let result = self.program.test_run(frame, &mut out)?;
        out.truncate(result.len);
        Ok((action(result.action)?, out))
    }

    /// Runs it on a frame, and gives how long that took by the kernel's own clock, whose reading is a part of it.
    ///
    /// # Errors
    /// As [`DryRun::run`].
    pub fn time(&self, frame: &[u8]) -> io::Result<Duration> {
        let result = self.program.test_run(frame, &mut [0; FRAME_LEN_MAX])?;
        Ok(Duration::from_nanos(result.ns.into()))
    }

    /// What it has counted, by the index of a row in THE counter table.
    pub fn counts(&self) -> Result<[u64; COUNT_MAX], XdpError> {
        self.program.counts()
    }
}

/// `enum xdp_action`.
pub(super) fn action(number: u32) -> io::Result<Action> {
    match number {
        1 => Ok(Action::Drop),
        2 => Ok(Action::Pass),
        3 => Ok(Action::Reply),
        4 => Ok(Action::Redirect),
        _ => Err(io::Error::other(format!("the program returned {number}, which is no action"))),
    }
}

//! The events by which a sleeping end is woken.
//!
//! A server's come from its peer, who may hand over anything: a pipe that nobody reads would hold up whoever writes to it.
//! So only what the kernel calls an eventfd is taken. Whether reading and writing it waits is the peer's to say at any time,
//! in both roles, since both ends share its open file description: so a peer's event is set by a [`Kicker`] alone, and read
//! by [`clear`] alone, neither of which waits. Who watches over the connection ends it where the peer has filled one up
//! ([`is_full`]).
//!
//! [`Kicker`]: super::kick::Kicker

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, poll};
use rustix::io::ReadWriteFlags;

use super::fault::Fault;
use super::given::Given;

/// What reads where there are no places to read at (`man 2 preadv2`).
const NO_OFFSET: u64 = u64::MAX;

/// A new event.
pub(super) fn new() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// The event that somebody has given; refuses what is none.
pub(super) fn accept(given: Given) -> Result<OwnedFd, Fault> {
    let number = given.look().ok_or(Fault::EventInvalid)?.as_raw_fd();
    let name = std::fs::read_link(format!("/proc/self/fd/{number}"));
    // Older kernels say `anon_inode:[eventfd]`, and so do newer ones; where /proc is not there nothing is believed.
    let is_event = name.is_ok_and(|name| name.as_os_str() == "anon_inode:[eventfd]");
    is_event.then(|| given.known()).flatten().ok_or(Fault::EventInvalid)
}

/// Wakes who waits for an event that no peer has.
pub(super) fn wake(event: &OwnedFd) {
    // An event that is full is one that is set.
    let _full = rustix::io::write(event, &1_u64.to_ne_bytes());
}

/// Whether writing to it would wait.
pub(super) fn is_full(event: &OwnedFd) -> bool {
    let mut set = [PollFd::new(event, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut set, Some(&now))
        .is_ok_and(|_| set.iter().all(|event| !event.revents().contains(PollFlags::OUT)))
}

/// Takes what it counts, so that it is not set any more. Does not wait (Linux 5.8 and later).
pub(super) fn clear(event: impl AsFd) {
    let mut count = [0_u8; 8];
    let parts = &mut [IoSliceMut::new(&mut count)];
    let _empty = rustix::io::preadv2(event, parts, NO_OFFSET, ReadWriteFlags::NOWAIT);
}

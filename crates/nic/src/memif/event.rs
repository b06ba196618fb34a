//! The events by which a sleeping end is woken.
//!
//! A server's come from its peer, who may hand over anything: a pipe that nobody reads would hold up whoever writes to it.
//! So only what the kernel calls an eventfd is taken. A peer can fill that up, too, until a write waits: who watches over the
//! connection looks for that, empties it and ends the connection ([`is_full`]).

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use super::fault::Fault;

/// A new event.
pub(super) fn new() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Refuses what is no event, and makes it one that does not wait, for so long as the peer leaves it so.
pub(super) fn check(event: &OwnedFd) -> Result<(), Fault> {
    let name = std::fs::read_link(format!("/proc/self/fd/{}", event.as_raw_fd()));
    // Older kernels say `anon_inode:[eventfd]`, and so do newer ones; where /proc is not there nothing is believed.
    if name.map_or(true, |name| name.as_os_str() != "anon_inode:[eventfd]") {
        return Err(Fault::EventInvalid);
    }
    let set = rustix::fs::fcntl_getfl(event)
        .and_then(|flags| rustix::fs::fcntl_setfl(event, flags | OFlags::NONBLOCK));
    set.map_err(|_| Fault::EventInvalid)
}

/// Wakes who waits for it.
pub(super) fn kick(event: &OwnedFd) {
    // An event that is full is one that is set.
    let _full = rustix::io::write(event, &1_u64.to_ne_bytes());
}

/// Whether writing to it would wait.
pub(super) fn is_full(event: &OwnedFd) -> bool {
    let mut set = [PollFd::new(event, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut set, Some(&now)).is_ok_and(|ready| ready == 0)
}

/// Takes what it counts, so that it is not set any more.
pub(super) fn clear(event: impl AsFd) {
    let _empty = rustix::io::read(event, &mut [0_u8; 8]);
}

//! Busy polling: a receive call that drives the NIC itself for a while before it sleeps (socket(7), `SO_BUSY_POLL`).
//!
//! Being allowed to is not doing it. The kernel polls on the socket's behalf only when it knows the NAPI instance that
//! the socket's packets come from, and it learns that from the packets themselves. [`napi`] tells.

use std::num::NonZeroU32;
use std::os::fd::AsFd;

use crate::{HostError, sys};

/// Asks for busy polling: for so long, in microseconds, a receive call that finds nothing polls before it sleeps. Longer
/// uses the core up, shorter sleeps between packets. While it polls, interrupts are put off
/// (`SO_PREFER_BUSY_POLL`). Needs `CAP_NET_ADMIN`.
pub fn ask_for(socket: &impl AsFd, microseconds: u16) -> Result<(), HostError> {
    let set = |option, value| sys::set_socket_number(socket.as_fd(), option, value);
    set(libc::SO_BUSY_POLL, i32::from(microseconds))
        .and_then(|()| set(libc::SO_PREFER_BUSY_POLL, 1))
        .map_err(|errno| HostError::refused("let a socket poll its NIC (SO_BUSY_POLL)", errno))
}

/// The NAPI instance that the last packet came from; nothing where it came from none, and then nothing is polled.
pub fn napi(socket: &impl AsFd) -> Result<Option<NonZeroU32>, HostError> {
    sys::socket_number(socket.as_fd(), libc::SO_INCOMING_NAPI_ID)
        .map(|id| NonZeroU32::new(id.cast_unsigned()))
        .map_err(|errno| {
            HostError::refused("ask which NAPI instance a socket has (SO_INCOMING_NAPI_ID)", errno)
        })
}

//! Both ends of one queue in this process, without a socket: for measurements of what a packet costs.

use std::io;

use super::kick::Kicker;
use super::pair::{Pair, Parts};
use super::post::{Outbox, post};
use super::queue::{Idle, MemifQueue};
use super::{BUFFER_SIZE_MIN, client};

/// A server's queue and the client's that is connected to it, with rings of `ring_size` slots, a power of two.
///
/// # Errors
/// The memory cannot be had.
pub fn pair(ring_size: u32) -> io::Result<[MemifQueue; 2]> {
    let [server, client] = client::both_ends(ring_size, BUFFER_SIZE_MIN)?;
    Ok([queue(server)?, queue(client)?])
}

fn queue(parts: Parts) -> io::Result<MemifQueue> {
    let (mut outbox, inbox): (Outbox, _) = post();
    let sent = outbox.send(Some(Box::new(Pair::new(1, parts, true))));
    debug_assert!(sent.is_ok(), "a new outbox is empty");
    Ok(MemifQueue::new(inbox, Kicker::new()?, BUFFER_SIZE_MIN as usize, Idle::Spin))
}

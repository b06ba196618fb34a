//! The room for answers that the probe has not taken yet.
//!
//! An open loop does not wait, so that what a server holds back comes at once: 200 ms at 10,000 per second are 2,000
//! answers. The kernel's usual room is 208 KiB, and it counts each small datagram as 768 bytes and more of it, so that
//! some 270 fit. What does not fit is dropped without a word, and would count as the target's loss. So the room is made
//! as large as the kernel allows, and what was dropped all the same is read from where the kernel counts it.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use rustix::net::sockopt;

/// The room that is asked for, in bytes: some 20,000 small answers. The kernel doubles it for its own book-keeping, and
/// takes no memory before it is needed (socket(7), `SO_RCVBUF`).
const SIZE: usize = 8 << 20;

/// The kernel's lists of the sockets of this network namespace that a probe may have.
const LISTS: [&str; 6] = ["udp", "udp6", "icmp", "icmp6", "raw", "raw6"];

/// Makes room: beyond `net.core.rmem_max` where the process has `CAP_NET_ADMIN`, else up to that.
pub(super) fn make(socket: &OwnedFd) {
    if sockopt::set_socket_recv_buffer_size_force(socket, SIZE).is_err() {
        // The kernel cuts off what is too much and does not fail; and with less room, drops are still counted.
        let _ = sockopt::set_socket_recv_buffer_size(socket, SIZE);
    }
}

/// How many datagrams were dropped for want of room since the socket was made: the last word of its row in
/// `/proc/net/udp` and its like (`net/ipv4/udp.c`, `udp4_format_sock`). Nothing where there is no such row.
pub(super) fn drops(socket: &OwnedFd) -> Option<u64> {
    let inode = File::from(socket.try_clone().ok()?).metadata().ok()?.ino().to_string();
    LISTS.iter().find_map(|list| {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{list}")).ok()?;
        text.lines().find_map(|row| drops_in(row, &inode))
    })
}

/// The drops of a row where it is of this inode: the tenth word; the words before it are the number, two addresses, the
/// state, two queues, a timer, retransmissions, the user and a time-out.
fn drops_in(row: &str, inode: &str) -> Option<u64> {
    let mut words = row.split_whitespace();
    let is_ours = words.nth(9)? == inode;
    is_ours.then(|| words.next_back()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_the_last_word_of_the_row_of_the_inode() {
        let row = " 2315: 0100007F:A0AB 0100007F:0007 01 00000000:00000300 00:00000000 00000000     0        0 \
                   41893 2 0000000000000000 4730 ";
        assert_eq!(drops_in(row, "41893"), Some(4_730));
        assert_eq!(drops_in(row, "2"), None);
        assert_eq!(drops_in("  sl  local_address rem_address   st tx_queue", "41893"), None);
    }
}

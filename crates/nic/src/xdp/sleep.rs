//! A lane that sleeps: until something has come to its queue, or for so long.
//!
//! The kernel looks at the receive ring itself before it puts a thread to sleep, and again when it has woken it (`xsk_poll` in
//! `net/xdp/xsk.c`): what comes between the lane's last look and its sleep wakes it at once. The same call drives what is to be
//! driven: the transmit ring in copy mode, and a driver that has said that it wants to be woken.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::queue::XdpQueue;
use super::socket::XdpSocket;

/// How long is slept at most while answers wait for room at the card: nothing says when there is some.
const UNSENT_SLEEP_MAX: Duration = Duration::from_micros(100);

impl XdpQueue<XdpSocket> {
    /// Sleeps until something has come, and for `longest` at most. To be called between two turns, the first of which has found
    /// nothing, so that the receiver has all of its frames.
    pub fn sleep(&mut self, longest: Duration) {
        let longest = if self.has_unsent() { longest.min(UNSENT_SLEEP_MAX) } else { longest };
        self.kernel().sleep(longest);
    }
}

impl XdpSocket {
    fn sleep(&self, longest: Duration) {
        // A wait of some milliseconds always fits.
        let Ok(longest) = Timespec::try_from(longest) else { return };
        // Whoever is woken looks at the ring: why is not asked. A signal wakes too, and then there is one turn more.
        let _woken = poll(&mut [PollFd::new(self.socket(), PollFlags::IN)], Some(&longest));
    }
}

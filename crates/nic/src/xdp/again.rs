//! An interface that goes away while it is served, and comes again.
//!
//! ```text
//!   served ──removed──▶ has_lost_interface ──▶ detach ─ ─ ─ one of that name ─ ─ ─▶ attach_again ──▶ served
//!                                              program and maps stay: what was counted stays counted
//! ```
//!
//! The kernel takes sockets and program from an interface that is removed, and from one that is moved to another network
//! namespace takes the sockets alone: so the program is detached in any case. New sockets need memory and rings of their
//! own, for a socket can be bound once. The old queues stay as they are, with nobody at their other end, until whoever has
//! them gives them up.

use super::{Attachment, Settings, Taken, Watch, XdpError, XdpQueue, XdpSocket, prepare, take};

impl Attachment {
    /// Whether the interface has gone away: removed, or moved to another network namespace. Told once: whoever hears it goes
    /// on with [`Attachment::detach`].
    pub fn has_lost_interface(&self) -> Result<bool, XdpError> {
        // All of them are asked, since each has the word once.
        let asked = self.watches.iter().map(Watch::has_lost_interface);
        let answers = asked.collect::<Result<Vec<_>, _>>()?;
        Ok(answers.contains(&true))
    }

    /// Detaches the program, which keeps its claims and its counts. Nothing is redirected any more, and the sockets are closed
    /// once their queues are dropped too.
    pub fn detach(&mut self) -> Result<(), XdpError> {
        self.link = None;
        self.before = self.statistics()?.into_iter().collect();
        self.watches.clear();
        Ok(())
    }

    /// Takes an interface again, perhaps another one, with the queues that it was opened with. Gives new queues, in the order
    /// of the old ones; what is claimed goes to them from here on. Where it fails, nothing is attached.
    pub fn attach_again(&mut self, settings: &Settings) -> Result<Vec<XdpQueue<XdpSocket>>, XdpError> {
        self.detach()?;
        let Taken { attached, watches, queues, is_zero_copy, page_size } =
            take(settings, prepare(settings)?, &self.program)?;
        (self.link, self.watches) = (Some(attached.link), watches);
        (self.mode, self.why_not_native) = (attached.mode, attached.why_not_native);
        (self.is_zero_copy, self.page_size) = (is_zero_copy, page_size);
        Ok(queues)
    }

    /// Counts answers that were in a queue's transmit ring when its interface went away, and so have not left.
    pub fn count_lost(&mut self, queue: u32, answers: u32) {
        self.before.entry(queue).or_default().tx_lost += u64::from(answers);
    }
}

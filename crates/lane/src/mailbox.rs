//! How new tables reach a lane: whole, between two turns, without a wait on either side.
//!
//! Two wait-free rings of one place each. New tables travel to the lane; the ones they replace travel back, so that
//! it is the sender who frees them and never the lane. A third ring carries the lines by which the lane's ticks are times
//! of day; they are small and are copied, and none travels back.

use route::LaneTables;
use rtrb::{Consumer, Producer, RingBuffer};
use telemetry::WallClock;

/// How many lines wait for a lane, at most. One comes a second, and a lane looks hundreds of times a second; more wait
/// only where its core is taken away for seconds.
const LINES: usize = 4;

/// The lane's end.
#[derive(Debug)]
pub struct Mailbox {
    incoming: Consumer<Box<LaneTables>>,
    outgoing: Producer<Box<LaneTables>>,
    lines: Consumer<WallClock>,
}

/// The other end, on a housekeeping core.
#[derive(Debug)]
pub struct TableSender {
    outgoing: Producer<Box<LaneTables>>,
    returned: Consumer<Box<LaneTables>>,
    lines: Producer<WallClock>,
}

/// The lane has not yet taken what was sent before; here are the tables again.
#[derive(Debug)]
pub struct MailboxFull(pub Box<LaneTables>);

/// Both ends of a new mailbox.
pub fn mailbox() -> (TableSender, Mailbox) {
    let (outgoing, incoming) = RingBuffer::new(1);
    let (back, returned) = RingBuffer::new(1);
    let (lines, lines_incoming) = RingBuffer::new(LINES);
    (TableSender { outgoing, returned, lines }, Mailbox { incoming, outgoing: back, lines: lines_incoming })
}

impl TableSender {
    /// Sends new tables. The lane takes them within its next housekeeping.
    pub fn send(&mut self, tables: Box<LaneTables>) -> Result<(), MailboxFull> {
        self.outgoing.push(tables).map_err(|rtrb::PushError::Full(tables)| MailboxFull(tables))
    }

    /// Frees the tables that the lane has given back, and says whether there were any: the lane now answers by the
    /// newer ones.
    pub fn collect(&mut self) -> bool {
        self.returned.pop().is_ok()
    }

    /// Tells the lane the time of day: it goes by this line from its next housekeeping on. Nothing happens where it has
    /// not yet looked at the four before; the next one, a second later, is as good.
    pub fn tell_time(&mut self, line: WallClock) {
        let _full = self.lines.push(line);
    }
}

impl Mailbox {
    /// Exchanges `tables` for newer ones, if there are any and the old ones have a place to go.
    pub(crate) fn exchange(&mut self, tables: &mut Box<LaneTables>) -> bool {
        if self.outgoing.is_full() {
            return false;
        }
        let Ok(newer) = self.incoming.pop() else { return false };
        let older = std::mem::replace(tables, newer);
        // There is room: only this side pushes, and it was not full above.
        let pushed = self.outgoing.push(older);
        assert!(pushed.is_ok(), "the ring had room and no other writer");
        true
    }

    /// The newest line that has come, if any has.
    pub(crate) fn wall_clock(&mut self) -> Option<WallClock> {
        (0..LINES).map_while(|_| self.lines.pop().ok()).last()
    }
}

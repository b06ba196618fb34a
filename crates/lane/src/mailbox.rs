//! How new tables reach a lane: whole, between two turns, without a wait on either side.
//!
//! Two wait-free rings of one place each. New tables travel to the lane; the ones they replace travel back, so that
//! it is the sender who frees them and never the lane. The ways to askers that are not on the link change by themselves, as
//! the kernel's do, and have two such rings of their own. So have the tap of who captures, and the inquiries of who watches, whose
//! other ends are other threads'.
//!
//! What is small is copied, in one direction: the lines by which the lane's ticks are times of day; and from the lane, which
//! gateways it has answers for.

use route::{LaneTables, NextHops};
use rtrb::{Consumer, Producer, RingBuffer};
use telemetry::{ArrivalClock, WallClock};

use crate::inquiry::Inquiry;
use crate::tap::Tap;

/// How many lines wait for a lane, at most. One comes a second, and a lane looks hundreds of times a second; more wait
/// only where its core is taken away for seconds.
const LINES: usize = 4;

/// How many words about gateways wait for the other end, at most. One that finds no room is told the next time.
const USES: usize = 4;

/// The lane's end.
#[derive(Debug)]
pub struct Mailbox {
    tables: Taker<Box<LaneTables>>,
    next_hops: Taker<Box<NextHops>>,
    tap: Taker<Option<Box<Tap>>>,
    inquiries: Taker<Box<Inquiry>>,
    lines: Consumer<WallClock>,
    arrival_lines: Consumer<ArrivalClock>,
    uses: Producer<GatewaysUsed>,
}

/// The other end, on a housekeeping core.
#[derive(Debug)]
pub struct TableSender {
    tables: Giver<Box<LaneTables>>,
    next_hops: Giver<Box<NextHops>>,
    /// There until somebody takes it.
    taps: Option<TapSender>,
    inquiries: Option<InquirySender>,
    lines: Producer<WallClock>,
    arrival_lines: Producer<ArrivalClock>,
    uses: Consumer<GatewaysUsed>,
}

/// The other end for taps, with whoever captures.
#[derive(Debug)]
pub struct TapSender(Giver<Option<Box<Tap>>>);

/// The other end for inquiries, with whoever asks whether the lane answers.
#[derive(Debug)]
pub struct InquirySender(Giver<Box<Inquiry>>);

/// The lane has not yet taken what was sent before; here is what was to be sent.
#[derive(Debug)]
pub struct MailboxFull<T>(pub T);

/// Which gateways a lane had answers for since it last said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewaysUsed {
    /// [`NextHops::generation`] of the table whose gateways these are.
    pub generation: u32,
    /// A bit for each gateway of that table; where it has more than 64, gateways share bits: the one of index `i` has bit
    /// `i % 64`.
    pub gateways: u64,
}

/// Both ends of a new mailbox.
pub fn mailbox() -> (TableSender, Mailbox) {
    let (tables, tables_taker) = exchange();
    let (next_hops, next_hops_taker) = exchange();
    let (taps, tap) = exchange();
    let (inquiries, inquiries_taker) = exchange();
    let (lines, lines_incoming) = RingBuffer::new(LINES);
    let (arrival_lines, arrivals_incoming) = RingBuffer::new(LINES);
    let (uses, uses_incoming) = RingBuffer::new(USES);
    let (taps, inquiries) = (Some(TapSender(taps)), Some(InquirySender(inquiries)));
    let sender =
        TableSender { tables, next_hops, taps, inquiries, lines, arrival_lines, uses: uses_incoming };
    let mailbox = Mailbox {
        tables: tables_taker,
        next_hops: next_hops_taker,
        tap,
        inquiries: inquiries_taker,
        lines: lines_incoming,
        arrival_lines: arrivals_incoming,
        uses,
    };
    (sender, mailbox)
}

impl TableSender {
    /// Sends new tables. The lane takes them within its next housekeeping.
    pub fn send(&mut self, tables: Box<LaneTables>) -> Result<(), MailboxFull<Box<LaneTables>>> {
        self.tables.send(tables)
    }

    /// Frees the tables that the lane has given back, and says whether there were any: the lane now answers by the
    /// newer ones.
    pub fn collect(&mut self) -> bool {
        self.tables.collect().is_some()
    }

    /// Sends new ways, and frees those that the lane has given back meanwhile.
    pub fn send_next_hops(&mut self, next_hops: Box<NextHops>) -> Result<(), MailboxFull<Box<NextHops>>> {
        self.next_hops.collect();
        self.next_hops.send(next_hops)
    }

    /// Which gateways the lane has had answers for, if it has said so since this was last asked.
    pub fn gateways_used(&mut self) -> Option<GatewaysUsed> {
        self.uses.pop().ok()
    }

    /// Tells the lane the time of day: it goes by this line from its next housekeeping on. Nothing happens where it has
    /// not yet looked at the four before; the next one, a second later, is as good.
    pub fn tell_time(&mut self, line: WallClock) {
        let _full = self.lines.push(line);
    }

    /// The same of the clock that stamps arrivals.
    pub fn tell_arrival_clock(&mut self, line: ArrivalClock) {
        let _full = self.arrival_lines.push(line);
    }

    /// The end for taps, for the thread that captures; once.
    pub fn take_taps(&mut self) -> Option<TapSender> {
        self.taps.take()
    }

    /// The end for inquiries, for the thread that asks; once.
    pub fn take_inquiries(&mut self) -> Option<InquirySender> {
        self.inquiries.take()
    }
}

impl TapSender {
    /// Sends a tap, or nothing, which takes the tap away. The lane takes it within its next housekeeping, and gives back what it
    /// had: [`TapSender::collect`].
    pub fn send(&mut self, tap: Option<Box<Tap>>) -> Result<(), MailboxFull<Option<Box<Tap>>>> {
        self.0.send(tap)
    }

    /// What the lane has given back, a tap or nothing, if it has taken what was sent.
    pub fn collect(&mut self) -> Option<Option<Box<Tap>>> {
        self.0.collect()
    }
}

impl InquirySender {
    /// Sends an inquiry. The lane answers it at its next housekeeping, or the first one that finds a free frame, and gives it back:
    /// [`InquirySender::collect`]. One is under way at a time: the next one is sent when that is back.
    pub fn send(&mut self, inquiry: Box<Inquiry>) -> Result<(), MailboxFull<Box<Inquiry>>> {
        self.0.send(inquiry)
    }

    /// The inquiry that the lane has given back, if it has.
    pub fn collect(&mut self) -> Option<Box<Inquiry>> {
        self.0.collect()
    }
}

impl Mailbox {
    /// Exchanges `tables` for newer ones, if there are any and the old ones have a place to go.
    pub(crate) fn exchange(&mut self, tables: &mut Box<LaneTables>) -> bool {
        self.tables.exchange(tables)
    }

    /// The same of the ways.
    pub(crate) fn exchange_next_hops(&mut self, next_hops: &mut Box<NextHops>) -> bool {
        self.next_hops.exchange(next_hops)
    }

    /// The same of the tap, which may be none.
    pub(crate) fn exchange_tap(&mut self, tap: &mut Option<Box<Tap>>) -> bool {
        self.tap.exchange(tap)
    }

    /// Whether an inquiry has come, and has a place to go when it is answered.
    pub(crate) fn has_inquiry(&self) -> bool {
        !self.inquiries.incoming.is_empty() && !self.inquiries.outgoing.is_full()
    }

    /// The inquiry that has come.
    pub(crate) fn inquiry(&mut self) -> Option<Box<Inquiry>> {
        self.inquiries.incoming.pop().ok()
    }

    /// Gives it back, when [`Mailbox::has_inquiry`] has found a place for it.
    pub(crate) fn give_back(&mut self, inquiry: Box<Inquiry>) {
        let pushed = self.inquiries.outgoing.push(inquiry);
        assert!(pushed.is_ok(), "the ring had room and no other writer");
    }

    /// Says which gateways answers were for, if there is room for the word.
    pub(crate) fn tell_use(&mut self, used: GatewaysUsed) -> bool {
        self.uses.push(used).is_ok()
    }

    /// The newest line that has come, if any has.
    pub(crate) fn wall_clock(&mut self) -> Option<WallClock> {
        (0..LINES).map_while(|_| self.lines.pop().ok()).last()
    }

    /// The same of the clock that stamps arrivals.
    pub(crate) fn arrival_clock(&mut self) -> Option<ArrivalClock> {
        (0..LINES).map_while(|_| self.arrival_lines.pop().ok()).last()
    }
}

/// Who sends something whole, and gets back what it replaced.
#[derive(Debug)]
struct Giver<T> {
    outgoing: Producer<T>,
    returned: Consumer<T>,
}

/// Who has it, and takes newer ones.
#[derive(Debug)]
struct Taker<T> {
    incoming: Consumer<T>,
    outgoing: Producer<T>,
}

fn exchange<T>() -> (Giver<T>, Taker<T>) {
    let (outgoing, incoming) = RingBuffer::new(1);
    let (back, returned) = RingBuffer::new(1);
    (Giver { outgoing, returned }, Taker { incoming, outgoing: back })
}

impl<T> Giver<T> {
    fn send(&mut self, newer: T) -> Result<(), MailboxFull<T>> {
        self.outgoing.push(newer).map_err(|rtrb::PushError::Full(newer)| MailboxFull(newer))
    }

    fn collect(&mut self) -> Option<T> {
        self.returned.pop().ok()
    }
}

impl<T> Taker<T> {
    fn exchange(&mut self, held: &mut T) -> bool {
        if self.outgoing.is_full() {
            return false;
        }
        let Ok(newer) = self.incoming.pop() else { return false };
        let older = std::mem::replace(held, newer);
        // There is room: only this side pushes, and it was not full above.
        let pushed = self.outgoing.push(older);
        assert!(pushed.is_ok(), "the ring had room and no other writer");
        true
    }
}

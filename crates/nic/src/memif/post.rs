//! How a connection reaches a lane, and leaves it: whole, between two turns, without a wait on either side.
//!
//! ```text
//!   control ── Some(pair) or None ──▶ lane      taken in `Queue::rx`
//!      ▲                               │
//!      └──── the pair before it ───────┘       unmapped here, never by a lane
//! ```
//!
//! The other way go two words: what the lane found wrong with its peer, and of which connection that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

use super::fault::{Fault, FrameCounts};
use super::pair::Pair;

/// How many connections may be under way to a lane, or back. A lane that takes none for so long has stopped.
const PLACES: usize = 4;

/// What both ends see.
#[derive(Debug, Default)]
struct Shared {
    has_news: AtomicBool,
    /// 0, or a connection's number and one more than a fault.
    fault: AtomicU64,
    counts: FrameCounts,
}

/// The lane's end.
#[derive(Debug)]
pub(super) struct Inbox {
    shared: Arc<Shared>,
    incoming: Consumer<Option<Box<Pair>>>,
    back: Producer<Box<Pair>>,
}

/// The control thread's end.
#[derive(Debug)]
pub(super) struct Outbox {
    shared: Arc<Shared>,
    outgoing: Producer<Option<Box<Pair>>>,
    returned: Consumer<Box<Pair>>,
}

/// Both ends of a new one.
pub(super) fn post() -> (Outbox, Inbox) {
    let shared = Arc::new(Shared::default());
    let (outgoing, incoming) = RingBuffer::new(PLACES);
    // All that can be under way, and the one that the lane has.
    let (back, returned) = RingBuffer::new(PLACES + 1);
    (Outbox { shared: Arc::clone(&shared), outgoing, returned }, Inbox { shared, incoming, back })
}

impl Outbox {
    /// Hands a connection to the lane, or takes it away. Gives it back where the lane has not taken those before.
    pub(super) fn send(&mut self, pair: Option<Box<Pair>>) -> Result<(), Option<Box<Pair>>> {
        self.collect();
        self.outgoing.push(pair).map_err(|rtrb::PushError::Full(pair)| pair)?;
        self.shared.has_news.store(true, Ordering::Release);
        Ok(())
    }

    /// Frees what the lane has given back.
    pub(super) fn collect(&mut self) {
        while self.returned.pop().is_ok() {}
    }

    /// What the lane found wrong with its peer of connection `generation`.
    pub(super) fn fault(&self, generation: u32) -> Option<Fault> {
        let word = self.shared.fault.load(Ordering::Acquire);
        let number = usize::try_from(word & 0xff).ok()?.checked_sub(1)?;
        (word >> 8 == u64::from(generation)).then(|| Fault::ALL.get(number).copied())?
    }

    /// What the lane counted.
    pub(super) fn counts(&self) -> super::fault::Frames {
        self.shared.counts.read()
    }
}

impl Inbox {
    /// Whether something has come: one load of a word that is seldom written.
    #[inline]
    pub(super) fn has_news(&self) -> bool {
        self.shared.has_news.load(Ordering::Relaxed)
    }

    /// Exchanges the connection for the newest that has come.
    pub(super) fn take(&mut self, held: &mut Option<Box<Pair>>) {
        self.shared.has_news.swap(false, Ordering::AcqRel);
        while let Ok(newer) = self.incoming.pop() {
            let Some(older) = std::mem::replace(held, newer) else { continue };
            let pushed = self.back.push(older);
            debug_assert!(pushed.is_ok(), "there are as many places as connections");
        }
    }

    /// Says what is wrong with the peer of a connection.
    pub(super) fn complain(&self, pair: &Pair, fault: Fault) {
        let word = u64::from(pair.generation) << 8 | (fault as u64 + 1);
        self.shared.fault.store(word, Ordering::Release);
    }

    /// Gives a connection back.
    pub(super) fn give_back(&mut self, pair: Box<Pair>) {
        let pushed = self.back.push(pair);
        debug_assert!(pushed.is_ok(), "there are as many places as connections");
    }

    #[inline]
    pub(super) fn counts(&self) -> &FrameCounts {
        &self.shared.counts
    }
}

//! What a lane is told between two bouts of turns: to stop, or to go on with another queue.
//!
//! One word says whether there is anything, so that a lane that is told nothing pays one load a bout. A queue comes and goes
//! by two channels of one place each, whole and in the box that it was made in: the lane allocates and frees nothing.
//!
//! ```text
//!   giver ── queue, then the word ──▶ taker      swapped between two turns
//!     ▲                                 │
//!     └────── the queue before ─────────┘        its memory is given up here, never by a lane
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::{CardQueue, Held};

const NOTHING: u8 = 0;
const EXCHANGE: u8 = 1;
const STOP: u8 = 2;

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    GoOn,
    Exchange,
    Stop,
}

/// The end of housekeeping.
#[derive(Debug)]
pub(super) struct Giver {
    word: Arc<AtomicU8>,
    outgoing: SyncSender<CardQueue>,
    returned: Receiver<CardQueue>,
}

/// The lane's end.
#[derive(Debug)]
pub(super) struct Taker {
    word: Arc<AtomicU8>,
    incoming: Receiver<CardQueue>,
    back: SyncSender<CardQueue>,
}

/// Both ends.
pub(super) fn orders() -> (Giver, Taker) {
    let word = Arc::new(AtomicU8::new(NOTHING));
    let ((outgoing, incoming), (back, returned)) = (sync_channel(1), sync_channel(1));
    (Giver { word: Arc::clone(&word), outgoing, returned }, Taker { word, incoming, back })
}

impl Giver {
    /// Tells the lane to stop, whatever else it was told.
    pub(super) fn stop(&self) {
        self.word.store(STOP, Ordering::Release);
    }

    /// Hands the lane another queue, and gives the one before back; nothing where it does not take it for so long.
    pub(super) fn exchange(&self, queue: CardQueue, patience: Duration) -> Option<CardQueue> {
        self.outgoing.try_send(queue).ok()?;
        // A lane that was told to stop goes on stopping, and takes the queue with it.
        let _stopping = self.word.compare_exchange(NOTHING, EXCHANGE, Ordering::Release, Ordering::Relaxed);
        self.returned.recv_timeout(patience).ok()
    }
}

impl Taker {
    /// What there is to do.
    #[inline]
    pub(super) fn look(&self) -> Order {
        match self.word.load(Ordering::Acquire) {
            NOTHING => Order::GoOn,
            EXCHANGE => Order::Exchange,
            _ => Order::Stop,
        }
    }

    /// Exchanges the queue for the one that has come. To be called between two turns.
    pub(super) fn exchange<Q: Held>(&self, held: &mut Q) {
        let _stopped = self.word.compare_exchange(EXCHANGE, NOTHING, Ordering::Relaxed, Ordering::Relaxed);
        let Some(mut newer) = self.incoming.try_recv().ok().and_then(Q::of) else { return };
        std::mem::swap(held, &mut *newer);
        let given_back = self.back.try_send(Q::boxed(newer));
        debug_assert!(given_back.is_ok(), "the one before it was taken out by who sent this one");
    }
}

//! The queue of a lane, of whichever kind: told apart once, so that each kind has a loop of its own.

use std::time::Duration;

use nic::Queue;
use nic::memif::MemifQueue;
use nic::xdp::{ArrivalStamps, Stamped, XdpQueue, XdpSocket};

/// A queue of a card, of either kind. Told apart once, where the lane's thread begins: each kind has a loop of its own.
#[derive(Debug)]
pub(in crate::serve) enum CardQueue {
    Xdp(Box<XdpQueue<XdpSocket>>),
    Stamped(Box<Stamped<XdpSocket>>),
    Memif(Box<MemifQueue>),
}

impl From<MemifQueue> for CardQueue {
    fn from(queue: MemifQueue) -> Self {
        Self::Memif(Box::new(queue))
    }
}

impl CardQueue {
    /// A queue of an interface, whose program stamps what it hands on or does not.
    pub(in crate::serve) fn of_interface(queue: XdpQueue<XdpSocket>, arrivals: ArrivalStamps) -> Self {
        match arrivals {
            ArrivalStamps::None => Self::Xdp(Box::new(queue)),
            ArrivalStamps::Program => Self::Stamped(Box::new(Stamped::new(queue))),
        }
    }

    /// How many frames its lane has.
    pub(in crate::serve) fn held(&self) -> i64 {
        match self {
            Self::Xdp(queue) => queue.held(),
            Self::Stamped(queue) => queue.queue().held(),
            Self::Memif(queue) => queue.held(),
        }
    }

    /// How many answers were given to it and have not left.
    pub(in crate::serve) fn unsent(&mut self) -> u32 {
        match self {
            Self::Xdp(queue) => queue.depths().tx,
            Self::Stamped(queue) => Queue::depths(&mut **queue).map_or(0, |depths| depths.tx),
            Self::Memif(queue) => Queue::depths(&mut **queue).map_or(0, |depths| depths.tx),
        }
    }
}

/// A queue that knows how many frames its lane has, and which kind it is.
pub(super) trait Held: Queue + Sized {
    fn held(&self) -> i64;

    /// The queue, where it is of this kind.
    fn of(queue: CardQueue) -> Option<Box<Self>>;

    /// The same back.
    fn boxed(queue: Box<Self>) -> CardQueue;

    /// Sleeps until something has come, and for so long at most.
    fn sleep(&mut self, longest: Duration);
}

impl Held for XdpQueue<XdpSocket> {
    fn held(&self) -> i64 {
        Self::held(self)
    }

    fn of(queue: CardQueue) -> Option<Box<Self>> {
        if let CardQueue::Xdp(queue) = queue { Some(queue) } else { None }
    }

    fn boxed(queue: Box<Self>) -> CardQueue {
        CardQueue::Xdp(queue)
    }

    fn sleep(&mut self, longest: Duration) {
        Self::sleep(self, longest);
    }
}

impl Held for Stamped<XdpSocket> {
    fn held(&self) -> i64 {
        self.queue().held()
    }

    fn of(queue: CardQueue) -> Option<Box<Self>> {
        if let CardQueue::Stamped(queue) = queue { Some(queue) } else { None }
    }

    fn boxed(queue: Box<Self>) -> CardQueue {
        CardQueue::Stamped(queue)
    }

    fn sleep(&mut self, longest: Duration) {
        Self::sleep(self, longest);
    }
}

impl Held for MemifQueue {
    fn held(&self) -> i64 {
        Self::held(self)
    }

    fn of(queue: CardQueue) -> Option<Box<Self>> {
        if let CardQueue::Memif(queue) = queue { Some(queue) } else { None }
    }

    fn boxed(queue: Box<Self>) -> CardQueue {
        CardQueue::Memif(queue)
    }

    /// Sleeps in its turns, as its settings say: the plan has no other sleep for it.
    fn sleep(&mut self, _longest: Duration) {}
}

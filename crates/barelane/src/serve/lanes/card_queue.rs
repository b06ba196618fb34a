//! The queue of a lane, of whichever kind: told apart once, so that each kind has a loop of its own.

use std::time::Duration;

use nic::Queue;
use nic::memif::MemifQueue;
use nic::xdp::{ArrivalStamps, Departing, OverXdp, Stamped, TransmitStamps, XdpQueue, XdpSocket};

use crate::plan::CardPlan;

/// A queue of a card, of whichever kind.
#[derive(Debug)]
pub(in crate::serve) enum CardQueue {
    Xdp(Box<XdpQueue<XdpSocket>>),
    Stamped(Box<Stamped<XdpSocket>>),
    Departing(Box<Departing<XdpQueue<XdpSocket>>>),
    StampedDeparting(Box<Departing<Stamped<XdpSocket>>>),
    Memif(Box<MemifQueue>),
}

impl From<MemifQueue> for CardQueue {
    fn from(queue: MemifQueue) -> Self {
        Self::Memif(Box::new(queue))
    }
}

impl CardQueue {
    /// A queue of an interface, whose program stamps what it hands on or does not, and whose kernel stamps what it has sent or does not.
    pub(in crate::serve) fn of_interface(queue: XdpQueue<XdpSocket>, card: &CardPlan) -> Self {
        match (card.arrivals(), card.departures()) {
            (ArrivalStamps::None, TransmitStamps::None) => Self::Xdp(Box::new(queue)),
            (ArrivalStamps::Program, TransmitStamps::None) => Self::Stamped(Box::new(Stamped::new(queue))),
            (ArrivalStamps::None, TransmitStamps::Kernel) => Self::Departing(Box::new(Departing::new(queue))),
            (ArrivalStamps::Program, TransmitStamps::Kernel) => {
                Self::StampedDeparting(Box::new(Departing::new(Stamped::new(queue))))
            }
        }
    }

    /// How many frames its lane has.
    pub(in crate::serve) fn held(&self) -> i64 {
        match self {
            Self::Xdp(queue) => Held::held(&**queue),
            Self::Stamped(queue) => Held::held(&**queue),
            Self::Departing(queue) => Held::held(&**queue),
            Self::StampedDeparting(queue) => Held::held(&**queue),
            Self::Memif(queue) => Held::held(&**queue),
        }
    }

    /// How many answers were given to it and have not left.
    pub(in crate::serve) fn unsent(&mut self) -> u32 {
        let depths = match self {
            Self::Xdp(queue) => Queue::depths(&mut **queue),
            Self::Stamped(queue) => Queue::depths(&mut **queue),
            Self::Departing(queue) => Queue::depths(&mut **queue),
            Self::StampedDeparting(queue) => Queue::depths(&mut **queue),
            Self::Memif(queue) => Queue::depths(&mut **queue),
        };
        depths.map_or(0, |depths| depths.tx)
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

macro_rules! queues_of_interfaces {
    ($( $kind:ident $queue:ty; )*) => {
        $( impl Held for $queue {
            fn held(&self) -> i64 {
                self.xdp().held()
            }

            fn of(queue: CardQueue) -> Option<Box<Self>> {
                if let CardQueue::$kind(queue) = queue { Some(queue) } else { None }
            }

            fn boxed(queue: Box<Self>) -> CardQueue {
                CardQueue::$kind(queue)
            }

            fn sleep(&mut self, longest: Duration) {
                self.xdp_mut().sleep(longest);
            }
        } )*
    };
}

queues_of_interfaces! {
    Xdp XdpQueue<XdpSocket>;
    Stamped Stamped<XdpSocket>;
    Departing Departing<XdpQueue<XdpSocket>>;
    StampedDeparting Departing<Stamped<XdpSocket>>;
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

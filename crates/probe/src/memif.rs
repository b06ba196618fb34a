//! An interface in shared memory: no kernel between, no privileges, and nobody who knows our neighbours.
//!
//! ```text
//!   Interface::open ──▶ resolve ──▶ ask ──▶ Memif, a Transport
//!   (somebody is        (where the
//!    connected)          next hop is)
//! ```
//!
//! A peer that goes away takes its questions with it: they are lost, and so are all that are asked until one comes back. The
//! [`Control`] beside it says so. It is shared, for who measures has no time to say anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nic::memif::{self, Control, MemifError, MemifQueue, News, Role, Settings};
use nic::queue::{Frame, Queue};
use telemetry::Tick;
use thiserror::Error;
use wire::Mac;

use crate::ask::Ask;
use crate::clock::Clock;
use crate::frames::{Frames, Link, PartialChecksums};
use crate::neighbours::{Neighbours, Unresolved};
use crate::question::Question;
use crate::queue::{Card, Origin};
use crate::transport::{Arrival, Facts, Transport, TransportError};

/// How long is waited for a peer: two of VPP's attempts to connect, which are 3 s apart, and a DPDK that is just being
/// started.
pub const PEER_PATIENCE: Duration = Duration::from_secs(10);

/// How often is looked whether one is there.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

impl Origin for MemifQueue {
    fn spare(&mut self) -> Option<Frame> {
        Self::spare(self)
    }

    fn connection(&self) -> Option<u32> {
        Self::connection(self)
    }
}

/// Why nobody can be asked by the interface.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It cannot be opened.
    #[error(transparent)]
    Memif(#[from] MemifError),
    /// Nobody has come within [`PEER_PATIENCE`]; what has happened meanwhile.
    #[error("nobody was connected within {} s", PEER_PATIENCE.as_secs())]
    Alone(Vec<News>),
    /// It was to end before somebody came.
    #[error("it was stopped before anybody was connected")]
    Stopped,
}

/// An interface that somebody is connected to.
#[derive(Debug)]
pub struct Interface {
    control: Arc<Control>,
    queues: Vec<MemifQueue>,
    role: Role,
}

impl Interface {
    /// Opens it, and waits for somebody, no longer than [`PEER_PATIENCE`] and not beyond `stop`. The thread beside it is
    /// started here, with the affinity of the calling one.
    pub fn open(settings: &Settings, stop: &AtomicBool) -> Result<Self, OpenError> {
        let (control, mut queues) = memif::open(settings)?;
        let deadline = Instant::now() + PEER_PATIENCE;
        while !control.is_connected() {
            if stop.load(Ordering::Relaxed) {
                return Err(OpenError::Stopped);
            }
            if Instant::now() >= deadline {
                return Err(OpenError::Alone(control.news()));
            }
            thread::sleep(LOOK_INTERVAL);
        }
        queues.iter_mut().for_each(take_in);
        Ok(Self { control: Arc::new(control), queues, role: settings.role })
    }

    /// Finds out where the next hop is.
    pub fn resolve(
        &mut self,
        neighbours: &mut Neighbours,
        clock: &impl Clock,
        stop: &AtomicBool,
    ) -> Result<Mac, Unresolved> {
        neighbours.resolve(&mut self.queues, clock, stop)
    }

    /// Asks by it.
    ///
    /// # Errors
    /// The question does not fit the link.
    pub fn ask(self, ask: &Ask, link: Link, neighbours: Neighbours) -> Result<Memif, TransportError> {
        // No NIC is behind it that could finish a checksum.
        let frames = Frames::new(ask, link, PartialChecksums::Refuse)?.among_others();
        // A peer may have fewer than were offered.
        let queue_count = self.queues.iter().filter(|queue| queue.is_connected()).count();
        let means = means(self.role, queue_count);
        let card = Card::new(self.queues, frames, "memif", means)?.with_neighbours(neighbours);
        Ok(Memif { card, control: self.control })
    }
}

/// Takes the connection that has come to a queue. What has come by it already is of no use: nobody here has asked, and who
/// asks for our address asks again.
fn take_in(queue: &mut MemifQueue) {
    let mut burst = queue.rx();
    while let Some(frame) = queue.next(&mut burst) {
        queue.release(frame);
    }
}

fn means(role: Role, queue_count: usize) -> String {
    let role = match role {
        Role::Server => "server",
        Role::Client => "client",
    };
    let plural = if queue_count == 1 { "" } else { "s" };
    format!("memif {role}, {queue_count} queue{plural}")
}

/// An interface that asks. Dropping it says farewell.
#[derive(Debug)]
pub struct Memif {
    card: Card<MemifQueue>,
    control: Arc<Control>,
}

impl Memif {
    /// What is beside the queues: who came and went, and what was not taken.
    pub const fn control(&self) -> &Arc<Control> {
        &self.control
    }
}

impl Transport for Memif {
    fn facts(&self) -> Facts {
        self.card.facts()
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        self.card.send(question, clock)
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        self.card.flush()
    }

    /// What has come in a form that no room holds.
    fn overruns(&self) -> Option<u64> {
        Some(self.control.frames().iter().map(|frames| frames.chained + frames.too_long + frames.empty).sum())
    }

    fn receive(&mut self, until: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        self.card.receive(until, clock)
    }
}

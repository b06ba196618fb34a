//! The client's side of the handshake: it makes the memory, lays the rings and buffers into it, and offers them.
//!
//! ```text
//!   0                  rings, each on lines of its own        buffers, from a page on
//!   ├──────────┬──────────┬───────────┬───────────┬── … ──────┬─────────┬─────────┬── …
//!   │ to server 0 │ to server 1 │ … │ to client 0 │ …         │ rx 0, 0 │ rx 0, 1 │
//!   └──────────┴──────────┴───────────┴───────────┴───────────┴─────────┴─────────┴── …
//! ```
//!
//! Buffers lie a line further apart than they are long: at a power of two apart, the first lines of all of them would meet
//! in the same few places of a cache.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::event;
use super::fault::Fault;
use super::given::Given;
use super::message::{
    AddRing, Direction, Hello, Init, MODE_ETHERNET, Message, Secret, VERSION, readable, text,
};
use super::pair::{Buffers, COOKIE, Parts};
use super::region;
use super::server::Answer;
use super::shared::{Regions, Words};
use super::{LINE_SIZE, OUR_NAME, Role};

/// What a client wants.
#[derive(Clone, Debug)]
pub(super) struct Wants {
    pub(super) id: u32,
    pub(super) queues: u16,
    pub(super) secret: Option<Secret>,
    pub(super) ring_size_log2: u8,
    pub(super) buffer_size: u32,
}

/// The handshake with one server.
#[derive(Debug)]
pub(super) struct Handshake {
    wants: Wants,
    offer: Option<Offer>,
    outbox: VecDeque<Outgoing>,
    pub(super) peer: String,
}

/// A message, and which descriptor goes with it.
#[derive(Debug)]
struct Outgoing {
    message: Message,
    with: With,
}

#[derive(Clone, Copy, Debug)]
enum With {
    Nothing,
    Memory,
    Event(Direction, usize),
}

/// The memory, and the rings in it.
#[derive(Debug)]
struct Offer {
    layout: Layout,
    file: OwnedFd,
    regions: Arc<Regions>,
    to_server_events: Vec<OwnedFd>,
    to_client_events: Vec<OwnedFd>,
}

impl Handshake {
    pub(super) fn new(wants: Wants) -> Self {
        Self { wants, offer: None, outbox: VecDeque::new(), peer: String::new() }
    }

    /// What to do about a message.
    pub(super) fn hear(&mut self, message: Message, descriptor: Option<Given>) -> Result<Answer, Fault> {
        match (message, &self.offer, descriptor) {
            (Message::Disconnect { why, .. }, _, None) => Ok(Answer::Left(readable(&why))),
            (Message::Hello(hello), None, None) => {
                self.peer = readable(&hello.name);
                self.prepare(&hello)?;
                Ok(Answer::Nothing)
            }
            (Message::Ack, Some(_), None) => Ok(Answer::Nothing),
            (Message::Connected(name), Some(_), None) if self.outbox.is_empty() => Ok(self.connected(&name)),
            _ => Err(Fault::OutOfTurn),
        }
    }

    /// The next message to send, and what goes with it. One is sent for each that was heard.
    pub(super) fn next(&mut self) -> Option<(Message, Option<BorrowedFd<'_>>)> {
        let Outgoing { message, with } = self.outbox.pop_front()?;
        let offer = self.offer.as_ref();
        let descriptor = match with {
            With::Nothing => None,
            With::Memory => offer.map(|offer| offer.file.as_fd()),
            With::Event(direction, index) => {
                offer.and_then(|offer| offer.events(direction).get(index)).map(AsFd::as_fd)
            }
        };
        Some((message, descriptor))
    }

    fn prepare(&mut self, hello: &Hello) -> Result<(), Fault> {
        if !(hello.version_min..=hello.version_max).contains(&VERSION) {
            return Err(Fault::VersionUnknown);
        }
        let most = hello.to_client_max.min(hello.to_server_max).saturating_add(1);
        let queues = self.wants.queues.min(most);
        let ring_size_log2 = self.wants.ring_size_log2.min(hello.ring_size_log2_max);
        if ring_size_log2 == 0 {
            return Err(Fault::RingInvalid);
        }
        let layout = Layout { queues, ring_size_log2, buffer_size: self.wants.buffer_size };
        self.offer = Some(Offer::new(layout).map_err(|_| Fault::HostFailed)?);
        self.outbox = self.messages(layout);
        Ok(())
    }

    fn messages(&self, layout: Layout) -> VecDeque<Outgoing> {
        let Wants { id, secret, .. } = self.wants;
        let secret = secret.unwrap_or_default();
        let init = Init { version: VERSION, id, mode: MODE_ETHERNET, secret, name: text(OUR_NAME) };
        let plain = |message| Outgoing { message, with: With::Nothing };
        let region = Message::AddRegion { index: 0, size: layout.size() as u64 };
        let rings = [Direction::ToServer, Direction::ToClient].into_iter().flat_map(move |direction| {
            (0..layout.queues).map(move |index| Outgoing {
                message: Message::AddRing(layout.add_ring(direction, index)),
                with: With::Event(direction, usize::from(index)),
            })
        });
        [plain(Message::Init(init)), Outgoing { message: region, with: With::Memory }]
            .into_iter()
            .chain(rings)
            .chain([plain(Message::Connect(text(OUR_NAME)))])
            .collect()
    }

    fn connected(&mut self, name: &[u8]) -> Answer {
        let name = readable(name);
        if !name.is_empty() {
            self.peer = format!("{} {name}", self.peer);
        }
        Answer::Connected(Message::Ack)
    }

    /// The rings, queue by queue.
    pub(super) fn parts(&mut self) -> Result<Vec<Parts>, Fault> {
        self.offer.take().and_then(Offer::parts).ok_or(Fault::HostFailed)
    }
}

impl Offer {
    fn new(layout: Layout) -> io::Result<Self> {
        let (file, mapping) = region::create(layout.size())?;
        let regions = Arc::new(Regions::new(vec![mapping]).ok_or(io::ErrorKind::OutOfMemory)?);
        let events = || (0..layout.queues).map(|_| event::new()).collect::<io::Result<Vec<_>>>();
        let offer = Self { layout, file, regions, to_server_events: events()?, to_client_events: events()? };
        offer.mark_rings().ok_or(io::ErrorKind::InvalidData)?;
        Ok(offer)
    }

    /// Rings are rings by their mark; all else in new memory is zero, as it has to be.
    fn mark_rings(&self) -> Option<()> {
        for direction in [Direction::ToServer, Direction::ToClient] {
            for index in 0..self.layout.queues {
                self.words(direction, index)?.cookie().store(COOKIE, Ordering::Relaxed);
            }
        }
        Some(())
    }

    fn words(&self, direction: Direction, index: u16) -> Option<Words> {
        self.regions.words(0, self.layout.ring_at(direction, index), self.layout.ring_size())
    }

    fn events(&self, direction: Direction) -> &[OwnedFd] {
        match direction {
            Direction::ToServer => &self.to_server_events,
            Direction::ToClient => &self.to_client_events,
        }
    }

    fn parts(mut self) -> Option<Vec<Parts>> {
        let events = self.to_client_events.drain(..).zip(self.to_server_events.drain(..));
        let events: Vec<_> = events.collect();
        (0..self.layout.queues)
            .zip(events)
            .map(|(index, (rx_event, tx_event))| {
                Some(Parts {
                    role: Role::Client,
                    regions: Arc::clone(&self.regions),
                    rx: self.words(Direction::ToClient, index)?,
                    tx: self.words(Direction::ToServer, index)?,
                    rx_size: 1 << self.layout.ring_size_log2,
                    tx_size: 1 << self.layout.ring_size_log2,
                    rx_event,
                    tx_event,
                    buffers: Some(self.layout.buffers(index)),
                })
            })
            .collect()
    }
}

/// A queue of both ends, connected without a handshake: the server's parts, and the client's.
#[cfg(feature = "testing")]
pub(super) fn both_ends(ring_size: u32, buffer_size: u32) -> io::Result<[Parts; 2]> {
    #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
    let ring_size_log2 = ring_size.ilog2() as u8;
    let offer = Offer::new(Layout { queues: 1, ring_size_log2, buffer_size })?;
    let words = |direction| offer.words(direction, 0).ok_or(io::ErrorKind::InvalidData);
    let server = Parts {
        role: Role::Server,
        regions: Arc::clone(&offer.regions),
        rx: words(Direction::ToServer)?,
        tx: words(Direction::ToClient)?,
        rx_size: 1 << ring_size_log2,
        tx_size: 1 << ring_size_log2,
        rx_event: event::new()?,
        tx_event: event::new()?,
        buffers: None,
    };
    let client = offer.parts().and_then(|mut parts| parts.pop()).ok_or(io::ErrorKind::InvalidData)?;
    Ok([server, client])
}

/// What lies where in the memory.
#[derive(Clone, Copy, Debug)]
struct Layout {
    queues: u16,
    ring_size_log2: u8,
    buffer_size: u32,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "memory below 2^32 bytes: `memif::Settings` refuses what would be more"
)]
impl Layout {
    const fn ring_size(self) -> usize {
        1 << self.ring_size_log2
    }

    const fn ring_bytes(self) -> usize {
        Words::size(self.ring_size()).next_multiple_of(LINE_SIZE)
    }

    fn ring_at(self, direction: Direction, index: u16) -> u32 {
        let before = if direction == Direction::ToServer { 0 } else { usize::from(self.queues) };
        ((before + usize::from(index)) * self.ring_bytes()) as u32
    }

    const fn stride(self) -> usize {
        self.buffer_size as usize + LINE_SIZE
    }

    fn buffers_at(self) -> usize {
        (2 * usize::from(self.queues) * self.ring_bytes()).next_multiple_of(4096)
    }

    fn size(self) -> usize {
        let buffers = 2 * usize::from(self.queues) * self.ring_size();
        (self.buffers_at() + buffers * self.stride()).next_multiple_of(4096)
    }

    fn add_ring(self, direction: Direction, index: u16) -> AddRing {
        AddRing {
            direction,
            index,
            region: 0,
            offset: self.ring_at(direction, index),
            size_log2: self.ring_size_log2,
            private_size: 0,
        }
    }

    /// Where the buffers of one queue are.
    fn buffers(self, index: u16) -> Buffers {
        let first = 2 * usize::from(index) * self.ring_size();
        let place = |number: usize| (self.buffers_at() + (first + number) * self.stride()) as u32;
        Buffers {
            rx: (0..self.ring_size()).map(place).collect(),
            tx: (self.ring_size()..2 * self.ring_size()).map(place).collect(),
            size: self.buffer_size,
        }
    }
}

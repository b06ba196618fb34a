//! The server's side of the handshake: who comes, what memory and which rings he brings.
//!
//! ```text
//!   server                         client
//!     │ ── HELLO ───────────────────▶ │   what there may be at most
//!     │ ◀──────────────────── INIT ── │   which interface, which secret
//!     │ ── ACK ─────────────────────▶ │
//!     │ ◀── ADD_REGION, ADD_RING … ── │   memory, and where the rings lie in it: an ACK for each
//!     │ ◀───────────────── CONNECT ── │
//!     │ ── CONNECTED ───────────────▶ │
//! ```
//!
//! No message is believed in more than it says. What is out of turn, too much, or does not lie in the memory that was
//! handed over ends the handshake.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::event;
use super::fault::Fault;
use super::given::Given;
use super::message::{
    AddRing, Direction, Hello, Init, MODE_ETHERNET, Message, Secret, VERSION, readable, text,
};
use super::pair::{COOKIE, Parts};
use super::region::{self, Offered};
use super::shared::{REGIONS_MAX, Regions, Words};
use super::{OUR_NAME, RING_SIZE_LOG2_MAX, Role};

/// What a server has to offer.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) id: u32,
    pub(super) queues: u16,
    pub(super) secret: Option<Secret>,
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Answer {
    Send(Message),
    Nothing,
    /// It has said all that it has to, and this is what to say when it is let in.
    Connected(Message),
    /// The peer has gone, and this is what it says of it.
    Left(String),
}

/// How far a handshake has come.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Init,
    Offers,
    Connected,
}

/// One peer's handshake.
#[derive(Debug)]
pub(super) struct Handshake {
    terms: Terms,
    stage: Stage,
    memory: Vec<Offered>,
    bytes: u64,
    to_server: Vec<Ring>,
    to_client: Vec<Ring>,
    pub(super) peer: String,
}

#[derive(Debug)]
struct Ring {
    offer: AddRing,
    event: OwnedFd,
}

impl Handshake {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            stage: Stage::Init,
            memory: Vec::new(),
            bytes: 0,
            to_server: Vec::new(),
            to_client: Vec::new(),
            peer: String::new(),
        }
    }

    /// What to say first.
    #[expect(clippy::cast_possible_truncation, reason = "16 regions")]
    pub(super) fn hello(&self) -> Message {
        let ring_max = self.terms.queues.saturating_sub(1);
        Message::Hello(Hello {
            name: text(OUR_NAME),
            version_min: VERSION,
            version_max: VERSION,
            region_max: REGIONS_MAX as u16 - 1,
            to_client_max: ring_max,
            to_server_max: ring_max,
            ring_size_log2_max: RING_SIZE_LOG2_MAX,
        })
    }

    /// What to do about a message and the descriptor that came with it.
    pub(super) fn hear(&mut self, message: Message, descriptor: Option<Given>) -> Result<Answer, Fault> {
        match (&self.stage, message, descriptor) {
            (_, Message::Disconnect { why, .. }, None) => Ok(Answer::Left(readable(&why))),
            // Nothing is waited for that an acknowledgement would be of, and some clients send one for CONNECTED.
            (_, Message::Ack, None) => Ok(Answer::Nothing),
            (Stage::Init, Message::Init(init), None) => self.begin(&init),
            (Stage::Offers, Message::AddRegion { index, size }, Some(file)) => {
                self.add_region(index, size, file)
            }
            (Stage::Offers, Message::AddRing(offer), Some(event)) => self.add_ring(offer, event),
            (Stage::Offers, Message::Connect(name), None) => self.connect(&name),
            _ => Err(Fault::OutOfTurn),
        }
    }

    fn begin(&mut self, init: &Init) -> Result<Answer, Fault> {
        if init.version != VERSION {
            return Err(Fault::VersionUnknown);
        }
        if init.id != self.terms.id {
            return Err(Fault::IdUnknown);
        }
        if init.mode != MODE_ETHERNET {
            return Err(Fault::ModeUnknown);
        }
        if self.terms.secret.is_some_and(|secret| !is_same(&secret, &init.secret)) {
            return Err(Fault::SecretWrong);
        }
        self.peer = readable(&init.name);
        self.stage = Stage::Offers;
        Ok(Answer::Send(Message::Ack))
    }

    fn add_region(&mut self, index: u16, size: u64, file: Given) -> Result<Answer, Fault> {
        self.bytes = self.bytes.saturating_add(size);
        let is_next = usize::from(index) == self.memory.len() && self.memory.len() < REGIONS_MAX;
        if !is_next || self.bytes > region::BYTES_MAX {
            return Err(Fault::RegionInvalid);
        }
        self.memory.push(Offered::new(file, size)?);
        Ok(Answer::Send(Message::Ack))
    }

    fn add_ring(&mut self, offer: AddRing, event: Given) -> Result<Answer, Fault> {
        let rings = match offer.direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        };
        let is_next = usize::from(offer.index) == rings.len() && offer.index < self.terms.queues;
        let has_size = (1..=RING_SIZE_LOG2_MAX).contains(&offer.size_log2);
        if !is_next || !has_size || offer.private_size != 0 {
            return Err(Fault::RingInvalid);
        }
        rings.push(Ring { offer, event: event::accept(event)? });
        Ok(Answer::Send(Message::Ack))
    }

    fn connect(&mut self, name: &[u8]) -> Result<Answer, Fault> {
        if self.to_server.is_empty() || self.to_server.len() != self.to_client.len() {
            return Err(Fault::RingsMissing);
        }
        self.stage = Stage::Connected;
        let name = readable(name);
        if !name.is_empty() {
            self.peer = format!("{} {name}", self.peer);
        }
        Ok(Answer::Connected(Message::Connected(text(OUR_NAME))))
    }

    /// The rings, queue by queue. Only here is the peer's memory mapped, and taken from the host: whoever is not let in costs
    /// none.
    pub(super) fn parts(&mut self) -> Result<Vec<Parts>, Fault> {
        let mappings: Result<_, Fault> = self.memory.drain(..).map(Offered::map).collect();
        let regions = Arc::new(Regions::new(mappings?).ok_or(Fault::RegionInvalid)?);
        let rings = self.to_server.drain(..).zip(self.to_client.drain(..));
        rings.map(|(rx, tx)| parts(&regions, rx, tx)).collect()
    }
}

fn parts(regions: &Arc<Regions>, rx: Ring, tx: Ring) -> Result<Parts, Fault> {
    Ok(Parts {
        role: Role::Server,
        regions: Arc::clone(regions),
        rx: words(regions, &rx.offer)?,
        tx: words(regions, &tx.offer)?,
        rx_size: 1 << rx.offer.size_log2,
        tx_size: 1 << tx.offer.size_log2,
        rx_event: rx.event,
        tx_event: tx.event,
        buffers: None,
    })
}

/// The words of a ring that lies where the peer says, and is one.
fn words(regions: &Arc<Regions>, offer: &AddRing) -> Result<Words, Fault> {
    let words = regions.words(offer.region, offer.offset, 1 << offer.size_log2).ok_or(Fault::RingInvalid)?;
    if words.cookie().load(Ordering::Relaxed) != COOKIE {
        return Err(Fault::RingInvalid);
    }
    Ok(words)
}

/// Whether two secrets are the same, in a time that does not say where they differ. What follows a zero does not count.
fn is_same(ours: &Secret, theirs: &Secret) -> bool {
    let mut differ = 0;
    let mut is_over = 0xff;
    for (&ours, &theirs) in ours.iter().zip(theirs) {
        differ |= (ours ^ theirs) & is_over;
        is_over &= if ours == 0 { 0 } else { 0xff };
    }
    differ == 0
}

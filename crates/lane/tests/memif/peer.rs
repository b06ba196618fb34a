//! A lane over memif, and the peer on the other side of its rings.

use std::fmt;
use std::os::fd::OwnedFd;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use barelane_lane::{Lane, TableSender, mailbox};
use nic::memif::{Control, Idle, MemifQueue, Role, Settings, SocketName, open};
use route::{LaneSettings, NextHops};
use telemetry::{Ns, Page, Tick};
use testkit::allocations::{self, Allocations};
use testkit::clock::SimulatedClock;
use testkit::conservation::Conservation;
use testkit::endpoint;

use crate::PATIENCE;
use crate::raw::{
    ACK, BUFFERS_AT, CONNECT, CONNECTED, Offer, RING_SIZE, Raw, Slot, TO_CLIENT_AT, TO_SERVER_AT, VERSION,
    hello, listener, message, write_at,
};
use crate::simulated::{still, table_of};

/// Slots of a client's rings, where the lane is the client.
pub(crate) const OUR_RING_SIZE: u16 = 256;
/// Where a client of ours has its second ring.
const OUR_TO_CLIENT_AT: u64 = 128 + 16 * OUR_RING_SIZE as u64;

/// A lane on one end of a memif interface, watched by every checker there is.
pub(crate) struct MemifLane {
    pub(crate) lane: Lane<MemifQueue, SimulatedClock>,
    pub(crate) control: Control,
    pub(crate) settings: Settings,
    clock: SimulatedClock,
    _sender: TableSender,
    now: Tick,
    watch: Conservation,
}

impl fmt::Debug for MemifLane {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MemifLane").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl MemifLane {
    /// One in this role, to which nobody has come yet.
    pub(crate) fn new(role: Role, lane_settings: &LaneSettings) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("@barelane-lane-{}-{number}", process::id());
        let base = Settings::new(SocketName::new(&name));
        let settings = Settings { role, ring_size: OUR_RING_SIZE.into(), idle: Idle::Spin, ..base };
        let (control, mut queues) = open(&settings).unwrap();
        let endpoint = endpoint::load().unwrap();
        let (mut sender, mailbox) = mailbox();
        sender.send_next_hops(Box::new(NextHops::default())).unwrap();
        sender.tell_time(still(&endpoint));
        let tables = Box::new(table_of(&endpoint).compile(lane_settings));
        let clock = SimulatedClock::default();
        let lane = Lane::new(queues.remove(0), tables, clock.clone(), Arc::new(Page::default()), mailbox);
        let watch = Conservation::default();
        Self { lane, control, settings, clock, _sender: sender, now: Tick(0), watch }
    }

    /// One turn, `quiet` after the one before: no allocation, all frames back, every one with one fate. Gives how many
    /// were taken.
    pub(crate) fn turn(&mut self, quiet: Ns) -> usize {
        self.now.0 += quiet.0;
        self.clock.set(self.now);
        let (taken, asked) = allocations::of(|| self.lane.turn(self.now));
        assert_eq!(asked, Allocations::default(), "a lane allocates nothing after its start");
        assert!(taken <= nic::BURST_MAX, "{taken} frames in one turn");
        assert_eq!(self.lane.queue().held(), 0, "all frames are back after a turn");
        self.watch.check(self.lane.counters()).unwrap();
        taken
    }

    /// Turns until it is so.
    pub(crate) fn until(&mut self, mut is_so: impl FnMut(&Self) -> bool, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            self.turn(Ns(1000));
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            thread::yield_now();
        }
    }

    /// Its peer has gone: the lane sees it, and a new one can come.
    pub(crate) fn part(&mut self) {
        self.until(|own| !own.lane.queue().is_connected() && !own.control.is_connected(), "the end");
    }
}

/// The other end: its memory, and how far it is in both rings.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) raw: Raw,
    pub(crate) memory: OwnedFd,
    /// Where a lane that is the client waits for the next one.
    pub(crate) way: Way,
    /// Which role the lane has.
    role: Role,
    asked: u16,
    answered: u16,
}

/// How a peer comes to a lane.
#[derive(Debug)]
pub(crate) enum Way {
    Offer(Offer),
    Listener(OwnedFd),
}

impl Way {
    pub(crate) fn of(own: &MemifLane) -> Self {
        match own.settings.role {
            Role::Server => Self::Offer(Offer::new()),
            Role::Client => Self::Listener(listener(&own.settings)),
        }
    }
}

impl Peer {
    /// One that is connected to this lane.
    pub(crate) fn connect(own: &mut MemifLane, way: Way) -> Self {
        let role = own.settings.role;
        let (raw, memory) = match &way {
            Way::Offer(offer) => (insist(offer, &own.settings), offer.memory.try_clone().unwrap()),
            Way::Listener(listener) => greet(listener),
        };
        own.until(|own| own.lane.queue().is_connected(), "a connection");
        Self { raw, memory, way, role, asked: 0, answered: 0 }
    }

    fn ring_at(&self, flags: u16) -> u64 {
        match (self.role, flags) {
            (Role::Server, 1) => TO_SERVER_AT.into(),
            (Role::Server, _) => TO_CLIENT_AT.into(),
            (Role::Client, 1) => 0,
            (Role::Client, _) => OUR_TO_CLIENT_AT,
        }
    }

    /// Slots of a ring.
    pub(crate) fn ring_size(&self) -> u16 {
        if self.role == Role::Server { RING_SIZE } else { OUR_RING_SIZE }
    }

    /// Where the ring is by which the lane is asked, and the one by which it answers.
    pub(crate) fn rings_at(&self) -> [u64; 2] {
        let (asking, answering) = if self.role == Role::Server { (1, 0) } else { (0, 1) };
        [self.ring_at(asking), self.ring_at(answering)]
    }

    pub(crate) fn slot_at(&self, ring_at: u64, slot: u16) -> u64 {
        ring_at + 128 + u64::from(slot % self.ring_size()) * 16
    }

    /// How many bytes the memory has.
    pub(crate) fn size(&self) -> u64 {
        rustix::fs::fstat(&self.memory).unwrap().st_size.cast_unsigned()
    }

    /// The next slot that a question goes to.
    pub(crate) fn asked(&self) -> u16 {
        self.asked
    }

    /// Where the buffer is that the next question goes to.
    pub(crate) fn question_at(&self) -> u64 {
        match self.role {
            Role::Server => u64::from(BUFFERS_AT) + u64::from(self.asked % RING_SIZE) * 2048,
            Role::Client => {
                let [asking, _] = self.rings_at();
                read_slot(&self.memory, self.slot_at(asking, self.asked)).offset.into()
            }
        }
    }

    /// Whether the lane has given a slot for the next question.
    pub(crate) fn has_room(&self) -> bool {
        let [asking, _] = self.rings_at();
        self.role == Role::Server || crate::raw::read_u16(&self.memory, asking + 6) != self.asked
    }

    /// Puts a question into the next slot.
    pub(crate) fn ask(&mut self, question: &[u8]) {
        let ([asking, _], at) = (self.rings_at(), self.question_at());
        write_at(&self.memory, at, question);
        let len = u32::try_from(question.len()).unwrap();
        let slot = Slot { len, offset: u32::try_from(at).unwrap(), ..Slot::default() };
        write_at(&self.memory, self.slot_at(asking, self.asked), &slot.bytes());
        self.asked = self.asked.wrapping_add(1);
        // The head of the ring to the server, the tail of the one to the client.
        let index = if self.role == Role::Server { 6 } else { 64 };
        write_at(&self.memory, asking + index, &self.asked.to_ne_bytes());
    }

    /// Says that more waits than the ring has slots.
    pub(crate) fn jump(&mut self) {
        let [asking, _] = self.rings_at();
        let index = if self.role == Role::Server { 6 } else { 64 };
        let further = self.asked.wrapping_add(self.ring_size() + 1);
        write_at(&self.memory, asking + index, &further.to_ne_bytes());
    }

    /// Gives a good buffer for the next answer, whatever is in its slot.
    pub(crate) fn give_buffer(&self) {
        if self.role == Role::Server {
            let [_, answering] = self.rings_at();
            let number = u32::from(RING_SIZE + self.answered % RING_SIZE);
            let slot = Slot { len: 2048, offset: BUFFERS_AT + number * 2048, ..Slot::default() };
            write_at(&self.memory, self.slot_at(answering, self.answered), &slot.bytes());
        }
    }

    /// Gives all room back, whatever is in it.
    pub(crate) fn forget_answers(&mut self) {
        let [_, answering] = self.rings_at();
        let (theirs, own, lead) = if self.role == Role::Server { (64, 6, RING_SIZE) } else { (6, 64, 0) };
        self.answered = crate::raw::read_u16(&self.memory, answering + theirs);
        write_at(&self.memory, answering + own, &self.answered.wrapping_add(lead).to_ne_bytes());
    }

    /// What the lane has answered.
    pub(crate) fn answers(&mut self) -> Vec<Vec<u8>> {
        let [_, answering] = self.rings_at();
        let (theirs, own) = if self.role == Role::Server { (64, 6) } else { (6, 64) };
        let end = crate::raw::read_u16(&self.memory, answering + theirs);
        let mut answers = Vec::new();
        while self.answered != end {
            assert!(answers.len() < usize::from(self.ring_size()), "its index has run away");
            let at = self.slot_at(answering, self.answered);
            let slot = read_slot(&self.memory, at);
            let mut answer = vec![0; usize::try_from(slot.len).unwrap()];
            rustix::io::pread(&self.memory, &mut answer, slot.offset.into()).unwrap();
            answers.push(answer);
            if self.role == Role::Server {
                write_at(&self.memory, at, &Slot { len: 2048, ..slot }.bytes());
            }
            self.answered = self.answered.wrapping_add(1);
        }
        // A server gives slots back; a client is a ring ahead.
        let lead = if self.role == Role::Server { RING_SIZE } else { 0 };
        write_at(&self.memory, answering + own, &self.answered.wrapping_add(lead).to_ne_bytes());
        answers
    }
}

/// Comes until it is let in: somebody may be on the way out.
fn insist(offer: &Offer, settings: &Settings) -> Raw {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(raw) = offer.try_connect(settings) {
            return raw;
        }
        assert!(Instant::now() < deadline, "it is never let in");
    }
}

/// A server's part of the handshake with a client of ours. Gives the memory that it made.
fn greet(listener: &OwnedFd) -> (Raw, OwnedFd) {
    let raw = Raw::accept(listener);
    raw.send(&hello([VERSION; 2], 0, 8), &[]);
    let mut descriptors = Vec::new();
    while let Some((kind, _, with)) = raw.receive() {
        descriptors.extend(with);
        if kind == CONNECT {
            break;
        }
        raw.send(&message(ACK, &[]), &[]);
    }
    raw.send(&message(CONNECTED, &[]), &[]);
    (raw, descriptors.remove(0))
}

pub(crate) fn read_slot(memory: &OwnedFd, at: u64) -> Slot {
    let mut bytes = [0; 16];
    rustix::io::pread(memory, &mut bytes, at).unwrap();
    let u16_at = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let u32_at = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Slot { flags: u16_at(0), region: u16_at(2), len: u32_at(4), offset: u32_at(8) }
}

//! Peers that write garbage over everything that is shared, while a lane answers over it: from seeds, in both roles.
//!
//! | mode | what is written over | what must hold, beside what [`MemifLane::turn`] checks |
//! |---|---|---|
//! | messages | the handshake's messages | an honest peer is served behind them |
//! | storm | indices, slots, buffers | likewise |
//! | slots | slots and buffers | likewise |
//! | torn | the question that is under way | an answer's checksums hold: it answers what was copied |
//! | aside | all that is not under way | every question gets its right answer |
//!
//! `BARELANE_GARBAGE=0..1000` says which seeds; each makes [`MUTATIONS`]. What another thread writes at which instant is not
//! in a seed: one that fails may have to be repeated.

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use nic::memif::Role;
use route::PartialChecksums;
use telemetry::Ns;
use testkit::endpoint::{self, Endpoint};
use testkit::mutants::Mutants;
use testkit::packets::Packets;
use testkit::random::Random;
use testkit::vectors::{self, Vector};
use wire::checksum::Summer;

use crate::peer::{MemifLane, Peer, Way};
use crate::raw::{BUFFERS_AT, Offer, RING_SIZE, Raw, Slot, VERSION, add_region, init, message, write_at};
use crate::simulated::settings_of;
use crate::sums;

/// How many bytes, slots, indices or messages each seed writes over.
const MUTATIONS: u64 = 10_000;
/// A handshake is some hundred microseconds; the other modes' mutations are one.
const MESSAGES: u64 = MUTATIONS / 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Messages,
    Storm,
    Slots,
    Torn,
    Aside,
}

/// What the seeds take turns in.
const SCENES: [(Role, Mode); 9] = [
    (Role::Server, Mode::Storm),
    (Role::Client, Mode::Storm),
    (Role::Server, Mode::Slots),
    (Role::Client, Mode::Slots),
    (Role::Server, Mode::Torn),
    (Role::Client, Mode::Torn),
    (Role::Server, Mode::Aside),
    (Role::Client, Mode::Aside),
    (Role::Server, Mode::Messages),
];

/// Says how to repeat a seed that failed.
struct Repeat(u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self(seed) = *self;
            let command = "cargo test --package barelane-lane --test memif garbage";
            eprintln!("repeat it with: BARELANE_GARBAGE={seed}..{} {command}", seed + 1);
        }
    }
}

fn seeds() -> Range<u64> {
    let Ok(words) = std::env::var("BARELANE_GARBAGE") else { return 0..18 };
    let (start, end) = words.split_once("..").expect("BARELANE_GARBAGE=FIRST..END");
    start.parse().unwrap()..end.parse().unwrap()
}

/// What all seeds share.
struct World {
    endpoint: Endpoint,
    vectors: Vec<Vector>,
}

/// What one seed did.
#[derive(Debug, Default)]
struct Tally {
    mutations: u64,
    turns: u64,
    frames: u64,
    answers: u64,
    connections: u64,
}

impl Tally {
    fn add(&mut self, more: &Self) {
        self.mutations += more.mutations;
        self.turns += more.turns;
        self.frames += more.frames;
        self.answers += more.answers;
        self.connections += more.connections;
    }
}

#[test]
fn no_garbage_hurts_a_lane() {
    let world = World { endpoint: endpoint::load().unwrap(), vectors: vectors::load().unwrap() };
    let (started, seeds) = (Instant::now(), seeds());
    let mut total = Tally::default();
    for seed in seeds.clone() {
        let _repeat = Repeat(seed);
        let (role, mode) = SCENES[usize::try_from(seed).unwrap() % SCENES.len()];
        total.add(&run(&world, role, mode, seed));
    }
    assert!(total.mutations >= (seeds.end - seeds.start) * MESSAGES, "{total:?}");
    println!("seeds {seeds:?} in {:.1} s: {total:?}", started.elapsed().as_secs_f64());
}

fn run(world: &World, role: Role, mode: Mode, seed: u64) -> Tally {
    let settings = settings_of(&world.endpoint, PartialChecksums::Refuse, Summer::fastest());
    let mut own = MemifLane::new(role, &settings);
    let tally = match mode {
        Mode::Messages => say_garbage(&mut own, seed),
        Mode::Storm | Mode::Slots => storm(world, &mut own, mode, seed),
        Mode::Torn | Mode::Aside => converse(world, &mut own, mode, seed),
    };
    let connected = own.control.peers().connected;
    is_served(world, &mut own, seed);
    Tally { connections: connected, ..tally }
}

/// Whoever comes next gets right answers.
fn is_served(world: &World, own: &mut MemifLane, seed: u64) {
    if own.settings.role == Role::Client {
        // Its listener is the storm's; another lane's next peer is another seed's.
        return;
    }
    own.part();
    let way = Way::of(own);
    let mut peer = Peer::connect(own, way);
    let mut packets = Packets::new(&world.endpoint, seed);
    for _ in 0..20 {
        let exchange = packets.valid();
        peer.ask(&exchange.question);
        own.turn(Ns(1_000_000));
        assert_eq!(peer.answers(), [exchange.answer], "the next one");
    }
}

/// What the one who writes garbage knows of the other one's doings.
struct Shared {
    memory: OwnedFd,
    role: Role,
    mode: Mode,
    rings_at: [u64; 2],
    ring_size: u16,
    size: u64,
    /// What is under way: held while it changes, and while something beside it is written over.
    under_way: Mutex<UnderWay>,
    is_over: AtomicBool,
    mutations: AtomicU64,
}

/// A question: its slot, its buffer, its length.
#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    slot: u16,
    at: u64,
    len: u64,
}

impl Shared {
    fn new(peer: &Peer, role: Role, mode: Mode) -> Self {
        Self {
            memory: peer.memory.try_clone().unwrap(),
            role,
            mode,
            rings_at: peer.rings_at(),
            ring_size: peer.ring_size(),
            size: peer.size(),
            under_way: Mutex::new(UnderWay::default()),
            is_over: AtomicBool::new(false),
            mutations: AtomicU64::new(0),
        }
    }

    /// Writes garbage until it is over.
    fn write(&self, seed: u64) {
        let mut random = Random::new(seed);
        while !self.is_over.load(Ordering::Relaxed) {
            match self.mode {
                Mode::Torn => self.tear(&mut random),
                Mode::Aside => self.write_aside(&mut random),
                _ => self.write_anywhere(&mut random),
            }
            self.mutations.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tear(&self, random: &mut Random) {
        let UnderWay { at, len, .. } = *self.under_way.lock().unwrap();
        let size = 1 + random.below(8);
        let bytes = random.bytes(size);
        if len > 0 {
            write_at(&self.memory, at + random.next() % len, &bytes);
        }
    }

    fn write_aside(&self, random: &mut Random) {
        let under_way = self.under_way.lock().unwrap();
        let size = 1 + random.below(64);
        let bytes = random.bytes(size);
        if self.role == Role::Client {
            // Buffers of the whole memory, behind the rings' two pages and a half.
            let at = 12_288 + random.next() % (self.size - 12_288 - 64);
            if at + 64 < under_way.at || at > under_way.at + 2048 {
                write_at(&self.memory, at, &bytes);
            }
            return;
        }
        let slot = (under_way.slot + 1 + u16::try_from(random.below(14)).unwrap()) % RING_SIZE;
        let which = random.below(4);
        if which < 2 {
            write_at(
                &self.memory,
                self.rings_at[which] + 128 + u64::from(slot) * 16,
                &some_slot(random).bytes(),
            );
        } else {
            let number = u64::from(slot) + if which == 2 { 0 } else { u64::from(RING_SIZE) };
            let within = random.next() % (2048 - 64);
            write_at(&self.memory, u64::from(BUFFERS_AT) + number * 2048 + within, &bytes);
        }
    }

    fn write_anywhere(&self, random: &mut Random) {
        let ring = random.one_of(&self.rings_at);
        match random.below(512) {
            0 if self.mode == Mode::Storm => {
                let (at, size) = (random.one_of(&[0, 4, 6, 64]), 1 + random.below(4));
                write_at(&self.memory, ring + at, &random.bytes(size));
            }
            0..300 => {
                let slot = random.next() % u64::from(self.ring_size);
                write_at(&self.memory, ring + 128 + slot * 16, &some_slot(random).bytes());
            }
            300..400 => {
                let slot = random.next() % u64::from(self.ring_size);
                let (within, size) = (random.next() % 16, 1 + random.below(8));
                // The last slot's end is where a client of ours has the other ring, or its buffers.
                let bytes = random.bytes(size.min(usize::try_from(16 - within).unwrap()));
                write_at(&self.memory, ring + 128 + slot * 16 + within, &bytes);
            }
            _ => {
                let size = 1 + random.below(256);
                let at = 12_288 + random.next() % (self.size - 12_288 - 256);
                write_at(&self.memory, at, &random.bytes(size));
            }
        }
    }
}

/// A slot that may be right, mostly.
fn some_slot(random: &mut Random) -> Slot {
    let word = |random: &mut Random| u32::from_le_bytes(random.next().to_le_bytes()[..4].try_into().unwrap());
    let half = |random: &mut Random| u16::from_le_bytes(random.next().to_le_bytes()[..2].try_into().unwrap());
    let near = 0x2000 + u32::try_from(random.below(0x10000)).unwrap();
    Slot {
        flags: if random.below(8) == 0 { half(random) } else { 0 },
        region: if random.below(256) == 0 { half(random) } else { 0 },
        len: match random.below(64) {
            0 => word(random),
            1 => 0,
            2 => 2049,
            _ => 60 + u32::try_from(random.below(1400)).unwrap(),
        },
        offset: if random.below(256) == 0 { word(random) } else { near },
    }
}

/// Runs `work` while another thread writes garbage, until there are enough mutations of it.
fn beside_garbage(shared: &Arc<Shared>, seed: u64, wanted: u64, mut work: impl FnMut() -> bool) -> u64 {
    let writer = Arc::clone(shared);
    let thread = thread::spawn(move || writer.write(seed));
    let deadline = Instant::now() + crate::PATIENCE * 6;
    while shared.mutations.load(Ordering::Relaxed) < wanted && work() {
        assert!(Instant::now() < deadline, "the garbage does not come to its end");
    }
    shared.is_over.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    shared.mutations.load(Ordering::Relaxed)
}

/// Frames of any kind, over rings and buffers of any kind; connections that end, and new ones.
fn storm(world: &World, own: &mut MemifLane, mode: Mode, seed: u64) -> Tally {
    let mutants = Mutants::new(&world.endpoint, &world.vectors);
    let (mut tally, mut way) = (Tally::default(), Way::of(own));
    let mut number = seed << 32;
    while tally.mutations < MUTATIONS {
        let mut peer = Peer::connect(own, way);
        let shared = Arc::new(Shared::new(&peer, own.settings.role, mode));
        tally.mutations += beside_garbage(&shared, number, MUTATIONS - tally.mutations, || {
            number += 1;
            peer.ask(&mutants.of(number));
            peer.forget_answers();
            tally.turns += 1;
            tally.frames += own.turn(Ns(1_000_000)) as u64;
            own.lane.queue().is_connected()
        });
        let Peer { raw, way: last, .. } = peer;
        drop(raw);
        own.part();
        way = match last {
            Way::Offer(_) => Way::of(own),
            listener @ Way::Listener(_) => listener,
        };
    }
    tally
}

/// Honest questions, one after the other, and garbage in or beside them.
fn converse(world: &World, own: &mut MemifLane, mode: Mode, seed: u64) -> Tally {
    let (mut tally, way) = (Tally::default(), Way::of(own));
    let role = own.settings.role;
    let mut peer = Peer::connect(own, way);
    let shared = Arc::new(Shared::new(&peer, role, mode));
    let mut packets = Packets::new(&world.endpoint, seed);
    tally.mutations = beside_garbage(&shared, seed, MUTATIONS, || {
        own.until(|_| peer.has_room(), "room for a question");
        let exchange = packets.valid();
        let mut under_way = shared.under_way.lock().unwrap();
        let len = exchange.question.len() as u64;
        *under_way = UnderWay { slot: peer.asked() % peer.ring_size(), at: peer.question_at(), len };
        peer.give_buffer();
        peer.ask(&exchange.question);
        drop(under_way);
        tally.turns += 1;
        tally.frames += own.turn(Ns(1_000_000)) as u64;
        let answers = peer.answers();
        match mode {
            Mode::Aside => assert_eq!(answers, [exchange.answer]),
            // A client's answer leaves from where the question came, and so may be torn behind its back.
            _ if role == Role::Server => answers.iter().for_each(|answer| sums::hold(answer)),
            _ => {}
        }
        tally.answers += answers.len() as u64;
        true
    });
    assert!(own.lane.queue().is_connected(), "nothing that it did is forbidden");
    drop(peer);
    tally
}

/// Handshakes in which anything may be wrong.
fn say_garbage(own: &mut MemifLane, seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let mut mutations = 0;
    while mutations < MESSAGES {
        let (raw, offer) = (Raw::connect(&own.settings), Offer::new());
        let mut messages = vec![(init(VERSION, 0, 0, &[0; 24]), vec![])];
        messages.push((add_region(0, offer.size), vec![offer.memory.as_fd()]));
        for (ring, event) in offer.rings.iter().zip(&offer.events) {
            messages.push((ring.message(), vec![event.as_fd()]));
        }
        messages.push((message(crate::raw::CONNECT, &[]), vec![]));
        for _ in 0..=random.below(3) {
            mutate(&mut messages, &mut random);
            mutations += 1;
        }
        for (bytes, descriptors) in &messages {
            raw.send(bytes, descriptors);
        }
        for _ in 0..random.below(4) {
            own.turn(Ns(1000));
        }
        if random.below(16) == 0 {
            // Waits for what it gets; the others go.
            raw.send(&message(99, &[]), &[]);
            raw.farewell();
        }
    }
    Tally { mutations, ..Tally::default() }
}

fn mutate(messages: &mut Vec<(Vec<u8>, Vec<std::os::fd::BorrowedFd<'_>>)>, random: &mut Random) {
    let which = random.below(messages.len());
    let other = messages[random.below(messages.len())].clone();
    match random.below(8) {
        0 => messages[which] = other,
        1 => messages.insert(which, other),
        2 if messages.len() > 1 => {
            messages.remove(which);
        }
        3 => messages[which].1 = other.1,
        4 => {
            let len = random.below(130);
            messages[which].0.resize(len, 0xff);
        }
        _ => {
            let bytes = &mut messages[which].0;
            let at = random.below(bytes.len().min(20));
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.one_of(&[
                    0,
                    1,
                    2,
                    4,
                    0x7f,
                    0x80,
                    0xff,
                    byte.wrapping_add(1),
                    byte.wrapping_sub(1),
                ]);
            }
        }
    }
}

//! Peers that do what the protocol forbids: each is sent away for what it did, is told so, and the next one is served.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use barelane_nic::Queue;
use barelane_nic::memif::{Control, Fault, Frames, Idle, MemifQueue, Settings, open};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::raw::{
    ACK, ADD_REGION, BUFFER_SIZE, BUFFERS_AT, CONNECT, CONNECTED, DISCONNECT, HELLO, INIT, MEMORY_SIZE,
    Offer, RING_SIZE, Raw, Ring, Slot, VERSION, add_region, event, fill, hello, init, listener, memory,
    message, read_u16, set_waiting, write_at,
};
use crate::{PATIENCE, client_of, conversation, echo, open_client, packet, settings, take, until};

/// What somebody does in a handshake, with an offer that was good so far.
type Trick = Box<dyn Fn(&Raw, Offer)>;

/// Does it as a client, and sees what becomes of him.
fn is_sent_away(settings: &Settings, control: &Control, name: &str, fault: Fault, trick: &Trick) {
    let before = control.peers().of(fault);
    let raw = Raw::connect(settings);
    trick(&raw, Offer::new());
    assert_eq!(raw.farewell().as_deref(), Some(fault.sentence()), "{name}");
    assert_eq!(control.peers().of(fault), before + 1, "{name}");
}

/// An honest client comes and is answered.
fn next_one_is_served(settings: &Settings, servers: &mut [MemifQueue]) {
    let (_client, mut clients) = open_client(settings);
    until(
        || {
            servers[0].rx();
            clients[0].rx();
            servers[0].is_connected() && clients[0].is_connected()
        },
        "the next one's connection",
    );
    conversation(&mut clients[0], &mut servers[0], 3);
}

fn trick(
    name: &'static str,
    fault: Fault,
    does: impl Fn(&Raw, Offer) + 'static,
) -> (&'static str, Fault, Trick) {
    (name, fault, Box::new(does))
}

/// Says nothing but these bytes, with these descriptors.
fn says(
    name: &'static str,
    fault: Fault,
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
) -> (&'static str, Fault, Trick) {
    trick(name, fault, move |raw, _| {
        let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        raw.send(&bytes, &descriptors);
    })
}

/// Makes this of a good offer's rings.
fn rings_are(
    name: &'static str,
    fault: Fault,
    spoil: impl Fn(&mut [Ring; 2]) + 'static,
) -> (&'static str, Fault, Trick) {
    trick(name, fault, move |raw, mut offer| {
        let mut rings = [offer.rings[0], offer.rings[1]];
        spoil(&mut rings);
        offer.rings = rings.to_vec();
        offer.make(raw);
    })
}

/// Offers this as its first region.
fn region_is(name: &'static str, fault: Fault, size: u64, file: OwnedFd) -> (&'static str, Fault, Trick) {
    trick(name, fault, move |raw, offer| {
        let offer = Offer { size, memory: file.try_clone().unwrap(), ..offer };
        offer.make(raw);
    })
}

fn greeting() -> Vec<u8> {
    init(VERSION, 0, 0, &[0; 24])
}

fn file(path: &str) -> OwnedFd {
    File::options().read(true).write(true).open(path).unwrap().into()
}

fn pipe() -> OwnedFd {
    io::pipe().unwrap().1.into()
}

fn huge_memory() -> OwnedFd {
    let file = rustix::fs::memfd_create("huge", MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB).unwrap();
    // More than there is: a reservation that cannot be had.
    rustix::fs::ftruncate(&file, 1 << 30).unwrap();
    file
}

fn read_only_memory() -> OwnedFd {
    let file = memory(MEMORY_SIZE);
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap().into()
}

fn sealed_memory() -> OwnedFd {
    let file = memory(MEMORY_SIZE);
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE).unwrap();
    file
}

fn messages_out_of_turn() -> Vec<(&'static str, Fault, Trick)> {
    use Fault::OutOfTurn;
    let ring = Offer::new().rings[0].message();
    vec![
        says("a region first", OutOfTurn, add_region(0, 4096), vec![memory(4096)]),
        says("a ring first", OutOfTurn, ring, vec![event()]),
        says("CONNECT first", OutOfTurn, message(CONNECT, &[]), vec![]),
        says("a server's HELLO", OutOfTurn, hello([VERSION; 2], 0, 10), vec![]),
        says("a server's CONNECTED", OutOfTurn, message(CONNECTED, &[]), vec![]),
        says("INIT with a descriptor", OutOfTurn, greeting(), vec![event()]),
        says("ACK with a descriptor", OutOfTurn, message(ACK, &[]), vec![event()]),
        says("a farewell with a descriptor", OutOfTurn, message(DISCONNECT, &[]), vec![event()]),
        trick("INIT twice", OutOfTurn, |raw, _| {
            raw.send(&greeting(), &[]);
            raw.send(&greeting(), &[]);
        }),
        trick("a region without memory", OutOfTurn, |raw, _| {
            raw.send(&greeting(), &[]);
            raw.send(&add_region(0, 4096), &[]);
        }),
        trick("a ring without an event", OutOfTurn, |raw, offer| {
            raw.send(&greeting(), &[]);
            raw.send(&offer.rings[0].message(), &[]);
        }),
    ]
}

fn malformed_messages() -> Vec<(&'static str, Fault, Trick)> {
    use Fault::Malformed;
    let short = greeting()[..127].to_vec();
    let long = [greeting(), vec![0]].concat();
    vec![
        says("one byte", Malformed, vec![2], vec![]),
        says("a byte too few", Malformed, short, vec![]),
        says("a byte too many", Malformed, long, vec![]),
        says("no type", Malformed, message(0, &[]), vec![]),
        says("a type too many", Malformed, message(9, &[]), vec![]),
        says("the last type", Malformed, vec![0xff; 128], vec![]),
        says("two descriptors", Malformed, add_region(0, 4096), vec![memory(4096), memory(4096)]),
        says("twenty descriptors", Malformed, add_region(0, 4096), (0..20).map(|_| memory(4096)).collect()),
    ]
}

fn wrong_greetings() -> Vec<(&'static str, Fault, Trick)> {
    let none = [0; 24];
    vec![
        says("version 1", Fault::VersionUnknown, init(0x100, 0, 0, &none), vec![]),
        says("version 2.1", Fault::VersionUnknown, init(0x201, 0, 0, &none), vec![]),
        says("another interface", Fault::IdUnknown, init(VERSION, 1, 0, &none), vec![]),
        says("IP packets", Fault::ModeUnknown, init(VERSION, 0, 1, &none), vec![]),
    ]
}

fn wrong_memory() -> Vec<(&'static str, Fault, Trick)> {
    use Fault::RegionInvalid;
    let path = std::env::temp_dir().join(format!("barelane-no-memory-{}", std::process::id()));
    std::fs::write(&path, vec![0; 1 << 17]).unwrap();
    let regular = file(path.to_str().unwrap());
    std::fs::remove_file(&path).unwrap();
    vec![
        region_is("no byte", RegionInvalid, 0, memory(MEMORY_SIZE)),
        region_is("more than is taken", RegionInvalid, (1 << 30) + 1, memory(2 << 30)),
        region_is("all there could be", RegionInvalid, u64::MAX, memory(MEMORY_SIZE)),
        region_is("more than the file has", RegionInvalid, MEMORY_SIZE + 1, memory(MEMORY_SIZE)),
        region_is("a pipe", RegionInvalid, MEMORY_SIZE, pipe()),
        region_is("an event", RegionInvalid, MEMORY_SIZE, event()),
        region_is("/dev/zero", RegionInvalid, MEMORY_SIZE, file("/dev/zero")),
        region_is("a file of a disk", RegionInvalid, MEMORY_SIZE, regular),
        region_is("memory to be read only", RegionInvalid, MEMORY_SIZE, read_only_memory()),
        region_is("memory sealed against writing", RegionInvalid, MEMORY_SIZE, sealed_memory()),
        region_is("huge pages that are not there", Fault::HostFailed, 1 << 30, huge_memory()),
        trick("a gap between two regions", RegionInvalid, |raw, offer| {
            raw.send(&greeting(), &[]);
            raw.send(&add_region(0, 4096), &[offer.memory.as_fd()]);
            raw.send(&add_region(2, 4096), &[offer.memory.as_fd()]);
        }),
        trick("a region twice", RegionInvalid, |raw, offer| {
            raw.send(&greeting(), &[]);
            raw.send(&add_region(0, 4096), &[offer.memory.as_fd()]);
            raw.send(&add_region(0, 4096), &[offer.memory.as_fd()]);
        }),
        trick("one region too many", RegionInvalid, |raw, offer| {
            raw.send(&greeting(), &[]);
            for index in 0..=16 {
                raw.send(&add_region(index, 4096), &[offer.memory.as_fd()]);
            }
        }),
        trick("too much in all", RegionInvalid, |raw, _| {
            let half = memory((1 << 29) + 4096);
            raw.send(&greeting(), &[]);
            raw.send(&add_region(0, (1 << 29) + 4096), &[half.as_fd()]);
            raw.send(&add_region(1, (1 << 29) + 4096), &[half.as_fd()]);
        }),
    ]
}

fn wrong_rings() -> Vec<(&'static str, Fault, Trick)> {
    use Fault::{EventInvalid, RingInvalid, RingsMissing};
    let end = u32::try_from(MEMORY_SIZE).unwrap();
    vec![
        rings_are("a ring beyond its memory", RingInvalid, move |rings| rings[0].offset = end),
        rings_are("a ring that ends beyond", RingInvalid, move |rings| rings[1].offset = end - 256),
        rings_are("a ring at the end of all", RingInvalid, |rings| rings[0].offset = u32::MAX - 15),
        rings_are("a ring off its place", RingInvalid, |rings| rings[0].offset = 8),
        rings_are("a ring without its mark", RingInvalid, |rings| rings[1].offset = 0x1100),
        rings_are("a ring of a region there is not", RingInvalid, |rings| rings[0].region = 1),
        rings_are("a ring of the last region", RingInvalid, |rings| rings[0].region = u16::MAX),
        rings_are("one slot", RingInvalid, |rings| rings[0].size_log2 = 0),
        rings_are("2^15 slots", RingInvalid, |rings| rings[0].size_log2 = 15),
        rings_are("2^255 slots", RingInvalid, |rings| rings[0].size_log2 = 255),
        rings_are("2^14 slots, but not the memory", RingInvalid, |rings| rings[0].size_log2 = 14),
        rings_are("slots with something behind", RingInvalid, |rings| rings[0].private_size = 8),
        rings_are("a queue too many", RingInvalid, |rings| rings[0].index = 1),
        rings_are("the last queue", RingInvalid, |rings| rings[0].index = u16::MAX),
        rings_are("the same direction twice", RingInvalid, |rings| rings[1].flags = 1),
        trick("no ring", RingsMissing, |raw, offer| Offer { rings: vec![], ..offer }.make(raw)),
        trick("one direction only", RingsMissing, |raw, mut offer| {
            offer.rings.pop();
            offer.make(raw);
        }),
        trick("a pipe for an event", EventInvalid, |raw, mut offer| {
            offer.events[1] = pipe();
            offer.make(raw);
        }),
        trick("memory for an event", EventInvalid, |raw, mut offer| {
            offer.events[0] = memory(8);
            offer.make(raw);
        }),
    ]
}

/// One server, to which they all come.
fn everyone_is_sent_away(name: &str, tricks: Vec<(&'static str, Fault, Trick)>) {
    let settings = settings(name);
    let (control, mut servers) = open(&settings).unwrap();
    for (name, fault, trick) in &tricks {
        is_sent_away(&settings, &control, name, *fault, trick);
    }
    assert_eq!(control.peers().sent_away(), tricks.len() as u64);
    assert_eq!(control.peers().connected, 0);
    next_one_is_served(&settings, &mut servers);
}

#[test]
fn messages_out_of_turn_end_a_handshake() {
    everyone_is_sent_away("out-of-turn", messages_out_of_turn());
}

#[test]
fn what_is_no_message_ends_a_handshake() {
    everyone_is_sent_away("malformed", malformed_messages());
}

#[test]
fn a_wrong_greeting_ends_a_handshake() {
    everyone_is_sent_away("greeting", wrong_greetings());
}

#[test]
fn what_is_no_memory_ends_a_handshake() {
    everyone_is_sent_away("memory", wrong_memory());
}

#[test]
fn what_is_no_ring_ends_a_handshake() {
    everyone_is_sent_away("rings", wrong_rings());
}

#[test]
fn no_part_of_a_secret_is_enough() {
    let settings = Settings { secret: Some(b"open sesame".to_vec()), ..settings("parts") };
    let (control, _servers) = open(&settings).unwrap();
    let wrong: [&[u8]; 5] = [b"", b"open", b"open sesam", b"open sesame!", b"\0open sesame"];
    for wrong in wrong {
        let mut secret = [0; 24];
        secret[..wrong.len()].copy_from_slice(wrong);
        let trick: Trick = Box::new(move |raw, _| raw.send(&init(VERSION, 0, 0, &secret), &[]));
        is_sent_away(&settings, &control, "a wrong secret", Fault::SecretWrong, &trick);
    }
}

#[test]
fn who_says_nothing_and_who_says_nothing_to_the_point_are_shown_out() {
    let settings = settings("silent");
    let (control, mut servers) = open(&settings).unwrap();
    let came = Instant::now();
    let silent = Raw::connect(&settings);
    let halfway = Raw::connect(&settings);
    halfway.send(&greeting(), &[]);
    let babbling = Raw::connect(&settings);
    // Until nobody listens any more.
    while babbling.try_send(&message(ACK, &[]), &[]).is_ok() {
        assert!(came.elapsed() < PATIENCE, "it is never shown out");
    }
    until(|| control.peers().of(Fault::Silent) == 3, "three are shown out");
    for raw in [silent, halfway, babbling] {
        assert_eq!(raw.farewell().as_deref(), Some(Fault::Silent.sentence()));
    }
    next_one_is_served(&settings, &mut servers);
}

/// A server, and a client of bytes that is connected to it.
struct Scene {
    settings: Settings,
    control: Control,
    servers: Vec<MemifQueue>,
    offer: Offer,
    raw: Raw,
}

impl Scene {
    fn new(name: &str) -> Self {
        Self::of(Settings { queues: 1, ..settings(name) })
    }

    fn of(settings: Settings) -> Self {
        let (control, mut servers) = open(&settings).unwrap();
        let offer = Offer::of(settings.queues);
        let raw = offer.connect(&settings);
        for queue in &mut servers {
            until(
                || {
                    queue.rx();
                    queue.is_connected()
                },
                "a connection",
            );
        }
        Self { settings, control, servers, offer, raw }
    }

    /// The lanes turn until the peer is sent away for this, and nothing else; then comes the next one.
    fn ends_by(mut self, fault: Fault) {
        until(
            || {
                for queue in &mut self.servers {
                    echo(queue);
                    assert_eq!(queue.held(), 0);
                }
                self.control.peers().of(fault) == 1
            },
            "it is sent away",
        );
        assert_eq!(self.raw.farewell().as_deref(), Some(fault.sentence()));
        assert_eq!(self.control.peers().sent_away(), 1);
        next_one_is_served(&self.settings, &mut self.servers);
    }
}

#[test]
fn a_message_after_the_handshake_is_out_of_turn() {
    for kind in [HELLO, INIT, ADD_REGION, CONNECT, CONNECTED] {
        let scene = Scene::new("late");
        scene.raw.send(&message(kind, &[]), &[]);
        scene.ends_by(Fault::OutOfTurn);
    }
}

#[test]
fn a_flood_of_acknowledgements_after_the_handshake_ends_a_connection() {
    let scene = Scene::new("acks");
    let came = Instant::now();
    while scene.raw.try_send(&message(ACK, &[]), &[]).is_ok() {
        assert!(came.elapsed() < PATIENCE, "nobody minds");
    }
    scene.ends_by(Fault::OutOfTurn);
}

#[test]
fn an_index_that_jumps_by_more_than_the_ring_ends_a_connection() {
    for head in [RING_SIZE + 1, 0x8000, u16::MAX] {
        let scene = Scene::new("head");
        scene.offer.set_head(0, 1, head);
        scene.ends_by(Fault::IndexInvalid);
        // The other ring's is looked at when there is something to send.
        let scene = Scene::new("room");
        scene.offer.set_head(0, 0, head);
        scene.offer.ask(0, 0, &[&packet(1, 64)]);
        scene.ends_by(Fault::IndexInvalid);
    }
}

fn wrong_places() -> [Slot; 7] {
    let end = u32::try_from(MEMORY_SIZE).unwrap() + 0x2000;
    let good = Slot { len: 64, offset: BUFFERS_AT, ..Slot::default() };
    [
        Slot { region: 1, ..good },
        Slot { region: 16, ..good },
        Slot { region: u16::MAX, ..good },
        Slot { offset: end, ..good },
        Slot { offset: end - 63, ..good },
        Slot { offset: u32::MAX, ..good },
        Slot { offset: u32::MAX - 63, ..good },
    ]
}

#[test]
fn a_frame_outside_of_the_memory_ends_a_connection() {
    for place in wrong_places() {
        let scene = Scene::new("frame");
        scene.offer.write_slot(0, 1, 0, place);
        scene.offer.set_head(0, 1, 1);
        scene.ends_by(Fault::BufferInvalid);
    }
}

#[test]
fn a_buffer_outside_of_the_memory_ends_a_connection_and_loses_no_frame() {
    for place in wrong_places() {
        let scene = Scene::new("buffer");
        // Not the first one: frames behind the one whose answer has no buffer have been found already.
        scene.offer.write_slot(0, 0, 1, Slot { len: BUFFER_SIZE, ..place });
        let frames: Vec<_> = (0..8).map(|number| packet(number, 64)).collect();
        scene.offer.ask(0, 0, &frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
        scene.ends_by(Fault::BufferInvalid);
    }
}

/// Each frame that was counted by `rx` comes by `next`: a lane has no other count of it.
#[test]
fn a_burst_has_all_its_frames_whatever_becomes_of_their_answers() {
    let mut scene = Scene::new("burst");
    scene.offer.write_slot(0, 0, 0, Slot { len: BUFFER_SIZE, region: 5, ..Slot::default() });
    let frames: Vec<_> = (0..8).map(|number| packet(number, 64)).collect();
    scene.offer.ask(0, 0, &frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let queue = &mut scene.servers[0];
    let mut burst = queue.rx();
    assert_eq!(burst.remaining(), 8);
    for wanted in &frames {
        let frame = queue.next(&mut burst).unwrap();
        assert_eq!(queue.room_mut(&frame)[..64], wanted[..]);
        let frame = queue.tx(frame).unwrap_err();
        queue.release(frame);
    }
    assert_eq!((burst.remaining(), queue.held()), (0, 0));
    scene.ends_by(Fault::BufferInvalid);
}

#[test]
fn frames_in_several_buffers_are_counted_and_passed_over() {
    let mut scene = Scene::new("chains");
    let place = |flags, slot: u16| Slot {
        flags,
        len: 64,
        offset: BUFFERS_AT + u32::from(slot % RING_SIZE) * BUFFER_SIZE,
        ..Slot::default()
    };
    // 3, 3, 5 and one alone: the chain behind goes around the ring's end.
    let mut head = 0_u16;
    let mut chain = |offer: &Offer, len: u16| {
        for number in 0..len {
            offer.write_slot(0, 1, head, place(u16::from(number + 1 < len), head));
            head += 1;
        }
        offer.set_head(0, 1, head);
        head
    };
    let mut counted = 0;
    for lens in [[3, 3, 5], [9, 2, 4]] {
        for len in lens {
            let head = chain(&scene.offer, len);
            counted += 1;
            until(
                || {
                    assert_eq!(echo(&mut scene.servers[0]), 0);
                    scene.offer.tail(0, 1) == head
                },
                "its slots are given back",
            );
        }
        // A chain of one is none.
        chain(&scene.offer, 1);
        until(|| echo(&mut scene.servers[0]) == 1, "an answer");
    }
    until(|| scene.control.frames()[0].chained == counted, "they are counted");
    assert_eq!(scene.control.peers().sent_away(), 0);
}

#[test]
fn a_chain_that_never_ends_takes_all_and_holds_nothing_up() {
    let mut scene = Scene::new("endless");
    for slot in 0..RING_SIZE {
        let place = Slot { flags: 1, len: 64, offset: BUFFERS_AT, ..Slot::default() };
        scene.offer.write_slot(0, 1, slot, place);
    }
    for round in 1..=8200_u16 {
        scene.offer.set_head(0, 1, round.wrapping_mul(RING_SIZE));
        assert_eq!(echo(&mut scene.servers[0]), 0);
        assert_eq!(scene.servers[0].held(), 0);
    }
    assert_eq!(scene.control.peers().sent_away(), 0);
    assert_eq!(scene.control.frames()[0].chained, 0);
}

#[test]
fn empty_and_too_long_frames_are_counted_and_passed_over() {
    let mut scene = Scene::new("lengths");
    let good = packet(1, 64);
    for (slot, len) in [0, 2049, u32::MAX, 0x8000_0000].into_iter().enumerate() {
        let place = Slot { len, offset: BUFFERS_AT, ..Slot::default() };
        scene.offer.write_slot(0, 1, u16::try_from(slot).unwrap(), place);
    }
    scene.offer.ask(0, 4, &[&good]);
    until(|| echo(&mut scene.servers[0]) == 1, "an answer");
    let wanted = Frames { empty: 1, too_long: 3, ..Frames::default() };
    until(|| Frames { kicks: 0, ..scene.control.frames()[0] } == wanted, "they are counted");
    assert_eq!(scene.control.peers().sent_away(), 0);
}

#[test]
fn a_buffer_that_is_too_short_for_an_answer_is_counted() {
    let mut scene = Scene::new("short");
    let place = Slot { len: 63, offset: BUFFERS_AT + u32::from(RING_SIZE) * BUFFER_SIZE, ..Slot::default() };
    scene.offer.write_slot(0, 0, 0, place);
    scene.offer.ask(0, 0, &[&packet(1, 64)]);
    until(
        || {
            assert_eq!(echo(&mut scene.servers[0]), 0);
            scene.control.frames()[0].buffer_short == 1
        },
        "it is counted",
    );
    assert_eq!(scene.control.peers().sent_away(), 0);
}

/// Rings that lie over each other, and buffers that lie over rings, hurt who laid them so.
#[test]
fn rings_that_overlap_hurt_nobody_else() {
    for (to_client, buffers_at) in [(0, BUFFERS_AT), (16, BUFFERS_AT), (0x1000, 0), (0x1000, 0x1000)] {
        let settings = settings("overlap");
        let (control, mut servers) = open(&settings).unwrap();
        let mut offer = Offer::new();
        offer.rings[1].offset = to_client;
        write_at(&offer.memory, to_client.into(), &crate::raw::COOKIE.to_ne_bytes());
        let raw = offer.connect(&settings);
        for slot in 0..RING_SIZE {
            offer.write_slot(0, 0, slot, Slot { len: BUFFER_SIZE, offset: buffers_at, ..Slot::default() });
        }
        for round in 0..64 {
            offer.ask(0, round, &[&packet(round.into(), 64)]);
            echo(&mut servers[0]);
            assert_eq!(servers[0].held(), 0);
        }
        drop(raw);
        until(|| control.peers().left + control.peers().sent_away() > 0, "it is gone");
        next_one_is_served(&settings, &mut servers);
    }
}

#[test]
fn a_second_peer_is_sent_away_and_the_first_one_stays() {
    let mut scene = Scene::new("two");
    let raw = Raw::connect(&scene.settings);
    Offer::new().make(&raw);
    assert_eq!(raw.farewell().as_deref(), Some(Fault::AlreadyConnected.sentence()));
    assert_eq!(scene.control.peers().of(Fault::AlreadyConnected), 1);
    scene.offer.ask(0, 0, &[&packet(1, 64)]);
    until(|| echo(&mut scene.servers[0]) == 1, "an answer");
}

#[test]
fn memory_that_is_taken_away_ends_a_connection() {
    for size in [0, 0x1000, u64::from(BUFFERS_AT)] {
        let scene = Scene::new("truncated");
        scene.offer.ask(0, 0, &[&packet(1, 64)]);
        rustix::fs::ftruncate(&scene.offer.memory, size).unwrap();
        scene.ends_by(Fault::MemoryLost);
    }
}

#[test]
fn a_hole_in_the_memory_is_zeros() {
    let mut scene = Scene::new("hole");
    let hole = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    let size = MEMORY_SIZE - u64::from(BUFFERS_AT);
    rustix::fs::fallocate(&scene.offer.memory, hole, BUFFERS_AT.into(), size).unwrap();
    let place = Slot { len: 64, offset: BUFFERS_AT, ..Slot::default() };
    scene.offer.write_slot(0, 1, 0, place);
    scene.offer.set_head(0, 1, 1);
    let mut taken = Vec::new();
    until(
        || {
            taken.extend(take(&mut scene.servers[0]));
            !taken.is_empty()
        },
        "a frame",
    );
    assert_eq!(taken, [vec![0; 64]]);
    assert_eq!(scene.control.peers().sent_away(), 0);
}

/// What a hostile server does with a client that has come, before it says anything.
fn client_sends_away(name: &str, fault: Fault, does: impl Fn(&Raw)) {
    let settings = settings(name);
    let listener = listener(&settings);
    let (control, _clients) = open(&client_of(&settings)).unwrap();
    let raw = Raw::accept(&listener);
    does(&raw);
    assert_eq!(raw.farewell().as_deref(), Some(fault.sentence()), "{name}");
    until(|| control.peers().of(fault) == 1, name);
    assert_eq!(control.peers().sent_away(), 1, "{name}");
    // It comes again.
    Raw::accept(&listener);
}

#[test]
fn a_client_leaves_a_server_that_does_what_is_forbidden() {
    let good = || hello([VERSION; 2], 0, 4);
    client_sends_away("version", Fault::VersionUnknown, |raw| raw.send(&hello([0x100, 0x1ff], 0, 4), &[]));
    client_sends_away("no-slots", Fault::RingInvalid, |raw| raw.send(&hello([VERSION; 2], 0, 0), &[]));
    client_sends_away("early", Fault::OutOfTurn, |raw| raw.send(&message(CONNECTED, &[]), &[]));
    client_sends_away("ack-first", Fault::OutOfTurn, |raw| raw.send(&message(ACK, &[]), &[]));
    client_sends_away("descriptor", Fault::OutOfTurn, |raw| raw.send(&good(), &[event().as_fd()]));
    client_sends_away("half", Fault::Malformed, |raw| raw.send(&good()[..64], &[]));
    client_sends_away("twice", Fault::OutOfTurn, |raw| {
        raw.send(&good(), &[]);
        raw.send(&good(), &[]);
    });
    client_sends_away("too-early", Fault::OutOfTurn, |raw| {
        raw.send(&good(), &[]);
        raw.send(&message(CONNECTED, &[]), &[]);
    });
    client_sends_away("silence", Fault::Silent, |raw| raw.send(&good(), &[]));
}

/// A client that is connected to a server of bytes: the server's channel, the memory, and the event of each ring.
fn hostile_server(settings: &Settings) -> (Control, MemifQueue, Raw, OwnedFd, Vec<OwnedFd>) {
    let listener = listener(settings);
    let (control, mut clients) = open(&client_of(settings)).unwrap();
    let raw = Raw::accept(&listener);
    raw.send(&hello([VERSION; 2], 0, 4), &[]);
    let mut descriptors = Vec::new();
    while let Some((kind, _, with)) = raw.receive() {
        descriptors.extend(with);
        if kind == CONNECT {
            break;
        }
        raw.send(&message(ACK, &[]), &[]);
    }
    raw.send(&message(CONNECTED, &[]), &[]);
    until(
        || {
            clients[0].rx();
            clients[0].is_connected()
        },
        "a connection",
    );
    let memory = descriptors.remove(0);
    (control, clients.remove(0), raw, memory, descriptors)
}

/// Where a client of ours with 16 slots has its ring to the client.
const OUR_TO_CLIENT_AT: u64 = 128 + 16 * 16;

#[test]
fn a_client_believes_no_index_of_its_server() {
    for tail in [17_u16, 0x8000, u16::MAX] {
        let settings = settings("tail");
        let (control, mut client, raw, memory, _events) = hostile_server(&settings);
        assert_eq!(read_u16(&memory, OUR_TO_CLIENT_AT + 6), 16);
        write_at(&memory, OUR_TO_CLIENT_AT + 64, &tail.to_ne_bytes());
        until(
            || {
                take(&mut client);
                control.peers().of(Fault::IndexInvalid) == 1
            },
            "it leaves",
        );
        assert_eq!(raw.farewell().as_deref(), Some(Fault::IndexInvalid.sentence()));
        assert_eq!(client.held(), 0);
    }
}

/// What a server writes into slots is not where a client looks for its buffers.
#[test]
fn a_client_finds_its_buffers_whatever_its_server_writes_into_slots() {
    let settings = settings("slots");
    let (control, mut client, _raw, memory, _events) = hostile_server(&settings);
    write_at(&memory, 128, &[0xff; 256]);
    write_at(&memory, OUR_TO_CLIENT_AT + 128, &[0xff; 256]);
    // One frame of 64 bytes, of the last region there is.
    let lie = [&[0, 0], &[0xff; 2][..], &64_u32.to_ne_bytes(), &[0xff; 4]].concat();
    write_at(&memory, OUR_TO_CLIENT_AT + 128, &lie);
    write_at(&memory, OUR_TO_CLIENT_AT + 64, &1_u16.to_ne_bytes());
    assert_eq!(echo(&mut client), 1);
    assert_eq!(control.peers().sent_away(), 0);
}

#[test]
fn nobody_can_take_a_clients_memory_away() {
    let (_control, _client, _raw, memory, _events) = hostile_server(&settings("sealed"));
    assert!(rustix::fs::ftruncate(&memory, 0).is_err());
    assert!(rustix::fs::fcntl_add_seals(&memory, SealFlags::WRITE).is_err());
}

/// A lane in a thread of its own, and how many turns it has made.
struct Turning {
    turns: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<MemifQueue>,
}

impl Turning {
    fn new(mut queue: MemifQueue) -> Self {
        let (turns, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, is_seen) = (Arc::clone(&turns), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            while !is_seen.load(Ordering::Relaxed) {
                echo(&mut queue);
                count.fetch_add(1, Ordering::Relaxed);
            }
            queue
        });
        Self { turns, is_over, thread }
    }

    /// It makes this many turns more.
    fn goes_on(&self, turns: u64) {
        let before = self.turns.load(Ordering::Relaxed);
        until(|| self.turns.load(Ordering::Relaxed) >= before + turns, "the lane's next turns");
    }

    fn end(self) -> MemifQueue {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A lane wakes its peer by an event that the peer fills up as fast as it can, and makes wait who writes to it.
#[test]
fn a_lane_does_not_wait_for_who_fills_up_its_event() {
    for idle in [Idle::Spin, Idle::Sleep] {
        let mut scene = Scene::of(Settings { idle, ..settings("full-event") });
        let events = [0, 1].map(|index| scene.offer.events[index].try_clone().unwrap());
        let is_over = Arc::new(AtomicBool::new(false));
        let is_seen = Arc::clone(&is_over);
        let filling = thread::spawn(move || {
            while !is_seen.load(Ordering::Relaxed) {
                events.iter().for_each(fill);
            }
        });
        let lane = Turning::new(scene.servers.remove(0));
        until(
            || {
                // As long as it is connected, it is asked, and so wakes its peer.
                let first = scene.offer.tail(0, 1);
                scene.offer.ask(0, first, &[&packet(1, 64)]);
                scene.offer.forget_answers(0);
                scene.control.peers().of(Fault::EventInvalid) == 1
            },
            "it is sent away",
        );
        lane.goes_on(100);
        is_over.store(true, Ordering::Relaxed);
        filling.join().unwrap();
        let mut queue = lane.end();
        next_one_is_served(&scene.settings, std::slice::from_mut(&mut queue));
    }
}

/// What one lane's peer does to its queue is not the other's.
#[test]
fn two_lanes_do_not_wait_for_two_events_that_are_full() {
    let mut scene = Scene::of(Settings { queues: 2, ..settings("two-events") });
    scene.offer.events.iter().for_each(fill);
    let lanes = [Turning::new(scene.servers.remove(0)), Turning::new(scene.servers.remove(0))];
    for queue in 0..2 {
        scene.offer.ask(queue, 0, &[&packet(1, 64)]);
    }
    until(|| scene.control.peers().of(Fault::EventInvalid) == 1, "it is sent away");
    for lane in lanes {
        lane.goes_on(100);
        assert_eq!(lane.end().held(), 0);
    }
}

/// A lane that sleeps reads its event when it wakes: also one that its peer has made to wait, and never sets.
#[test]
fn a_lane_that_sleeps_does_not_wait_for_an_event_that_is_never_set() {
    let mut scene = Scene::of(Settings { idle: Idle::Sleep, ..settings("never-set") });
    scene.offer.events.iter().for_each(|event| set_waiting(event, true));
    let lane = Turning::new(scene.servers.remove(0));
    lane.goes_on(1024);
    for round in 0..8 {
        lane.goes_on(40);
        scene.offer.ask(0, round, &[&packet(round.into(), 64)]);
        until(|| scene.offer.tail(0, 0) == round + 1, "an answer");
    }
    assert_eq!(scene.control.peers().sent_away(), 0);
    lane.end();
}

#[test]
fn what_one_queue_suffers_does_not_hold_up_the_other() {
    let mut scene = Scene::of(Settings { queues: 2, ..settings("neighbours") });
    // The first one's index is out of its mind; the second one is asked until the peer is sent away, and answers.
    scene.offer.set_head(0, 1, 0x4000);
    let mut second = scene.servers.remove(1);
    let mut answers = 0;
    for round in 0..8 {
        echo(&mut scene.servers[0]);
        scene.offer.ask(1, round, &[&packet(1, 64)]);
        answers += echo(&mut second);
        assert_eq!((scene.servers[0].held(), second.held()), (0, 0));
    }
    until(|| scene.control.peers().of(Fault::IndexInvalid) == 1, "it is sent away");
    assert!(answers > 0);
    scene.servers.push(second);
    for queue in &mut scene.servers {
        until(
            || {
                echo(queue);
                !queue.is_connected()
            },
            "its end",
        );
    }
}

/// Who has not said all yet costs no memory: nothing of it is touched before the rings have been taken.
#[test]
fn memory_is_not_touched_before_its_peer_is_let_in() {
    let scene = Scene::new("untouched");
    let large = memory(1 << 30);
    let guests: Vec<_> = (0..4)
        .map(|number| {
            let raw = Raw::connect(&scene.settings);
            raw.send(&greeting(), &[]);
            raw.send(&add_region(0, 1 << 30), &[large.as_fd()]);
            // One for each of the two.
            assert!(raw.hears(ACK) && raw.hears(ACK), "{number}");
            raw
        })
        .collect();
    // One that says it all, while another is connected.
    let offer = Offer::new();
    for ring in &offer.rings {
        write_at(&large, ring.offset.into(), &crate::raw::COOKIE.to_ne_bytes());
    }
    let raw = Raw::connect(&scene.settings);
    Offer { memory: large.try_clone().unwrap(), size: 1 << 30, ..offer }.make(&raw);
    assert_eq!(raw.farewell().as_deref(), Some(Fault::AlreadyConnected.sentence()));
    let blocks = rustix::fs::fstat(&large).unwrap().st_blocks;
    // 512 bytes each; the two pages of the rings are there.
    assert!(blocks <= 16, "{blocks}");
    drop(guests);
}

/// A socket of the loopback with something unsent, which whoever closes it last waits for, a minute long.
fn lingering() -> (OwnedFd, OwnedFd) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (deaf, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    while io::Write::write(&mut socket, &[0; 1 << 16]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    rustix::net::sockopt::set_socket_linger(&socket, Some(PATIENCE * 6)).unwrap();
    (socket.into(), deaf.into())
}

/// Closing what a peer has sent may take as long as the peer wants: read or not, by whatever message it came.
#[test]
fn nobody_waits_for_what_a_peer_has_left_to_be_closed() {
    let settings = settings("lingering");
    let (control, mut servers) = open(&settings).unwrap();
    let mut deaf = Vec::new();
    let mut send = |raw: &Raw, bytes: &[u8], count: usize| {
        let (sockets, ends): (Vec<_>, Vec<_>) = (0..count).map(|_| lingering()).unzip();
        raw.send(bytes, &sockets.iter().map(AsFd::as_fd).collect::<Vec<_>>());
        deaf.extend(ends);
        // The last one waits, and that may be we.
        thread::spawn(move || drop(sockets));
    };
    let several = Raw::connect(&settings);
    send(&several, &message(ACK, &[]), 2);
    let region = Raw::connect(&settings);
    region.send(&greeting(), &[]);
    send(&region, &add_region(0, 4096), 1);
    let unread = Raw::connect(&settings);
    unread.send(&message(0, &[]), &[]);
    send(&unread, &message(ACK, &[]), 1);
    let event = Raw::connect(&settings);
    event.send(&greeting(), &[]);
    send(&event, &Offer::new().rings[0].message(), 1);
    until(|| control.peers().sent_away() == 4, "all are sent away");
    next_one_is_served(&settings, &mut servers);
    // Nor does who ends it all.
    let late = Raw::connect(&settings);
    send(&late, &message(0, &[]), 1);
    let started = Instant::now();
    drop(control);
    assert!(started.elapsed() < PATIENCE, "it waits for what was left");
    // Now there is an end to it: what is unsent can be sent.
    drop(deaf);
}

//! Who breaks the rules of the handshake is sent away, and costs nothing.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use barelane_nic::memif::{Control, Fault, Settings, open};
use rustix::fs::{MemfdFlags, SealFlags};

use super::{greeting, next_one_is_served};
use crate::raw::{
    ACK, CONNECT, CONNECTED, DISCONNECT, MEMORY_SIZE, Offer, Raw, Ring, VERSION, add_region, event, hello,
    init, memory, message,
};
use crate::{PATIENCE, settings, until};

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
fn everyone_is_sent_away(name: &str, tricks: &[(&'static str, Fault, Trick)]) {
    let settings = settings(name);
    let (control, mut servers) = open(&settings).unwrap();
    for (name, fault, trick) in tricks {
        is_sent_away(&settings, &control, name, *fault, trick);
    }
    assert_eq!(control.peers().sent_away(), tricks.len() as u64);
    assert_eq!(control.peers().connected, 0);
    next_one_is_served(&settings, &mut servers);
}

#[test]
fn messages_out_of_turn_end_a_handshake() {
    everyone_is_sent_away("out-of-turn", &messages_out_of_turn());
}

#[test]
fn what_is_no_message_ends_a_handshake() {
    everyone_is_sent_away("malformed", &malformed_messages());
}

#[test]
fn a_wrong_greeting_ends_a_handshake() {
    everyone_is_sent_away("greeting", &wrong_greetings());
}

#[test]
fn what_is_no_memory_ends_a_handshake() {
    everyone_is_sent_away("memory", &wrong_memory());
}

#[test]
fn what_is_no_ring_ends_a_handshake() {
    everyone_is_sent_away("rings", &wrong_rings());
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

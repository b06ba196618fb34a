//! What takes a process of its own: peers that are killed, counts of what a process holds, and signals that end it.
//!
//! A test here that is ignored is a child: another test starts this binary again for it alone.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use barelane_nic::Queue;
use barelane_nic::memif::{Fault, MemifQueue, Settings, SocketName, open};
use rustix::fs::{FallocateFlags, MemfdFlags};

use crate::raw::{CONNECT, CONNECTED, Offer, Raw, Slot, VERSION, add_region, init, message};
use crate::{PATIENCE, client_of, conversation, echo, open_client, packet, settings, take, until};

/// The socket that a child goes to.
const SOCKET: &str = "BARELANE_TEST_SOCKET";
/// How far a child goes.
const STAGE: &str = "BARELANE_TEST_STAGE";

/// This binary once more, for one ignored test.
fn child(test: &str, settings: &Settings, stage: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .env(SOCKET, settings.socket.to_string())
        .env(STAGE, stage.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The end of a child, which must come.
fn end_of(mut child: Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + PATIENCE * 6;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the child does not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a child was told; nothing where nobody started it as one.
fn told() -> Option<(Settings, usize)> {
    let socket = SocketName::new(&std::env::var(SOCKET).ok()?);
    let stage = std::env::var(STAGE).ok()?.parse().ok()?;
    Some((Settings { socket, ..settings("child") }, stage))
}

/// The stages of a handshake, and the two ways to be connected.
const STAGES: usize = 8;

/// Goes as far as it was told.
fn go(settings: &Settings, stage: usize) -> (Raw, Offer) {
    let (raw, offer) = (Raw::connect(settings), Offer::new());
    let steps: [&dyn Fn(); 6] = [
        &|| raw.send(&init(VERSION, 0, 0, &[0; 24]), &[]),
        &|| raw.send(&add_region(0, offer.size), &[offer.memory.as_fd()]),
        &|| raw.send(&offer.rings[0].message(), &[offer.events[0].as_fd()]),
        &|| raw.send(&offer.rings[1].message(), &[offer.events[1].as_fd()]),
        &|| raw.send(&message(CONNECT, &[]), &[]),
        &|| {
            let _is_let_in = raw.hears(CONNECTED);
        },
    ];
    steps.iter().take(stage).for_each(|step| step());
    if stage == STAGES - 1 {
        offer.set_head(0, 0, crate::raw::RING_SIZE);
        offer.ask(0, 0, &[&packet(1, 64), &packet(2, 64)]);
    }
    (raw, offer)
}

#[test]
#[ignore = "a child that another test kills"]
fn a_peer_that_is_killed() {
    let Some((settings, stage)) = told() else { return };
    let _kept = go(&settings, stage);
    // Its parent kills it; where nobody does, it ends.
    thread::sleep(PATIENCE * 3);
}

#[test]
fn a_peer_may_be_killed_in_every_stage() {
    let settings = settings("killed");
    let (control, mut servers) = open(&settings).unwrap();
    for stage in 0..STAGES {
        let before = control.peers();
        let mut child = child("alone::a_peer_that_is_killed", &settings, stage);
        // A guest is not to be seen from here; connected ones are.
        if stage >= 5 {
            until(
                || {
                    echo(&mut servers[0]);
                    servers[0].is_connected()
                },
                "a connection",
            );
        } else {
            thread::sleep(Duration::from_millis(50));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        until(
            || {
                echo(&mut servers[0]);
                !servers[0].is_connected() && !control.is_connected()
            },
            "its end",
        );
        assert_eq!(servers[0].held(), 0);
        assert_eq!(control.peers().sent_away(), before.sent_away(), "stage {stage}");
    }
    let (_client, mut clients) = open_client(&settings);
    until(
        || {
            echo(&mut servers[0]);
            clients[0].rx();
            clients[0].is_connected() && servers[0].is_connected()
        },
        "the next one's connection",
    );
    conversation(&mut clients[0], &mut servers[0], 3);
}

/// What a process holds: descriptors, mappings, pages of memory that it shares.
fn held() -> [usize; 2] {
    let lines = fs::read_to_string("/proc/self/maps").unwrap();
    // An allocator's own come and go.
    let shared = lines.lines().filter(|line| line.contains("memfd:")).count();
    [fs::read_dir("/proc/self/fd").unwrap().count(), shared]
}

#[test]
#[ignore = "a child, so that nobody else's descriptors are counted"]
fn thousands_that_come_and_go() {
    if told().is_none() {
        return;
    }
    let settings = settings("thousands");
    let (control, mut servers) = open(&settings).unwrap();
    let before = held();
    for round in 0..4000 {
        let (raw, offer) = go(&settings, round % STAGES);
        if round % 16 == 9 {
            // A second one, who is turned away.
            offer.make(&Raw::connect(&settings));
        }
        echo(&mut servers[0]);
        drop((raw, offer));
        echo(&mut servers[0]);
        if round % 64 == 0 {
            until(|| !control.is_connected(), "its end");
        }
    }
    until(
        || {
            echo(&mut servers[0]);
            held() == before
        },
        "nothing is held",
    );
    assert!(control.peers().connected > 100, "{:?}", control.peers());
    assert_eq!(servers[0].held(), 0);
    // The other role: a server that greets and goes.
    drop((control, servers));
    let before = held();
    let listener = crate::raw::listener(&settings);
    let (control, clients) = open(&client_of(&settings)).unwrap();
    for _ in 0..50 {
        let raw = Raw::accept(&listener);
        raw.send(&crate::raw::hello([VERSION; 2], 0, 10), &[]);
        assert!(raw.receive().is_some());
    }
    drop((control, clients, listener));
    assert_eq!(held(), before);
}

#[test]
fn nothing_is_left_of_thousands_that_come_and_go() {
    let status = end_of(child("alone::thousands_that_come_and_go", &settings("unused"), 0));
    assert!(status.success(), "{status}");
}

/// What ends by SIGBUS.
const SIGBUS: i32 = 7;

#[test]
#[ignore = "a child that a signal ends"]
fn somebody_elses_mapping_loses_its_file() {
    let Some((_, stage)) = told() else { return };
    let settings = settings("bus");
    // The handler is in force as soon as there is a mapping of ours.
    let (control, mut servers) = open(&settings).unwrap();
    let offer = Offer::new();
    let raw = offer.connect(&settings);
    if stage == 1 {
        // Ours first: one that is lost does not change what becomes of others.
        rustix::fs::ftruncate(&offer.memory, 0).unwrap();
        until(
            || {
                echo(&mut servers[0]);
                control.peers().sent_away() == 1
            },
            "it is sent away",
        );
    }
    if stage == 2 {
        let kill = format!("kill -s BUS {}", std::process::id());
        Command::new("sh").args(["-c", &kill]).status().unwrap();
        thread::sleep(PATIENCE);
    }
    crate::foreign::touch_what_has_gone();
    drop(raw);
}

#[test]
fn sigbus_of_others_ends_the_process_as_before() {
    for stage in 0..3 {
        let status =
            end_of(child("alone::somebody_elses_mapping_loses_its_file", &settings("unused"), stage));
        assert_eq!(status.signal(), Some(SIGBUS), "{stage}: {status}");
    }
}

/// Two huge pages more than this host had; taken back when it is dropped.
struct HugePages(String);

const HUGE_PAGES: &str = "/proc/sys/vm/nr_hugepages";
const HUGE_PAGE: u64 = 2 << 20;

impl HugePages {
    fn take() -> Option<Self> {
        let before = fs::read_to_string(HUGE_PAGES).ok()?.trim().to_owned();
        let wanted = before.parse::<u64>().ok()? + 2;
        fs::write(HUGE_PAGES, wanted.to_string()).ok()?;
        let own = Self(before);
        let found = fs::read_to_string(HUGE_PAGES).ok()?.trim().parse::<u64>().ok()?;
        (found >= wanted).then_some(own)
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        let _kept = fs::write(HUGE_PAGES, &self.0);
    }
}

/// Huge pages have no zeros to be read from where they were: a hole is filled anew, and what has gone is SIGBUS.
#[test]
fn huge_pages_that_are_taken_away_end_a_connection() {
    let Some(_pages) = HugePages::take() else {
        eprintln!("skipped: huge pages that are taken away: no huge pages can be had here");
        return;
    };
    let settings = settings("huge");
    let (control, mut servers) = open(&settings).unwrap();
    let flags = MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
    let huge = rustix::fs::memfd_create("huge", flags).unwrap();
    rustix::fs::ftruncate(&huge, 2 * HUGE_PAGE).unwrap();
    let mut offer = Offer::new();
    // Less than its pages have: they are mapped whole.
    offer.more.push((huge.try_clone().unwrap(), HUGE_PAGE + 4096));
    let _raw = offer.connect(&settings);
    let ask = |number: u16, offset| {
        offer.write_slot(0, 1, number, Slot { region: 1, len: 64, offset, ..Slot::default() });
        offer.set_head(0, 1, number + 1);
    };
    let take = |queue: &mut MemifQueue| {
        let mut taken = Vec::new();
        until(
            || {
                taken.extend(take(queue));
                !taken.is_empty()
            },
            "a frame",
        );
        taken
    };
    ask(0, 2 * 1024 * 1024);
    assert_eq!(take(&mut servers[0]), [vec![0; 64]]);
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&huge, hole, 0, 2 * HUGE_PAGE).unwrap();
    ask(1, 0);
    assert_eq!(take(&mut servers[0]), [vec![0; 64]]);
    assert_eq!(control.peers().sent_away(), 0);
    rustix::fs::ftruncate(&huge, 0).unwrap();
    ask(2, 0);
    until(
        || {
            echo(&mut servers[0]);
            control.peers().of(Fault::MemoryLost) == 1
        },
        "it is sent away",
    );
}

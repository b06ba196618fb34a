//! What no peer can do to a lane or to the control thread: hold them up.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use barelane_nic::memif::{Fault, Idle, MemifQueue, Settings, open};

use super::{Scene, greeting, next_one_is_served};
use crate::raw::{ACK, Offer, Raw, add_region, fill, memory, message, set_waiting, write_at};
use crate::{PATIENCE, echo, packet, settings, until};

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
    while io::Write::write(&mut socket, &[0; 1 << 12]).is_ok() {}
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

//! Who breaks the rules of rings, slots and buffers, or takes their memory away.

use std::time::Instant;

use barelane_nic::Queue;
use barelane_nic::memif::{Fault, Frames, open};

use super::{Scene, next_one_is_served};
use crate::raw::{
    ACK, ADD_REGION, BUFFER_SIZE, BUFFERS_AT, CONNECT, CONNECTED, HELLO, INIT, MEMORY_SIZE, Offer, RING_SIZE,
    Raw, Slot, message, write_at,
};
use crate::{PATIENCE, echo, packet, settings, take, until};

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

//! Frames say when they came: by the kernel's clock, on the way from the wire to the queue.

use std::thread;
use std::time::Duration;

use barelane_nic::xdp::dry_run::{Action, DryRun};
use barelane_nic::xdp::{ArrivalStamps, ModeChoice, Settings, Stamped, XdpSocket};
use barelane_nic::{Arrival, Queue};
use host::clock::Clock;
use host::wall::Wall;

use crate::cable::{Cable, LIMIT, claims, receive_by};
use crate::packets::{OURS, udp};

/// `CLOCK_MONOTONIC`, by which the program stamps, as it was read just now.
fn now_ns(wall: &mut Wall) -> u64 {
    wall.look().unix_ns
}

/// When the next frame came, which is then given back.
fn arrival(queue: &mut Stamped<XdpSocket>) -> Option<Arrival> {
    let frame = receive_by(queue, LIMIT).expect("the question does not reach the queue");
    assert_eq!(queue.room_mut(&frame)[..frame.len()], udp(OURS, 9), "the stamp is no part of the frame");
    let arrival = queue.arrival(&frame);
    queue.release(frame);
    queue.flush();
    arrival
}

#[test]
fn a_frame_says_when_it_came_and_not_when_it_was_taken() {
    let Some(cable) = Cable::lay(1) else { return };
    let mut wall = Wall::monotonic(Clock::kernel());
    for mode in [ModeChoice::Native, ModeChoice::Generic] {
        let settings = Settings { mode, arrivals: ArrivalStamps::Program, ..cable.settings() };
        let (_attachment, queues) = cable.open(&settings).unwrap();
        let mut queue = Stamped::new(queues.into_iter().next().unwrap());
        let client = cable.client_socket();
        // More than there are frames, so that each chunk has had a stamp before.
        for _ in 0..3_000 {
            let before = now_ns(&mut wall);
            client.send(&udp(OURS, 9)).unwrap();
            thread::yield_now();
            let Arrival(stamp) = arrival(&mut queue).expect("no stamp");
            let after = now_ns(&mut wall);
            assert!((before..=after).contains(&stamp), "{mode:?}: {before} {stamp} {after}");
        }
    }
}

#[test]
fn without_being_asked_the_program_stamps_nothing() {
    let Some(cable) = Cable::lay(1) else { return };
    let (_attachment, queues) = cable.open(&cable.settings()).unwrap();
    let mut queue = Stamped::new(queues.into_iter().next().unwrap());
    let client = cable.client_socket();
    for _ in 0..100 {
        client.send(&udp(OURS, 9)).unwrap();
        assert_eq!(arrival(&mut queue), None);
    }
}

/// The middle of many runs: those that an interrupt fell into are at the end.
fn median(program: &DryRun, frame: &[u8]) -> Duration {
    let mut times: Vec<_> = (0..20_001).map(|_| program.time(frame).unwrap()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Said, and not judged: nanoseconds are this machine's.
#[test]
fn what_a_stamp_costs() {
    if Cable::lay(1).is_none() {
        return;
    }
    let frame = udp(OURS, 9);
    let [without, with] = [ArrivalStamps::None, ArrivalStamps::Program].map(|arrivals| {
        let program = DryRun::stamping(&claims(), arrivals).unwrap();
        let (action, out) = program.run(&frame).unwrap();
        assert_eq!(action, Action::Redirect);
        let stamp_len = if arrivals == ArrivalStamps::Program { 16 } else { 0 };
        assert_eq!((out.len(), &out[stamp_len..]), (frame.len() + stamp_len, &frame[..]));
        median(&program, &frame)
    });
    println!(
        "a run with the stamp {with:?}, without {without:?}: medians, the reading of the clock included"
    );
}

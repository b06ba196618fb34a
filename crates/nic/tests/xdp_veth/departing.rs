//! Sent frames say when they left: by the kernel's `CLOCK_TAI`, between their sending and their return.

use std::thread;
use std::time::Instant;

use barelane_nic::xdp::{
    ArrivalStamps, Attachment, Departing, ModeChoice, OverXdp, Settings, Stamped, TransmitStamps, XdpQueue,
    XdpSocket, ZeroCopyChoice,
};
use barelane_nic::{Arrival, Departure, Frame, Queue};
use host::clock::Clock;
use host::packet::PacketSocket;
use host::wall::{self, Wall};

use crate::cable::{Cable, LIMIT, arrives, receive_by};
use crate::packets::{CLIENT_MAC, OURS, SERVER_MAC, udp};

/// More than there are frames, so that each chunk has had metadata before.
const COUNT: u64 = 5_000;

/// By how much the distance of the two clocks may be wrong, far beyond the half of what reading both takes.
const DISTANCE_NS: u64 = 100_000;

/// The queue of a card that was opened like this.
fn opened(cable: &Cable, settings: &Settings) -> (Attachment, XdpQueue<XdpSocket>) {
    let (attachment, queues) = cable.open(settings).unwrap();
    (attachment, queues.into_iter().next().unwrap())
}

/// The next question, as a frame that is its answer.
fn answer<Q: Queue>(queue: &mut Q, client: &PacketSocket) -> (Frame, Option<Arrival>) {
    client.send(&udp(OURS, 9)).unwrap();
    thread::yield_now();
    let frame = receive_by(queue, LIMIT).expect("the question does not reach the queue");
    let arrival = queue.arrival(&frame);
    let room = queue.room_mut(&frame);
    room[..6].copy_from_slice(&CLIENT_MAC);
    room[6..12].copy_from_slice(&SERVER_MAC);
    (frame, arrival)
}

/// What is told of the one frame that was sent.
fn departure<Q: Queue>(queue: &mut Q) -> Departure {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut burst = queue.rx();
        assert!(queue.next(&mut burst).is_none(), "nothing was asked");
        queue.flush();
        if let Some(departure) = queue.departure() {
            return departure;
        }
        assert!(Instant::now() < deadline, "nothing has left within {LIMIT:?}");
        thread::yield_now();
    }
}

/// Sends answers, and demands that each left between its sending and its return.
fn assert_departs<Q: OverXdp>(cable: &Cable, queue: &mut Q) {
    let client = cable.client_socket();
    let mut monotonic = Wall::monotonic(Clock::kernel());
    let ahead = wall::tai_ahead_ns();
    for number in 1..=COUNT {
        let (frame, arrival) = answer(queue, &client);
        assert_eq!(arrival.is_some(), Q::HAS_ARRIVALS);
        let before = monotonic.look().unix_ns;
        assert!(arrival.is_none_or(|Arrival(stamp)| stamp <= before), "{arrival:?} {before}");
        queue.tx_since(frame, number).unwrap();
        queue.flush();
        let Departure { since, left } = departure(queue);
        let after = monotonic.look().unix_ns;
        let left = left.expect("no stamp").wrapping_sub(ahead);
        assert_eq!(since, number);
        assert!((before - DISTANCE_NS..=after + DISTANCE_NS).contains(&left), "{before} {left} {after}");
    }
    assert_eq!(queue.xdp().held(), 0);
}

#[test]
fn an_answer_says_when_it_left_by_tai() {
    let Some(cable) = Cable::lay(1) else { return };
    for mode in [ModeChoice::Native, ModeChoice::Generic] {
        let settings = Settings { mode, departures: TransmitStamps::Kernel, ..cable.settings() };
        let (attachment, queue) = opened(&cable, &settings);
        assert_departs(&cable, &mut Departing::new(queue));
        let (_, statistics) = attachment.statistics().unwrap()[0];
        assert_eq!((statistics.tx_invalid, statistics.rx_invalid), (0, 0), "{mode:?}");
    }
}

#[test]
fn an_answer_says_when_it_left_where_its_question_said_when_it_came() {
    let Some(cable) = Cable::lay(1) else { return };
    let (arrivals, departures) = (ArrivalStamps::Program, TransmitStamps::Kernel);
    let settings = Settings { arrivals, departures, ..cable.settings() };
    let (_attachment, queue) = opened(&cable, &settings);
    assert_departs(&cable, &mut Departing::new(Stamped::new(queue)));
}

#[test]
fn what_was_not_asked_leaves_whole_and_says_nothing() {
    let Some(cable) = Cable::lay(1) else { return };
    let settings = Settings { departures: TransmitStamps::Kernel, ..cable.settings() };
    let (attachment, queue) = opened(&cable, &settings);
    let mut queue = Departing::new(queue);
    let client = cable.client_socket();
    for is_asked in [true, false, true] {
        let (frame, _) = answer(&mut queue, &client);
        let wanted = queue.room_mut(&frame)[..frame.len()].to_vec();
        if is_asked { queue.tx_since(frame, 1) } else { queue.tx(frame) }.unwrap();
        queue.flush();
        assert!(arrives(&client, &wanted, LIMIT), "the answer does not reach the client");
        if is_asked {
            assert!(departure(&mut queue).left.is_some());
        }
    }
    assert!(queue.departure().is_none());
    assert_eq!(attachment.statistics().unwrap()[0].1.tx_invalid, 0);
}

#[test]
fn stamps_without_copies_are_refused_before_anything_is_touched() {
    let Some(cable) = Cable::lay(1) else { return };
    let settings =
        Settings { departures: TransmitStamps::Kernel, zero_copy: ZeroCopyChoice::Yes, ..cable.settings() };
    let error = cable.open(&settings).unwrap_err();
    assert!(error.is_setting() && error.to_string().contains("the card's own clock"), "{error}");
    assert!(cable.program().is_none());
}

//! The AF_XDP queue whose sent frames say when they left, over rings in memory: who is told, of what, and that no frame is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::collections::VecDeque;
use std::iter;

use barelane_nic::xdp::testing::{self, MemoryKernel};
use barelane_nic::xdp::{Departing, OverXdp, RING_SIZE_MIN, Stamped, Wake, XdpQueue};
use barelane_nic::{Arrival, BURST_MAX, Departure, Frame, Queue};

type Plain = Departing<XdpQueue<MemoryKernel>>;

const PACKET: [u8; 60] = [0xa5; 60];

fn memory() -> XdpQueue<MemoryKernel> {
    testing::queue(RING_SIZE_MIN, Wake::NeedWakeup).unwrap()
}

fn queue() -> Plain {
    Departing::new(memory())
}

fn inject<Q: OverXdp<Kernel = MemoryKernel>>(queue: &mut Q, count: usize) {
    (0..count).for_each(|_| assert!(queue.xdp_mut().inject(&PACKET)));
}

fn take_all<Q: Queue>(queue: &mut Q) -> Vec<Frame> {
    let mut burst = queue.rx();
    iter::from_fn(|| queue.next(&mut burst)).collect()
}

/// A turn that finds nothing, and what is told then.
fn departures<Q: Queue>(queue: &mut Q) -> Vec<Departure> {
    assert!(take_all(queue).is_empty());
    iter::from_fn(|| queue.departure()).collect()
}

/// Every frame is in one place, and none in the lane's hands.
fn assert_accounted<Q: OverXdp<Kernel = MemoryKernel>>(queue: &mut Q) {
    let frame_count = queue.xdp().layout().frame_count();
    let depths = queue.xdp_mut().depths();
    let sum = depths.free + depths.fill + depths.rx + depths.tx + depths.completion;
    assert_eq!((sum, depths.held), (frame_count, 0), "{depths:?}");
}

const fn left(since: u64, left: u64) -> Departure {
    Departure { since, left: Some(left) }
}

#[test]
fn what_has_left_is_told_once_in_order_with_what_it_was_sent_with() {
    let mut queue = queue();
    inject(&mut queue, 3);
    for (frame, since) in take_all(&mut queue).into_iter().zip(10..) {
        queue.tx_since(frame, since).unwrap();
    }
    queue.flush();
    assert!(departures(&mut queue).is_empty(), "nothing has left");
    queue.xdp_mut().set_tai(Some(100));
    queue.xdp_mut().transmit(|packet| assert_eq!(packet, PACKET));
    assert_eq!(departures(&mut queue), [left(10, 100), left(11, 100), left(12, 100)]);
    assert!(departures(&mut queue).is_empty());
    assert_accounted(&mut queue);
}

#[test]
fn what_was_not_asked_says_nothing_and_a_kernel_that_does_not_say_is_told_as_that() {
    let mut queue = queue();
    for tai in [Some(7), None] {
        inject(&mut queue, 2);
        let [first, second]: [Frame; 2] = take_all(&mut queue).try_into().unwrap();
        queue.tx_since(first, 1).unwrap();
        queue.tx(second).unwrap();
        queue.flush();
        queue.xdp_mut().set_tai(tai);
        assert_eq!(queue.xdp_mut().transmit(|_| ()), 2);
        assert_eq!(departures(&mut queue), [Departure { since: 1, left: tai }]);
        assert_accounted(&mut queue);
    }
    // The chunk that was asked before leaves without a question.
    for _ in 0..queue.xdp().layout().frame_count() {
        inject(&mut queue, 1);
        let frame = take_all(&mut queue).pop().unwrap();
        queue.tx(frame).unwrap();
        queue.flush();
        queue.xdp_mut().set_tai(Some(9));
        queue.xdp_mut().transmit(|_| ());
        assert!(departures(&mut queue).is_empty());
    }
}

#[test]
fn a_frame_of_ones_own_says_when_it_left_too() {
    let mut queue = queue();
    let mut frame = queue.free_frame().unwrap();
    queue.room_mut(&frame)[..60].fill(1);
    frame.set_len(60);
    queue.tx_since(frame, 5).unwrap();
    queue.flush();
    queue.xdp_mut().set_tai(Some(6));
    queue.xdp_mut().transmit(|packet| assert_eq!(packet, [1; 60]));
    assert_eq!(departures(&mut queue), [left(5, 6)]);
    assert_accounted(&mut queue);
}

#[test]
fn nothing_that_was_sent_looks_like_an_arrival_stamp() {
    // What stands where the check of a stamp of 0 would stand.
    const CHECK: u64 = 0x6261_7265_206c_616e;
    let mut queue = Departing::new(Stamped::new(memory()));
    queue.xdp_mut().set_tai(Some(6));
    for round in 0..2_000_u64 {
        let arrival = round.is_multiple_of(2).then_some(Arrival(round));
        queue.xdp_mut().set_arrival(arrival);
        inject(&mut queue, 1);
        let frame = take_all(&mut queue).pop().unwrap();
        assert_eq!(queue.arrival(&frame), arrival, "{round}");
        if round.is_multiple_of(3) {
            queue.release(frame);
            continue;
        }
        queue.tx_since(frame, CHECK).unwrap();
        queue.flush();
        queue.xdp_mut().transmit(|_| ());
        assert_eq!(departures(&mut queue), [left(CHECK, 6)]);
    }
    assert_accounted(&mut queue);
}

#[test]
fn while_packets_wait_a_bursts_worth_stays_untold_and_no_more() {
    let mut queue = queue();
    queue.xdp_mut().set_tai(Some(1));
    let mut told = 0;
    for turn in 1..100 {
        inject(&mut queue, BURST_MAX / 2);
        for frame in take_all(&mut queue) {
            queue.tx_since(frame, 0).unwrap();
        }
        queue.flush();
        told += iter::from_fn(|| queue.departure()).count();
        let sent = turn * BURST_MAX / 2;
        assert!(sent - told < 2 * BURST_MAX, "{told} of {sent}");
        queue.xdp_mut().transmit(|_| ());
        assert_accounted(&mut queue);
    }
    assert_eq!(told + departures(&mut queue).len(), 99 * BURST_MAX / 2);
}

/// Whatever is done with frames, and however few of them the card takes at once, over several rounds of all rings.
#[test]
fn what_is_told_is_what_was_asked_in_its_order_and_no_frame_is_lost() {
    let mut queue = queue();
    let mut asked = VecDeque::new();
    let mut told = 0;
    for round in 0..3_000_u64 {
        let count = usize::try_from(round * 7 % 41).unwrap();
        (0..count).for_each(|_| _ = queue.xdp_mut().inject(&PACKET));
        for (place, frame) in take_all(&mut queue).into_iter().enumerate() {
            let since = round * 100 + place as u64;
            let unsent = match since % 5 {
                0 => Err(frame),
                1 => queue.tx(frame),
                _ => queue.tx_since(frame, since).inspect(|()| asked.push_back(since)),
            };
            unsent.unwrap_or_else(|frame| queue.release(frame));
        }
        queue.xdp_mut().limit_card(Some(usize::try_from(round % 37).unwrap()));
        queue.flush();
        queue.xdp_mut().set_tai(Some(round + 1));
        queue.xdp_mut().transmit(|_| ());
        while let Some(departure) = queue.departure() {
            assert_eq!(Some(departure.since), asked.pop_front());
            assert!(departure.left.is_some_and(|left| left <= round + 1), "{departure:?}");
            told += 1;
        }
        assert_accounted(&mut queue);
    }
    queue.xdp_mut().limit_card(None);
    while !asked.is_empty() {
        queue.flush();
        queue.xdp_mut().transmit(|_| ());
        assert!(take_all(&mut queue).is_empty());
        while let Some(departure) = queue.departure() {
            assert_eq!(Some(departure.since), asked.pop_front());
            told += 1;
        }
    }
    assert!(told > 10_000, "{told}");
    assert_accounted(&mut queue);
}

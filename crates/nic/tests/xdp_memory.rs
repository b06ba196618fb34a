//! The AF_XDP queue over rings in memory: where each frame is, when the kernel is called, what is given back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use barelane_nic::xdp::testing::{self, MemoryKernel, Wakeup};
use barelane_nic::xdp::{Layout, RING_SIZE_MAX, RING_SIZE_MIN, Settings, Wake, XdpError, XdpQueue};
use barelane_nic::{BURST_MAX, FRAME_LEN_MIN, Frame, Queue};

type MemoryQueue = XdpQueue<MemoryKernel>;

fn queue(wake: Wake) -> MemoryQueue {
    testing::queue(RING_SIZE_MIN, wake).unwrap()
}

/// A packet that can be told from every other.
fn packet(number: usize) -> Vec<u8> {
    let len = FRAME_LEN_MIN + number * 7 % 1400;
    let mut packet = vec![0xa5; len];
    packet[..8].copy_from_slice(&number.to_le_bytes());
    packet
}

fn take_all(queue: &mut MemoryQueue) -> Vec<Frame> {
    let mut burst = queue.rx();
    std::iter::from_fn(|| queue.next(&mut burst)).collect()
}

fn send_all(queue: &mut MemoryQueue) {
    for frame in take_all(queue) {
        queue.tx(frame).unwrap();
    }
}

fn release_all(queue: &mut MemoryQueue) -> usize {
    take_all(queue).into_iter().map(|frame| queue.release(frame)).count()
}

/// Every frame is in one place, no more with the receiver than half a ring, and none in the lane's hands.
fn assert_accounted(queue: &mut MemoryQueue) {
    let depths = queue.depths();
    let sum = depths.free + depths.fill + depths.rx + depths.tx + depths.completion;
    assert_eq!((sum, depths.held), (queue.layout().frame_count(), 0), "{depths:?}");
    assert!(depths.fill + depths.rx <= queue.layout().receive_share(), "{depths:?}");
}

#[test]
fn a_packet_is_answered_from_the_frame_it_came_in() {
    let mut queue = queue(Wake::NeedWakeup);
    assert!(queue.inject(&packet(1)));
    let mut burst = queue.rx();
    assert_eq!(burst.remaining(), 1);
    let mut frame = queue.next(&mut burst).unwrap();
    assert_eq!(queue.room_mut(&frame)[..frame.len()], packet(1));
    let room = queue.room_mut(&frame);
    assert_eq!(room.len(), 2048 - 256, "from the packet to the end of its chunk");
    room[..4].copy_from_slice(b"back");
    frame.set_len(100);
    queue.tx(frame).unwrap();
    queue.flush();
    let mut sent = Vec::new();
    queue.transmit(|packet| sent.push(packet.to_vec()));
    assert_eq!((sent.len(), sent[0].len(), &sent[0][..4]), (1, 100, &b"back"[..]));
    queue.rx();
    assert_accounted(&mut queue);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "a frame of another queue")]
fn a_frame_of_another_queue_is_found_out() {
    let (mut one, mut other) = (queue(Wake::NeedWakeup), queue(Wake::NeedWakeup));
    assert!(one.inject(&packet(0)));
    let frame = take_all(&mut one).pop().unwrap();
    other.release(frame);
}

#[test]
fn packets_keep_their_order_and_their_bytes() {
    let mut queue = queue(Wake::NeedWakeup);
    for number in 0..100 {
        assert!(queue.inject(&packet(number)));
    }
    let first = take_all(&mut queue);
    assert_eq!(first.len(), BURST_MAX);
    for (number, frame) in first.into_iter().enumerate() {
        assert_eq!(queue.room_mut(&frame)[..frame.len()], packet(number));
        queue.tx(frame).unwrap();
    }
    queue.flush();
    let second = take_all(&mut queue);
    assert_eq!(second.len(), 100 - BURST_MAX);
    for frame in second {
        queue.release(frame);
    }
    queue.flush();
    let mut number = 0;
    queue.transmit(|sent| {
        assert_eq!(sent, packet(number));
        number += 1;
    });
    assert_eq!(number, BURST_MAX);
}

#[test]
fn what_a_turn_leaves_is_given_again() {
    let mut queue = queue(Wake::NeedWakeup);
    (0..3).for_each(|number| assert!(queue.inject(&packet(number))));
    let mut burst = queue.rx();
    let frame = queue.next(&mut burst).unwrap();
    queue.release(frame);
    queue.flush();
    assert_eq!(release_all(&mut queue), 2);
    queue.flush();
    assert_accounted(&mut queue);
}

#[test]
fn a_frame_cannot_be_passed_and_comes_back() {
    let mut queue = queue(Wake::NeedWakeup);
    assert!(queue.inject(&packet(3)));
    let frame = take_all(&mut queue).pop().unwrap();
    let frame = queue.pass(frame).unwrap_err();
    assert_eq!(queue.room_mut(&frame)[..frame.len()], packet(3));
    queue.release(frame);
    queue.flush();
    assert_accounted(&mut queue);
}

#[test]
fn packets_of_ones_own_leave_from_spare_frames_for_as_long_as_one_likes() {
    let mut queue = queue(Wake::NeedWakeup);
    for number in 0..5000 {
        let mut frame = queue.spare().unwrap();
        let question = packet(number);
        queue.room_mut(&frame)[..question.len()].copy_from_slice(&question);
        frame.set_len(question.len());
        queue.tx(frame).unwrap();
        queue.flush();
        assert_eq!(queue.transmit(|sent| assert_eq!(sent, question)), 1);
        assert_accounted(&mut queue);
    }
    let mut spares: Vec<_> = std::iter::from_fn(|| queue.spare()).collect();
    assert_eq!(queue.held(), i64::try_from(spares.len()).unwrap());
    assert!(spares.len() > 2 * BURST_MAX, "the receiver has its share, the rest can be used");
    while let Some(frame) = spares.pop() {
        queue.release(frame);
    }
    assert_accounted(&mut queue);
}

#[test]
fn a_full_transmit_ring_gives_the_frame_back() {
    let mut queue = queue(Wake::NeedWakeup);
    queue.limit_card(Some(0));
    let room = queue.layout().transmit_ring_size() as usize;
    let (mut sent, mut refused) = (0, 0);
    for number in 0..room + 2 * BURST_MAX {
        assert!(queue.inject(&packet(number)));
        for frame in take_all(&mut queue) {
            match queue.tx(frame) {
                Ok(()) => sent += 1,
                Err(frame) => {
                    refused += 1;
                    queue.release(frame);
                }
            }
        }
        queue.flush();
        assert_accounted(&mut queue);
    }
    assert_eq!((sent, refused), (room, 2 * BURST_MAX));
}

#[test]
fn a_slow_card_never_starves_the_receiver() {
    let mut queue = queue(Wake::NeedWakeup);
    // As much as the transmit ring and the card together can hold is on its way, and still every packet is received.
    queue.limit_card(Some(0));
    for number in 0..1000 {
        assert!(queue.inject(&packet(number)), "{number}: {:?}", queue.depths());
        for frame in take_all(&mut queue) {
            let _full = queue.tx(frame).map_err(|frame| queue.release(frame));
        }
        queue.flush();
    }
}

#[test]
fn the_kernel_is_called_only_when_it_asks() {
    let mut queue = queue(Wake::NeedWakeup);
    let send_one = |queue: &mut MemoryQueue| {
        assert!(queue.inject(&packet(1)));
        send_all(queue);
        queue.flush();
    };
    send_one(&mut queue);
    queue.flush();
    assert_eq!((queue.kicks().tx, queue.kicks().rx), (0, 0));
    queue.ask_for_wakeup(Wakeup::Wanted, Wakeup::Wanted);
    queue.flush();
    assert_eq!(
        (queue.kicks().tx, queue.kicks().rx),
        (1, 1),
        "what the first look missed, the next turn finds"
    );
    queue.flush();
    assert_eq!((queue.kicks().tx, queue.kicks().rx), (1, 1), "an empty ring needs no kick");
    send_one(&mut queue);
    assert_eq!(queue.kicks().tx, 2, "a packet that comes alone leaves at once");
}

#[test]
fn a_spinning_queue_kicks_without_being_asked() {
    let mut queue = queue(Wake::Spin);
    assert!(queue.inject(&packet(1)));
    send_all(&mut queue);
    queue.flush();
    assert_eq!((queue.kicks().tx, queue.kicks().rx), (1, 0));
}

#[test]
fn a_busy_polling_queue_drives_the_card_in_every_empty_turn() {
    let mut queue = queue(Wake::BusyPoll);
    for _ in 0..3 {
        assert!(queue.rx().is_empty());
        queue.flush();
    }
    assert_eq!(queue.kicks().rx, 3);
    assert!(queue.inject(&packet(1)));
    release_all(&mut queue);
    queue.flush();
    assert_eq!(queue.kicks().rx, 3, "a turn with a packet does not");
}

#[test]
fn a_whole_burst_is_kicked_out_in_shares_of_32() {
    let mut queue = queue(Wake::Spin);
    (0..BURST_MAX).for_each(|number| assert!(queue.inject(&packet(number))));
    send_all(&mut queue);
    queue.flush();
    assert_eq!((queue.depths().tx, queue.kicks().tx, queue.kicks().tx_busy), (0, 2, 1));
}

#[test]
fn a_card_without_room_is_tried_again_in_the_next_turn_and_not_for_ever() {
    let mut queue = queue(Wake::Spin);
    (0..10).for_each(|number| assert!(queue.inject(&packet(number))));
    send_all(&mut queue);
    queue.limit_card(Some(4));
    queue.flush();
    assert_eq!((queue.depths().tx, queue.kicks().tx), (6, 2), "four left, then no progress");
    queue.flush();
    assert_eq!((queue.depths().tx, queue.kicks().tx), (6, 3));
    queue.limit_card(None);
    queue.flush();
    assert_eq!((queue.depths().tx, queue.kicks().tx), (0, 4));
    assert_eq!(queue.kicks().tx_busy, 3);
}

/// The numbers of Marsaglia's xorshift, from a seed that a failure prints.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0).unwrap() % limit
    }
}

/// One turn with random fates, which may leave some of its burst for the next.
fn random_turn(queue: &mut MemoryQueue, random: &mut Random) {
    let burst_len = random.below(100);
    for number in 0..burst_len {
        queue.inject(&packet(number));
    }
    let mut burst = queue.rx();
    let mut take = random.below(80);
    while take > 0
        && let Some(frame) = queue.next(&mut burst)
    {
        take -= 1;
        let kept = if random.below(3) == 0 { Err(frame) } else { queue.tx(frame) };
        if let Err(frame) = kept {
            queue.release(frame);
        }
    }
    queue.flush();
}

#[test]
fn after_every_random_turn_every_frame_is_in_one_place() {
    for seed in 1..20_u8 {
        let mut random = Random(seed.into());
        let wake = [Wake::NeedWakeup, Wake::BusyPoll, Wake::Spin][usize::from(seed) % 3];
        let mut queue = queue(wake);
        for turn in 0..500 {
            queue.limit_card(Some(0));
            random_turn(&mut queue, &mut random);
            assert_accounted(&mut queue);
            queue.limit_card(None);
            if random.below(2) == 0 {
                queue.transmit(|_| {});
            }
            assert_eq!(queue.held(), 0, "seed {seed}, turn {turn}");
        }
    }
}

#[test]
fn frames_and_chunks_are_sums_that_fit() {
    for shift in RING_SIZE_MIN.ilog2()..=RING_SIZE_MAX.ilog2() {
        let layout = Layout::new(1 << shift, 1500, "eth7").unwrap();
        assert!(layout.frame_count().is_power_of_two() && layout.size().is_power_of_two());
        let least = layout.receive_share() + 2 * layout.transmit_ring_size();
        assert!(layout.frame_count() as usize >= least as usize + BURST_MAX);
    }
    assert_eq!(Layout::new(2048, 1500, "eth7").unwrap().chunk_size(), 2048);
    assert_eq!(Layout::new(2048, 1770, "eth7").unwrap().chunk_size(), 2048);
    assert_eq!(Layout::new(2048, 1771, "eth7").unwrap().chunk_size(), 4096);
    assert_eq!(Layout::new(2048, Layout::mtu_max(), "eth7").unwrap().chunk_size(), 4096);
}

#[test]
fn a_wrong_setting_is_named_with_its_value_and_its_remedy() {
    let settings = || Settings::new("eth7", 7, 1500);
    let wrong = [
        (
            Settings { ring_size: 1000, ..settings() },
            "ring size 1000: must be a power of two from 256 to 32768",
        ),
        (Settings { ring_size: 128, ..settings() }, "ring size 128:"),
        (Settings { queues: vec![], ..settings() }, "queues: none given"),
        (Settings { queues: vec![0, 1, 0], ..settings() }, "queues: 0 is given twice"),
        (Settings { queues: vec![4096], ..settings() }, "queues: 4096 is beyond 4095"),
        (Settings { mtu: 9000, ..settings() }, "an MTU of 9000 does not fit"),
        (Settings { mtu: 9000, ..settings() }, "`ip link set dev eth7 mtu 3818`"),
        (
            Settings {
                mode: barelane_nic::xdp::ModeChoice::Generic,
                zero_copy: barelane_nic::xdp::ZeroCopyChoice::Yes,
                ..settings()
            },
            "zero-copy forced and mode generic forced",
        ),
    ];
    for (settings, words) in wrong {
        let error: XdpError = settings.check().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.is_setting());
    }
    assert!(settings().check().is_ok());
}

//! What one and two threads see of a ring in own memory.
#![cfg(all(feature = "alloc", not(loom)))]
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::thread;

use barelane_ring::{Size, Wakeup, pair, pair_at};

fn size(slots: u32) -> Size {
    Size::new(slots).unwrap()
}

#[test]
fn only_a_power_of_two_is_a_size() {
    for slots in [0, 3, 6, 1000, u32::MAX] {
        assert_eq!(Size::new(slots), None, "{slots}");
    }
    for slots in [1, 2, 2048, 1 << 31] {
        assert_eq!(Size::new(slots).map(Size::slots), Some(slots));
    }
}

#[test]
fn nothing_is_visible_before_it_is_submitted() {
    let (mut producer, mut consumer) = pair::<u32>(size(4));
    producer.write(7).unwrap();
    assert_eq!((consumer.available(9), consumer.read()), (0, None));
    producer.submit();
    assert_eq!((consumer.available(9), consumer.read(), consumer.read()), (1, Some(7), None));
}

#[test]
fn a_slot_is_not_written_again_before_it_is_released() {
    let (mut producer, mut consumer) = pair::<u32>(size(2));
    producer.write(1).unwrap();
    producer.write(2).unwrap();
    producer.submit();
    assert_eq!(producer.write(3), Err(3));
    assert_eq!(consumer.available(1), 1);
    assert_eq!(consumer.read(), Some(1));
    assert_eq!(producer.write(3), Err(3), "read is not released");
    consumer.release();
    assert_eq!((producer.pending(), producer.is_drained(), producer.room()), (1, false, 1));
    producer.write(3).unwrap();
    producer.submit();
    assert_eq!(consumer.available(2), 2);
    assert_eq!((consumer.read(), consumer.read()), (Some(2), Some(3)));
    consumer.release();
    assert!(producer.is_drained());
}

#[test]
fn no_more_is_read_than_was_asked_for_and_found() {
    let (mut producer, mut consumer) = pair::<u32>(size(8));
    for item in 0..5 {
        producer.write(item).unwrap();
    }
    producer.submit();
    assert_eq!(consumer.available(3), 3);
    assert_eq!(core::iter::from_fn(|| consumer.read()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((consumer.available(0), consumer.read()), (0, None));
    assert_eq!(consumer.available(64), 2);
    assert_eq!(core::iter::from_fn(|| consumer.read()).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn the_indices_wrap_around_at_2_to_the_32() {
    for slots in [1, 2, 8] {
        let (mut producer, mut consumer) = pair_at::<u64>(size(slots), u32::MAX - 10);
        let mut expected = 0;
        for round in 0..40_u64 {
            for item in 0..u64::from(slots) {
                producer.write(round * u64::from(slots) + item).unwrap();
            }
            assert_eq!(producer.write(0xa5), Err(0xa5));
            producer.submit();
            assert_eq!(consumer.available(u32::MAX), slots);
            while let Some(item) = consumer.read() {
                assert_eq!(item, expected);
                expected += 1;
            }
            consumer.release();
            assert_eq!(producer.room(), slots);
        }
        assert!(producer.written() < 1 << 20 && producer.written() == consumer.taken());
    }
}

#[test]
fn many_are_written_and_moved_as_one_by_one() {
    for first_index in [0, u32::MAX - 2] {
        let (mut producer, mut from) = pair_at::<u32>(size(8), first_index);
        let (mut to, mut consumer) = pair_at::<u32>(size(4), first_index);
        assert_eq!(producer.write_slice(&[1, 2, 3]), 3);
        assert_eq!(producer.write_slice(&[4, 5, 6, 7, 8, 9]), 5, "as many as there is room for");
        assert_eq!(to.write_from(&mut from, 9), 0, "nothing is submitted yet");
        producer.submit();
        assert_eq!(to.write_from(&mut from, 9), 0, "nobody has looked yet");
        assert_eq!(from.available(8), 8);
        assert_eq!(to.write_from(&mut from, 3), 3, "no more than asked for");
        assert_eq!(to.write_from(&mut from, 9), 1, "as many as there is room for");
        to.submit();
        from.release();
        assert_eq!((producer.room(), consumer.available(9)), (4, 4));
        assert_eq!(core::iter::from_fn(|| consumer.read()).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(core::iter::from_fn(|| from.read()).collect::<Vec<_>>(), [5, 6, 7, 8]);
    }
}

#[test]
fn two_threads_lose_and_repeat_nothing() {
    const ITEMS: u64 = if cfg!(miri) { 500 } else { 500_000 };
    let (mut producer, mut consumer) = pair_at::<[u64; 2]>(size(64), u32::MAX - 1000);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut item = 0;
            while item < ITEMS {
                match producer.write([item, !item]) {
                    Ok(()) => item += 1,
                    Err(_) => thread::yield_now(),
                }
                producer.submit();
            }
        });
        let mut expected = 0;
        while expected < ITEMS {
            if consumer.available(32) == 0 {
                thread::yield_now();
            }
            while let Some([item, inverse]) = consumer.read() {
                assert_eq!((item, inverse), (expected, !expected));
                expected += 1;
            }
            consumer.release();
        }
    });
}

#[test]
fn a_consumer_can_ask_to_be_woken() {
    let (producer, mut consumer) = pair::<u32>(size(2));
    assert!(!producer.wants_wakeup());
    consumer.ask_for_wakeup(Wakeup::Wanted);
    assert!(producer.wants_wakeup());
    consumer.ask_for_wakeup(Wakeup::Needless);
    assert!(!producer.wants_wakeup());
}

#[test]
fn either_end_outlives_the_other() {
    let (producer, mut consumer) = pair::<u32>(size(2));
    drop(producer);
    assert_eq!(consumer.available(1), 0);
    let (mut producer, consumer) = pair::<u32>(size(2));
    drop(consumer);
    producer.write(1).unwrap();
    producer.submit();
}

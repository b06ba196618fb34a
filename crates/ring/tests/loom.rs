//! Every interleaving of small rings: `RUSTFLAGS="--cfg loom" cargo test -p barelane-ring --release --test loom`.
#![cfg(all(loom, feature = "alloc"))]
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use barelane_ring::{Consumer, Producer, Size, pair_at};
use loom::thread;

/// More items than slots, so that slots are written again after they were read.
const ITEMS: u32 = 3;

fn produce(mut producer: Producer<u32>, submit_every: u32) {
    let mut item = 0;
    while item < ITEMS {
        if producer.write(item).is_ok() {
            item += 1;
        } else {
            producer.submit();
            thread::yield_now();
        }
        if item.is_multiple_of(submit_every) {
            producer.submit();
        }
    }
    producer.submit();
}

fn consume(mut consumer: Consumer<u32>, wanted: u32) {
    let mut expected = 0;
    while expected < ITEMS {
        if consumer.available(wanted) == 0 {
            thread::yield_now();
        }
        while let Some(item) = consumer.read() {
            assert_eq!(item, expected);
            expected += 1;
        }
        consumer.release();
    }
}

fn explore(slots: u32, submit_every: u32, wanted: u32) {
    loom::model(move || {
        let (producer, consumer) = pair_at(Size::new(slots).unwrap(), u32::MAX);
        let thread = thread::spawn(move || produce(producer, submit_every));
        consume(consumer, wanted);
        thread.join().unwrap();
    });
}

#[test]
fn one_slot_is_handed_back_and_forth() {
    explore(1, 1, 1);
}

#[test]
fn two_slots_wrap_around_item_by_item() {
    explore(2, 1, 1);
}

#[test]
fn two_slots_wrap_around_in_bursts() {
    explore(2, 2, 2);
}

/// Two rings in a row, as completed frames go back to the receiver.
#[test]
fn items_are_moved_from_ring_to_ring() {
    loom::model(|| {
        let (mut first, mut from) = pair_at(Size::new(2).unwrap(), u32::MAX);
        let (mut to, last) = pair_at(Size::new(2).unwrap(), u32::MAX - 1);
        let thread = thread::spawn(move || {
            assert_eq!(first.write_slice(&[0, 1]), 2);
            first.submit();
            while first.write(2).is_err() {
                first.room();
                thread::yield_now();
            }
            first.submit();
        });
        let mut moved = 0;
        while moved < 2 {
            from.available(2);
            moved += to.write_from(&mut from, 2 - moved);
            from.release();
            to.submit();
            thread::yield_now();
        }
        let mut last = last;
        assert_eq!((last.available(4), last.read(), last.read()), (2, Some(0), Some(1)));
        thread.join().unwrap();
    });
}

#[test]
fn a_drained_ring_stays_drained_until_something_is_submitted() {
    loom::model(|| {
        let (mut producer, mut consumer) = pair_at::<u32>(Size::new(2).unwrap(), 0);
        producer.write(1).unwrap();
        producer.submit();
        let thread = thread::spawn(move || {
            while consumer.available(1) == 0 {
                thread::yield_now();
            }
            consumer.read().unwrap();
            consumer.release();
        });
        while !producer.is_drained() {
            thread::yield_now();
        }
        assert_eq!(producer.room(), 2);
        thread.join().unwrap();
    });
}

//! The table: who has a place, who loses it, and what others read meanwhile.

extern crate std;

use std::thread;
use std::vec::Vec;

use super::*;
use crate::time::Tick;

fn key(source: u128) -> StreamKey {
    StreamKey {
        source,
        destination: 1,
        source_port: 4_000,
        destination_port: 862,
        ssid: 0,
        protocol: Protocol::Stamp,
    }
}

fn seen(sequence: u32, now: u64) -> Seen {
    Seen { sequence: Sequence::Wrapping(sequence), sent_ns: None, arrived_ns: now, now: Tick(now) }
}

#[test]
fn room_is_for_whole_sets_of_which_there_are_a_power_of_two() {
    assert_eq!(
        [1, 4, 5, 1_000, 1_024].map(|count| SharedStreams::new(count).room()),
        [4, 4, 8, 1_024, 1_024]
    );
}

#[test]
fn every_part_of_a_key_tells_streams_apart() {
    let (streams, mut totals) = (SharedStreams::new(16), Totals::default());
    let one = key(7);
    let keys = [
        one,
        StreamKey { source: 7 | 1 << 100, ..one },
        StreamKey { destination: 2, ..one },
        StreamKey { destination: 1 | 1 << 100, ..one },
        StreamKey { source_port: 4_001, ..one },
        StreamKey { destination_port: 863, ..one },
        StreamKey { ssid: 1, ..one },
        StreamKey { protocol: Protocol::Sockperf, ..one },
    ];
    for (hash, key) in (0..).zip(keys) {
        (0..2).for_each(|sequence| _ = streams.note(hash / 4, key, &seen(sequence, 5), &mut totals));
    }
    let known: Vec<_> = streams.iter().map(|(key, stream)| (key, stream.counts.received)).collect();
    assert_eq!(known, keys.map(|key| (key, 2)));
    assert_eq!((totals.of(Protocol::Stamp).begun, totals.of(Protocol::Sockperf).begun), (7, 1));
}

#[test]
fn a_fifth_stream_of_a_set_gets_the_place_of_the_one_that_was_quiet_for_longest() {
    let (streams, mut totals) = (SharedStreams::new(4), Totals::default());
    let mut note = |source, now| streams.note(0, key(source), &seen(0, now), &mut totals);
    for (source, now) in [(1, 10), (2, 11), (3, 12), (4, 13), (1, 14)] {
        assert_eq!(note(source, now), Noted::InPlace);
    }
    assert_eq!(note(5, 15), Noted::Evicting);
    assert_eq!(note(2, 16), Noted::Evicting);
    let sources: Vec<_> = streams.iter().map(|(key, _)| key.source).collect();
    assert_eq!(sources, [1, 5, 2, 4]);
    assert_eq!(totals.of(Protocol::Stamp).begun, 6);
    let counts = Counts { expected: 6, received: 6, duplicate: 1, ..Counts::default() };
    assert_eq!(totals.of(Protocol::Stamp).counts, counts, "of those that are gone too");
}

#[test]
fn a_place_that_nobody_has_is_given_before_one_that_somebody_has_whatever_the_time_is() {
    let (streams, mut totals) = (SharedStreams::new(4), Totals::default());
    for source in 1..=4 {
        assert_eq!(streams.note(0, key(source), &seen(0, 0), &mut totals), Noted::InPlace);
    }
    assert_eq!(streams.iter().count(), 4);
}

#[test]
fn a_reader_beside_the_lane_never_sees_half_a_stream() {
    let streams = SharedStreams::new(4);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut totals = Totals::default();
            for number in 0..100_000_u32 {
                // Six streams for four places, each of which says in its sequence whose it is.
                let source = number % 6;
                streams.note(0, key(source.into()), &seen(number, number.into()), &mut totals);
                streams.publish(&totals);
            }
        });
        while !writer.is_finished() {
            for (key, stream) in streams.iter() {
                assert_eq!(
                    (stream.highest % 6, stream.last_seen.0),
                    (u64::try_from(key.source).unwrap(), stream.highest)
                );
            }
            if let Some(totals) = streams.totals() {
                let stamp = totals.of(Protocol::Stamp);
                assert_eq!((stamp.counts.lost(), stamp.counts.received), (0, stamp.begun));
            }
        }
    });
    assert_eq!(streams.totals().unwrap().of(Protocol::Stamp).counts.received, 100_000);
}

//! One stream: every figure is what the sender and the wire did.

use barelane_telemetry::streams::{Sequel, Stream};
use testkit::random::Random;

use crate::model::Model;
use crate::seeds;
use crate::world::{self, Sender};

/// Whether some seed has met everything that there is to be met.
#[derive(Debug, Default)]
struct Met {
    lost: u64,
    late: u64,
    duplicate: u64,
    too_late: u64,
    restarts: u64,
}

fn assert_modelled(sender: Sender) {
    let mut met = Met::default();
    for seed in seeds() {
        let mut random = Random::new(seed);
        let wire = world::wire(&mut random);
        let came = world::stream(&mut random, sender, wire);
        let mut model = Model::default();
        model.note(&came[0]);
        let mut stream = Stream::begin(&came[0].seen);
        for (number, came) in came.iter().enumerate().skip(1) {
            model.note(came);
            let before = model.differences_ns.len();
            let (sequel, difference_ns) = stream.note(&came.seen);
            let at = format!("BARELANE_SEEDS={seed}..{}: packet {number}, {came:?}: {sequel:?}", seed + 1);
            assert_eq!(stream.counts, model.counts(), "{at}");
            let last = model.differences_ns.last().copied().filter(|_| before > 0);
            let is_first = matches!(sequel, Sequel::Ahead(_) | Sequel::Late(_));
            assert_eq!(difference_ns, last.filter(|_| is_first), "{at}");
        }
        assert_eq!(stream.jitter.ns(), model.jitter_ns(), "BARELANE_SEEDS={seed}..{}", seed + 1);
        let counts = stream.counts;
        met.lost += counts.lost();
        met.late += counts.late;
        met.duplicate += counts.duplicate;
        met.too_late += counts.too_late;
        met.restarts += counts.restarts;
    }
    let Met { lost, late, duplicate, too_late, restarts } = met;
    assert!([lost, late, duplicate, too_late, restarts].iter().all(|&met| met > 0), "{met:?}");
}

#[test]
fn a_stamped_stream_is_counted_as_by_a_memory_of_all_packets() {
    assert_modelled(Sender::Stamped);
}

#[test]
fn an_unstamped_stream_is_counted_as_by_a_memory_of_all_packets() {
    assert_modelled(Sender::Unstamped);
}

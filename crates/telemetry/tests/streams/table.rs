//! A table of streams: who has a place is what a list in the order of the last packets says, and what is counted of all streams is what came,
//! whoever has lost a place meanwhile.

use std::collections::BTreeMap;

use barelane_telemetry::streams::{Counts, Noted, Protocol, StreamKey, Totals, WAYS};
use barelane_telemetry::{SharedStreams, Tick};
use testkit::random::Random;

use crate::model::Model;
use crate::seeds;
use crate::world::{self, Came, Sender, Wire};

const QUIET: Wire = Wire { lost: 20, doubled: 20, delayed: 20, delay_max: 70, gap_max: 0 };

fn key(source: usize, protocol: Protocol) -> StreamKey {
    StreamKey {
        source: source as u128,
        destination: 7,
        source_port: 4_000,
        destination_port: 862,
        ssid: 0,
        protocol,
    }
}

/// What comes of so many senders: in the order in which it comes, each with its sender.
fn traffic(random: &mut Random, sender_count: usize) -> Vec<(usize, Came)> {
    let mut all = Vec::new();
    for source in 0..sender_count {
        let sender = random.one_of(&[Sender::Stamped, Sender::Unstamped]);
        let shift = random.below(2_000_000) as u64;
        for mut came in world::stream(random, sender, QUIET) {
            came.seen.arrived_ns += shift;
            all.push((source, came));
        }
    }
    all.sort_by_key(|(_, came)| came.seen.arrived_ns);
    // No two at the same instant, so that it is known who was quiet for longest.
    (1..).zip(&mut all).for_each(|(instant, (_, came))| came.seen.now = Tick(instant));
    all
}

fn protocol(came: &Came) -> Protocol {
    if came.seen.sent_ns.is_some() { Protocol::Stamp } else { Protocol::Sockperf }
}

/// The places of one set: senders, who was heard last in front.
#[derive(Debug, Default)]
struct Recent(Vec<(usize, Model)>);

impl Recent {
    /// Takes a packet in. Gives how its stream was counted before, if it had a place, and is now; and who lost a place.
    fn note(&mut self, source: usize, came: &Came) -> (Option<Counts>, Counts, Option<usize>) {
        let known = self.0.iter().position(|(other, _)| *other == source).map(|place| self.0.remove(place).1);
        let before = known.as_ref().map(Model::counts);
        let evicted = (self.0.len() == WAYS).then(|| self.0.pop().unwrap().0);
        let mut model = known.unwrap_or_default();
        model.note(came);
        let now = model.counts();
        self.0.insert(0, (source, model));
        (before, now, evicted)
    }
}

/// The total where one stream has `more` than `before`.
fn sum(total: Counts, more: Counts, before: Counts) -> Counts {
    let (total, more, before) = (total.to_words(), more.to_words(), before.to_words());
    Counts::of_words(std::array::from_fn(|place| total[place] + more[place] - before[place]))
}

#[test]
fn every_stream_that_has_a_place_is_whole_since_it_began_and_all_together_are_what_came() {
    let (mut evicted, mut kept) = (0, 0);
    for seed in seeds().step_by(10) {
        let mut random = Random::new(seed);
        let (sender_count, room) = (2 + random.below(30), random.one_of(&[4, 8, 32]));
        let (streams, mut totals) = (SharedStreams::new(room), Totals::default());
        let mut sets: BTreeMap<usize, Recent> = BTreeMap::new();
        let mut model_totals: [(u64, Counts); 2] = Default::default();
        for (source, came) in traffic(&mut random, sender_count) {
            let set = source % (room / WAYS);
            let (before, now, lost_its_place) = sets.entry(set).or_default().note(source, &came);
            let noted = streams.note(set as u64, key(source, protocol(&came)), &came.seen, &mut totals);
            let expected = if lost_its_place.is_some() { Noted::Evicting } else { Noted::InPlace };
            assert_eq!(noted, expected, "BARELANE_SEEDS={seed}..{}", seed + 1);
            let total = &mut model_totals[usize::from(protocol(&came) == Protocol::Sockperf)];
            total.0 += u64::from(before.is_none());
            total.1 = sum(total.1, now, before.unwrap_or_default());
            evicted += usize::from(lost_its_place.is_some());
        }
        let ours: BTreeMap<_, _> =
            streams.iter().map(|(key, stream)| (key.source as usize, stream)).collect();
        let modelled: BTreeMap<_, _> = sets.into_values().flat_map(|Recent(set)| set).collect();
        assert_eq!(ours.keys().collect::<Vec<_>>(), modelled.keys().collect::<Vec<_>>(), "seed {seed}");
        for (source, model) in &modelled {
            assert_eq!(ours[source].counts, model.counts(), "seed {seed}, sender {source}");
            assert_eq!(ours[source].jitter.ns(), model.jitter_ns(), "seed {seed}, sender {source}");
        }
        kept += modelled.len();
        streams.publish(&totals);
        for (protocol, (begun, counts)) in Protocol::ALL.into_iter().zip(model_totals) {
            let of = *streams.totals().unwrap().of(protocol);
            assert_eq!((of.begun, of.counts), (begun, counts), "seed {seed}");
        }
    }
    assert!(evicted > 1_000 && kept > 100, "{evicted} lost their places, {kept} kept them");
}

#[test]
fn a_flood_of_senders_that_each_send_once_takes_places_and_no_count_from_anybody() {
    let (streams, mut totals) = (SharedStreams::new(64), Totals::default());
    let mut random = Random::new(5);
    let came = world::stream(&mut random, Sender::Stamped, QUIET);
    let (mut evictions, mut flood) = (0, 0);
    for came in &came {
        for _ in 0..random.below(100) {
            flood += 1;
            let noted =
                streams.note(random.next(), key(1_000 + flood, Protocol::Stamp), &came.seen, &mut totals);
            evictions += u64::from(noted == Noted::Evicting);
        }
        evictions +=
            u64::from(streams.note(0, key(0, Protocol::Stamp), &came.seen, &mut totals) == Noted::Evicting);
    }
    let stamp = totals.of(Protocol::Stamp);
    assert_eq!(
        stamp.begun,
        evictions + streams.room() as u64,
        "whoever began has a place, or somebody lost one"
    );
    let Counts { received, duplicate, too_late, .. } = stamp.counts;
    assert_eq!(received + duplicate + too_late, (flood + came.len()) as u64, "each packet is counted once");
    assert!(evictions > 10_000, "{evictions}");
}

//! What an endpoint must do, put to a lane over a simulated card: once with a stack behind the card, once without.
//!
//! `docs/conformance.md` says which rule stands in which vector.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

mod age;
mod counts;
mod departures;
mod faults;
mod inquiries;
mod keep_warm;
mod limits;
mod look_back;
mod many;
mod next_hops;
mod routes;
mod simulated;
mod stamp;
mod streams;
mod sweeps;
mod tables;
mod taps;

use route::{PartialChecksums, ShortPackets};
use testkit::allocations::{self, CountingAllocator};
use testkit::vectors::{self, Tier, Vector};
use wire::checksum::Summer;

use crate::simulated::{Alone, SimulatedLane, Window, card};

/// Counts what each turn asks of it: nothing.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Puts every vector of these settings to a lane that has them. Gives how many questions that were.
fn ask_with(settings: vectors::Settings, lane: &mut impl Tier) -> usize {
    let all = vectors::load().unwrap();
    let wanted: Vec<&Vector> = all.iter().filter(|vector| vector.settings == settings).collect();
    let tally = vectors::run(wanted, lane);
    tally.unwrap_or_else(|failures| panic!("{failures}")).questions
}

/// The same for a lane that differs from others in what it does about partial checksums.
fn ask(queue: impl Window, setting: vectors::PartialChecksums, checksum: Summer) {
    let partial_checksums = match setting {
        vectors::PartialChecksums::Refuse => PartialChecksums::Refuse,
        vectors::PartialChecksums::Accept => PartialChecksums::Accept,
    };
    let settings = vectors::Settings { partial_checksums: setting, ..vectors::Settings::default() };
    let questions = ask_with(settings, &mut SimulatedLane::new(queue, partial_checksums, checksum));
    assert!(questions > 10_000, "{questions}");
}

#[test]
fn every_vector_holds_with_a_stack_behind() {
    for summer in Summer::available() {
        ask(card(), vectors::PartialChecksums::Refuse, summer);
    }
}

#[test]
fn every_vector_holds_without_a_stack_behind() {
    ask(Alone(card()), vectors::PartialChecksums::Refuse, Summer::fastest());
}

#[test]
fn the_vectors_of_virtual_links_hold() {
    for summer in Summer::available() {
        ask(card(), vectors::PartialChecksums::Accept, summer);
    }
}

#[test]
fn the_vectors_of_authenticated_stamp_hold() {
    let settings = vectors::Settings { stamp: vectors::Stamp::Authenticated, ..Default::default() };
    let questions = ask_with(settings, &mut SimulatedLane::authenticated(card()));
    assert!(questions > 500, "{questions}");
}

#[test]
fn streams_change_no_answer_in_either_mode_of_stamp() {
    for stamp in [vectors::Stamp::Unauthenticated, vectors::Stamp::Authenticated] {
        let settings = vectors::Settings { stamp, ..Default::default() };
        let lane = match stamp {
            vectors::Stamp::Unauthenticated => {
                SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest())
            }
            vectors::Stamp::Authenticated => SimulatedLane::authenticated(card()),
        };
        let (mut lane, streams) = lane.with_streams(64);
        let questions = ask_with(settings, &mut lane);
        assert!(questions > 500 && streams.iter().count() > 0, "{questions}");
    }
}

#[test]
fn the_vectors_of_short_stamp_packets_hold() {
    let settings = vectors::Settings { short_packets: vectors::ShortPackets::Answer, ..Default::default() };
    let questions = [
        ask_with(settings, &mut SimulatedLane::answering(ShortPackets::Answer, card())),
        ask_with(settings, &mut SimulatedLane::answering(ShortPackets::Answer, Alone(card()))),
    ];
    assert!(questions.iter().all(|&questions| questions > 300), "{questions:?}");
}

#[test]
fn every_conversation_holds() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let tally = vectors::converse(&vectors::conversations().unwrap(), &mut lane);
    assert!(tally.unwrap_or_else(|failures| panic!("{failures}")).questions > 0);
}

#[test]
fn an_allocation_would_be_seen() {
    assert!(allocations::is_counted());
}

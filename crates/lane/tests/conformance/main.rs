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

mod counts;
mod faults;
mod limits;
mod simulated;
mod sweeps;
mod tables;

use route::PartialChecksums;
use testkit::allocations::{self, CountingAllocator};
use testkit::vectors::{self, Vector};
use wire::checksum::Summer;

use crate::simulated::{Alone, SimulatedLane, Window, card};

/// Counts what each turn asks of it: nothing.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Puts every vector of one setting to a lane of that setting.
fn ask(queue: impl Window, setting: vectors::PartialChecksums, checksum: Summer) {
    let partial_checksums = match setting {
        vectors::PartialChecksums::Refuse => PartialChecksums::Refuse,
        vectors::PartialChecksums::Accept => PartialChecksums::Accept,
    };
    let all = vectors::load().unwrap();
    let wanted: Vec<&Vector> =
        all.iter().filter(|vector| vector.settings.partial_checksums == setting).collect();
    let tally = vectors::run(wanted, &mut SimulatedLane::new(queue, partial_checksums, checksum));
    let tally = tally.unwrap_or_else(|failures| panic!("{failures}"));
    assert!(tally.questions > 10_000, "{tally:?}");
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
fn every_conversation_holds() {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let tally = vectors::converse(&vectors::conversations().unwrap(), &mut lane);
    assert!(tally.unwrap_or_else(|failures| panic!("{failures}")).questions > 0);
}

#[test]
fn an_allocation_would_be_seen() {
    assert!(allocations::is_counted());
}

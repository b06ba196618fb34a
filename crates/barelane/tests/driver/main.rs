//! The driver tier, held to the vectors that hold the lane: by the kernel's own run of the program (`BPF_PROG_TEST_RUN`),
//! with a lane over a simulated card behind it.
//!
//! It needs the privileges that the program needs. Where they are missing each test says that it did not run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

// The shared modules below know these by their packages' names, as those packages' own tests do.
extern crate lane as barelane_lane;
extern crate route as barelane_route;

mod on_link;
mod refined;
#[path = "../../../lane/tests/conformance/simulated.rs"]
#[expect(dead_code, reason = "what only the lane's own tests use")]
mod simulated;
#[path = "../../../route/tests/first_match/tables.rs"]
mod tables;
mod tier;

use std::io::{self, Write};
use std::thread;

use telemetry::counters::TABLE;
use testkit::allocations::CountingAllocator;
use testkit::vectors::{self, PartialChecksums, Settings, Vector};

use crate::tier::{Driver, Stage};

/// The shared module counts what a turn of the lane allocates.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Whether the program can be loaded here; says aloud where not.
fn can_load() -> bool {
    let missing = host::privileges::missing_for_xdp();
    if !missing.is_empty() {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        // Not by a macro, whose words the test harness keeps to itself where a test passes.
        let _ = writeln!(io::stderr(), "skipped: {test}: the XDP program needs {missing:?}");
    }
    missing.is_empty()
}

/// Puts every vector of these settings to the program, and gives it back with what it did.
fn ask(partial_checksums: PartialChecksums) -> Driver {
    let mut driver = Driver::load(partial_checksums);
    let settings = Settings { partial_checksums, ..Settings::default() };
    let all = vectors::load().unwrap();
    let wanted: Vec<&Vector> = all.iter().filter(|vector| vector.settings == settings).collect();
    let tally = vectors::run(wanted, &mut driver).unwrap_or_else(|failures| panic!("{failures}"));
    assert!(tally.questions > 10_000, "{tally:?}");
    driver
}

#[test]
fn every_vector_holds_in_the_driver_with_a_lane_behind() {
    if !can_load() {
        return;
    }
    let driver = ask(PartialChecksums::Refuse);
    // Not by handing everything on.
    for (stage, at_least) in [(Stage::Answered, 5_000), (Stage::Dropped, 10_000), (Stage::Passed, 10_000)] {
        assert!(driver.count(stage) > at_least, "{stage:?}: {driver}");
    }
}

#[test]
fn the_vectors_of_virtual_links_hold_in_the_driver() {
    if can_load() {
        ask(PartialChecksums::Accept);
    }
}

#[test]
fn every_conversation_holds_in_the_driver_with_a_lane_behind() {
    if !can_load() {
        return;
    }
    let mut driver = Driver::load(PartialChecksums::Refuse);
    let tally = vectors::converse(&vectors::conversations().unwrap(), &mut driver);
    assert!(tally.unwrap_or_else(|failures| panic!("{failures}")).questions > 0);
}

#[test]
fn the_program_counts_by_the_rows_of_the_counter_table() {
    let source = include_str!("../../../nic/bpf/counters.h");
    let body = source.split("enum counter {").nth(1).unwrap().split('}').next().unwrap();
    let names: Vec<_> = body.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let rows: Vec<_> = TABLE.iter().map(|row| row.name.to_uppercase()).collect();
    assert_eq!(names, [&rows[..], &["COUNTER_COUNT".to_owned()]].concat());
    assert!(rows.len() <= nic::xdp::COUNT_MAX);
}

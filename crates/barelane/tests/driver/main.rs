//! The driver tier, held to the vectors that hold the lane.
//!
//! | file | what is asked, and how |
//! |---|---|
//! | `tier` | the program by the kernel's own run of it (`BPF_PROG_TEST_RUN`), with a lane over a simulated card behind it |
//! | `cable` | the program on a virtual cable, with a lane over AF_XDP behind it; and that lane alone |
//! | `differential` | random and mutated frames, to the program and to the lane |
//! | `oracle` | the same to the Linux kernel and to the lane |
//! | `on_link`, `next_hops` | who is answered where, by the program, and by the lane |
//! | `refined`, `limited` | routes with conditions, and with limits, in the program |
//!
//! It needs the privileges that the program needs. Where they are missing each test says that it did not run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may stop"
)]

// The shared modules below know these by their packages' names, as those packages' own tests do.
extern crate lane as barelane_lane;
extern crate route as barelane_route;

mod cable;
mod differential;
mod limited;
mod next_hops;
mod on_link;
mod oracle;
mod refined;
#[path = "../../../lane/tests/conformance/simulated.rs"]
#[expect(dead_code, reason = "what only the lane's own tests use")]
mod simulated;
#[path = "../../../route/tests/first_match/tables.rs"]
mod tables;
mod tier;

use std::io::{self, Write};
use std::{env, thread};

use telemetry::counters::TABLE;
use telemetry::{Counters, Kind};
use testkit::allocations::CountingAllocator;
use testkit::vectors::{self, PartialChecksums, Settings, ShortPackets, Stamp, Tier};

use crate::cable::OnCable;
use crate::tier::{Driver, Stage};

/// The shared module counts what a turn of the lane allocates.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// How many questions of each vector go over a cable: all of nearly every one, and some of those that sweep a field.
const QUESTIONS_MOST: usize = 256;
/// Which.
const SEED: u64 = 4;

/// Whether the program can be loaded here; says aloud where not.
fn can_load() -> bool {
    is_allowed(&host::privileges::missing_for_xdp())
}

/// The same for a virtual cable with the program on it.
fn can_lay() -> bool {
    is_allowed(&[host::privileges::missing_for_xdp(), host::privileges::missing_for_namespaces()].concat())
}

fn is_allowed(missing: &[&str]) -> bool {
    if !missing.is_empty() {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        // Not by a macro, whose words the test harness keeps to itself where a test passes.
        let _ = writeln!(io::stderr(), "skipped: {test}: the XDP program needs {missing:?}");
    }
    missing.is_empty()
}

/// The vectors' settings: as on a wire, as on a virtual link, with a key for STAMP, and with answers to short packets of it.
const ON_A_WIRE: Settings = Settings {
    partial_checksums: PartialChecksums::Refuse,
    stamp: Stamp::Unauthenticated,
    short_packets: ShortPackets::Drop,
};
const ON_A_VETH: Settings = Settings { partial_checksums: PartialChecksums::Accept, ..ON_A_WIRE };
const WITH_A_KEY: Settings = Settings { stamp: Stamp::Authenticated, ..ON_A_WIRE };
const ANSWERING_SHORT: Settings = Settings { short_packets: ShortPackets::Answer, ..ON_A_WIRE };

/// Puts so many questions of each vector of these settings to the tier, at most. Gives how many that were.
fn ask(settings: Settings, most: usize, tier: &mut impl Tier) -> usize {
    let all = vectors::load().unwrap();
    let wanted = all.iter().filter(|vector| vector.settings == settings);
    let tally = vectors::run_some(wanted, most, SEED, tier).unwrap_or_else(|failures| panic!("{failures}"));
    println!("{tally:?}, {settings:?}");
    tally.questions
}

#[test]
fn every_vector_holds_in_the_driver_with_a_lane_behind() {
    if !can_load() {
        return;
    }
    let mut driver = Driver::load(ON_A_WIRE);
    assert!(ask(ON_A_WIRE, usize::MAX, &mut driver) > 10_000);
    // Not by handing everything on.
    for (stage, at_least) in [(Stage::Answered, 5_000), (Stage::Dropped, 10_000), (Stage::Passed, 10_000)] {
        assert!(driver.count(stage) > at_least, "{stage:?}: {driver}");
    }
}

#[test]
fn the_vectors_of_all_other_settings_hold_in_the_driver() {
    if can_load() {
        assert!(ask(ON_A_VETH, usize::MAX, &mut Driver::load(ON_A_VETH)) > 10_000);
        assert!(ask(WITH_A_KEY, usize::MAX, &mut Driver::load(WITH_A_KEY)) > 500);
        assert!(ask(ANSWERING_SHORT, usize::MAX, &mut Driver::load(ANSWERING_SHORT)) > 300);
    }
}

#[test]
fn every_conversation_holds_in_the_driver_with_a_lane_behind() {
    if !can_load() {
        return;
    }
    let mut driver = Driver::load(ON_A_WIRE);
    let tally = vectors::converse(&vectors::conversations().unwrap(), &mut driver);
    assert!(tally.unwrap_or_else(|failures| panic!("{failures}")).questions > 0);
}

/// Puts the vectors of these settings to the endpoint behind a cable: some of each one's questions, or all of them where
/// `BARELANE_ALL_QUESTIONS` is set, as `cargo xtask soak vectors` does. Gives what the program and the lane counted.
fn ask_by_cable(settings: Settings, earliest: route::Tier) -> (Counters, Counters) {
    let most = if env::var_os("BARELANE_ALL_QUESTIONS").is_some() { usize::MAX } else { QUESTIONS_MOST };
    let mut endpoint = OnCable::open(settings, earliest);
    assert!(ask(settings, most, &mut endpoint) > 200);
    endpoint.assert_silent();
    endpoint.counts()
}

/// Answers and drops.
fn fates(counts: &Counters) -> [u64; 2] {
    [Kind::Replied, Kind::Dropped].map(|kind| counts.sum(kind))
}

#[test]
fn every_vector_holds_in_the_driver_on_a_cable() {
    if !can_lay() {
        return;
    }
    let (program, lane) = ask_by_cable(ON_A_WIRE, route::Tier::Driver);
    let [by_program, by_lane] = [fates(&program), fates(&lane)];
    println!("answered and dropped: {by_program:?} by the program, {by_lane:?} by the lane");
    assert!(by_program[0] > 2_000 && by_program[1] > 5_000, "not by handing everything on");
    assert!(by_lane[0] > 100 && by_lane[1] > 2_000, "not without the lane");
    ask_by_cable(ON_A_VETH, route::Tier::Driver);
    ask_by_cable(WITH_A_KEY, route::Tier::Driver);
    ask_by_cable(ANSWERING_SHORT, route::Tier::Driver);
}

#[test]
fn every_vector_holds_in_a_lane_over_af_xdp_on_a_cable() {
    if !can_lay() {
        return;
    }
    let (program, lane) = ask_by_cable(ON_A_WIRE, route::Tier::Lane);
    let [by_program, by_lane] = [fates(&program), fates(&lane)];
    println!("answered and dropped: {by_program:?} by the program, {by_lane:?} by the lane");
    assert!(by_program[0] == 0 && by_lane[0] > 2_000 && by_lane[1] > 5_000, "by the lane alone");
    ask_by_cable(ON_A_VETH, route::Tier::Lane);
    ask_by_cable(WITH_A_KEY, route::Tier::Lane);
    ask_by_cable(ANSWERING_SHORT, route::Tier::Lane);
}

#[test]
fn every_conversation_holds_on_a_cable() {
    if !can_lay() {
        return;
    }
    for earliest in [route::Tier::Driver, route::Tier::Lane] {
        let mut endpoint = OnCable::open(ON_A_WIRE, earliest);
        let tally = vectors::converse(&vectors::conversations().unwrap(), &mut endpoint);
        assert!(tally.unwrap_or_else(|failures| panic!("{failures}")).questions > 0);
        endpoint.assert_silent();
    }
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

//! Do answers say when they left, each of them, by the clock that is named, and only where somebody has asked?

use std::time::{Duration, Instant};

use barelane::side_channel::{Area, Reader};
use telemetry::Histogram;

use crate::admin::hosts;
use crate::server::Server;
use crate::side_channel::{ask, replied_udp, segment_of, when};
use crate::top::top;
use crate::topology::{SERVER_NIC, Topology, ip};

const COUNT: u64 = 2_000;

/// What a server with these options says of its lane and of itself when it has answered, and how long asking took in nanoseconds.
fn asked(options: &[&str]) -> (Area, Area, u128) {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &[&["--tier", "lane"], options].concat());
    let segment = segment_of(&server);
    let began = Instant::now();
    ask(&topology, COUNT);
    let snapshot = when(&Reader::open(&segment).unwrap(), |snapshot| {
        let told = |lane: &Area| lane.histogram("transmit_residence").unwrap().count() == lane.sum("replied");
        replied_udp(snapshot) == COUNT && (options.is_empty() || snapshot.of_kind("lane").all(told))
    });
    let length = began.elapsed().as_nanos();
    let ended = top(&["--once", "--interval", "0.2", "--segment", segment.to_str().unwrap()]);
    assert_eq!(ended.said.contains("left: CLOCK_TAI, kernel"), !options.is_empty(), "{}", ended.said);
    let counts = server.counts();
    assert!(
        !counts.contains_key("transmit_unknown") && !counts.contains_key("queue_0_tx_invalid"),
        "{counts:?}"
    );
    let area = |kind| snapshot.of_kind(kind).next().unwrap().clone();
    (area("lane"), area("server"), length)
}

/// No answer left before it was handed over, or later than it was asked after.
fn assert_within(took: &Histogram, earliest: &Histogram, length: u128) {
    assert_eq!(took.count(), earliest.count());
    assert!(took.min() >= earliest.min() && took.max() > 0, "{took:?} {earliest:?}");
    assert!(u128::from(took.max()) < length, "{took:?} in {length} ns");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn each_answer_of_a_lane_says_when_it_left_and_counts_from_its_turn() {
    let (lane, server, length) = asked(&["--transmit-stamps", "kernel"]);
    assert_eq!(server.text("transmit_clock").unwrap(), "CLOCK_TAI, kernel");
    assert_eq!(server.text("transmit_since").unwrap(), "turn_clock, the beginning of the turn");
    assert_eq!(server.text("arrival_clock").unwrap(), "none");
    let took = lane.histogram("transmit_residence").unwrap();
    assert_eq!((took.count(), lane.number("transmit_unknown")), (lane.sum("replied"), Some(0)));
    assert_within(&took, &took, length);
    assert_eq!(lane.histogram("queueing").unwrap().count(), 0);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn each_answer_of_a_lane_says_when_it_left_and_counts_from_its_questions_arrival() {
    let (lane, server, length) = asked(&["--transmit-stamps", "kernel", "--arrival-stamps", "driver"]);
    assert_eq!(server.text("transmit_since").unwrap(), "arrival_clock, the arrival stamp");
    let [took, waited] = ["transmit_residence", "queueing"].map(|name| lane.histogram(name).unwrap());
    assert_eq!((took.count(), lane.number("arrival_unknown")), (lane.sum("replied"), Some(0)));
    assert_eq!(lane.number("transmit_unknown"), Some(0));
    // Whatever left had waited before, and each frame that came was answered.
    assert_within(&took, &waited, length);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn nobody_says_when_an_answer_left_who_was_not_asked() {
    let (lane, server, _) = asked(&[]);
    assert_eq!(server.text("transmit_clock").unwrap(), "none");
    assert_eq!(lane.histogram("transmit_residence").unwrap().count(), 0);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_interface_that_is_back_stamps_again_and_its_lane_keeps_warm() {
    const SOON: Duration = Duration::from_secs(20);
    let topology = hosts();
    let server = Server::alone_with(
        &topology,
        &[
            "--tier",
            "lane",
            "--transmit-stamps",
            "kernel",
            "--arrival-stamps",
            "driver",
            "--keep-warm",
            "1ms",
        ],
    );
    let reader = Reader::open(&segment_of(&server)).unwrap();
    let stamped = |lane: &Area| lane.histogram("transmit_residence").unwrap().count();
    for round in 1..=2 {
        let warmed = || reader.read().unwrap().of_kind("lane").next().unwrap().number("warmed").unwrap();
        let before = warmed();
        ask(&topology, COUNT);
        when(&reader, |snapshot| {
            let lane = snapshot.of_kind("lane").next().unwrap();
            replied_udp(snapshot) == round * COUNT
                && stamped(lane) == lane.sum("replied")
                && lane.number("warmed") > Some(before)
        });
        if round == 1 {
            ip(&topology.server, &["link", "delete", SERVER_NIC]);
            server.line("barelane: warning: the interface lane0 is gone", SOON);
            topology.lay(1, [2, 0, 0, 1, 9, 1]);
            server.line("barelane: the interface lane0 is back", SOON);
        }
    }
    let counts = server.counts();
    assert_eq!(counts["replied_udp"], 2 * COUNT, "{counts:?}");
}

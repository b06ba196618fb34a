//! How long questions waited, and how long it took until their answers were gone, where anybody stamps either.

use super::Table;
use crate::error::printable;
use crate::top::figures::{Figures, Lane};
use crate::top::units::{count, rate, time};

/// A column: its head, and what stands in it of a lane.
type Column = (&'static str, fn(&Lane) -> String);

const LANE: Column = ("lane", |lane| lane.index.to_string());
const TOO_OLD: Column = ("too old", |lane| count(lane.too_old));
const STANDING: Column = ("standing", |lane| time(Some(lane.standing_queue_ns)));
const WAITED: [Column; 2] = [
    ("waited p50", |lane| time(lane.queueing_recent.p50_ns)),
    ("p99", |lane| time(lane.queueing_recent.p99_ns)),
];
const LEFT: [Column; 3] = [
    ("left p50", |lane| time(lane.transmit_residence_recent.p50_ns)),
    ("p99", |lane| time(lane.transmit_residence_recent.p99_ns)),
    ("max", |lane| time(lane.transmit_residence.max_ns)),
];

/// What is shown where frames say when they came.
const OF_ARRIVALS: [Column; 10] = [
    LANE,
    TOO_OLD,
    ("now/s", |lane| rate(lane.too_old_per_second)),
    STANDING,
    WAITED[0],
    WAITED[1],
    ("max", |lane| time(lane.queueing.max_ns)),
    ("answered p50", |lane| time(lane.arrival_residence_recent.p50_ns)),
    ("p99", |lane| time(lane.arrival_residence_recent.p99_ns)),
    ("max", |lane| time(lane.arrival_residence.max_ns)),
];

/// What is shown where answers say when they left as well: as much as 80 columns have room for.
const OF_BOTH: [Column; 10] = [
    LANE,
    TOO_OLD,
    STANDING,
    WAITED[0],
    WAITED[1],
    ("answ p50", |lane| time(lane.arrival_residence_recent.p50_ns)),
    ("p99", |lane| time(lane.arrival_residence_recent.p99_ns)),
    LEFT[0],
    LEFT[1],
    LEFT[2],
];

/// What is shown where they say that alone.
const OF_DEPARTURES: [Column; 5] =
    [LANE, LEFT[0], LEFT[1], LEFT[2], ("not known", |lane| count(lane.transmit_unknown))];

/// One row a lane: how long questions waited for it, how old they were when their answers were handed over, and how long it took until these had
/// left, as far as anybody says it.
pub fn waits(figures: &Figures) -> Table {
    let columns: &[Column] = match (figures.facts.has_arrivals(), figures.facts.has_departures()) {
        (true, true) => &OF_BOTH,
        (false, true) => &OF_DEPARTURES,
        (_, false) => &OF_ARRIVALS,
    };
    let lanes = figures.lanes.iter().filter(|_| figures.facts.has_stamps());
    Table {
        title: "waits",
        head: columns.iter().map(|(head, _)| *head).collect(),
        rows: lanes.map(|lane| columns.iter().map(|(_, cell)| cell(lane)).collect()).collect(),
        words: 0,
        nothing: "frames do not say when they came: --arrival-stamps driver has them do it; nor when they left: --transmit-stamps kernel",
    }
}

/// By which clocks they say so, in half a line; nothing where they do not.
pub fn clocks(figures: &Figures) -> String {
    let facts = &figures.facts;
    let came = facts.has_arrivals().then(|| format!("came: {}", facts.arrival_clock));
    let left = facts.has_departures().then(|| format!("left: {}", facts.transmit_clock));
    // Where the arrival is not stamped, what left is counted from the turn.
    let turn =
        (facts.has_departures() && !facts.has_arrivals()).then(|| format!("turn: {}", facts.turn_clock));
    printable(&[came, turn, left].into_iter().flatten().collect::<Vec<_>>().join("; "))
}

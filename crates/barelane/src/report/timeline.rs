//! The charts over time: the latencies of each stretch of the measurement, and what was lost in it.
//!
//! What was measured in several runs stands behind one another, without the pauses between them.

use probe::own_error::Stall;
use probe::report::Point;

use super::Run;
use super::chart::{Axis, Chart, Kind, Mark, Series, Shape, Table, View, Words};
use super::units::as_float;

/// A figure of a stretch: its name, and where it is.
type Figure = (&'static str, fn(&Point) -> Option<u64>);

/// Single answers, so they are dots: a line between two of them would show what nobody measured.
const LONGEST: &str = "longest";

const FIGURES: [Figure; 3] = [
    ("p50", |point| point.rtt_p50_ns),
    ("p99", |point| point.rtt_p99_ns),
    (LONGEST, |point| point.rtt_max_ns),
];

const TIME: Axis =
    Axis { kind: Kind::Seconds, label: "Time since the first question, s", log: false, from_zero: false };

/// The round trips over time.
pub(super) fn round_trips(runs: &[Run]) -> Option<Chart> {
    let views = match runs {
        [only] => vec![View { name: "Round trip", tables: vec![table(only, &figures_as_lines(runs))] }],
        several => known(several).map(|(_, figure)| side_by_side(several, figure)).collect(),
    };
    let marks = if let [only] = runs { marks(only) } else { Vec::new() };
    let stalls = match runs {
        _ if marks.is_empty() => "",
        [only] if only.report.repeats.len() > 1 => " Marked: the runs in which the probe itself stood still.",
        _ => " Marked: when the probe itself stood still.",
    };
    let has_lines = views.iter().flat_map(|view| &view.tables).any(|table| !table.series.is_empty());
    has_lines.then(|| Chart {
        id: "timeline",
        height: 300,
        shape: Shape::Line,
        x: TIME,
        y: Axis { kind: Kind::Latency, label: "Round trip", log: true, from_zero: false },
        sync: Some("time"),
        marks,
        views,
        words: Words {
            title: "Over time",
            text: format!("The round trips of each stretch of the measurement: a spike that repeats, a drift, a warm-up.{stalls}"),
            choice: "Figure",
        },
    })
}

/// What was lost over time; nothing where nothing was.
pub(super) fn losses(runs: &[Run]) -> Option<Chart> {
    let lossy = runs.iter().flat_map(|run| &run.report.series).any(|point| point.lost > 0);
    let line = |(ink, run): (usize, &Run)| {
        let name = if runs.len() > 1 { run.label() } else { "lost".to_owned() };
        table(run, &[(name, ink, |point: &Point| Some(point.lost))])
    };
    lossy.then(|| Chart {
        id: "losses",
        height: 170,
        shape: Shape::Bars,
        x: TIME,
        y: Axis { kind: Kind::Count, label: "Lost", log: false, from_zero: true },
        sync: Some("time"),
        marks: if let [only] = runs { marks(only) } else { Vec::new() },
        views: vec![View { name: "Lost", tables: runs.iter().enumerate().map(line).collect() }],
        words: Words {
            title: "Losses over time",
            text: "Questions of each stretch that had no answer within the time-out.".to_owned(),
            choice: "Figure",
        },
    })
}

type Line = (String, usize, fn(&Point) -> Option<u64>);

fn figures_as_lines(runs: &[Run]) -> Vec<Line> {
    known(runs).map(|(ink, (name, of))| (name.to_owned(), ink, of)).collect()
}

/// The figures that any stretch has. Where few questions were asked in each, none has a 99th percentile, and a legend
/// without its line would look like a fault.
fn known(runs: &[Run]) -> impl Iterator<Item = (usize, Figure)> {
    let is_known = |of: fn(&Point) -> Option<u64>| {
        runs.iter().flat_map(|run| &run.report.series).any(|point| of(point).is_some())
    };
    FIGURES.into_iter().enumerate().filter(move |(_, (_, of))| is_known(*of))
}

fn side_by_side(runs: &[Run], (name, of): Figure) -> View {
    let tables = runs.iter().enumerate().map(|(ink, run)| table(run, &[(run.label(), ink, of)]));
    View { name, tables: tables.collect() }
}

/// One run's points, and these lines over them.
fn table(run: &Run, lines: &[Line]) -> Table {
    let points = &run.report.series;
    let x: Vec<f64> = points.iter().map(|point| second(run, point.run, point.at_ns)).collect();
    let series = lines.iter().map(|(name, ink, of)| Series {
        name: name.clone(),
        ink: *ink,
        is_dotted: name == LONGEST,
        y: points.iter().map(|point| of(point).map(as_float)).collect(),
    });
    let labels = x.iter().map(|second| format!("{second:.3}")).collect();
    Table { series: series.collect(), labels, x }
}

/// An instant on the common axis, in seconds: of a report with several runs, each begins where the one before ended.
fn second(run: &Run, index: u64, at_ns: u64) -> f64 {
    let before = usize::try_from(index).unwrap_or(usize::MAX);
    let earlier = run.report.repeats.iter().take(before).map(|earlier| earlier.wall_ns);
    as_float(earlier.fold(at_ns, u64::saturating_add)) / 1e9
}

/// When the probe itself stood still. Of several runs the stalls of the worst are known, and not which one it was; so
/// the stalled runs are marked whole.
fn marks(run: &Run) -> Vec<Mark> {
    let repeats = &run.report.repeats;
    if repeats.len() > 1 {
        let ends = |(index, repeat): (u64, &probe::report::Run)| {
            repeat
                .was_stalled
                .then(|| Mark { from: second(run, index, 0), to: second(run, index, repeat.wall_ns) })
        };
        return (0..).zip(repeats).filter_map(ends).collect();
    }
    let mark = |stall: &Stall| Mark {
        from: second(run, 0, stall.at_ns),
        to: second(run, 0, stall.at_ns.saturating_add(stall.length_ns)),
    };
    run.report.own_error.stalls.iter().map(mark).collect()
}

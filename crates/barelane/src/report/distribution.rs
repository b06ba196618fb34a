//! The charts of how the samples are spread: the percentile curve and the histogram.

use hdrhistogram::Histogram;

use super::Run;
use super::chart::{Axis, Chart, Kind, Series, Shape, Table, View, Words};
use super::curves::{self, Bins, Curves};
use super::quantity::Quantity;
use super::units;

/// One line to be drawn.
struct Line<'a> {
    name: String,
    ink: usize,
    histogram: &'a Histogram<u64>,
}

/// What is shown together, and under which name.
struct Group<'a> {
    name: &'static str,
    lines: Vec<Line<'a>>,
}

/// The percentile curve.
pub(super) fn percentiles(runs: &[Run], curves: &[Curves]) -> Option<Chart> {
    let views: Vec<View> = groups(runs, curves).iter().map(percentile_view).collect();
    (!views.is_empty()).then(|| Chart {
        id: "percentiles",
        height: 380,
        shape: Shape::Line,
        x: Axis {
            kind: Kind::Percentile,
            label: "Percentile p, 1/(1 − p) on a logarithmic scale",
            log: true,
            from_zero: false,
        },
        y: Axis { kind: Kind::Latency, label: "Latency", log: true, from_zero: false },
        sync: None,
        marks: Vec::new(),
        views,
        words: Words {
            title: "Percentile curve",
            text: "How long the slowest take: at p99.9 one answer in a thousand took longer than the line says. \
                   A line ends with its longest sample; the samples carry nothing deeper."
                .to_owned(),
            choice: "Latency",
        },
    })
}

/// The histogram. Runs side by side need not have asked equally often, so they are shown in shares.
pub(super) fn histogram(runs: &[Run], curves: &[Curves]) -> Option<Chart> {
    let unit = if runs.len() > 1 { Kind::Share } else { Kind::Count };
    let views: Vec<View> =
        groups(runs, curves).iter().filter_map(|group| histogram_view(group, unit)).collect();
    let label = if unit == Kind::Share { "Share of the answers in the bin" } else { "Answers in the bin" };
    (!views.is_empty()).then(|| Chart {
        id: "histogram",
        height: 320,
        shape: Shape::Steps,
        x: Axis { kind: Kind::Latency, label: "Latency, bins of equal ratio", log: true, from_zero: false },
        y: Axis { kind: unit, label, log: true, from_zero: false },
        sync: None,
        marks: Vec::new(),
        views,
        words: Words {
            title: "Histogram",
            text: "Where the answers are. Both axes are logarithmic, so that a single late answer is seen beside \
                   a million punctual ones."
                .to_owned(),
            choice: "Latency",
        },
    })
}

/// One run: its quantities in one view. Several: a view for each quantity, its runs side by side.
fn groups<'a>(runs: &[Run], curves: &'a [Curves]) -> Vec<Group<'a>> {
    if let [curves] = curves {
        let present =
            Quantity::ALL.into_iter().filter_map(|quantity| Some((quantity, curves.get(quantity)?)));
        let line = |(ink, (quantity, histogram)): (usize, (Quantity, _))| Line {
            name: quantity.name().to_owned(),
            ink,
            histogram,
        };
        let lines: Vec<_> = present.enumerate().map(line).collect();
        return if lines.is_empty() { Vec::new() } else { vec![Group { name: "Latency", lines }] };
    }
    let group = |quantity: Quantity| {
        let runs = runs.iter().zip(curves).enumerate();
        let lines: Vec<_> = runs
            .filter_map(|(ink, (run, curves))| {
                Some(Line { name: run.label(), ink, histogram: curves.get(quantity)? })
            })
            .collect();
        (!lines.is_empty()).then_some(Group { name: quantity.name(), lines })
    };
    let mut groups: Vec<_> = Quantity::ALL.into_iter().filter_map(group).collect();
    // What all of them have comes first: it is what they can be compared by.
    groups.sort_by_key(|group| std::cmp::Reverse(group.lines.len()));
    groups
}

fn percentile_view(group: &Group<'_>) -> View {
    let counts: Vec<u64> = group.lines.iter().map(|line| line.histogram.len()).collect();
    let x = curves::rarities(&counts);
    let series = |line: &Line<'_>| Series {
        name: line.name.clone(),
        ink: line.ink,
        is_dotted: false,
        y: x.iter().map(|&rarity| curves::value_at(line.histogram, rarity).map(units::as_float)).collect(),
    };
    let series = group.lines.iter().map(series).collect();
    let labels = x.iter().map(|&rarity| label(rarity, &counts)).collect();
    View { name: group.name, tables: vec![Table { x, labels, series }] }
}

/// What a point of the percentile curve is called.
fn label(rarity: f64, counts: &[u64]) -> String {
    let is_end = |count: &&u64| (units::as_float(**count) + 1.0 - rarity).abs() < 0.5;
    match counts.iter().find(is_end) {
        Some(&count) => format!("longest of {}", units::count(count)),
        None if rarity <= 1.0 => "shortest".to_owned(),
        None => units::percentile(rarity),
    }
}

fn histogram_view(group: &Group<'_>, unit: Kind) -> Option<View> {
    let histograms: Vec<&Histogram<u64>> = group.lines.iter().map(|line| line.histogram).collect();
    let bins = Bins::of(&histograms)?;
    let edges = bins.edges();
    let series = |line: &Line<'_>| {
        let all = if unit == Kind::Share { units::as_float(line.histogram.len()) } else { 1.0 };
        let counts = bins.counts(line.histogram).into_iter().map(|count| units::as_float(count) / all);
        // The last edge closes the last bin.
        Series {
            name: line.name.clone(),
            ink: line.ink,
            is_dotted: false,
            y: counts.chain([0.0]).map(Some).collect(),
        }
    };
    let series = group.lines.iter().map(series).collect();
    let labels = edges.iter().map(|&edge| format!("from {:.3} µs", edge / 1_000.0)).collect();
    Some(View { name: group.name, tables: vec![Table { x: edges, labels, series }] })
}

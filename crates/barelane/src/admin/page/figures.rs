//! What the page asks for: its fields are the keys of `/page.json`, in their order; see `docs/page.md`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use telemetry::Histogram;

use crate::side_channel::{Field, Form, Snapshot};
use crate::top::figures::Figures;
use crate::top::figures::between::{Pair, RESIDENCE, as_float, histograms};

/// The schema of `docs/page.md`.
const SCHEMA: &str = "barelane-page-1";

/// Points of a curve in each decade: the lane's own buckets are hardly finer.
const POINTS_PER_DECADE: u32 = 12;

/// How many streams of a lane are told: those that lost most.
const STREAMS_TOLD: usize = 20;

/// The kinds of areas that are told field by field. A field that the segment gets there is on the page, and nobody has to know it
/// here. Of lanes it would be too much.
const TOLD: [&str; 4] = ["route", "queue", "memif", "driver"];

/// One answer.
#[derive(Debug, Serialize)]
pub(in crate::admin) struct PageFigures {
    schema: &'static str,
    /// When this was answered, by the clock that says when it was published.
    now_unix_ns: u64,
    /// The interfaces of the server's cards, in their order; this is of one of them.
    cards: Vec<String>,
    /// What `barelane top --json` says.
    server: Figures,
    /// How residence is spread, for each kind of answer that was given.
    curves: Vec<Curve>,
    /// Areas by their kind, field by field.
    tables: BTreeMap<&'static str, Vec<Row>>,
}

/// A percentile curve.
#[derive(Debug, Serialize)]
struct Curve {
    name: String,
    /// Since the start, and between the two looks: 1/(1 - p), and the time that so many do not exceed.
    all: Vec<(f64, u64)>,
    recent: Vec<(f64, u64)>,
}

/// One area.
#[derive(Debug, Serialize)]
struct Row {
    index: u64,
    texts: Vec<Text>,
    numbers: Vec<Number>,
}

#[derive(Debug, Serialize)]
struct Text {
    name: String,
    value: String,
    sentence: String,
}

#[derive(Debug, Serialize)]
struct Number {
    name: String,
    value: u64,
    /// Of a count, between the two looks; a gauge has none.
    per_second: Option<f64>,
    unit: String,
    sentence: String,
}

impl PageFigures {
    /// What two looks say, at this time since 1970, of one of these cards.
    pub(in crate::admin) fn between(
        before: &Snapshot,
        now: &Snapshot,
        segment: &Path,
        now_ns: u64,
        cards: Vec<String>,
    ) -> Self {
        let pairs = Pair::all(before, now);
        let of_kind = |kind| pairs.iter().copied().filter(move |pair| pair.now.kind == kind);
        Self {
            schema: SCHEMA,
            now_unix_ns: now_ns,
            cards,
            server: server(before, now, segment),
            curves: curves(&of_kind("lane").collect::<Vec<_>>()),
            tables: TOLD.into_iter().map(|kind| (kind, of_kind(kind).map(row).collect())).collect(),
        }
    }
}

/// The figures of `barelane top`. Who answers this is the server itself. Of streams there may be many thousands, once a second.
fn server(before: &Snapshot, now: &Snapshot, segment: &Path) -> Figures {
    let mut server = Figures::between(before, now, segment, true);
    let streams = server.lanes.iter_mut().filter_map(|lane| lane.streams.as_mut());
    streams.for_each(|of| of.streams.truncate(STREAMS_TOLD));
    server
}

fn row(pair: Pair<'_>) -> Row {
    let area = pair.now;
    let text = |field: &Field| {
        let (name, sentence) = (field.name.clone(), field.sentence.clone());
        Some(Text { name, value: area.text(&field.name)?, sentence })
    };
    let number = |field: &Field| {
        let value = area.number(&field.name)?;
        let rate = || pair.rate(|area| area.number(&field.name).unwrap_or(0));
        let (name, unit, sentence) = (field.name.clone(), field.unit.clone(), field.sentence.clone());
        Some(Number { name, value, per_second: (field.form == Form::Count).then(rate), unit, sentence })
    };
    Row {
        index: area.index,
        texts: area.fields.iter().filter_map(text).collect(),
        numbers: area.fields.iter().filter_map(number).collect(),
    }
}

/// One curve for each kind of answer that any lane has given.
fn curves(lanes: &[Pair<'_>]) -> Vec<Curve> {
    let fields = lanes.first().map(|pair| pair.now.fields.as_slice()).unwrap_or_default();
    let curve = |field: &Field| {
        let name = field.name.strip_prefix(RESIDENCE)?.to_owned();
        let (all, recent) = histograms(lanes, |name| name == field.name);
        (all.count() > 0).then(|| Curve { name, all: points(&all), recent: points(&recent) })
    };
    fields.iter().filter_map(curve).collect()
}

/// Points of a percentile curve, rising. The longest of n values stands at n + 1, as in a report; nothing is told beyond.
fn points(histogram: &Histogram) -> Vec<(f64, u64)> {
    let count = as_float(histogram.count());
    if histogram.count() == 0 {
        return Vec::new();
    }
    let step = 1.0 / f64::from(POINTS_PER_DECADE);
    let rarities =
        (0..).map(|index| 10_f64.powf(f64::from(index) * step)).take_while(|rarity| *rarity <= count);
    let point = |rarity: f64| (rarity, histogram.percentile(100.0 - 100.0 / rarity));
    rarities.map(point).chain([(count + 1.0, histogram.max())]).collect()
}

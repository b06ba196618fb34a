//! Figures from two looks at a segment: what was counted since the start, and what between the two.

use std::path::Path;

use telemetry::{Counter, Histogram, Reason};

use super::{Answer, Depths, Drop, Facts, Figures, Flow, Lane, Nic, Queue, Route, Spread, Stall, Streams};
use crate::side_channel::{Area, Field, Form, NotedStall, Snapshot};

/// One area at two looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) before: Option<&'a Area>,
    pub(crate) now: &'a Area,
}

impl<'a> Pair<'a> {
    /// All areas of the later look.
    pub(crate) fn all(before: &'a Snapshot, now: &'a Snapshot) -> Vec<Self> {
        now.areas.iter().map(|area| Pair { before: same(before, area), now: area }).collect()
    }

    /// How much a sum or a count has grown a second. By the server's own times, so that a late reader changes nothing.
    pub(crate) fn rate(&self, of: impl Fn(&Area) -> u64) -> f64 {
        let Some(before) = self.before else { return 0.0 };
        let ns = self.now.published_unix_ns().saturating_sub(before.published_unix_ns());
        let more = of(self.now).saturating_sub(of(before));
        per_second(more, ns)
    }

    fn flow(&self) -> Flow {
        let [received, replied, passed, dropped] = FATES.map(|kind| self.now.sum(kind));
        let [received_per_second, replied_per_second, passed_per_second, dropped_per_second] =
            FATES.map(|kind| self.rate(|area| area.sum(kind)));
        Flow {
            received,
            replied,
            passed,
            dropped,
            received_per_second,
            replied_per_second,
            passed_per_second,
            dropped_per_second,
        }
    }
}

const FATES: [&str; 4] = ["received", "replied", "passed", "dropped"];

/// What the names of histograms of residence begin with, before the kind of answer.
pub(crate) const RESIDENCE: &str = "residence_";

/// How much that is a second; nothing where no time has passed.
pub(super) fn per_second(more: u64, ns: u64) -> f64 {
    if ns == 0 { 0.0 } else { as_float(more) * 1e9 / as_float(ns) }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown with some six digits, a double holds fifteen"
)]
pub(crate) fn as_float(number: u64) -> f64 {
    number as f64
}

impl Figures {
    /// What happened between two looks at the same segment.
    pub fn between(before: &Snapshot, now: &Snapshot, segment: &Path, is_served: bool) -> Self {
        let pairs = Pair::all(before, now);
        let of_kind = |kind: &'static str| pairs.iter().copied().filter(move |pair| pair.now.kind == kind);
        let (lanes, drivers): (Vec<_>, Vec<_>) = (of_kind("lane").collect(), of_kind("driver").collect());
        let published = now.areas.iter().map(Area::published_unix_ns).max().unwrap_or(0);
        let published_before = before.areas.iter().map(Area::published_unix_ns).max().unwrap_or(0);
        Self {
            segment: segment.display().to_string(),
            process: now.process,
            is_served,
            began_unix_ns: now.began_unix_ns,
            published_unix_ns: published,
            over_ns: published.saturating_sub(published_before),
            facts: of_kind("server").next().map(|pair| facts(pair.now)).unwrap_or_default(),
            lanes: lanes.iter().map(|pair| lane(pair, &pairs)).collect(),
            driver: drivers.first().map(Pair::flow).unwrap_or_default(),
            answers: answers(&lanes, &drivers),
            drops: [drops("lane", &lanes), drops("driver", &drivers)].concat(),
            queues: of_kind("queue").map(|pair| queue(pair.now)).collect(),
            card: Nic::between(before, now),
            routes: of_kind("route").filter_map(|pair| route(&pair)).collect(),
        }
    }

    /// The frames of all lanes together.
    pub fn lanes_flow(&self) -> Flow {
        self.lanes.iter().fold(Flow::default(), |sum, lane| Flow {
            received: sum.received.saturating_add(lane.flow.received),
            replied: sum.replied.saturating_add(lane.flow.replied),
            passed: sum.passed.saturating_add(lane.flow.passed),
            dropped: sum.dropped.saturating_add(lane.flow.dropped),
            received_per_second: sum.received_per_second + lane.flow.received_per_second,
            replied_per_second: sum.replied_per_second + lane.flow.replied_per_second,
            passed_per_second: sum.passed_per_second + lane.flow.passed_per_second,
            dropped_per_second: sum.dropped_per_second + lane.flow.dropped_per_second,
        })
    }
}

fn same<'a>(snapshot: &'a Snapshot, area: &Area) -> Option<&'a Area> {
    snapshot.areas.iter().find(|other| (&other.kind, other.index) == (&area.kind, area.index))
}

fn facts(area: &Area) -> Facts {
    let text = |name| area.text(name).unwrap_or_default();
    Facts {
        version: text("version"),
        nic: text("nic"),
        driver_name: text("driver"),
        mode: text("mode"),
        zero_copy: text("zero_copy"),
        kernel_release: text("kernel_release"),
        tier: text("tier"),
        link: text("link"),
        stall_limit_ns: area.number("stall_limit").unwrap_or(0),
        turn_clock: text("turn_clock"),
        arrival_clock: text("arrival_clock"),
        transmit_clock: text("transmit_clock"),
        transmit_since: text("transmit_since"),
        age_limit_ns: area.number("age_limit").unwrap_or(0),
    }
}

fn lane(pair: &Pair<'_>, all: &[Pair<'_>]) -> Lane {
    let number = |name: &str| pair.now.number(name).unwrap_or(0);
    let rate = |name: &'static str| pair.rate(|area| area.number(name).unwrap_or(0));
    let stalls = pair.now.stalls("stalls").unwrap_or_default();
    let [residence, residence_recent] =
        spreads(std::slice::from_ref(pair), |name| name.starts_with(RESIDENCE));
    let named = |wanted: &str| spreads(std::slice::from_ref(pair), |name| name == wanted);
    let [queueing, queueing_recent] = named("queueing");
    let [arrival_residence, arrival_residence_recent] = named("arrival_residence");
    let [transmit_residence, transmit_residence_recent] = named("transmit_residence");
    let too_old = Reason::AnswerTooOld.name();
    Lane {
        index: pair.now.index,
        core: number("core"),
        queue: number("queue"),
        flow: pair.flow(),
        turns_per_second: rate("turns"),
        turns_empty_per_second: rate("turns_empty"),
        depths: depths(pair.now, ""),
        depths_max: depths(pair.now, "_max"),
        residence,
        residence_recent,
        queueing,
        queueing_recent,
        arrival_residence,
        arrival_residence_recent,
        transmit_residence,
        transmit_residence_recent,
        transmit_unknown: number(Counter::TransmitUnknown.row().name),
        standing_queue_ns: number("standing_queue"),
        too_old: number(too_old),
        too_old_per_second: rate(too_old),
        stall_count: stalls.count,
        stalled_ns: stalls.ns,
        stall_max_ns: stalls.longest_ns,
        stalls: stalls.last.iter().map(stall).collect(),
        streams: all.iter().find(|of| is_streams_of(of, pair)).map(|of| Streams::between(of, pair.now)),
    }
}

/// Whether this is what a lane says of its streams.
fn is_streams_of(streams: &Pair<'_>, lane: &Pair<'_>) -> bool {
    streams.now.kind == "streams" && streams.now.index == lane.now.index
}

fn depths(area: &Area, ending: &str) -> Depths {
    let [rx, tx, fill, completion, free] = ["rx", "tx", "fill", "completion", "free"]
        .map(|place| area.number(&format!("depth_{place}{ending}")).unwrap_or(0));
    Depths { rx, tx, fill, completion, free }
}

fn stall(noted: &NotedStall) -> Stall {
    let NotedStall { began_unix_ns, length_ns, cause, counted_over_ns, usage, interrupts } = *noted;
    Stall { began_unix_ns, length_ns, cause, counted_over_ns, usage, interrupts }
}

/// The spread of all histograms with such names in these areas together: since the start, and between the two looks.
pub(super) fn spreads(pairs: &[Pair<'_>], is_wanted: impl Fn(&str) -> bool) -> [Spread; 2] {
    let (all, recent) = histograms(pairs, is_wanted);
    [spread(&all), spread(&recent)]
}

/// All histograms with such names in these areas together: since the start, and between the two looks.
pub(crate) fn histograms(pairs: &[Pair<'_>], is_wanted: impl Fn(&str) -> bool) -> (Histogram, Histogram) {
    let (mut all, mut recent) = (Histogram::default(), Histogram::default());
    for pair in pairs {
        let fields = pair.now.fields.iter().filter(|field| field.form == Form::Histogram);
        for field in fields.filter(|field| is_wanted(&field.name)) {
            let Some(now) = pair.now.histogram(&field.name) else { continue };
            let before = pair.before.and_then(|before| before.histogram(&field.name)).unwrap_or_default();
            all.merge(&now);
            recent.merge(&now.since(&before));
        }
    }
    (all, recent)
}

fn spread(histogram: &Histogram) -> Spread {
    let some = |value| (histogram.count() > 0).then_some(value);
    Spread {
        count: histogram.count(),
        min_ns: some(histogram.min()),
        p50_ns: some(histogram.percentile(50.0)),
        p99_ns: some(histogram.percentile(99.0)),
        p999_ns: some(histogram.percentile(99.9)),
        max_ns: some(histogram.max()),
    }
}

/// The fields of THE counter table that say this, as the first of these areas has them.
fn counters<'a>(pairs: &[Pair<'a>], kind: &'static str) -> impl Iterator<Item = &'a Field> + use<'a> {
    let fields = pairs.first().map(|pair| pair.now.fields.as_slice()).unwrap_or_default();
    fields.iter().filter(move |field| field.kind == kind)
}

fn sum(pairs: &[Pair<'_>], name: &str) -> u64 {
    pairs.iter().filter_map(|pair| pair.now.number(name)).fold(0, u64::saturating_add)
}

fn rate(pairs: &[Pair<'_>], name: &str) -> f64 {
    pairs.iter().map(|pair| pair.rate(|area| area.number(name).unwrap_or(0))).sum()
}

fn answers(lanes: &[Pair<'_>], drivers: &[Pair<'_>]) -> Vec<Answer> {
    let answer = |field: &Field| {
        let name = field.name.strip_prefix("replied_").unwrap_or(&field.name);
        let wanted = format!("{RESIDENCE}{name}");
        let [residence, residence_recent] = spreads(lanes, |name| name == wanted);
        Answer {
            name: name.to_owned(),
            lane_count: sum(lanes, &field.name),
            driver_count: sum(drivers, &field.name),
            per_second: rate(lanes, &field.name) + rate(drivers, &field.name),
            residence,
            residence_recent,
        }
    };
    counters(lanes, "replied").map(answer).collect()
}

fn drops(tier: &'static str, pairs: &[Pair<'_>]) -> Vec<Drop> {
    let drop = |field: &Field| Drop {
        tier,
        reason: field.name.clone(),
        stage: field.stage.clone(),
        count: sum(pairs, &field.name),
        per_second: rate(pairs, &field.name),
        sentence: field.sentence.clone(),
    };
    counters(pairs, "dropped").map(drop).filter(|drop| drop.count > 0).collect()
}

fn queue(area: &Area) -> Queue {
    let counts = area.fields.iter().filter(|field| field.form == Form::Count);
    let counts = counts.filter_map(|field| Some((field.name.clone(), area.number(&field.name)?)));
    Queue { queue: area.number("queue").unwrap_or(0), counts: counts.collect() }
}

/// A route; nothing where a reload left fewer. Where another one had its place at the look before, there are no rates yet.
fn route(pair: &Pair<'_>) -> Option<Route> {
    let route = pair.now.text("route").filter(|route| !route.is_empty())?;
    let of = |area: &Area, what: &str| {
        ["lane", "driver"].map(|tier| area.number(&format!("{tier}_{what}")).unwrap_or(0)).iter().sum()
    };
    let (taken, unanswered): (u64, u64) = (of(pair.now, "taken"), of(pair.now, "unanswered"));
    let is_same = pair.before.is_some_and(|before| before.text("route").as_ref() == Some(&route));
    let pair = Pair { before: pair.before.filter(|_| is_same), now: pair.now };
    Some(Route {
        route,
        tier: pair.now.text("tier").unwrap_or_default(),
        taken,
        answered: taken.saturating_sub(unanswered),
        unanswered,
        taken_per_second: pair.rate(|area| of(area, "taken")),
        unanswered_per_second: pair.rate(|area| of(area, "unanswered")),
    })
}

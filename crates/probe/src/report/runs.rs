//! Several runs of one measurement, summed up one by one.
//!
//! A run's record is some twelve megabytes. What a report needs of it is a few kilobytes, and its histograms, which those
//! of the other runs are added to. So a run is taken in as soon as it is over and its record given back: a hundred
//! repetitions take no more memory than two.

use std::collections::BTreeMap;
use std::time::Duration;

use telemetry::{Ns, Tick};

use super::parts::{Outlier, Point, Run};
use super::{Report, per_second, ratio};
use crate::clock::WallTime;
use crate::figures::Interval;
use crate::figures::log::{self, Line};
use crate::measure::{Ended, Outcome};
use crate::own_error::OwnError;
use crate::record::{LONGEST_MAX, POINTS_MAX, Spread};

/// The runs of one measurement, summed up.
#[derive(Debug)]
pub struct Runs {
    report: Report,
    spreads: Spreads,
    /// How many points of the time series each run may have.
    points_max: usize,
    began: WallTime,
}

/// The samples of all runs together.
#[derive(Debug)]
struct Spreads {
    rtt: Spread,
    response: Spread,
    network: Spread,
    residence: Spread,
    pdv: Spread,
    ipdv: Spread,
}

impl Spreads {
    fn of(Outcome { record, .. }: &Outcome) -> Self {
        Self {
            rtt: record.rtt.clone(),
            response: record.response.clone(),
            network: record.network.clone(),
            residence: record.residence.clone(),
            pdv: record.rtt.above_min(),
            ipdv: record.ipdv.clone(),
        }
    }

    fn add(&mut self, Outcome { record, .. }: &Outcome) {
        self.rtt.merge(&record.rtt);
        self.response.merge(&record.response);
        self.network.merge(&record.network);
        self.residence.merge(&record.residence);
        self.pdv.merge(&record.rtt.above_min());
        self.ipdv.merge(&record.ipdv);
    }
}

impl Runs {
    /// The first of `planned` runs.
    pub fn begin(first: &Outcome, planned: usize) -> Self {
        let points_max = (POINTS_MAX / planned.max(1)).max(1);
        let mut report = Report::of_nothing(first);
        report.hdr_log =
            log::head(Duration::from_nanos(first.began.0)).unwrap_or_else(|error| unwritten(&error));
        let mut runs = Self { report, spreads: Spreads::of(first), points_max, began: first.began };
        runs.take_in(first);
        runs
    }

    /// Adds the next run.
    pub fn add(&mut self, next: &Outcome) {
        self.spreads.add(next);
        self.take_in(next);
    }

    /// What all of them say together.
    pub fn report(mut self) -> Report {
        let Spreads { rtt, response, network, residence, pdv, ipdv } = &self.spreads;
        let report = &mut self.report;
        report.rtt = rtt.figures();
        report.response = response.figures();
        report.network = network.figures();
        report.residence = residence.figures();
        report.pdv = pdv.figures();
        report.ipdv = ipdv.figures();
        report.loss_ratio = ratio(report.lost + report.late, report.sent);
        report.reordered_ratio = ratio(report.reordered, report.answered + report.late);
        report.sent_per_second = per_second(report.sent, Ns(report.asking_ns));
        report.answered_per_second = per_second(report.answered, Ns(report.wall_ns));
        let over_runs = |figure: fn(&Run) -> Option<u64>| median_of_all(&report.repeats, figure);
        report.jitter_rfc3550_ns = over_runs(|run| run.jitter_rfc3550_ns);
        report.typical_latency_ns = over_runs(|run| run.rtt.p50_ns);
        report.worst_case_latency_ns = over_runs(|run| run.rtt.p99_9_ns);
        report.pdv_rfc8219_ns = over_runs(|run| run.pdv_rfc8219_ns);
        report.intervals = intervals(&report.repeats);
        report.outliers.sort_by_key(|outlier| std::cmp::Reverse(outlier.length()));
        report.outliers.truncate(LONGEST_MAX);
        self.report
    }

    fn take_in(&mut self, outcome: &Outcome) {
        let number = self.report.repeats.len() as u64;
        let own_error = &outcome.own_error;
        self.report.count(outcome);
        self.report.outliers.extend(outliers(number, outcome));
        self.report.series.extend(series(number, outcome, self.points_max));
        let at = Duration::from_nanos(outcome.began.0.saturating_sub(self.began.0));
        self.report.hdr_log += &log::body(&lines(at, outcome)).unwrap_or_else(|error| unwritten(&error));
        self.report.repeats.push(run(outcome));
        self.report.stalled_runs += u64::from(own_error.was_stalled);
        if number == 0 || is_worse(own_error, &self.report.own_error) {
            self.report.own_error = own_error.clone();
        }
    }
}

/// A comment of the log in place of what could not be written.
fn unwritten(error: &str) -> String {
    format!("#{}\n", error.replace('\n', " "))
}

fn is_worse(one: &OwnError, other: &OwnError) -> bool {
    let badness = |own: &OwnError| (own.was_stalled, own.stalled_ns, own.stall_max_ns);
    badness(one) > badness(other)
}

impl Report {
    /// Adds the counts of a run.
    fn count(&mut self, Outcome { counts, wall, asking, unsent, overruns, ended, .. }: &Outcome) {
        for (sum, more) in [
            (&mut self.sent, counts.sent),
            (&mut self.answered, counts.answered),
            (&mut self.lost, counts.lost),
            (&mut self.abandoned, counts.abandoned),
            (&mut self.late, counts.late),
            (&mut self.duplicated, counts.duplicated),
            (&mut self.reordered, counts.reordered),
            (&mut self.corrupted, counts.corrupted),
            (&mut self.unmatched, counts.unmatched),
            (&mut self.refused, counts.refused),
            (&mut self.partial_checksums, counts.partial_checksums),
            (&mut self.unstamped, counts.unstamped),
            (&mut self.unsent, *unsent),
            (&mut self.wall_ns, wall.0),
            (&mut self.asking_ns, asking.0),
        ] {
            *sum += more;
        }
        self.overruns = self.overruns.zip(*overruns).map(|(sum, more)| sum + more);
        if self.ended == ended_of(&Ended::Done) {
            self.ended = ended_of(ended);
        }
    }
}

/// How a run ended, in the words of the JSON form.
pub(super) fn ended_of(ended: &Ended) -> String {
    match ended {
        Ended::Done => "done".to_owned(),
        Ended::Stopped => "stopped".to_owned(),
        Ended::Failed(why) => format!("failed: {why}"),
    }
}

fn run(outcome: &Outcome) -> Run {
    let Outcome { counts, record, own_error, .. } = outcome;
    let rtt = record.figures();
    Run {
        began_unix_ns: outcome.began.0,
        wall_ns: outcome.wall.0,
        ended: ended_of(&outcome.ended),
        sent: counts.sent,
        answered: counts.answered,
        lost: counts.lost,
        late: counts.late,
        rtt,
        response: record.response_figures(),
        jitter_rfc3550_ns: record.jitter().map(|Ns(ns)| ns),
        pdv_rfc8219_ns: rtt.p99_9_ns.zip(rtt.min_ns).map(|(high, min)| high - min),
        was_stalled: own_error.was_stalled,
    }
}

/// The longest answers beyond the 99.9th percentile. In an open loop their response time counts, which is what a stall
/// of the server or of the probe makes long; the round trip where there is none.
fn outliers(run: u64, Outcome { record, own_error, .. }: &Outcome) -> Vec<Outlier> {
    let (rate, began) = (record.rate(), record.began());
    let is_open = record.response.samples() > 0;
    let ranked = if is_open { &record.response } else { &record.rtt };
    let Some(limit) = ranked.exceeded_by_one_in(1_000) else { return Vec::new() };
    let outlier = |sample: &crate::matching::Sample| {
        let since = |from: Tick| rate.ns(sample.received - from).0;
        let from = if is_open { sample.intended } else { sample.sent };
        Outlier {
            run,
            sequence: sample.sequence,
            at_ns: rate.ns(from - began).0,
            rtt_ns: since(sample.sent),
            response_ns: is_open.then(|| since(sample.intended)),
            cause: own_error.cause_of(from, sample.received),
        }
    };
    record.longest().iter().map(outlier).filter(|outlier| outlier.length() > limit).collect()
}

fn series(run: u64, outcome: &Outcome, points_max: usize) -> Vec<Point> {
    let rate = outcome.record.rate();
    let exceeded_by = |point: &crate::record::Stretch, rarity: u64, percent: f64| {
        (point.rtt.count() >= rarity).then(|| point.rtt.percentile(percent))
    };
    let points = outcome.record.series.at_most(points_max);
    points
        .iter()
        .map(|(at, length, point)| Point {
            run,
            at_ns: rate.ns(*at).0,
            length_ns: rate.ns(*length).0,
            sent: point.sent,
            answered: point.rtt.count(),
            lost: point.lost,
            rtt_p50_ns: exceeded_by(point, 2, 50.0),
            rtt_p99_ns: exceeded_by(point, 100, 99.0),
            rtt_max_ns: (point.rtt.count() > 0).then(|| point.rtt.max()),
        })
        .collect()
}

fn lines(at: Duration, Outcome { record, wall, .. }: &Outcome) -> Vec<Line<'_>> {
    let length = Duration::from_nanos(wall.0);
    [
        ("rtt", &record.rtt),
        ("response", &record.response),
        ("network", &record.network),
        ("residence", &record.residence),
    ]
    .into_iter()
    .filter(|(_, spread)| spread.samples() > 0)
    .map(|(tag, spread)| Line { tag, at, length, histogram: spread.histogram() })
    .collect()
}

/// The median of a figure over the runs, if every run has it.
fn median_of_all(runs: &[Run], figure: fn(&Run) -> Option<u64>) -> Option<u64> {
    let values: Option<Vec<u64>> = runs.iter().map(figure).collect();
    Interval::of(values?).map(|interval| interval.median)
}

/// The interval of each figure that every run has, by its key. One run has none.
fn intervals(runs: &[Run]) -> BTreeMap<String, Interval> {
    if runs.len() < 2 {
        return BTreeMap::new();
    }
    let mut values: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (key, value) in runs.iter().flat_map(named) {
        values.entry(key).or_default().extend(value);
    }
    let of_every_run = values.into_iter().filter(|(_, values)| values.len() == runs.len());
    of_every_run.filter_map(|(key, values)| Some((key, Interval::of(values)?))).collect()
}

/// A run's figures by their keys.
fn named(run: &Run) -> Vec<(String, Option<u64>)> {
    let quantities = [("rtt", &run.rtt), ("response", &run.response)];
    let figures = quantities.into_iter().flat_map(|(quantity, figures)| {
        let figures = figures.keyed().into_iter().filter(|(end, _)| *end != "samples");
        figures.map(move |(end, value)| (format!("{quantity}_{end}"), value))
    });
    let others = [("jitter_rfc3550_ns", run.jitter_rfc3550_ns), ("pdv_rfc8219_ns", run.pdv_rfc8219_ns)];
    figures.chain(others.map(|(key, value)| (key.to_owned(), value))).collect()
}

//! Reports over runs whose samples are known: figures, keys, reading back, intervals, outliers, the log.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use serde_json::Value;
use telemetry::{Ns, Tick, TickRate};

use super::*;
use crate::ask::{Ask, End, Protocol};
use crate::clock::WallTime;
use crate::matching::{Counts, Sample};
use crate::record::Record;
use crate::schedule::{Arrivals, Ramp};
use crate::transport::Facts;

const FACTS: Facts = Facts {
    backend: "simulation",
    means: String::new(),
    wait: "spin",
    sent_stamp: "before send",
    received_stamp: "after receive",
};

/// When the first run begins: 2026-01-01, 00:00 UTC.
const BEGAN: u64 = 1_767_225_600_000_000_000;

const SECOND: u64 = 1_000_000_000;

fn ask() -> Ask {
    let udp = Protocol::Udp { port: NonZeroU16::new(7).unwrap() };
    Ask { seed: 1, ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), udp) }
}

fn outcome(ask: Ask, counts: Counts, record: Record) -> Outcome {
    let wall = Ns(if counts.sent == 0 { 0 } else { SECOND });
    Outcome {
        ask,
        facts: FACTS,
        clock: "simulated",
        began: WallTime(BEGAN),
        wall,
        asking: wall,
        unsent: 0,
        overruns: None,
        counts,
        record,
        ended: Ended::Done,
        own_error: OwnError::default(),
    }
}

/// A run whose `n`-th question is sent after `n` µs and answered after what `rtt` says of `n`, in nanoseconds. Two more
/// are sent: one is lost and one late.
fn run_of(ask: Ask, samples: u64, rtt: impl Fn(u64) -> u64) -> Outcome {
    let mut record = Record::new(&ask, TickRate::NANOSECONDS, Tick(0)).unwrap();
    for sequence in 0..samples {
        let sent = Tick(sequence * 1_000);
        let received = Tick(sent.0 + rtt(sequence));
        let intended = Tick(sent.0.saturating_sub(500));
        record.sent(sent);
        record.add(&Sample { sequence, intended, sent, received, residence: None });
    }
    let counts = Counts { sent: samples + 2, answered: samples, lost: 1, late: 1, ..Counts::default() };
    outcome(ask, counts, record)
}

fn run(samples: u64) -> Outcome {
    run_of(ask(), samples, |_| 12_345)
}

fn open_loop() -> Ask {
    let rate = Ramp { from: 1e6, to: 1e6 };
    Ask { schedule: Schedule::Open { arrivals: Arrivals::Poisson, rate }, end: End::Count(10_000), ..ask() }
}

/// Several runs whose round trips are all of one length each.
fn runs_of(lengths: &[u64]) -> Report {
    let mut outcomes = lengths.iter().map(|&length| run_of(ask(), 2_000, move |_| length));
    let mut runs = Runs::begin(&outcomes.next().unwrap(), lengths.len());
    outcomes.for_each(|outcome| runs.add(&outcome));
    runs.report()
}

#[test]
fn a_figure_without_samples_is_null_in_json_and_a_dash_in_the_table() {
    let report = Report::new(&run(999));
    let json: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert!(json["rtt_p99_9_ns"].is_null());
    assert_eq!(json["rtt_p50_ns"], 12_345);
    assert_eq!(json["response_samples"], 0);
    assert!(report.to_string().contains("–"), "{report}");
}

#[test]
fn the_interface_is_said_where_it_is_known() {
    let by = |nic: Option<&str>, driver: Option<&str>| {
        let [nic, driver] = [nic, driver].map(|name| name.map(str::to_owned));
        let report = Report { nic, driver, means: "a wire".to_owned(), ..Report::new(&run(1)) };
        report.to_string().lines().nth(2).unwrap().to_owned()
    };
    assert!(by(Some("eth1"), Some("ixgbe")).ends_with(": a wire, spin, on eth1 (ixgbe)"));
    assert!(by(Some("lo"), None).ends_with(": a wire, spin, on lo"));
    assert!(by(None, None).ends_with(": a wire, spin"));
}

#[test]
fn a_rate_without_an_end_is_said_to_the_thousandth() {
    let second_line = |from, to| {
        let rates = (Some(from), Some(to));
        let mut report = Report::new(&run_of(open_loop(), 10, |_| 1));
        (report.rate_from_per_second, report.rate_to_per_second) = rates;
        report.to_string().lines().nth(1).unwrap().to_owned()
    };
    assert!(second_line(1000.0 / 7.0, 1000.0 / 7.0).contains(" at 142.857/s,"));
    assert!(second_line(0.001, 5_000.0).contains(" from 0.001/s to 5000/s,"));
}

#[test]
fn a_report_without_an_interface_is_still_a_report() {
    let mut older: Value = serde_json::from_str(&Report::new(&run(1)).to_json().unwrap()).unwrap();
    let keys = older.as_object_mut().unwrap();
    assert!(keys.remove("nic").is_some() && keys.remove("driver").is_some());
    assert_eq!(Report::from_json(&older.to_string()).unwrap(), Report::new(&run(1)));
}

#[test]
fn a_report_that_is_read_back_is_the_same() {
    for report in
        [Report::new(&run(0)), Report::new(&run_of(open_loop(), 5_000, |n| n * 77)), runs_of(&[7, 8])]
    {
        assert_eq!(Report::from_json(&report.to_json().unwrap()).unwrap(), report);
    }
}

#[test]
fn what_is_not_a_report_of_this_schema_is_refused() {
    let other = Report { schema: "barelane-probe-1".to_owned(), ..Report::new(&run(1)) };
    let error = Report::from_json(&other.to_json().unwrap()).unwrap_err().to_string();
    assert_eq!(error, "its schema is \"barelane-probe-1\"; this version reads barelane-probe-2");
    let mut cut: Value = serde_json::from_str(&Report::new(&run(1)).to_json().unwrap()).unwrap();
    cut.as_object_mut().unwrap().remove("wall_ns");
    let error = Report::from_json(&cut.to_string()).unwrap_err().to_string();
    assert!(error.contains("wall_ns"), "{error}");
    for text in ["", "{"] {
        assert!(matches!(Report::from_json(text), Err(ReportError::Unreadable(_))), "{text}");
    }
    for text in ["[]", "{}", "7", "{\"schema\": 2}"] {
        assert!(matches!(Report::from_json(text), Err(ReportError::NoSchema)), "{text}");
    }
}

#[test]
fn the_fates_add_up_in_the_table() {
    let text = Report::new(&run(1000)).to_string();
    assert!(text.contains("sent 1002 = answered 1000 + lost 1 + late 1; loss 0.1996 %"), "{text}");
    assert!(text.contains("12.345"), "{text}");
}

/// The keys of an object and of the objects in it, each row of figures as one.
fn keys_of(value: &Value, keys: &mut BTreeSet<String>) {
    let ends = Figures::default().keyed().map(|(key, _)| key);
    for (key, inner) in value.as_object().into_iter().flatten() {
        let end = ends.iter().find(|end| key.strip_suffix(*end).is_some_and(|start| start.ends_with('_')));
        keys.insert(end.map_or_else(|| key.clone(), |end| format!("…_{end}")));
        keys_of(inner, keys);
    }
    value.as_array().into_iter().flatten().for_each(|element| keys_of(element, keys));
}

#[test]
fn every_key_of_the_report_is_documented() {
    let text = include_str!("../../../../docs/probe-json.md");
    let mut report = Report::new(&run_of(open_loop(), 5_000, |n| n));
    report.own_error.stalls.push(crate::own_error::Stall {
        at_ns: 0,
        length_ns: 0,
        cause: crate::own_error::Cause::OnCore,
        counted_over_ns: 0,
        usage: crate::own_error::Usage::default(),
    });
    let mut keys = BTreeSet::new();
    keys_of(&serde_json::to_value(report).unwrap(), &mut keys);
    for key in keys {
        assert!(text.contains(&format!("`{key}`")), "docs/probe-json.md does not explain `{key}`");
    }
}

#[test]
fn every_documented_key_is_in_the_report() {
    let text = include_str!("../../../../docs/probe-json.md");
    let json = serde_json::to_value(Report::new(&run(1))).unwrap();
    for line in text.lines().take_while(|line| !line.starts_with("## How the probe itself did")) {
        let Some((key, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |")) else {
            continue;
        };
        let is_part = key.starts_with('…') || key.ends_with('_');
        assert!(
            is_part || json.get(key).is_some(),
            "docs/probe-json.md explains `{key}`, which is not there"
        );
    }
}

#[test]
fn a_run_with_nothing_sent_has_no_ratios_and_is_not_clean() {
    let ask = ask();
    let record = Record::new(&ask, TickRate::NANOSECONDS, Tick(0)).unwrap();
    let report = Report::new(&outcome(ask, Counts::default(), record));
    assert_eq!((report.loss_ratio, report.answered_per_second, report.is_clean()), (None, None, false));
}

#[test]
fn an_open_loop_has_response_times_from_the_intended_instant() {
    let report = Report::new(&run_of(open_loop(), 10_000, |_| 3_000));
    assert_eq!((report.schedule.as_str(), report.rate_to_per_second), ("poisson", Some(1e6)));
    assert_eq!((report.rtt.max_ns, report.response.max_ns), (Some(3_000), Some(3_500)));
    assert_eq!(report.response.samples, report.rtt.samples);
}

#[test]
fn the_figures_of_rfc_8219_are_those_of_the_samples() {
    let report = Report::new(&run_of(ask(), 10_000, |n| 1_000 + n));
    assert!(report.typical_latency_ns.unwrap().abs_diff(6_000) <= 6);
    assert!(report.worst_case_latency_ns.unwrap().abs_diff(10_990) <= 11);
    assert!(report.pdv_rfc8219_ns.unwrap().abs_diff(9_990) <= 11);
    let (pdv, ipdv) = (report.pdv, report.ipdv);
    assert_eq!((pdv.min_ns, pdv.max_ns), (Some(0), Some(9_999)));
    assert_eq!((ipdv.samples, ipdv.min_ns, ipdv.max_ns), (9_999, Some(1), Some(1)));
    let few = Report::new(&run(999));
    assert_eq!((few.worst_case_latency_ns, few.pdv_rfc8219_ns), (None, None));
}

#[test]
fn several_runs_have_their_samples_together_and_intervals_between_them() {
    let report = runs_of(&[100, 300, 200, 900, 250, 260]);
    assert_eq!((report.rtt.samples, report.sent, report.repeats.len()), (12_000, 12_012, 6));
    assert_eq!((report.rtt.min_ns, report.rtt.max_ns), (Some(100), Some(900)));
    let interval = &report.intervals["rtt_p50_ns"];
    assert_eq!((interval.low, interval.median, interval.high), (Some(100), 255, Some(900)));
    assert_eq!(interval.confidence, Some(0.96875));
    assert_eq!(report.typical_latency_ns, Some(255));
    assert!(!report.intervals.contains_key("response_p50_ns"), "{:?}", report.intervals.keys());
    assert!(!report.intervals.contains_key("rtt_p99_99_ns"), "2,000 samples carry no such percentile");
    assert!(Report::new(&run(9)).intervals.is_empty());
}

#[test]
fn several_runs_share_the_points_of_the_series() {
    let report = runs_of(&[10; 7]);
    assert!(report.series.len() <= 600);
    for number in 0..7 {
        let points = report.series.iter().filter(|point| point.run == number);
        assert_eq!(points.map(|point| point.answered).sum::<u64>(), 2_000);
    }
}

#[test]
fn the_outliers_are_what_lies_beyond_the_last_thousandth() {
    let report = Report::new(&run_of(ask(), 10_000, |n| if n % 1_001 == 0 { 90_000 + n } else { 1_000 }));
    let sequences: Vec<u64> = report.outliers.iter().map(|outlier| outlier.sequence).collect();
    assert_eq!(sequences, [9_009, 8_008, 7_007, 6_006, 5_005, 4_004, 3_003, 2_002, 1_001, 0]);
    let longest = &report.outliers[0];
    assert_eq!((longest.at_ns, longest.rtt_ns, longest.response_ns), (9_009_000, 99_009, None));
    assert_eq!(Report::new(&run(999)).outliers, []);
}

#[test]
fn the_log_gives_every_sample_back() {
    let report = Report::new(&run_of(open_loop(), 10_000, |n| 1_000 + n * n));
    for (quantity, figures) in [("rtt", &report.rtt), ("response", &report.response)] {
        let histogram = report.histogram(quantity).unwrap();
        assert_eq!(histogram.len(), 10_000);
        for (quantile, figure) in [(0.5, figures.p50_ns), (0.99, figures.p99_ns), (0.999, figures.p99_9_ns)] {
            assert_eq!(Some(histogram.value_at_quantile(quantile)), figure, "{quantity} {quantile}");
        }
    }
    assert!(report.histogram("residence").is_none());
    let twice = runs_of(&[7, 9]);
    assert_eq!(twice.histogram("rtt").unwrap().len(), 4_000);
    assert!(
        twice.hdr_log.contains("#[StartTime: 1767225600.000 (seconds since epoch)]"),
        "{}",
        twice.hdr_log
    );
}

/// Round trips of laws that histograms get wrong first: a smooth one, one with a long tail, one with two far humps.
const LAWS: [fn(u64) -> u64; 3] = [
    |uniform| 10_000 + uniform % 90_000,
    |uniform| 8_000 + 100_000_000 / (1 + uniform % 50_000),
    |uniform| if uniform.is_multiple_of(300) { 200_000_000 + uniform % 1_000 } else { 9_000 + uniform % 500 },
];

#[test]
fn percentiles_are_those_of_hdrhistogram_and_of_the_sorted_samples() {
    for law in LAWS {
        // The golden ratio's multiples are spread evenly, and never repeat.
        let rtt = |n: u64| law(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
        let rtt_of_report = Report::new(&run_of(ask(), 100_000, rtt)).rtt;
        let mut sorted: Vec<u64> = (0..100_000).map(rtt).collect();
        sorted.sort_unstable();
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for &ns in &sorted {
            histogram.record(ns).unwrap();
        }
        assert_eq!(
            (rtt_of_report.min_ns, rtt_of_report.max_ns),
            (sorted.first().copied(), sorted.last().copied())
        );
        let Figures { p50_ns, p90_ns, p99_ns, p99_9_ns, p99_99_ns, .. } = rtt_of_report;
        for (figure, place, quantile) in [
            (p50_ns, 50_000, 0.5),
            (p90_ns, 90_000, 0.9),
            (p99_ns, 99_000, 0.99),
            (p99_9_ns, 99_900, 0.999),
            (p99_99_ns, 99_990, 0.9999),
        ] {
            let (figure, exact) = (figure.unwrap(), sorted[place - 1]);
            let of_the_crate = histogram.value_at_quantile(quantile).min(histogram.max());
            assert_eq!(figure, of_the_crate.min(*sorted.last().unwrap()), "{quantile}");
            assert!(figure.abs_diff(exact) <= exact / 1_000, "{quantile}: {figure}, not {exact}");
        }
    }
}

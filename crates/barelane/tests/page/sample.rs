//! Reports as `barelane probe --json` writes them, made from a seeded law instead of a measurement.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use probe::figures::{Figures, Interval};
use probe::own_error::{Cause, OwnError, Stall, Usage};
use probe::report::{Outlier, Point, Report, Run, SCHEMA};
use testkit::random::Random;

/// What is measured, by what law.
#[derive(Clone, Debug)]
pub(crate) struct Law {
    pub(crate) seed: u64,
    pub(crate) target: String,
    pub(crate) backend: &'static str,
    /// The shortest round trip, and how far most are above it.
    pub(crate) base_ns: u64,
    pub(crate) spread_ns: u64,
    /// Runs of this measurement, and questions of each.
    pub(crate) runs: u64,
    pub(crate) questions: u64,
    /// One question in so many is lost; none at 0.
    pub(crate) one_lost_in: u64,
    /// Whether it is STAMP in an open loop, which has all quantities; else UDP echo in a closed one.
    pub(crate) is_stamp: bool,
    /// Whether the probe itself stood still in the first run.
    pub(crate) is_stalled: bool,
}

/// Every question is 250 µs after the one before it.
const GAP_NS: u64 = 250_000;
const POINTS_PER_RUN: u64 = 60;

/// In which point of the first run the probe stands still, and how many questions it holds back.
const STALLED_POINT: u64 = 24;
const HELD_BACK: u64 = 160;

impl Law {
    pub(crate) fn new(seed: u64, target: &str) -> Self {
        Self {
            seed,
            target: target.to_owned(),
            backend: "xdp",
            base_ns: 14_000,
            spread_ns: 6_000,
            runs: 8,
            questions: 12_000,
            one_lost_in: 4_000,
            is_stamp: true,
            is_stalled: false,
        }
    }

    /// The report, as text.
    pub(crate) fn json(&self) -> String {
        let mut random = Random::new(self.seed);
        let runs: Vec<Measured> = (0..self.runs).map(|run| Measured::by(self, run, &mut random)).collect();
        self.report(&runs).to_json().unwrap()
    }

    fn report(&self, runs: &[Measured]) -> Report {
        let lost: u64 = runs.iter().map(|run| run.lost).sum();
        let sent = self.runs * self.questions;
        let rtt = sum(runs, |run| &run.rtt);
        let quantity = |of| if self.is_stamp { figures(&sum(runs, of)) } else { Figures::default() };
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let loss_ratio = Some(lost as f64 / sent as f64);
        Report {
            wall_ns: sent * GAP_NS,
            asking_ns: sent * GAP_NS,
            ended: "done".to_owned(),
            sent,
            answered: sent - lost,
            lost,
            reordered: 3,
            loss_ratio,
            sent_per_second: Some(4_000.0),
            answered_per_second: Some(3_999.2),
            rtt: figures(&rtt),
            response: quantity(|run| &run.response),
            network: quantity(|run| &run.network),
            residence: quantity(|run| &run.residence),
            jitter_rfc3550_ns: Some(self.spread_ns / 4),
            pdv: figures(&rtt),
            ipdv: figures(&rtt),
            typical_latency_ns: figures(&rtt).p50_ns,
            worst_case_latency_ns: figures(&rtt).p99_9_ns,
            pdv_rfc8219_ns: figures(&rtt).p99_9_ns.map(|longest| longest - rtt.min()),
            own_error: self.own_error(),
            stalled_runs: u64::from(self.is_stalled),
            repeats: runs.iter().map(|run| run.repeat(self)).collect(),
            intervals: self.intervals(runs),
            outliers: self.outliers(&rtt),
            series: runs.iter().flat_map(|run| run.series.clone()).collect(),
            hdr_log: self.log(runs),
            ..self.setting()
        }
    }

    fn setting(&self) -> Report {
        let is_xdp = self.backend == "xdp";
        let [protocol, schedule] = if self.is_stamp { ["stamp", "poisson"] } else { ["udp", "closed"] };
        let rate = self.is_stamp.then_some(4_000.0);
        Report {
            schema: SCHEMA.to_owned(),
            target: self.target.clone(),
            protocol: protocol.to_owned(),
            port: Some(if self.is_stamp { 862 } else { 7 }),
            size_bytes: 64,
            schedule: schedule.to_owned(),
            window: (!self.is_stamp).then_some(1),
            gap_ns: (!self.is_stamp).then_some(0),
            rate_from_per_second: rate,
            rate_to_per_second: rate,
            timeout_ns: 1_000_000_000,
            loss_threshold_ns: 1_000_000_000,
            seed: self.seed.to_string(),
            backend: self.backend.to_owned(),
            means: if is_xdp { "AF_XDP native zero-copy, 1 queue" } else { "UDP socket" }.to_owned(),
            nic: Some("eth1".to_owned()),
            driver: Some("ixgbe".to_owned()),
            wait: "spin".to_owned(),
            clock: "TSC".to_owned(),
            sent_stamp: if is_xdp { "before the transmit ring" } else { "before send" }.to_owned(),
            received_stamp: if is_xdp { "after the receive ring" } else { "after receive" }.to_owned(),
            began_unix_ns: 1_795_424_400_000_000_000,
            ..Report::default()
        }
    }

    fn own_error(&self) -> OwnError {
        let mut own = OwnError::default();
        own.stall_limit_ns = 20_000;
        own.bias.clock_read_ns = Some(11.6);
        own.bias.clock_step_ns = Some(10.9);
        own.bias.bias_samples = 9_000;
        own.bias.bias_p50_ns = Some(74);
        own.bias.bias_p99_ns = Some(96);
        own.usage = Usage { run_delay_ns: Some(0), steal_ns: Some(0), ..Usage::default() };
        if self.is_stamp {
            own.pacing.pacing_samples = self.questions;
            own.pacing.pacing_p50_ns = Some(38);
            own.pacing.pacing_p99_ns = Some(121);
            own.pacing.pacing_p99_9_ns = Some(2_210);
            own.pacing.pacing_max_ns = Some(40_000_000);
        }
        if self.is_stalled {
            own.was_stalled = true;
            own.stall_count = 1;
            own.stalled_ns = HELD_BACK * GAP_NS;
            own.stall_max_ns = HELD_BACK * GAP_NS;
            own.stalled_ratio = 0.013;
            own.usage.steal_ns = Some(HELD_BACK * GAP_NS);
            own.stalls = vec![Stall {
                at_ns: STALLED_POINT * self.questions / POINTS_PER_RUN * GAP_NS,
                length_ns: HELD_BACK * GAP_NS,
                cause: Cause::Steal,
                counted_over_ns: HELD_BACK * GAP_NS,
                usage: own.usage,
            }];
        }
        own
    }

    fn outliers(&self, rtt: &Histogram<u64>) -> Vec<Outlier> {
        let outlier = |index| Outlier {
            run: 0,
            sequence: 4_711 + index,
            at_ns: 1_177_750_000 + index * GAP_NS,
            rtt_ns: rtt.max() - index * 900,
            response_ns: self.is_stamp.then_some(rtt.max()),
            cause: (self.is_stalled && index == 0).then_some(Cause::Steal),
        };
        (0..12).map(outlier).collect()
    }

    fn intervals(&self, runs: &[Measured]) -> std::collections::BTreeMap<String, Interval> {
        let quantities: [(&str, Of); 2] = [("rtt", |run| &run.rtt), ("response", |run| &run.response)];
        let mut intervals = std::collections::BTreeMap::new();
        for (quantity, of) in quantities.into_iter().filter(|(name, _)| self.is_stamp || *name == "rtt") {
            for (figure, quantile) in
                [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999), ("max", 1.0)]
            {
                let values = runs.iter().map(|run| of(run).value_at_quantile(quantile));
                intervals.insert(format!("{quantity}_{figure}_ns"), Interval::of(values).unwrap());
            }
        }
        intervals
    }

    fn log(&self, runs: &[Measured]) -> String {
        let mut text = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut writer = IntervalLogWriterBuilder::new().begin_log_with(&mut text, &mut serializer).unwrap();
        let second = std::time::Duration::from_secs(1);
        for run in runs {
            let all = [
                ("rtt", &run.rtt),
                ("response", &run.response),
                ("network", &run.network),
                ("residence", &run.residence),
            ];
            for (tag, histogram) in all.into_iter().filter(|(tag, _)| self.is_stamp || *tag == "rtt") {
                writer.write_histogram(histogram, second, second, Tag::new(tag)).unwrap();
            }
        }
        String::from_utf8(text).unwrap()
    }
}

/// One of a run's histograms.
type Of = fn(&Measured) -> &Histogram<u64>;

/// The samples of one run.
struct Measured {
    rtt: Histogram<u64>,
    response: Histogram<u64>,
    network: Histogram<u64>,
    residence: Histogram<u64>,
    series: Vec<Point>,
    lost: u64,
    was_stalled: bool,
}

impl Measured {
    fn by(law: &Law, run: u64, random: &mut Random) -> Self {
        let was_stalled = law.is_stalled && run == 0;
        let mut measured = Self {
            rtt: empty(),
            response: empty(),
            network: empty(),
            residence: empty(),
            series: Vec::new(),
            lost: 0,
            was_stalled,
        };
        for index in 0..POINTS_PER_RUN {
            let point = measured.point(law, run, index, random);
            measured.lost += point.lost;
            measured.series.push(point);
        }
        measured
    }

    fn point(&mut self, law: &Law, run: u64, index: u64, random: &mut Random) -> Point {
        let sent = law.questions / POINTS_PER_RUN;
        let (mut rtt, mut lost) = (empty(), 0);
        for question in 0..sent {
            if law.one_lost_in > 0 && random.next().is_multiple_of(law.one_lost_in) {
                lost += 1;
                continue;
            }
            let is_held_back = self.was_stalled && index == STALLED_POINT && question < HELD_BACK;
            let held_back_ns = if is_held_back { (HELD_BACK - question) * GAP_NS } else { 0 };
            rtt.record(self.answer(law, random, held_back_ns)).unwrap();
        }
        Point {
            run,
            at_ns: index * sent * GAP_NS,
            length_ns: sent * GAP_NS,
            sent,
            answered: sent - lost,
            lost,
            rtt_p50_ns: Some(rtt.value_at_quantile(0.5)),
            rtt_p99_ns: Some(rtt.value_at_quantile(0.99)),
            rtt_max_ns: Some(rtt.max()),
        }
    }

    /// Adds one answer and gives its round trip.
    fn answer(&mut self, law: &Law, random: &mut Random, held_back_ns: u64) -> u64 {
        let residence = 900 + exponential(random, 250);
        let is_slow = random.next().is_multiple_of(900);
        let tail = if is_slow { exponential(random, 20 * law.spread_ns) } else { 0 };
        let usual = exponential(random, law.spread_ns / 3) + exponential(random, law.spread_ns / 4);
        let network = law.base_ns + usual + tail;
        self.network.record(network).unwrap();
        self.residence.record(residence).unwrap();
        self.rtt.record(network + residence).unwrap();
        self.response.record(network + residence + 120 + held_back_ns).unwrap();
        network + residence
    }

    fn repeat(&self, law: &Law) -> Run {
        Run {
            began_unix_ns: 1_795_424_400_000_000_000,
            wall_ns: law.questions * GAP_NS,
            ended: "done".to_owned(),
            sent: law.questions,
            answered: law.questions - self.lost,
            lost: self.lost,
            late: 0,
            rtt: figures(&self.rtt),
            response: if law.is_stamp { figures(&self.response) } else { Figures::default() },
            jitter_rfc3550_ns: None,
            pdv_rfc8219_ns: None,
            was_stalled: self.was_stalled,
        }
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new(3).unwrap()
}

fn sum(runs: &[Measured], of: Of) -> Histogram<u64> {
    let mut sum = empty();
    for run in runs {
        sum.add(of(run)).unwrap();
    }
    sum
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "microseconds"
)]
fn exponential(random: &mut Random, mean: u64) -> u64 {
    let uniform = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
    (-(1.0 - uniform).ln() * mean as f64) as u64
}

/// One quantity's nine figures, none deeper than its samples.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds")]
fn figures(histogram: &Histogram<u64>) -> Figures {
    let at = |rarity: u32| {
        let quantile = 1.0 - 1.0 / f64::from(rarity);
        (histogram.len() >= u64::from(rarity)).then(|| histogram.value_at_quantile(quantile))
    };
    Figures {
        samples: histogram.len(),
        min_ns: Some(histogram.min()),
        mean_ns: Some(histogram.mean() as u64),
        p50_ns: at(2),
        p90_ns: at(10),
        p99_ns: at(100),
        p99_9_ns: at(1_000),
        p99_99_ns: at(10_000),
        max_ns: Some(histogram.max()),
    }
}

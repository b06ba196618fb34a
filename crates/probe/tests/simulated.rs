//! A network in memory, its own clock, and faults from one seed: what was done to the answers is reported exactly.
//!
//! A failure prints the seed; `BARELANE_SEED=… cargo test -p barelane-probe --test simulated` repeats it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test may stop, and its numbers are small"
)]

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::env;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;

use barelane_probe::own_error::NoPlatform;
use barelane_probe::question::Question;
use barelane_probe::transport::{Arrival, Coverage, Facts, What};
use barelane_probe::{
    Ask, Clock, Controls, End, ProbeError, Progress, Protocol, Report, Schedule, Transport, TransportError,
    WallTime, measure,
};
use telemetry::{Ns, Tick, TickRate};

const TIMEOUT: u64 = 1_000_000;
const SIZE: usize = 64;
const WARM_UP: u64 = 3;
/// The warm-up is answered, twice, the second time while the first counted question is under way.
const WARMED_UP: Fate = Fate::Doubled { after: 10 };

/// A clock that the network moves. Every reading costs a nanosecond, as if it took time.
#[derive(Debug, Default)]
struct SimulatedClock(Cell<u64>);

impl SimulatedClock {
    fn move_to(&self, at: u64) {
        self.0.set(self.0.get().max(at));
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Tick {
        self.0.set(self.0.get() + 1);
        Tick(self.0.get())
    }

    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }

    fn wall(&self, at: Tick) -> WallTime {
        WallTime(at.0)
    }

    fn name(&self) -> &'static str {
        "simulated"
    }
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// What the network does to one question.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered { after: u64 },
    Doubled { after: u64 },
    Lost,
    Late { after: u64 },
    Corrupted { byte: usize },
    Cut,
    Refused,
    PartialChecksum,
}

impl Fate {
    /// When its first right answer comes, if one does.
    const fn answered_after(self) -> Option<u64> {
        match self {
            Self::Answered { after } | Self::Doubled { after } | Self::Late { after } => Some(after),
            Self::PartialChecksum => Some(10),
            Self::Lost | Self::Corrupted { .. } | Self::Cut | Self::Refused => None,
        }
    }

    /// Any fate; half of the questions are plainly answered.
    fn random(random: &mut Random) -> Self {
        let after = 10 + random.below(TIMEOUT - 10);
        match random.below(16) {
            0 => Self::Doubled { after },
            1 => Self::Lost,
            // Before the next question's answer, or behind many.
            2 => Self::Late { after: TIMEOUT + 2 + random.below(20) },
            3 => Self::Late { after: TIMEOUT * 2 + random.below(TIMEOUT * 5) },
            4 => Self::Corrupted { byte: random.below(SIZE as u64) as usize },
            5 => Self::Cut,
            6 => Self::Refused,
            7 => Self::PartialChecksum,
            _ => Self::Answered { after },
        }
    }
}

/// What was done, as the report should say it.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    sent: u64,
    answered: u64,
    lost: u64,
    late: u64,
    duplicated: u64,
    reordered: u64,
    corrupted: u64,
    refused: u64,
    partial_checksums: u64,
    round_trips: Vec<u64>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Carried {
    Answer { payload: Vec<u8>, is_partial: bool },
    Refusal,
}

struct Network<'a, F> {
    clock: &'a SimulatedClock,
    fate_of: F,
    under_way: BinaryHeap<Reverse<(u64, u64, Carried)>>,
    carried: u64,
    arrived: Vec<u8>,
    expected: Expected,
    /// When the first right answer to each counted question arrives.
    first_answers: Vec<(u64, u64)>,
}

impl<'a, F: FnMut(u64) -> Fate> Network<'a, F> {
    fn new(clock: &'a SimulatedClock, fate_of: F) -> Self {
        Self {
            clock,
            fate_of,
            under_way: BinaryHeap::new(),
            carried: 0,
            arrived: Vec::new(),
            expected: Expected::default(),
            first_answers: Vec::new(),
        }
    }

    /// What the report has to say, once the run is over.
    fn expected(mut self) -> Expected {
        self.first_answers.sort_unstable();
        let mut highest = 0;
        for (_, sequence) in self.first_answers {
            self.expected.reordered += u64::from(sequence < highest);
            highest = highest.max(sequence);
        }
        self.expected.round_trips.sort_unstable();
        self.expected
    }

    fn carry(&mut self, at: u64, what: Carried) {
        self.carried += 1;
        self.under_way.push(Reverse((at, self.carried, what)));
    }

    fn do_to(&mut self, question: &Question<'_>, now: u64, fate: Fate) {
        let mut payload = vec![0xa5; question.size()];
        question.write(&mut payload, WallTime(now));
        let answer = |payload: &[u8]| Carried::Answer { payload: payload.to_vec(), is_partial: false };
        match fate {
            Fate::Lost => (),
            Fate::Answered { after } | Fate::Late { after } => self.carry(now + after, answer(&payload)),
            Fate::Doubled { after } => {
                self.carry(now + after, answer(&payload));
                self.carry(now + after + 10, answer(&payload));
            }
            Fate::Corrupted { byte } => {
                payload[byte % SIZE] ^= 0x10;
                self.carry(now + 10, answer(&payload));
            }
            Fate::Cut => self.carry(now + 10, answer(&payload[..SIZE - 1])),
            Fate::Refused => self.carry(now + 10, Carried::Refusal),
            Fate::PartialChecksum => self.carry(now + 10, Carried::Answer { payload, is_partial: true }),
        }
    }

    fn expect(&mut self, sequence: u64, now: u64, fate: Fate) {
        let expected = &mut self.expected;
        expected.sent += 1;
        if let Some(after) = fate.answered_after() {
            self.first_answers.push((now + after, sequence));
        }
        match fate {
            Fate::Answered { after } | Fate::Doubled { after } => {
                expected.answered += 1;
                expected.duplicated += u64::from(matches!(fate, Fate::Doubled { .. }));
                expected.round_trips.push(after);
            }
            Fate::PartialChecksum => {
                expected.answered += 1;
                expected.partial_checksums += 1;
                expected.round_trips.push(10);
            }
            Fate::Late { .. } => expected.late += 1,
            Fate::Lost => expected.lost += 1,
            Fate::Corrupted { .. } | Fate::Cut => {
                expected.lost += 1;
                expected.corrupted += 1;
            }
            Fate::Refused => {
                expected.lost += 1;
                expected.refused += 1;
            }
        }
    }
}

impl<F: FnMut(u64) -> Fate> Transport for Network<'_, F> {
    fn facts(&self) -> Facts {
        Facts {
            backend: "simulation",
            means: "a network in memory".to_owned(),
            wait: "spin",
            sent_stamp: "at once",
            received_stamp: "at once",
        }
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        let now = clock.now();
        let fate =
            if question.sequence() < WARM_UP { WARMED_UP } else { (self.fate_of)(question.sequence()) };
        self.do_to(question, now.0, fate);
        if question.sequence() >= WARM_UP {
            self.expect(question.sequence(), now.0, fate);
        }
        Ok(Some(now))
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn receive(&mut self, until: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        let now = clock.now();
        let next = self.under_way.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        let wakes_at = next.min(until.0).min(now.0 + 100 * TIMEOUT);
        self.clock.move_to(wakes_at);
        if next > wakes_at {
            return Ok(None);
        }
        let Some(Reverse((at, _, carried))) = self.under_way.pop() else { return Ok(None) };
        let what = match carried {
            Carried::Refusal => What::Refused,
            Carried::Answer { payload, is_partial } => {
                self.arrived = payload;
                let checksum = if is_partial { Coverage::Partial } else { Coverage::Whole };
                What::Answer { payload: &self.arrived, echo_sequence: None, checksum }
            }
        };
        Ok(Some(Arrival { at: Tick(at), is_stamped: true, what }))
    }
}

fn ask(end: End) -> Ask {
    Ask {
        size: SIZE,
        end,
        timeout: Ns(TIMEOUT),
        linger: Ns(10 * TIMEOUT),
        warm_up: WARM_UP,
        ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Udp { port: NonZeroU16::new(7).unwrap() })
    }
}

/// Measures until the end or a stop.
fn report(ask: &Ask, transport: &mut impl Transport, clock: &impl Clock, stop: &AtomicBool) -> Report {
    let controls = Controls { stop, progress: &Progress::default(), platform: &NoPlatform };
    Report::new(&measure(ask, transport, clock, &controls).unwrap())
}

fn run(ask: &Ask, fate_of: impl FnMut(u64) -> Fate) -> (Report, Expected) {
    let clock = SimulatedClock::default();
    let mut network = Network::new(&clock, fate_of);
    let report = report(ask, &mut network, &clock, &AtomicBool::new(false));
    (report, network.expected())
}

fn assert_told(report: &Report, expected: &Expected, seed: u64) {
    let told = Expected {
        sent: report.sent,
        answered: report.answered,
        lost: report.lost,
        late: report.late,
        duplicated: report.duplicated,
        reordered: report.reordered,
        corrupted: report.corrupted,
        refused: report.refused,
        partial_checksums: report.partial_checksums,
        round_trips: expected.round_trips.clone(),
    };
    assert_eq!(told, *expected, "BARELANE_SEED={seed}");
    assert_eq!(report.sent, report.answered + report.lost + report.late, "BARELANE_SEED={seed}");
    assert_eq!(report.unmatched, 0, "BARELANE_SEED={seed}");
    assert_figures(report, &expected.round_trips);
}

/// The figures against the sorted round trips themselves: extremes exact, percentiles within a thousandth.
fn assert_figures(report: &Report, sorted: &[u64]) {
    assert_eq!(report.rtt.samples, sorted.len() as u64);
    assert_eq!((report.rtt.min_ns, report.rtt.max_ns), (sorted.first().copied(), sorted.last().copied()));
    for (figure, percent) in [(report.rtt.p50_ns, 50.0), (report.rtt.p90_ns, 90.0), (report.rtt.p99_ns, 99.0)]
    {
        let Some(figure) = figure else { continue };
        let rank = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
        let truth = sorted[rank - 1];
        assert!(figure.abs_diff(truth) <= truth / 1000 + 1, "p{percent}: {figure}, not {truth}");
    }
}

#[test]
fn whatever_the_network_does_is_reported_exactly() {
    let seeds = env::var("BARELANE_SEED").map_or((0..200).collect(), |seed| vec![seed.parse().unwrap()]);
    for seed in seeds {
        let mut random = Random(seed);
        let (report, expected) = run(&ask(End::Count(1_000)), |_| Fate::random(&mut random));
        assert_told(&report, &expected, seed);
    }
}

#[test]
fn each_fault_alone_is_counted_as_what_it_is() {
    type Count = fn(&Report) -> u64;
    let faults: [(Fate, Count); 8] = [
        (Fate::Lost, |report| report.lost),
        (Fate::Late { after: TIMEOUT + 1 }, |report| report.late),
        (Fate::Doubled { after: 10 }, |report| report.duplicated),
        (Fate::Corrupted { byte: 0 }, |report| report.corrupted),
        (Fate::Corrupted { byte: SIZE - 1 }, |report| report.corrupted),
        (Fate::Cut, |report| report.corrupted),
        (Fate::Refused, |report| report.refused),
        (Fate::PartialChecksum, |report| report.partial_checksums),
    ];
    for (fault, count) in faults {
        let fate_of =
            |sequence: u64| if sequence.is_multiple_of(10) { fault } else { Fate::Answered { after: 10 } };
        let (report, expected) = run(&ask(End::Count(100)), fate_of);
        assert_eq!(count(&report), 10, "{fault:?}: {report}");
        assert_told(&report, &expected, 0);
    }
}

#[test]
fn a_late_answer_behind_others_is_reordered_and_one_behind_too_many_is_unmatched() {
    for (behind, [lost, late, reordered, unmatched]) in [(1_000, [0, 1, 1, 0]), (TIMEOUT, [1, 0, 0, 1])] {
        let fate_of = |sequence| match sequence {
            5 => Fate::Late { after: TIMEOUT + behind },
            _ => Fate::Answered { after: 10 },
        };
        let (report, _) = run(&ask(End::Count(100_000)), fate_of);
        assert_eq!(
            [report.lost, report.late, report.reordered, report.unmatched],
            [lost, late, reordered, unmatched]
        );
        assert_eq!((report.sent, report.answered), (100_000, 99_999), "{report}");
    }
}

#[test]
fn a_gap_and_an_end_in_seconds_give_the_number_of_questions_that_fit() {
    let schedule = Schedule::Closed { window: 1, gap: Ns(90_000) };
    let ask = Ask { schedule, ..ask(End::Seconds(0.01)) };
    let (report, _) = run(&ask, |_| Fate::Answered { after: 10_000 });
    assert!((98..=100).contains(&report.sent), "{report}");
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_silent_target_loses_everything_and_no_figure_is_made_up() {
    let (report, expected) = run(&ask(End::Count(10)), |_| Fate::Lost);
    assert_told(&report, &expected, 0);
    assert_eq!((report.lost, report.rtt.p50_ns, report.rtt.max_ns), (10, None, None));
    assert_eq!(report.loss_ratio, Some(1.0));
}

/// A backend whose ring stays full.
struct Full;

impl Transport for Full {
    fn facts(&self) -> Facts {
        Facts { backend: "full", means: String::new(), wait: "spin", sent_stamp: "", received_stamp: "" }
    }

    fn send(&mut self, _: &Question<'_>, _: &impl Clock) -> Result<Option<Tick>, TransportError> {
        Ok(None)
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn receive(&mut self, _: Tick, _: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        Ok(None)
    }
}

#[test]
fn a_backend_that_never_has_room_ends_the_run() {
    let clock = SimulatedClock::default();
    let ticking = Leaping(&clock);
    let controls =
        Controls { stop: &AtomicBool::new(false), progress: &Progress::default(), platform: &NoPlatform };
    let outcome = measure(&ask(End::Count(1)), &mut Full, &ticking, &controls);
    assert!(matches!(outcome, Err(ProbeError::Stuck)));
}

/// A clock that leaps a millisecond with every reading, so that patience ends soon.
struct Leaping<'a>(&'a SimulatedClock);

impl Clock for Leaping<'_> {
    fn now(&self) -> Tick {
        let now = self.0.now();
        self.0.move_to(now.0 + 1_000_000);
        now
    }

    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }

    fn wall(&self, at: Tick) -> WallTime {
        WallTime(at.0)
    }

    fn name(&self) -> &'static str {
        "leaping"
    }
}

//! The search for the highest rate without loss, on servers whose limit is known.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use barelane_probe::search::{Goal, LATENCY_AT, Limit, Search, Step, Trial, Verdict, search};
use barelane_probe::{Ask, Ended, Outcome, ProbeError, Protocol};
use telemetry::Ns;

use super::world::{self, Back, Reflector, SIZE, Trouble};

/// How many questions wait at a server while it is busy; more are lost.
const QUEUE: usize = 64;
const GOAL: Goal = Goal {
    lowest: 1_000.0,
    highest: 200_000.0,
    loss_ratio: 0.0,
    precision: 0.01,
    short_seconds: 0.05,
    full_seconds: 0.5,
};

/// A server that takes a fixed time for each question, and that is away from its work at the end of every fifth of a
/// second.
struct Server {
    service: u64,
    pause: u64,
    began: Option<u64>,
    /// When those are answered that are still there.
    busy_until: VecDeque<u64>,
}

impl Server {
    const PERIOD: u64 = 200_000_000;

    fn new(rate: u64, pause: u64) -> Self {
        Self { service: 1_000_000_000 / rate, pause, began: None, busy_until: VecDeque::new() }
    }

    /// When work can begin that is there at `at`.
    fn back_at_work(&mut self, at: u64) -> u64 {
        let into = (at - *self.began.get_or_insert(at)) % Self::PERIOD;
        if into < Self::PERIOD - self.pause { at } else { at - into + Self::PERIOD }
    }
}

impl Reflector for Server {
    fn reflect(&mut self, _: u64, at: u64, back: &mut dyn FnMut(u64, Back)) {
        while self.busy_until.pop_front_if(|answered_at| *answered_at <= at).is_some() {}
        if self.busy_until.len() < QUEUE {
            let begins = self.busy_until.back().copied().unwrap_or(at);
            let answered_at = self.back_at_work(begins) + self.service;
            self.busy_until.push_back(answered_at);
            back(answered_at, Back::Right);
        }
    }
}

fn base() -> Ask {
    let udp = Protocol::Udp { port: NonZeroU16::new(7).unwrap() };
    Ask {
        size: SIZE,
        timeout: Ns(50_000_000),
        linger: Ns(0),
        warm_up: 0,
        seed: 1,
        ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), udp)
    }
}

fn run(server: impl Fn() -> Server, trouble: impl Fn(usize) -> Trouble) -> Search {
    let mut trials = 0;
    let trial = |trial: Trial| {
        let outcome = world::run(&trial.ask(&base()), server(), trouble(trials));
        trials += 1;
        Ok::<Outcome, ProbeError>(outcome)
    };
    search(&GOAL, trial).unwrap()
}

fn without_trouble(_: usize) -> Trouble {
    Trouble::default()
}

fn assert_converged(found: &Search, truth: f64) {
    let rate = found.rate_without_loss.unwrap();
    assert!(rate <= truth * 1.001 && rate >= truth * 0.989, "{rate}, not {truth}: {:#?}", found.steps);
    let above = found.rate_with_loss.unwrap();
    assert!(above > rate && above <= rate * 1.010_001, "{rate} and {above}");
    let full =
        |rate: f64| move |step: &&Step| step.wanted_per_second == rate && step.seconds == GOAL.full_seconds;
    let verdict = |rate| found.steps.iter().rfind(full(rate)).unwrap().verdict;
    assert_eq!(verdict(rate), Verdict::Passed, "the result has passed at full length");
    assert_ne!(verdict(above), Verdict::Passed);
    assert_eq!(found.ended, Ended::Done);
}

/// A server of 50,000 per second with room for 64 loses nothing in half a second up to 50,000 + 64 / 0.5 s.
#[test]
fn the_rate_of_a_steady_server_is_found_within_the_precision() {
    let found = run(|| Server::new(50_000, 0), without_trouble);
    assert_converged(&found, 50_128.0);
    assert_eq!(found.limited_by, Some(Limit::Target));
    assert!(found.steps.len() < 20, "{:#?}", found.steps);
}

/// A pause of 5 ms fills the room of 64 at 12,800 per second. No short trial meets one.
#[test]
fn a_server_that_pauses_seldom_does_not_pass_on_short_trials() {
    let found = run(|| Server::new(50_000, 5_000_000), without_trouble);
    assert_converged(&found, 12_800.0);
    let short = found.steps.iter().filter(|step| step.seconds == GOAL.short_seconds);
    let best = short.filter(|step| step.verdict == Verdict::Passed).map(|step| step.wanted_per_second);
    assert!(best.fold(0.0, f64::max) > 45_000.0, "short trials alone would have said {:#?}", found.steps);
}

#[test]
fn the_latency_is_measured_at_parts_of_the_rate_that_was_found() {
    let found = run(|| Server::new(50_000, 0), without_trouble);
    let rate = found.rate_without_loss.unwrap();
    assert_eq!(found.latency.len(), LATENCY_AT.len());
    for latency in &found.latency {
        let asked = latency.outcome.counts.sent as f64 / GOAL.full_seconds;
        assert!((asked / (latency.share * rate) - 1.0).abs() < 1e-3, "{asked}");
        assert_eq!(latency.outcome.counts.answered, latency.outcome.counts.sent);
        assert_eq!(latency.outcome.record.response_figures().p50_ns.unwrap() / 1_000, 20);
    }
}

/// Every question costs the probe 10 µs, so that 100,000 per second are all that it can ask, of a server that could
/// take more. What is above has not passed, and the search says whose limit it is.
#[test]
fn a_rate_that_the_probe_cannot_reach_is_not_the_targets_limit() {
    let slow = |_| Trouble { held_up: Some((1, 10_000)), ..Trouble::default() };
    let found = run(|| Server::new(190_000, 0), slow);
    assert_eq!(found.limited_by, Some(Limit::Probe));
    let rate = found.rate_without_loss.unwrap();
    assert!((97_000.0..101_500.0).contains(&rate), "{rate}: {:#?}", found.steps);
    assert_eq!(found.steps[0].verdict, Verdict::NotPaced);
    assert!((found.steps[0].reached_per_second - 100_000.0).abs() < 500.0, "{:?}", found.steps[0]);
}

/// The probe is away for 20 ms in the first trials: invalid, whatever the server did. They are repeated.
#[test]
fn a_trial_in_which_the_probe_stalls_is_repeated_and_says_nothing() {
    let stalls_twice = |trial| match trial {
        0 | 1 => Trouble { held_up: Some((2_000, 20_000_000)), ..Trouble::default() },
        _ => Trouble::default(),
    };
    let found = run(|| Server::new(50_000, 0), stalls_twice);
    let verdicts: Vec<Verdict> = found.steps.iter().take(3).map(|step| step.verdict).collect();
    assert_eq!(verdicts, [Verdict::Stalled, Verdict::Stalled, Verdict::Failed]);
    assert_converged(&found, 50_128.0);
}

#[test]
fn a_target_that_loses_at_every_rate_has_no_rate_without_loss() {
    let found = run(|| Server::new(500, 0), without_trouble);
    assert_eq!((found.rate_without_loss, found.limited_by), (None, Some(Limit::Target)));
    assert_eq!(found.rate_with_loss, Some(GOAL.lowest));
    assert!(found.latency.is_empty());
}

#[test]
fn a_target_that_carries_all_is_limited_by_the_goal() {
    let found = run(|| Server::new(1_000_000, 0), without_trouble);
    assert_eq!((found.rate_without_loss, found.limited_by), (Some(GOAL.highest), Some(Limit::Goal)));
    assert_eq!(found.rate_with_loss, None);
}

#[test]
fn a_search_gives_the_same_steps_again() {
    let twice = [(); 2].map(|()| run(|| Server::new(50_000, 5_000_000), without_trouble).steps);
    assert_eq!(twice[0], twice[1]);
}

#[test]
fn a_search_that_is_stopped_or_fails_keeps_its_steps() {
    let whole = run(|| Server::new(50_000, 0), without_trouble).steps;
    let stops = Trouble { stops_at: Some(10), ..Trouble::default() };
    let fails = Trouble { fails_at: Some(10), ..Trouble::default() };
    for (trouble, is_stop) in [(stops, true), (fails, false)] {
        let at_the_fourth = |trial| if trial == 3 { trouble } else { Trouble::default() };
        let found = run(|| Server::new(50_000, 0), at_the_fourth);
        assert_eq!(found.steps, whole[..3]);
        assert_eq!(found.ended == Ended::Stopped, is_stop);
        assert_eq!(matches!(found.ended, Ended::Failed(_)), !is_stop);
        assert_eq!((found.rate_without_loss, found.limited_by), (None, None));
    }
}

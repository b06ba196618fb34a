//! The intended instants themselves: exact where they are even, of the right law where they are random.

use std::net::{IpAddr, Ipv4Addr};

use barelane_probe::schedule::Pace;
use barelane_probe::{Arrivals, Ask, End, Protocol, Ramp, Schedule};
use telemetry::{Tick, TickRate};

const BEGAN: Tick = Tick(1_000);

fn instants(
    arrivals: Arrivals,
    rate: Ramp,
    seconds: f64,
    clock: u64,
    seed: u64,
) -> impl Iterator<Item = u64> {
    let ask = Ask {
        schedule: Schedule::Open { arrivals, rate },
        end: End::Seconds(seconds),
        seed,
        ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Icmp)
    };
    let mut pace = Pace::new(&ask, TickRate::new(clock), BEGAN);
    std::iter::repeat_with(move || {
        let due = pace.due().unwrap();
        pace.asked();
        due.0 - BEGAN.0
    })
}

/// 866 ⅔ ticks from one question to the next, and 2,394,999 ⅓; the exact instants are rational numbers.
#[test]
fn a_periodic_schedule_does_not_drift_in_a_hundred_million_questions() {
    for (clock, rate) in [(2_600_000_000_u64, 3_000_000_u64), (7_184_998_000, 3_000)] {
        let mut all = instants(Arrivals::Periodic, Ramp::constant(rate as f64), 1e9, clock, 1);
        let exact = |n: u64| u64::try_from(u128::from(n) * u128::from(clock) / u128::from(rate)).unwrap();
        for (n, _) in (0..100).zip(0..) {
            assert_eq!(all.next(), Some(exact(n)), "question {n} at {rate}/s");
        }
        let mut n = 100;
        while n < 100_000_000 {
            let skipped = 999_899.min(100_000_000 - n - 1);
            n += skipped;
            assert_eq!(
                all.nth(usize::try_from(skipped).unwrap()),
                Some(exact(n)),
                "question {n} at {rate}/s"
            );
            n += 1;
        }
    }
}

#[test]
fn rates_that_are_no_whole_number_are_kept() {
    let mut all = instants(Arrivals::Periodic, Ramp::constant(0.1), 1e9, 1_000_000_000, 1);
    let thousandth = all.nth(1_000).unwrap();
    assert!(
        thousandth.abs_diff(10_000_000_000_000) < 100_000,
        "1000 questions at 0.1/s take {thousandth} ns"
    );
}

/// A million gaps against the exponential law of mean 1: their mean (σ = 10⁻³), their variance (σ = √(8/n) = 2.8 · 10⁻³,
/// the fourth central moment being 9), their distribution function (Kolmogorov-Smirnov, 0.1 %), and that a gap says
/// nothing about the next one (the correlation has σ = 10⁻³).
#[test]
fn poisson_gaps_are_exponential_and_independent() {
    const COUNT: usize = 1_000_000;
    const MEAN: f64 = 1e6;
    let mut before = 0;
    let mut gaps: Vec<f64> = instants(Arrivals::Poisson, Ramp::constant(1_000.0), 1e9, 1_000_000_000, 5)
        .take(COUNT)
        .map(|at| (at - std::mem::replace(&mut before, at)) as f64 / MEAN)
        .collect();
    let count = COUNT as f64;
    let mean = gaps.iter().sum::<f64>() / count;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
    let correlation = gaps.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / count;
    assert!((mean - 1.0).abs() < 0.004, "mean {mean}");
    assert!((variance - 1.0).abs() < 0.012, "variance {variance}");
    assert!(correlation.abs() < 0.004, "correlation {correlation}");
    gaps.sort_unstable_by(f64::total_cmp);
    let distance = |(rank, gap): (usize, &f64)| (-(-gap).exp_m1() - (rank as f64 + 0.5) / count).abs();
    let furthest = gaps.iter().enumerate().map(distance).fold(0.0, f64::max);
    assert!(furthest < 1.95 / count.sqrt(), "Kolmogorov-Smirnov distance {furthest}");
}

#[test]
fn a_seed_gives_the_same_instants_again_and_another_seed_gives_others() {
    let first = |seed| {
        let all = instants(Arrivals::Poisson, Ramp::constant(1_000.0), 10.0, 1_000_000_000, seed);
        all.take(100).collect::<Vec<_>>()
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

/// At every instant of a ramp as many questions have been due as the integral of its rate says.
#[test]
fn a_ramp_has_as_many_questions_as_its_integral() {
    const SECONDS: f64 = 10.0;
    for (from, to) in [(100.0, 1_000.0), (1_000.0, 100.0), (0.0, 500.0), (500.0, 0.0), (999.999, 1_000.0)] {
        let ramp = Ramp { from, to };
        let integral = |t: f64| from * t + (to - from) * t * t / (2.0 * SECONDS);
        let total = integral(SECONDS);
        let within = |at: &u64| (*at as f64) < SECONDS * 1e9;
        let due: Vec<u64> =
            instants(Arrivals::Periodic, ramp, SECONDS, 1_000_000_000, 1).take_while(within).collect();
        assert!((due.len() as f64 - total).abs() <= 1.0, "{ramp}: {} questions, not {total}", due.len());
        for (n, at) in due.iter().enumerate() {
            let expected = integral(*at as f64 / 1e9);
            assert!((n as f64 - expected).abs() < 1e-4, "{ramp}: question {n} is due at {expected}");
        }
        let drawn = instants(Arrivals::Poisson, ramp, SECONDS, 1_000_000_000, 9).take_while(within).count();
        assert!((drawn as f64 - total).abs() < 5.0 * total.sqrt(), "{ramp}: {drawn} questions, not {total}");
    }
}

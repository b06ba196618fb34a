//! What a fix gained: one figure with it and without it, in pairs that stand beside each other in time.
//!
//! The machine drifts: what else runs, where the hypervisor puts a core, how warm it is. So two figures that were taken a minute
//! apart say nothing. Each round takes one of each, one right after the other and in alternating order; their ratio is the round's,
//! and what counts is the median of the ratios, with the interval that the sign test gives (`probe::Interval`).

use probe::figures::Interval;
use serde::Serialize;

/// Ratios are kept as whole numbers, so many to one.
const ONE: u64 = 1_000_000;

/// One figure in nanoseconds, of each round without the fix and with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs(Vec<(u64, u64)>);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Gain {
    pub(super) before_ns: Interval,
    pub(super) after_ns: Interval,
    pub(super) ratio: Ratio,
    pub(super) verdict: Verdict,
}

/// With the fix ÷ without it: below 1, it is faster with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Ratio {
    pub(super) low: Option<f64>,
    pub(super) median: f64,
    pub(super) high: Option<f64>,
    pub(super) confidence: Option<f64>,
    pub(super) rounds: u64,
}

/// What the interval allows to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// All of it is below 1.
    Gain,
    /// All of it is above 1.
    Loss,
    /// It includes 1: it may be either, or nothing.
    NoGainSeen,
    /// There is none: too few rounds.
    TooFewRounds,
}

impl Pairs {
    /// Adds a round.
    pub(super) fn add(&mut self, before_ns: u64, after_ns: u64) {
        self.0.push((before_ns, after_ns));
    }

    /// What came of all rounds; nothing where there was none.
    pub(super) fn gain(&self) -> Option<Gain> {
        let before_ns = Interval::of(self.0.iter().map(|(before, _)| *before))?;
        let after_ns = Interval::of(self.0.iter().map(|(_, after)| *after))?;
        let ratios = self.0.iter().map(|(before, after)| after.saturating_mul(ONE) / (*before).max(1));
        let ratio = Ratio::of(&Interval::of(ratios)?);
        Some(Gain { before_ns, after_ns, ratio, verdict: ratio.verdict() })
    }
}

impl Ratio {
    fn of(interval: &Interval) -> Self {
        Self {
            low: interval.low.map(to_one),
            median: to_one(interval.median),
            high: interval.high.map(to_one),
            confidence: interval.confidence,
            rounds: interval.runs,
        }
    }

    fn verdict(self) -> Verdict {
        match (self.low, self.high) {
            (Some(_), Some(high)) if high < 1.0 => Verdict::Gain,
            (Some(low), Some(_)) if low > 1.0 => Verdict::Loss,
            (Some(_), Some(_)) => Verdict::NoGainSeen,
            _ => Verdict::TooFewRounds,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "ratios of round trips, far below 2^53")]
fn to_one(millionths: u64) -> f64 {
    millionths as f64 / ONE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain(pairs: &[(u64, u64)]) -> Gain {
        let mut all = Pairs::default();
        for &(before, after) in pairs {
            all.add(before, after);
        }
        all.gain().unwrap()
    }

    #[test]
    fn a_fix_that_is_faster_in_every_round_gains_however_the_machine_drifts() {
        // Each pair is half as slow again as the one before it, and nine tenths with the fix.
        let drifting = [1000, 1500, 2250, 3375, 5060, 7590, 11_390, 17_080, 25_620];
        let found = gain(&drifting.map(|before| (before, before * 9 / 10)));
        assert_eq!(found.verdict, Verdict::Gain);
        assert!((found.ratio.median - 0.9).abs() < 0.001, "{found:?}");
        assert!(found.before_ns.low.unwrap() < found.after_ns.high.unwrap(), "by themselves they overlap");
    }

    #[test]
    fn an_interval_that_includes_one_is_no_gain_and_one_beyond_it_a_loss() {
        let found = gain(&[(100, 90), (100, 105), (100, 98), (100, 101), (100, 99), (100, 110)]);
        assert_eq!(found.verdict, Verdict::NoGainSeen);
        assert_eq!(gain(&[(100, 120); 6]).verdict, Verdict::Loss);
        assert_eq!(gain(&[(100, 100); 6]).verdict, Verdict::NoGainSeen);
    }

    #[test]
    fn fewer_than_six_rounds_say_nothing() {
        let found = gain(&[(100, 50); 5]);
        assert_eq!((found.verdict, found.ratio.low), (Verdict::TooFewRounds, None));
        assert_eq!(Pairs::default().gain(), None);
    }
}

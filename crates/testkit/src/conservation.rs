//! The law of the counters, as a check for after every turn: every frame has exactly one fate.

use telemetry::{Counters, Kind};

/// How the counters broke the law.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Frames without a fate, or with two.
    #[error(
        "rx {rx} = replied {replied} + passed {passed} + dropped {dropped} does not hold: {unaccounted} unaccounted"
    )]
    Unbalanced {
        /// Frames received.
        rx: u64,
        /// Frames answered.
        replied: u64,
        /// Frames handed on.
        passed: u64,
        /// Frames dropped.
        dropped: u64,
        /// What is left over; negative where a frame was counted twice.
        unaccounted: i128,
    },
    /// A counter that counts events went down.
    #[error("{name} went back from {before} to {after}")]
    WentBack {
        /// The counter's name.
        name: &'static str,
        /// What it said before.
        before: u64,
        /// What it says now.
        after: u64,
    },
}

/// A watch over one lane's counters: they balance after every turn, and never go back between two.
#[derive(Debug, Default)]
pub struct Conservation {
    before: Counters,
}

impl Conservation {
    /// Checks the counters as they are between two turns, and remembers them for the next check.
    ///
    /// # Errors
    /// The first way in which they break the law.
    pub fn check(&mut self, counters: &Counters) -> Result<(), Violation> {
        for ((counter, before), (_, after)) in self.before.iter().zip(counters.iter()) {
            if after < before {
                return Err(Violation::WentBack { name: counter.row().name, before, after });
            }
        }
        self.before = counters.clone();
        balanced(counters)
    }
}

/// Checks that every frame received so far has exactly one fate.
///
/// # Errors
/// The sums that do not fit.
pub fn balanced(counters: &Counters) -> Result<(), Violation> {
    let [rx, replied, passed, dropped] =
        [Kind::Received, Kind::Replied, Kind::Passed, Kind::Dropped].map(|kind| counters.sum(kind));
    match counters.unaccounted() {
        0 => Ok(()),
        unaccounted => Err(Violation::Unbalanced { rx, replied, passed, dropped, unaccounted }),
    }
}

#[cfg(test)]
mod tests {
    use telemetry::Counter;

    use super::*;

    #[test]
    fn a_frame_without_a_fate_and_one_with_two_are_found() {
        let mut counters = Counters::default();
        counters.count(Counter::Rx);
        assert!(matches!(balanced(&counters), Err(Violation::Unbalanced { unaccounted: 1, .. })));
        counters.count(Counter::RepliedUdp);
        assert_eq!(balanced(&counters), Ok(()));
        counters.count(Counter::UdpChecksum);
        assert!(matches!(balanced(&counters), Err(Violation::Unbalanced { unaccounted: -1, .. })));
    }

    #[test]
    fn a_counter_that_goes_back_is_found() {
        let mut watch = Conservation::default();
        let mut counters = Counters::default();
        counters.count(Counter::Turn);
        assert_eq!(watch.check(&counters), Ok(()));
        let wrong = Violation::WentBack { name: "turns", before: 1, after: 0 };
        assert_eq!(watch.check(&Counters::default()), Err(wrong));
    }
}

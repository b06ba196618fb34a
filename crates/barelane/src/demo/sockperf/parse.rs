//! What sockperf's client prints, as numbers.

use serde_json::{Value, json};

/// What it counted, without its warm-up and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Result {
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) dropped: u64,
    pub(super) duplicated: u64,
    reordered: u64,
    observations: u64,
    min_ns: Option<u64>,
    mean_ns: Option<u64>,
    pub(super) p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    /// As with our own figures, nothing where there are fewer than a hundred samples.
    pub(super) p99_ns: Option<u64>,
    max_ns: Option<u64>,
}

/// The numbers of a run; nothing where it says that it has none.
pub(super) fn result(said: &[String]) -> Option<Result> {
    let line = |words: &str| said.iter().find(|line| line.contains(words));
    let counts = line("[Valid Duration]")?;
    let faults = line("# dropped messages")?;
    let observations = number_behind(line(" observations")?, "Total ")?;
    let figure =
        |words: &str| nanoseconds(line(words)?, "observation = ").or_else(|| nanoseconds(line(words)?, "= "));
    let carried = |rarity, words: &str| if observations >= rarity { figure(words) } else { None };
    Some(Result {
        sent: number_behind(counts, "SentMessages=")?,
        answered: number_behind(counts, "ReceivedMessages=")?,
        dropped: number_behind(faults, "# dropped messages = ")?,
        duplicated: number_behind(faults, "# duplicated messages = ")?,
        reordered: number_behind(faults, "# out-of-order messages = ")?,
        observations,
        min_ns: figure("<MIN>"),
        mean_ns: nanoseconds(line("avg-rtt=")?, "avg-rtt="),
        p50_ns: carried(2, "percentile 50.000"),
        p90_ns: carried(10, "percentile 90.000"),
        p99_ns: carried(100, "percentile 99.000"),
        max_ns: figure("<MAX>"),
    })
}

impl Result {
    pub(super) fn to_json(self) -> Value {
        json!({
            "sent": self.sent,
            "answered": self.answered,
            "lost": self.dropped,
            "duplicated": self.duplicated,
            "reordered": self.reordered,
            "rtt_samples": self.observations,
            "rtt_min_ns": self.min_ns,
            "rtt_mean_ns": self.mean_ns,
            "rtt_p50_ns": self.p50_ns,
            "rtt_p90_ns": self.p90_ns,
            "rtt_p99_ns": self.p99_ns,
            "rtt_max_ns": self.max_ns,
        })
    }
}

/// The whole number that stands behind `words`.
fn number_behind(line: &str, words: &str) -> Option<u64> {
    let rest = line.split_once(words)?.1;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Microseconds with a point behind `words`, as nanoseconds. Sockperf prints three decimals.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a round trip is far below 2^53 ns"
)]
fn nanoseconds(line: &str, words: &str) -> Option<u64> {
    let rest = line.split_once(words)?.1.trim_start();
    let number = rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.').next()?;
    let microseconds: f64 = number.parse().ok()?;
    (microseconds >= 0.0).then_some((microseconds * 1e3).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_numbers_of_a_run_are_read() {
        let found = result(&lines(include_str!("ping_pong.txt"))).unwrap();
        assert_eq!((found.sent, found.answered, found.dropped, found.duplicated), (6030, 6030, 0, 0));
        assert_eq!((found.reordered, found.observations), (0, 6030));
        assert_eq!((found.min_ns, found.mean_ns), (Some(33_600), Some(91_495)));
        assert_eq!((found.p50_ns, found.p90_ns, found.p99_ns), (Some(40_680), Some(46_479), Some(2_642_821)));
        assert_eq!(found.max_ns, Some(4_869_292));
    }

    #[test]
    fn a_percentile_that_the_samples_do_not_carry_is_nothing() {
        let text = include_str!("ping_pong.txt").replace("6030 observations", "99 observations");
        let found = result(&lines(&text)).unwrap();
        assert_eq!((found.p90_ns, found.p99_ns), (Some(46_479), None));
    }

    #[test]
    fn a_run_that_was_not_answered_has_no_numbers() {
        assert_eq!(result(&lines(include_str!("unanswered.txt"))), None);
        assert_eq!(result(&[]), None);
    }
}

//! Numbers in few columns: three digits and a unit.

/// A count or a rate: `0`, `999`, `12.3k`, `1.24M`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown, a double holds fifteen")]
pub(super) fn count(count: u64) -> String {
    rate(count as f64)
}

/// The same of what is no whole number.
pub(super) fn rate(rate: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(size, _)| rate >= *size * 0.9995) {
        Some((size, unit)) => format!("{}{unit}", three_digits(rate / size)),
        None if rate > 0.0 && rate < 9.995 && rate.fract() > 0.0 => format!("{rate:.2}"),
        None => format!("{rate:.0}"),
    }
}

/// A time: `980ns`, `12.3µs`, `1.20s`; a dash where there is none.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown, a double holds fifteen")]
pub(crate) fn time(ns: Option<u64>) -> String {
    let Some(ns) = ns else { return "-".to_owned() };
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    match units.into_iter().find(|(size, _)| ns as f64 >= *size * 0.9995) {
        Some((size, unit)) => format!("{}{unit}", three_digits(ns as f64 / size)),
        None => format!("{ns}ns"),
    }
}

/// How long something has run: `12s`, `3m05s`, `2h10m`, `5d03h`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

fn three_digits(number: f64) -> String {
    match number {
        small if small < 9.995 => format!("{small:.2}"),
        middle if middle < 99.95 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_few_columns_at_every_size() {
        let counts = [0, 999, 1_000, 12_345, 999_600, 1_240_000, u64::MAX].map(count);
        assert_eq!(counts, ["0", "999", "1.00k", "12.3k", "1.00M", "1.24M", "18446744074G"]);
        assert_eq!([0.0, 0.25, 3.0, 250.4].map(rate), ["0", "0.25", "3", "250"]);
        let times = [None, Some(0), Some(980), Some(12_345), Some(1_200_000_000)].map(time);
        assert_eq!(times, ["-", "0ns", "980ns", "12.3µs", "1.20s"]);
        assert_eq!([5, 185, 7_800, 442_800].map(age), ["5s", "3m05s", "2h10m", "5d03h"]);
    }
}

//! Numbers as people read them: grouped, with a unit, and never with more digits than they are good for.

use std::time::{Duration, UNIX_EPOCH};

use maud::{Markup, html};

/// What separates groups of digits: ISO 80000-1 asks for a thin space, and this one does not break a line.
const GROUP: char = '\u{202f}';

/// A count, in groups of three digits.
pub(super) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

/// Nanoseconds as microseconds with three decimals, exact, for a table whose head says the unit.
pub(super) fn microseconds(ns: u64) -> String {
    format!("{}.{:03}", count(ns / 1_000), ns % 1_000)
}

/// The same in a table's cell; a dash with a reason where there is no figure.
pub(super) fn cell(ns: Option<u64>) -> Markup {
    html! {
        @match ns {
            Some(ns) => td { (microseconds(ns)) },
            None => td.none { span aria-hidden="true" { "–" } span.hidden { "not known" } },
        }
    }
}

/// Nanoseconds in the unit that fits, with four digits at most: `12.35 µs`, `1.2 s`.
pub(super) fn duration(ns: u64) -> String {
    let (number, unit) = parts(ns);
    format!("{number}\u{a0}{unit}")
}

/// The same as number and unit, where they are set apart.
pub(super) fn parts(ns: u64) -> (String, &'static str) {
    let units = [(1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")];
    let fitting = units.into_iter().rev().find(|&(size, _)| ns >= size);
    let (size, unit) = fitting.unwrap_or((1, "ns"));
    (significant(as_float(ns) / as_float(size)), unit)
}

/// A number with four significant digits at most, without zeros that say nothing.
pub(super) fn significant(number: f64) -> String {
    let decimals = match number.abs() {
        large if large >= 999.95 => 0,
        large if large >= 99.995 => 1,
        middle if middle >= 9.9995 => 2,
        _ => 3,
    };
    let text = format!("{number:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    grouped(text)
}

/// A share in percent. What happened at all never reads as zero, and what failed at all never as all.
pub(super) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let text = match percent {
        0.0 => "0".to_owned(),
        tiny if tiny < 0.000_1 => "< 0.0001".to_owned(),
        small if small < 1.0 => format!("{small:.4}").trim_end_matches('0').to_owned(),
        most if most > 99.99 && most < 100.0 => "> 99.99".to_owned(),
        usual => significant(usual),
    };
    format!("{text}\u{a0}%")
}

/// From one to the other, with one unit where one fits both.
pub(super) fn range(low: u64, high: u64) -> String {
    match (parts(low), parts(high)) {
        ((low, low_unit), (high, unit)) if low_unit == unit => format!("{low} – {high}\u{a0}{unit}"),
        _ => format!("{} – {}", duration(low), duration(high)),
    }
}

/// How many times the first the second is, as a factor with two decimals, or with as many as a small one needs.
pub(super) fn factor(first: u64, second: u64) -> Option<String> {
    let factor = as_float(second) / as_float(first);
    let decimals = if factor < 0.1 { 4 } else { 2 };
    (first > 0).then(|| format!("{factor:.decimals$}×"))
}

/// A percentile by its rarity: what one in 1,000 samples exceeds is `p99.9`. Whole powers of ten only, and 2.
pub(super) fn percentile(rarity: f64) -> String {
    let percent = 100.0 - 100.0 / rarity;
    let nines = (rarity.log10() - 1.0).floor().max(0.0);
    let decimals = if nines >= 12.0 { 12 } else { nines_as_decimals(nines) };
    let text = format!("{percent:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("p{text}")
}

/// Two decimals more than there are nines behind the point tell neighbouring percentiles apart.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 12")]
const fn nines_as_decimals(nines: f64) -> usize {
    nines as usize + 2
}

/// When it was, in UTC, to the second.
pub(super) fn moment(unix_ns: u64) -> String {
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(unix_ns)).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// For drawing and ratios: a double holds 15 digits, no figure here needs more than six.
#[expect(
    clippy::cast_precision_loss,
    reason = "a double holds 15 digits, no figure here needs more than six"
)]
pub(super) const fn as_float(number: u64) -> f64 {
    number as f64
}

fn grouped(text: &str) -> String {
    let (whole, rest) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::with_capacity(text.len() + text.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if index > 0 && left.is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(GROUP);
        }
        grouped.push(digit);
    }
    if let Some(rest) = rest {
        grouped.push('.');
        grouped.push_str(rest);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_exact_and_grouped() {
        assert_eq!(microseconds(12_345), "12.345");
        assert_eq!(microseconds(200_000_007), "200\u{202f}000.007");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
    }

    #[test]
    fn a_duration_has_the_unit_that_fits() {
        for (ns, text) in [
            (0, "0\u{a0}ns"),
            (999, "999\u{a0}ns"),
            (12_345, "12.35\u{a0}µs"),
            (200_000_000, "200\u{a0}ms"),
            (1_500_000_000, "1.5\u{a0}s"),
            (4_000_000_000_000, "4\u{202f}000\u{a0}s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn a_single_loss_among_millions_is_not_zero() {
        assert_eq!(percent(0.0), "0\u{a0}%");
        assert_eq!(percent(1e-8), "< 0.0001\u{a0}%");
        assert_eq!(percent(0.001_996), "0.1996\u{a0}%");
        assert_eq!(percent(0.999_999_9), "> 99.99\u{a0}%");
        assert_eq!(percent(1.0), "100\u{a0}%");
    }

    #[test]
    fn a_percentile_is_named_by_its_nines() {
        for (rarity, name) in
            [(1.0, "p0"), (2.0, "p50"), (10.0, "p90"), (1_000.0, "p99.9"), (100_000.0, "p99.999")]
        {
            assert_eq!(percentile(rarity), name);
        }
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(moment(1_763_892_053_000_000_000), "2025-11-23 10:00:53 UTC");
    }
}

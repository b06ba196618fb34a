//! The noise of cores for people, the quietest first.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Noise, Report};

/// How many kinds of interrupts are named.
const KINDS_MAX: usize = 3;

pub(super) fn of(report: &Report) -> String {
    let mut text = format!(
        "gaps over {} ns between readings of the {}, the quietest core first\n\n\
         {:>4} {:>10} {:>9} {:>9} {:>9} {:>10} {:>12} {:>12} {:>8}\n",
        report.threshold_ns,
        report.clock,
        "core",
        "gaps/s",
        "lost %",
        "p50 µs",
        "p99 µs",
        "max µs",
        "waited µs/s",
        "stolen µs/s",
        "switches"
    );
    for noise in &report.cores {
        row(&mut text, noise);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn row(text: &mut String, noise: &Noise) {
    let seconds = noise.seconds.max(f64::MIN_POSITIVE);
    let microseconds = |ns: u64| ns as f64 / 1_000.0;
    let a_second = |ns: Option<u64>| {
        ns.map_or_else(|| "unknown".to_owned(), |ns| format!("{:.1}", microseconds(ns) / seconds))
    };
    // A string takes whatever is written to it.
    let _always = writeln!(
        text,
        "{:>4} {:>10.1} {:>9.4} {:>9.2} {:>9.2} {:>10.2} {:>12} {:>12} {:>8}",
        noise.core,
        noise.gaps as f64 / seconds,
        noise.lost_ratio * 100.0,
        microseconds(noise.gap_p50_ns),
        microseconds(noise.gap_p99_ns),
        microseconds(noise.gap_max_ns),
        a_second(noise.run_delay_ns),
        a_second(noise.steal_ns),
        noise.involuntary_switches
    );
    for (what, counts) in [("interrupts", &noise.interrupts), ("softirqs", &noise.softirqs)] {
        let _always = writeln!(text, "       {what}/s: {}", most(counts, seconds));
    }
}

/// The most frequent kinds.
#[expect(clippy::cast_precision_loss, reason = "shown without digits behind the point")]
fn most(counts: &BTreeMap<String, u64>, seconds: f64) -> String {
    let mut kinds: Vec<_> = counts.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named =
        kinds.iter().take(KINDS_MAX).map(|(name, count)| format!("{name} {:.0}", **count as f64 / seconds));
    let named: Vec<_> = named.collect();
    if named.is_empty() { "none".to_owned() } else { named.join(", ") }
}

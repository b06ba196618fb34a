//! The table for people: what was asked, how it was measured, what became of the questions, every figure.
//!
//! ```text
//!   192.0.2.1 udp:7, 64 payload bytes
//!     open loop, poisson at 5000/s, answers within 1 s
//!     by socket: connected UDP socket, spin
//!     stamps by TSC: user space, before send(2); user space, after recv(2)
//!     sent 5000 = answered 5000 + lost 0 + late 0; loss 0.0000 %; 5000/s for 1.000 s
//!     µs               min      mean       p50       p90       p99     p99.9    p99.99       max   samples
//!     response       8.614     9.685     8.575    12.703    27.454    49.647         –    56.522      5000
//!     rtt            8.182     …
//! ```
//!
//! What has no samples has no row, and a figure that the samples do not carry is a dash. In an open loop the response
//! time comes first, because it is what a client of the server would have seen. No line is wider than [`WIDTH`].

use std::fmt;

use super::{Interval, Report};
use crate::figures::Figures;

/// Columns of the widest line.
const WIDTH: usize = 100;

/// RFC 8219 7.2 and 7.3.1 ask for at least so many runs.
const RFC8219_RUNS: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = self.setting_lines().into_iter();
        for line in setting.chain(self.fate_lines()).chain(self.end_line()) {
            write_wrapped(out, &line)?;
        }
        self.write_figures(out)?;
        for line in self.standard_lines().into_iter().chain(self.interval_lines()).chain(self.stalled_line())
        {
            write_wrapped(out, &line)?;
        }
        self.own_error.to_string().lines().try_for_each(|line| write_wrapped(out, line))
    }
}

impl Report {
    /// Whom and what, when, by which means.
    pub(super) fn setting_lines(&self) -> Vec<String> {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let signed = if self.is_authenticated { ", authenticated" } else { "" };
        let Self { target, protocol, size_bytes, backend, means, wait, clock, .. } = self;
        vec![
            format!("{target} {protocol}{port}, {size_bytes} payload bytes{signed}"),
            format!("  {}, answers within {}", self.schedule_words(), seconds(self.timeout_ns)),
            format!("  by {backend}: {means}, {wait}{}", way(self.nic.as_deref(), self.driver.as_deref())),
            format!("  stamps by {clock}: {}; {}", self.sent_stamp, self.received_stamp),
        ]
    }

    fn schedule_words(&self) -> String {
        match (self.rate_from_per_second.zip(self.rate_to_per_second), self.window) {
            (Some((from, to)), _) if from.to_bits() == to.to_bits() => {
                format!("open loop, {} at {}/s", self.schedule, rounded(from))
            }
            (Some((from, to)), _) => {
                format!("open loop, {} from {}/s to {}/s", self.schedule, rounded(from), rounded(to))
            }
            (None, Some(1) | None) => "closed loop, one question at a time".to_owned(),
            (None, Some(window)) => format!("closed loop, {window} questions under way"),
        }
    }

    fn fate_lines(&self) -> Vec<String> {
        let Self { sent, answered, lost, late, .. } = self;
        let percent = |ratio: Option<f64>| {
            ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.4} %", ratio * 100.0))
        };
        let rate = self.sent_per_second.unwrap_or_default();
        let loss = percent(self.loss_ratio);
        let took = seconds(self.asking_ns);
        let runs = match self.repeats.len() {
            0 | 1 => String::new(),
            runs => format!(" in {runs} runs"),
        };
        let mut lines = vec![format!(
            "  sent {sent} = answered {answered} + lost {lost} + late {late}; loss {loss}; {rate:.0}/s for {took}{runs}"
        )];
        let notes = [
            ("abandoned", self.abandoned),
            ("dropped by the probe's own end", self.overruns.unwrap_or(0)),
            ("never sent for want of pace", self.unsent),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("corrupted", self.corrupted),
            ("unmatched", self.unmatched),
            ("refused", self.refused),
            ("unstamped", self.unstamped),
            ("partial checksums", self.partial_checksums),
        ];
        let seen: Vec<String> = notes
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        if !seen.is_empty() {
            lines.push(format!("  {}", seen.join(", ")));
        }
        lines
    }

    fn end_line(&self) -> Option<String> {
        match self.ended.as_str() {
            "done" => None,
            "stopped" => Some("  STOPPED before its end: what was measured until then".to_owned()),
            failed => Some(format!("  ENDED EARLY, {failed}")),
        }
    }

    /// The quantities that have samples, the one that matters most first.
    pub(super) fn write_figures(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantities = [
            ("response", &self.response),
            ("rtt", &self.rtt),
            ("network", &self.network),
            ("residence", &self.residence),
            ("PDV", &self.pdv),
            ("|IPDV|", &self.ipdv),
        ];
        write!(out, "  {:<9}", "µs")?;
        for (name, _) in self.rtt.named() {
            write!(out, "{name:>10}")?;
        }
        writeln!(out, "{:>9}", "samples")?;
        let is_shown = |name: &str, figures: &Figures| figures.samples > 0 || name == "rtt";
        for (name, figures) in quantities.into_iter().filter(|(name, figures)| is_shown(name, figures)) {
            write!(out, "  {name:<9}")?;
            for (_, ns) in figures.named() {
                write!(out, "{:>10}", ns.map_or_else(|| "–".to_owned(), microseconds))?;
            }
            writeln!(out, "{:>9}", figures.samples)?;
        }
        if self.response.samples > 0 {
            writeln!(
                out,
                "  response: from the instant at which a question was to be sent; rtt: from its sending stamp"
            )?;
        }
        Ok(())
    }

    /// The figures that have a standard's name.
    fn standard_lines(&self) -> Vec<String> {
        let jitter = self
            .jitter_rfc3550_ns
            .map(|ns| format!("  jitter {} µs (RFC 3550 6.4.1, of round trips)", microseconds(ns)));
        let standard = self.worst_case_latency_ns.zip(self.pdv_rfc8219_ns).map(|(worst, pdv)| {
            let typical = self.typical_latency_ns.map_or_else(|| "–".to_owned(), microseconds);
            let runs = self.repeats.len();
            let few = if runs < RFC8219_RUNS {
                format!(" ({runs} of the {RFC8219_RUNS} runs that it asks for)")
            } else {
                format!(" ({runs} runs)")
            };
            let (worst, pdv) = (microseconds(worst), microseconds(pdv));
            format!("  RFC 8219 µs: typical latency {typical}, worst-case latency {worst}, PDV {pdv}{few}")
        });
        jitter.into_iter().chain(standard).collect()
    }

    /// Several runs: what they have in common.
    fn interval_lines(&self) -> Vec<String> {
        let keys = [
            "response_p50_ns",
            "response_p99_ns",
            "response_p99_9_ns",
            "rtt_p50_ns",
            "rtt_p99_ns",
            "rtt_p99_9_ns",
        ];
        let found = keys.iter().filter_map(|key| Some((*key, self.intervals.get(*key)?)));
        found.map(|(key, interval)| interval_line(key, interval)).collect()
    }

    fn stalled_line(&self) -> Option<String> {
        let runs = self.repeats.len();
        (self.stalled_runs > 0 && runs > 1)
            .then(|| format!("  STALLED in {} of {runs} runs; the worst of them:", self.stalled_runs))
    }
}

fn interval_line(key: &str, Interval { low, median, high, confidence, runs }: &Interval) -> String {
    let name = key.trim_end_matches("_ns").replace("_p", " p").replace("99_", "99.");
    let median = microseconds(*median);
    match (low, high, confidence) {
        (Some(low), Some(high), Some(confidence)) => {
            let (low, high, percent) = (microseconds(*low), microseconds(*high), confidence * 100.0);
            format!("  {name} over {runs} runs: {median} µs, {low} to {high} with {percent:.1} % confidence")
        }
        _ => format!("  {name} over {runs} runs: {median} µs; an interval needs 6 runs"),
    }
}

/// Nanoseconds as microseconds, in nine columns at the most up to the longest time-out: exact below 0.1 s.
pub(super) fn microseconds(ns: u64) -> String {
    let (whole, part) = (ns / 1_000, ns % 1_000);
    match whole {
        0..100_000 => format!("{whole}.{part:03}"),
        100_000..10_000_000 => format!("{whole}.{}", part / 100),
        _ => whole.to_string(),
    }
}

/// The interface, where there is one, and its driver.
pub(crate) fn way(nic: Option<&str>, driver: Option<&str>) -> String {
    match (nic, driver) {
        (Some(nic), Some(driver)) => format!(", on {nic} ({driver})"),
        (Some(nic), None) => format!(", on {nic}"),
        (None, _) => String::new(),
    }
}

/// A rate to the thousandth of a question per second: a part of one that was searched has no end.
fn rounded(rate: f64) -> f64 {
    (rate * 1_000.0).round() / 1_000.0
}

fn seconds(ns: u64) -> String {
    let (whole, ms) = (ns / 1_000_000_000, ns / 1_000_000 % 1_000);
    if ms == 0 { format!("{whole} s") } else { format!("{whole}.{ms:03} s") }
}

/// Writes a line that may be too wide: on several, broken between words and indented further.
pub(super) fn write_wrapped(out: &mut fmt::Formatter<'_>, line: &str) -> fmt::Result {
    let indent = line.len() - line.trim_start().len();
    let mut column = indent;
    write!(out, "{:indent$}", "")?;
    for (place, word) in line.split_whitespace().enumerate() {
        let width = word.chars().count();
        if place > 0 && column + 1 + width > WIDTH {
            column = indent + 4;
            write!(out, "\n{:column$}", "")?;
        } else if place > 0 {
            column += 1;
            out.write_str(" ")?;
        }
        column += width;
        out.write_str(word)?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_takes_nine_columns_at_the_most() {
        for (ns, shown) in [
            (0, "0.000"),
            (12_345, "12.345"),
            (99_999_999, "99999.999"),
            (100_000_099, "100000.0"),
            (9_999_999_999, "9999999.9"),
            (60_000_000_000, "60000000"),
        ] {
            assert_eq!(microseconds(ns), shown);
            assert!(shown.len() <= 9);
        }
    }

    #[test]
    fn a_line_that_is_too_wide_is_broken_between_words() {
        struct Line(String);
        impl fmt::Display for Line {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_wrapped(out, &self.0)
            }
        }
        let text = Line(format!("  {}", "word ".repeat(50).trim_end())).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= WIDTH), "{text}");
        assert!(lines[0].starts_with("  word") && lines[1].starts_with("      word"), "{text}");
        assert_eq!(text.split_whitespace().count(), 50);
        assert_eq!(Line("  short  one".to_owned()).to_string(), "  short one\n");
    }
}

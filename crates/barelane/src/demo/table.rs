//! The outcome as a person reads it.

use std::fmt;

use super::ROUNDS;
use super::outcome::{Figures, Outcome};
use super::row::{Row, SIZE};

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "round trips over a virtual link, one question at a time, {SIZE} bytes of payload,")?;
        writeln!(
            out,
            "by one client socket, the last row excepted; medians of {ROUNDS} interleaved rounds\n"
        )?;
        writeln!(
            out,
            "{:<28} {:>9} {:>9} {:>9} {:>9} {:>6} {:>6}",
            "", "p50 µs", "p99 µs", "p50 ratio", "answered", "lost", "wrong"
        )?;
        self.figures().iter().try_for_each(|figures| write_row(out, figures))?;
        writeln!(out, "\nBarelane: {}", self.server(Row::LaneUdp))?;
        write!(out, "ratio: p50 over that of \"{}\" in the same round", Row::REFERENCE.title())
    }
}

fn write_row(out: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    let ratio = figures.p50_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
    writeln!(
        out,
        "{:<28} {:>9} {:>9} {:>9} {:>9} {:>6} {:>6}",
        figures.row.title(),
        microseconds(figures.p50_ns),
        microseconds(figures.p99_ns),
        ratio,
        figures.answered,
        figures.lost,
        figures.wrong
    )
}

fn microseconds(ns: Option<u64>) -> String {
    ns.map_or_else(|| "–".to_owned(), |ns| format!("{}.{:02}", ns / 1_000, ns % 1_000 / 10))
}

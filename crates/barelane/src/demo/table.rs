//! The outcome as a person reads it.

use std::fmt;

use super::asking::SIZE;
use super::outcome::{Measured, Outcome, RowOutcome, Spread};
use super::row::{LOOPBACK_REFERENCE, REFERENCE};

/// Where a figure is not known.
const DASH: &str = "–";

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "round trips, one question at a time, {SIZE} bytes of payload; medians of {} interleaved rounds\n",
            self.round_count
        )?;
        writeln!(
            out,
            "{:<28} {:>8} {:>8}  {:^18} {:>9} {:>5} {:>5}  {:<24} {:<6} clock",
            "", "p50 µs", "p99 µs", "p50 ratio", "answered", "lost", "wrong", "mode", "driver"
        )?;
        self.rows.iter().filter(|row| !row.lacks_privileges).try_for_each(|row| self.write_row(out, row))?;
        self.write_without_privileges(out)?;
        writeln!(out)?;
        self.write_list(out, "answered by", |last| &last.served.server)?;
        self.write_list(out, "asked by", |last| &last.part.client)?;
        self.write_stalls(out)?;
        let [reference, loopback] = [REFERENCE, LOOPBACK_REFERENCE].map(|name| self.title_of(name));
        writeln!(out, "ratio: min–median–max of the p50 over that of \"{reference}\" in the same round;")?;
        writeln!(out, "where sockperf's client asks, over that of its own server;")?;
        writeln!(
            out,
            "where no cable is between (memif, loopback), over that of \"{loopback}\": another path by another"
        )?;
        write!(
            out,
            "client, which says what two programs on one host have otherwise, and nothing of memif beside memif"
        )
    }
}

impl Outcome {
    /// The rows that need a cable, where none can be laid: all for one reason.
    fn write_without_privileges(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = self.rows.iter().filter(|row| row.lacks_privileges).peekable();
        let Some(why) = rows.peek().and_then(|row| row.not_measured.clone()) else { return Ok(()) };
        writeln!(out, "{} rows more are not measured: {why}", rows.count())
    }

    fn write_row(&self, out: &mut fmt::Formatter<'_>, outcome: &RowOutcome) -> fmt::Result {
        let title = outcome.row.title;
        let Some(last) = outcome.last() else {
            let why = outcome.not_measured.as_deref().unwrap_or("it was not its turn");
            return writeln!(out, "{title:<28} not measured: {why}");
        };
        let figures = self.figures(outcome);
        writeln!(
            out,
            "{title:<28} {:>8} {:>8}  {:^18} {:>9} {:>5} {:>5}  {:<24} {:<6} {}",
            microseconds(figures.p50_ns),
            microseconds(figures.p99_ns),
            ratio(figures.p50_ratio),
            figures.answered,
            figures.lost,
            figures.wrong,
            last.served.mode,
            outcome.driver.as_deref().unwrap_or(DASH),
            last.part.clock
        )?;
        if let (Some(network), Some(residence)) = (figures.network_p50_ns, figures.residence_p50_ns) {
            let [network, residence] = [network, residence].map(|ns| microseconds(Some(ns)));
            writeln!(
                out,
                "{:<28} of it at p50: network {network} µs, residence in the server {residence} µs",
                ""
            )?;
        }
        match &outcome.not_measured {
            Some(why) => writeln!(out, "{:<28} not measured any more: {why}", ""),
            None => Ok(()),
        }
    }

    /// How often the client itself was not there, which stands in its longest round trips.
    fn write_stalls(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.rows.iter().filter_map(|row| Some((row, self.figures(row).stalled_rounds?)));
        let (stalled, all) =
            told.fold((0, 0), |(stalled, all), (row, count)| (stalled + count, all + row.rounds.len()));
        let meaning = if stalled > 0 { ", which stands in its p99 there" } else { "" };
        writeln!(out, "the probe itself stood still in {stalled} of {all} parts{meaning}")
    }

    /// What the rows have of one kind, each once.
    fn write_list(
        &self,
        out: &mut fmt::Formatter<'_>,
        kind: &str,
        what: fn(&Measured) -> &String,
    ) -> fmt::Result {
        let mut seen: Vec<&str> = Vec::new();
        for text in self.rows.iter().filter_map(RowOutcome::last).map(what) {
            if !seen.contains(&text.as_str()) {
                seen.push(text);
            }
        }
        seen.iter().enumerate().try_for_each(|(index, text)| {
            let label = if index == 0 { kind } else { "" };
            writeln!(out, "{label:<12} {text}")
        })
    }
}

fn ratio(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || DASH.to_owned(),
        |Spread { min, median, max }| format!("{min:.2}–{median:.2}–{max:.2}"),
    )
}

fn microseconds(ns: Option<u64>) -> String {
    ns.map_or_else(|| DASH.to_owned(), |ns| format!("{}.{:02}", ns / 1_000, ns % 1_000 / 10))
}

//! The figures as tables of words: what `--once` prints, and what the screen is made of.

use std::cmp::Reverse;
use std::fmt;

use super::figures::{Depths, Figures, Flow, NicCount, Stream, StreamFates};
use super::units::{age, count, rate, time};
use crate::error::printable;

mod waits;

pub use waits::{clocks, waits};

/// A table: every row has as many cells as its head.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it is about.
    pub title: &'static str,
    /// Which time its rates and times are of, where that is to be said.
    pub head: Vec<&'static str>,
    /// Its rows, top down.
    pub rows: Vec<Vec<String>>,
    /// How many columns, from the left, are words; the others are numbers.
    pub words: usize,
    /// What is said where there is no row.
    pub nothing: &'static str,
}

/// The one line that says who this is.
pub fn title(figures: &Figures) -> String {
    let facts = &figures.facts;
    let seconds = figures.published_unix_ns.saturating_sub(figures.began_unix_ns) / 1_000_000_000;
    let copies = if facts.zero_copy == "yes" { "zero-copy" } else { "copy" };
    let state = if figures.is_served { "up" } else { "ENDED after" };
    let link = if matches!(facts.link.as_str(), "" | "up") {
        String::new()
    } else {
        format!("link {}, ", facts.link)
    };
    printable(&format!(
        "{} ({}, {} {copies}), {link}tier {}, process {}, {state} {}, version {}",
        facts.nic,
        facts.driver_name,
        facts.mode,
        facts.tier,
        figures.process,
        age(seconds),
        facts.version
    ))
}

/// The line that says what happens.
pub fn flow(name: &str, flow: &Flow) -> String {
    let [received, replied, passed, dropped] =
        [flow.received_per_second, flow.replied_per_second, flow.passed_per_second, flow.dropped_per_second]
            .map(rate);
    format!(
        "{name:<7} {received:>6}/s in = {replied:>6} answered + {passed:>6} passed + {dropped:>6} dropped"
    )
}

/// One row a lane.
pub fn lanes(figures: &Figures) -> Table {
    let row = |lane: &super::figures::Lane| {
        let recent = &lane.residence_recent;
        let Depths { rx, fill, .. } = lane.depths;
        vec![
            lane.index.to_string(),
            lane.core.to_string(),
            lane.queue.to_string(),
            rate(lane.flow.received_per_second),
            rate(lane.flow.replied_per_second),
            rate(lane.flow.dropped_per_second),
            count(rx),
            count(fill),
            time(recent.p50_ns),
            time(recent.p99_ns),
            time(recent.p999_ns),
            time(lane.residence.max_ns),
            count(lane.stall_count),
        ]
    };
    Table {
        title: "lanes",
        head: vec![
            "lane", "core", "q", "rx/s", "answ/s", "drop/s", "rx", "fill", "p50", "p99", "p99.9", "max",
            "stalls",
        ],
        rows: figures.lanes.iter().map(row).collect(),
        words: 0,
        nothing: "no lanes",
    }
}

/// One row for each kind of answer that was given.
pub fn answers(figures: &Figures) -> Table {
    let given = figures.answers.iter().filter(|answer| answer.lane_count + answer.driver_count > 0);
    let row = |answer: &super::figures::Answer| {
        let recent = &answer.residence_recent;
        vec![
            printable(&answer.name),
            rate(answer.per_second),
            count(answer.lane_count),
            count(answer.driver_count),
            time(recent.p50_ns),
            time(recent.p99_ns),
            time(recent.p999_ns),
            time(answer.residence.max_ns),
        ]
    };
    Table {
        title: "answers",
        head: vec!["answer", "now/s", "by lane", "in driver", "p50", "p99", "p99.9", "max"],
        rows: given.map(row).collect(),
        words: 1,
        nothing: "nothing was answered yet",
    }
}

/// One row for each reason to drop that has occurred.
pub fn drops(figures: &Figures) -> Table {
    let row = |drop: &super::figures::Drop| {
        vec![
            drop.tier.to_owned(),
            printable(&drop.reason),
            printable(&drop.sentence),
            count(drop.count),
            rate(drop.per_second),
        ]
    };
    Table {
        title: "drops",
        head: vec!["tier", "reason", "because", "drops", "now/s"],
        rows: figures.drops.iter().map(row).collect(),
        words: 3,
        nothing: "nothing was dropped",
    }
}

/// One row for each of the last stalls, the newest first.
pub fn stalls(figures: &Figures) -> Table {
    let mut all: Vec<_> = figures
        .lanes
        .iter()
        .flat_map(|lane| lane.stalls.iter().map(move |stall| (lane.index, stall)))
        .collect();
    all.sort_by_key(|(_, stall)| Reverse(stall.began_unix_ns));
    let row = |(lane, stall): &(u64, &super::figures::Stall)| {
        let ago = figures.published_unix_ns.saturating_sub(stall.began_unix_ns);
        vec![
            lane.to_string(),
            stall.cause.to_string(),
            time(Some(stall.length_ns)),
            time(Some(ago)),
            time(Some(stall.counted_over_ns)),
            time(stall.usage.run_delay_ns),
        ]
    };
    Table {
        title: "stalls",
        head: vec!["lane", "cause", "length", "ago", "counted over", "waited"],
        rows: all.iter().map(row).collect(),
        words: 2,
        nothing: "no stall",
    }
}

/// One row a route.
pub fn routes(figures: &Figures) -> Table {
    let row = |(number, route): (usize, &super::figures::Route)| {
        vec![
            (number + 1).to_string(),
            printable(&route.route),
            printable(&route.tier),
            rate(route.taken_per_second),
            count(route.answered),
            count(route.unanswered),
        ]
    };
    Table {
        title: "routes",
        head: vec!["route", "what", "tier", "asked/s", "answered", "not"],
        rows: figures.routes.iter().enumerate().map(row).collect(),
        words: 3,
        nothing: "no routes",
    }
}

/// One row for each count of each queue that is not zero, and for each loss that the card has counted itself.
pub fn queues(figures: &Figures) -> Table {
    let counted = figures
        .queues
        .iter()
        .flat_map(|queue| queue.counts.iter().map(move |(name, count)| (queue.queue, name, *count)));
    // A queue's counts begin with the server, for its socket does.
    let row = |(queue, name, number): (u64, &String, u64)| {
        vec![queue.to_string(), "socket".to_owned(), printable(name), count(number), count(number)]
    };
    let card = figures.card.iter().flat_map(|card| {
        let link = card.link.iter().map(|count| ("link", count));
        link.chain(card.driver.iter().map(|count| ("driver", count)))
    });
    let lost = card.filter(|(_, count)| count.is_loss && count.count > 0);
    Table {
        title: "kernel",
        head: vec!["queue", "by", "counted beside the lane", "since start", "count"],
        rows: counted
            .filter(|(.., count)| *count > 0)
            .map(row)
            .chain(lost.map(|(by, count)| card_row(by, count)))
            .collect(),
        words: 3,
        nothing: "the kernel counted nothing",
    }
}

/// One row for all streams of a protocol and lane, and one for each stream, who lost most first.
pub fn streams(figures: &Figures) -> Table {
    let told = || figures.lanes.iter().filter_map(|lane| Some((lane.index, lane.streams.as_ref()?)));
    let all = told().flat_map(|(lane, streams)| {
        let begun = streams.protocols.iter().filter(|totals| totals.begun > 0);
        begun.map(move |totals| {
            let name = format!("all of lane {lane}");
            stream_row(name, totals.protocol.to_owned(), &totals.fates, totals.jitter_ns, None)
        })
    });
    let mut each: Vec<&Stream> = told().flat_map(|(_, streams)| &streams.streams).collect();
    each.sort_by_key(|stream| Reverse((stream.fates.lost, stream.last_seen_unix_ns)));
    let each = each.into_iter().map(|stream| {
        let session = if stream.ssid == 0 { String::new() } else { format!(" {}", stream.ssid) };
        let quiet = figures.published_unix_ns.saturating_sub(stream.last_seen_unix_ns);
        let of = format!("{}{session}", stream.protocol);
        stream_row(printable(&stream.source), of, &stream.fates, stream.jitter_ns, Some(quiet))
    });
    Table {
        title: "streams",
        head: vec!["sender", "of", "received", "lost", "twice", "late", "anew", "jitter", "quiet"],
        rows: all.chain(each).collect(),
        words: 2,
        nothing: if told().next().is_some() {
            "no question that carries a sequence has come"
        } else {
            "streams are not told apart here: serve --streams 1024"
        },
    }
}

fn stream_row(
    sender: String,
    of: String,
    fates: &StreamFates,
    jitter_ns: Option<u64>,
    quiet_ns: Option<u64>,
) -> Vec<String> {
    let StreamFates { received, lost, duplicate, late, restarts, .. } = *fates;
    let [received, lost, twice, late, anew] = [received, lost, duplicate, late, restarts].map(count);
    vec![sender, of, received, lost, twice, late, anew, time(jitter_ns), time(quiet_ns)]
}

/// A loss that the card has counted, by the kernel's count of every interface or by its driver's own.
fn card_row(by: &str, lost: &NicCount) -> Vec<String> {
    let queue = lost.queue.map_or_else(|| "-".to_owned(), |queue| queue.to_string());
    vec![queue, by.to_owned(), printable(&lost.name), count(lost.since_start), count(lost.count)]
}

/// How many stalls are printed: the newest. All that are kept stand in the JSON form.
const STALLS_PRINTED: usize = 10;

/// The same of streams, those that lost most.
const STREAMS_PRINTED: usize = 20;

/// All of it as text.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a Figures);

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.0;
        writeln!(out, "{}", title(figures))?;
        writeln!(out, "{}", flow("lanes", &figures.lanes_flow()))?;
        write!(out, "{}", flow("driver", &figures.driver))?;
        let mut stalls = stalls(figures);
        stalls.rows.truncate(STALLS_PRINTED);
        let mut streams = streams(figures);
        streams.rows.truncate(STREAMS_PRINTED);
        write!(out, "\n\n{}", lanes(figures))?;
        if figures.facts.has_stamps() {
            write!(out, "\n\n{}\n{}", waits(figures), clocks(figures))?;
        }
        let tables = [answers(figures), drops(figures), queues(figures), stalls, routes(figures), streams];
        tables.iter().try_for_each(|table| write!(out, "\n\n{table}"))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return write!(out, "{}: {}", self.title, self.nothing);
        }
        let widths = self.widths();
        let head: Vec<String> = self.head.iter().map(ToString::to_string).collect();
        self.fmt_row(&head, &widths, out)?;
        self.rows.iter().try_for_each(|row| {
            writeln!(out)?;
            self.fmt_row(row, &widths, out)
        })
    }
}

impl Table {
    /// How wide each column is.
    pub fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            let head = self.head.get(column).map_or(0, |head| head.chars().count());
            cells.max().unwrap_or(0).max(head)
        };
        (0..self.head.len()).map(width).collect()
    }

    fn fmt_row(&self, cells: &[String], widths: &[usize], out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            if column < self.words {
                write!(out, "{gap}{cell:<width$}")?;
            } else {
                write!(out, "{gap}{cell:>width$}")?;
            }
        }
        Ok(())
    }
}

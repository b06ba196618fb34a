//! What was asked of whom and how it was measured, in words; and in what several runs were not alike.

use maud::{Markup, html};
use probe::Report;

use super::Run;
use super::units;

/// One line of the setting: what it is, what it was, and whether figures of runs that differ in it can be compared.
struct Line {
    name: &'static str,
    value: String,
    weight: Weight,
}

/// What it means when two runs differ in something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// It is what a comparison is made for.
    Subject,
    /// It moves the figures by itself, so that a difference may come from it alone.
    Confounder,
    /// It moves no figure.
    None,
}

/// What was asked, as a title.
pub(super) fn title(report: &Report) -> String {
    format!("{}, {}", report.target, protocol(report))
}

/// How the questions followed each other.
pub(super) fn schedule(report: &Report) -> String {
    match report.schedule.as_str() {
        "closed" => closed(report),
        "periodic" => format!("open loop, evenly spaced, {}", rate(report)),
        "poisson" => format!("open loop, Poisson arrivals, {}", rate(report)),
        other => other.to_owned(),
    }
}

fn closed(report: &Report) -> String {
    let window = match report.window {
        Some(1) | None => "one question under way".to_owned(),
        Some(window) => format!("{} questions under way", units::count(window.into())),
    };
    match report.gap_ns {
        Some(gap) if gap > 0 => format!("closed loop, {window}, {} between", units::duration(gap)),
        _ => format!("closed loop, {window}"),
    }
}

fn rate(report: &Report) -> String {
    let from = report.rate_from_per_second.unwrap_or_default();
    let to = report.rate_to_per_second.unwrap_or(from);
    if (from - to).abs() < f64::EPSILON {
        format!("{} a second", units::significant(from))
    } else {
        format!("from {} to {} a second", units::significant(from), units::significant(to))
    }
}

fn protocol(report: &Report) -> String {
    let name = match report.protocol.as_str() {
        "icmp" if report.target.contains(':') => "ICMPv6 echo",
        "icmp" => "ICMP echo",
        "udp" => "UDP echo",
        "stamp" => "STAMP",
        "sockperf" => "sockperf",
        other => other,
    };
    report.port.map_or_else(|| name.to_owned(), |port| format!("{name}, port {port}"))
}

fn lines(run: &Run) -> Vec<Line> {
    use Weight::{Confounder, None, Subject};
    let line = |name, value: String, weight| Line { name, value, weight };
    let report = &run.report;
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "none, or not known".to_owned());
    let beside = run.beside.iter().map(|(name, value)| line(*name, value.clone(), Subject));
    let of_report = vec![
        line("Target", report.target.clone(), Subject),
        line("Protocol", protocol(report), Subject),
        line("Payload", format!("{} bytes", units::count(report.size_bytes)), Confounder),
        line("Schedule", schedule(report), Confounder),
        line("Time-out", format!("{}, then lost", units::duration(report.timeout_ns)), Confounder),
        line("Backend", format!("{}: {}", report.backend, report.means), Confounder),
        line("Waits by", wait(&report.wait), Confounder),
        line("Interface", known(&report.nic), None),
        line("Driver", known(&report.driver), Confounder),
        line("Clock", report.clock.clone(), Confounder),
        line("Stamp at sending", report.sent_stamp.clone(), Confounder),
        line("Stamp at receiving", report.received_stamp.clone(), Confounder),
        line("Length", units::duration(report.wall_ns), None),
        line("Began", units::moment(report.began_unix_ns), None),
        line("Seed", report.seed.clone(), None),
    ];
    beside.chain(of_report).collect()
}

fn wait(name: &str) -> String {
    match name {
        "block" => "block: sleeps in the kernel".to_owned(),
        "spin" => "spin: asks again and again".to_owned(),
        other => other.to_owned(),
    }
}

/// The setting of one run.
pub(super) fn list(run: &Run) -> Markup {
    html! {
        dl.setting {
            @for line in lines(run) {
                div { dt { (line.name) } dd { (line.value) } }
            }
        }
    }
}

/// A warning where runs differ in something that moves figures by itself.
pub(super) fn warning(runs: &[Run]) -> Markup {
    let all: Vec<Vec<Line>> = runs.iter().map(lines).collect();
    let (_, different) = alike_and_different(&all);
    let confounders: Vec<String> = different
        .iter()
        .filter_map(|row| row.first().filter(|line| line.weight == Weight::Confounder))
        .map(|line| line.name.to_lowercase())
        .collect();
    html! {
        @if !confounders.is_empty() {
            div.notice.warning role="note" {
                p { strong { "Not measured alike." } " These runs differ in " strong { (confounders.join(", ")) }
                    ". A difference of figures may come from that alone." }
            }
        }
    }
}

/// In what several runs differ, and what they share.
pub(super) fn comparison(runs: &[Run]) -> Markup {
    let all: Vec<Vec<Line>> = runs.iter().map(lines).collect();
    let (alike, different) = alike_and_different(&all);
    html! {
        @if !different.is_empty() {
            div.scroll tabindex="0" role="group" aria-label="What differs" {
                table.words {
                    caption { "What differs" }
                    thead { tr { th scope="col" { "Setting" } @for run in runs { th scope="col" { (run.name) } } } }
                    tbody {
                        @for row in &different {
                            tr {
                                th scope="row" { (row.first().map_or("", |line| line.name)) }
                                @for line in row { td { (line.value) } }
                            }
                        }
                    }
                }
            }
        }
        @if !alike.is_empty() {
            h3 { "What is the same" }
            dl.setting { @for line in alike { div { dt { (line.name) } dd { (line.value) } } } }
        }
    }
}

/// The lines that are the same in all runs, and each of the others with every run's value.
fn alike_and_different(all: &[Vec<Line>]) -> (Vec<&Line>, Vec<Vec<&Line>>) {
    let (mut alike, mut different) = (Vec::new(), Vec::new());
    let Some((first, others)) = all.split_first() else { return (alike, different) };
    for (index, line) in first.iter().enumerate() {
        let row: Vec<&Line> =
            [line].into_iter().chain(others.iter().filter_map(|run| run.get(index))).collect();
        if row.iter().all(|other| other.value == line.value) {
            alike.push(line);
        } else {
            different.push(row);
        }
    }
    (alike, different)
}

//! The head of a page: whom was asked what and when, the figures most looked for, and what spoils them.

use maud::{Markup, html};
use probe::Report;
use probe::figures::Interval;

use super::Run;
use super::quantity::Quantity;
use super::{setting, units};

/// The head of a page of one run.
pub(super) fn of_one(run: &Run, title: &str) -> Markup {
    let report = &run.report;
    html! {
        header {
            p.brand { "barelane probe" @if title != setting::title(report) && title != report.target { " · " (title) } }
            h1 { (setting::title(report)) }
            p.lede { (lede(report)) }
            (notices(run, None))
            (tiles(report))
        }
    }
}

/// The head of a page of several runs.
pub(super) fn of_several(runs: &[Run], title: &str) -> Markup {
    html! {
        header {
            p.brand { "barelane probe" }
            h1 { (title) }
            p.lede { "Every ratio is against the first, " strong { (first_name(runs)) }
                ". Where the intervals of two runs overlap, or where there is none, no difference is claimed." }
            @for run in runs { (notices(run, Some(&run.name))) }
            (setting::warning(runs))
        }
    }
}

fn first_name(runs: &[Run]) -> &str {
    runs.first().map_or("", |run| run.name.as_str())
}

fn lede(report: &Report) -> String {
    let when = units::moment(report.began_unix_ns);
    let runs = match report.repeats.len() {
        0 | 1 => String::new(),
        several => format!(" in {several} runs"),
    };
    let (sent, length) = (units::count(report.sent), units::duration(report.wall_ns));
    let article = if report.schedule == "closed" { "a" } else { "an" };
    format!(
        "{sent} questions{runs}, {length} long, on {when}. Asked in {article} {}.",
        setting::schedule(report)
    )
}

/// What spoils a run, in words. A page that shows figures without these would hide it.
fn notices(run: &Run, name: Option<&str>) -> Markup {
    let report = &run.report;
    let of = name.map_or_else(String::new, |name| format!("{name}: "));
    html! {
        @if run.is_stalled() { (stalled(report, &of)) }
        @if report.ended != "done" {
            div.notice.warning role="note" { p { strong { (of) "Ended early." } " " (report.ended) } }
        }
        @if report.corrupted > 0 {
            div.notice.stalled role="note" {
                p { strong { (of) "WRONG ANSWERS." } " " (units::count(report.corrupted))
                    " answers did not carry what was asked." }
            }
        }
        @if report.answered == 0 {
            div.notice.stalled role="note" {
                p { strong { (of) "NO ANSWERS." } " None of " (units::count(report.sent)) " questions was answered." }
            }
        }
    }
}

fn stalled(report: &Report, of: &str) -> Markup {
    let own = &report.own_error;
    let runs = report.repeats.len();
    html! {
        div.notice.stalled role="note" {
            p {
                strong { (of) "STALLED." } " The probe itself stood still "
                @if own.stall_count == 1 { "once" } @else { (units::count(own.stall_count)) " times" }
                ", for up to " (units::duration(own.stall_max_ns))
                @if runs > 1 { " in the worst run; " (report.stalled_runs) " of " (runs) " runs stalled" }
                ". The largest figures may be the probe's own, not the target's."
            }
        }
    }
}

/// The figures most looked for, large.
fn tiles(report: &Report) -> Markup {
    let quantity = Quantity::judged(report);
    let figures = quantity.of(report);
    let shown = [
        ("p50", figures.p50_ns, "p50_ns"),
        ("p99", figures.p99_ns, "p99_ns"),
        ("p99.9", figures.p99_9_ns, "p99_9_ns"),
        ("longest", figures.max_ns, "max_ns"),
    ];
    html! {
        section.tiles aria-label="In short" {
            p.over { strong { (quantity.name()) } ", " (quantity.meaning()) "; " (units::count(figures.samples)) " samples" }
            dl {
                @for (name, ns, key) in shown {
                    div {
                        dt { (name) }
                        dd { (large(ns)) (interval(report, &format!("{}_{key}", quantity.key()))) }
                    }
                }
                div { dt { "lost" } dd { (loss(report)) } }
            }
        }
    }
}

fn large(ns: Option<u64>) -> Markup {
    html! {
        @match ns.map(units::parts) {
            Some((number, unit)) => span.number { (number) " " span.unit { (unit) } },
            None => { span.number aria-hidden="true" { "–" } span.note { "too few samples" } }
        }
    }
}

fn loss(report: &Report) -> Markup {
    let lost = report.lost + report.late;
    let number = report.loss_ratio.map_or_else(|| "–".to_owned(), units::percent);
    let (number, unit) = number.rsplit_once('\u{a0}').unwrap_or((&number, ""));
    html! {
        span.number { (number) " " span.unit { (unit) } }
        span.note { @if lost == 0 { "none of " (units::count(report.sent)) } @else { (units::count(lost)) " of " (units::count(report.sent)) } }
    }
}

/// The interval over repeated runs, under its figure.
fn interval(report: &Report, key: &str) -> Markup {
    html! {
        @if let Some(Interval { low: Some(low), high: Some(high), runs, .. }) = report.intervals.get(key) {
            span.note { (units::range(*low, *high)) } span.note { "over " (runs) " runs" }
        }
    }
}

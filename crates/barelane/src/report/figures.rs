//! Every figure of one report, in tables.

use maud::{Markup, html};
use probe::Report;
use probe::figures::Figures;
use probe::report::Outlier;

use super::quantity::Quantity;
use super::units::{self, cell, count};

/// All tables of one run.
pub(super) fn tables(report: &Report) -> Markup {
    html! {
        (latencies(report))
        div.columns {
            (fates(report))
            (variation(report))
        }
        (repeats(report))
        (outliers(report))
    }
}

/// The quantities, one row each: nothing is deeper than its samples carry, so a cell may be empty.
fn latencies(report: &Report) -> Markup {
    let mut rows: Vec<(&str, &str, &Figures)> = Quantity::ALL
        .iter()
        .map(|quantity| (quantity.name(), quantity.meaning(), quantity.of(report)))
        .collect();
    rows.push(("PDV", "round trip above the shortest, RFC 5481 4.2", &report.pdv));
    rows.push(("IPDV", "against the question before, RFC 5481 4.1", &report.ipdv));
    rows.retain(|(_, _, figures)| figures.samples > 0);
    html! {
        div.scroll tabindex="0" role="group" aria-label="Latencies" {
            table.figures {
                caption { "Latencies, in µs" }
                thead {
                    tr {
                        th scope="col" { "Quantity" }
                        th scope="col" { "samples" }
                        @for (name, _) in Figures::default().named() { th scope="col" { (name) } }
                    }
                }
                tbody {
                    @for (name, meaning, figures) in rows {
                        tr {
                            th scope="row" { (name) span.note { (meaning) } }
                            td { (count(figures.samples)) }
                            @for (_, ns) in figures.named() { (cell(ns)) }
                        }
                    }
                }
            }
        }
    }
}

/// What became of the questions: the law first, then what came beside it.
fn fates(report: &Report) -> Markup {
    let law = [
        ("sent", report.sent),
        ("= answered in time", report.answered),
        ("+ lost", report.lost),
        ("+ late", report.late),
        ("abandoned, of the lost", report.abandoned),
        ("dropped by the probe's own end", report.overruns.unwrap_or(0)),
        ("never sent, for want of pace", report.unsent),
    ];
    let beside = [
        ("duplicated", report.duplicated),
        ("reordered", report.reordered),
        ("corrupted", report.corrupted),
        ("unmatched", report.unmatched),
        ("refused", report.refused),
        ("partial checksums", report.partial_checksums),
        ("unstamped", report.unstamped),
    ];
    let per_second = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), units::significant);
    html! {
        table.pairs {
            caption { "What became of the questions" }
            tbody {
                @for (name, number) in law { tr { th scope="row" { (name) } td { (count(number)) } } }
                tr.rule { th scope="row" { "loss, RFC 7680" } td { (report.loss_ratio.map_or_else(|| "–".to_owned(), units::percent)) } }
                @for (name, number) in beside { tr { th scope="row" { (name) } td { (count(number)) } } }
                tr.rule { th scope="row" { "sent a second" } td { (per_second(report.sent_per_second)) } }
                tr { th scope="row" { "answered a second" } td { (per_second(report.answered_per_second)) } }
            }
        }
    }
}

/// How much the latency varies, by the names of the standards, and the split of STAMP.
fn variation(report: &Report) -> Markup {
    let rows = [
        ("typical latency", "RFC 8219 7.2", report.typical_latency_ns),
        ("worst-case latency", "RFC 8219 7.2", report.worst_case_latency_ns),
        ("PDV", "RFC 8219 7.3.1", report.pdv_rfc8219_ns),
        ("jitter", "RFC 3550 6.4.1", report.jitter_rfc3550_ns),
        ("PDV p99.9", "RFC 5481 4.2", report.pdv.p99_9_ns),
        ("IPDV p99.9", "RFC 5481 4.1", report.ipdv.p99_9_ns),
    ];
    html! {
        table.pairs {
            caption { "By the standards' names, in µs" }
            tbody {
                @for (name, source, ns) in rows { tr { th scope="row" { (name) span.note { (source) } } (cell(ns)) } }
            }
        }
    }
}

/// Each of several runs by itself, with the intervals that come of them.
fn repeats(report: &Report) -> Markup {
    html! {
        @if report.repeats.len() > 1 {
            div.scroll tabindex="0" role="group" aria-label="Each run" {
                table.figures {
                    caption { "Each run, round trips in µs" }
                    thead {
                        tr {
                            th scope="col" { "Run" } th scope="col" { "sent" } th scope="col" { "lost or late" }
                            @for (name, _) in Figures::default().named() { th scope="col" { (name) } }
                            th scope="col" { "the probe" }
                        }
                    }
                    tbody {
                        @for (index, run) in report.repeats.iter().enumerate() {
                            tr.stalled[run.was_stalled] {
                                th scope="row" { (index + 1) }
                                td { (count(run.sent)) }
                                td { (count(run.lost + run.late)) }
                                @for (_, ns) in run.rtt.named() { (cell(ns)) }
                                td { @if run.was_stalled { "STALLED" } @else { "kept up" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The longest answers, with what is known about each.
fn outliers(report: &Report) -> Markup {
    let cause = |outlier: &Outlier| {
        outlier.cause.map_or_else(|| "not the probe".to_owned(), |cause| cause.to_string())
    };
    html! {
        @if !report.outliers.is_empty() {
            details {
                summary { "The " (report.outliers.len()) " longest answers, and whether the probe itself caused them" }
                div.scroll tabindex="0" role="group" aria-label="The longest answers" {
                    table.figures {
                        caption { "The longest answers beyond p99.9" }
                        thead {
                            tr {
                                th scope="col" { "Question" } th scope="col" { "run" } th scope="col" { "at, s" }
                                th scope="col" { "round trip, µs" } th scope="col" { "response, µs" }
                                th.words scope="col" { "what held the probe up then" }
                            }
                        }
                        tbody {
                            @for outlier in &report.outliers {
                                tr {
                                    th scope="row" { (count(outlier.sequence)) }
                                    td { (outlier.run + 1) }
                                    td { (format!("{:.3}", units::as_float(outlier.at_ns) / 1e9)) }
                                    (cell(Some(outlier.rtt_ns)))
                                    (cell(outlier.response_ns))
                                    td.words { (cause(outlier)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

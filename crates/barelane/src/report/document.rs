//! The whole page: one file that loads nothing.
//!
//! The page's policy (Content-Security-Policy) forbids every load, and every script and style but those whose
//! SHA-256 stands in it. So a text from a measurement cannot run even if it broke out of its element, and a browser
//! on a machine without a network shows the same page as any other.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Run;
use super::chart::Chart;
use super::curves::Curves;
use super::{comparison, distribution, figures, headline, own_error, setting, timeline};
use crate::web::{self, UPLOT, UPLOT_LICENCE, hash};

const STYLE: &str = web::style!("page.css");
const SCRIPT: &str = web::script!("page.js");

/// The page of these runs, whose curves were decoded from their reports.
pub(super) fn html(runs: &[Run], curves: &[Curves], title: &str) -> Markup {
    let charts = charts(runs, curves);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content={ "barelane " (env!("CARGO_PKG_VERSION")) };
                link rel="icon" href="data:,";
                title { (title) " · barelane probe" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#figures" { "To the figures" }
                main { (body(runs, &charts, title)) }
                (footer())
                script type="application/json" id="chart-data" { (data(&charts)) }
                script { (PreEscaped(UPLOT)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn charts(runs: &[Run], curves: &[Curves]) -> Vec<Chart> {
    let charts = [
        distribution::percentiles(runs, curves),
        timeline::round_trips(runs),
        timeline::losses(runs),
        distribution::histogram(runs, curves),
    ];
    charts.into_iter().flatten().collect()
}

fn body(runs: &[Run], charts: &[Chart], title: &str) -> Markup {
    html! {
        @if let [only] = runs {
            (headline::of_one(only, title))
            (drawn(charts))
            section id="figures" { h2 { "Figures" } (figures::tables(&only.report)) }
            section { h2 { "The probe's own error" } (own_error::section(&only.report.own_error)) }
            section { h2 { "How it was measured" } (setting::list(only)) }
        } @else {
            (headline::of_several(runs, title))
            section { h2 { "Medians and their intervals" } (comparison::intervals(runs)) }
            (drawn(charts))
            section id="figures" { h2 { "Figures side by side" } (comparison::tables(runs)) }
            section { h2 { "How they were measured" } (setting::comparison(runs)) }
            section {
                h2 { "Each by itself" }
                @for run in runs { (by_itself(run)) }
            }
        }
    }
}

fn drawn(charts: &[Chart]) -> Markup {
    html! {
        section.charts {
            h2 { "Curves" }
            p.aside id="chart-keys" { "Point at a chart to read it, drag over it to zoom in. From the keyboard: arrow keys move, + and − zoom, Escape shows all." }
            noscript { p.aside { "Drawing needs JavaScript; the tables below each title say the same." } }
            @for chart in charts { (chart.figure()) }
            @if charts.is_empty() { p.aside { "There is not one answer to draw." } }
        }
    }
}

/// One of several runs, folded away.
fn by_itself(run: &Run) -> Markup {
    html! {
        details.run {
            summary { (run.label()) }
            (figures::tables(&run.report))
            h3 { "The probe's own error" }
            (own_error::section(&run.report.own_error))
            h3 { "How it was measured" }
            (setting::list(run))
        }
    }
}

fn footer() -> Markup {
    html! {
        footer {
            p { "Written by " code { "barelane " (env!("CARGO_PKG_VERSION")) } ". Round trips are never halved into one-way delays. "
                "No percentile is deeper than its samples carry." }
            details {
                summary { "Drawn with uPlot 1.6.32, MIT licence" }
                pre { (UPLOT_LICENCE) }
            }
        }
    }
}

/// What the script draws. Inside a script element only `<` can end it, so none is left; JSON reads the same.
fn data(charts: &[Chart]) -> Markup {
    let json = serde_json::to_string(charts).unwrap_or_else(|_| "[]".to_owned());
    PreEscaped(json.replace('<', "\\u003c"))
}

fn policy() -> String {
    let scripts = [UPLOT, SCRIPT].map(hash).join(" ");
    format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; script-src {scripts}; style-src {}",
        hash(STYLE)
    )
}

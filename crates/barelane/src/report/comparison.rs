//! Several runs side by side: each figure with its ratio to the first, and whether a difference is shown at all.
//!
//! A difference is claimed only where both runs were repeated often enough to have an interval for the figure, and
//! the two intervals do not overlap. That is stricter than a test of two medians at the same confidence, and it can
//! be seen with the naked eye: the whiskers stand beside the words.

use maud::{Markup, html};
use probe::figures::{Figures, Interval};

use super::Run;
use super::quantity::Quantity;
use super::units::{self, as_float, count};

/// What two runs' intervals of one figure say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Lower,
    Higher,
    /// The intervals overlap: what is seen may be chance.
    NotShown,
    /// One of the two has no interval.
    NoInterval,
}

impl Verdict {
    fn of(first: Option<&Interval>, other: Option<&Interval>) -> Self {
        let ends = |interval: Option<&Interval>| {
            let interval = interval?;
            Some((interval.low?, interval.high?))
        };
        match (ends(first), ends(other)) {
            (Some((low, _)), Some((_, high))) if high < low => Self::Lower,
            (Some((_, high)), Some((low, _))) if low > high => Self::Higher,
            (Some(_), Some(_)) => Self::NotShown,
            _ => Self::NoInterval,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Lower => "▼ lower",
            Self::Higher => "▲ higher",
            Self::NotShown => "intervals overlap",
            Self::NoInterval => "no interval",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Lower => "verdict lower",
            Self::Higher => "verdict higher",
            Self::NotShown | Self::NoInterval => "verdict open",
        }
    }
}

/// How many colours there are for runs, as many as `page.css` has.
const INK_COUNT: usize = 6;

/// The figures of all runs side by side: open those that a report is judged by, the others folded away.
pub(super) fn tables(runs: &[Run]) -> Markup {
    let judged = judged(runs);
    let measured = |quantity: &Quantity| runs.iter().any(|run| quantity.of(&run.report).samples > 0);
    html! {
        (side_by_side(runs, judged))
        (fates(runs))
        @for quantity in Quantity::ALL.into_iter().filter(measured).filter(|quantity| *quantity != judged) {
            details.run { summary { (quantity.name()) ", side by side" } (side_by_side(runs, quantity)) }
        }
    }
}

/// The quantity by which these runs are compared: what all of them have.
fn judged(runs: &[Run]) -> Quantity {
    let has_response = |run: &Run| Quantity::judged(&run.report) == Quantity::Response;
    if runs.iter().all(has_response) { Quantity::Response } else { Quantity::RoundTrip }
}

fn side_by_side(runs: &[Run], quantity: Quantity) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(quantity.name()) {
            table.figures.ratios {
                caption { (quantity.name()) ", in µs" }
                (head(runs, "Figure"))
                tbody {
                    @for (index, (name, _)) in Figures::default().named().into_iter().enumerate() {
                        tr {
                            th scope="row" { (name) }
                            @for run in runs { (ratio_cell(runs.first(), run, quantity, index)) }
                        }
                    }
                    tr.rule {
                        th scope="row" { "samples" }
                        @for run in runs { td { (count(quantity.of(&run.report).samples)) } }
                    }
                }
            }
        }
    }
}

fn head(runs: &[Run], corner: &str) -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { (corner) }
                @for (ink, run) in runs.iter().enumerate() { th scope="col" { (swatch(ink)) (run.label()) } }
            }
        }
    }
}

/// The run's colour, beside its name.
fn swatch(ink: usize) -> Markup {
    html! { span class={ "swatch ink-" (ink % INK_COUNT) } aria-hidden="true" {} }
}

fn ratio_cell(first: Option<&Run>, run: &Run, quantity: Quantity, index: usize) -> Markup {
    let value = |run: &Run| quantity.of(&run.report).named().get(index).and_then(|(_, ns)| *ns);
    let is_first = first.is_some_and(|first| std::ptr::eq(first, run));
    let Some(ns) = value(run) else { return units::cell(None) };
    let ratio = first.and_then(value).and_then(|reference| units::factor(reference, ns));
    let key = key(quantity, index);
    let interval = |run: &Run| key.as_ref().and_then(|key| run.report.intervals.get(key)).cloned();
    let verdict = Verdict::of(first.and_then(interval).as_ref(), interval(run).as_ref());
    html! {
        td {
            (units::microseconds(ns))
            @match (is_first, ratio) {
                (true, _) => span.note { "the reference" },
                (false, Some(ratio)) => span.note { strong { (ratio) } " " span class=(verdict.class()) { (verdict.words()) } },
                (false, None) => span.note { "no ratio" },
            }
        }
    }
}

/// The key of one of a quantity's figures, as the JSON form has it.
fn key(quantity: Quantity, index: usize) -> Option<String> {
    const KEYS: [&str; 8] = ["min", "mean", "p50", "p90", "p99", "p99_9", "p99_99", "max"];
    KEYS.get(index).map(|figure| format!("{}_{figure}_ns", quantity.key()))
}

/// A count of a report: its name, and where it is.
type Count = (&'static str, fn(&probe::Report) -> u64);

/// What became of each run's questions.
fn fates(runs: &[Run]) -> Markup {
    let rows: [Count; 7] = [
        ("sent", |report| report.sent),
        ("answered in time", |report| report.answered),
        ("lost", |report| report.lost),
        ("late", |report| report.late),
        ("duplicated", |report| report.duplicated),
        ("reordered", |report| report.reordered),
        ("corrupted", |report| report.corrupted),
    ];
    html! {
        div.scroll tabindex="0" role="group" aria-label="What became of the questions" {
            table.figures {
                caption { "What became of the questions, and how the probe did" }
                (head(runs, "Count"))
                tbody {
                    @for (name, of) in rows {
                        tr { th scope="row" { (name) } @for run in runs { td { (count(of(&run.report))) } } }
                    }
                    tr.rule {
                        th scope="row" { "loss" }
                        @for run in runs { td { (run.report.loss_ratio.map_or_else(|| "–".to_owned(), units::percent)) } }
                    }
                    tr {
                        th scope="row" { "the probe" }
                        @for run in runs {
                            td.stalled[run.is_stalled()] {
                                @if run.is_stalled() { "STALLED" } @else { "kept up" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The intervals drawn: a dot for the median over a run's repeats, a whisker for its interval.
pub(super) fn intervals(runs: &[Run]) -> Markup {
    let panels: Vec<Markup> =
        ["p50", "p99", "p99_9"].iter().filter_map(|figure| panel(runs, figure)).collect();
    html! {
        @if panels.is_empty() {
            p.aside { "No run was repeated often enough, so no figure has an interval: measure with " code { "--repeat 6" }
                " or more to know which differences are not chance." }
        } @else {
            div.panels { @for panel in panels { (panel) } }
        }
    }
}

/// One figure's intervals, on a scale of their own that begins at nothing.
fn panel(runs: &[Run], figure: &str) -> Option<Markup> {
    let quantity = judged(runs);
    let key = format!("{}_{figure}_ns", quantity.key());
    let whisker = |run: &Run| run.report.intervals.get(&key).and_then(Whisker::of);
    let end = as_float(runs.iter().filter_map(whisker).map(|whisker| whisker.high).max()?) * 1.04;
    let place = move |ns: u64| format!("{:.2}%", as_float(ns) / end * 100.0);
    Some(html! {
        section.panel {
            h3 { (quantity.name()) ", " (figure.replace('_', ".")) }
            @for (ink, run) in runs.iter().enumerate() {
                div.row {
                    span.name { (run.label()) }
                    @if let Some(whisker) = whisker(run) {
                    svg class={ "whisker ink-" (ink % INK_COUNT) } aria-hidden="true" {
                        line.track x1="0" x2="100%" y1="50%" y2="50%" {}
                        line x1=(place(whisker.low)) x2=(place(whisker.high)) y1="50%" y2="50%" {}
                        circle cx=(place(whisker.median)) cy="50%" r="4.5" {}
                    }
                    span.value { (units::duration(whisker.median)) }
                    span.note { (units::range(whisker.low, whisker.high)) }
                    } @else { span.none { "no interval: too few runs" } }
                }
            }
        }
    })
}

/// An interval that has both ends.
#[derive(Clone, Copy, Debug)]
struct Whisker {
    low: u64,
    median: u64,
    high: u64,
}

impl Whisker {
    fn of(interval: &Interval) -> Option<Self> {
        Some(Self { low: interval.low?, median: interval.median, high: interval.high? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: u64, high: u64) -> Interval {
        Interval {
            low: Some(low),
            median: low.midpoint(high),
            high: Some(high),
            confidence: Some(0.96),
            runs: 6,
        }
    }

    #[test]
    fn a_difference_is_claimed_only_where_the_intervals_are_apart() {
        let first = interval(10, 12);
        for (other, verdict) in [
            (interval(5, 9), Verdict::Lower),
            (interval(13, 20), Verdict::Higher),
            (interval(12, 14), Verdict::NotShown),
            (interval(1, 30), Verdict::NotShown),
        ] {
            assert_eq!(Verdict::of(Some(&first), Some(&other)), verdict, "{other:?}");
        }
    }

    #[test]
    fn without_an_interval_no_difference_is_claimed() {
        let open = Interval { low: None, ..interval(1, 2) };
        assert_eq!(Verdict::of(Some(&interval(10, 12)), Some(&open)), Verdict::NoInterval);
        assert_eq!(Verdict::of(None, Some(&interval(1, 2))), Verdict::NoInterval);
    }
}

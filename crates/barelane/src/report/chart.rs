//! A chart: what is drawn, as data for the page's script, and the same as a table for whoever cannot see it.

use maud::{Markup, html};
use serde::Serialize;

/// One chart. Serialized it is what `page.js` draws.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    pub(super) id: &'static str,
    pub(super) height: u16,
    pub(super) shape: Shape,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Charts of one name share their cursor.
    pub(super) sync: Option<&'static str>,
    pub(super) marks: Vec<Mark>,
    /// What can be chosen between, the first at first.
    pub(super) views: Vec<View>,
    #[serde(skip)]
    pub(super) words: Words,
}

/// What a chart says around its lines.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) title: &'static str,
    /// How it is read, in a sentence or two.
    pub(super) text: String,
    /// What there is to choose between, where there are several views.
    pub(super) choice: &'static str,
}

/// How points become marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shape {
    /// Joined.
    Line,
    /// Level from each point to the next.
    Steps,
    /// One bar each.
    Bars,
}

/// What an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Nanoseconds; each tick says its own unit.
    Latency,
    /// 1/(1 − p).
    Percentile,
    Seconds,
    Count,
    /// A part of all, from 0 to 1.
    Share,
}

/// One axis.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Axis {
    pub(super) kind: Kind,
    pub(super) label: &'static str,
    pub(super) log: bool,
    pub(super) from_zero: bool,
}

/// A stretch of the x axis that is marked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Mark {
    pub(super) from: f64,
    pub(super) to: f64,
}

/// Lines that are shown together.
#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) tables: Vec<Table>,
}

/// Series over the same points of the x axis.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) x: Vec<f64>,
    /// How each point of the x axis is called.
    pub(super) labels: Vec<String>,
    pub(super) series: Vec<Series>,
}

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    pub(super) name: String,
    /// Which colour and dashes it has.
    pub(super) ink: usize,
    /// Whether its points are drawn by themselves, not joined.
    pub(super) is_dotted: bool,
    pub(super) y: Vec<Option<f64>>,
}

impl Chart {
    /// The chart's place in the page, its controls, and its table.
    pub(super) fn figure(&self) -> Markup {
        let readout = format!("{}-readout", self.id);
        html! {
            figure id=(self.id) {
                figcaption {
                    h3 { (self.words.title) }
                    p { (self.words.text) }
                }
                div.controls hidden {
                    (self.view_choice())
                    (self.scale_choice())
                    button.whole type="button" hidden { "Show all" }
                }
                ul.legend {}
                div.plot tabindex="0" role="group" aria-roledescription="chart"
                    aria-label=(self.words.title) aria-describedby="chart-keys" {}
                p.readout id=(readout) aria-live="polite" {}
                (self.details())
            }
        }
    }

    fn view_choice(&self) -> Markup {
        html! {
            @if self.views.len() > 1 {
                fieldset {
                    legend { (self.words.choice) }
                    @for (index, view) in self.views.iter().enumerate() {
                        label {
                            input type="radio" name={ (self.id) "-view" } data-view=(index) checked[index == 0];
                            span { (view.name) }
                        }
                    }
                }
            }
        }
    }

    /// Latencies can be looked at on either scale; a count of one or of millions only on a logarithmic one.
    fn scale_choice(&self) -> Markup {
        html! {
            @if self.y.kind == Kind::Latency {
                fieldset {
                    legend { "Scale" }
                    @for (name, is_log) in [("log", true), ("linear", false)] {
                        label {
                            input type="radio" name={ (self.id) "-scale" } data-log=(is_log) checked[is_log == self.y.log];
                            span { (name) }
                        }
                    }
                }
            }
        }
    }

    fn details(&self) -> Markup {
        html! {
            details {
                summary { "The same as a table" }
                @for view in &self.views {
                    @for table in &view.tables {
                        div.scroll tabindex="0" role="group" aria-label=(self.name_of(view, table)) {
                            (self.table(view, table))
                        }
                    }
                }
            }
        }
    }

    /// What a table is called for who hears it: no two of a page alike.
    fn name_of(&self, view: &View, table: &Table) -> String {
        let of = match (view.tables.len(), table.series.first()) {
            (2.., Some(series)) => format!(", {}", series.name),
            _ => String::new(),
        };
        format!("{}, {}{of}, as a table", self.words.title, view.name)
    }

    fn table(&self, view: &View, table: &Table) -> Markup {
        html! {
            table {
                caption { @if self.views.len() > 1 { (view.name) } @else { (self.words.title) } }
                thead {
                    tr {
                        th scope="col" { (self.x.label) }
                        @for series in &table.series { th scope="col" { (series.name) ", " (self.y.kind.unit()) } }
                    }
                }
                tbody {
                    @for (index, label) in table.labels.iter().enumerate() {
                        @let row = table.series.iter().map(|series| series.y.get(index).copied().flatten());
                        @if row.clone().any(|value| value.is_some_and(|value| value != 0.0)) || self.shape == Shape::Line {
                            tr {
                                th scope="row" { (label) }
                                @for value in row { td { (self.y.kind.text(value)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Kind {
    const fn unit(self) -> &'static str {
        match self {
            Self::Latency => "µs",
            Self::Percentile => "1/(1 − p)",
            Self::Seconds => "s",
            Self::Count => "number",
            Self::Share => "%",
        }
    }

    fn text(self, value: Option<f64>) -> String {
        let Some(value) = value else { return "–".to_owned() };
        match self {
            Self::Latency => format!("{:.3}", value / 1_000.0),
            Self::Share => format!("{:.6}", value * 100.0),
            Self::Percentile | Self::Seconds | Self::Count => format!("{value}"),
        }
    }
}

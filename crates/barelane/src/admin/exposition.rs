//! Metrics as text, in both forms that Prometheus reads: OpenMetrics 1.0, and the older text format 0.0.4, which `promtool` and
//! many agents know alone.
//!
//! By hand: `prometheus-client` writes the first form only, and `prometheus` the second. The two differ in what a family of
//! counters is called in its head, in units, and in the last line.

use std::fmt;

use telemetry::Histogram;

use super::residence::Cumulative;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Form {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// A number of which nobody says whether it only grows.
    Unknown,
    Info,
    Histogram,
}

impl Kind {
    /// Its name in OpenMetrics; the older form knows no info, which is a gauge of 1 there.
    const fn name(self, form: Form) -> &'static str {
        match (self, form) {
            (Self::Counter, _) => "counter",
            (Self::Info, Form::OpenMetrics) => "info",
            (Self::Gauge | Self::Info, _) => "gauge",
            (Self::Unknown, Form::OpenMetrics) => "unknown",
            (Self::Unknown, Form::Prometheus) => "untyped",
            (Self::Histogram, _) => "histogram",
        }
    }

    /// What the samples' names have behind the family's.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Unknown | Self::Histogram => "",
        }
    }
}

/// What a sample says.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(u64),
    /// A time in nanoseconds, which is written in seconds, exactly.
    Ns(u64),
    Residence(Box<Histogram>),
}

/// A name and a value; the value may be any text.
pub(super) type Label = (&'static str, String);

/// Metrics of one name.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// Without the suffix of its kind.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What its name ends with, where that is a unit.
    pub(super) unit: String,
    pub(super) help: String,
    pub(super) samples: Vec<(Vec<Label>, Value)>,
}

impl Family {
    /// Its name with the suffix of its kind: what is asked for in queries, and for histograms the beginning of that.
    pub(super) fn full_name(&self) -> String {
        format!("{}{}", self.name, self.kind.suffix())
    }

    pub(super) fn write(&self, out: &mut impl fmt::Write, form: Form) -> fmt::Result {
        let full_name = self.full_name();
        let name = if form == Form::OpenMetrics { &self.name } else { &full_name };
        writeln!(out, "# HELP {name} {}", escaped(&self.help))?;
        writeln!(out, "# TYPE {name} {}", self.kind.name(form))?;
        if form == Form::OpenMetrics && !self.unit.is_empty() {
            writeln!(out, "# UNIT {name} {}", self.unit)?;
        }
        for (labels, value) in &self.samples {
            match value {
                Value::Number(number) => sample(out, &full_name, labels, number)?,
                Value::Ns(ns) => sample(out, &full_name, labels, Seconds(*ns))?,
                Value::Residence(histogram) => residence(out, &full_name, labels, histogram)?,
            }
        }
        Ok(())
    }
}

fn residence(out: &mut impl fmt::Write, name: &str, labels: &[Label], histogram: &Histogram) -> fmt::Result {
    let bucket = format!("{name}_bucket");
    for (le_ns, count) in Cumulative(histogram) {
        let le = le_ns.map_or_else(|| "+Inf".to_owned(), |ns| Seconds(ns).to_string());
        sample(out, &bucket, &[labels, &[("le", le)]].concat(), count)?;
    }
    sample(out, &format!("{name}_sum"), labels, Seconds(histogram.sum()))?;
    sample(out, &format!("{name}_count"), labels, histogram.count())
}

fn sample(out: &mut impl fmt::Write, name: &str, labels: &[Label], value: impl fmt::Display) -> fmt::Result {
    write!(out, "{name}")?;
    for (index, (label, text)) in labels.iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        write!(out, "{before}{label}=\"{}\"", escaped(text))?;
    }
    writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" })
}

/// As it may stand between quotes, and in a help: in one line.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Nanoseconds in seconds, all digits, and none that says nothing.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        out.write_str(digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_seconds_to_the_last_digit() {
        for (ns, text) in [(0, "0"), (256, "0.000000256"), (1_500_000_000, "1.5"), (10_000_000_000, "10")] {
            assert_eq!(Seconds(ns).to_string(), text);
        }
        assert_eq!(Seconds(u64::MAX).to_string(), "18446744073.709551615");
    }

    #[test]
    fn a_label_may_be_any_text_and_stays_in_its_line() {
        let mut text = String::new();
        sample(&mut text, "a", &[("b", "c\"d\\e\nf".to_owned()), ("g", String::new())], 7).unwrap();
        assert_eq!(text, "a{b=\"c\\\"d\\\\e\\nf\",g=\"\"} 7\n");
    }
}

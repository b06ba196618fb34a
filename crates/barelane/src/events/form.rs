//! An event as a line for people: the same lines that the program has always said, for scripts rely on them.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `barelane: ` and the line. The typed fields are for JSON: what people need of them stands in the line.
#[derive(Debug)]
pub(super) struct Text;

/// What of an event people see.
#[derive(Debug, Default)]
struct Seen {
    line: String,
    suppressed: u64,
}

impl Visit for Seen {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "suppressed" {
            self.suppressed = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.line = format!("{value:?}");
        }
    }
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut seen = Seen::default();
        event.record(&mut seen);
        let gravity = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        write!(out, "barelane: {gravity}{}", seen.line)?;
        if seen.suppressed > 0 {
            write!(out, " ({} more of this kind before it were not said)", seen.suppressed)?;
        }
        writeln!(out)
    }
}

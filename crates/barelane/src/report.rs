//! The HTML report: one file that shows one measurement, or several side by side, with no network and no server.
//!
//! ```text
//!   A.json ─┐                ┌─ headline   whom, when, how; what spoils the run, in words
//!   B.json ─┼─▶ Run ─▶ page ─┼─ comparison ratios, intervals, what was not alike
//!   a run ──┘                ├─ charts     percentile curve, time series, histogram
//!                            └─ tables     every figure, with its unit and its number of samples
//! ```
//!
//! Everything that a page says is worked out here, and stands in it as text: it can be read without its script, by
//! a screen reader, and on paper. The script only draws. What comes from a JSON file is somebody else's text: the
//! markup is written by `maud`, which escapes it, and the page's policy lets nothing run but the scripts whose
//! hashes stand in it (see [`document`]), so that a hostile target name would have to break both.

use std::path::Path;

use probe::Report;

use crate::args::CompareArguments;
use crate::error::{Error, Wrong};
use crate::{json, say};

mod chart;
mod comparison;
mod curves;
mod distribution;
mod document;
mod figures;
mod headline;
mod own_error;
mod quantity;
mod read;
mod setting;
mod timeline;
mod units;

/// The most runs of one page. More lines than this cannot be told apart in one chart, whatever their colours.
pub const RUN_COUNT_MAX: usize = 12;

/// One measurement, with the name that a page gives it.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is called beside the others: where it was read from, or what was measured.
    pub name: String,
    /// Its figures.
    pub report: Report,
    /// What its report cannot know, as who answered: each with what it is called. All runs of a page have the same ones.
    pub beside: Vec<(&'static str, String)>,
}

impl Run {
    /// A measurement of which nothing is known but its report.
    pub const fn named(name: String, report: Report) -> Self {
        Self { name, report, beside: Vec::new() }
    }

    /// Whether the probe itself stood still long enough to stand in the figures.
    fn is_stalled(&self) -> bool {
        self.report.own_error.was_stalled || self.report.stalled_runs > 0
    }

    /// Its name, with a mark where the probe itself stood still: nowhere on a page shall that be overlooked.
    fn label(&self) -> String {
        if self.is_stalled() { format!("{} (stalled)", self.name) } else { self.name.clone() }
    }
}

/// `barelane probe compare`: reads reports and writes one page of them all.
pub fn compare(arguments: &CompareArguments) -> Result<(), Error> {
    let count = arguments.reports.len();
    if count > RUN_COUNT_MAX {
        let wrong = Wrong::new("FILE.json", format_args!("{count} files")).because("too many for one page");
        return Err(wrong.remedy(format_args!("name at most {RUN_COUNT_MAX}")).into());
    }
    let runs = read::all(&arguments.reports)?;
    let title = match runs.as_slice() {
        [only] => only.name.clone(),
        several => format!("{} measurements compared", several.len()),
    };
    let page = page(&runs, &title)?;
    check(&arguments.report)?;
    json::replace("--report", &arguments.report, &page)?;
    say::note(format_args!("{}: a page of {count} measurements", arguments.report.display()));
    Ok(())
}

/// Refuses a page that could not be written, before anything is measured for it.
pub fn check(path: &Path) -> Result<(), Wrong> {
    json::check_as("--report", path)
}

/// Writes the page of these runs.
///
/// # Errors
/// A run's `hdr_log` cannot be read, or the file cannot be written. What the file held stays then.
pub fn write(path: &Path, runs: &[Run], title: &str) -> Result<(), Error> {
    let page = page(runs, title)?;
    json::replace("--report", path, &page)
}

/// The page of these runs, whole.
///
/// # Errors
/// A run's `hdr_log` cannot be read: its name, and what is wrong.
pub fn page(runs: &[Run], title: &str) -> Result<String, Error> {
    let curves = runs.iter().map(curves::Curves::of).collect::<Result<Vec<_>, _>>()?;
    Ok(document::html(runs, &curves, title).into_string())
}

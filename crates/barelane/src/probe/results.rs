//! What there is to say in the end, where it goes, and whether it is a success.

use std::fmt;

use host::links::Link;
use probe::Report;
use probe::search::SearchReport;

use super::search;
use crate::args::ResultArguments;
use crate::error::{Error, Wrong};
use crate::report::{self, Run};
use crate::{json, say};

/// What there is to say in the end.
#[derive(Debug)]
pub(super) enum Found {
    Runs(Box<Report>),
    Search(Box<SearchReport>),
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs(report) => report.fmt(out),
            Self::Search(report) => report.fmt(out),
        }
    }
}

impl Found {
    /// Says by which interface the questions left.
    pub(super) fn left_by(&mut self, link: &Link) {
        let words = || (Some(link.name.clone()), link.driver_name().map(str::to_owned));
        match self {
            Self::Runs(report) => (report.nic, report.driver) = words(),
            Self::Search(search) => {
                (search.nic, search.driver) = words();
                for latency in &mut search.latency {
                    (latency.report.nic, latency.report.driver) = words();
                }
            }
        }
    }

    /// The measurements, as a page names them.
    fn runs(&self) -> Vec<Run> {
        let run = |name: String, report: &Report| Run::named(name, report.clone());
        match self {
            Self::Runs(report) => vec![run(report.target.clone(), report)],
            Self::Search(search) => {
                let shares = search.latency.iter();
                let named = |share: f64| format!("{} at {:.0} % of its rate", search.target, share * 100.0);
                shares.map(|latency| run(named(latency.share), &latency.report)).collect()
            }
        }
    }

    /// The median and the 99th percentile of the round trips; nothing of a search, which has several.
    pub(super) fn percentiles(&self) -> (Option<u64>, Option<u64>) {
        match self {
            Self::Runs(report) => (report.rtt.p50_ns, report.rtt.p99_ns),
            Self::Search(_) => (None, None),
        }
    }

    fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::Runs(report) => report.to_json(),
            Self::Search(report) => report.to_json(),
        }
    }

    /// Whether that is a success.
    pub(super) fn judge(&self) -> Result<(), Error> {
        match self {
            Self::Runs(report) => judge(report),
            Self::Search(report) => search::judge(report),
        }
    }
}

/// Refuses files that could not be written, before anything is measured for them.
pub(super) fn check(results: &ResultArguments) -> Result<(), Wrong> {
    json::check(results.json.as_deref())?;
    let Some(page) = &results.report else { return Ok(()) };
    if results.json.as_ref() == Some(page) {
        let wrong = Wrong::new("--report", page.display()).because("it is the file of --json as well");
        return Err(wrong.remedy("name two files"));
    }
    report::check(page)
}

/// Writes the files that were asked for.
pub(super) fn write(results: &ResultArguments, found: &Found) -> Result<(), Error> {
    let text = found.to_json().map_err(|error| Error::Failed(error.to_string()))?;
    json::write(results.json.as_deref(), &text)?;
    let Some(page) = &results.report else { return Ok(()) };
    match found.runs().as_slice() {
        [] => say::warn(format_args!("{}: not written, for no latency was measured", page.display())),
        runs @ [first, ..] => report::write(page, runs, &first.name)?,
    }
    Ok(())
}

/// A run without a single right answer has failed, and so has one with a wrong answer.
fn judge(report: &Report) -> Result<(), Error> {
    if report.sent > 0 && report.answered == 0 {
        return Err(Error::Failed(format!("none of {} questions was answered", report.sent)));
    }
    match report.corrupted {
        0 => Ok(()),
        count => Err(Error::Failed(format!("{count} answers were wrong"))),
    }
}

//! The options of a capture, read.

use std::path::PathBuf;
use std::time::Duration;

use lane::tap::{SNAPLEN_MAX, SNAPLEN_MIN};

use super::filter;
use crate::args::CaptureArguments;
use crate::error::Wrong;
use crate::probe::number;

/// The longest time: a day. Who wants more has a file that grows for ever.
const SECONDS_MAX: f64 = 86_400.0;
const SECONDS_MIN: f64 = 0.1;

/// The most that are left out from one question to the next.
const SAMPLE_MAX: u32 = 1_000_000_000;

/// What to capture, and how long.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where to; standard output where it is `-`.
    pub(super) file: PathBuf,
    /// Proven to be a filter.
    pub(super) filter: String,
    /// How many questions.
    pub(super) count: Option<u64>,
    pub(super) time: Option<Duration>,
    pub(super) sample: u32,
    pub(super) snaplen: usize,
    /// Which server, where that was said.
    pub(super) name: Option<String>,
}

impl Settings {
    pub(super) fn new(arguments: &CaptureArguments) -> Result<Self, Wrong> {
        let filter = arguments.filter.clone().unwrap_or_default();
        filter::compile(&filter).map_err(|error| error.of("--filter", &filter))?;
        let seconds = arguments.seconds.as_deref();
        let seconds = seconds.map(|text| number("--seconds", text, SECONDS_MIN, SECONDS_MAX)).transpose()?;
        let count = arguments.count.as_deref();
        Ok(Self {
            file: arguments.write.clone(),
            filter,
            count: count.map(|text| number("--count", text, 1, u64::MAX)).transpose()?,
            time: seconds.map(Duration::from_secs_f64),
            sample: number("--sample", &arguments.sample, 1, SAMPLE_MAX)?,
            snaplen: number("--snaplen", &arguments.snaplen, SNAPLEN_MIN, SNAPLEN_MAX)?,
            name: arguments.name.clone(),
        })
    }
}

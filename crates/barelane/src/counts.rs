//! A lane's counters as a person reads them: what was counted, with the sentence of THE table beside it.

use std::fmt;

use telemetry::{Counters, Kind};

/// Counters to be shown: a line with the fate of all frames, then every counter that is not zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts<'a>(pub(crate) &'a Counters);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [received, replied, passed, dropped] =
            [Kind::Received, Kind::Replied, Kind::Passed, Kind::Dropped].map(|kind| self.0.sum(kind));
        write!(out, "{received} frames = {replied} answered + {passed} passed + {dropped} dropped")?;
        for (counter, count) in self.0.iter().filter(|&(_, count)| count > 0) {
            write_row(out, counter.row().name, count, counter.row().sentence)?;
        }
        Ok(())
    }
}

/// One line of the table, beginning with the end of the line before.
pub(crate) fn write_row(out: &mut fmt::Formatter<'_>, name: &str, count: u64, sentence: &str) -> fmt::Result {
    write!(out, "\n  {name:<24} {count:>14}  {sentence}")
}

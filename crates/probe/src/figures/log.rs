//! Every sample, in a form that other tools read: the interval log of `HdrHistogram`.
//!
//! The format is the one of its own log writers, version 1.3: comments, then a line for each interval with its
//! tag, its beginning and length in seconds, its maximum, and the histogram itself in the V2 encoding, deflated, in
//! base64. Here an interval is a run, and the tag is the quantity. All values are nanoseconds.

use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

/// One line of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The quantity.
    pub(crate) tag: &'static str,
    /// When the run began, from the beginning of the first one.
    pub(crate) at: Duration,
    /// How long it took.
    pub(crate) length: Duration,
    /// The samples.
    pub(crate) histogram: &'a Histogram<u64>,
}

/// The beginning of the log of a measurement that began so long after the Unix epoch.
pub(crate) fn head(began: Duration) -> Result<String, String> {
    let mut head = IntervalLogWriterBuilder::new();
    head.add_comment("[Logged by barelane probe; all values are nanoseconds]");
    head.add_comment("[Histogram log format version 1.3]");
    head.with_start_time(UNIX_EPOCH + began).with_base_time(UNIX_EPOCH + began);
    write(&head, &[])
}

/// Lines to come after it.
pub(crate) fn body(lines: &[Line<'_>]) -> Result<String, String> {
    write(&IntervalLogWriterBuilder::new(), lines)
}

fn write(head: &IntervalLogWriterBuilder, lines: &[Line<'_>]) -> Result<String, String> {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = head.begin_log_with(&mut text, &mut serializer).map_err(|error| error.to_string())?;
    for line in lines {
        log.write_histogram(line.histogram, line.at, line.length, Tag::new(line.tag))
            .map_err(|error| error.to_string())?;
    }
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// All samples of one quantity in a log, those of several runs together; nothing where the log has none of it, or
/// cannot be read.
pub(crate) fn read(text: &str, tag: &str) -> Option<Histogram<u64>> {
    let mut whole: Option<Histogram<u64>> = None;
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        let LogEntry::Interval(line) = entry.ok()? else { continue };
        if line.tag().map(|tag| tag.as_str()) != Some(tag) {
            continue;
        }
        let one = decode(line.encoded_histogram())?;
        match &mut whole {
            Some(sum) => sum.add(one).ok()?,
            None => whole = Some(one),
        }
    }
    whole
}

fn decode(encoded: &str) -> Option<Histogram<u64>> {
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}

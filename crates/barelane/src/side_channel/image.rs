//! One area as it is about to be published: its fields and their values, written down together.
//!
//! The table of fields and the values come from the same lines of code, so that they cannot contradict each other: an area is
//! described once, for the table, and from then on only its bytes are written anew at each publication, into the same memory:
//! memory that is taken and given back makes the kernel interrupt every core of the process, lanes' cores too.

use probe::own_error::Cause;
use telemetry::Histogram;
use telemetry::counters::Row;
use telemetry::stalls::STALLS_KEPT;

use super::areas::{NotedStall, StallFigures};
use super::streams::{LaneStreams, StreamFigures};

/// An area begins with its sequence, and when it was published; its fields begin here.
pub(super) const HEAD_SIZE: usize = 64;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A number that only grows.
    Count,
    /// A number as it is now.
    Gauge,
    /// UTF-8, filled up with zero bytes.
    Text,
    /// The buckets of a histogram of nanoseconds, behind sum, smallest and largest value.
    Histogram,
    /// Number, sum and longest of all stalls, and the last of them.
    Stalls,
    /// Places for streams.
    Streams,
}

impl Form {
    /// Every form with its name in the segment.
    pub(super) const NAMES: [(Self, &str); 6] = [
        (Self::Count, "count"),
        (Self::Gauge, "gauge"),
        (Self::Text, "text"),
        (Self::Histogram, "histogram"),
        (Self::Stalls, "stalls"),
        (Self::Streams, "streams"),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(form, _)| *form == self).map_or("", |(_, name)| name)
    }
}

/// One field of an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What scripts call it.
    pub name: String,
    /// What it holds.
    pub form: Form,
    /// What it says about a frame's fate: a kind of THE counter table; empty for what is no counter.
    pub kind: String,
    /// Where on the packet's road it is counted; empty likewise.
    pub stage: String,
    /// What it is counted in; empty for texts.
    pub unit: String,
    /// What it means, for a reader who has never seen it.
    pub sentence: String,
    /// Where it stands in its area, in bytes.
    pub offset: usize,
    /// How many bytes it has.
    pub size: usize,
}

/// An area's fields, and its bytes from its beginning on.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(super) fields: Vec<Field>,
    pub(super) bytes: Vec<u8>,
    /// Whether the fields are known already.
    is_described: bool,
}

impl Image {
    /// One without fields, to be filled.
    pub(crate) fn new() -> Self {
        Self { fields: Vec::new(), bytes: vec![0; HEAD_SIZE], is_described: false }
    }

    /// Forgets the values; the fields stay, and the same ones must be written again.
    pub(crate) fn restart(&mut self) {
        self.is_described = !self.fields.is_empty();
        self.bytes.truncate(HEAD_SIZE);
    }

    /// A row of THE counter table.
    pub(super) fn counter(&mut self, row: &Row, count: u64) {
        self.begin(row.name, Form::Count, unit_of(row), row.sentence);
        if let Some(field) = self.fields.last_mut().filter(|_| !self.is_described) {
            let (kind, stage) = (format!("{:?}", row.kind), format!("{:?}", row.stage));
            (field.kind, field.stage) = (kind.to_lowercase(), stage.to_lowercase());
        }
        self.end(&[count]);
    }

    /// A number that only grows and stands in no table.
    pub(super) fn count(&mut self, name: &str, unit: &str, sentence: &str, count: u64) {
        self.begin(name, Form::Count, unit, sentence);
        self.end(&[count]);
    }

    /// A number as it is now.
    pub(super) fn gauge(&mut self, name: &str, unit: &str, sentence: &str, value: u64) {
        self.begin(name, Form::Gauge, unit, sentence);
        self.end(&[value]);
    }

    /// A text of at most so many bytes, a multiple of 8. What is longer is cut at a letter.
    pub(super) fn text(&mut self, name: &str, size: usize, sentence: &str, text: &str) {
        self.begin(name, Form::Text, "", sentence);
        let end = (0..=size.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        let begin = self.bytes.len();
        self.bytes.extend(text.as_bytes().get(..end).unwrap_or_default());
        self.bytes.resize(begin + size, 0);
        self.end(&[]);
    }

    /// A histogram of nanoseconds.
    pub(super) fn histogram(&mut self, name: &str, sentence: &str, histogram: &Histogram) {
        self.begin(name, Form::Histogram, "ns", sentence);
        self.end(&[histogram.sum(), histogram.min(), histogram.max()]);
        self.end(histogram.buckets());
    }

    /// The stalls of a lane.
    pub(super) fn stalls(&mut self, name: &str, sentence: &str, stalls: &StallFigures) {
        self.begin(name, Form::Stalls, "ns", sentence);
        self.end(&[stalls.count, stalls.ns, stalls.longest_ns]);
        for place in 0..STALLS_KEPT {
            self.end(&stalls.last.get(place).map_or([0; NotedStall::WORDS], |stall| stall.to_words()));
        }
    }

    /// The streams of a lane.
    pub(super) fn streams(&mut self, name: &str, sentence: &str, streams: &LaneStreams) {
        self.begin(name, Form::Streams, "streams", sentence);
        for place in 0..streams.places {
            let known = streams.known.get(place);
            self.end(&known.map_or([0; StreamFigures::WORDS], |stream| stream.to_words()));
        }
    }

    fn begin(&mut self, name: &str, form: Form, unit: &str, sentence: &str) {
        if self.is_described {
            return;
        }
        self.fields.push(Field {
            name: name.to_owned(),
            form,
            kind: String::new(),
            stage: String::new(),
            unit: unit.to_owned(),
            sentence: sentence.to_owned(),
            offset: self.bytes.len(),
            size: 0,
        });
    }

    /// The field that was begun last has these words too.
    fn end(&mut self, words: &[u64]) {
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        if let Some(field) = self.fields.last_mut().filter(|_| !self.is_described) {
            field.size = self.bytes.len() - field.offset;
        }
    }
}

fn unit_of(row: &Row) -> &'static str {
    match row.stage {
        telemetry::Stage::Turn if row.name.starts_with("turns") => "turns",
        telemetry::Stage::Turn => "tables",
        _ => "frames",
    }
}

/// The number that stands for a cause in the segment, where 0 is none.
pub(super) fn number_of(cause: Cause) -> u64 {
    CAUSES.iter().zip(1..).find(|(known, _)| **known == cause).map_or(0, |(_, number)| number)
}

/// Every cause, in the order of their numbers, which begin with 1.
pub(super) const CAUSES: [Cause; 7] = [
    Cause::NotAsked,
    Cause::Preempted,
    Cause::MajorFault,
    Cause::OffCore,
    Cause::Steal,
    Cause::MinorFault,
    Cause::OnCore,
];

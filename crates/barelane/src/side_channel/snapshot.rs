//! What was read of a segment at one look.

use telemetry::{Histogram, histogram::BUCKET_COUNT};

use super::areas::{NotedStall, StallFigures};
use super::image::{Field, Form};
use super::streams::StreamFigures;

/// All areas of a segment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The process that made it.
    pub process: u64,
    /// When it was made, since 1970.
    pub began_unix_ns: u64,
    /// Its areas, in their order.
    pub areas: Vec<Area>,
}

/// One area, of one instant.
#[derive(Clone, Debug)]
pub struct Area {
    /// What it is of: `server`, `lane`, `queue`, `driver`, `route`, `streams`, …
    pub kind: String,
    /// Its number among those of its kind, from 0.
    pub index: u64,
    /// Its fields, in their order.
    pub fields: Vec<Field>,
    pub(super) bytes: Vec<u8>,
}

impl Snapshot {
    /// The areas of one kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Area> + 'a {
        self.areas.iter().filter(move |area| area.kind == kind)
    }
}

impl Area {
    /// When it was published, since 1970.
    pub fn published_unix_ns(&self) -> u64 {
        self.word_at(8).unwrap_or(0)
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// A count or a gauge; nothing where there is no such field.
    pub fn number(&self, name: &str) -> Option<u64> {
        let field = self.field(name).filter(|field| matches!(field.form, Form::Count | Form::Gauge))?;
        self.word_at(field.offset)
    }

    /// A text, as far as it is UTF-8.
    pub fn text(&self, name: &str) -> Option<String> {
        let bytes = self.bytes_of(name, Form::Text)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
    }

    /// A histogram.
    pub fn histogram(&self, name: &str) -> Option<Histogram> {
        let words = self.words_of(name, Form::Histogram)?;
        let ([sum, min, max], buckets) = words.split_first_chunk()?;
        let buckets: [u64; BUCKET_COUNT] = buckets.try_into().ok()?;
        Some(Histogram::of_buckets(buckets, *sum, *min, *max))
    }

    /// The stalls of a lane, oldest first.
    pub fn stalls(&self, name: &str) -> Option<StallFigures> {
        let words = self.words_of(name, Form::Stalls)?;
        let ([count, ns, longest_ns], entries) = words.split_first_chunk()?;
        let (entries, _) = entries.as_chunks();
        let mut last: Vec<NotedStall> =
            entries.iter().filter_map(|entry| NotedStall::of_words(*entry)).collect();
        last.sort_by_key(|stall| stall.began_unix_ns);
        Some(StallFigures { count: *count, ns: *ns, longest_ns: *longest_ns, last })
    }

    /// The streams of a lane that have a place.
    pub fn streams(&self, name: &str) -> Option<Vec<StreamFigures>> {
        let words = self.words_of(name, Form::Streams)?;
        let (places, _) = words.as_chunks();
        Some(places.iter().filter_map(|words| StreamFigures::of_words(*words)).collect())
    }

    /// The sum of the counts that say this about a frame's fate.
    pub fn sum(&self, kind: &str) -> u64 {
        let counted = self.fields.iter().filter(|field| field.kind == kind);
        counted.filter_map(|field| self.number(&field.name)).fold(0, u64::saturating_add)
    }

    fn word_at(&self, offset: usize) -> Option<u64> {
        self.bytes.get(offset..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
    }

    fn words_of(&self, name: &str, form: Form) -> Option<Vec<u64>> {
        let (words, _) = self.bytes_of(name, form)?.as_chunks::<8>();
        Some(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }

    fn bytes_of(&self, name: &str, form: Form) -> Option<&[u8]> {
        let field = self.field(name).filter(|field| field.form == form)?;
        self.bytes.get(field.offset..field.offset.checked_add(field.size)?)
    }
}

//! Where everything stands in a segment. `docs/side-channel.md` has the same as tables; a test in Python holds the two together.
//!
//! ```text
//!   0        ┌──────────────┐
//!            │ header       │ 16 words: what this is, and where the rest begins
//!            ├──────────────┤
//!            │ area rows    │ one for each area: kind, index, offset, size
//!            ├──────────────┤
//!            │ field rows   │ one for each field of each kind of area
//!            ├──────────────┤
//!            │ texts        │ names, units, sentences
//!            ├──────────────┤
//!            │ areas        │ sequence, time, fields; from here on it changes
//!            └──────────────┘
//! ```
//!
//! All numbers are 64 bits, little-endian. A text is told of by one word: its offset in the file in the lower half, its
//! length in the upper one.

use telemetry::histogram;

use super::image::{CAUSES, Image};

/// What a segment begins with.
pub(super) const MAGIC: [u8; 8] = *b"BARELANE";

/// The layout that this file describes. Fields and areas may be added without a new one: readers go by names.
pub(super) const VERSION: u64 = 2;

/// Words of the header.
pub(super) const HEADER_WORDS: usize = 16;

/// Words of a row of the table of areas, and of that of fields.
pub(super) const AREA_ROW_WORDS: usize = 4;
pub(super) const FIELD_ROW_WORDS: usize = 9;

/// Areas and texts begin at multiples of this: an area shares no cache line with another one.
pub(super) const ALIGNMENT: usize = 128;

const WORD: usize = 8;

/// An area that a segment is to have: its kind, its index among those of its kind, and its fields.
pub(crate) type Wanted = (&'static str, usize, Image);

/// Where each area stands, and all bytes before the first one.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) head: Vec<u8>,
    /// Offset and size of each area.
    pub(super) areas: Vec<(usize, usize)>,
    pub(super) size: usize,
}

/// Who owns the segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) process: u32,
    pub(super) began_unix_ns: u64,
}

impl Layout {
    pub(super) fn new(owner: Owner, wanted: &[Wanted]) -> Self {
        let mut kinds: Vec<&Wanted> = Vec::new();
        for area in wanted {
            if kinds.iter().all(|known| known.0 != area.0) {
                kinds.push(area);
            }
        }
        let field_count: usize = kinds.iter().map(|(_, _, image)| image.fields.len()).sum();
        let areas_at = HEADER_WORDS * WORD;
        let fields_at = areas_at + wanted.len() * AREA_ROW_WORDS * WORD;
        let texts_at = fields_at + field_count * FIELD_ROW_WORDS * WORD;
        let mut texts = Texts { at: texts_at, bytes: Vec::new() };
        // Causes come first, so that the header can say where.
        let causes = CAUSES.map(|cause| texts.put(&cause.to_string()));
        let field_rows: Vec<u64> =
            kinds.iter().flat_map(|(kind, _, image)| field_rows(kind, image, &mut texts)).collect();
        let kind_texts: Vec<u64> = wanted.iter().map(|(kind, ..)| texts.put(kind)).collect();
        let cause_table_at = texts.put_words(&causes);
        let mut end = (texts_at + texts.bytes.len()).next_multiple_of(ALIGNMENT);
        let mut areas = Vec::new();
        for (_, _, image) in wanted {
            areas.push((end, image.bytes.len()));
            end = (end + image.bytes.len()).next_multiple_of(ALIGNMENT);
        }
        let header: [u64; HEADER_WORDS] = [
            u64::from_le_bytes(MAGIC),
            VERSION,
            end as u64,
            owner.process.into(),
            owner.began_unix_ns,
            wanted.len() as u64,
            areas_at as u64,
            (AREA_ROW_WORDS * WORD) as u64,
            field_count as u64,
            fields_at as u64,
            (FIELD_ROW_WORDS * WORD) as u64,
            causes.len() as u64,
            cause_table_at as u64,
            histogram::LINEAR as u64,
            histogram::STEPS as u64,
            histogram::BUCKET_COUNT as u64,
        ];
        let area_rows =
            wanted.iter().zip(&kind_texts).zip(&areas).flat_map(|(((_, index, _), kind), (at, size))| {
                [*kind, *index as u64, *at as u64, *size as u64]
            });
        let words = header.into_iter().chain(area_rows).chain(field_rows);
        let head = words.flat_map(u64::to_le_bytes).chain(texts.bytes).collect();
        Self { head, areas, size: end }
    }
}

/// The rows of one kind's fields.
fn field_rows(kind: &str, image: &Image, texts: &mut Texts) -> Vec<u64> {
    let kind = texts.put(kind);
    let mut rows = Vec::new();
    for field in &image.fields {
        let named = [field.form.name(), &field.name, &field.kind, &field.stage, &field.unit, &field.sentence];
        let [form, name, fate, stage, unit, sentence] = named.map(|text| texts.put(text));
        let (offset, size) = (field.offset as u64, field.size as u64);
        rows.extend([kind, offset, size, form, name, fate, stage, unit, sentence]);
    }
    rows
}

/// The texts of a segment, each once.
#[derive(Debug)]
struct Texts {
    at: usize,
    bytes: Vec<u8>,
}

impl Texts {
    /// Puts a text in, and gives the word that tells of it.
    fn put(&mut self, text: &str) -> u64 {
        let known = self.bytes.windows(text.len().max(1)).position(|window| window == text.as_bytes());
        let place = if text.is_empty() { 0 } else { known.unwrap_or(self.bytes.len()) };
        if known.is_none() {
            self.bytes.extend(text.bytes());
        }
        (self.at + place) as u64 | (text.len() as u64) << 32
    }

    /// Puts words in, and gives their offset in the file.
    fn put_words(&mut self, words: &[u64]) -> usize {
        let end = (self.at + self.bytes.len()).next_multiple_of(WORD);
        self.bytes.resize(end - self.at, 0);
        self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        end
    }
}

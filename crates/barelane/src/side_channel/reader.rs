//! The reader's side of a segment. It believes nothing: every offset is held against the file's size before it is used, every
//! text against UTF-8, every table against a limit. A file that is cut short, written over or made up gives an error that says
//! what is wrong with it, and never more than that.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::Duration;

use telemetry::histogram;

use super::image::{Field, Form, HEAD_SIZE};
use super::layout::{AREA_ROW_WORDS, FIELD_ROW_WORDS, HEADER_WORDS, MAGIC, VERSION};
use super::places::is_owned;
use super::segment::open_to_read;
use super::snapshot::{Area, Snapshot};

/// The largest segment that is read: a thousand lanes have less.
const SIZE_MAX: u64 = 256 << 20;

/// The most rows of a table.
const ROWS_MAX: u64 = 65_536;

/// The longest text.
const TEXT_MAX: u64 = 4_096;

/// How often an area is read that is being written, and how long between: its writer takes some 50 µs, and where it is
/// stopped in the middle of it, as long as that lasts. A hundredth of a second is more than the one and less than one waits for.
const READ_TRIES: usize = 100;
const READ_PAUSE: Duration = Duration::from_micros(100);

/// Why a segment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The kernel refuses.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is something else.
    #[error("{path} is no segment of Barelane: {reason}")]
    NoSegment {
        /// Which file.
        path: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// It is one, of another program.
    #[error(
        "{path} has layout {found}, and this program reads layout {VERSION}: use the barelane that serves"
    )]
    Layout {
        /// Which file.
        path: PathBuf,
        /// The version that it says.
        found: u64,
    },
    /// It is one, and something in it cannot be.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What cannot be.
        reason: String,
    },
    /// An area stays half written.
    #[error("{path}: its server stopped while it wrote the area {area}, and has not gone on")]
    HalfWritten {
        /// Which file.
        path: PathBuf,
        /// Kind and index.
        area: String,
    },
}

/// A segment that is open to be read: its tables hold together, as far as they are used.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    size: u64,
    /// The process that made it.
    pub process: u64,
    /// When it was made, since 1970.
    pub began_unix_ns: u64,
    areas: Vec<AreaRow>,
    fields: Vec<(String, Field)>,
}

#[derive(Debug)]
struct AreaRow {
    kind: String,
    index: u64,
    offset: u64,
    size: usize,
}

impl Reader {
    /// Opens a segment and reads its tables.
    ///
    /// # Errors
    /// It is not there, not a segment, of another layout, or damaged.
    pub fn open(path: &Path) -> Result<Self, SegmentError> {
        let failed = |source| SegmentError::File { path: path.to_owned(), source };
        let file = open_to_read(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut reader = Self {
            file,
            path: path.to_owned(),
            size,
            process: 0,
            began_unix_ns: 0,
            areas: Vec::new(),
            fields: Vec::new(),
        };
        reader.read_tables()?;
        Ok(reader)
    }

    /// Which file it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the server that made it still runs.
    pub fn is_served(&self) -> bool {
        is_owned(&self.file)
    }

    /// Reads all areas: each is of one instant, and they follow each other within milliseconds.
    ///
    /// # Errors
    /// The file was cut short since it was opened, or its server stopped while it wrote.
    pub fn read(&self) -> Result<Snapshot, SegmentError> {
        let areas = self.areas.iter().map(|row| self.read_area(row)).collect::<Result<_, _>>()?;
        Ok(Snapshot { process: self.process, began_unix_ns: self.began_unix_ns, areas })
    }

    fn read_tables(&mut self) -> Result<(), SegmentError> {
        self.check_magic()?;
        let header = self.words(0, HEADER_WORDS as u64, "the header")?;
        let header: [u64; HEADER_WORDS] = header.try_into().map_err(|_| self.damaged("a short header"))?;
        let [_, version, size, process, began, areas @ .., _, _, linear, steps, buckets] = header;
        if version != VERSION {
            return Err(SegmentError::Layout { path: self.path.clone(), found: version });
        }
        if size > self.size {
            return Err(self.damaged(format_args!("it says that it has {size} bytes, and has {}", self.size)));
        }
        if [linear, steps, buckets]
            != [histogram::LINEAR, histogram::STEPS, histogram::BUCKET_COUNT].map(|n| n as u64)
        {
            return Err(self.damaged("its histograms are cut into buckets in another way"));
        }
        (self.process, self.began_unix_ns) = (process, began);
        let [area_count, areas_at, area_row, field_count, fields_at, field_row] = areas;
        for row in self.rows(area_count, areas_at, area_row, AREA_ROW_WORDS, "areas")? {
            let area = self.area_of(&row)?;
            self.areas.push(area);
        }
        for row in self.rows(field_count, fields_at, field_row, FIELD_ROW_WORDS, "fields")? {
            let field = self.field_of(&row)?;
            self.fields.push(field);
        }
        Ok(())
    }

    /// A segment begins with its magic, which its server writes last.
    fn check_magic(&self) -> Result<(), SegmentError> {
        let no_segment = |reason: String| SegmentError::NoSegment { path: self.path.clone(), reason };
        let least = (HEADER_WORDS * 8) as u64;
        if !(least..=SIZE_MAX).contains(&self.size) {
            return Err(no_segment(format!("it has {} bytes; from {least} to {SIZE_MAX} can be", self.size)));
        }
        let begins = self.words(0, 1, "the first word")?;
        match begins.first() {
            Some(0) => {
                Err(no_segment("it does not say so yet: its server is just starting, or died then".into()))
            }
            Some(&word) if word == u64::from_le_bytes(MAGIC) => Ok(()),
            _ => Err(no_segment("it does not begin with BARELANE".into())),
        }
    }

    /// The rows of a table, of each the words that this program knows.
    fn rows(
        &self,
        count: u64,
        at: u64,
        row: u64,
        known: usize,
        of: &str,
    ) -> Result<Vec<Vec<u64>>, SegmentError> {
        if count > ROWS_MAX || row < (known * 8) as u64 || row > TEXT_MAX || at > self.size {
            let reason = format!("the table of {of} has {count} rows of {row} bytes at {at}");
            return Err(self.damaged(reason));
        }
        (0..count).map(|number| self.words(at + number * row, known as u64, of)).collect()
    }

    fn area_of(&self, row: &[u64]) -> Result<AreaRow, SegmentError> {
        let [kind, index, offset, size] = row else { return Err(self.damaged("a short row of an area")) };
        let (kind, size_wanted) = (self.text(*kind)?, *size);
        let end = offset.checked_add(size_wanted).filter(|end| *end <= self.size);
        let size = usize::try_from(size_wanted).ok().filter(|size| *size >= HEAD_SIZE);
        match (end, size) {
            (Some(_), Some(size)) => Ok(AreaRow { kind, index: *index, offset: *offset, size }),
            _ => Err(self.damaged(format_args!(
                "the area {kind} {index} of {size_wanted} bytes at {offset} does not fit into {} bytes",
                self.size
            ))),
        }
    }

    /// A field that fits into every area of its kind.
    fn field_of(&self, row: &[u64]) -> Result<(String, Field), SegmentError> {
        let [of, offset, size, form, name, kind, stage, unit, sentence] = row else {
            return Err(self.damaged("a short row of a field"));
        };
        let [of, form, name, kind, stage, unit, sentence] =
            [of, form, name, kind, stage, unit, sentence].map(|text| self.text(*text));
        let (of, form, name) = (of?, form?, name?);
        let Some((form, _)) = Form::NAMES.iter().find(|(_, known)| *known == form) else {
            return Err(
                self.damaged(format_args!("the field {name} has the form {form}, which there is not"))
            );
        };
        let least = self.areas.iter().filter(|area| area.kind == of).map(|area| area.size).min();
        let end = offset.checked_add(*size).and_then(|end| usize::try_from(end).ok());
        let fits = end.is_some_and(|end| least.is_none_or(|least| end <= least));
        let (Ok(offset), Ok(size), true) = (usize::try_from(*offset), usize::try_from(*size), fits) else {
            return Err(self.damaged(format_args!("the field {name} does not fit into its area {of}")));
        };
        let field = Field {
            name,
            form: *form,
            kind: kind?,
            stage: stage?,
            unit: unit?,
            sentence: sentence?,
            offset,
            size,
        };
        Ok((of, field))
    }

    /// The text that a word tells of.
    fn text(&self, word: u64) -> Result<String, SegmentError> {
        let (at, len) = (word & 0xffff_ffff, word >> 32);
        if len > TEXT_MAX {
            return Err(self.damaged(format_args!("a text of {len} bytes")));
        }
        String::from_utf8(self.bytes(at, len, "a text")?).map_err(|_| self.damaged("a text that is no UTF-8"))
    }

    fn read_area(&self, row: &AreaRow) -> Result<Area, SegmentError> {
        for _ in 0..READ_TRIES {
            let before = self.words(row.offset, 1, &row.kind)?;
            fence(Ordering::Acquire);
            let bytes = self.bytes(row.offset, row.size as u64, &row.kind)?;
            fence(Ordering::Acquire);
            let after = self.words(row.offset, 1, &row.kind)?;
            if before == after && before.first().is_some_and(|sequence| sequence.is_multiple_of(2)) {
                let of_kind = self.fields.iter().filter(|(kind, _)| *kind == row.kind);
                let fields = of_kind.map(|(_, field)| field.clone()).collect();
                return Ok(Area { kind: row.kind.clone(), index: row.index, bytes, fields });
            }
            thread::sleep(READ_PAUSE);
        }
        let area = format!("{} {}", row.kind, row.index);
        Err(SegmentError::HalfWritten { path: self.path.clone(), area })
    }

    fn words(&self, at: u64, count: u64, of: &str) -> Result<Vec<u64>, SegmentError> {
        let bytes = self.bytes(at, count.saturating_mul(8), of)?;
        let (words, _) = bytes.as_chunks::<8>();
        Ok(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }

    /// Bytes that lie within the file, as it was when it was opened and as it is now.
    fn bytes(&self, at: u64, len: u64, of: &str) -> Result<Vec<u8>, SegmentError> {
        let fits = at.checked_add(len).is_some_and(|end| end <= self.size);
        let Some(len) = usize::try_from(len).ok().filter(|_| fits) else {
            let reason = format!("{of}: {len} bytes at {at} do not fit into {} bytes", self.size);
            return Err(self.damaged(reason));
        };
        let mut bytes = vec![0; len];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(bytes),
            Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
                Err(self.damaged(format_args!("{of}: the file was cut short while it was read")))
            }
            Err(source) => Err(SegmentError::File { path: self.path.clone(), source }),
        }
    }

    fn damaged(&self, reason: impl std::fmt::Display) -> SegmentError {
        SegmentError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }
}

//! The server's side of a segment: created, locked, published to, removed.
//!
//! | word of an area | written by | with | read with |
//! |---|---|---|---|
//! | `sequence` | housekeeping, before and after the rest | `pwrite`, a release fence behind it; a release fence before it | `pread`, an acquire fence behind it; before it |
//! | all others | housekeeping | `pwrite` | `pread` |
//!
//! The sequence is odd while an area is written. The system calls copy in program order, and the fences keep that order on
//! processors that would not: they work on the kernel's copying as on our own loads and stores, since it is the same core's.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::image::Image;
use super::layout::{Layout, Owner, Wanted};
use super::places::{self, is_owned, own, segments_in};
use crate::error::Error;

/// Who may read: the server's user and group. Nobody else may, since what a server is asked is not everybody's business.
const MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o755;

/// How many names are tried: one for each of the server's cards, and some where files of others stand in the way.
const NAMES_MAX: usize = 256;

/// A server's own segment. Removed when it is dropped; where the process is killed before that, its lock is gone, and the
/// next server sweeps it away.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
    areas: Vec<AreaState>,
}

/// One area, and how often it was published.
#[derive(Clone, Copy, Debug)]
struct AreaState {
    offset: usize,
    size: usize,
    sequence: u64,
}

impl Segment {
    /// A new segment in the first place that will take one. Those of servers that were killed are removed there.
    pub(crate) fn create(wanted: &mut [Wanted]) -> Result<Self, Error> {
        let mut said = Vec::new();
        for directory in places::directories() {
            match Self::create_in(&directory, wanted) {
                Ok(segment) => return Ok(segment),
                Err(cause) => said.push(format!("{}: {cause}", directory.display())),
            }
        }
        Err(Error::Failed(format!("no place for the segment: {}", said.join("; "))))
    }

    pub(crate) fn create_in(directory: &Path, wanted: &mut [Wanted]) -> io::Result<Self> {
        check_memory(directory)?;
        sweep(directory);
        let (file, path) = create_file(directory)?;
        let began_unix_ns = unix_ns();
        let layout = Layout::new(Owner { process: process::id(), began_unix_ns }, wanted);
        let state = |&(offset, size): &(usize, usize)| AreaState { offset, size, sequence: 0 };
        let mut segment = Self { file, path, areas: layout.areas.iter().map(state).collect() };
        segment.file.set_len(layout.size as u64)?;
        for (place, (_, _, image)) in wanted.iter_mut().enumerate() {
            segment.publish(place, image)?;
        }
        // The first word last: who finds it finds all.
        let (magic, rest) = layout.head.split_at_checked(8).unwrap_or_default();
        segment.file.write_all_at(rest, 8)?;
        fence(Ordering::Release);
        segment.file.write_all_at(magic, 0)?;
        Ok(segment)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Publishes the area that was wanted at this place.
    pub(crate) fn publish(&mut self, place: usize, image: &mut Image) -> io::Result<()> {
        let Some(area) = self.areas.get_mut(place).filter(|area| area.size == image.bytes.len()) else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "an area of another size"));
        };
        let (begin, sequence) = (area.offset as u64, area.sequence);
        area.sequence += 2;
        let mut published = image.bytes.iter_mut().skip(8);
        unix_ns().to_le_bytes().iter().zip(&mut published).for_each(|(byte, to)| *to = *byte);
        self.file.write_all_at(&(sequence + 1).to_le_bytes(), begin)?;
        fence(Ordering::Release);
        self.file.write_all_at(image.bytes.get(8..).unwrap_or_default(), begin + 8)?;
        fence(Ordering::Release);
        self.file.write_all_at(&(sequence + 2).to_le_bytes(), begin)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

/// Refuses a directory that is on a disk, and makes one that is not there yet: then it is in memory where its parent is.
fn check_memory(directory: &Path) -> io::Result<()> {
    let is_there = directory.exists();
    let asked = if is_there { directory } else { directory.parent().unwrap_or(directory) };
    if statfs(asked)?.filesystem_type() != TMPFS_MAGIC {
        return Err(io::Error::other("not in memory (tmpfs)"));
    }
    if is_there { Ok(()) } else { DirBuilder::new().mode(DIRECTORY_MODE).create(directory) }
}

/// Removes the segments that servers left behind which were killed, and the sockets beside them. What cannot be removed is another user's.
fn sweep(directory: &Path) {
    for path in segments_in(directory) {
        let Ok(file) = open(OpenOptions::new().read(true).write(true), &path) else { continue };
        // Whoever has the lock is the only one who may remove it; a server that is just creating it has it, or notices.
        if !is_owned(&file) && own(&file).is_ok() && is_at(&file, &path) {
            let _anothers = fs::remove_file(&path);
            let _none = fs::remove_file(places::capture_socket_of(&path));
        }
    }
}

/// A new file of ours, locked, and its path.
fn create_file(directory: &Path) -> io::Result<(File, PathBuf)> {
    for number in 0..NAMES_MAX {
        let path = directory.join(places::name(process::id(), number));
        let mut options = OpenOptions::new();
        let file = match open(options.read(true).write(true).create_new(true).mode(MODE), &path) {
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        // Between its creation and its lock, somebody who sweeps may have taken it for dead: then the next name is tried.
        if own(&file).is_ok() && is_at(&file, &path) {
            return Ok((file, path));
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, format!("{NAMES_MAX} names are taken")))
}

/// Opens a segment for its readers: never through a link, never waiting for what is no file.
pub(super) fn open_to_read(path: &Path) -> io::Result<File> {
    open(OpenOptions::new().read(true), path)
}

/// Opens a plain file and no link; `create_new` among the options is `O_EXCL`.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("no plain file"));
    }
    Ok(file)
}

/// Whether this file still stands at this path.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

/// Now, since 1970.
pub(crate) fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

//! Where segments are, and which of them are dead.
//!
//! A server holds a write lock on its segment for as long as it lives (an open file description lock, `fcntl(2)`): the kernel
//! lets go of it when the process ends, however it ends. Such a lock takes a descriptor that may write, and asking for it takes
//! nothing: so who may only read can neither pretend to be a server nor keep a dead segment from being swept away.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, F_WRLCK, SEEK_SET, flock};

/// What the name of a segment ends with.
const ENDING: &str = ".segment";

/// What it begins with, before the number of the process.
const BEGINNING: &str = "barelane-";

/// The most segments that are looked at in one directory: more servers than that share no host.
const SEGMENTS_MAX: usize = 1_024;

/// Where a server puts its segment, the best place first: where its service manager says, or the system's place for such
/// files; and where that is on a disk or cannot be written to, the place that POSIX's shared memory has.
pub(super) fn directories() -> Vec<PathBuf> {
    let told = std::env::var_os("RUNTIME_DIRECTORY").and_then(|told| {
        // More than one stand with colons between them (`systemd.exec(5)`).
        std::env::split_paths(&told).next()
    });
    let told = told.filter(|directory| directory.is_absolute());
    told.into_iter().chain(["/run/barelane", "/dev/shm"].map(PathBuf::from)).collect()
}

/// The name of the segment of this process; `number` tells apart what stands in each other's way.
pub(super) fn name(process: u32, number: usize) -> String {
    if number == 0 {
        return format!("{BEGINNING}{process}{ENDING}");
    }
    format!("{BEGINNING}{process}-{number}{ENDING}")
}

/// Where the server of this segment is asked for captures.
pub(crate) fn capture_socket_of(segment: &Path) -> PathBuf {
    segment.with_extension("capture")
}

/// The segments of all servers that run; and those, dead or alive, that this process may not read.
pub fn running() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut found: Vec<PathBuf> = directories().iter().flat_map(|directory| segments_in(directory)).collect();
    found.sort();
    found.dedup();
    let (mut alive, mut refused) = (Vec::new(), Vec::new());
    for path in found {
        match super::segment::open_to_read(&path) {
            Ok(file) if is_owned(&file) => alive.push(path),
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => refused.push(path),
            _ => {}
        }
    }
    (alive, refused)
}

/// The segments in a directory, dead or alive.
pub(super) fn segments_in(directory: &Path) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(BEGINNING) && name.ends_with(ENDING))
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_segment).take(SEGMENTS_MAX).collect()
}

/// Whether a server lives that owns this segment.
pub(super) fn is_owned(file: &File) -> bool {
    let mut asked = lock_of(F_RDLCK);
    let answered = fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut asked));
    answered.is_ok() && i32::from(asked.l_type) != F_UNLCK
}

/// Takes the owner's lock for as long as the file is open; fails where another process has it.
pub(super) fn own(file: &File) -> io::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&lock_of(F_WRLCK)))?;
    Ok(())
}

/// A lock of this kind on the whole file.
#[expect(clippy::cast_possible_truncation, reason = "the kernel's small constants")]
const fn lock_of(kind: i32) -> flock {
    flock { l_type: kind as i16, l_whence: SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}

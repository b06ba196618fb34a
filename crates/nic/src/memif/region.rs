//! Memory that a client makes and a server is handed.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};

use super::fault::Fault;
use super::given::Given;
use super::sys::Mapping;

/// The most memory that is taken of one peer. All of it is there from the beginning, whatever the peer has put into it, so
/// that a lane never waits for a page; and the peer decides how much that is, up to here. DPDK with zero-copy hands over all
/// of its own: start it with `-m 512` or so.
pub(super) const BYTES_MAX: u64 = 1 << 30;

const PAGE_SIZE: usize = 4096;

/// New memory, which nobody can take away, and its descriptor, which the peer is handed.
pub(super) fn create(size: usize) -> io::Result<(OwnedFd, Mapping)> {
    let size = size.next_multiple_of(PAGE_SIZE);
    let file = rustix::fs::memfd_create("barelane-memif", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&file, size as u64)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    let mapping = Mapping::new(&file, size)?;
    Ok((file, mapping))
}

/// Memory that a peer has offered, and of which nothing has been touched yet.
#[derive(Debug)]
pub(super) struct Offered {
    file: OwnedFd,
    size: usize,
}

impl Offered {
    /// What a peer says has `size` bytes.
    pub(super) fn new(given: Given, size: u64) -> Result<Self, Fault> {
        // Asks no file system: a file of any other kind may be one for which somebody has to be asked, and who may not answer.
        let file = given.look().ok_or(Fault::RegionInvalid)?;
        rustix::fs::fcntl_get_seals(file).map_err(|_no_memory| Fault::RegionInvalid)?;
        let file = given.known().ok_or(Fault::RegionInvalid)?;
        let found = rustix::fs::fstat(&file).map_err(|_| Fault::RegionInvalid)?;
        let has_all = u64::try_from(found.st_size).is_ok_and(|found| found >= size);
        if !has_all || size == 0 || size > BYTES_MAX {
            return Err(Fault::RegionInvalid);
        }
        // Huge pages are mapped whole; the rest of the last one is there as well.
        let page = usize::try_from(found.st_blksize).unwrap_or(PAGE_SIZE).max(PAGE_SIZE);
        let size = usize::try_from(size).map_err(|_| Fault::RegionInvalid)?.next_multiple_of(page);
        Ok(Self { file, size })
    }

    /// All of it, there for a lane.
    pub(super) fn map(self) -> Result<Mapping, Fault> {
        Mapping::new(&self.file, self.size).map_err(|error| match error.kind() {
            // It is not to be written to.
            io::ErrorKind::PermissionDenied => Fault::RegionInvalid,
            _ => Fault::HostFailed,
        })
    }
}

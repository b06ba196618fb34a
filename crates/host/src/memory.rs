//! Memory that is there before it is needed: locked pages, huge pages, and the count of those that were missing.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::thread::{Pid, gettid};

use crate::HostError;

/// The huge pages of x86-64 that packet memory is laid on. Those of 1 GiB would waste most of one.
pub const HUGE_PAGE_SIZE: usize = 2 * 1024 * 1024;

/// Pages of [`HUGE_PAGE_SIZE`] that the kernel has set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePages {
    /// All of them: `vm.nr_hugepages`.
    pub total: usize,
    /// Those that nobody uses or was promised.
    pub free: usize,
}

/// How often a thread touched memory that was not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageFaults {
    /// Answered from memory: about a microsecond each.
    pub minor: u64,
    /// Answered from a disk.
    pub major: u64,
}

/// Locks all memory of the process, and all that it will take from now on, so that none of it is ever swapped out or
/// handed over only when it is first touched.
pub fn lock_all() -> Result<(), HostError> {
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
    mlockall(flags).map_err(|errno| HostError::MemoryNotLocked { source: errno.into() })
}

/// The huge pages that the machine has; none where its kernel has no such notion.
pub fn huge_pages() -> HugePages {
    let directory = PathBuf::from(format!("/sys/kernel/mm/hugepages/hugepages-{}kB", HUGE_PAGE_SIZE / 1024));
    let count =
        |name| -> Option<usize> { fs::read_to_string(directory.join(name)).ok()?.trim().parse().ok() };
    let promised = count("resv_hugepages").unwrap_or(0);
    HugePages {
        total: count("nr_hugepages").unwrap_or(0),
        free: count("free_hugepages").unwrap_or(0).saturating_sub(promised),
    }
}

/// A thread of this process, known to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread(Pid);

impl Thread {
    /// The calling thread.
    pub fn current() -> Self {
        Self(gettid())
    }

    /// The number that the kernel has for it.
    pub fn number(self) -> u32 {
        self.0.as_raw_nonzero().get().unsigned_abs()
    }

    /// Its page faults since it began, without disturbing it.
    pub fn page_faults(self) -> Result<PageFaults, HostError> {
        read_faults(&PathBuf::from(format!("/proc/self/task/{}/stat", self.0.as_raw_nonzero())))
    }
}

/// The page faults of the calling thread since it began.
///
/// The question is a read of a file and can itself fault, the first time. To watch a thread without disturbing it, ask
/// for [`Thread::page_faults`] from another one. The pages that [`lock_all`] makes the kernel hand over at once are
/// counted too, when they are taken.
pub fn page_faults() -> Result<PageFaults, HostError> {
    read_faults(Path::new("/proc/thread-self/stat"))
}

fn read_faults(path: &Path) -> Result<PageFaults, HostError> {
    let text =
        fs::read_to_string(path).map_err(|source| HostError::File { path: path.to_owned(), source })?;
    faults_in(&text).ok_or_else(|| HostError::NotUnderstood {
        asked: "count page faults".to_owned(),
        reason: format!("{} holds `{}`", path.display(), text.trim()),
    })
}

/// Fields 10 and 12 of proc(5)'s `stat`. The second field is the thread's name in brackets, which may hold anything, so
/// counting begins behind the last bracket, with the third.
fn faults_in(stat: &str) -> Option<PageFaults> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(10 - 3);
    let minor = fields.next()?.parse().ok()?;
    let major = fields.nth(1)?.parse().ok()?;
    Some(PageFaults { minor, major })
}

#[cfg(test)]
mod tests {
    use std::hint;

    use super::*;

    #[test]
    fn a_threads_name_cannot_shift_the_fields_behind_it() {
        let stat = "77 (a) 1 (b) S 1 2 3 4 5 6 700 8 900 10 11 12";
        assert_eq!(faults_in(stat), Some(PageFaults { minor: 700, major: 900 }));
        assert_eq!(faults_in("77 (short) S 1 2"), None);
    }

    #[test]
    fn touching_new_memory_is_counted_and_using_it_again_is_not() {
        const PAGE_SIZE: usize = 4096;
        const PAGE_COUNT: usize = 512;
        page_faults().unwrap();
        let before = page_faults().unwrap().minor;
        let mut memory = vec![0_u8; PAGE_COUNT * PAGE_SIZE];
        let touch = |memory: &mut Vec<u8>| memory.iter_mut().step_by(PAGE_SIZE).for_each(|byte| *byte = 1);
        touch(hint::black_box(&mut memory));
        let touched = page_faults().unwrap().minor;
        touch(hint::black_box(&mut memory));
        let again = page_faults().unwrap().minor;
        assert!(touched > before, "{before} {touched}");
        assert_eq!(again, touched);
    }

    #[test]
    fn a_thread_can_be_watched_from_another_one() {
        let watched = Thread::current();
        let before = page_faults().unwrap();
        let seen = std::thread::spawn(move || watched.page_faults().unwrap()).join().unwrap();
        let after = page_faults().unwrap();
        assert!(before.minor <= seen.minor && seen.minor <= after.minor, "{before:?} {seen:?} {after:?}");
    }

    #[test]
    fn no_more_huge_pages_are_free_than_there_are() {
        let pages = huge_pages();
        assert!(pages.free <= pages.total);
    }
}

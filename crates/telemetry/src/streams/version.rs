//! Words that one thread writes together and others read together.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::page::READ_TRIES;

/// How often the words beside it were written; odd while they are.
#[derive(Debug, Default)]
pub(super) struct Version(AtomicU64);

impl Version {
    /// Writes them. Only the one writer may call this.
    #[inline]
    pub(super) fn write(&self, words: impl FnOnce()) {
        let version = self.0.load(Ordering::Relaxed);
        self.0.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        words();
        self.0.store(version.wrapping_add(2), Ordering::Release);
    }

    /// Reads them as they were at one instant; nothing where their writer stopped in the middle.
    pub(super) fn read<T>(&self, words: impl Fn() -> T) -> Option<T> {
        for _ in 0..READ_TRIES {
            let before = self.0.load(Ordering::Acquire);
            let read = words();
            fence(Ordering::Acquire);
            let after = self.0.load(Ordering::Relaxed);
            if before == after && before.is_multiple_of(2) {
                return Some(read);
            }
        }
        None
    }
}

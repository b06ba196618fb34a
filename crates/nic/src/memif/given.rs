//! Descriptors that a peer has sent, before it is known what they are.
//!
//! Who closes the last descriptor of a file may have to wait: for what a TCP socket has still to send (`SO_LINGER`, `man 7
//! socket`), for who serves a file system in user space. The peer chooses the file, and can choose to have only ours left. So
//! what is not known to be memory or an event is closed by a thread of its own. That is seldom, since it is somebody's fault;
//! where [`THREADS_MAX`] of them wait, nobody is let in any more ([`are_too_many`]), until one has ended.

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many threads may be closing something at once. Each has a stack that is hardly touched. Guests who are there already
/// can go beyond it: by [`super::channel::DESCRIPTORS_MAX`] for each message that is their last.
const THREADS_MAX: usize = 16;

static CLOSING: AtomicUsize = AtomicUsize::new(0);

/// A descriptor that a peer has sent.
#[derive(Debug)]
pub(super) struct Given(Option<OwnedFd>);

impl Given {
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        Self(Some(descriptor))
    }

    /// Where it is still there: always, until it is [`Self::known`].
    pub(super) fn look(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// It is memory, or an event: closing it never waits.
    pub(super) fn known(mut self) -> Option<OwnedFd> {
        mem::take(&mut self.0)
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        let Some(descriptor) = self.0.take() else { return };
        CLOSING.fetch_add(1, Ordering::Relaxed);
        let thread = thread::Builder::new().name("memif-closing".to_owned());
        let closing = thread.spawn(move || {
            drop(descriptor);
            CLOSING.fetch_sub(1, Ordering::Relaxed);
        });
        if closing.is_err() {
            // A host without threads: it has been closed here.
            CLOSING.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Whether so many descriptors are waited for that there should be no more.
pub(super) fn are_too_many() -> bool {
    CLOSING.load(Ordering::Relaxed) >= THREADS_MAX
}

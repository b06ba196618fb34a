//! Waking a peer by its event, which it may have filled up, without ever waiting for it.
//!
//! A write to an event that is full waits, unless its open file description says `O_NONBLOCK`; and that description is the
//! peer's, too. It can clear the flag and fill the event up at any time, also between a look and the write. Nothing that is
//! done afterwards helps: where somebody else empties the event, the peer can fill it up again before the one who waits
//! has been woken.
//!
//! The kernel's own way to set an event never waits: what is full stays full (`eventfd_signal`, `fs/eventfd.c`). A finished
//! request of asynchronous I/O reaches it (`IOCB_FLAG_RESFD`, `man 2 io_submit`). So a kick is a request that is finished
//! as soon as it is made: a read of an event of our own, which nobody sets. One system call, as a write would be; and every
//! [`RESULTS_MAX`] kicks another one, which throws their results away.
#![expect(unsafe_code, reason = "system calls that no safe wrapper has")]

use std::ffi::c_long;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::event;

/// How many results the kernel keeps until they are thrown away: at least so many. Fewer cost a system call more often; all
/// contexts of a host share `fs.aio-max-nr`, 65,536.
const RESULTS_MAX: u8 = 64;

/// `IOCB_CMD_PREAD` and `IOCB_FLAG_RESFD` (`include/uapi/linux/aio_abi.h`).
const READ: u16 = 0;
const ANNOUNCE: u32 = 1;

/// One lane's way to wake peers.
#[derive(Debug)]
pub(super) struct Kicker {
    context: libc::c_ulong,
    /// An event that is never set, and that nobody else has.
    never: OwnedFd,
}

impl Kicker {
    /// A new one.
    ///
    /// # Errors
    /// The kernel has no asynchronous I/O, or gives no more contexts of it.
    pub(super) fn new() -> io::Result<Self> {
        let never = event::new()?;
        let mut context: libc::c_ulong = 0;
        // SAFETY: writes one word, which lives and is 0, as the kernel asks for.
        let made = unsafe { libc::syscall(libc::SYS_io_setup, c_long::from(RESULTS_MAX), &raw mut context) };
        if made == 0 { Ok(Self { context, never }) } else { Err(io::Error::last_os_error()) }
    }

    /// Sets an event. Whatever its peer does to it, this does not wait.
    pub(super) fn kick(&self, event: BorrowedFd<'_>) {
        if !self.submit(event) {
            self.forget_results();
            let _not_an_event = self.submit(event);
        }
    }

    /// Makes the request. False where the kernel keeps as many results as it can.
    fn submit(&self, event: BorrowedFd<'_>) -> bool {
        let mut nothing = 0_u64;
        let mut request = new_request();
        request.aio_lio_opcode = READ;
        request.aio_fildes = self.never.as_raw_fd().cast_unsigned();
        request.aio_buf = (&raw mut nothing).expose_provenance() as u64;
        request.aio_nbytes = size_of_val(&nothing) as u64;
        request.aio_flags = ANNOUNCE;
        request.aio_resfd = event.as_raw_fd().cast_unsigned();
        let mut requests = [&raw mut request];
        let list = requests.as_mut_ptr();
        // SAFETY: one request, which lives. The kernel has finished it when this returns, so that it keeps no address of
        // ours: a read of an event that is not set and has O_NONBLOCK, which nobody else can clear, fails at once.
        let made = unsafe { libc::syscall(libc::SYS_io_submit, self.context, 1 as c_long, list) };
        made == 1
    }

    fn forget_results(&self) {
        let mut results = [const { Outcome([0; 4]) }; RESULTS_MAX as usize];
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let (none, all) = (c_long::from(0_u8), c_long::from(RESULTS_MAX));
        let (results, now) = (results.as_mut_ptr(), &raw const now);
        // SAFETY: writes at most so many results as there is room for, and reads a time that lives; it does not wait.
        let _count = unsafe { libc::syscall(libc::SYS_io_getevents, self.context, none, all, results, now) };
    }
}

impl Drop for Kicker {
    fn drop(&mut self) {
        // SAFETY: a context of ours, which is used no more.
        let _gone = unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}

/// What became of a request (`struct io_event`): nobody asks.
#[repr(C)]
struct Outcome([u64; 4]);

fn new_request() -> libc::iocb {
    // SAFETY: a structure of integers.
    unsafe { std::mem::zeroed() }
}

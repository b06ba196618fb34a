//! Memory that another process can write to, as the kernel maps it, and what is left where it goes away.
//!
//! A peer that hands over memory may take it away again: a file that was made shorter has no page behind its mapping any
//! more, and whoever touches it gets SIGBUS, which ends the process. Seals forbid that (`F_SEAL_SHRINK`, `man 2
//! memfd_create`), but DPDK's own memory, which it hands over for zero-copy, has none. So there is a handler: it puts
//! zeros where the mapping was and notes that it did, and whoever watches over the peer ends the connection. All other
//! SIGBUS is what it was before, those that somebody sends included.
//!
//! ```text
//!   lane ── reads ──▶ mapping ──▶ page gone ──▶ SIGBUS ──▶ handler: zeros over the whole mapping, `lost` is set
//!    ▲                                                        │
//!    └──────────── goes on, with zeros ◀──────────────────────┘
//! ```
//!
//! The table of mappings has [`MAPPINGS_MAX`] places of three words:
//!
//! | word | written by | with | read by | with |
//! |---|---|---|---|---|
//! | `start` | who maps, last; who unmaps, first | release | the handler | acquire |
//! | `size` | who maps, before `start` | release | the handler | acquire, behind `start` |
//! | `is_lost` | the handler | relaxed | who watches | relaxed |
//!
//! Places are used again. So the handler reads `start` a second time, behind `size`: where it is the same, both words are of one
//! mapping, since a newer `size` is released behind the 0 that ended the older one.
//!
//! A place is somebody's own from the moment that its `owner` word went from free to taken, by a compare-and-exchange.
#![expect(unsafe_code, reason = "mapping memory, and a signal handler that maps over it")]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use rustix::mm::{MapFlags, ProtFlags};

/// How many mappings there may be in a process. The handler looks at all of them; more peers are refused.
const MAPPINGS_MAX: usize = 256;

/// One place of the table.
struct Place {
    is_taken: AtomicBool,
    start: AtomicUsize,
    size: AtomicUsize,
    is_lost: AtomicBool,
}

static PLACES: [Place; MAPPINGS_MAX] = [const {
    Place {
        is_taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        is_lost: AtomicBool::new(false),
    }
}; MAPPINGS_MAX];

static INSTALLED: Once = Once::new();

/// What was done about SIGBUS before.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// A mapping of a file that others have, too. Valid for reads and writes, whatever they do, for as long as this lives.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    size: usize,
    place: usize,
}

// SAFETY: the mapping is the whole process's, and nothing here depends on the thread.
unsafe impl Send for Mapping {}
// SAFETY: all access through a shared mapping is by atomics and by copies that expect others to write (`shared.rs`).
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `size` bytes of `file`, all of whose pages are there from now on. `size` is a multiple of the file's
    /// pages.
    pub(super) fn new(file: impl AsFd, size: usize) -> io::Result<Self> {
        INSTALLED.call_once(install);
        let place = take_place().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: without an address of our own to be mapped at, a new mapping replaces nothing.
        let mapped = unsafe { rustix::mm::mmap(ptr::null_mut(), size, protection, flags, file, 0) };
        let base = mapped.map_err(io::Error::from).and_then(|base| {
            NonNull::new(base.cast::<u8>()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
        });
        match base {
            Ok(base) => {
                publish(place, base, size);
                Ok(Self { base, size, place })
            }
            Err(error) => {
                give_place_back(place);
                Err(error)
            }
        }
    }

    /// Where it begins.
    #[inline]
    pub(super) const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// How many bytes it has.
    #[inline]
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Whether its memory went away, and zeros are there now.
    pub(super) fn is_lost(&self) -> bool {
        PLACES.get(self.place).is_some_and(|place| place.is_lost.load(Ordering::Relaxed))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // The handler must not map over what somebody else may map here next.
        if let Some(place) = PLACES.get(self.place) {
            place.start.store(0, Ordering::Release);
        }
        // SAFETY: the mapping is ours, and no reference into it lives: those that `shared.rs` makes borrow this.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.size) };
        debug_assert!(unmapped.is_ok(), "a mapping can be unmapped");
        give_place_back(self.place);
    }
}

fn take_place() -> Option<usize> {
    PLACES.iter().position(|place| {
        place.is_taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    })
}

fn publish(place: usize, base: NonNull<u8>, size: usize) {
    let Some(place) = PLACES.get(place) else { return };
    place.is_lost.store(false, Ordering::Relaxed);
    // Whoever sees this one sees the end of the mapping before it.
    place.size.store(size, Ordering::Release);
    place.start.store(base.addr().get(), Ordering::Release);
}

fn give_place_back(place: usize) {
    if let Some(place) = PLACES.get(place) {
        place.is_taken.store(false, Ordering::Release);
    }
}

/// Puts the handler in force, once in the life of a process.
fn install() {
    let mut before = Box::new(new_action());
    let mut ours = new_action();
    ours.sa_sigaction = on_bus_error as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: asks for what is in force, into a structure that lives.
    let asked = unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut *before) };
    if asked == 0 {
        // Leaked on purpose: a handler may run until the end of the process.
        BEFORE.store(Box::into_raw(before), Ordering::Release);
    }
    // SAFETY: the handler does nothing but what `man 7 signal-safety` allows: atomics, mmap and sigaction.
    let installed = unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) };
    debug_assert!(asked == 0 && installed == 0, "SIGBUS can be handled");
}

fn new_action() -> libc::sigaction {
    // SAFETY: a structure of integers, a function's address that may be 0 (`SIG_DFL`), and an optional pointer.
    unsafe { std::mem::zeroed() }
}

/// Puts zeros where a mapping's memory has gone away. What is not a mapping of ours goes to whoever was there before.
extern "C" fn on_bus_error(_signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid structure.
    let info = unsafe { &*info };
    // Only then has this thread touched the address: a signal that somebody sent has none, and the news of a broken page
    // (`BUS_MCEERR_AO`) comes to whoever it may.
    let is_access = matches!(info.si_code, libc::BUS_ADRERR | libc::BUS_MCEERR_AR);
    // SAFETY: SIGBUS has an address; where somebody sent it, other integers are there, and they are not used.
    let address = unsafe { info.si_addr() }.addr();
    let errno = errno();
    let is_ours = is_access && PLACES.iter().any(|place| put_zeros(place, address));
    if !is_ours {
        hand_back();
    }
    if !is_access {
        // There is no access to be repeated: the signal is, as soon as this returns.
        // SAFETY: a system call without pointers.
        let _sent = unsafe { libc::raise(libc::SIGBUS) };
    }
    set_errno(errno);
}

/// Start and size of the mapping in a place, if it has `address`.
fn covering(place: &Place, address: usize) -> Option<(usize, usize)> {
    let start = place.start.load(Ordering::Acquire);
    let size = place.size.load(Ordering::Acquire);
    let is_one = start != 0 && start == place.start.load(Ordering::Relaxed);
    (is_one && address.checked_sub(start)? < size).then_some((start, size))
}

fn put_zeros(place: &Place, address: usize) -> bool {
    let Some((start, size)) = covering(place, address) else { return false };
    let start = ptr::without_provenance_mut::<c_void>(start);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // Without a reserve: hardly any of it is ever written to, and a peer is not to end us by how much it takes away.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    // SAFETY: replaces exactly one mapping that `Mapping` keeps, and which stays valid for reads and writes by it. This
    // thread has just touched `address`, and so is using the mapping that has it: what uses one borrows it, so that it is
    // not being unmapped.
    let mapped = unsafe { libc::mmap(start, size, protection, flags, -1, 0) };
    place.is_lost.store(true, Ordering::Relaxed);
    mapped == start
}

/// Puts the former action in force, so that what comes next meets it.
fn hand_back() {
    let before = BEFORE.load(Ordering::Acquire);
    let mut otherwise = new_action();
    let action = if before.is_null() { &raw mut otherwise } else { before };
    // SAFETY: a structure that the kernel has filled in, or zeros: the default action.
    let _done = unsafe { libc::sigaction(libc::SIGBUS, action, ptr::null_mut()) };
}

fn errno() -> c_int {
    // SAFETY: gives the address of this thread's own errno.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: which is valid for as long as the thread lives.
    unsafe { *place }
}

fn set_errno(value: c_int) {
    // SAFETY: gives the address of this thread's own errno.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: which is valid for as long as the thread lives.
    unsafe { *place = value }
}

//! Memory and sockets as the kernel gives them: each system call once, behind a function that cannot be misused.
#![expect(unsafe_code, reason = "system calls take addresses")]

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

/// What may cross the border to the kernel byte by byte.
///
/// # Safety
/// The type must be `repr(C)`, valid whatever its bytes are, and free of padding.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: integers have neither padding nor invalid values.
unsafe impl Plain for c_int {}
// SAFETY: integers have neither padding nor invalid values.
unsafe impl Plain for u32 {}
// SAFETY: 2 × u64 and 4 × u32, without a gap.
unsafe impl Plain for libc::xdp_umem_reg {}
// SAFETY: 16 × u64, without a gap.
unsafe impl Plain for libc::xdp_mmap_offsets {}
// SAFETY: one u32.
unsafe impl Plain for libc::xdp_options {}
// SAFETY: 6 × u64, without a gap.
unsafe impl Plain for libc::xdp_statistics {}

const _: () = assert!(size_of::<libc::xdp_umem_reg>() == 32 && size_of::<libc::xdp_mmap_offsets>() == 128);

/// The result of a system call that gives -1 for an error.
pub(super) fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A descriptor that a system call has just made.
pub(super) fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    let number = c_int::try_from(checked(result)?).map_err(io::Error::other)?;
    // SAFETY: the caller hands in what a system call that makes descriptors has returned; nobody else knows it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A raw socket, closed on exec.
pub(super) fn socket(domain: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::socket(domain, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
    descriptor(result.into())
}

#[expect(clippy::cast_possible_truncation, reason = "structures of some hundred bytes")]
const fn size_of_option<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// Sets a socket option.
pub(super) fn set_option<T: Plain>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let address: *const c_void = ptr::from_ref(value).cast();
    // SAFETY: `address` is good for reading `size_of::<T>()` bytes while the call runs, and `T` has no padding.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, address, size_of_option::<T>()) };
    checked(result.into()).map(drop)
}

/// Reads a socket option. An older kernel may know a shorter form of `T`; its rest is then zero.
pub(super) fn option<T: Plain>(socket: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut size = size_of_option::<T>();
    // SAFETY: the kernel writes at most `size` bytes, which is the room that `value` has, and to `size` itself.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut size)
    };
    checked(result.into())?;
    // SAFETY: every byte was zeroed or written by the kernel, and a `Plain` type is valid whatever its bytes are.
    Ok(unsafe { value.assume_init() })
}

/// Binds an AF_XDP socket to one queue of one interface.
pub(super) fn bind(socket: BorrowedFd<'_>, address: &libc::sockaddr_xdp) -> io::Result<()> {
    let pointer: *const libc::sockaddr = ptr::from_ref(address).cast();
    let size = size_of_option::<libc::sockaddr_xdp>();
    // SAFETY: `pointer` is good for reading `size` bytes while the call runs.
    let result = unsafe { libc::bind(socket.as_raw_fd(), pointer, size) };
    checked(result.into()).map(drop)
}

/// Sends `bytes`: on an AF_XDP socket none, which makes the kernel look at the transmit ring.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let address: *const c_void = bytes.as_ptr().cast();
    // SAFETY: `address` is good for reading `bytes.len()` bytes while the call runs.
    let result =
        unsafe { libc::sendto(socket.as_raw_fd(), address, bytes.len(), libc::MSG_DONTWAIT, ptr::null(), 0) };
    checked(result as libc::c_long).map(drop)
}

/// Receives into `room` without waiting and gives the length: on an AF_XDP socket 0, and the kernel looks at the NIC.
pub(super) fn receive(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<usize> {
    let address: *mut c_void = room.as_mut_ptr().cast();
    // SAFETY: `address` is good for writing `room.len()` bytes while the call runs.
    let result = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            address,
            room.len(),
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    usize::try_from(checked(result as libc::c_long)?).map_err(io::Error::other)
}

/// Pages of this process, unmapped when dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; whoever holds the value may use and unmap it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Zeroed memory of our own, `huge` for pages of 2 MiB. `size` must be a multiple of the page size.
    pub(super) fn anonymous(size: usize, huge: bool) -> io::Result<Self> {
        let huge = if huge { libc::MAP_HUGETLB | libc::MAP_HUGE_2MB } else { 0 };
        Self::new(size, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | huge, -1, 0)
    }

    /// One of the rings of an AF_XDP socket, faulted in.
    pub(super) fn of_socket(socket: BorrowedFd<'_>, size: usize, offset: libc::off_t) -> io::Result<Self> {
        Self::new(size, libc::MAP_SHARED | libc::MAP_POPULATE, socket.as_raw_fd(), offset)
    }

    fn new(size: usize, flags: c_int, descriptor: c_int, offset: libc::off_t) -> io::Result<Self> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, so the kernel picks one that nothing else uses.
        let base = unsafe { libc::mmap(ptr::null_mut(), size, rights, flags, descriptor, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, size })
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Keeps the pages to one NUMA node. To be called before the first of them is touched.
    pub(super) fn bind_to_node(&self, node: u32) -> io::Result<()> {
        const BITS: usize = u64::BITS as usize;
        let mut nodes = [0_u64; 16];
        let word = nodes.get_mut(node as usize / BITS).ok_or(io::ErrorKind::InvalidInput)?;
        *word = 1 << (node as usize % BITS);
        // The kernel reads one bit less than it is told (`get_nodes` in mm/mempolicy.c): 1,023 nodes are enough.
        let bits = nodes.len() * BITS;
        let base = self.base.as_ptr();
        // SAFETY: the pages are ours; `nodes` is good for reading `bits` bits while the call runs.
        let result = unsafe {
            libc::syscall(libc::SYS_mbind, base, self.size, libc::MPOL_BIND, nodes.as_ptr(), bits, 0)
        };
        checked(result).map(drop)
    }

    /// Faults every page in and keeps it in memory.
    pub(super) fn lock(&self) -> io::Result<()> {
        // SAFETY: the pages are ours, and locking changes none of their bytes.
        let result = unsafe { libc::mlock(self.base.as_ptr().cast(), self.size) };
        checked(result.into()).map(drop)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size, and whoever used the pages is gone or, as the kernel does with packet
        // memory, holds its own reference to them. It cannot fail for a range that is mapped.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.size) };
    }
}

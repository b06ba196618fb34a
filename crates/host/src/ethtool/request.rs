#![expect(unsafe_code, reason = "SIOCETHTOOL and a mapping that ends where it must have no safe wrapper")]
//! The older way to ask ethtool: one call, whose answer the kernel writes over the question.
//!
//! What a driver counts by names of its own is told in no other way: generic netlink has the names and not the numbers. The call has
//! a fault by design. Whoever asks says where to write to, and not how much room there is: the kernel writes as many numbers
//! as the driver has at that moment (`ethtool_get_stats`, `net/ethtool/ioctl.c`; since December 2025 it writes none where another
//! number was asked for, and older kernels are in use), and a driver may have got more queues since it was asked how many. So a room ends
//! at a page that nobody may touch:
//!
//! ```text
//!   │ question, then answer ───────▶  │ the rest of the page │ guard: EFAULT │
//! ```
//!
//! The kernel copies upwards, and stops there: an answer that is too long is an error, and overwrites nothing.

use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::slice;

use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// `SIOCETHTOOL` (`include/uapi/linux/sockios.h`).
const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// Memory for questions and their answers. Kept for as long as there is something to ask: memory that a process gives back
/// makes the kernel interrupt every core on which it runs, lanes' cores too.
#[derive(Debug)]
pub(super) struct Room {
    base: NonNull<u8>,
    /// Without the guard behind it; a multiple of a page.
    size: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; whoever holds the value may use and unmap it.
unsafe impl Send for Room {}

impl Room {
    /// Room for at least so many bytes, all of them zero, and a guard.
    pub(super) fn of(size: usize) -> Result<Self, Errno> {
        let page = rustix::param::page_size();
        let size = size.max(1).next_multiple_of(page);
        let whole = size.checked_add(page).ok_or(Errno::NOMEM)?;
        // SAFETY: no address is asked for, so the kernel picks one that nothing else uses.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), whole, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        let room = Self { base: NonNull::new(base.cast()).ok_or(Errno::NOMEM)?, size };
        // SAFETY: the pages were mapped just now, `size` is less than what was mapped, and nobody has a reference to them.
        unsafe { mprotect(base, size, MprotectFlags::READ | MprotectFlags::WRITE) }?;
        Ok(room)
    }

    /// Asks about the interface of this name. The question begins with the number of its command, and must be one whose answer
    /// follows it in place (`include/uapi/linux/ethtool.h`); gives the room with the answer, all of it.
    pub(super) fn ask(&mut self, socket: &OwnedFd, name: &str, question: &[u8]) -> Result<&[u8], Errno> {
        let begin = self.bytes().get_mut(..question.len()).ok_or(Errno::NOBUFS)?;
        begin.copy_from_slice(question);
        let mut request = libc::ifreq {
            ifr_name: name_of(name)?,
            ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: self.base.as_ptr().cast() },
        };
        let request: *mut libc::ifreq = &raw mut request;
        // SAFETY: `request` points to a whole `ifreq` on this stack. The kernel writes to it, and upwards from `ifru_data`, which
        // is this room: what does not fit is stopped by the guard, which was mapped with the room and is unmapped with it.
        // Nobody else has a reference into the room, for it is borrowed for writing.
        if unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, request) } < 0 {
            return Err(crate::sys::last_error());
        }
        Ok(self.bytes())
    }

    /// How many bytes an answer may have.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// All of the room.
    const fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: `size` bytes from `base` on were mapped for reading and writing, zeroed, and are unmapped by `drop` alone. The
        // kernel writes to them only within `ask`, which holds the borrow that this needs.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.size) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let whole = self.size + rustix::param::page_size();
        // SAFETY: this is what was mapped, guard included, and no reference into it outlives the value.
        let _cannot_fail = unsafe { munmap(self.base.as_ptr().cast(), whole) };
    }
}

/// An interface's name as the kernel wants it, with a zero behind it.
fn name_of(name: &str) -> Result<[libc::c_char; libc::IFNAMSIZ], Errno> {
    let mut letters = [0; libc::IFNAMSIZ];
    if name.len() >= letters.len() {
        return Err(Errno::NODEV);
    }
    letters.iter_mut().zip(name.bytes()).for_each(|(letter, byte)| *letter = byte.cast_signed());
    Ok(letters)
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;

    use rustix::net::{AddressFamily, SocketType, socket};

    use super::*;

    #[test]
    fn a_room_is_zeroed_and_as_long_as_was_asked_for() {
        let page = rustix::param::page_size();
        for (asked, given) in [(0, page), (1, page), (page, page), (page + 1, 2 * page)] {
            let mut room = Room::of(asked).unwrap();
            assert_eq!(room.bytes().len(), given);
            assert!(room.bytes().iter().all(|byte| *byte == 0));
            room.bytes().fill(0xa5);
        }
    }

    #[test]
    fn an_answer_that_is_longer_than_its_room_is_refused_and_overwrites_nothing() {
        /// `ETHTOOL_GSTRINGS`, and the set of the names of offloads, some sixty on every interface.
        const NAMES_OF_OFFLOADS: [u32; 3] = [0x1b, 4, 0];
        let question: Vec<u8> = NAMES_OF_OFFLOADS.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        let mut room = Room::of(1).unwrap();
        let answer = room.ask(&socket, "lo", &question).unwrap();
        assert!(answer.windows(17).any(|name| name == b"tx-scatter-gather"));
        // The last bytes of the same memory, so that the guard is nearer than the answer is long.
        let size = 64;
        let base = NonNull::new(room.base.as_ptr().wrapping_add(room.size - size)).unwrap();
        let mut short = ManuallyDrop::new(Room { base, size });
        assert_eq!(short.ask(&socket, "lo", &question), Err(Errno::FAULT));
    }

    #[test]
    fn a_name_that_no_interface_can_have_is_no_interface() {
        assert_eq!(name_of(&"x".repeat(16)), Err(Errno::NODEV));
        assert_eq!(&name_of("lo").unwrap()[..3], [b'l', b'o', 0].map(u8::cast_signed));
    }
}

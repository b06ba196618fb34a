//! The system calls that no safe wrapper exists for, each made safe here.

#![expect(
    unsafe_code,
    reason = "unshare, bind, setsockopt, getsockopt, recvmsg, adjtimex and bpf have no safe wrapper for what is asked"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "the kernel's small constants, and the sizes of small structures"
)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

/// Moves the calling thread into a new, empty network namespace.
pub(crate) fn unshare_network() -> Result<(), Errno> {
    // SAFETY: what makes `unshare` unsafe is CLONE_FILES, which would leave other threads with descriptors that this
    // thread closes. The only flag here is CLONE_NEWNET, which changes nothing but this thread's network namespace.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Binds a packet socket to one interface and one Ethernet type.
pub(crate) fn bind_packet(socket: &OwnedFd, ifindex: u32, ethertype: u16) -> Result<(), Errno> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: ifindex.try_into().map_err(|_| Errno::NODEV)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address points to a whole `sockaddr_ll` on this stack, `len` is its size, and the kernel only reads
    // it during the call. The descriptor is open for as long as it is borrowed.
    checked(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) })
}

/// Keeps a packet socket from seeing what this host itself sends (since 4.20).
pub(crate) fn ignore_outgoing(socket: &OwnedFd) -> Result<(), Errno> {
    set_packet_option(socket, libc::PACKET_IGNORE_OUTGOING, &1_i32)
}

/// Has a packet socket say beside each frame what the kernel took out of it.
pub(crate) fn tell_tags(socket: &OwnedFd) -> Result<(), Errno> {
    set_packet_option(socket, libc::PACKET_AUXDATA, &1_i32)
}

/// Receives a frame by a packet socket that [tells tags](tell_tags), and the VLAN tag that stood behind its Ethernet
/// addresses, if any: identifier and number, as on the wire.
pub(crate) fn receive_packet(socket: &OwnedFd, room: &mut [u8]) -> Result<(usize, Option<[u8; 4]>), Errno> {
    /// The one control message of such a socket.
    #[repr(C)]
    struct Beside {
        head: libc::cmsghdr,
        data: libc::tpacket_auxdata,
    }
    const ETHERTYPE_VLAN: u16 = 0x8100;

    // SAFETY: both structures are plain numbers, of which all zeros are valid.
    let mut beside: Beside = unsafe { std::mem::zeroed() };
    // SAFETY: numbers and pointers, of which all zeros are valid: no name, no data, no control message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    let mut part = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    (message.msg_control, message.msg_controllen) = ((&raw mut beside).cast(), size_of::<Beside>());
    // SAFETY: the message names `room` and `beside` with their sizes, and the kernel writes no more than that to them;
    // both are borrowed until the call returns.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let len = usize::try_from(len).map_err(|_| last_error())?;
    let Beside { head, data } = beside;
    let is_told = (head.cmsg_level, head.cmsg_type) == (libc::SOL_PACKET, libc::PACKET_AUXDATA);
    if !is_told || data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return Ok((len, None));
    }
    let has_identifier = data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
    let identifier = if has_identifier { data.tp_vlan_tpid } else { ETHERTYPE_VLAN };
    let ([a, b], [c, d]) = (identifier.to_be_bytes(), data.tp_vlan_tci.to_be_bytes());
    Ok((len, Some([a, b, c, d])))
}

/// Opens the interface's filter for a group address for as long as the packet socket is open.
pub(crate) fn join_packet(socket: &OwnedFd, ifindex: u32, group: [u8; 6]) -> Result<(), Errno> {
    let mut address = [0; 8];
    address.iter_mut().zip(group).for_each(|(to, byte)| *to = byte);
    let membership = libc::packet_mreq {
        mr_ifindex: ifindex.try_into().map_err(|_| Errno::NODEV)?,
        mr_type: libc::PACKET_MR_MULTICAST as u16,
        mr_alen: 6,
        mr_address: address,
    };
    set_packet_option(socket, libc::PACKET_ADD_MEMBERSHIP, &membership)
}

/// What the kernel says of its clock of UTC: the most that it may be off in microseconds, and whether a program keeps it
/// to an outside source.
pub(crate) fn clock_discipline() -> Result<(u64, bool), Errno> {
    // SAFETY: `timex` is plain numbers, of which all zeros are valid; zero for its modes asks and changes nothing.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is live and whole for the call, and the kernel writes no more than its size.
    checked(unsafe { libc::adjtimex(&raw mut timex) })?;
    Ok((timex.maxerror.try_into().unwrap_or(0), timex.status & libc::STA_UNSYNC == 0))
}

/// The name that a BPF program was loaded under; empty where it has none.
pub(crate) fn program_name(id: u32) -> Result<String, Errno> {
    /// `BPF_OBJ_GET_INFO_BY_FD`.
    const INFO_BY_DESCRIPTOR: libc::c_long = 15;
    /// The head of `struct bpf_prog_info`, up to and with its name.
    const INFO_SIZE: usize = 80;
    const NAME_AT: usize = 64;
    /// `bpf_attr` of that command.
    #[repr(C)]
    struct Question {
        descriptor: u32,
        info_len: u32,
        info: u64,
    }

    let program = program(id)?;
    let mut info = [0_u64; INFO_SIZE / 8];
    let mut question = Question {
        descriptor: program.as_raw_fd().cast_unsigned(),
        info_len: INFO_SIZE as u32,
        info: info.as_mut_ptr().expose_provenance() as u64,
    };
    // SAFETY: `Question` is this command's part of `bpf_attr`. The kernel writes at most `info_len` bytes to `info`,
    // which is that long and lives until the end of this function.
    unsafe { bpf(INFO_BY_DESCRIPTOR, &mut question) }?;
    let bytes: Vec<u8> = info.iter().flat_map(|word| word.to_ne_bytes()).skip(NAME_AT).collect();
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
}

/// A descriptor of a BPF program that is loaded.
fn program(id: u32) -> Result<OwnedFd, Errno> {
    /// `BPF_PROG_GET_FD_BY_ID`, whose part of `bpf_attr` is three words: the id, the next id, flags.
    const DESCRIPTOR_BY_ID: libc::c_long = 13;
    // SAFETY: the question is this command's part of `bpf_attr`, and holds no pointer.
    let descriptor = unsafe { bpf(DESCRIPTOR_BY_ID, &mut [id, 0, 0]) }?;
    let descriptor = i32::try_from(descriptor).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel just made this descriptor for this call; nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// One `bpf(2)` command; gives what the kernel gives.
///
/// # Safety
/// The question must be what the command takes of `bpf_attr`, and every pointer in it must be to memory that the
/// command may write to as far as it is told to.
unsafe fn bpf<T>(command: libc::c_long, question: &mut T) -> Result<libc::c_long, Errno> {
    let question: *mut T = question;
    // SAFETY: the question is live, and its size is said: the kernel takes what is missing of `bpf_attr` as zero. The
    // caller vouches for what is in it.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, question, size_of::<T>()) };
    if answer < 0 { Err(last_error()) } else { Ok(answer) }
}

fn set_packet_option<T>(socket: &OwnedFd, option: i32, value: &T) -> Result<(), Errno> {
    let value: *const T = value;
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` points to a whole `T` and `len` is its size; the kernel only reads it during the call.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, value.cast(), len) })
}

/// Sets one of a socket's own options that is a number (`SOL_SOCKET`).
pub(crate) fn set_socket_number(socket: BorrowedFd<'_>, option: i32, value: i32) -> Result<(), Errno> {
    let len = size_of::<i32>() as libc::socklen_t;
    let value: *const i32 = &raw const value;
    // SAFETY: `value` points to a whole `i32` on this stack and `len` is its size; the kernel only reads it during the
    // call.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value.cast(), len) })
}

/// One of a socket's own options that is a number.
pub(crate) fn socket_number(socket: BorrowedFd<'_>, option: i32) -> Result<i32, Errno> {
    let mut value = 0_i32;
    let mut len = size_of::<i32>() as libc::socklen_t;
    let (room, room_len): (*mut i32, *mut libc::socklen_t) = (&raw mut value, &raw mut len);
    // SAFETY: the kernel writes at most `len` bytes to `value`, which has that many, and to `len` how many it wrote;
    // both live until the call returns.
    checked(unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, room.cast(), room_len)
    })?;
    Ok(value)
}

fn checked(result: i32) -> Result<(), Errno> {
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

pub(crate) fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Loads an XDP program that passes everything, under a name of at most 15 bytes.
    pub(crate) fn load_pass_program(name: &str) -> OwnedFd {
        /// `BPF_PROG_LOAD`, and its part of `bpf_attr` up to the name.
        const LOAD: libc::c_long = 5;
        const TYPE_XDP: u32 = 6;
        #[repr(C)]
        struct Question {
            program_type: u32,
            instruction_count: u32,
            instructions: u64,
            licence: u64,
            log: [u64; 2],
            kernel_version: u32,
            flags: u32,
            name: [u8; 16],
        }
        // r0 = XDP_PASS; exit
        let instructions = [0x0000_0002_0000_00b7_u64, 0x0000_0000_0000_0095];
        let licence = c"GPL";
        let mut question = Question {
            program_type: TYPE_XDP,
            instruction_count: instructions.len() as u32,
            instructions: instructions.as_ptr().expose_provenance() as u64,
            licence: licence.as_ptr().expose_provenance() as u64,
            log: [0; 2],
            kernel_version: 0,
            flags: 0,
            name: [0; 16],
        };
        question.name.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
        // SAFETY: `Question` is this command's part of `bpf_attr`; both pointers are to live memory that it only reads.
        let descriptor = unsafe { bpf(LOAD, &mut question) }.unwrap();
        // SAFETY: the kernel just made this descriptor for this call; nobody else knows of it.
        unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
    }
}

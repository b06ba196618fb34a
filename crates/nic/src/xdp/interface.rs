//! What the kernel says of an interface: whether it is there, whether it is up, whose program it has. Asked by rtnetlink, since a program need not have been attached by a link.
//!
//! One request and one answer, so that a library for netlink is not worth a dependency of this crate.

use std::ops::Range;
use std::os::fd::AsFd;

use super::bpf;
use super::error::AttachedProgram;
use super::sys;

/// `struct nlmsghdr` and `struct ifinfomsg` (`include/uapi/linux/netlink.h` and `rtnetlink.h`), of 16 bytes each.
const HEADERS_LEN: u32 = 16 + 16;
/// The kind of message, and in the upper half its flags: `RTM_GETLINK` and `NLM_F_REQUEST`.
const KIND_AND_FLAGS: u32 = libc::RTM_GETLINK as u32 | 1 << 16;
const ATTRIBUTE_LEN: usize = 4;
/// Where a message says of what kind it is.
const KIND: Range<usize> = 4..6;
/// Where a link's header has its flags, and which of them says that it is up (`IFF_UP`).
const FLAGS: Range<usize> = 24..28;
const IS_UP: u32 = 1;
/// The bits of an attribute's type that are flags.
const TYPE_MASK: u16 = 0x3fff;
const IFLA_XDP: u16 = 43;
/// `IFLA_XDP_PROG_ID`, `…_DRV_PROG_ID`, `…_SKB_PROG_ID`, `…_HW_PROG_ID`.
const PROGRAM_IDS: [u16; 4] = [4, 5, 6, 7];
/// An interface with all its statistics and virtual functions; the kernel cuts off what is longer.
const ANSWER_SIZE: usize = 32 << 10;

/// Whether an interface is up; nothing where there is none in this network namespace.
pub(super) fn is_up(ifindex: u32) -> Option<bool> {
    let answer = ask(ifindex)?;
    let kind = u16::from_ne_bytes(*answer.get(KIND)?.first_chunk()?);
    let flags = u32::from_ne_bytes(*answer.get(FLAGS)?.first_chunk()?);
    (kind == libc::RTM_NEWLINK).then_some(flags & IS_UP != 0)
}

/// The program of an interface; nothing where there is none, or where the kernel does not say.
pub(super) fn program(ifindex: u32) -> Option<AttachedProgram> {
    let answer = ask(ifindex)?;
    let attributes = answer.get(HEADERS_LEN as usize..)?;
    let xdp = Attributes(attributes).find(|&(kind, _)| kind == IFLA_XDP)?.1;
    let (_, id) = Attributes(xdp).find(|(kind, _)| PROGRAM_IDS.contains(kind))?;
    let id = u32::from_ne_bytes(*id.first_chunk()?);
    Some(AttachedProgram { id, name: bpf::program_name(id).ok() })
}

fn ask(ifindex: u32) -> Option<Vec<u8>> {
    let socket = sys::socket(libc::AF_NETLINK, libc::NETLINK_ROUTE).ok()?;
    sys::send(socket.as_fd(), &request(ifindex)).ok()?;
    // The kernel answers before `send` returns, so that nothing has to be waited for.
    let mut answer = vec![0; ANSWER_SIZE];
    let len = sys::receive(socket.as_fd(), &mut answer).ok()?;
    answer.truncate(len);
    Some(answer)
}

/// `struct nlmsghdr` and `struct ifinfomsg`, of which only the index is asked by.
fn request(ifindex: u32) -> Vec<u8> {
    let words = [HEADERS_LEN, KIND_AND_FLAGS, 1, 0, 0, ifindex, 0, 0];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// The attributes of a message, one after the other, each with its type and its content.
struct Attributes<'message>(&'message [u8]);

impl<'message> Iterator for Attributes<'message> {
    type Item = (u16, &'message [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header: [u8; ATTRIBUTE_LEN] = *self.0.first_chunk()?;
        let [len_low, len_high, kind_low, kind_high] = header;
        let len = usize::from(u16::from_ne_bytes([len_low, len_high]));
        let kind = u16::from_ne_bytes([kind_low, kind_high]) & TYPE_MASK;
        let content = self.0.get(ATTRIBUTE_LEN..len)?;
        self.0 = self.0.get(len.next_multiple_of(ATTRIBUTE_LEN)..).unwrap_or_default();
        Some((kind, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_at_the_first_that_is_cut_off() {
        let mut message = vec![5, 0, 1, 0, 0xa5, 0, 0, 0, 4, 0, 2, 0x80, 9, 0, 3, 0, 1];
        let found: Vec<_> = Attributes(&message).collect();
        assert_eq!(found, [(1, &[0xa5][..]), (2, &[][..])]);
        message.truncate(3);
        assert_eq!(Attributes(&message).count(), 0);
    }

    #[test]
    fn an_interface_that_is_not_there_is_neither_up_nor_down() {
        assert!(is_up(1).is_some() && is_up(0x7fff_fff0).is_none());
        assert_eq!(program(0x7fff_fff0), None);
    }
}

//! ARP for IPv4 over Ethernet (RFC 826).

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use crate::ethernet::{self, Mac};
use crate::view::view;

/// The hardware space of Ethernet.
pub const HARDWARE_ETHERNET: u16 = 1;
/// The operation that asks who has an address.
pub const REQUEST: u16 = 1;
/// The operation that says who has it.
pub const REPLY: u16 = 2;

/// An ARP packet.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------------------------------+-------------------------------+
/// |        hardware space         |        protocol space         |
/// +---------------+---------------+-------------------------------+
/// |  hardware len | protocol len  |           operation           |
/// +---------------+---------------+-------------------------------+
/// |                    sender's hardware address                  |
/// +                               +-------------------------------+
/// |                               |   sender's protocol address   |
/// +-------------------------------+-------------------------------+
/// |              …                |   target's hardware address   |
/// +-------------------------------+                               +
/// |                                                               |
/// +---------------------------------------------------------------+
/// |                    target's protocol address                  |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Arp {
    /// Which kind of link: [`HARDWARE_ETHERNET`].
    pub hardware: U16,
    /// Which kind of address is asked for: [`ethernet::IPV4`].
    pub protocol: U16,
    /// How many bytes a hardware address has: 6.
    pub hardware_len: u8,
    /// How many bytes a protocol address has: 4.
    pub protocol_len: u8,
    /// [`REQUEST`] or [`REPLY`].
    pub operation: U16,
    /// The sender's Ethernet address.
    pub sender_mac: Mac,
    /// The sender's IPv4 address; 0.0.0.0 where it only probes (RFC 5227 section 2.1.1).
    pub sender_ip: [u8; 4],
    /// The target's Ethernet address, unknown in a request.
    pub target_mac: Mac,
    /// The IPv4 address that is asked for.
    pub target_ip: [u8; 4],
}

view!(Arp, 28);

/// What says of which addresses an ARP packet speaks.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Head {
    hardware: U16,
    protocol: U16,
    hardware_len: u8,
    protocol_len: u8,
}

/// An ARP packet as that, and the rest.
#[derive(FromBytes)]
#[repr(C)]
struct Start {
    head: [u8; 6],
    _rest: [u8; 22],
}

impl Arp {
    /// Whether it speaks of IPv4 addresses on Ethernet, the only kind that is read here.
    #[inline]
    pub fn is_ipv4_over_ethernet(&self) -> bool {
        const SPOKEN: Head = Head {
            hardware: U16::from_bytes(HARDWARE_ETHERNET.to_be_bytes()),
            protocol: U16::from_bytes(ethernet::IPV4.to_be_bytes()),
            hardware_len: 6,
            protocol_len: 4,
        };
        // As one word, which is one comparison instead of four.
        const WORD: [u8; 6] = transmute!(SPOKEN);
        let Start { head, .. } = transmute!(*self);
        head == WORD
    }
}

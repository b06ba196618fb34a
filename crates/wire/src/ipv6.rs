//! The IPv6 header (RFC 8200 section 3).

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::Sum;
use crate::view::view;

/// The next header number of ICMPv6.
pub const ICMP: u8 = 58;
/// The next header number of UDP.
pub const UDP: u8 = 17;

/// The version in the header's first four bytes.
pub const VERSION: u32 = 0x6000_0000;
/// The DSCP in the header's first four bytes; the traffic class without ECN (RFC 3168 section 5).
pub const DSCP: u32 = 0x0fc0_0000;

/// All nodes on the link, `ff02::1`.
pub const ALL_NODES: [u8; 16] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// An IPv6 header.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------+---------------+---------------------------------------+
/// |version| traffic class |              flow label               |
/// +-------+---------------+-------+---------------+---------------+
/// |        payload length         |  next header  |   hop limit   |
/// +-------------------------------+---------------+---------------+
/// |                     source, four such rows                    |
/// +---------------------------------------------------------------+
/// |                  destination, four such rows                  |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv6 {
    /// Version, traffic class, flow label.
    pub version_and_class: U32,
    /// The length in bytes of what follows this header.
    pub payload_len: U16,
    /// What follows: [`ICMP`], [`UDP`], or an extension header.
    pub next_header: u8,
    /// How many hops it may still take.
    pub hop_limit: u8,
    /// Who sent it.
    pub src: [u8; 16],
    /// Whom it is for.
    pub dst: [u8; 16],
}

view!(Ipv6, 40);

impl Ipv6 {
    /// The first four bits: 6.
    #[inline(always)]
    pub fn version(&self) -> u32 {
        self.version_and_class.get() >> 28
    }

    /// The pseudo-header's part in a transport checksum, for `len` bytes from the transport header on (RFC 8200
    /// section 8.1).
    #[inline(always)]
    pub fn pseudo(&self, len: u16) -> Sum {
        crate::checksum::pseudo_v6(self.src, self.dst, self.next_header, len)
    }
}

/// Whether `next_header` announces an extension header (the IANA registry "IPv6 Extension Header Types").
pub const fn is_extension(next_header: u8) -> bool {
    matches!(next_header, 0 | 43 | 44 | 50 | 51 | 60 | 135 | 139 | 140 | 253 | 254)
}

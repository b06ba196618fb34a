//! The IPv4 header (RFC 791 section 3.1).

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, transmute};

use crate::checksum::{Field, Sum};
use crate::view::view;

/// The protocol number of ICMP.
pub const ICMP: u8 = 1;
/// The protocol number of UDP.
pub const UDP: u8 = 17;

/// The first byte of a header without options: version 4, five words long.
pub const VERSION_AND_LEN: u8 = 0x45;
/// The flag that forbids fragmentation.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// What is set in a fragment and in nothing else: the flag "more fragments", and the offset.
pub const FRAGMENT: u16 = 0x3fff;
/// The part of the type of service that is the DSCP; the rest is ECN (RFC 3168 section 5).
pub const DSCP: u8 = 0xfc;

/// An IPv4 header without options.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------+-------+---------------+-------------------------------+
/// |version|  IHL  |type of service|         total length          |
/// +-------+-------+---------------+-----+-------------------------+
/// |        identification         |flags|     fragment offset     |
/// +---------------+---------------+-----+-------------------------+
/// | time to live  |   protocol    |        header checksum        |
/// +---------------+---------------+-------------------------------+
/// |                            source                             |
/// +---------------------------------------------------------------+
/// |                          destination                          |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv4 {
    /// Version in the upper, header length in words of four bytes in the lower half.
    pub version_and_len: u8,
    /// DSCP and ECN.
    pub type_of_service: u8,
    /// The length of header and payload in bytes.
    pub total_len: U16,
    /// Which datagram a fragment belongs to; without meaning where there are no fragments (RFC 6864 section 4.1).
    pub identification: U16,
    /// Flags, and the fragment's offset in words of eight bytes.
    pub fragment: U16,
    /// How many hops it may still take.
    pub ttl: u8,
    /// What follows: [`ICMP`], [`UDP`].
    pub protocol: u8,
    /// The checksum of this header alone.
    pub checksum: Field,
    /// Who sent it.
    pub src: [u8; 4],
    /// Whom it is for.
    pub dst: [u8; 4],
}

view!(Ipv4, 20);

/// The header as its first eight bytes, and the rest.
#[derive(FromBytes)]
#[repr(C)]
struct Halves {
    first: [u8; 8],
    _rest: [u8; 12],
}

impl Ipv4 {
    /// Whether the header's checksum is right.
    #[inline(always)]
    pub fn is_right(&self) -> bool {
        Sum::of_header(transmute!(*self)).is_right()
    }

    /// Whether it is of version 4, without options, and no fragment: all that in one comparison.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        const FRAGMENT_BYTES: [u8; 2] = FRAGMENT.to_be_bytes();
        const MASK: u64 = u64::from_ne_bytes([0xff, 0, 0, 0, 0, 0, FRAGMENT_BYTES[0], FRAGMENT_BYTES[1]]);
        const PLAIN: u64 = u64::from_ne_bytes([VERSION_AND_LEN, 0, 0, 0, 0, 0, 0, 0]);
        let Halves { first, .. } = transmute!(*self);
        u64::from_ne_bytes(first) & MASK == PLAIN
    }

    /// [`Self::is_right`] for a header that [`Self::is_plain`], an instruction less: it is not all zeros.
    #[inline(always)]
    pub(crate) fn is_right_where_plain(&self) -> bool {
        Sum::of_header(transmute!(*self)).is_right_and_not_zero()
    }

    /// Whether it is part of a larger datagram. The flag that forbids fragments, and the reserved one, do not matter.
    #[inline(always)]
    pub fn is_fragment(&self) -> bool {
        self.fragment.get() & FRAGMENT != 0
    }

    /// The pseudo-header's part in a transport checksum, for `len` bytes from the transport header on (RFC 768).
    #[inline(always)]
    pub fn pseudo(&self, len: u16) -> Sum {
        crate::checksum::pseudo_v4(self.src, self.dst, self.protocol, len)
    }
}

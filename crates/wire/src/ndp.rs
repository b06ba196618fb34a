//! Neighbour discovery: which solicitations are valid, and the form of what answers them (RFC 4861).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{Field, Summer};
use crate::ethernet::Mac;
use crate::headers::Headers;
use crate::icmpv6;
use crate::ipv6::Ipv6;
use crate::view::view;

/// The hop limit of every message of neighbour discovery: whoever is not on the link cannot send it.
pub const HOP_LIMIT: u8 = 255;

/// The option that carries the sender's Ethernet address.
pub const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// The option that carries the target's Ethernet address.
pub const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// A neighbour solicitation without its options (section 4.3).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+-------------------------------+
/// |     type      |     code      |           checksum            |
/// +---------------+---------------+-------------------------------+
/// |                           reserved                            |
/// +---------------------------------------------------------------+
/// |                target address, four such rows                 |
/// +---------------------------------------------------------------+
/// |                           options …                           |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct NeighbourSolicitation {
    /// 135.
    pub kind: u8,
    /// Zero.
    pub code: u8,
    /// The checksum of pseudo-header and message.
    pub checksum: Field,
    /// Zero, and ignored.
    pub reserved: [u8; 4],
    /// Who is asked for.
    pub target: [u8; 16],
}

view!(NeighbourSolicitation, 24);

/// A link-layer address option as Ethernet has it (section 4.6.1, RFC 2464 section 6).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+-------------------------------+
/// |     type      |    length     |                               |
/// +---------------+---------------+       Ethernet address        +
/// |                                                               |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct LinkLayerAddress {
    /// Whose: [`SOURCE_LINK_LAYER_ADDRESS`] or [`TARGET_LINK_LAYER_ADDRESS`].
    pub kind: u8,
    /// How long the option is, in words of eight bytes: 1.
    pub len: u8,
    /// The address.
    pub mac: Mac,
}

view!(LinkLayerAddress, 8);

/// A neighbour advertisement with its one option (section 4.4).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+-------------------------------+
/// |     type      |     code      |           checksum            |
/// +-+-+-+---------+---------------+-------------------------------+
/// |R|S|O|                       reserved                          |
/// +-+-+-+---------------------------------------------------------+
/// |                target address, four such rows                 |
/// +---------------------------------------------------------------+
/// |           target's link-layer address, two such rows          |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct NeighbourAdvertisement {
    /// 136.
    pub kind: u8,
    /// Zero.
    pub code: u8,
    /// The checksum of pseudo-header and message.
    pub checksum: Field,
    /// [`SOLICITED`], [`OVERRIDE`]; the flag that says "router" is never set here.
    pub flags: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Whose address this tells.
    pub target: [u8; 16],
    /// Its Ethernet address.
    pub option: LinkLayerAddress,
}

view!(NeighbourAdvertisement, 32);

/// The flag of an advertisement that answers a solicitation of a known asker.
pub const SOLICITED: u8 = 0x40;
/// The flag of an advertisement that replaces what the asker remembers.
pub const OVERRIDE: u8 = 0x20;

/// A solicitation that RFC 4861 section 7.1.1 calls valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicitation {
    /// The asker's Ethernet address, where it told.
    pub asker: Option<Mac>,
    /// Whether the source is unspecified: a host asks whether the address is still free (RFC 4862 section 5.4.2).
    pub is_probe: bool,
    /// Whether it was sent to a group, as when the asker does not know the Ethernet address; else it asks whether the
    /// neighbour is still there.
    pub is_multicast: bool,
}

/// Why a solicitation is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The hop limit is not 255: it crossed a router, or pretends that it did not.
    HopLimit,
    /// The ICMPv6 checksum is wrong.
    Checksum,
    /// Any other check of RFC 4861 section 7.1.1.
    Malformed,
}

/// Checks a solicitation as RFC 4861 section 7.1.1 says. `headers` must be of these bytes, and of a solicitation.
///
/// # Errors
/// The first check that fails: hop limit, checksum, then all others.
#[inline(always)]
pub fn check_solicitation(bytes: &[u8], headers: Headers, summer: &Summer) -> Result<Solicitation, Invalid> {
    let ip = Ipv6::of(bytes, headers.network).ok_or(Invalid::Malformed)?;
    if ip.hop_limit != HOP_LIMIT {
        return Err(Invalid::HopLimit);
    }
    if !icmpv6::is_right(bytes, headers, summer) {
        return Err(Invalid::Checksum);
    }
    let message = bytes.get(headers.transport()..headers.end).ok_or(Invalid::Malformed)?;
    let solicitation = NeighbourSolicitation::of(message, 0).ok_or(Invalid::Malformed)?;
    if solicitation.code != 0 || is_multicast(solicitation.target) {
        return Err(Invalid::Malformed);
    }
    let options = message.get(NeighbourSolicitation::LEN..).ok_or(Invalid::Malformed)?;
    let source = source_of(options)?;
    let is_probe = ip.src == [0; 16];
    if is_probe && (source != Source::Absent || !is_solicited_node(ip.dst)) {
        return Err(Invalid::Malformed);
    }
    Ok(Solicitation { asker: source.mac(), is_probe, is_multicast: is_multicast(ip.dst) })
}

/// What the options say about the asker's link-layer address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Absent,
    Ethernet(Mac),
    /// Of a length that no Ethernet address has.
    Foreign,
}

impl Source {
    fn mac(self) -> Option<Mac> {
        match self {
            Self::Ethernet(mac) => Some(mac),
            Self::Absent | Self::Foreign => None,
        }
    }
}

/// Goes through all options: each has a length, none of them zero, and together they fill the message (section 4.6).
/// Unknown ones are skipped. Ends, for each round takes at least eight bytes off.
fn source_of(mut options: &[u8]) -> Result<Source, Invalid> {
    let mut source = Source::Absent;
    while let [kind, words, ..] = *options {
        let len = usize::from(words) * 8;
        if len == 0 {
            return Err(Invalid::Malformed);
        }
        let (option, rest) = options.split_at_checked(len).ok_or(Invalid::Malformed)?;
        if kind == SOURCE_LINK_LAYER_ADDRESS {
            let ethernet = if words == 1 { LinkLayerAddress::of(option, 0) } else { None };
            source = ethernet.map_or(Source::Foreign, |option| Source::Ethernet(option.mac));
        }
        options = rest;
    }
    if options.is_empty() { Ok(source) } else { Err(Invalid::Malformed) }
}

/// Whether an address means a group (RFC 4291 section 2.7).
#[inline(always)]
const fn is_multicast(ip: [u8; 16]) -> bool {
    let [first, ..] = ip;
    first == 0xff
}

/// Whether an address is `ff02::1:ffXX:XXXX` (RFC 4291 section 2.7.1).
#[inline(always)]
fn is_solicited_node(ip: [u8; 16]) -> bool {
    ip.starts_with(&[0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff])
}

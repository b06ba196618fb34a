//! Neighbour discovery: which solicitations and advertisements are valid, and their form (RFC 4861).

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

/// An advertisement that RFC 4861 section 7.1.2 calls valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// Whose address it tells.
    pub target: [u8; 16],
    /// The Ethernet address of that, where it is told.
    pub mac: Option<Mac>,
}

/// Why a solicitation or an advertisement is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The hop limit is not 255: it crossed a router, or pretends that it did not.
    HopLimit,
    /// The ICMPv6 checksum is wrong.
    Checksum,
    /// Any other check of RFC 4861 sections 7.1.1 and 7.1.2.
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
    let source = option_of::<SOURCE_LINK_LAYER_ADDRESS>(options)?;
    let is_probe = ip.src == [0; 16];
    if is_probe && (source != LinkLayer::Absent || !is_solicited_node(ip.dst)) {
        return Err(Invalid::Malformed);
    }
    Ok(Solicitation { asker: source.mac(), is_probe, is_multicast: is_multicast(ip.dst) })
}

/// Checks an advertisement as RFC 4861 section 7.1.2 says. `headers` must be of these bytes. It is not on the road: whoever
/// answers has no need of it.
///
/// # Errors
/// The first check that fails: hop limit, checksum, then all others, whether it is an advertisement at all among them.
pub fn check_advertisement(
    bytes: &[u8],
    headers: Headers,
    summer: &Summer,
) -> Result<Advertisement, Invalid> {
    let ip = Ipv6::of(bytes, headers.network).ok_or(Invalid::Malformed)?;
    if ip.hop_limit != HOP_LIMIT {
        return Err(Invalid::HopLimit);
    }
    if !icmpv6::is_right(bytes, headers, summer) {
        return Err(Invalid::Checksum);
    }
    let message = bytes.get(headers.transport()..headers.end).ok_or(Invalid::Malformed)?;
    // Before its options it has the length of a solicitation, and its target in the same place.
    let (message, options) =
        message.split_at_checked(NeighbourSolicitation::LEN).ok_or(Invalid::Malformed)?;
    let [kind, code, _, _, flags, ..] = *message else { return Err(Invalid::Malformed) };
    let target = NeighbourSolicitation::of(message, 0).ok_or(Invalid::Malformed)?.target;
    let is_to_all_as_solicited = is_multicast(ip.dst) && flags & SOLICITED != 0;
    if [kind, code] != [icmpv6::NEIGHBOUR_ADVERTISEMENT, 0] || is_multicast(target) || is_to_all_as_solicited
    {
        return Err(Invalid::Malformed);
    }
    Ok(Advertisement { target, mac: option_of::<TARGET_LINK_LAYER_ADDRESS>(options)?.mac() })
}

/// What the options say about a link-layer address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LinkLayer {
    Absent,
    Ethernet(Mac),
    /// Of a length that no Ethernet address has.
    Foreign,
}

impl LinkLayer {
    fn mac(self) -> Option<Mac> {
        match self {
            Self::Ethernet(mac) => Some(mac),
            Self::Absent | Self::Foreign => None,
        }
    }
}

/// Goes through all options: each has a length, none of them zero, and together they fill the message (section 4.6).
/// Those that are not of the kind that is looked for are skipped. Ends, for each round takes at least eight bytes off.
fn option_of<const KIND: u8>(mut options: &[u8]) -> Result<LinkLayer, Invalid> {
    let mut found = LinkLayer::Absent;
    while let [kind, words, ..] = *options {
        let len = usize::from(words) * 8;
        if len == 0 {
            return Err(Invalid::Malformed);
        }
        let (option, rest) = options.split_at_checked(len).ok_or(Invalid::Malformed)?;
        if kind == KIND {
            let ethernet = if words == 1 { LinkLayerAddress::of(option, 0) } else { None };
            found = ethernet.map_or(LinkLayer::Foreign, |option| LinkLayer::Ethernet(option.mac));
        }
        options = rest;
    }
    if options.is_empty() { Ok(found) } else { Err(Invalid::Malformed) }
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

/// The group in which whoever has `ip` listens for solicitations, and that group's Ethernet address (RFC 2464 section 7).
pub const fn solicited_node(ip: [u8; 16]) -> ([u8; 16], Mac) {
    let [.., a, b, c] = ip;
    ([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c], Mac([0x33, 0x33, 0xff, a, b, c]))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::parse::parse;
    use crate::template::AdvertisementTemplate;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
    const TARGET: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    /// Where the hop limit, the destination, the message and its options are in an untagged frame.
    const HOP_LIMIT_AT: usize = 21;
    const DST_AT: usize = 38;
    const MESSAGE_AT: usize = 54;
    const OPTION_AT: usize = MESSAGE_AT + NeighbourSolicitation::LEN;

    /// An advertisement as it is sent to all, with these bytes changed and its checksum made anew.
    fn advertisement(changes: &[(usize, u8)]) -> Vec<u8> {
        let headers = Headers { network: 14, end: 0, selector: 0, kind: crate::headers::Kind::Solicitation };
        let mut frame = std::vec![0; 86];
        crate::ethernet::Ethernet::of_mut(&mut frame, 0).unwrap().ethertype = crate::ethernet::IPV6.into();
        let to_all = Solicitation { asker: None, is_probe: true, is_multicast: true };
        AdvertisementTemplate::new(MAC, TARGET.into()).answer(&mut frame, headers, &to_all).unwrap();
        for &(at, byte) in changes {
            frame[at] = byte;
        }
        frame[MESSAGE_AT + 2..MESSAGE_AT + 4].fill(0);
        let sum = Ipv6::of(&frame, 14).unwrap().pseudo(32) + crate::checksum::Sum::of(&frame[MESSAGE_AT..]);
        NeighbourAdvertisement::of_mut(&mut frame, MESSAGE_AT).unwrap().checksum = sum.complement();
        frame
    }

    fn checked(frame: &[u8]) -> Result<Advertisement, Invalid> {
        check_advertisement(frame, parse(frame).unwrap(), &Summer::SCALAR)
    }

    #[test]
    fn a_valid_advertisement_tells_whose_address_is_where() {
        let told = |mac| Ok(Advertisement { target: TARGET, mac });
        assert_eq!(checked(&advertisement(&[])), told(Some(MAC)));
        assert_eq!(checked(&advertisement(&[(OPTION_AT, 14)])), told(None), "an unknown option is skipped");
    }

    #[test]
    fn each_check_of_rfc_4861_7_1_2_refuses_what_it_is_for() {
        assert_eq!(checked(&advertisement(&[(HOP_LIMIT_AT, 254)])), Err(Invalid::HopLimit));
        let mut damaged = advertisement(&[]);
        damaged[OPTION_AT + 7] ^= 1;
        assert_eq!(checked(&damaged), Err(Invalid::Checksum));
        for changes in [
            &[(MESSAGE_AT, 129)][..],
            &[(MESSAGE_AT + 1, 1)],
            &[(MESSAGE_AT + 4, SOLICITED)],
            &[(MESSAGE_AT + 8, 0xff)],
            &[(OPTION_AT + 1, 0)],
            &[(OPTION_AT + 1, 2)],
        ] {
            assert_eq!(checked(&advertisement(changes)), Err(Invalid::Malformed), "{changes:?}");
        }
        let to_one = advertisement(&[(MESSAGE_AT + 4, SOLICITED), (DST_AT, 0xfd)]);
        assert!(checked(&to_one).is_ok(), "solicited, to one station");
    }

    #[test]
    fn the_group_of_an_address_has_its_last_three_bytes() {
        let (group, mac) = solicited_node(TARGET);
        assert!(is_solicited_node(group) && is_multicast(group));
        assert_eq!((&group[13..], mac), (&[0, 0, 7][..], Mac([0x33, 0x33, 0xff, 0, 0, 7])));
    }
}

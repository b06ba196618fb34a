//! Ethernet II and its VLAN tags.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------------------------------+-------------------------------+
//! |                          destination                          |
//! +                               +-------------------------------+
//! |                               |                               |
//! +-------------------------------+            source             +
//! |                                                               |
//! +-------------------------------+-------------------------------+
//! |           ethertype           |
//! +-------------------------------+
//! ```
//!
//! RFC 894 and IEEE 802.3. An answer leaves in the frame that the question came in, so that its tags stay where they
//! are; only the two addresses change. What a lane accepts as destination and source is the lane's to decide.

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::view::view;

/// The ethertype of IPv4 (RFC 894).
pub const IPV4: u16 = 0x0800;
/// The ethertype of ARP (RFC 826).
pub const ARP: u16 = 0x0806;
/// The ethertype of IPv6 (RFC 2464 section 3).
pub const IPV6: u16 = 0x86dd;
/// The ethertype of the configuration testing protocol, by which a station looks whether its own frames leave (Ethernet 2.0, section 8).
pub const LOOPBACK: u16 = 0x9000;
/// The tag of a customer VLAN (IEEE 802.1Q).
pub const VLAN: u16 = 0x8100;
/// The tag of a service provider's VLAN, outside of a customer's (IEEE 802.1ad).
pub const SERVICE_VLAN: u16 = 0x88a8;

/// No frame on the wire is shorter, without its checksum sequence (IEEE 802.3 4A.3.2.3).
pub const FRAME_LEN_MIN: usize = 60;

/// An Ethernet address.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Everybody on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it means more than one station: multicast, broadcast among it.
    #[inline(always)]
    pub const fn is_group(self) -> bool {
        let [first, ..] = self.0;
        first & 1 != 0
    }
}

/// An Ethernet address in a register: its six bytes in memory order, in the upper 48 bits.
///
/// Two of these compare in one instruction, where two [`Mac`]s take eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacWord(u64);

impl MacWord {
    /// [`Mac::BROADCAST`].
    pub const BROADCAST: Self = Self::new(Mac::BROADCAST);

    /// The word of an address.
    pub const fn new(mac: Mac) -> Self {
        let [first, second, third, fourth, fifth, sixth] = mac.0;
        Self(u64::from_le_bytes([0, 0, first, second, third, fourth, fifth, sixth]))
    }

    /// Destination and source of a frame, or nothing where it ends inside its header.
    #[inline(always)]
    pub fn of(frame: &[u8]) -> Option<(Self, Self)> {
        let header = frame.first_chunk::<{ Ethernet::LEN }>()?;
        let (dst, _) = header.split_first_chunk::<8>()?;
        let (_, src) = header.split_last_chunk::<8>()?;
        Some((Self(u64::from_le_bytes(*dst) << 16), Self(u64::from_le_bytes(*src) << 16)))
    }

    /// Whether a frame is for this station alone, and comes from a single other one: the usual case, in two comparisons.
    /// False too where it ends inside its header.
    #[inline(always)]
    pub fn is_asked_alone(self, frame: &[u8]) -> bool {
        let Some(header) = frame.first_chunk::<{ Ethernet::LEN }>() else { return false };
        let (Some(first), Some(last)) = (header.first_chunk::<8>(), header.last_chunk::<8>()) else {
            return false;
        };
        // The destination, and above it the bit that tells a group from a station in the source.
        let dst_and_group = u64::from_le_bytes(*first) << 15;
        let src = u64::from_le_bytes(*last) << 16;
        dst_and_group == self.0 >> 1 && src != self.0
    }

    /// As [`Mac::is_group`].
    #[inline(always)]
    pub const fn is_group(self) -> bool {
        self.0 & 1 << 16 != 0
    }

    /// Whether it is a group of IPv6 stations (RFC 2464 section 7).
    #[inline(always)]
    pub const fn is_ipv6_group(self) -> bool {
        self.0 >> 16 & 0xffff == 0x3333
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, others @ ..] = self.0;
        write!(out, "{first:02x}")?;
        others.iter().try_for_each(|byte| write!(out, ":{byte:02x}"))
    }
}

/// Not six pairs of hexadecimal digits with colons between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacError;

impl fmt::Display for MacError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an Ethernet address is six pairs of hexadecimal digits, as in 02:00:00:00:00:01")
    }
}

impl core::error::Error for MacError {}

impl From<ParseIntError> for MacError {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let mut mac = Self::default();
        let mut pairs = text.split(':');
        for byte in &mut mac.0 {
            let pair = pairs.next().ok_or(MacError)?;
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(MacError);
            }
            *byte = u8::from_str_radix(pair, 16)?;
        }
        if pairs.next().is_some() { Err(MacError) } else { Ok(mac) }
    }
}

/// The first header of every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ethernet {
    /// Whom it is for.
    pub dst: Mac,
    /// Who sent it.
    pub src: Mac,
    /// What follows: [`IPV4`], [`ARP`], [`IPV6`], or a tag.
    pub ethertype: U16,
}

view!(Ethernet, 14);

/// A VLAN tag without the ethertype that announced it, which stands in front of it.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-----+-+-----------------------+-------------------------------+
/// | PCP |D|          VID          |           ethertype           |
/// +-----+-+-----------------------+-------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Vlan {
    /// Priority, drop eligibility and VLAN number.
    pub control: U16,
    /// What follows.
    pub ethertype: U16,
}

view!(Vlan, 4);

impl Vlan {
    /// The bits of [`control`](Self::control) that name the VLAN.
    pub const VID: u16 = 0x0fff;
}

/// Sends the frame back to the station that it came from, as `own`. Tags and ethertype stay.
///
/// Gives nothing, and has written nothing, where the room is shorter than the header.
#[inline(always)]
pub fn turn_round(room: &mut [u8], own: Mac) -> Option<()> {
    let header = room.first_chunk_mut::<{ Ethernet::LEN }>()?;
    // Eight bytes are one move, six are two: the source goes to the destination together with the ethertype, which ends
    // where the new source is written next.
    header.copy_within(6..14, 0);
    Ethernet::of_mut(header, 0)?.src = own;
    Some(())
}

/// Sends the frame to `to`, as `own`. Tags and ethertype stay.
///
/// Gives nothing, and has written nothing, where the room is shorter than the header.
pub fn send_to(room: &mut [u8], to: Mac, own: Mac) -> Option<()> {
    let ethernet = Ethernet::of_mut(room, 0)?;
    (ethernet.dst, ethernet.src) = (to, own);
    Some(())
}

/// Makes the frame at least [`FRAME_LEN_MIN`] bytes long, and gives the length to send.
///
/// The added bytes are zero: what an earlier packet left in the buffer never leaves the machine (RFC 1042, "padded
/// with octets of zero"; the leak is CVE-2003-0001). A room that is shorter than the minimum is padded to its end.
#[inline(always)]
pub fn pad(room: &mut [u8], end: usize) -> usize {
    if end >= FRAME_LEN_MIN {
        return end;
    }
    let len = FRAME_LEN_MIN.min(room.len());
    if let Some(padding) = room.get_mut(end..len) {
        padding.fill(0);
    }
    len
}

/// The length to send of a frame behind whose end at least [`CLEARED`](crate::checksum::CLEARED) bytes are zero already.
#[inline(always)]
pub const fn cleared_len(end: usize) -> usize {
    if end < FRAME_LEN_MIN { FRAME_LEN_MIN } else { end }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn an_address_reads_as_it_prints() {
        let mac: Mac = "02:00:5e:A0:0f:ff".parse().unwrap();
        assert_eq!(mac, Mac([0x02, 0x00, 0x5e, 0xa0, 0x0f, 0xff]));
        assert_eq!(mac.to_string(), "02:00:5e:a0:0f:ff");
    }

    #[test]
    fn what_is_not_six_pairs_is_no_address() {
        for text in [
            "",
            "02",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
            "02:00:00:00:00:+1",
            "02-00-00-00-00-01",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(MacError), "{text}");
        }
    }

    #[test]
    fn a_word_is_an_address_in_a_register() {
        let (dst, src) = (Mac([0x33, 0x33, 1, 2, 3, 4]), Mac([2, 0, 0, 0, 0, 9]));
        let mut frame = [0xa5; 14];
        *Ethernet::of_mut(&mut frame, 0).unwrap() = Ethernet { dst, src, ethertype: IPV4.into() };
        assert_eq!(MacWord::of(&frame), Some((MacWord::new(dst), MacWord::new(src))));
        assert_eq!((MacWord::new(dst).is_group(), MacWord::new(src).is_group()), (true, false));
        assert_eq!(MacWord::of(&frame[..13]), None);
    }

    #[test]
    fn broadcast_and_multicast_are_groups() {
        assert!(Mac::BROADCAST.is_group());
        assert!(Mac([0x33, 0x33, 0, 0, 0, 1]).is_group());
        assert!(!Mac([0x02, 0xff, 0xff, 0xff, 0xff, 0xff]).is_group());
    }

    #[test]
    fn a_frame_turned_round_goes_back_to_its_sender() {
        let mut room = [0xa5; 14];
        let (asker, own) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        Ethernet::of_mut(&mut room, 0).unwrap().src = asker;
        assert_eq!(turn_round(&mut room, own), Some(()));
        let ethernet = Ethernet::of(&room, 0).unwrap();
        assert_eq!((ethernet.dst, ethernet.src, ethernet.ethertype.get()), (asker, own, 0xa5a5));
    }

    #[test]
    fn a_frame_sent_to_another_station_goes_there() {
        let mut room = [0xa5; 14];
        let (router, own) = (Mac([2, 0, 0, 0, 0, 3]), Mac([2, 0, 0, 0, 0, 2]));
        assert_eq!(send_to(&mut room, router, own), Some(()));
        let ethernet = Ethernet::of(&room, 0).unwrap();
        assert_eq!((ethernet.dst, ethernet.src, ethernet.ethertype.get()), (router, own, 0xa5a5));
        assert_eq!(send_to(&mut room[..13], router, own), None);
    }

    #[test]
    fn a_room_without_a_header_is_not_turned_round() {
        let mut room = [0xa5; 13];
        assert_eq!(turn_round(&mut room, Mac::BROADCAST), None);
        assert_eq!(room, [0xa5; 13]);
    }

    #[test]
    fn padding_is_zero_and_ends_at_the_shortest_frame() {
        for end in 0..80 {
            let mut room = [0xa5; 100];
            let len = pad(&mut room, end);
            assert_eq!(len, end.max(60));
            assert!(room[..end].iter().all(|&byte| byte == 0xa5));
            assert!(room[end..len].iter().all(|&byte| byte == 0));
            assert!(room[len..].iter().all(|&byte| byte == 0xa5));
        }
    }

    #[test]
    fn padding_never_leaves_the_room() {
        let mut room = [0xa5; 50];
        assert_eq!(pad(&mut room, 42), 50);
        assert_eq!(room[42..], [0; 8]);
    }
}

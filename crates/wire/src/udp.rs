//! UDP over IPv4 and IPv6 (RFC 768, RFC 8200 section 8.1).

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{Field, Sum, Summer};
use crate::headers::{Headers, Kind};
use crate::ipv4::Ipv4;
use crate::ipv6::Ipv6;
use crate::view::view;

/// A UDP header.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------------------------------+-------------------------------+
/// |          source port          |       destination port        |
/// +-------------------------------+-------------------------------+
/// |            length             |           checksum            |
/// +-------------------------------+-------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Udp {
    /// The sender's port; zero where it wants no answer.
    pub src: U16,
    /// The port that is asked.
    pub dst: U16,
    /// The length of header and payload in bytes.
    pub len: U16,
    /// The checksum of pseudo-header, header and payload; zero where there is none.
    pub checksum: Field,
}

view!(Udp, 8);

/// What a datagram's checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The datagram is as it was sent.
    Right,
    /// There is none: legal over IPv4, not over IPv6 (RFC 8200 section 8.1).
    Absent,
    /// The sender's kernel left it to its NIC, and there is no NIC: a virtual link. The field holds the folded sum
    /// of the pseudo-header, nothing more (Linux, `CHECKSUM_PARTIAL` in `include/linux/skbuff.h`).
    ///
    /// Such a datagram never crossed a wire. An answer needs a checksum of its own: [`set_checksum`].
    Partial,
    /// The datagram is damaged.
    Wrong,
}

/// What the checksum of the datagram says. `headers` must be of these bytes, and of UDP.
///
/// Covers the UDP length; IP payload beyond it is not the datagram's.
#[inline]
pub fn check(bytes: &[u8], headers: &Headers, summer: &Summer) -> Checksum {
    let Some((datagram, udp)) = datagram(bytes, headers) else { return Checksum::Wrong };
    if udp.checksum == Field::ZERO {
        return Checksum::Absent;
    }
    let Some(pseudo) = pseudo(bytes, headers, udp) else { return Checksum::Wrong };
    if (pseudo + summer.sum(datagram)).is_right() { Checksum::Right } else { partial_or_wrong(pseudo, udp) }
}

#[cold]
fn partial_or_wrong(pseudo: Sum, udp: &Udp) -> Checksum {
    if udp.checksum.0 == pseudo.fold().to_ne_bytes() { Checksum::Partial } else { Checksum::Wrong }
}

/// Exchanges the ports: the datagram's answer goes to the port that asked. The checksum stays right.
///
/// Gives nothing, and has written nothing, where the room is shorter than the headers say.
#[inline]
pub fn turn_round(room: &mut [u8], headers: &Headers) -> Option<()> {
    let udp = Udp::of_mut(room, headers.transport())?;
    (udp.src, udp.dst) = (udp.dst, udp.src);
    Some(())
}

/// Gives the datagram a full checksum, made from its addresses, header and payload as they stand now.
///
/// A computed zero is sent as 0xffff, for zero means that there is none (RFC 768). Gives nothing where the room is
/// shorter than the headers say. Cost: a sum over the datagram; needed for [`Checksum::Partial`] only.
#[cold]
pub fn set_checksum(room: &mut [u8], headers: &Headers, summer: &Summer) -> Option<()> {
    Udp::of_mut(room, headers.transport())?.checksum = Field::ZERO;
    let (datagram, udp) = datagram(room, headers)?;
    let checksum = (pseudo(room, headers, udp)? + summer.sum(datagram)).complement();
    let checksum = if checksum == Field::ZERO { Field::ONES } else { checksum };
    Udp::of_mut(room, headers.transport())?.checksum = checksum;
    Some(())
}

/// The payload: what follows the header, as far as the UDP length says. `headers` must be of these bytes, and of UDP.
#[inline]
pub fn payload<'bytes>(bytes: &'bytes [u8], headers: &Headers) -> Option<&'bytes [u8]> {
    datagram(bytes, headers)?.0.get(Udp::LEN..)
}

/// The datagram as far as its own length says, and its header.
#[inline]
fn datagram<'bytes>(bytes: &'bytes [u8], headers: &Headers) -> Option<(&'bytes [u8], &'bytes Udp)> {
    let transport = bytes.get(headers.transport()..headers.end())?;
    let udp = Udp::of(transport, 0)?;
    Some((transport.get(..usize::from(udp.len.get()))?, udp))
}

#[inline]
fn pseudo(bytes: &[u8], headers: &Headers, udp: &Udp) -> Option<Sum> {
    let len = udp.len.get();
    if headers.kind == Kind::Udpv4 {
        Some(Ipv4::of(bytes, headers.network())?.pseudo(len))
    } else {
        Some(Ipv6::of(bytes, headers.network())?.pseudo(len))
    }
}

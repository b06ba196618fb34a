//! UDP over IPv4 and IPv6 (RFC 768, RFC 8200 section 8.1).

use core::mem::offset_of;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{self, Field, Sum, Summer};
use crate::headers::{Headers, Kind};
use crate::ipv4::{self, Ipv4};
use crate::ipv6::{self, Ipv6};
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
#[inline(always)]
pub fn check(bytes: &[u8], headers: Headers, summer: &Summer) -> Checksum {
    let Some(udp) = header(bytes, headers) else { return Checksum::Wrong };
    if udp.checksum == Field::ZERO {
        return Checksum::Absent;
    }
    match sum(bytes, headers, udp.len, *summer) {
        Some(sum) if sum.is_right() => Checksum::Right,
        _ => partial_or_wrong(bytes, headers.network, headers.end, headers.kind),
    }
}

/// The same for a datagram that fills its IP payload (see [`is_shorter`]) and is answered or dropped, but not handed on:
/// what follows it is cleared, see [`Summer::sum_and_clear`]. Cost: some 25 instructions for 18 bytes of payload.
#[inline(always)]
pub fn check_and_clear(room: &mut [u8], headers: Headers, summer: &Summer) -> Checksum {
    let Some(udp) = header(room, headers) else { return Checksum::Wrong };
    let (checksum, len) = (udp.checksum, udp.len);
    let (addresses, _, protocol) = summed_from(headers.kind);
    let end = headers.end.wrapping_sub(headers.network);
    let sum = headers.packet_mut(room).and_then(|packet| summer.sum_and_clear(packet, addresses, end));
    if checksum == Field::ZERO {
        return Checksum::Absent;
    }
    match sum {
        // Not zero: the protocol is not.
        Some(sum) if (sum + checksum::pseudo_rest(protocol, len.get())).is_right_and_not_zero() => {
            Checksum::Right
        }
        _ => partial_or_wrong(room, headers.network, headers.end, headers.kind),
    }
}

/// Takes the headers in parts, for what is passed in memory to a function that is called is kept in memory by its
/// caller, at some ten instructions a packet.
#[cold]
fn partial_or_wrong(bytes: &[u8], network: usize, end: usize, kind: Kind) -> Checksum {
    let headers = Headers { network, end, selector: 0, kind };
    let checksums = || {
        let udp = header(bytes, headers)?;
        Some((udp.checksum, pseudo(bytes, headers, udp.len.get())?.fold()))
    };
    match checksums() {
        Some((Field(checksum), pseudo)) if checksum == pseudo.to_ne_bytes() => Checksum::Partial,
        _ => Checksum::Wrong,
    }
}

/// Exchanges the ports: the datagram's answer goes to the port that asked. The checksum stays right.
///
/// Gives nothing, and has written nothing, where the room is shorter than the headers say.
#[inline(always)]
pub fn turn_round(room: &mut [u8], headers: Headers) -> Option<()> {
    let udp = header_mut(room, headers)?;
    (udp.src, udp.dst) = (udp.dst, udp.src);
    Some(())
}

/// Gives the datagram a full checksum, made from its addresses, header and payload as they stand now.
///
/// Gives nothing where the room is shorter than the headers say. Cost: a sum over the datagram; needed for
/// [`Checksum::Partial`] only.
#[cold]
pub fn set_checksum(room: &mut [u8], headers: Headers, summer: &Summer) -> Option<()> {
    let sum = begin_checksum(room, headers, summer)?;
    finish_checksum(room, headers, sum)
}

/// The sum of the datagram as it stands now, with zero in its checksum's place: to be added to what is written into it
/// after this, over zeros at even offsets, and to be given to [`finish_checksum`].
///
/// So what must be written last costs two instructions, not a sum over the datagram. Gives nothing where the room is
/// shorter than the headers say.
#[inline(always)]
pub fn begin_checksum(room: &mut [u8], headers: Headers, summer: &Summer) -> Option<Sum> {
    let udp = header_mut(room, headers)?;
    udp.checksum = Field::ZERO;
    let len = udp.len;
    sum(room, headers, len, *summer)
}

/// Writes the checksum of a datagram of this sum. A computed zero is sent as 0xffff, for zero means that there is none
/// (RFC 768).
#[inline(always)]
pub fn finish_checksum(room: &mut [u8], headers: Headers, sum: Sum) -> Option<()> {
    let checksum = sum.complement();
    header_mut(room, headers)?.checksum = if checksum == Field::ZERO { Field::ONES } else { checksum };
    Some(())
}

/// Whether the datagram ends before the IP payload does, which nothing forbids. `headers` must be of these bytes, and of
/// UDP.
#[inline(always)]
pub fn is_shorter(bytes: &[u8], headers: Headers) -> bool {
    header(bytes, headers).is_some_and(|udp| headers.transport() + usize::from(udp.len.get()) != headers.end)
}

/// Ends the packet where the datagram ends, and gives the headers that it then has: what stands behind the datagram is
/// no part of it, and so of no answer. The IPv4 header's checksum is left wrong, for an answer has its own.
#[cold]
pub fn trim(room: &mut [u8], network: usize, kind: Kind) -> Option<Headers> {
    let headers = Headers { network, end: network, selector: 0, kind };
    let len = header(room, headers)?.len;
    if kind == Kind::Udpv4 {
        Ipv4::of_mut(room, network)?.total_len = len + Ipv4::LEN_U16;
    } else {
        Ipv6::of_mut(room, network)?.payload_len = len;
    }
    Some(Headers { end: headers.transport() + usize::from(len.get()), ..headers })
}

/// Makes the payload `len` bytes long, with zeros behind what there is, and gives the headers that the packet then has.
/// Both checksums are left wrong, for an answer has its own.
///
/// Gives nothing, and has written nothing, where the payload is longer already or the room too small.
#[cold]
pub fn lengthen(room: &mut [u8], headers: Headers, len: u16) -> Option<Headers> {
    let len = Udp::LEN_U16.checked_add(len)?;
    let total_len = len.checked_add(Ipv4::LEN_U16)?;
    let end = headers.transport() + usize::from(len);
    room.get_mut(headers.end..end)?.fill(0);
    header_mut(room, headers)?.len = len.into();
    if headers.kind == Kind::Udpv4 {
        Ipv4::of_mut(room, headers.network)?.total_len = total_len.into();
    } else {
        Ipv6::of_mut(room, headers.network)?.payload_len = len.into();
    }
    Some(Headers { end, ..headers })
}

/// The payload: what follows the header, as far as the UDP length says. `headers` must be of these bytes, and of UDP.
#[inline(always)]
pub fn payload(bytes: &[u8], headers: Headers) -> Option<&[u8]> {
    let end = headers.transport() + usize::from(header(bytes, headers)?.len.get());
    bytes.get(headers.transport() + Udp::LEN..end)
}

/// The same, to be written to.
#[inline(always)]
pub fn payload_mut(room: &mut [u8], headers: Headers) -> Option<&mut [u8]> {
    let end = headers.transport() + usize::from(header(room, headers)?.len.get());
    room.get_mut(headers.transport() + Udp::LEN..end)
}

/// The sum of pseudo-header and datagram.
///
/// The addresses stand in front of the datagram, so that one run over the bytes takes in both:
///
/// ```text
///  … │ source │ destination │ UDP header │ payload │ …          + protocol + length
///    └──────────────── summed ─────────────────────┘
/// ```
#[inline(always)]
fn sum(bytes: &[u8], headers: Headers, len: U16, summer: Summer) -> Option<Sum> {
    let (addresses, header_len, protocol) = summed_from(headers.kind);
    let summed = headers.packet(bytes)?.get(addresses..header_len + usize::from(len.get()))?;
    Some(summer.sum(summed) + checksum::pseudo_rest(protocol, len.get()))
}

/// Where the addresses begin within the packet, where the datagram does, and the protocol number.
#[inline(always)]
const fn summed_from(kind: Kind) -> (usize, usize, u8) {
    match kind {
        Kind::Udpv4 => (offset_of!(Ipv4, src), Ipv4::LEN, ipv4::UDP),
        _ => (offset_of!(Ipv6, src), Ipv6::LEN, ipv6::UDP),
    }
}

#[inline(always)]
fn header(bytes: &[u8], headers: Headers) -> Option<&Udp> {
    Udp::of(headers.packet(bytes)?, headers.network_len())
}

#[inline(always)]
fn header_mut(room: &mut [u8], headers: Headers) -> Option<&mut Udp> {
    Udp::of_mut(headers.packet_mut(room)?, headers.network_len())
}

fn pseudo(bytes: &[u8], headers: Headers, len: u16) -> Option<Sum> {
    if headers.kind == Kind::Udpv4 {
        Some(Ipv4::of(bytes, headers.network)?.pseudo(len))
    } else {
        Some(Ipv6::of(bytes, headers.network)?.pseudo(len))
    }
}

//! ICMPv6: echo, and the one error that a server of UDP has to send (RFC 4443).

use core::mem::offset_of;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{self, Field, Summer};
use crate::headers::Headers;
use crate::ipv6::{self, Ipv6};
use crate::template::Ipv6Template;
use crate::view::view;

/// The type of Destination Unreachable (section 3.1).
pub const UNREACHABLE: u8 = 1;
/// The type of an echo request (section 4.1).
pub const ECHO_REQUEST: u8 = 128;
/// The type of an echo reply (section 4.2).
pub const ECHO_REPLY: u8 = 129;
/// The type of a neighbour solicitation (RFC 4861 section 4.3).
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
/// The type of a neighbour advertisement (RFC 4861 section 4.4).
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// The code of Destination Unreachable that says: nobody listens at this port.
pub const PORT_UNREACHABLE: u8 = 4;

/// The most bytes of a whole error packet: the smallest MTU that IPv6 allows (section 2.4 (c)).
pub const ERROR_LEN_MAX: u16 = 1280;

/// An echo request or reply; its first four bytes begin every ICMPv6 message.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+-------------------------------+
/// |     type      |     code      |           checksum            |
/// +---------------+---------------+-------------------------------+
/// |          identifier           |        sequence number        |
/// +-------------------------------+-------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Icmpv6Echo {
    /// [`ECHO_REQUEST`] or [`ECHO_REPLY`].
    pub kind: u8,
    /// Zero.
    pub code: u8,
    /// The checksum of pseudo-header and message (section 2.3).
    pub checksum: Field,
    /// The asker's, returned as it came. Zero in an error, where it is unused.
    pub identifier: U16,
    /// The asker's, returned as it came. Zero in an error, where it is unused.
    pub sequence: U16,
}

view!(Icmpv6Echo, 8);

/// Whether the message is an echo request: type 128, code 0. `headers` must be of these bytes, and of ICMPv6.
#[inline(always)]
pub fn is_echo_request(bytes: &[u8], headers: Headers) -> bool {
    headers
        .packet(bytes)
        .and_then(|packet| Icmpv6Echo::of(packet, Ipv6::LEN))
        .is_some_and(|echo| [echo.kind, echo.code] == [ECHO_REQUEST, 0])
}

/// Whether the message's checksum is right. `headers` must be of these bytes, and of ICMPv6.
#[inline(always)]
pub fn is_right(bytes: &[u8], headers: Headers, summer: &Summer) -> bool {
    let len = headers.packet_len();
    let summed = headers.packet(bytes).and_then(|packet| packet.get(offset_of!(Ipv6, src)..usize::from(len)));
    let rest = checksum::pseudo_rest(ipv6::ICMP, len.wrapping_sub(Ipv6::LEN_U16));
    summed.is_some_and(|summed| (summer.sum(summed) + rest).is_right())
}

/// The same for a message that is answered or dropped, but not handed on: what follows it is cleared, see
/// [`Summer::sum_and_clear`].
#[inline(always)]
pub fn is_right_and_clear(room: &mut [u8], headers: Headers, summer: &Summer) -> bool {
    let end = headers.end.wrapping_sub(headers.network);
    let rest = checksum::pseudo_rest(ipv6::ICMP, headers.packet_len().wrapping_sub(Ipv6::LEN_U16));
    headers
        .packet_mut(room)
        .and_then(|packet| summer.sum_and_clear(packet, offset_of!(Ipv6, src), end))
        // Not zero: the next header is not.
        .is_some_and(|sum| (sum + rest).is_right_and_not_zero())
}

/// Makes an echo request, which it must be ([`is_echo_request`]), its own reply: the type changes, and the checksum with it.
/// All else is the asker's.
///
/// The checksum is right where the reply goes from the question's destination to its source, for the two may change
/// places in the sum. It is never computed as zero from nothing but zeros: the pseudo-header is not zero.
///
/// Gives nothing, and has written nothing, where the room is shorter than the headers say.
#[inline(always)]
pub fn answer_echo(room: &mut [u8], headers: Headers) -> Option<()> {
    let echo = Icmpv6Echo::of_mut(headers.packet_mut(room)?, Ipv6::LEN)?;
    echo.checksum = checksum::update(echo.checksum, [ECHO_REQUEST, 0], [ECHO_REPLY, 0]);
    echo.kind = ECHO_REPLY;
    echo.code = 0;
    Some(())
}

/// What stands in front of the quoted datagram.
const PORT_UNREACHABLE_HEADER: Icmpv6Echo = Icmpv6Echo {
    kind: UNREACHABLE,
    code: PORT_UNREACHABLE,
    checksum: Field::ZERO,
    identifier: U16::ZERO,
    sequence: U16::ZERO,
};

/// Makes a datagram to a closed port the Port Unreachable that answers it, and gives the error's end in the room.
///
/// The error quotes the packet from its IPv6 header on, as much as fits [`ERROR_LEN_MAX`] (section 3.1), unchanged.
/// The Ethernet header is left to the caller; so is whether an error may be sent at all.
///
/// Gives nothing, and has written nothing, where the room is too small.
#[cold]
pub fn port_unreachable(
    room: &mut [u8],
    headers: Headers,
    template: &Ipv6Template,
    summer: &Summer,
) -> Option<usize> {
    const HEADERS_LEN: u16 = Ipv6::LEN_U16 + Icmpv6Echo::LEN_U16;
    let quote_len = headers.packet_len().min(ERROR_LEN_MAX - HEADERS_LEN);
    let message_len = Icmpv6Echo::LEN_U16 + quote_len;
    let end = headers.network + Ipv6::LEN + usize::from(message_len);
    let error = room.get_mut(headers.network..end)?;
    let asked = *Ipv6::of(error, 0)?;
    error.copy_within(..usize::from(quote_len), usize::from(HEADERS_LEN));
    let ip = template.header(&asked, message_len.into(), ipv6::ICMP);
    *Ipv6::of_mut(error, 0)? = ip;
    let message = error.get_mut(Ipv6::LEN..)?;
    *Icmpv6Echo::of_mut(message, 0)? = PORT_UNREACHABLE_HEADER;
    let checksum = (ip.pseudo(message_len) + summer.sum(message)).complement();
    Icmpv6Echo::of_mut(message, 0)?.checksum = checksum;
    Some(end)
}

//! ICMP for IPv4: echo, and the one error that a server of UDP has to send (RFC 792, RFC 1122 section 3.2.2).

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{self, Field, Sum, Summer};
use crate::headers::Headers;
use crate::ipv4::Ipv4;
use crate::template::Ipv4Template;
use crate::view::view;

/// The type of an echo reply.
pub const ECHO_REPLY: u8 = 0;
/// The type of Destination Unreachable.
pub const UNREACHABLE: u8 = 3;
/// The type of an echo request.
pub const ECHO_REQUEST: u8 = 8;
/// The code of Destination Unreachable that says: nobody listens at this port.
pub const PORT_UNREACHABLE: u8 = 3;

/// The most bytes of a whole error datagram (RFC 1812 section 4.3.2.3): what every host can take.
pub const ERROR_LEN_MAX: u16 = 576;

/// An echo request or reply; its first four bytes begin every ICMP message.
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
pub struct Icmpv4Echo {
    /// [`ECHO_REQUEST`] or [`ECHO_REPLY`].
    pub kind: u8,
    /// Zero.
    pub code: u8,
    /// The checksum of the message, without pseudo-header.
    pub checksum: Field,
    /// The asker's, returned as it came. Zero in an error, where it is unused.
    pub identifier: U16,
    /// The asker's, returned as it came. Zero in an error, where it is unused.
    pub sequence: U16,
}

view!(Icmpv4Echo, 8);

/// Whether the message is an echo request: type 8, code 0. `headers` must be of these bytes, and of ICMP.
#[inline(always)]
pub fn is_echo_request(bytes: &[u8], headers: Headers) -> bool {
    headers
        .packet(bytes)
        .and_then(|packet| Icmpv4Echo::of(packet, Ipv4::LEN))
        .is_some_and(|echo| [echo.kind, echo.code] == [ECHO_REQUEST, 0])
}

/// Whether the message's checksum is right. `headers` must be of these bytes, and of ICMP.
#[inline(always)]
pub fn is_right(bytes: &[u8], headers: Headers, summer: &Summer) -> bool {
    headers
        .packet(bytes)
        .and_then(|packet| packet.get(Ipv4::LEN..usize::from(headers.packet_len())))
        .is_some_and(|message| summer.sum(message).is_right())
}

/// The same for an echo request, which is answered or dropped, but not handed on: what follows it is cleared, see
/// [`Summer::sum_and_clear`].
#[inline(always)]
pub fn is_right_and_clear(room: &mut [u8], headers: Headers, summer: &Summer) -> bool {
    let end = headers.end.wrapping_sub(headers.network);
    headers
        .packet_mut(room)
        .and_then(|packet| summer.sum_and_clear(packet, Ipv4::LEN, end))
        // Not zero: the type of an echo request is not.
        .is_some_and(Sum::is_right_and_not_zero)
}

/// Makes an echo request, which it must be ([`is_echo_request`]), its own reply: the type changes, and the checksum with it.
/// All else is the asker's.
///
/// Gives nothing, and has written nothing, where the room is shorter than the headers say.
#[inline(always)]
pub fn answer_echo(room: &mut [u8], headers: Headers) -> Option<()> {
    let echo = Icmpv4Echo::of_mut(headers.packet_mut(room)?, Ipv4::LEN)?;
    let updated = checksum::update(echo.checksum, [ECHO_REQUEST, 0], [ECHO_REPLY, 0]);
    echo.kind = ECHO_REPLY;
    echo.code = 0;
    echo.checksum = updated;
    if updated == Field::ZERO { set_checksum(room, headers.network, headers.end) } else { Some(()) }
}

/// The checksum of a reply that may consist of zeros alone, in one of 65,536 packets: identifier, sequence number and
/// data zero is a legal question. Its checksum is 0xffff, and an update gives 0x0000 (see [`checksum::update`]).
#[cold]
fn set_checksum(room: &mut [u8], network: usize, end: usize) -> Option<()> {
    let message = room.get_mut(network + Ipv4::LEN..end)?;
    Icmpv4Echo::of_mut(message, 0)?.checksum = Field::ZERO;
    let checksum = Sum::of(message).complement();
    Icmpv4Echo::of_mut(message, 0)?.checksum = checksum;
    Some(())
}

/// What stands in front of the quoted datagram.
const PORT_UNREACHABLE_HEADER: Icmpv4Echo = Icmpv4Echo {
    kind: UNREACHABLE,
    code: PORT_UNREACHABLE,
    checksum: Field::ZERO,
    identifier: U16::ZERO,
    sequence: U16::ZERO,
};

/// Makes a datagram to a closed port the Port Unreachable that answers it, and gives the error's end in the room.
///
/// `template` must be one for [`ipv4::ICMP`](crate::ipv4::ICMP). The error quotes the datagram's own header and as
/// much of the rest as fits [`ERROR_LEN_MAX`] (RFC 1122 section 3.2.2, RFC 1812 section 4.3.2.3), unchanged. The
/// Ethernet header is left to the caller; so is whether an error may be sent at all.
///
/// Gives nothing, and has written nothing, where the room is too small.
#[cold]
pub fn port_unreachable(
    room: &mut [u8],
    headers: Headers,
    template: &Ipv4Template,
    summer: &Summer,
) -> Option<usize> {
    const HEADERS_LEN: u16 = Ipv4::LEN_U16 + Icmpv4Echo::LEN_U16;
    let quote_len = headers.packet_len().min(ERROR_LEN_MAX - HEADERS_LEN);
    let total_len = HEADERS_LEN + quote_len;
    let end = headers.network + usize::from(total_len);
    let error = room.get_mut(headers.network..end)?;
    let asked = *Ipv4::of(error, 0)?;
    error.copy_within(..usize::from(quote_len), usize::from(HEADERS_LEN));
    *Ipv4::of_mut(error, 0)? = template.header(&asked, total_len);
    let message = error.get_mut(Ipv4::LEN..)?;
    *Icmpv4Echo::of_mut(message, 0)? = PORT_UNREACHABLE_HEADER;
    let checksum = summer.sum(message).complement();
    Icmpv4Echo::of_mut(message, 0)?.checksum = checksum;
    Some(end)
}

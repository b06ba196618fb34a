//! The messages of sockperf 3.7, a latency benchmark for sockets, as its client sends them over UDP and its server
//! answers them.
//!
//! Nothing specifies them but the program itself (Mellanox/sockperf at 3.7, `src/message.h`: `MsgHeader`, packed to
//! words of two bytes, all fields in network order; `src/server.h`: `handle_message`). What its server does, and so what
//! is done here:
//!
//! - A message that is not a client's, or that only warms up, is taken and not answered.
//! - A message that asks for a pong is sent back as it came, with the client's flag cleared. In `ping-pong` each one asks,
//!   in `under-load` every hundredth (`--reply-every`).
//! - The length is the whole message's, header included. The real server sends as many bytes back as the length says;
//!   here a datagram must be exactly as long as its message, which those of the client are.

use zerocopy::network_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::view::view;

/// The port that sockperf uses where none is named.
pub const PORT: u16 = 11_111;

/// The flag of a client's message; cleared in an answer.
pub const CLIENT: u16 = 1;
/// The flag of a message that is to be answered.
pub const PONG_REQUEST: u16 = 2;
/// The flag of a message that only warms caches: it is neither answered nor counted.
pub const WARM_UP: u16 = 4;

/// The header of a message; its data follow, and mean nothing.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------------------------------------------------------+
/// |                        sequence number                        |
/// |                                                               |
/// +-------------------------+-+-+-+-------------------------------+
/// |            0            |W|P|C|             length            |
/// +-------------------------+-+-+-+-------------------------------+
/// |            length             |  data …
/// +-------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Message {
    /// The client's count of its messages, from 0 on.
    pub sequence: U64,
    /// [`CLIENT`], [`PONG_REQUEST`], [`WARM_UP`].
    pub flags: U16,
    /// The length of header and data in bytes.
    pub len: U32,
}

view!(Message, 14);

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It asks for a pong.
    Pong,
    /// A client's message that asks for nothing: most of those in `under-load`.
    Silent,
    /// A client's message that only warms caches.
    WarmUp,
    /// No client's message: another server's answer, or nothing of sockperf's.
    NotClient,
    /// A payload that is shorter than a header, or not as long as its message.
    Malformed,
}

/// What a server is asked by a datagram's `payload`.
#[inline]
pub fn request(payload: &[u8]) -> Request {
    let Some(message) = Message::of(payload, 0) else { return Request::Malformed };
    let flags = message.flags.get();
    if usize::try_from(message.len.get()) != Ok(payload.len()) {
        Request::Malformed
    } else if flags & CLIENT == 0 {
        Request::NotClient
    } else if flags & WARM_UP != 0 {
        Request::WarmUp
    } else if flags & PONG_REQUEST == 0 {
        Request::Silent
    } else {
        Request::Pong
    }
}

/// The flags of the answer to a message with these flags: it is the server's.
pub const fn answered(flags: u16) -> u16 {
    flags & !CLIENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(flags: u16, len: u32) -> [u8; 20] {
        let mut payload = [0xa5; 20];
        *Message::of_mut(&mut payload, 0).unwrap() =
            Message { sequence: U64::new(7), flags: U16::new(flags), len: U32::new(len) };
        payload
    }

    #[test]
    fn only_a_clients_message_that_asks_for_a_pong_gets_one() {
        for (flags, asks) in [
            (CLIENT | PONG_REQUEST, Request::Pong),
            (CLIENT, Request::Silent),
            (CLIENT | WARM_UP, Request::WarmUp),
            (CLIENT | PONG_REQUEST | WARM_UP, Request::WarmUp),
            (PONG_REQUEST, Request::NotClient),
            (0, Request::NotClient),
        ] {
            assert_eq!(request(&message(flags, 20)), asks, "{flags}");
        }
    }

    #[test]
    fn a_message_is_as_long_as_its_datagram() {
        assert_eq!(request(&message(CLIENT | PONG_REQUEST, 14)[..14]), Request::Pong);
        for (len, end) in [(19, 20), (21, 20), (0, 20), (u32::MAX, 20), (13, 13), (20, 0)] {
            assert_eq!(request(&message(CLIENT | PONG_REQUEST, len)[..end]), Request::Malformed, "{len}");
        }
    }

    #[test]
    fn the_header_stands_as_sockperf_packs_it() {
        let payload = message(CLIENT | PONG_REQUEST, 20);
        assert_eq!(payload[..14], [0, 0, 0, 0, 0, 0, 0, 7, 0, 3, 0, 0, 0, 20]);
        assert_eq!(answered(CLIENT | PONG_REQUEST), PONG_REQUEST);
    }
}

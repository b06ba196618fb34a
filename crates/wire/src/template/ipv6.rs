//! The IPv6 header of an answer.

use core::net::Ipv6Addr;

use zerocopy::network_endian::{U16, U32};

use crate::headers::Headers;
use crate::ipv6::{self, Ipv6};

/// The IPv6 header of every answer from one own address.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6Template {
    src: [u8; 16],
    hop_limit: u8,
}

impl Ipv6Template {
    /// A template for answers from `src` that may take `hop_limit` hops.
    pub const fn new(src: Ipv6Addr, hop_limit: u8) -> Self {
        Self { src: src.octets(), hop_limit }
    }

    /// Turns the question's header into the answer's: to whom it came from, as long as it was, with its DSCP and its
    /// next header. The flow label is zero: the flow is another one.
    ///
    /// Gives nothing, and has written nothing, where the room is shorter than the headers say.
    #[inline(always)]
    pub fn answer(&self, room: &mut [u8], headers: Headers) -> Option<()> {
        let ip = Ipv6::of_mut(room, headers.network)?;
        *ip = self.header(ip, ip.payload_len, ip.next_header);
        Some(())
    }

    /// The header of an answer to `asked`, but with `payload_len` bytes of `next_header`.
    #[inline(always)]
    pub(crate) fn header(&self, asked: &Ipv6, payload_len: U16, next_header: u8) -> Ipv6 {
        Ipv6 {
            version_and_class: U32::new(ipv6::VERSION | asked.version_and_class.get() & ipv6::DSCP),
            payload_len,
            next_header,
            hop_limit: self.hop_limit,
            src: self.src,
            dst: asked.src,
        }
    }
}

//! The IPv4 header of an answer.

use core::net::Ipv4Addr;

use zerocopy::IntoBytes;
use zerocopy::network_endian::U16;

use crate::checksum::{Field, Sum};
use crate::headers::Headers;
use crate::ipv4::{self, Ipv4};

/// The IPv4 header of every answer from one own address, with one protocol.
///
/// Type of service, total length, destination and checksum are holes; they are zero here, and so is their part in
/// the sum.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Template {
    header: Ipv4,
    sum: u16,
}

impl Ipv4Template {
    /// A template for answers from `src` with a `protocol`, that may take `ttl` hops.
    ///
    /// The identification is zero and fragmentation forbidden: an atomic datagram (RFC 6864 section 4.1).
    pub fn new(src: Ipv4Addr, protocol: u8, ttl: u8) -> Self {
        let header = Ipv4 {
            version_and_len: ipv4::VERSION_AND_LEN,
            type_of_service: 0,
            total_len: U16::ZERO,
            identification: U16::ZERO,
            fragment: U16::new(ipv4::DONT_FRAGMENT),
            ttl,
            protocol,
            checksum: Field::ZERO,
            src: src.octets(),
            dst: [0; 4],
        };
        Self { header, sum: Sum::of(header.as_bytes()).fold() }
    }

    /// Turns the question's header into the answer's: to whom it came from, as long as it was, with its DSCP.
    ///
    /// Gives nothing, and has written nothing, where the room is shorter than the headers say. Cost: some 30
    /// instructions.
    #[inline]
    pub fn answer(&self, room: &mut [u8], headers: &Headers) -> Option<()> {
        let ip = Ipv4::of_mut(room, headers.network())?;
        *ip = self.header(ip.type_of_service, ip.total_len, ip.src);
        Some(())
    }

    /// The header of an answer of `total_len` bytes to `dst`. What is ECN in `type_of_service` is cleared: an
    /// answer's own path says that (RFC 3168 section 5).
    #[inline]
    pub fn header(&self, type_of_service: u8, total_len: U16, dst: [u8; 4]) -> Ipv4 {
        let type_of_service = type_of_service & ipv4::DSCP;
        let [len_high, len_low] = total_len.to_bytes();
        let first = u32::from_ne_bytes([0, type_of_service, len_high, len_low]);
        let checksum = Sum::of_words([u32::from(self.sum), first, u32::from_ne_bytes(dst)]).complement();
        Ipv4 { type_of_service, total_len, checksum, dst, ..self.header }
    }
}

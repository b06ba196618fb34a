//! The IPv4 header of an answer.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-------+-----------+---+-------------------------------+
//! | 0x45: constant|   DSCP    | 0 |         total length          |   DSCP and length: the question's
//! +---------------+-----------+---+-----+-------------------------+
//! |               0               | DF  |            0            |   constant
//! +---------------+---------------+-----+-------------------------+
//! |      TTL      |   protocol    |           checksum            |   TTL and protocol: the template's
//! +---------------+---------------+-------------------------------+
//! |                            source                             |   the template's
//! +---------------------------------------------------------------+
//! |                          destination                          |   the question's source
//! +---------------------------------------------------------------+
//! ```
//!
//! It is written by words of 32 bits, which is how few instructions do it.

use core::net::Ipv4Addr;

use zerocopy::{FromBytes, IntoBytes, transmute};

use crate::checksum::{Field, Sum};
use crate::headers::Headers;
use crate::ipv4::{self, Ipv4};

/// The header as words in memory order.
type Words = [[u8; 4]; 5];

/// What the first word keeps of the question: DSCP and total length. What is ECN is cleared, for it tells of another
/// path (RFC 3168 section 5).
const KEPT: u32 = u32::from_ne_bytes([0, ipv4::DSCP, 0xff, 0xff]);
/// What the first word is given.
const VERSION_AND_LEN: u32 = u32::from_ne_bytes([ipv4::VERSION_AND_LEN, 0, 0, 0]);
/// Identification zero, not to be fragmented: an atomic datagram (RFC 6864 section 4.1).
const ATOMIC: [u8; 4] = [0, 0, ipv4::DONT_FRAGMENT.to_be_bytes()[0], 0];

/// The IPv4 header of every answer from one own address, with one protocol.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Template {
    /// TTL, protocol, and zero for the checksum.
    third: u32,
    src: [u8; 4],
    /// The folded sum of all that is no hole; 16 bits, in a word that need not be widened.
    sum: u32,
}

impl Ipv4Template {
    /// A template for answers from `src` with a `protocol`, that may take `ttl` hops.
    pub fn new(src: Ipv4Addr, protocol: u8, ttl: u8) -> Self {
        let src = src.octets();
        let third = [ttl, protocol, 0, 0];
        let words: Words = [VERSION_AND_LEN.to_ne_bytes(), ATOMIC, third, src, [0; 4]];
        Self { third: u32::from_ne_bytes(third), src, sum: Sum::of(words.as_bytes()).fold().into() }
    }

    /// Turns the question's header into the answer's: to whom it came from, as long as it was, with its DSCP.
    ///
    /// Gives nothing, and has written nothing, where the room is shorter than the headers say. Cost: some 25
    /// instructions.
    #[inline(always)]
    pub fn answer(&self, room: &mut [u8], headers: Headers) -> Option<()> {
        let (words, _) = Words::mut_from_prefix(headers.packet_mut(room)?).ok()?;
        let [first, _, _, asker, _] = *words;
        *words = self.words(first, asker);
        Some(())
    }

    /// The header of an answer to `asked`, but `total_len` bytes long.
    pub(crate) fn header(&self, asked: &Ipv4, total_len: u16) -> Ipv4 {
        let [len_high, len_low] = total_len.to_be_bytes();
        transmute!(self.words([0, asked.type_of_service, len_high, len_low], asked.src))
    }

    /// The header of an answer to a question with this first word, of this asker.
    #[inline(always)]
    fn words(&self, first: [u8; 4], asker: [u8; 4]) -> Words {
        let first = u32::from_ne_bytes(first) & KEPT;
        let Field([high, low]) = Sum::of_words(self.sum, first, u32::from_ne_bytes(asker)).complement();
        [
            (first | VERSION_AND_LEN).to_ne_bytes(),
            ATOMIC,
            (self.third | u32::from_ne_bytes([0, 0, high, low])).to_ne_bytes(),
            self.src,
            asker,
        ]
    }
}

//! The Internet checksum (RFC 1071): sums over what arrived, and updates of what is patched (RFC 1624).
//!
//! A checksum is the one's-complement sum of all 16-bit words. Three of its properties carry this module:
//!
//! 1. **The order of bytes does not matter** (RFC 1071 section 2(B)). Words are added as they stand in memory, on
//!    every machine, and the result is stored as it stands: nothing is ever swapped. A [`Sum`] and a [`Field`] are
//!    in memory order and must not be mistaken for numbers.
//! 2. **Wide words will do** (section 2(C)). Since 2^16 is 1 modulo 2^16 − 1, so are 2^32 and 2^64: words of eight
//!    bytes are added with the carry brought round, and folded to 16 bits once, at the end.
//! 3. **It is linear.** The sum of a header is the sum of its constant part, made beforehand, and of the few words
//!    that change.
//!
//! Zero has two forms, 0x0000 and 0xffff. A sum is 0x0000 only where every byte was zero; all else that is
//! divisible by 2^16 − 1 folds to 0xffff. That is why what arrived is right where it folds to 0xffff.

mod scalar;
#[cfg(target_arch = "x86_64")]
mod simd;

use core::ops::Add;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::ethernet::{Ethernet, FRAME_LEN_MIN};
use crate::ipv4::Ipv4;
use crate::udp::Udp;

/// A checksum as it stands in a header: two bytes in memory order, not a number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(transparent)]
pub struct Field(pub [u8; 2]);

impl Field {
    /// In UDP: there is no checksum (RFC 768). While a checksum is made: the hole that it goes into.
    pub const ZERO: Self = Self([0; 2]);
    /// What stands for a computed zero where zero means that there is none (RFC 768).
    pub const ONES: Self = Self([0xff; 2]);
}

/// A one's-complement sum on its way: 64 bits, memory order, to be folded at the end.
///
/// Every operation brings the carry round, so that the sum of any number of sums is right.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// The sum over a few bytes that begin at an even offset of what is summed: a header, an address, a word.
    ///
    /// For whatever is as long as a packet, [`Summer::sum`] is faster. Cost: an add for each 8 bytes.
    #[inline(always)]
    pub fn of(bytes: &[u8]) -> Self {
        Self(scalar::sum(bytes))
    }

    /// The sum of a header of 20 bytes, in five instructions: one chain of carries.
    #[inline(always)]
    pub(crate) fn of_header(Header { long: [first, second], short }: Header) -> Self {
        let (sum, carry) = u64::from_ne_bytes(first).carrying_add(u64::from_ne_bytes(second), false);
        let (sum, carry) = sum.carrying_add(u32::from_ne_bytes(short).into(), carry);
        // Cannot overflow: where the last word brought a carry, it is because the sum passed 2^64 by at most 2^32.
        Self(sum + u64::from(carry))
    }

    /// The sum of a folded sum and two words in memory order, by a chain of carries of 32 bits.
    #[inline(always)]
    pub(crate) fn of_words(folded: u32, first: u32, second: u32) -> Self {
        let (sum, carry) = first.carrying_add(second, false);
        let (sum, carry) = sum.carrying_add(folded, carry);
        // Cannot overflow: a folded sum has 16 bits, so that what is left after the last carry is as short.
        Self(u64::from(sum + u32::from(carry)))
    }

    /// Sixteen bits in memory order. Zero only where everything summed was zero.
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        // A number plus itself with its halves exchanged has, in the upper half, the sum of both halves with the
        // carry brought round.
        let folded = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        (folded.wrapping_add(folded.rotate_left(16)) >> 16) as u16
    }

    /// Whether what was summed, its checksum included, is as it was sent.
    ///
    /// That is where it folds to 0xffff: where it is a multiple of 2^16 − 1, but not zero. Instead of folding, which
    /// takes nine instructions, the sum is multiplied by the inverse of 2^16 − 1 modulo 2^64; the products of its
    /// multiples are their quotients, the smallest of all products.
    #[inline(always)]
    pub const fn is_right(self) -> bool {
        self.quotient().wrapping_sub(1) < QUOTIENT_MAX
    }

    /// The same for what cannot be all zeros, because a part of it that is known is not.
    #[inline(always)]
    pub(crate) const fn is_right_and_not_zero(self) -> bool {
        self.quotient() <= QUOTIENT_MAX
    }

    /// What the sum is a multiple of 2^16 − 1 by; where it is none, a number above [`QUOTIENT_MAX`].
    #[inline(always)]
    const fn quotient(self) -> u64 {
        const INVERSE: u64 = QUOTIENT_MAX.wrapping_neg();
        const { assert!(INVERSE.wrapping_mul(0xffff) == 1) };
        self.0.wrapping_mul(INVERSE)
    }

    /// The checksum to be stored for what was summed, with zero in the checksum's place.
    #[inline(always)]
    pub const fn complement(self) -> Field {
        Field((!self.fold()).to_ne_bytes())
    }
}

/// By how much a multiple of 2^16 − 1 can be one, in 64 bits.
const QUOTIENT_MAX: u64 = u64::MAX / 0xffff;

/// A header of 20 bytes, as it is summed.
#[derive(Clone, Copy, FromBytes)]
#[repr(C)]
pub(crate) struct Header {
    long: [[u8; 8]; 2],
    short: [u8; 4],
}

impl Add for Sum {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(scalar::add(self.0, other.0))
    }
}

impl Add<u16> for Sum {
    type Output = Self;

    /// Adds a word in memory order.
    #[inline(always)]
    fn add(self, word: u16) -> Self {
        self + Self(u64::from(word))
    }
}

impl Add<[u8; 2]> for Sum {
    type Output = Self;

    /// Adds two bytes that begin at an even offset of what is summed.
    #[inline(always)]
    fn add(self, word: [u8; 2]) -> Self {
        self + u16::from_ne_bytes(word)
    }
}

/// The checksum after one word under it changed from `old` to `new` (RFC 1624 section 3, equation 3).
///
/// Equal to a full computation, with one exception that the old checksum cannot tell: where everything summed has
/// become zero, a full computation gives 0xffff and this gives 0x0000.
#[inline(always)]
pub const fn update(field: Field, old: [u8; 2], new: [u8; 2]) -> Field {
    let field = u16::from_ne_bytes(field.0);
    let change = Sum(!u16::from_ne_bytes(old) as u64 + u16::from_ne_bytes(new) as u64).fold();
    // The complement of the complement plus the change, with the carry brought round: the field less the change, with
    // the borrow brought round. Two instructions where the change is a constant.
    let (updated, borrow) = field.overflowing_sub(change);
    Field(updated.wrapping_sub(borrow as u16).to_ne_bytes())
}

/// The pseudo-header's part in a transport checksum over IPv4, for `len` bytes of transport (RFC 768).
///
/// ```text
/// +---------------------------------------------------------------+
/// |                            source                             |
/// +---------------------------------------------------------------+
/// |                          destination                          |
/// +---------------+---------------+-------------------------------+
/// |     zero      |   protocol    |            length             |
/// +---------------+---------------+-------------------------------+
/// ```
#[inline(always)]
pub fn pseudo_v4(src: [u8; 4], dst: [u8; 4], protocol: u8, len: u16) -> Sum {
    Sum::of(&src) + Sum::of(&dst) + pseudo_rest(protocol, len)
}

/// The pseudo-header's part in a transport checksum over IPv6, for `len` bytes of transport (RFC 8200 section 8.1).
///
/// The two addresses, the length in 32 bits, three zeros and the next header number.
#[inline(always)]
pub fn pseudo_v6(src: [u8; 16], dst: [u8; 16], next_header: u8, len: u16) -> Sum {
    Sum::of(&src) + Sum::of(&dst) + pseudo_rest(next_header, len)
}

/// The pseudo-header's part in a transport checksum but for the addresses: the same for IPv4 and IPv6.
#[inline(always)]
pub(crate) fn pseudo_rest(protocol: u8, len: u16) -> Sum {
    let len = u16::from_ne_bytes(len.to_be_bytes());
    Sum(u64::from(len) + u64::from(u16::from_ne_bytes([0, protocol])))
}

/// How many bytes behind a packet [`Summer::sum_and_clear`] makes zero: one block of what it sums. From the end of the
/// shortest packet that has an answer, an IPv4 header and 8 bytes, that reaches beyond the end of the shortest frame.
pub const CLEARED: usize = scalar::BLOCK_LEN;

/// Up to which end within its packet [`Summer::sum_and_clear`] sums in blocks, what it clears included.
pub const SUMMED_IN_BLOCKS_MAX: usize = scalar::SPACE_LEN;

const _: () = assert!(Ethernet::LEN + Ipv4::LEN + Udp::LEN + CLEARED >= FRAME_LEN_MIN);

/// The fastest way to sum on this machine, chosen once, at start.
#[derive(Clone, Copy, Debug)]
pub struct Summer(Path);

#[derive(Clone, Copy, Debug)]
enum Path {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Sse2(simd::Sse2),
    #[cfg(target_arch = "x86_64")]
    Avx2(simd::Avx2),
}

impl Summer {
    /// Sums with general registers: right on every machine.
    pub const SCALAR: Self = Self(Path::Scalar);

    /// The fastest way that this machine has. Asks the processor: call it at start, and keep the result.
    pub fn fastest() -> Self {
        Self::available().last().unwrap_or(Self::SCALAR)
    }

    /// Every way that this machine has, the slowest first.
    #[cfg(target_arch = "x86_64")]
    pub fn available() -> impl Iterator<Item = Self> {
        let sse2 = Self(Path::Sse2(simd::Sse2::always()));
        let avx2 = simd::Avx2::detect().map(|proof| Self(Path::Avx2(proof)));
        [Some(Self::SCALAR), Some(sse2), avx2].into_iter().flatten()
    }

    /// Every way that this machine has, the slowest first.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::SCALAR].into_iter()
    }

    /// What people call it.
    pub const fn name(&self) -> &'static str {
        match self.0 {
            Path::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Path::Sse2(_) => "sse2",
            #[cfg(target_arch = "x86_64")]
            Path::Avx2(_) => "avx2",
        }
    }

    /// The sum over `bytes`, which begin at an even offset of what is summed; an odd last byte counts as if a zero
    /// followed (RFC 1071 section 1).
    ///
    /// Below 128 bytes always with general registers: vectors are no faster there, and a function that was compiled for
    /// a processor's features cannot be inlined into one that was not.
    #[inline(always)]
    pub fn sum(&self, bytes: &[u8]) -> Sum {
        if bytes.len() <= scalar::SHORT_LEN_MAX { Sum(scalar::short(bytes)) } else { self.sum_long(bytes) }
    }

    /// The sum over `packet[start..end]`, for a packet that is no longer needed as it came: up to [`CLEARED`] bytes behind
    /// its end become zero, as far as the packet's room reaches. They are what an answer that ends there is padded with.
    ///
    /// With zeros behind it, whatever is summed is a number of whole blocks: no byte is left over, no cascade of
    /// shorter and shorter words is gone through. That halves the cost of a short packet. Nothing where the room is
    /// shorter than `end`.
    #[inline(always)]
    pub fn sum_and_clear(&self, packet: &mut [u8], start: usize, end: usize) -> Option<Sum> {
        match packet.first_chunk_mut::<{ scalar::SPACE_LEN }>() {
            Some(space) if end <= scalar::SPACE_LEN - CLEARED => {
                space.get_mut(end..end + CLEARED)?.fill(0);
                Some(Sum(scalar::blocks(space.get(start..)?, end.wrapping_sub(start))))
            }
            _ => self.sum_and_clear_long(packet, start, end),
        }
    }

    #[cold]
    #[inline(never)]
    fn sum_and_clear_long(self, packet: &mut [u8], start: usize, end: usize) -> Option<Sum> {
        let (packet, rest) = packet.split_at_mut_checked(end)?;
        rest.iter_mut().take(CLEARED).for_each(|byte| *byte = 0);
        Some(self.sum(packet.get(start..)?))
    }

    #[inline(never)]
    fn sum_long(self, bytes: &[u8]) -> Sum {
        match self.0 {
            Path::Scalar => Sum::of(bytes),
            #[cfg(target_arch = "x86_64")]
            Path::Sse2(proof) => Sum(proof.sum(bytes)),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2(proof) => Sum(proof.sum(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum by its definition, in memory order.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
            sum += u32::from(word);
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::from_ne_bytes(u16::try_from(sum).unwrap().to_be_bytes())
    }

    /// Bytes that repeat only after 2^32, among them the ones that carry: seldom, often, always.
    fn fill(bytes: &mut [u8], ones: u32) {
        let mut state = 0x2545_f491_u32;
        for byte in bytes {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = if (state >> 8) & 3 < ones { 0xff } else { (state >> 24) as u8 };
        }
    }

    #[test]
    fn vectors_of_every_size_sum_every_length_at_every_alignment_alike() {
        let mut bytes = [0; 2048 + 64];
        for ones in [0, 1, 3, 4] {
            fill(&mut bytes, ones);
            for len in 0..=2048 {
                let start = len % 64;
                let bytes = &bytes[start..start + len];
                let expected = naive(bytes);
                for summer in Summer::available() {
                    // Also where `sum` would not ask them, for inputs as short as these.
                    assert_eq!(summer.sum_long(bytes).fold(), expected, "{} {len}", summer.name());
                    assert_eq!(summer.sum(bytes).fold(), expected, "{} {len}", summer.name());
                }
            }
        }
    }

    #[test]
    fn a_sum_is_right_exactly_where_it_folds_to_ones() {
        let near_multiples = (0..=0x1_0001_u64).map(|factor| factor.wrapping_mul(0xffff_0000_ffff));
        let multiples = (0..=0x1_0001_u64).map(|factor| factor * 0xffff);
        for sum in near_multiples.chain(multiples).chain([u64::MAX, u64::MAX - 1, u64::MAX - 0xffff]) {
            for sum in [sum.wrapping_sub(1), sum, sum.wrapping_add(1)] {
                assert_eq!(Sum(sum).is_right(), Sum(sum).fold() == 0xffff, "{sum:#x}");
            }
        }
    }

    #[test]
    fn no_carry_is_lost_where_all_words_are_ones() {
        let ones = Sum::of_words(0xffff, u32::MAX, u32::MAX);
        assert_eq!(ones.fold(), 0xffff);
        let header = Header { long: [[0xff; 8]; 2], short: [0xff; 4] };
        assert_eq!(Sum::of_header(header).fold(), 0xffff);
        assert_eq!((Sum(u64::MAX) + Sum(u64::MAX)).fold(), 0xffff);
        assert_eq!((Sum(u64::MAX) + Sum(1)).fold(), 1);
        assert_eq!((Sum(u64::MAX) + 1_u16).fold(), 1);
    }

    #[test]
    fn the_fastest_is_the_last_that_is_available() {
        extern crate std;
        let names: std::vec::Vec<_> = Summer::available().map(|summer| summer.name()).collect();
        assert_eq!(names.first(), Some(&"scalar"));
        assert_eq!(names.last(), Some(&Summer::fastest().name()));
    }
}

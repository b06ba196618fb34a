//! The sum with general registers.
//!
//! ```text
//!   ┌────────┬────────┬─   ─┬────────┬─────┐
//!   │ 8 byte │ 8 byte │  …  │ 8 byte │ 0…7 │
//!   └────────┴────────┴─   ─┴────────┴─────┘
//!                              └─ last 8 ──┘   shifted until only what is not yet summed is left
//! ```
//!
//! The rest of up to seven bytes is read as part of the last eight, which costs five instructions whatever its length,
//! where a cascade of 4, 2 and 1 bytes costs three branches that go another way for every length.

/// One's-complement addition of 64 bits.
#[inline(always)]
pub(super) const fn add(left: u64, right: u64) -> u64 {
    let (sum, carry) = left.overflowing_add(right);
    // Cannot overflow: where there was a carry, the sum is at most 2^64 − 2.
    sum + carry as u64
}

/// How long an input [`short`] can sum: eight, four, two and one words, and what is less than one.
pub(super) const SHORT_LEN_MAX: usize = 127;

/// The one's-complement sum of 64-bit words in memory order; the last one filled up with zeros.
#[inline(always)]
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let whole = bytes.len() & !63;
    let Some((whole, rest)) = bytes.split_at_checked(whole) else { return short(bytes) };
    let (eights, _) = whole.as_chunks::<8>().0.as_chunks::<8>();
    eights.iter().fold(short(rest), chain)
}

/// The same for at most [`SHORT_LEN_MAX`] bytes, without a loop; both callers see to it that there are no more.
#[inline(always)]
pub(super) fn short(bytes: &[u8]) -> u64 {
    debug_assert!(bytes.len() <= SHORT_LEN_MAX, "a second chain of eight would be left out");
    let Some(last) = bytes.last_chunk::<8>() else { return shorter(bytes) };
    let (mut words, rest) = bytes.as_chunks::<8>();
    let mut sum = 0;
    if let Some((eight, after)) = words.split_first_chunk::<8>() {
        (sum, words) = (chain(sum, eight), after);
    }
    if let Some((four, after)) = words.split_first_chunk::<4>() {
        (sum, words) = (chain(sum, four), after);
    }
    if let Some((two, after)) = words.split_first_chunk::<2>() {
        (sum, words) = (chain(sum, two), after);
    }
    if let Some(one) = words.first() {
        sum = chain(sum, &[*one]);
    }
    // Two shifts, for a shift by 64 is not one.
    let summed = 63 - 8 * rest.len();
    let last = u64::from_ne_bytes(*last);
    add(sum, if cfg!(target_endian = "big") { last << 1 << summed } else { last >> 1 >> summed })
}

/// How many bytes [`blocks`] sums at once.
pub(super) const BLOCK_LEN: usize = 32;
/// How much of a packet [`blocks`] is used for: seven blocks. Longer ones are the business of vectors.
pub(super) const SPACE_LEN: usize = 256;

/// The sum of the first `len` bytes, and of what fills their last block, which must be zero.
#[inline(always)]
pub(super) fn blocks(bytes: &[u8], len: usize) -> u64 {
    let (blocks, _) = bytes.as_chunks::<8>().0.as_chunks::<{ BLOCK_LEN / 8 }>();
    let (mut sum, mut summed) = (0, 0);
    for block in blocks {
        if summed >= len {
            break;
        }
        sum = chain(sum, block);
        summed += BLOCK_LEN;
    }
    sum
}

/// Adds words with the carry going from each to the next, and the last one brought round.
#[inline(always)]
fn chain<const COUNT: usize>(mut sum: u64, words: &[[u8; 8]; COUNT]) -> u64 {
    let mut carry = false;
    for word in words {
        (sum, carry) = sum.carrying_add(u64::from_ne_bytes(*word), carry);
    }
    // Cannot overflow. A carry out of a sum of ones alone needs two words of ones and a carry into them, out of a sum of
    // ones alone: the first word of a chain has no carry into it, so that none of them has that carry.
    sum + u64::from(carry)
}

/// Fewer than eight bytes.
#[inline(always)]
fn shorter(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, &from) in word.iter_mut().zip(bytes) {
        *to = from;
    }
    u64::from_ne_bytes(word)
}

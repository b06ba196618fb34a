//! The sum with vector registers.
//!
//! Each vector holds words of 32 bits. Its even and its odd words are added, as numbers of 64 bits, to two vectors
//! of sums: 2^32 additions fit before a carry could be lost, and no packet has so many words. The even and odd sums
//! are then added with the carry brought round, and so is the rest, which is shorter than a vector.
//!
//! ```text
//!   bytes  │ w0 │ w1 │ w2 │ w3 │ …
//!   even   │   + w0  │   + w2  │     w & 0xffff_ffff
//!   odd    │   + w1  │   + w3  │     w >> 32
//! ```
//!
//! The bytes are read through zerocopy's `transmute!` of an array, which is a load and needs no proof. What needs one
//! is the call of a function that was compiled for a processor with certain features: hence this file's two `unsafe`,
//! each in a method of a type that cannot exist where the feature is missing.
#![expect(
    unsafe_code,
    reason = "a function compiled for a processor feature may be called only where it is there"
)]

use core::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi64, _mm_and_si128, _mm_set1_epi64x, _mm_setzero_si128, _mm_srli_epi64,
    _mm256_add_epi64, _mm256_and_si256, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_srli_epi64,
};

use zerocopy::transmute;

use super::scalar;

cpufeatures::new!(has_avx2, "avx2");

/// The lower half of each 64-bit word.
const LOWER: i64 = 0xffff_ffff;

/// Proof that every processor that this was compiled for has SSE2: it is part of x86-64.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sse2(());

impl Sse2 {
    /// The proof.
    pub(super) const fn always() -> Self {
        const { assert!(cfg!(target_feature = "sse2")) };
        Self(())
    }

    /// The sum with vectors of 16 bytes.
    #[inline]
    #[expect(clippy::unused_self, reason = "that it exists is what it is for")]
    pub(super) fn sum(self, bytes: &[u8]) -> u64 {
        // SAFETY: `sum_sse2` may be called where SSE2 is there. `self` exists, only `always` makes one, and it does
        // not compile for a target whose processors are not all known to have SSE2.
        unsafe { sum_sse2(bytes) }
    }
}

/// Proof that this processor, and the operating system under it, have AVX2.
///
/// Only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The proof, where there is one.
    pub(super) fn detect() -> Option<Self> {
        has_avx2::get().then_some(Self(()))
    }

    /// The sum with vectors of 32 bytes.
    #[inline]
    #[expect(clippy::unused_self, reason = "that it exists is what it is for")]
    pub(super) fn sum(self, bytes: &[u8]) -> u64 {
        // SAFETY: `sum_avx2` may be called where AVX2 is there. `self` exists, only `detect` makes one, and it makes
        // one only after CPUID and XGETBV said so. A processor does not lose a feature while a process runs on it.
        unsafe { sum_avx2(bytes) }
    }
}

#[target_feature(enable = "avx2")]
fn sum_avx2(bytes: &[u8]) -> u64 {
    let (vectors, rest) = bytes.as_chunks::<32>();
    let (mut even, mut odd) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for &vector in vectors {
        let words: __m256i = transmute!(vector);
        even = _mm256_add_epi64(even, _mm256_and_si256(words, _mm256_set1_epi64x(LOWER)));
        odd = _mm256_add_epi64(odd, _mm256_srli_epi64::<32>(words));
    }
    let even: [u64; 4] = transmute!(even);
    let odd: [u64; 4] = transmute!(odd);
    combine(&even, &odd, rest)
}

#[target_feature(enable = "sse2")]
fn sum_sse2(bytes: &[u8]) -> u64 {
    let (vectors, rest) = bytes.as_chunks::<16>();
    let (mut even, mut odd) = (_mm_setzero_si128(), _mm_setzero_si128());
    for &vector in vectors {
        let words: __m128i = transmute!(vector);
        even = _mm_add_epi64(even, _mm_and_si128(words, _mm_set1_epi64x(LOWER)));
        odd = _mm_add_epi64(odd, _mm_srli_epi64::<32>(words));
    }
    let even: [u64; 2] = transmute!(even);
    let odd: [u64; 2] = transmute!(odd);
    combine(&even, &odd, rest)
}

/// One sum of the even sums, the odd sums and the rest.
#[inline]
fn combine(even: &[u64], odd: &[u64], rest: &[u8]) -> u64 {
    // The odd words stand four bytes behind the even ones; 2^32 is 1 modulo 2^16 − 1, so that they add as they are.
    even.iter().chain(odd).fold(scalar::sum(rest), |sum, &word| scalar::add(sum, word))
}

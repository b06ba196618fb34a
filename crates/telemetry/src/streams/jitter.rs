//! Interarrival jitter (RFC 3550 6.4.1 and A.8), in nanoseconds.
//!
//! ```text
//!   sender's clock    S₁ ───────── S₂
//!                      ╲            ╲___
//!   receiver's clock    R₁ ───────────── R₂      D = |(R₂ − S₂) − (R₁ − S₁)|      J += (D − J) / 16
//! ```
//!
//! R − S is the transit: the time on the way, and by how much the two clocks stand apart, which nobody knows. In the difference of two
//! transits it is gone, so that the clocks need not be synchronised. How much faster one goes than the other remains: 100 ppm
//! are 0.1 µs in a gap of a millisecond.

/// The jitter of what has come so far: a mean of the differences, each new one with a weight of a sixteenth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter(u64);

/// A longer difference counts as this: nine years, so that sixteen of them fit into a word.
const DIFFERENCE_MAX: u64 = 1 << 58;

impl Jitter {
    /// Takes the next difference in. By integers alone, and rounded, as RFC 3550 A.8 has it: what is kept is sixteen times
    /// the jitter.
    #[inline]
    pub const fn take(&mut self, difference_ns: u64) {
        let difference = if difference_ns > DIFFERENCE_MAX { DIFFERENCE_MAX } else { difference_ns };
        self.0 = self.0 + difference - ((self.0 + 8) >> 4);
    }

    /// The jitter.
    pub const fn ns(self) -> u64 {
        self.0 >> 4
    }

    /// As one word.
    #[inline]
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// The same back.
    #[inline]
    pub const fn of_word(word: u64) -> Self {
        Self(word)
    }
}

/// How much longer or shorter one transit was than the other. Each is a difference of two clocks, of any sign, modulo 2^64.
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "a difference of either sign")]
pub(super) const fn difference(transit: u64, before: u64) -> u64 {
    (transit.wrapping_sub(before) as i64).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_that_stays_the_same_becomes_the_jitter() {
        let mut jitter = Jitter::default();
        jitter.take(1_600);
        assert_eq!(jitter.ns(), 100, "a sixteenth of the first");
        (0..200).for_each(|_| jitter.take(1_600));
        assert!(jitter.ns().abs_diff(1_600) <= 1, "{}", jitter.ns());
        (0..300).for_each(|_| jitter.take(0));
        assert_eq!(jitter.ns(), 0);
    }

    #[test]
    fn the_integers_are_those_of_the_fractions_within_a_nanosecond() {
        let (mut jitter, mut exact) = (Jitter::default(), 0.0_f64);
        for number in 0..10_000_u32 {
            let difference = number.wrapping_mul(2_654_435_761) % 1_000_000;
            jitter.take(difference.into());
            exact += (f64::from(difference) - exact) / 16.0;
            let apart = exact - f64::from(u32::try_from(jitter.ns()).unwrap());
            assert!(apart.abs() <= 1.5, "{number}: {apart}");
        }
    }

    #[test]
    fn no_difference_is_too_long_to_be_taken_in() {
        let mut jitter = Jitter::default();
        (0..1_000).for_each(|_| jitter.take(u64::MAX));
        assert!(jitter.ns().abs_diff(DIFFERENCE_MAX) <= 1);
    }

    #[test]
    fn clocks_may_stand_apart_by_any_time() {
        for (transit, before) in [(5, 12), (12, 5), (u64::MAX, 6), (3, u64::MAX - 3)] {
            assert_eq!(difference(transit, before), 7);
        }
    }
}

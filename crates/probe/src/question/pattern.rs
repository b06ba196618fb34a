//! The bytes that nobody else can know: a token for each question, and a pattern that the token begins.

/// The tokens of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    seed: u64,
}

impl Tokens {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The token of a question.
    pub(super) const fn of(self, sequence: u64) -> u64 {
        scatter(self.seed.wrapping_add(sequence.wrapping_mul(STEP)))
    }

    /// 16 bits that are this run's, and not zero.
    pub(super) const fn of_run(self) -> u16 {
        let [high, low, ..] = scatter(!self.seed).to_be_bytes();
        let id = u16::from_be_bytes([high, low]);
        if id == 0 { u16::MAX } else { id }
    }
}

/// A question's bytes, eight at a time, without an end: its token, and the pattern.
pub(super) fn words(token: u64) -> impl Iterator<Item = u64> {
    let pattern = (1..).map(move |index: u64| scatter(token.wrapping_add(index.wrapping_mul(STEP))));
    std::iter::once(token).chain(pattern)
}

/// Writes words into all of `room`, the last one cut off where it does not fit.
pub(super) fn write(room: &mut [u8], words: impl Iterator<Item = u64>) {
    for (chunk, word) in room.chunks_mut(8).zip(words) {
        for (byte, value) in chunk.iter_mut().zip(word.to_be_bytes()) {
            *byte = value;
        }
    }
}

/// Whether `bytes` are what [`write`] would have written.
pub(super) fn is_written(bytes: &[u8], words: impl Iterator<Item = u64>) -> bool {
    bytes.chunks(8).zip(words).all(|(chunk, word)| word.to_be_bytes().starts_with(chunk))
}

/// The odd number nearest to 2^64 divided by the golden ratio: its multiples are spread evenly over 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, 2014): every bit of the input changes half of the output.
const fn scatter(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_the_pattern_is_zero_or_repeats() {
        let mut found: Vec<u64> = words(Tokens::new(7).of(0)).take(184).collect();
        assert!(found.iter().all(|word| *word != 0));
        found.sort_unstable();
        assert!(found.is_sorted_by(|left, right| left < right));
    }

    #[test]
    fn runs_have_identifiers_of_their_own() {
        let mut found: Vec<u16> = (0..100).map(|seed| Tokens::new(seed).of_run()).collect();
        found.sort_unstable();
        found.dedup();
        assert!(found.len() > 95 && !found.contains(&0), "{found:?}");
    }
}

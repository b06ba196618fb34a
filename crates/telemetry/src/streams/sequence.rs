//! How far one sequence number is from another, where numbers come round.

/// A sequence number as its protocol carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Of 32 bits, which come round: STAMP's.
    Wrapping(u32),
    /// Of 64 bits, which do not within anybody's life: sockperf's.
    Wide(u64),
}

/// The most that is believed to be lost in a row just where the numbers come round: 16 million packets, which take 16 s at a
/// million a second. A number that is lower than the one before, and further from it by way of the end, is rather that of a sender
/// which has begun anew.
const LOST_AT_THE_END_MAX: i32 = 1 << 24;

impl Sequence {
    /// How many packets after the one numbered `highest` this one was sent; less than zero where it was sent before. By serial
    /// number arithmetic (RFC 1982): half of all numbers are ahead.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "modulo 2^32 or 2^64, in both directions"
    )]
    pub const fn distance(self, highest: u64) -> i64 {
        match self {
            Self::Wide(sequence) => sequence.wrapping_sub(highest) as i64,
            Self::Wrapping(sequence) => {
                let low = highest as u32;
                let ahead = sequence.wrapping_sub(low) as i32;
                if sequence < low && ahead > LOST_AT_THE_END_MAX {
                    return sequence as i64 - low as i64;
                }
                ahead as i64
            }
        }
    }

    /// The number itself.
    #[inline]
    pub const fn number(self) -> u64 {
        match self {
            Self::Wide(sequence) => sequence,
            Self::Wrapping(sequence) => sequence as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_ahead_or_behind_also_where_the_numbers_come_round() {
        let round = 1_u64 << 32;
        for (sequence, highest, distance) in [
            (8, 7, 1),
            (7, 7, 0),
            (5, 7, -2),
            (0, round - 1, 1),
            (9, 3 * round - 1, 10),
            (u32::MAX, round, -1),
            (u32::MAX - 9, round + 5, -15),
            (u32::MAX / 2, 0, 0x7fff_ffff),
        ] {
            assert_eq!(Sequence::Wrapping(sequence).distance(highest), distance, "{sequence} {highest}");
        }
        for (sequence, highest, distance) in [(8, 7, 1), (0, 7, -7), (1 << 40, 7, (1 << 40) - 7)] {
            assert_eq!(Sequence::Wide(sequence).distance(highest), distance, "{sequence} {highest}");
        }
    }

    #[test]
    fn a_lower_number_is_behind_and_not_far_ahead_by_way_of_the_end() {
        let highest = (1_u64 << 31) + 1_000;
        assert_eq!(Sequence::Wrapping(0).distance(highest), -(1 << 31) - 1_000);
        let just = u64::from(u32::MAX) - (1 << 24) + 1;
        assert_eq!(Sequence::Wrapping(0).distance(just), 1 << 24);
        assert_eq!(Sequence::Wrapping(0).distance(just - 1), 1 - i64::try_from(just).unwrap());
    }
}

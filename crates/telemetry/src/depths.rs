//! How full a lane's rings were when it last looked, and at most.

/// Frames in each place of a queue, as a lane publishes them. A card without rings has none anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Received, waiting to be taken.
    pub rx: u64,
    /// Answers that the NIC has not taken yet.
    pub tx: u64,
    /// Buffers that wait for a packet.
    pub fill: u64,
    /// Sent, waiting to be taken back.
    pub completion: u64,
    /// In nobody's hands.
    pub free: u64,
}

impl Depths {
    /// How many places there are.
    pub const COUNT: usize = 5;

    /// The larger of both, place by place.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        let (mut most, other) = (self.to_words(), other.to_words());
        most.iter_mut().zip(other).for_each(|(most, other)| *most = (*most).max(other));
        Self::of_words(most)
    }

    /// In the order of the fields.
    pub const fn to_words(self) -> [u64; Self::COUNT] {
        [self.rx, self.tx, self.fill, self.completion, self.free]
    }

    /// The same back.
    pub const fn of_words([rx, tx, fill, completion, free]: [u64; Self::COUNT]) -> Self {
        Self { rx, tx, fill, completion, free }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_of_two_looks_is_taken_place_by_place() {
        let (one, other) = (Depths::of_words([1, 5, 3, 0, 9]), Depths::of_words([2, 4, 3, 1, 0]));
        assert_eq!(one.most(other), Depths::of_words([2, 5, 3, 1, 9]));
        assert_eq!(one.most(Depths::default()), one);
    }
}

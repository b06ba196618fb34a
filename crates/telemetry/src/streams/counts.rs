//! What became of the packets of a stream, and of all streams of a protocol together.

/// How a packet's sequence stands to those that came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequel {
    /// The highest so far, by so many: all but one of these have not come.
    Ahead(u64),
    /// Not the highest, and seen for the first time: it was overtaken on its way. Where it is from before the stream's first one, so many
    /// more are expected.
    Late(u64),
    /// Seen before.
    Duplicate,
    /// Too far behind the highest to know whether it was seen before.
    TooLate,
    /// Its sender has begun anew.
    Restart,
}

/// Packets of one stream or of many, by what became of them. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sequence numbers from the first that came to the highest, of each of the sender's beginnings (RFC 3550 A.3, `expected`).
    pub expected: u64,
    /// Those of them that came, each once.
    pub received: u64,
    /// Packets that had come before.
    pub duplicate: u64,
    /// Those of the received that came after a higher one.
    pub late: u64,
    /// Packets too far behind to know whether they had come before. None of them is received.
    pub too_late: u64,
    /// How often the sender has begun anew.
    pub restarts: u64,
}

impl Counts {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Counts a packet.
    #[inline]
    pub const fn count(&mut self, sequel: Sequel) {
        let (expected, received) = match sequel {
            Sequel::Ahead(steps) => (steps, 1),
            Sequel::Late(more) => {
                self.late += 1;
                (more, 1)
            }
            Sequel::Duplicate => {
                self.duplicate += 1;
                (0, 0)
            }
            Sequel::TooLate => {
                self.too_late += 1;
                (0, 0)
            }
            Sequel::Restart => {
                self.restarts += 1;
                (1, 1)
            }
        };
        self.expected = self.expected.wrapping_add(expected);
        self.received += received;
    }

    /// What was expected and has not come (RFC 3550 A.3), too late where it did. A late packet makes it less again.
    pub const fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// In the order of the fields.
    #[inline]
    pub const fn to_words(self) -> [u64; Self::COUNT] {
        [self.expected, self.received, self.duplicate, self.late, self.too_late, self.restarts]
    }

    /// The same back.
    #[inline]
    pub const fn of_words(words: [u64; Self::COUNT]) -> Self {
        let [expected, received, duplicate, late, too_late, restarts] = words;
        Self { expected, received, duplicate, late, too_late, restarts }
    }
}

//! What all streams of a protocol had together, those included whose places others have.

use core::array;
use core::sync::atomic::{AtomicU64, Ordering};

use super::counts::{Counts, Sequel};
use super::jitter::Jitter;
use super::key::Protocol;
use super::version::Version;

/// Of one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProtocolTotals {
    /// How many streams have begun. One that comes back after its place was given away begins again.
    pub begun: u64,
    /// What became of their packets.
    pub counts: Counts,
    /// The jitter over all of them, each difference of a transit being of one stream: of what the streams have, a mean that goes by
    /// how many packets each sends.
    pub jitter: Jitter,
}

/// Of every protocol: a lane's own words, which it publishes seldom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals([ProtocolTotals; Protocol::ALL.len()]);

/// The same as others read them.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct SharedTotals {
    version: Version,
    words: [[AtomicU64; ProtocolTotals::WORDS]; Protocol::ALL.len()],
}

impl ProtocolTotals {
    const WORDS: usize = Counts::COUNT + 2;

    /// Counts a stream's first packet.
    pub(super) fn begin(&mut self) {
        self.begun += 1;
        self.counts.count(Sequel::Ahead(1));
    }

    /// Counts another one.
    #[inline]
    pub(super) fn note(&mut self, sequel: Sequel, difference_ns: Option<u64>) {
        self.counts.count(sequel);
        if let Some(difference_ns) = difference_ns {
            self.jitter.take(difference_ns);
        }
    }

    const fn to_words(self) -> [u64; Self::WORDS] {
        let [expected, received, duplicate, late, too_late, restarts] = self.counts.to_words();
        [self.begun, self.jitter.to_word(), expected, received, duplicate, late, too_late, restarts]
    }

    const fn of_words([begun, jitter, counts @ ..]: [u64; Self::WORDS]) -> Self {
        Self { begun, jitter: Jitter::of_word(jitter), counts: Counts::of_words(counts) }
    }
}

impl Totals {
    /// Those of each protocol.
    pub const fn new(stamp: ProtocolTotals, sockperf: ProtocolTotals) -> Self {
        Self([stamp, sockperf])
    }

    /// Of this protocol.
    pub const fn of(&self, protocol: Protocol) -> &ProtocolTotals {
        let Self([stamp, sockperf]) = self;
        match protocol {
            Protocol::Stamp => stamp,
            Protocol::Sockperf => sockperf,
        }
    }

    /// The same, to be counted in.
    #[inline]
    pub(super) const fn of_mut(&mut self, protocol: Protocol) -> &mut ProtocolTotals {
        let Self([stamp, sockperf]) = self;
        match protocol {
            Protocol::Stamp => stamp,
            Protocol::Sockperf => sockperf,
        }
    }
}

impl Default for SharedTotals {
    fn default() -> Self {
        let zeros = |_| array::from_fn(|_| AtomicU64::new(0));
        Self { version: Version::default(), words: array::from_fn(zeros) }
    }
}

impl SharedTotals {
    pub(super) fn publish(&self, Totals(totals): &Totals) {
        self.version.write(|| {
            for (words, totals) in self.words.iter().zip(totals) {
                words
                    .iter()
                    .zip(totals.to_words())
                    .for_each(|(word, value)| word.store(value, Ordering::Relaxed));
            }
        });
    }

    pub(super) fn read(&self) -> Option<Totals> {
        let words = |words: &[AtomicU64; ProtocolTotals::WORDS]| {
            ProtocolTotals::of_words(words.each_ref().map(|word| word.load(Ordering::Relaxed)))
        };
        self.version.read(|| Totals(self.words.each_ref().map(words)))
    }
}

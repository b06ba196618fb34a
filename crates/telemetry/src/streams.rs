//! Streams: what the packets of each sender say of their way here, where they carry a sequence.
//!
//! A sequence shows what was lost on the way to the server, what came twice and what was overtaken; a sender's stamp shows how
//! unevenly it came. Both mean something within one stream alone. So a lane keeps a table of streams, which is as large as it was at
//! the start, however many senders there are:
//!
//! ```text
//!   key ──hash──▶ set ─┬─ place ── place ── place ── place
//!                      └─ four streams; a fifth gets the place of the one that was quiet for longest
//! ```
//!
//! The figures of a stream that loses its place are gone, and the lane counts that (`stream_evicted`), so that no figure passes
//! for a complete one. [`Totals`] have what all streams had, those that are gone too.
//!
//! One writer, the lane; any number of readers. The words and their order:
//!
//! | word | written by | with | read with |
//! |---|---|---|---|
//! | `version` of a place | the lane, before and after the place | odd: release fence after it; even: release store | acquire, before and after |
//! | the place's other words | the lane, as it notes a packet | relaxed | relaxed |
//! | `version` of the totals | the lane, before and after the totals | as that of a place | |
//! | totals | the lane's housekeeping | relaxed | relaxed |
//! | `differences` | the lane, as it notes a packet | relaxed | relaxed |
//!
//! A version is odd while the lane writes. A reader that saw the same even one before and after its copy has a copy of one
//! instant; else it reads again, at most [`READ_TRIES`](crate::page::READ_TRIES) times. The lane never waits. Two places are each of
//! an instant of their own.

extern crate alloc;

mod counts;
mod jitter;
mod key;
mod place;
mod sequence;
mod stream;
#[cfg(test)]
mod tests;
mod totals;
mod version;

use alloc::boxed::Box;

use crate::histogram::SharedHistogram;

pub use counts::{Counts, Sequel};
pub use jitter::Jitter;
pub use key::{Protocol, StreamKey};
use place::Place;
pub use sequence::Sequence;
pub use stream::{Seen, Stream, WINDOW};
use totals::SharedTotals;
pub use totals::{ProtocolTotals, Totals};

/// Places of a set. With one, two busy streams whose hashes meet put each other out for ever; with more than four, a packet whose
/// stream stands last touches more lines than its answer does.
pub const WAYS: usize = 4;

/// The places of all streams whose hashes meet. No two lanes' sets have a line in common.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Set([Place; WAYS]);

const _: () = assert!(size_of::<Set>() == WAYS * size_of::<Place>());

/// The streams of one lane.
#[derive(Debug)]
pub struct SharedStreams {
    sets: Box<[Set]>,
    totals: SharedTotals,
    /// By how much each transit differed from the one before of its stream, in nanoseconds; interarrival jitter is a mean of these.
    pub differences: SharedHistogram,
}

/// What became of a packet's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It has a place, which nobody else had.
    InPlace,
    /// It has got the place of another one, whose figures are gone.
    Evicting,
}

impl SharedStreams {
    /// How many bytes each stream takes.
    pub const PLACE_SIZE: usize = size_of::<Place>();

    /// Room for `count` streams, rounded up to sets, of which there are a power of two.
    pub fn new(count: usize) -> Self {
        let set_count = count.div_ceil(WAYS).next_power_of_two();
        Self {
            sets: (0..set_count).map(|_| Set::default()).collect(),
            totals: SharedTotals::default(),
            differences: SharedHistogram::default(),
        }
    }

    /// How many streams have room.
    pub fn room(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// Notes a packet of the stream `key`: in its place, which the hash of the key says, and in the lane's `totals`. Only the one lane
    /// whose streams these are may call this.
    pub fn note(&self, hash: u64, key: StreamKey, seen: &Seen, totals: &mut Totals) -> Noted {
        let (words, totals) = (key.to_words(), totals.of_mut(key.protocol));
        let Some(Set(places)) = self.sets.get(index(hash, self.sets.len())) else { return Noted::InPlace };
        let Some(place) = places.iter().find(|place| place.is_of(words)) else {
            totals.begin();
            return begin(places, words, seen);
        };
        let mut stream = place.stream();
        let (sequel, difference_ns) = stream.note(seen);
        place.put(&stream);
        totals.note(sequel, difference_ns);
        if let Some(difference_ns) = difference_ns {
            self.differences.record(difference_ns);
        }
        Noted::InPlace
    }

    /// Publishes the totals. Only the one lane may call this.
    pub fn publish(&self, totals: &Totals) {
        self.totals.publish(totals);
    }

    /// The totals as they were last published, or nothing where the lane stopped in the middle of that.
    pub fn totals(&self) -> Option<Totals> {
        self.totals.read()
    }

    /// Every stream that has a place, in the order of the places. One whose lane stopped in the middle of it is left out.
    pub fn iter(&self) -> impl Iterator<Item = (StreamKey, Stream)> + '_ {
        self.sets.iter().flat_map(|Set(places)| places).filter_map(Place::read)
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "masked to as many sets as there are")]
const fn index(hash: u64, set_count: usize) -> usize {
    hash as usize & (set_count - 1)
}

/// Begins a stream in a place that nobody has, or else in the one whose stream was quiet for longest.
#[cold]
#[inline(never)]
fn begin(places: &[Place; WAYS], key: [u64; StreamKey::WORDS], seen: &Seen) -> Noted {
    let quietest = places.iter().min_by_key(|place| (place.is_taken(), place.stream().last_seen));
    let Some(place) = quietest else { return Noted::InPlace };
    let noted = if place.is_taken() { Noted::Evicting } else { Noted::InPlace };
    place.give(key, &Stream::begin(seen));
    noted
}

//! Which stream a packet is of: what a lane has beside the table that others read.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use lookup::Key;
use telemetry::streams::{Noted, Seen, StreamKey, Totals};
use telemetry::{NsPerTick, SharedStreams, Tick, TickRate};

/// The streams of a lane, to be written to.
#[derive(Debug)]
pub(crate) struct Streams {
    shared: Arc<SharedStreams>,
    totals: Totals,
    /// Which streams meet in a set is nobody's to foresee: the hash is keyed anew for each lane.
    seed: u64,
    ns_per_tick: NsPerTick,
}

impl Streams {
    /// Of a lane whose clock goes so fast.
    pub(crate) fn new(shared: Arc<SharedStreams>, rate: TickRate) -> Self {
        let seed = RandomState::new().build_hasher().finish();
        Self { shared, totals: Totals::default(), seed, ns_per_tick: NsPerTick::of(rate) }
    }

    /// Notes a packet of the stream `key`.
    #[inline]
    pub(crate) fn note(&mut self, key: StreamKey, seen: &Seen) -> Noted {
        self.shared.note(hash(key, self.seed), key, seen, &mut self.totals)
    }

    /// An instant of the lane's clock in nanoseconds, of which only differences mean anything.
    #[inline]
    pub(crate) fn ns(&self, tick: Tick) -> u64 {
        self.ns_per_tick.ns(tick.0).0
    }

    /// Publishes what all streams had together.
    pub(crate) fn publish(&self) {
        self.shared.publish(&self.totals);
    }
}

/// Two addresses in the words of one: whoever can choose both could have two streams meet, which is no more than having one.
#[inline]
fn hash(key: StreamKey, seed: u64) -> u64 {
    let [session, source_low, source_high, destination_low, destination_high] = key.to_words();
    [source_high ^ destination_high.rotate_left(32), source_low ^ destination_low.rotate_left(32), session]
        .hash(seed)
}

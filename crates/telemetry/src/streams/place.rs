//! A place for one stream in a lane's table.

use core::array;
use core::sync::atomic::{AtomicU64, Ordering};

use super::key::StreamKey;
use super::stream::Stream;
use super::version::Version;

type Key = [u64; StreamKey::WORDS];

/// Three lines of 64 bytes: the first has all that a look-up compares.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Place {
    version: Version,
    key: [AtomicU64; StreamKey::WORDS],
    stream: [AtomicU64; Stream::WORDS],
}

const _: () = assert!(size_of::<Place>() == 192);

impl Default for Place {
    fn default() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self { version: Version::default(), key: array::from_fn(zero), stream: array::from_fn(zero) }
    }
}

impl Place {
    /// Whether the stream of this key has it..
    #[inline]
    pub(super) fn is_of(&self, key: Key) -> bool {
        let [session, rest @ ..] = load(&self.key);
        let [wanted, others @ ..] = key;
        let differ = |[a, b, c, d]: [u64; 4], [e, f, g, h]: [u64; 4]| (a ^ e) | (b ^ f) | (c ^ g) | (d ^ h);
        session == wanted && differ(rest, others) == 0
    }

    /// Whether any stream has it.
    pub(super) fn is_taken(&self) -> bool {
        let [session, ..] = &self.key;
        session.load(Ordering::Relaxed) != 0
    }

    /// Its stream, for the one who writes it.
    #[inline]
    pub(super) fn stream(&self) -> Stream {
        Stream::of_words(load(&self.stream))
    }

    /// Writes its stream as it is now.
    #[inline]
    pub(super) fn put(&self, stream: &Stream) {
        self.version.write(|| store(&self.stream, stream.to_words()));
    }

    /// Gives it to another stream.
    pub(super) fn give(&self, key: Key, stream: &Stream) {
        self.version.write(|| {
            store(&self.key, key);
            store(&self.stream, stream.to_words());
        });
    }

    /// Its stream as it was at one instant, for everybody else; nothing where there is none, or its writer stopped in the middle of it.
    pub(super) fn read(&self) -> Option<(StreamKey, Stream)> {
        let (key, stream) = self.version.read(|| (load(&self.key), self.stream()))?;
        Some((StreamKey::of_words(key)?, stream))
    }
}

/// By their number, and not by an iterator: the compiler then keeps them all in registers and on no stack.
#[inline(always)]
fn load<const COUNT: usize>(words: &[AtomicU64; COUNT]) -> [u64; COUNT] {
    array::from_fn(|place| words.get(place).map_or(0, |word| word.load(Ordering::Relaxed)))
}

#[inline(always)]
fn store<const COUNT: usize>(words: &[AtomicU64; COUNT], values: [u64; COUNT]) {
    words.iter().zip(values).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
}

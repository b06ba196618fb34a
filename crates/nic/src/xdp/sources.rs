//! From a source to its class, by the longest prefix that it has, as flat arrays: what `bpf/sources.h` reads.
//!
//! A binary search over the prefix lengths in use, each probe one lookup; the lane's arrays
//! (`crates/route/src/refinement/sources.rs`).

use lookup::Lookup;

use super::image::{Cells, Table};

/// `struct sources`.
pub(super) const SOURCES_SIZE: usize = 56;

/// Source maps. Indices into these arrays are trusted by nobody: where one leads nowhere, a source is of class 0.
#[derive(Clone, Debug)]
pub struct Sources {
    /// First of its lengths, and how many.
    pub source_maps: Vec<[u32; 2]>,
    /// Prefix lengths, ascending in each source map.
    pub lengths: Vec<u8>,
    /// From source map (above bit 38), length (above bit 32) and that many bits of an IPv4 source to its class.
    pub nodes4: Lookup<u64, u32>,
    /// From the halves of that many bits of an IPv6 source, and source map (above bit 8) and length, to its class.
    pub nodes6: Lookup<[u64; 3], u32>,
}

/// None at all.
impl Default for Sources {
    fn default() -> Self {
        Self {
            source_maps: Vec::new(),
            lengths: Vec::new(),
            nodes4: Lookup::new(&[], 0),
            nodes6: Lookup::new(&[], 0),
        }
    }
}

/// Whether they say the same by the same arrays.
impl PartialEq for Sources {
    fn eq(&self, other: &Self) -> bool {
        self.source_maps == other.source_maps
            && self.lengths == other.lengths
            && self.nodes4.slots().eq(other.nodes4.slots())
            && self.nodes6.slots().eq(other.nodes6.slots())
    }
}

impl Sources {
    /// Adds the arrays to an image, and gives what says where they are.
    pub(super) fn add(&self, cells: &mut Cells) -> [u8; SOURCES_SIZE] {
        let tables: [Table; 2] = [
            cells.add_table(&self.nodes4, u64::to_ne_bytes, word),
            cells.add_table(&self.nodes6, words, word),
        ];
        let places = [
            cells.add_items(&self.source_maps, |&pair| halves(pair)),
            cells.add_items(&self.lengths, |&length| vec![length]),
        ];
        let mut bytes = [0; SOURCES_SIZE];
        let fields = tables.into_iter().flatten().chain(places.into_iter().flat_map(u32::to_ne_bytes));
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// Two words of 32 bits.
pub(super) fn halves(pair: [u32; 2]) -> Vec<u8> {
    pair.iter().flat_map(|half| half.to_ne_bytes()).collect()
}

/// A value of 32 bits in a slot's 64.
pub(super) fn word(value: u32) -> [u8; 8] {
    u64::from(value).to_ne_bytes()
}

/// The key of a slot of three words.
pub(super) fn words(key: [u64; 3]) -> [u8; 24] {
    let mut bytes = [0; 24];
    let (words, _) = bytes.as_chunks_mut();
    words.iter_mut().zip(key).for_each(|(bytes, word)| *bytes = word.to_ne_bytes());
    bytes
}

//! From a source address to its class, by the longest prefix that it has: binary search over the prefix lengths in use
//! (Waldvogel, Varghese, Turner, Plattner, "Scalable High Speed IP Routing Lookups", SIGCOMM 1997).
//!
//! ```text
//!   lengths in use     8 ── 16 ── 22 ── 24 ── 32        each probe is one lookup in a perfect hash
//!                                 │
//!             found: go longer ───┴─── not found: go shorter
//! ```
//!
//! A probe finds a prefix, or a *marker*: the beginning of a longer prefix, put there so that the search goes on towards
//! it. A marker's value is the class of the longest prefix that the marker itself has, so a search that goes astray behind
//! it has lost nothing. With all 33 lengths of IPv4 in use that is six probes at most, with all 129 of IPv6 eight.
//!
//! All source maps share one table a family; a source map's number is a part of its keys.

use std::collections::BTreeMap;

use crate::prefix::Family;
use lookup::Lookup;

/// How many source maps there can be: what is left of an IPv4 key beside 32 bits of address and 6 of length, less the key
/// of an empty slot.
pub(crate) const SOURCE_MAP_COUNT_MAX: usize = (1 << 26) - 1;

/// One source map: which of [`Sources::lengths`] it searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SourceMap {
    /// Where its lengths begin.
    pub first: u32,
    /// How many they are, at most 128; ascending, without 0: what no prefix has is of class 0.
    pub count: u32,
}

/// All source maps, flat.
#[derive(Clone, Debug)]
pub struct Sources {
    source_maps: Box<[SourceMap]>,
    lengths: Box<[u8]>,
    nodes4: Lookup<u64, u32>,
    nodes6: Lookup<[u64; 3], u32>,
}

/// The key of a node: source map, length, and as many bits of an address.
#[inline]
fn key4(source_map: u32, len: u8, address: u128) -> u64 {
    let masked = address & Family::V4.mask(len);
    u64::from(source_map) << 38 | u64::from(len) << 32 | low_half(masked)
}

/// The same for IPv6: the upper half of the address, the lower one, source map and length.
#[inline]
fn key6(source_map: u32, len: u8, address: u128) -> [u64; 3] {
    let masked = address & Family::V6.mask(len);
    [low_half(masked >> 64), low_half(masked), u64::from(source_map) << 8 | u64::from(len)]
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
const fn low_half(number: u128) -> u64 {
    number as u64
}

impl Sources {
    /// The class of `source` in a source map; 0 where none of its prefixes is one of the source's.
    #[inline]
    pub fn class(&self, family: Family, source_map: u32, source: u128) -> u32 {
        match family {
            Family::V4 => self.search(source_map, |len| self.nodes4.find(key4(source_map, len, source))),
            Family::V6 => self.search(source_map, |len| self.nodes6.find(key6(source_map, len, source))),
        }
    }

    /// Ends: what is left to search becomes smaller by half with each probe.
    #[inline]
    fn search(&self, source_map: u32, probe: impl Fn(u8) -> Option<u32>) -> u32 {
        let Some(&SourceMap { first, count }) = self.source_maps.get(source_map as usize) else { return 0 };
        let mut class = 0;
        let (mut low, mut high) = (first, first + count);
        while low < high {
            let middle = u32::midpoint(low, high);
            let Some(&len) = self.lengths.get(middle as usize) else { return class };
            match probe(len) {
                Some(found) => (class, low) = (found, middle + 1),
                None => high = middle,
            }
        }
        class
    }

    /// The source maps.
    pub fn source_maps(&self) -> &[SourceMap] {
        &self.source_maps
    }

    /// The prefix lengths that they search.
    pub fn lengths(&self) -> &[u8] {
        &self.lengths
    }

    /// Prefixes and markers of IPv4: from source map (26 bits), length (6) and address (32, its first bit the highest) to
    /// the class.
    pub fn nodes4(&self) -> &Lookup<u64, u32> {
        &self.nodes4
    }

    /// The same of IPv6: from the address's upper and lower half, and source map (56 bits) and length (8).
    pub fn nodes6(&self) -> &Lookup<[u64; 3], u32> {
        &self.nodes6
    }

    /// How many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        size_of_val(&*self.source_maps)
            + size_of_val(&*self.lengths)
            + self.nodes4.size()
            + self.nodes6.size()
    }
}

/// A prefix as a source map has it: bits, length, class.
pub(crate) type Region = (u128, u8, u32);

/// Source maps in the making.
#[derive(Debug, Default)]
pub(crate) struct SourcesBuilder {
    source_maps: Vec<SourceMap>,
    lengths: Vec<u8>,
    nodes4: Vec<(u64, u32)>,
    nodes6: Vec<([u64; 3], u32)>,
    known: BTreeMap<(Family, Vec<Region>), u32>,
}

impl SourcesBuilder {
    /// The number of the source map of these regions, which stand in order, each once, none of length 0. Source maps that are
    /// the same are one.
    pub(crate) fn source_map(&mut self, family: Family, regions: Vec<Region>) -> u32 {
        if let Some(&source_map) = self.known.get(&(family, regions.clone())) {
            return source_map;
        }
        let source_map = number_of(self.source_maps.len());
        let mut lengths: Vec<u8> = regions.iter().map(|&(_, len, _)| len).collect();
        lengths.sort_unstable();
        lengths.dedup();
        for ((address, len), class) in with_markers(family, &regions, &lengths) {
            match family {
                Family::V4 => self.nodes4.push((key4(source_map, len, address), class)),
                Family::V6 => self.nodes6.push((key6(source_map, len, address), class)),
            }
        }
        self.source_maps
            .push(SourceMap { first: number_of(self.lengths.len()), count: number_of(lengths.len()) });
        self.lengths.extend(lengths);
        self.known.insert((family, regions), source_map);
        source_map
    }

    /// How many nodes there are, of each family.
    pub(crate) fn node_counts(&self) -> [usize; 2] {
        [self.nodes4.len(), self.nodes6.len()]
    }

    /// How many source maps there are.
    pub(crate) fn count(&self) -> usize {
        self.source_maps.len()
    }

    pub(crate) fn build(self) -> Sources {
        Sources {
            source_maps: self.source_maps.into_boxed_slice(),
            lengths: self.lengths.into_boxed_slice(),
            nodes4: Lookup::new(&self.nodes4, 0),
            nodes6: Lookup::new(&self.nodes6, 0),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is counted here takes more memory than a table may have"
)]
pub(super) const fn number_of(count: usize) -> u32 {
    count as u32
}

/// The regions, and a marker for each at every length at which the search for it finds something and goes longer.
fn with_markers(family: Family, regions: &[Region], lengths: &[u8]) -> BTreeMap<(u128, u8), u32> {
    let exact: BTreeMap<(u128, u8), u32> =
        regions.iter().map(|&(address, len, class)| ((address, len), class)).collect();
    // The class of the longest region, not longer than `len`, that the first `len` bits of an address have.
    let longest = |address: u128, len: u8| {
        let shorter = lengths.iter().rev().filter(|&&shorter| shorter <= len);
        let mut found = shorter.filter_map(|&len| exact.get(&(address & family.mask(len), len)));
        found.next().copied().unwrap_or(0)
    };
    let mut nodes = exact.clone();
    for &(address, len, _) in regions {
        for &marked in path_to(len, lengths) {
            let marker = address & family.mask(marked);
            nodes.entry((marker, marked)).or_insert_with(|| longest(marker, marked));
        }
    }
    nodes
}

/// The lengths below `len` at which the binary search for it goes longer.
fn path_to(len: u8, lengths: &[u8]) -> impl Iterator<Item = &u8> {
    let (mut low, mut high) = (0, lengths.len());
    std::iter::from_fn(move || {
        while low < high {
            let middle = usize::midpoint(low, high);
            let probed = lengths.get(middle)?;
            if *probed < len {
                low = middle + 1;
                return Some(probed);
            }
            if *probed == len {
                return None;
            }
            high = middle;
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the longest prefix is by looking at all.
    fn by_looking(family: Family, regions: &[Region], source: u128) -> u32 {
        let has = |&&(address, len, _): &&Region| source & family.mask(len) == address;
        regions.iter().filter(has).max_by_key(|&&(_, len, _)| len).map_or(0, |&(.., class)| class)
    }

    fn check(family: Family, drawn: &[(u128, u8)], sources: &[u128]) {
        let mut regions: Vec<Region> = Vec::new();
        for &(bits, len) in drawn {
            let (len, class) = (len % family.bits() + 1, number_of(regions.len()) + 1);
            let address = bits & family.mask(len);
            if regions.iter().all(|&(one, length, _)| (one, length) != (address, len)) {
                regions.push((address, len, class));
            }
        }
        regions.sort_unstable();
        let mut builder = SourcesBuilder::default();
        let other = builder.source_map(family, vec![(0, 1, 77)]);
        let source_map = builder.source_map(family, regions.clone());
        assert_eq!(builder.source_map(family, regions.clone()), source_map);
        let table = builder.build();
        let near = regions.iter().flat_map(|&(address, len, _)| {
            let last = address | !family.mask(len) & family.mask(family.bits());
            [address, last, address.wrapping_sub(1) & family.mask(family.bits())]
        });
        for source in near.chain(sources.iter().map(|source| source & family.mask(family.bits()))) {
            let found = table.class(family, source_map, source);
            assert_eq!(found, by_looking(family, &regions, source), "{source:x} in {regions:x?}");
            assert_eq!(table.class(family, other, source) == 77, source >> (family.bits() - 1) == 0);
        }
    }

    proptest! {
        #[test]
        fn the_longest_prefix_is_found(
            // Few bits, so that prefixes lie in one another.
            drawn in prop::collection::vec((0_u128..8, any::<u8>(), 0_u32..128), 0..60),
            sources in prop::collection::vec(any::<u128>(), 20),
        ) {
            for family in Family::ALL {
                let shifted: Vec<_> = drawn.iter().map(|&(bits, len, shift)| (bits << (shift % u32::from(family.bits())), len)).collect();
                check(family, &shifted, &sources);
            }
        }
    }

    #[test]
    fn a_search_probes_six_times_at_most_for_ipv4_and_eight_for_ipv6() {
        for (family, most) in [(Family::V4, 6), (Family::V6, 8)] {
            let regions: Vec<Region> = (1..=family.bits()).map(|len| (0, len, len.into())).collect();
            let mut builder = SourcesBuilder::default();
            let source_map = builder.source_map(family, regions);
            let table = builder.build();
            for len in 0..=family.bits() {
                // The first `len` bits are zero, and the next one is not.
                let source = family.mask(family.bits()).checked_shr(len.into()).unwrap_or(0);
                let probes = std::cell::Cell::new(0);
                let class = table.search(source_map, |probed| {
                    probes.set(probes.get() + 1);
                    match family {
                        Family::V4 => table.nodes4.find(key4(source_map, probed, source)),
                        Family::V6 => table.nodes6.find(key6(source_map, probed, source)),
                    }
                });
                assert_eq!(class, len.into());
                assert!(probes.get() <= most, "{} probes", probes.get());
            }
        }
    }
}

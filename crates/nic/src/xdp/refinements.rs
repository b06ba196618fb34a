//! Questions of which the answer depends on more than an address and a port, as flat arrays: ranges of ports, sources, VLANs.
//!
//! ```text
//!   group ─┬─ port map ── selector ─▶ small index ─┐
//!          └─ or one lookup (group, selector) ─────┴─▶ cell
//!   cell ─┬─ source map ─ source ──▶ source class ──┐
//!         └─ VLAN map ── VID ────▶ VLAN class ────┴─▶ verdict by source ── or another one, by (that, VLAN class)
//! ```
//!
//! The route table is compiled to these arrays for a lane, and the program has the same; what they mean in full is told there
//! (`crates/route/src/refinement.rs`). They are read by `bpf/refine.h`, all of them by a bounded number of steps.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroU32;

use lookup::Lookup;

use super::Tier;
use super::image::{Cells, Table};

/// What is said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered there; where that is the driver, as often as one of the limits says.
    Tier {
        /// Where.
        tier: Tier,
        /// The index of the limit.
        limit: Option<u32>,
        /// Whether the answer goes back to the station that asked, wherever the asker is.
        is_reflected: bool,
    },
    /// No route takes it: what the address's owner says to the rest holds.
    Nobody,
}

/// All of it. Indices into these arrays are trusted by nobody: the program checks each, and takes what is not there for
/// [`Verdict::Nobody`].
#[derive(Clone, Debug)]
pub struct Refinements {
    /// Port map or [`Refinements::NONE`], and first cell.
    pub groups: Vec<[u32; 2]>,
    /// For each of 65,536 selectors, one more than the place of its cell behind the group's first; 0 for none.
    pub port_maps: Vec<Vec<u16>>,
    /// The same for groups without a port map: from group (above bit 16) and selector.
    pub selectors: Lookup<u64, u32>,
    /// Source map or none, VLAN map or none, first verdict.
    pub cells: Vec<[u32; 3]>,
    /// First of its lengths, and how many.
    pub source_maps: Vec<[u32; 2]>,
    /// Prefix lengths, ascending in each source map.
    pub lengths: Vec<u8>,
    /// From source map (above bit 38), length (above bit 32) and that many bits of an IPv4 source to its class.
    pub nodes4: Lookup<u64, u32>,
    /// From the halves of that many bits of an IPv6 source, and source map (above bit 8) and length, to its class.
    pub nodes6: Lookup<[u64; 3], u32>,
    /// For each of 4,096 VIDs its VLAN class.
    pub vlan_maps: Vec<Vec<u16>>,
    /// By source class, behind a cell's first verdict.
    pub verdicts: Vec<Verdict>,
    /// In place of that: from its place (above bit 16) and the VLAN class.
    pub exceptions: Lookup<u64, Verdict>,
    /// How often is answered, at most [`LIMIT_COUNT_MAX`] of them.
    pub limits: Vec<Limit>,
}

/// How often a route is answered in the driver, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// All askers together, in a second; as often as they ask where it is nothing.
    pub per_second: Option<NonZeroU32>,
    /// One source in a second.
    pub per_source: Option<NonZeroU32>,
}

/// The most limits: as many buckets the program's map has.
pub const LIMIT_COUNT_MAX: u32 = 1 << 10;

/// A tenth of a second's answers may be given at once, and one always, as in a lane.
const BURSTS_PER_SECOND: u32 = 10;
const SECOND_NS: u64 = 1_000_000_000;

/// None at all.
impl Default for Refinements {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            port_maps: Vec::new(),
            selectors: Lookup::new(&[], 0),
            cells: Vec::new(),
            source_maps: Vec::new(),
            lengths: Vec::new(),
            nodes4: Lookup::new(&[], 0),
            nodes6: Lookup::new(&[], 0),
            vlan_maps: Vec::new(),
            verdicts: Vec::new(),
            exceptions: Lookup::new(&[], Verdict::Nobody),
            limits: Vec::new(),
        }
    }
}

/// Whether they say the same by the same arrays.
impl PartialEq for Refinements {
    fn eq(&self, other: &Self) -> bool {
        self.groups == other.groups
            && self.port_maps == other.port_maps
            && self.selectors.slots().eq(other.selectors.slots())
            && self.cells == other.cells
            && self.source_maps == other.source_maps
            && self.lengths == other.lengths
            && self.nodes4.slots().eq(other.nodes4.slots())
            && self.nodes6.slots().eq(other.nodes6.slots())
            && self.vlan_maps == other.vlan_maps
            && self.verdicts == other.verdicts
            && self.exceptions.slots().eq(other.exceptions.slots())
            && self.limits == other.limits
    }
}

impl Refinements {
    /// What stands for a map where there is none.
    pub const NONE: u32 = u32::MAX;

    /// Adds all arrays to an image, and gives the two cells that say where they are: `struct refinements`.
    pub(super) fn add(&self, cells: &mut Cells) -> [u8; 128] {
        let tables = [
            cells.add_table(&self.selectors, u64::to_ne_bytes, word),
            cells.add_table(&self.exceptions, u64::to_ne_bytes, |verdict| word(number_of(verdict))),
            cells.add_table(&self.nodes4, u64::to_ne_bytes, word),
            cells.add_table(&self.nodes6, words, word),
        ];
        let halves = |pair: &[u32; 2]| pair.iter().flat_map(|half| half.to_ne_bytes()).collect::<Vec<_>>();
        let places = [
            cells.add_items(&self.groups, halves),
            cells.add_items(&self.cells, |cell| {
                cell.iter().chain(&[0]).flat_map(|part| part.to_ne_bytes()).collect()
            }),
            cells.add_items(&self.source_maps, halves),
            cells.add_items(&self.lengths, |&length| vec![length]),
            cells.add_items(&self.verdicts, |&verdict| number_of(verdict).to_ne_bytes().to_vec()),
            cells.add_maps(&self.port_maps),
            cells.add_maps(&self.vlan_maps),
            self.add_limits(cells),
        ];
        described(tables, places)
    }
}

impl Refinements {
    /// Adds the seed of the sources' hash, which nobody shall foresee, in a cell of its own, and behind it the limits.
    fn add_limits(&self, cells: &mut Cells) -> u32 {
        let seed = RandomState::new().build_hasher().finish();
        let first = cells.add_items(&[seed], |seed| seed.to_ne_bytes().to_vec());
        cells.add_items(&self.limits, |limit| {
            [limit.per_second, limit.per_source]
                .into_iter()
                .flat_map(pace)
                .flat_map(u64::to_ne_bytes)
                .collect()
        });
        first
    }
}

/// `struct pace`: interval and depth in nanoseconds.
fn pace(per_second: Option<NonZeroU32>) -> [u64; 2] {
    let Some(per_second) = per_second.map(NonZeroU32::get) else { return [0, 0] };
    let interval = (SECOND_NS / u64::from(per_second)).max(1);
    [interval, interval * u64::from((per_second / BURSTS_PER_SECOND).max(1))]
}

/// `struct refinements` and `struct refinements_too`: two tables each, then where arrays begin.
fn described([one, two, three, four]: [Table; 4], places: [u32; 8]) -> [u8; 128] {
    let mut bytes = [0; 128];
    let (first, second) = places.split_at(4);
    let of = |places: &[u32]| places.iter().flat_map(|place| place.to_ne_bytes()).collect::<Vec<_>>();
    let fields = one.into_iter().chain(two).chain(of(first)).chain(three).chain(four).chain(of(second));
    bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    bytes
}

/// A value of 32 bits in a slot's 64.
fn word(value: u32) -> [u8; 8] {
    u64::from(value).to_ne_bytes()
}

/// The key of a slot of three words.
fn words(key: [u64; 3]) -> [u8; 24] {
    let mut bytes = [0; 24];
    let (words, _) = bytes.as_chunks_mut();
    words.iter_mut().zip(key).for_each(|(bytes, word)| *bytes = word.to_ne_bytes());
    bytes
}

/// `REFLECTED`.
const REFLECTED: u32 = 1 << 31;

/// `enum tier`; above bit 8 one more than the index of the limit, or 0; and whether the answer is reflected.
fn number_of(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Tier { tier, limit, is_reflected } => {
            let reflected = if is_reflected { REFLECTED } else { 0 };
            u32::from(tier as u8) | limit.map_or(0, |index| index + 1) << 8 | reflected
        }
        Verdict::Nobody => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_has_its_parts_where_the_program_reads_them() {
        let source = include_str!("../../bpf/refine.h");
        assert!(source.contains("enum { REFLECTED = 1U << 31 };") && REFLECTED == 1 << 31);
        let last = Some(LIMIT_COUNT_MAX - 1);
        for (tier, limit, is_reflected, number) in [
            (Tier::Driver, None, false, 0),
            (Tier::Lane, Some(0), false, 0x101),
            (Tier::Driver, None, true, 0x8000_0000),
            (Tier::Lane, last, true, 0x8004_0001),
        ] {
            let verdict = Verdict::Tier { tier, limit, is_reflected };
            assert_eq!(number_of(verdict), number, "{verdict:?}");
        }
        assert_eq!(number_of(Verdict::Nobody), 3);
    }
}

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
use super::sources::{SOURCES_SIZE, Sources, halves, word};

/// What is said to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered there; where that is the driver, as often as one of the limits says.
    Tier {
        /// Where.
        tier: Tier,
        /// The index of the limit.
        limit: Option<u32>,
        /// The index of the route.
        route: u16,
        /// Whether the answer goes back to the station that asked, wherever the asker is.
        is_reflected: bool,
    },
    /// No route takes it: what the address's owner says to the rest holds.
    Nobody,
}

impl Verdict {
    /// The same, said by another route.
    const fn of_route(self, route: u16) -> Self {
        match self {
            Self::Tier { tier, limit, is_reflected, .. } => Self::Tier { tier, limit, route, is_reflected },
            Self::Nobody => Self::Nobody,
        }
    }
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
    /// From sources to their classes.
    pub sources: Sources,
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
    /// Each source by itself.
    pub per_source: Option<SourceLimit>,
}

/// How often one source is answered in the driver, at most. All addresses that have the bits of a mask in common are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimit {
    /// In a second.
    pub per_second: NonZeroU32,
    /// Which bits of an IPv4 address say what source it is.
    pub ipv4_mask: u64,
    /// Which of the first 64 bits of an IPv6 address; the others never do.
    pub ipv6_mask: u64,
}

/// The most limits: as many buckets the program's map has.
pub const LIMIT_COUNT_MAX: u32 = 1 << 10;

/// A tenth of a second's answers may be given at once, and one always, as in a lane.
const BURSTS_PER_SECOND: u32 = 10;
const SECOND_NS: u32 = 1_000_000_000;

/// None at all.
impl Default for Refinements {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            port_maps: Vec::new(),
            selectors: Lookup::new(&[], 0),
            cells: Vec::new(),
            sources: Sources::default(),
            vlan_maps: Vec::new(),
            verdicts: Vec::new(),
            exceptions: Lookup::new(&[], Verdict::Nobody),
            limits: Vec::new(),
        }
    }
}

impl Refinements {
    /// Whether they say the same by the same arrays, whatever the numbers of the routes that say it.
    pub(super) fn say_the_same_as(&self, other: &Self) -> bool {
        let said = |verdict: &Verdict| verdict.of_route(u16::MAX);
        let excepted = |refinements: &Self| -> Vec<_> {
            refinements.exceptions.slots().map(|(key, verdict)| (key, said(&verdict))).collect()
        };
        self.groups == other.groups
            && self.port_maps == other.port_maps
            && self.selectors.slots().eq(other.selectors.slots())
            && self.cells == other.cells
            && self.sources == other.sources
            && self.vlan_maps == other.vlan_maps
            && self.verdicts.iter().map(said).eq(other.verdicts.iter().map(said))
            && excepted(self) == excepted(other)
            && self.limits == other.limits
    }

    /// Every route that a verdict names.
    pub(super) fn routes(&self) -> impl Iterator<Item = u16> + '_ {
        let verdicts =
            self.verdicts.iter().copied().chain(self.exceptions.slots().map(|(_, verdict)| verdict));
        verdicts.filter_map(|verdict| match verdict {
            Verdict::Tier { route, .. } => Some(route),
            Verdict::Nobody => None,
        })
    }

    /// What stands for a map where there is none.
    pub const NONE: u32 = u32::MAX;

    /// Adds all arrays to an image, and gives the two cells that say where they are: `struct refinements`.
    pub(super) fn add(&self, cells: &mut Cells) -> [u8; 128] {
        let tables = [
            cells.add_table(&self.selectors, u64::to_ne_bytes, word),
            cells.add_table(&self.exceptions, u64::to_ne_bytes, |verdict| word(number_of(verdict))),
        ];
        let sources = self.sources.add(cells);
        let places = [
            cells.add_items(&self.groups, |&pair| halves(pair)),
            cells.add_items(&self.cells, |cell| {
                cell.iter().chain(&[0]).flat_map(|part| part.to_ne_bytes()).collect()
            }),
            cells.add_items(&self.verdicts, |&verdict| number_of(verdict).to_ne_bytes().to_vec()),
            cells.add_maps(&self.port_maps),
            cells.add_maps(&self.vlan_maps),
            self.add_limits(cells),
        ];
        described(tables, sources, places)
    }
}

impl Refinements {
    /// Adds the seed of the sources' hash, which nobody shall foresee, in a cell of its own, and behind it the limits.
    fn add_limits(&self, cells: &mut Cells) -> u32 {
        let seed = RandomState::new().build_hasher().finish();
        let first = cells.add_items(&[seed], |seed| seed.to_ne_bytes().to_vec());
        cells.add_items(&self.limits, limit_bytes);
        first
    }
}

/// `struct limit`: the paces of the route and of a source, then the masks of a source.
fn limit_bytes(limit: &Limit) -> Vec<u8> {
    let paces = [limit.per_second, limit.per_source.map(|most| most.per_second)].map(pace);
    let masks = limit.per_source.map_or([0, 0], |most| [most.ipv4_mask, most.ipv6_mask]);
    let paces = paces.into_iter().flatten().flat_map(u32::to_ne_bytes);
    paces.chain(masks.into_iter().flat_map(u64::to_ne_bytes)).collect()
}

/// `struct pace`: interval and depth in nanoseconds, a second each at most.
fn pace(per_second: Option<NonZeroU32>) -> [u32; 2] {
    let Some(per_second) = per_second.map(NonZeroU32::get) else { return [0, 0] };
    let interval = (SECOND_NS / per_second).max(1);
    [interval, interval * (per_second / BURSTS_PER_SECOND).max(1)]
}

/// `struct refinements` and `struct refinements_too`: two tables, the sources, and where arrays begin.
fn described(tables: [Table; 2], sources: [u8; SOURCES_SIZE], places: [u32; 6]) -> [u8; 128] {
    let mut bytes = [0; 128];
    let (first, second) = places.split_at(4);
    let of = |places: &[u32]| places.iter().flat_map(|place| place.to_ne_bytes()).collect::<Vec<_>>();
    let fields = tables.into_iter().flatten().chain(of(first)).chain(sources).chain(of(second));
    bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    bytes
}

/// `REFLECTED`.
const REFLECTED: u32 = 1 << 31;

/// `SAID_LIMIT` and `SAID_ROUTE`: where they begin in what is said of a question.
const SAID_LIMIT: u32 = 2;
const SAID_ROUTE: u32 = 13;

const _: () = assert!(LIMIT_COUNT_MAX < 1 << (SAID_ROUTE - SAID_LIMIT));

/// What is said of a question, as `bpf/refine.h` draws it.
fn number_of(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Tier { tier, limit, route, is_reflected } => {
            let reflected = if is_reflected { REFLECTED } else { 0 };
            let limit = limit.map_or(0, |index| index + 1) << SAID_LIMIT;
            u32::from(tier as u8) | limit | one_more(route) << SAID_ROUTE | reflected
        }
        Verdict::Nobody => 3,
    }
}

/// One more than the index of a route. The last index is none, as in the route table, and so is 0.
pub(super) fn one_more(route: u16) -> u32 {
    u32::from(route.wrapping_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_has_a_tenth_of_a_seconds_events_at_once_and_one_always() {
        let paced = |per_second| pace(NonZeroU32::new(per_second));
        assert_eq!(paced(0), [0, 0]);
        assert_eq!(paced(1), [SECOND_NS, SECOND_NS]);
        assert_eq!(paced(19), [SECOND_NS / 19; 2]);
        assert_eq!(paced(100), [10_000_000, 100_000_000]);
        assert_eq!(paced(u32::MAX), [1, u32::MAX / 10]);
    }

    #[test]
    fn a_limit_lies_where_the_program_reads_it() {
        let per_source = SourceLimit {
            per_second: NonZeroU32::MIN,
            ipv4_mask: 0xffff_ff00,
            ipv6_mask: 0xffff_0000_0000_0000,
        };
        let bytes = limit_bytes(&Limit { per_second: NonZeroU32::new(100), per_source: Some(per_source) });
        let (words, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty());
        let words: Vec<_> = words.iter().map(|word| u32::from_ne_bytes(*word)).collect();
        assert_eq!(words[..4], [10_000_000, 100_000_000, SECOND_NS, SECOND_NS]);
        assert_eq!(bytes[16..24], 0xffff_ff00_u64.to_ne_bytes());
        assert_eq!(bytes[24..], 0xffff_0000_0000_0000_u64.to_ne_bytes());
        assert_eq!(limit_bytes(&Limit::default()), [0; 32]);
    }

    #[test]
    fn a_verdict_has_its_parts_where_the_program_reads_them() {
        let source = include_str!("../../bpf/refine.h");
        let constants =
            format!("REFLECTED = 1U << 31, SAID_LIMIT = {SAID_LIMIT}, SAID_ROUTE = {SAID_ROUTE}, ");
        assert!(source.contains(&constants) && REFLECTED == 1 << 31);
        let last = Some(LIMIT_COUNT_MAX - 1);
        for (tier, limit, route, is_reflected, number) in [
            (Tier::Driver, None, u16::MAX, false, 0),
            (Tier::Lane, Some(0), 0, false, 0x2005),
            (Tier::Driver, None, u16::MAX, true, 0x8000_0000),
            (Tier::Lane, last, u16::MAX - 1, true, 0x9fff_f001),
        ] {
            let verdict = Verdict::Tier { tier, limit, route, is_reflected };
            assert_eq!(number_of(verdict), number, "{verdict:?}");
        }
        assert_eq!(number_of(Verdict::Nobody), 3);
    }
}

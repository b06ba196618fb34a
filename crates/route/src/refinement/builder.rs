//! Building refinements: which routes a cell is about, from there which sources and VLANs differ, and how.
//!
//! A cell's routes are given in the operator's order. For each prefix that one of them names, its *chain* is worked out:
//! the routes that a source with this prefix, and no longer one, meets, up to the first that any VLAN meets. The first
//! of a chain is the answer, or the first whose VLANs have the packet's. Sources with the same chain are one class.

use std::collections::BTreeMap;

use super::sources::{Region, SourcesBuilder, number_of};
use super::{Cell, Group, NONE, PortMap, Refinements, VlanMap};
use crate::class::Decision;
use crate::prefix::Family;
use crate::vlan_set::VlanSet;
use lookup::Lookup;

/// The most bytes that a table may be compiled to, what it takes on the way there included. More is beyond any cache, and a mistake: every asker of the IPv4
/// Internet's million routes by himself would be.
pub(crate) const COMPILED_SIZE_MAX: usize = 64 << 20;

/// What an entry of a perfect hash takes, at most: four slots and two displacements.
pub(crate) const ENTRY4_SIZE: usize = 4 * 16 + 2 * 4;
pub(crate) const ENTRY6_SIZE: usize = 4 * 32 + 2 * 4;

/// More than [`COMPILED_SIZE_MAX`], or than an index can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// How many bytes may still be spent.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(COMPILED_SIZE_MAX)
    }

    pub(crate) fn spend(&mut self, size: usize) -> Result<(), TooLarge> {
        self.0 = self.0.checked_sub(size).ok_or(TooLarge)?;
        Ok(())
    }
}

/// A route as a cell sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// Its place in the operator's order.
    pub(crate) route: u16,
    /// The first and the last selector that it is about.
    pub(crate) selectors: (u16, u16),
    /// The sources that it is for, of the family in question, as bits and lengths; nothing where it is for all.
    pub(crate) sources: Option<&'a [(u128, u8)]>,
    /// The VLANs that it is for; nothing where it is for all.
    pub(crate) vlans: Option<&'a VlanSet>,
    /// What is answered.
    pub(crate) class: Decision,
}

impl Row<'_> {
    /// Whether every packet with its selector is its own.
    pub(crate) const fn is_unconditional(&self) -> bool {
        self.sources.is_none() && self.vlans.is_none()
    }
}

/// Selectors, first and last, and the index of their cell within the group.
pub(crate) type Segment = (u16, u16, u16);

/// Refinements in the making.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    groups: Vec<Group>,
    port_maps: Vec<PortMap>,
    known_maps: BTreeMap<Vec<Segment>, u32>,
    selectors: Vec<(u64, u32)>,
    cells: Vec<Cell>,
    known_cells: BTreeMap<(Family, Vec<u16>), Cell>,
    sources: SourcesBuilder,
    vlan_maps: Vec<VlanMap>,
    known_vlans: BTreeMap<Vec<VlanSet>, u32>,
    classes: Vec<Decision>,
    exceptions: Vec<(u64, Decision)>,
}

impl Builder {
    /// The number of a group with these cells, in order, and their segments; one more than its index, as
    /// [`Decision::refinement`] has it.
    pub(crate) fn group(
        &mut self,
        family: Family,
        cells: &[Vec<Row<'_>>],
        segments: &[Segment],
        budget: &mut Budget,
    ) -> Result<u16, TooLarge> {
        let number = u16::try_from(self.groups.len()).map_err(|_| TooLarge)?;
        budget.spend(size_of::<Group>() + size_of_val(cells))?;
        let cells =
            cells.iter().map(|rows| self.cell(family, rows, budget)).collect::<Result<Vec<_>, _>>()?;
        let first_cell = number_of(self.cells.len());
        self.cells.extend(cells);
        let port_map = if segments.iter().any(|(first, last, _)| first != last) {
            self.port_map(segments, budget)?
        } else {
            budget.spend(segments.len() * ENTRY4_SIZE)?;
            let key = |selector: u16| u64::from(number) << 16 | u64::from(selector);
            self.selectors.extend(segments.iter().map(|&(first, _, index)| (key(first), index.into())));
            NONE
        };
        self.groups.push(Group { port_map, first_cell });
        number.checked_add(1).ok_or(TooLarge)
    }

    fn port_map(&mut self, segments: &[Segment], budget: &mut Budget) -> Result<u32, TooLarge> {
        if let Some(&known) = self.known_maps.get(segments) {
            return Ok(known);
        }
        budget.spend(size_of::<[u16; 1 << 16]>())?;
        // Not as an array from the start, which would be one on the stack.
        let mut map: PortMap = vec![0; 1 << 16].into_boxed_slice().try_into().map_err(|_| TooLarge)?;
        for &(first, last, index) in segments {
            map.get_mut(usize::from(first)..=usize::from(last)).ok_or(TooLarge)?.fill(index);
        }
        let number = number_of(self.port_maps.len());
        self.port_maps.push(map);
        self.known_maps.insert(segments.to_vec(), number);
        Ok(number)
    }

    fn cell(&mut self, family: Family, rows: &[Row<'_>], budget: &mut Budget) -> Result<Cell, TooLarge> {
        let routes: Vec<u16> = rows.iter().map(|row| row.route).collect();
        if let Some(&known) = self.known_cells.get(&(family, routes.clone())) {
            return Ok(known);
        }
        let (regions, chains) = chains_of(family, rows, budget)?;
        let source_map = self.source_map(family, regions, budget)?;
        let first_class = number_of(self.classes.len());
        budget.spend(chains.len() * size_of::<Decision>())?;
        self.classes.extend(chains.iter().map(|chain| on_other_vlans(rows, chain)));
        let vlan_map = self.exceptions_of(rows, &chains, first_class, budget)?;
        let cell = Cell { source_map, vlan_map, first_class };
        self.known_cells.insert((family, routes), cell);
        Ok(cell)
    }

    fn source_map(
        &mut self,
        family: Family,
        regions: Vec<Region>,
        budget: &mut Budget,
    ) -> Result<u32, TooLarge> {
        if regions.is_empty() {
            return Ok(NONE);
        }
        // Before the markers are made, whose number is known only then, lest they take more than is there.
        budget.spend(regions.len() * size_of::<Region>())?;
        let before = self.sources.node_counts();
        let source_map = self.sources.source_map(family, regions);
        let after = self.sources.node_counts();
        for ((before, after), size) in before.into_iter().zip(after).zip([ENTRY4_SIZE, ENTRY6_SIZE]) {
            budget.spend((after - before) * size)?;
        }
        if self.sources.count() > super::sources::SOURCE_MAP_COUNT_MAX {
            Err(TooLarge)
        } else {
            Ok(source_map)
        }
    }

    /// Notes what is answered on the VLANs that the routes of a cell name, where that differs, and gives the cell's VLAN
    /// map.
    fn exceptions_of(
        &mut self,
        rows: &[Row<'_>],
        chains: &[Vec<u16>],
        first_class: u32,
        budget: &mut Budget,
    ) -> Result<u32, TooLarge> {
        let mut sets: Vec<VlanSet> = rows.iter().filter_map(|row| row.vlans.copied()).collect();
        if sets.is_empty() {
            return Ok(NONE);
        }
        sets.sort_unstable();
        sets.dedup();
        let vlan_map = self.vlan_map(&sets, budget)?;
        let Some(map) = self.vlan_maps.get(vlan_map as usize) else { return Err(TooLarge) };
        // A VID of each class stands for all; and the classes that each set has.
        let mut representatives = BTreeMap::new();
        map.iter().zip(0_u16..).for_each(|(&class, vid)| {
            representatives.entry(class).or_insert(vid);
        });
        let classes_of = |set: &VlanSet| -> Vec<(u16, u16)> {
            let in_set = representatives.iter().filter(|&(_, &vid)| set.contains(vid));
            in_set.map(|(&class, &vid)| (class, vid)).collect()
        };
        let classes: BTreeMap<VlanSet, Vec<(u16, u16)>> =
            sets.iter().map(|set| (*set, classes_of(set))).collect();
        for (chain, number) in chains.iter().zip(first_class..) {
            let otherwise = on_other_vlans(rows, chain);
            let mut answers = BTreeMap::new();
            for row in chain.iter().filter_map(|&place| rows.get(usize::from(place))) {
                let Some(vlans) = row.vlans else { continue };
                for &(class, vid) in classes.get(vlans).into_iter().flatten() {
                    debug_assert!(vlans.contains(vid), "a class is in a set whole");
                    answers.entry(class).or_insert(row.class);
                }
            }
            answers.retain(|_, answer| *answer != otherwise);
            budget.spend(answers.len() * ENTRY4_SIZE)?;
            let key = |class: u16| u64::from(number) << 16 | u64::from(class);
            self.exceptions.extend(answers.into_iter().map(|(class, answer)| (key(class), answer)));
        }
        Ok(vlan_map)
    }

    /// The map of the VLANs that `sets` do not tell apart, each to its class; VIDs of no set are of class 0.
    fn vlan_map(&mut self, sets: &[VlanSet], budget: &mut Budget) -> Result<u32, TooLarge> {
        if let Some(&known) = self.known_vlans.get(sets) {
            return Ok(known);
        }
        budget.spend(size_of::<[u16; 1 << 12]>())?;
        // The classes so far; each set splits them into what it has and what it has not.
        let mut map: VlanMap = Box::new([0; 1 << 12]);
        let mut count = 1_u16;
        for set in sets {
            let mut halves = BTreeMap::new();
            for vid in set.iter() {
                let Some(class) = map.get_mut(usize::from(vid)) else { continue };
                *class = *halves.entry(*class).or_insert_with(|| {
                    count += 1;
                    count - 1
                });
            }
        }
        let number = number_of(self.vlan_maps.len());
        self.vlan_maps.push(map);
        self.known_vlans.insert(sets.to_vec(), number);
        Ok(number)
    }

    pub(crate) fn build(self) -> Refinements {
        Refinements {
            groups: self.groups.into_boxed_slice(),
            port_maps: self.port_maps.into_boxed_slice(),
            selectors: Lookup::new(&self.selectors, 0),
            cells: self.cells.into_boxed_slice(),
            sources: self.sources.build(),
            vlan_maps: self.vlan_maps.into_boxed_slice(),
            classes: self.classes.into_boxed_slice(),
            exceptions: Lookup::new(&self.exceptions, Decision::NOTHING),
        }
    }
}

/// What is answered on a VLAN that no route of the chain names.
fn on_other_vlans(rows: &[Row<'_>], chain: &[u16]) -> Decision {
    let last = chain.last().and_then(|&place| rows.get(usize::from(place)));
    last.filter(|row| row.vlans.is_none()).map_or(Decision::NOTHING, |row| row.class)
}

/// The regions of the sources that a cell's routes tell apart, each with the number of its chain, and the chains, as
/// places in `rows`. The first is that of sources that no region has.
fn chains_of(
    family: Family,
    rows: &[Row<'_>],
    budget: &mut Budget,
) -> Result<(Vec<Region>, Vec<Vec<u16>>), TooLarge> {
    let mut named: BTreeMap<(u128, u8), Vec<u16>> = BTreeMap::new();
    let mut root = Vec::new();
    for (row, place) in rows.iter().zip(0_u16..) {
        match row.sources {
            None => root.push(place),
            Some(sources) => sources.iter().for_each(|&source| named.entry(source).or_default().push(place)),
        }
    }
    let mut chains = vec![cut(rows, root)];
    let mut known: BTreeMap<Vec<u16>, u32> = chains.iter().cloned().zip(0..).collect();
    let mut regions = Vec::new();
    // The prefixes around the one that is looked at, the widest first, with the numbers of their chains.
    let mut around: Vec<Region> = vec![(0, 0, 0)];
    for ((address, len), own) in named {
        while around.last().is_some_and(|&(outer, outer_len, _)| address & family.mask(outer_len) != outer) {
            around.pop();
        }
        let outer = around.last().map_or(0, |&(.., number)| number);
        let mut chain = chains.get(outer as usize).cloned().unwrap_or_default();
        chain.extend(own);
        chain.sort_unstable();
        chain.dedup();
        let chain = cut(rows, chain);
        budget.spend(size_of_val(chain.as_slice()))?;
        let number = *known.entry(chain.clone()).or_insert_with(|| {
            chains.push(chain);
            number_of(chains.len() - 1)
        });
        if number != outer {
            regions.push((address, len, number));
        }
        around.push((address, len, number));
    }
    Ok((regions, chains))
}

/// A chain without what comes behind the first route that any VLAN meets.
fn cut(rows: &[Row<'_>], mut chain: Vec<u16>) -> Vec<u16> {
    let meets_any = |&place: &u16| rows.get(usize::from(place)).is_some_and(|row| row.vlans.is_none());
    if let Some(place) = chain.iter().position(meets_any) {
        chain.truncate(place + 1);
    }
    chain
}

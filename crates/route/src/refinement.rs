//! What has more conditions than an address and a port: ranges of ports, sources, VLANs. Beside the road, in constant time.
//!
//! ```text
//!   "any selector" of the host ──▶ group ─┬─ port map ── selector ─▶ small index ─┐
//!                                         └─ or one lookup (group, selector) ─────┴─▶ cell
//!   cell ─┬─ source map ── source ─▶ source class ─┐
//!         └─ VLAN map ──── VID ────▶ VLAN class ───┴─▶ class by source ── or another one, by (that, VLAN class)
//! ```
//!
//! A *group* has the questions of one protocol to all hosts on which the same routes stand. A *cell* has those of its
//! selectors that the same routes are about. What is conditioned neither by source nor by VLAN has a cell without maps.

use crate::class::{Decision, Responder};
use crate::conditions::Tier;
use crate::prefix::Family;
use lookup::Lookup;

pub(crate) mod builder;
pub mod sources;

pub use sources::{SourceMap, Sources};

/// What stands where there is none.
pub const NONE: u32 = u32::MAX;

/// The questions of one protocol to hosts on which the same routes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Group {
    /// Its port map; [`NONE`] where its selectors are looked up.
    pub port_map: u32,
    /// Where its cells begin. An index is one more than a cell's place behind that; 0 is no cell.
    pub first_cell: u32,
}

/// Those of its selectors that the same routes are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Cell {
    /// Which source map knows its sources; [`NONE`] where all are of class 0.
    pub source_map: u32,
    /// Which map knows its VLANs; [`NONE`] where they do not matter.
    pub vlan_map: u32,
    /// Where the classes of its sources begin in [`Refinements::classes`].
    pub first_class: u32,
}

/// From each UDP port, or ICMP type, to an index within a group.
pub type PortMap = Box<[u16; 1 << 16]>;

/// From each VID to a VLAN class within a cell.
pub type VlanMap = Box<[u16; 1 << 12]>;

/// All of it, flat.
#[derive(Clone, Debug)]
pub struct Refinements {
    groups: Box<[Group]>,
    port_maps: Box<[PortMap]>,
    selectors: Lookup<u64, u32>,
    cells: Box<[Cell]>,
    sources: Sources,
    vlan_maps: Box<[VlanMap]>,
    classes: Box<[Decision]>,
    exceptions: Lookup<u64, Decision>,
}

impl Refinements {
    /// The class of a packet to a host, `any` being what was found there for any selector; nothing where no route takes
    /// it and its owner has nothing to say. `source` is a number whose highest bit is the address's first.
    #[inline(always)]
    pub fn decide(
        &self,
        any: &Decision,
        family: Family,
        selector: u16,
        source: u128,
        vid: u16,
    ) -> Option<Decision> {
        let found = self.cell(any.refinement, selector).map(|cell| self.decide_in(cell, family, source, vid));
        match found {
            Some(found) if found.responder != Responder::Nobody || found.tier == Tier::Kernel => {
                Some(Decision { host: any.host | found.host, ..found })
            }
            _ if any.responder == Responder::Nobody => None,
            _ => Some(Decision { refinement: 0, ..*any }),
        }
    }

    fn cell(&self, refinement: u16, selector: u16) -> Option<Cell> {
        let number = refinement.checked_sub(1)?;
        let group = self.groups.get(usize::from(number))?;
        let index = match self.port_maps.get(group.port_map as usize) {
            Some(map) => u32::from(*map.get(usize::from(selector))?),
            None => self.selectors.find(u64::from(number) << 16 | u64::from(selector))?,
        };
        let place = group.first_cell.checked_add(index.checked_sub(1)?)?;
        self.cells.get(place as usize).copied()
    }

    fn decide_in(&self, cell: Cell, family: Family, source: u128, vid: u16) -> Decision {
        let source_class = match cell.source_map {
            NONE => 0,
            source_map => self.sources.class(family, source_map, source),
        };
        let place = cell.first_class.wrapping_add(source_class);
        let by_source = self.classes.get(place as usize).copied().unwrap_or(Decision::NOTHING);
        let Some(map) = self.vlan_maps.get(cell.vlan_map as usize) else { return by_source };
        let vlan_class = map.get(usize::from(vid & 0x0fff)).copied().unwrap_or(0);
        let by_both = self.exceptions.find(u64::from(place) << 16 | u64::from(vlan_class));
        by_both.unwrap_or(by_source)
    }

    /// The groups; [`Decision::refinement`] less 1 is an index.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The port maps.
    pub fn port_maps(&self) -> &[PortMap] {
        &self.port_maps
    }

    /// The selectors of groups without port map: from group (above bit 16) and selector to the index within the group.
    pub fn selectors(&self) -> &Lookup<u64, u32> {
        &self.selectors
    }

    /// The cells.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The source maps.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The VLAN maps.
    pub fn vlan_maps(&self) -> &[VlanMap] {
        &self.vlan_maps
    }

    /// What is answered, by cell and source class, for what no exception names. `host` is the next hop's part of it, to be
    /// completed; the responder is [`Responder::Nobody`] where no route takes it.
    pub fn classes(&self) -> &[Decision] {
        &self.classes
    }

    /// What is answered on some VLANs in place of that: from the index in [`Refinements::classes`] (above bit 16) and the
    /// VLAN class.
    pub fn exceptions(&self) -> &Lookup<u64, Decision> {
        &self.exceptions
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        size_of_val(&*self.groups)
            + self.port_maps.len() * size_of::<[u16; 1 << 16]>()
            + self.selectors.size()
            + size_of_val(&*self.cells)
            + self.sources.size()
            + self.vlan_maps.len() * size_of::<[u16; 1 << 12]>()
            + size_of_val(&*self.classes)
            + self.exceptions.size()
    }
}

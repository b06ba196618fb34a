//! What the program counts of each route: what `bpf/routes.h` writes, on all cores together.
//!
//! ```text
//!   entry  0 ............ 1023   1024 .......... 2047
//!         ┌───────────────────┬──────────────────────┐
//!         │ claims of an even │ claims of an odd      │
//!         │ number            │ number                │
//!         └───────────────────┴──────────────────────┘
//! ```
//!
//! An index is a route of the claims that are in force. When others take their place, the half of the old ones stands still:
//! it is read for the last time, and cleared for the claims after the next ones.

use std::io;

use super::bpf::{Map, MapPlan, MapType};

/// The routes that are counted, from the first one on: `ROUTE_COUNT_MAX` of `bpf/routes.h`.
pub const ROUTES_COUNTED_MAX: u32 = 1 << 10;

/// `struct route_count`.
const COUNT_SIZE: u32 = 16;

/// What the program has counted of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteCount {
    /// Questions that it took, without those that were left to a lane.
    pub taken: u64,
    /// Those of them that were dropped.
    pub unanswered: u64,
}

/// The map of them.
#[derive(Debug)]
pub(super) struct RouteCounts {
    map: Map,
    cpu_count: usize,
}

impl RouteCounts {
    pub(super) fn new(cpu_count: usize) -> io::Result<Self> {
        let plan = MapPlan {
            name: "routes",
            map_type: MapType::PerCpuArray,
            key_size: 4,
            value_size: COUNT_SIZE,
            entries_max: 2 * ROUTES_COUNTED_MAX,
            flags: 0,
        };
        Ok(Self { map: Map::new(&plan, cpu_count)?, cpu_count })
    }

    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    /// The counts of the first `route_count` routes of the claims with this number.
    pub(super) fn read(&self, generation: u32, route_count: usize) -> io::Result<Vec<RouteCount>> {
        keys(generation, route_count).map(|key| Ok(sum(&self.map.value(&key)?))).collect()
    }

    /// The same for the last time, and they are 0 again.
    pub(super) fn take(&self, generation: u32, route_count: usize) -> io::Result<Vec<RouteCount>> {
        let counts = self.read(generation, route_count)?;
        let zeros = vec![0; COUNT_SIZE as usize * self.cpu_count];
        keys(generation, route_count).try_for_each(|key| self.map.set(&key, &zeros))?;
        Ok(counts)
    }
}

/// The entries of the first routes of the claims with this number.
fn keys(generation: u32, route_count: usize) -> impl Iterator<Item = [u8; 4]> {
    let first = (generation & 1) * ROUTES_COUNTED_MAX;
    (first..).take(route_count.min(ROUTES_COUNTED_MAX as usize)).map(u32::to_ne_bytes)
}

/// The counts of all cores together.
fn sum(value: &[u8]) -> RouteCount {
    let (words, _) = value.as_chunks();
    let (counts, _) = words.as_chunks();
    counts.iter().fold(RouteCount::default(), |sum, &[taken, unanswered]| RouteCount {
        taken: sum.taken.wrapping_add(u64::from_ne_bytes(taken)),
        unanswered: sum.unanswered.wrapping_add(u64::from_ne_bytes(unanswered)),
    })
}

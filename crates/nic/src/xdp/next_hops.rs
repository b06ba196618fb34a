//! The ways to askers that are not on the link, as flat arrays: what `bpf/next_hop.h` reads.
//!
//! ```text
//!   asker ── source map of its family ──▶ number ─┬─ 1      the station that asked
//!            (0: by the family alone)             ├─ 2      nowhere
//!                                                 └─ 3 + n  station n, if it is known
//! ```

use super::image::{CELL_SIZE, Cells};
use super::sources::{SOURCES_SIZE, Sources};

/// The two cells that say where everything is: `struct next_hops` and `struct next_hops_too`.
pub(super) type Described = [u8; 2 * CELL_SIZE];

/// The lane's table of ways (`crates/route/src/next_hops.rs`), in the program's terms.
#[derive(Clone, Debug, Default)]
pub struct NextHops {
    /// Source map 0 is of IPv4, 1 of IPv6; classes are numbers of ways.
    pub sources: Sources,
    /// The number for whoever has no prefix, by family. What is no number of a way leads nowhere.
    pub otherwise: [u32; 2],
    /// The Ethernet addresses of the gateways, so far as they are known.
    pub stations: Vec<Option<[u8; 6]>>,
}

impl NextHops {
    /// Adds the arrays to an image.
    pub(super) fn add(&self, cells: &mut Cells) -> Described {
        let sources = self.sources.add(cells);
        let stations = cells.add_items(&self.stations, |station| {
            let known = u8::from(station.is_some());
            station.unwrap_or_default().into_iter().chain([known, 0]).collect()
        });
        let mut bytes = [0; 2 * CELL_SIZE];
        let first = sources.into_iter().chain(self.otherwise.into_iter().flat_map(u32::to_ne_bytes));
        let second = [0; 8].into_iter().chain(stations.to_ne_bytes());
        bytes.iter_mut().zip(first.chain(second)).for_each(|(to, from)| *to = from);
        bytes
    }
}

const _: () = assert!(SOURCES_SIZE + 8 == CELL_SIZE);

/// Takes what the program has noted out of the second cell: a bit for each gateway that answers went by, by its index
/// modulo 64. The cell is as it was before then.
pub(super) fn take_used(cell: &mut [u8]) -> u64 {
    let Some(word) = cell.first_chunk_mut() else { return 0 };
    u64::from_ne_bytes(std::mem::take(word))
}

//! The side channel: what a running server says of itself, in a file in memory that others only read.
//!
//! ```text
//!   lane ─▶ page ─┐                          ┌─▶ barelane top
//!   lane ─▶ page ─┼─▶ housekeeping ─▶ segment ┼─▶ a program in another language
//!   kernel, card ─┘   another core,          └─▶ whoever may read the file
//!    process memory   ten times a second
//! ```
//!
//! The **segment** is one file of one server, in a file system in memory. It says itself where everything is and what it
//! means: names, units and sentences stand in it. `docs/side-channel.md` is all that a reader needs.
//!
//! Lanes do not write it. Their pages lie in the server's own memory, and its housekeeping copies them. So a reader cannot
//! even take a cache line from a lane, and nothing that anybody does to the file reaches one.
//!
//! Nothing is mapped, on either side. A mapping of a file that somebody else truncates kills whoever touches it (SIGBUS), the
//! server included; `pwrite` and `pread` work on the same memory of the file and give an error. The price is one copy of some
//! 150 KB a lane, ten times a second, on the housekeeping core.
//!
//! | file | what |
//! |---|---|
//! | `image` | fields and values of an area, written down together |
//! | `areas` | which fields each kind of area has |
//! | `card` | those of what the card counts itself |
//! | `causes` | how many stalls had which cause |
//! | `streams` | what was lost, doubled and late of each stream
//! | `waits` | how long questions waited, and the standing queue |
//! | `layout` | where everything stands in the file |
//! | `segment` | the server's side: create, lock, publish, remove |
//! | `places` | where segments are, and which of them are dead |
//! | `reader` | the reader's side, which believes nothing that it reads |
//! | `snapshot` | what was read of all areas |

mod areas;
mod card;
mod causes;
mod image;
mod layout;
mod places;
mod reader;
mod segment;
mod snapshot;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod waits;

pub(crate) use areas::{KernelQueue, LaneFigures, RouteFigures, ServerFacts};
pub use areas::{NotedStall, StallFigures};
pub(crate) use areas::{driver, lane, memif, memif_queue, queue, route, server};
pub(crate) use card::{NicCounts, is_loss, link, statistics};
pub(crate) use causes::{STALLED_BY, STALLS_OF, StallCauses};
pub(crate) use image::Image;
pub use image::{Field, Form};
pub(crate) use layout::Wanted;
pub(crate) use places::capture_socket_of;
pub use places::running;
pub use reader::{Reader, SegmentError};
pub(crate) use segment::{Segment, unix_ns};
pub use snapshot::{Area, Snapshot};
pub use streams::StreamFigures;
pub(crate) use streams::{LaneStreams, streams};

//! What a lane counts, and how others read it.
//!
//! A lane counts in plain private words ([`Counters`]) and copies them, seldom, to a [`Page`] that others only
//! read. Nobody ever makes a lane wait. THE counter table in [`counters`] is the one place where a counter or a
//! drop reason is named and explained; everything that prints or exports reads it from there.
#![no_std]
#![forbid(unsafe_code)]

pub mod arrival;
pub mod counters;
pub mod depths;
pub mod histogram;
pub mod page;
pub mod stalls;
pub mod streams;
pub mod time;
pub mod wall;

pub use arrival::ArrivalClock;
pub use counters::{ANSWERED_COUNT, Counter, Counters, Kind, Reason, Stage};
pub use depths::Depths;
pub use histogram::{Histogram, SharedHistogram};
pub use page::{Page, Published};
pub use stalls::{SharedStalls, Stall, StallTotals};
pub use streams::SharedStreams;
pub use time::{Clock, Ns, NsPerTick, Still, Tick, TickRate, WallTime};
pub use wall::WallClock;

//! The route table: what the operator writes, and what it is compiled to.
//!
//! ```text
//!   addresses + routes ──▶ RouteTable ──┬──compile──▶ LaneTables   one lookup a packet, flat, whole
//!        + the link's terms             └──compiled─▶ Compiled     the same for the XDP program
//! ```
//!
//! A [`RouteTable`] proves that its routes are sound: every route stands on an address of the table, none is in the
//! shadow of another, and all of them together fit their tables. What is made of it cannot fail.
#![forbid(unsafe_code)]

mod class;
pub mod compiled;
mod compiler;
pub mod conditions;
pub mod counts;
pub mod error;
pub mod lane_tables;
pub mod limit;
pub mod next_hops;
pub mod ports;
pub mod prefix;
mod reach;
pub mod refinement;
pub mod service;
pub mod table;
pub mod vlan_set;

pub use class::{Class, Decision, Responder};
pub use compiled::{Asked, Compiled};
pub use conditions::{Asks, Mismatch, NextHop, Question, Route, Tier, TierChoice};
pub use counts::{RouteCount, RouteTotals};
pub use error::{Numbered, RouteError};
pub use lane_tables::{Host4, Host6, LaneSettings, LaneTables, PartialChecksums, ShortPackets};
pub use limit::{Limit, SourceLimit, SourcePrefix};
pub use lookup::{Key, Lookup};
pub use next_hops::{NextHops, TooManyWays, Via, Way};
pub use ports::PortRange;
pub use prefix::{Family, Prefix, PrefixError};
pub use refinement::Refinements;
pub use service::{Service, ServiceError};
pub use table::{Address, Owner, RouteTable, Terms};
pub use vlan_set::VlanSet;

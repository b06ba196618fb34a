//! The route table: what the operator writes, and what it is compiled to.
//!
//! ```text
//!   addresses + routes ──▶ RouteTable ──compile──▶ LaneTables   one lookup a packet, flat, whole
//!                              └───────claims────▶ what the XDP program redirects to the lane
//! ```
//!
//! A [`RouteTable`] proves that its routes are sound: every route stands on an address of the table, and no two
//! routes claim the same packets. The compilers cannot fail.
#![forbid(unsafe_code)]

pub mod lane_tables;
pub mod service;
pub mod table;

pub use lane_tables::{Class, Host4, Host6, LaneSettings, LaneTables, PartialChecksums, Responder};
pub use lookup::{Key, Lookup};
pub use service::{Service, ServiceError};
pub use table::{Address, Claim, Owner, Route, RouteError, RouteTable};

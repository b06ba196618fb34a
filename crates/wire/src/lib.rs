//! wire
#![no_std]
#![deny(unsafe_code)]

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod headers;
pub mod icmpv4;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod ndp;
pub mod parse;
pub mod template;
pub mod udp;
mod view;

pub use ethernet::Mac;
pub use headers::{Headers, Kind, target_of};
pub use parse::{Fault, parse};

//! What the wire crate reads and writes, held against the RFCs and against two independent implementations
//! (etherparse and smoltcp) that build the questions and read the answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

extern crate barelane_wire as wire;

mod answers;
mod checksums;
mod faults;
mod frames;
mod headers;
mod solicitations;
mod stamp;

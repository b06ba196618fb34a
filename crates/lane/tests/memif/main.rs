//! A lane over memif, in both roles, against a peer that is written in bytes: every vector, no allocation, and peers that
//! write garbage over everything while it answers.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may stop"
)]

extern crate nic as barelane_nic;

mod allocations;
mod garbage;
mod peer;
#[allow(dead_code, reason = "a lane here has the settings of those there, and not their card")]
#[path = "../conformance/simulated.rs"]
mod simulated;
mod sums;
mod vectors;

#[allow(dead_code, reason = "the tests of `nic` use all of it")]
#[path = "../../../nic/tests/memif/raw.rs"]
mod raw;

use std::time::Duration;

use testkit::allocations::CountingAllocator;

/// Counts what each turn asks of it: nothing.
#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// How long anything may take that takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

//! Barelane over memif, with DPDK at the other end of the shared memory.
//!
//! ```text
//!   core 1                      a socket, and the memory that goes over it       core 0
//!  ┌──────────────────────────┐                                    ┌───────────────────────────────────┐
//!  │ dpdk-ask 10.9.0.2        │  net_memif          nic::memif     │ barelane serve 10.9.0.1           │
//!  │ 02:00:00:00:09:02     ───┼────────────────────────────────────┼─── 02:00:00:00:09:01              │
//!  └──────────────────────────┘                                    └───────────────────────────────────┘
//!    barelane probe                                                   testpmd, 5tswap or icmpecho
//! ```
//!
//! Either end may be the memif server, which listens, or its client, which connects and has the memory. What is asked is
//! answered by somebody else's implementation of the protocol, and every byte of every answer is compared (`xtask/clients/dpdk-ask.c`).
//!
//! | file | question |
//! |---|---|
//! | `asking` | does the program that asks see what is wrong? |
//! | `roles` | is DPDK answered in both roles, with and without copies, at every size? |
//! | `restarts` | … whoever comes first, and whoever is killed? |
//! | `probe` | does `barelane probe` measure what testpmd answers? |
//! | `many` | are questions by the million answered without a loss, and counted by the server? |
//!
//! They want no privilege, but DPDK and both cores, so they are marked `#[ignore]`: `cargo xtask test` brings DPDK and runs
//! them one at a time; `cargo xtask test NAME` runs those with NAME in theirs.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may stop"
)]

mod asking;
mod ends;
mod many;
mod probe;
mod process;
mod restarts;
mod roles;

//! Bytes and what they mean: the headers of a packet, its checksums, and the answers written before it came.
//!
//! ```text
//!   ethernet       ethernet       arp │ ipv4 │ ipv6        icmpv4 │ icmpv6 │ ndp │ udp
//!  ┌──────────┬───────────────┬───────────────────────┬──────────────────────────┬─────────┐
//!  │ Ethernet │ Vlan  0, 1, 2 │     Arp, Ipv4, Ipv6   │ Icmpv4Echo, Icmpv6Echo,  │ padding │
//!  │ 14 bytes │ 4 bytes each  │     28,  20,   40     │ NeighbourSolicitation,   │         │
//!  │          │               │                       │ Udp, and their payload   │         │
//!  └──────────┴───────────────┴───────────────────────┴──────────────────────────┴─────────┘
//!  0                          │                       │                          │
//!                  Headers::network          Headers::transport             Headers::end
//! ```
//!
//! # The way of a packet
//!
//! 1. [`parse()`] reads a frame's headers, once, and gives [`Headers`]: offsets and decoded fields that borrow nothing;
//!    or the [`Fault`] for which it will not be answered here.
//! 2. What its protocol demands of the rest is checked: [`udp::check`], [`icmpv4::is_right`], [`icmpv6::is_right`],
//!    [`ndp::check_solicitation`].
//! 3. The answer is written over the question, in the same frame, from a [`template`]; then come the ports or the type
//!    ([`udp::turn_round`], [`icmpv4::answer_echo`], [`icmpv6::answer_echo`]), and the way back
//!    ([`ethernet::turn_round`], [`ethernet::pad`]).
//!
//! # The contract of every protocol
//!
//! Each protocol is a module of its name with a struct of its name: the header as it stands on the wire, all fields
//! public and big-endian, with the RFC's drawing above it. `LEN` is its length; `of` and `of_mut` lay it over the bytes
//! at an offset, and give nothing where the bytes end first. What is found to be wrong has a name of its own: nothing
//! here logs, guesses, or stops. Functions with the same name do the same for each protocol:
//!
//! | name | gives |
//! |---|---|
//! | `of`, `of_mut` | the header at an offset |
//! | `is_…` | whether what the name says is true |
//! | `check…` | a verdict with more than two forms |
//! | `turn_round` | the header that goes back where this one came from |
//! | `answer…` | the answer in place of the question |
//! | `port_unreachable` | the error in place of the datagram |
//!
//! A function that takes [`Headers`] expects those of the very frame that it is given. With others it reads or writes
//! something else, but it never panics and never leaves the slice; a function that writes gives nothing, and has
//! written nothing, where the room is too small.
//!
//! # What this crate does without
//!
//! No operating system, no allocation, no clock, no indexing, no panic; and no unsafe code but for the two calls in
//! `checksum/simd.rs`. Functions on the road of every packet are inlined always, so that the compiler sees the checks
//! of several steps together and keeps one of them; the measure is `cargo xtask bench`, instructions per packet.
#![no_std]

pub mod parse;

pub mod headers;

pub mod ethernet;

pub mod arp;
pub mod ipv4;
pub mod ipv6;

pub mod icmpv4;
pub mod icmpv6;
pub mod ndp;
pub mod udp;

pub mod sockperf;
pub mod stamp;

pub mod checksum;
pub mod template;
mod view;

pub use ethernet::Mac;
pub use headers::{Headers, Kind, target_of};
pub use parse::{Fault, parse};

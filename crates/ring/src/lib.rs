//! Rings of one producer and one consumer, in the layout that AF_XDP shares with the kernel.
//!
//! One type serves both kinds of memory: the rings that the kernel maps (`include/uapi/linux/if_xdp.h`,
//! `net/xdp/xsk_queue.h`) and rings in own memory, which tests, simulations and instruction counts use. What loom,
//! the two-thread test and the wrap-around test prove about the one holds for the other.
//!
//! # The words
//!
//! ```text
//!   producer ─┐          written, not yet read           ┌─ consumer
//!             ▼   ◀──────────────────────────────────▶   ▼
//!   index:  … 7   6   5   4   3   2   1   0   ffffffff  fffffffe …     free-running, wraps at 2^32
//!   slot:     index & (size - 1)
//! ```
//!
//! | word | written by | with | read by | with | so that |
//! |---|---|---|---|---|---|
//! | `producer` | producer | release, in [`Producer::submit`] | consumer | acquire, in [`Consumer::available`] | a slot is read only after it was written |
//! | `consumer` | consumer | release, in [`Consumer::release`] | producer | acquire, in [`Producer::room`] | a slot is written again only after it was read |
//! | `flags` | consumer | relaxed, in [`Consumer::ask_for_wakeup`] | producer | relaxed, in [`Producer::wants_wakeup`] | a hint: whoever misses it asks again, see below |
//! | slots | producer | plain | consumer | plain | ordered by the two indices alone |
//!
//! Each side keeps its own index and a copy of the other's. The other side's word, whose cache line the other core
//! writes, is read only when the copy no longer says enough: an index that is too old errs on the safe side.
//!
//! The wake-up flag orders nothing. A producer that submits and then reads "not wanted" may have looked a moment too
//! early; [`Producer::is_drained`] tells it that something is still waiting, and it looks again in its next turn.
//!
//! Own memory has each word on 128 bytes of its own: x86 fetches cache lines in pairs, and some Arm cores have lines
//! that long. Where the kernel puts its words is the kernel's choice.
//!
//! # How it is checked
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p barelane-ring --release --test loom` walks through every
//! interleaving of small rings. `cargo test -p barelane-ring` runs two threads and the wrap-around;
//! the same under `cargo +nightly miri test` where Miri is installed.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

mod consumer;
#[cfg(feature = "alloc")]
mod memory;
mod producer;
mod sync;
mod words;

pub use consumer::{Consumer, Wakeup};
#[cfg(feature = "alloc")]
pub use memory::{pair, pair_at};
pub use producer::Producer;
pub use sync::{AtomicU32, UnsafeCell};
pub use words::{RawParts, Size, Slot};

/// The bit of the `flags` word by which the consumer asks to be woken (`XDP_RING_NEED_WAKEUP`).
pub const NEED_WAKEUP: u32 = 1;

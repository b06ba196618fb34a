//! What Barelane asks of the machine it runs on, and what it changes there.
//!
//! Everything here is for the time before the first packet and for the threads beside the lanes: it makes system
//! calls, allocates and may wait. Only [`clock::Clock::now`] is for the road. Everything is synchronous, and every
//! wait for the kernel has a limit.
//!
//! | question | module |
//! |---|---|
//! | which interface, which MAC, how many queues, whose XDP program? | [`links`], [`ethtool`] |
//! | what does a card count itself? | [`links::counts`], [`ethtool::Statistics`] |
//! | who is the next hop, and is it still? | [`routes`], [`neighbours`], [`changes`] |
//! | a link of our own, without a cable | [`namespace`], [`veth`] |
//! | which UDP ports have the host's own programs? | [`ports`] |
//! | may a socket drive its NIC itself? | [`busy_poll`] |
//! | frames that no socket would carry | [`packet`], [`groups`] |
//! | where does a thread run, and on what memory? | [`cores`], [`memory`] |
//! | does a block of memory have its cache lines to itself? | [`lines`] |
//! | what time is it? | [`clock`], [`wall`] |
//! | who had our core, and what did a thread wait for? | [`steal`], [`usage`], [`interrupts`] |
//! | may we? | [`privileges`] |
//! | what of all this is not as it should be, and can it be put right? | [`doctor`] |
//!
//! Interfaces, addresses, queues and offloads are read by netlink, never by parsing a program's output and never
//! from `/sys/class/net`: that directory shows the network namespace of whoever mounted it, not that of the reader.
//!
//! Unsafe code stands in four files: `sys.rs` (system calls that have no safe wrapper), `ethtool/request.rs` (one more of them, and
//! its memory), `clock.rs` (the time-stamp counter) and `lines.rs` (an allocator).

pub mod busy_poll;
pub mod changes;
pub mod clock;
pub mod cores;
pub mod doctor;
pub mod error;
pub mod ethtool;
pub mod groups;
pub mod interrupts;
pub mod lines;
pub mod links;
pub mod memory;
pub mod namespace;
pub mod neighbours;
pub mod packet;
pub mod ports;
pub mod privileges;
pub mod routes;
pub mod steal;
pub mod usage;
pub mod veth;
pub mod wall;

mod netlink;
mod sys;

pub use error::HostError;

//! Barelane on a real interface: the binary serves on one end of a veth pair, other people's programs ask from the
//! other.
//!
//! ```text
//!   the clients' network namespace             the server's network namespace
//!  ┌───────────────────────────────┐         ┌──────────────────────────────────┐
//!  │ 10.9.0.2/24   fd09::2/64      │  veth   │ Barelane: 10.9.0.1/24 fd09::1/64 │
//!  │ client0  02:00:00:00:09:02 ───┼─────────┼─ lane0  02:00:00:00:09:01        │
//!  │ ping fping arping ndisc6 …    │         │ kernel:   10.9.0.3/24 fd09::3/64 │
//!  └───────────────────────────────┘         └──────────────────────────────────┘
//! ```
//!
//! The clients of `echo`, `neighbours`, `routers`, `sockets` and `flood` ask twice: a lane, and the driver in front of it.
//!
//! Offloads stay as the kernel sets them: the clients' UDP checksums are partial, as they are on every veth pair. Both
//! namespaces are held by file descriptors only, so that nothing is left behind, however a test ends.
//!
//! | file | question |
//! |---|---|
//! | `echo` | does every client get its echo, for every length, without a loss? |
//! | `neighbours` | do ARP, neighbour discovery and duplicate address detection work? |
//! | `next_hop` | do answers to askers behind routers go where the kernel's routes say? |
//! | `routers` | … where the routers are kernels that forward, the way back is another, and one of them dies? |
//! | `sockets` | do ordinary sockets on a kernel with offloads get what they sent? |
//! | `stamp` | is our STAMP reflector one to senders that others wrote, and does it count what its answers say? |
//! | `sockperf` | does sockperf's client take our server for its own? |
//! | `kernel` | does the kernel keep everything that no route claims? |
//! | `routes` | does the first route that matches answer, and the kernel what is left to it? |
//! | `limits` | do askers of one prefix share what one source may be answered? |
//! | `many_lanes` | does each of two lanes answer its own flow, and count it alone? |
//! | `reload` | does another configuration take over without losing a packet? |
//! | `under_load` | … and under load, in either tier, without one lost, doubled or falsified? |
//! | `probe` | does the measuring client get every answer, by both of its backends? |
//! | `peers` | do other people's servers answer the measuring client, and does it believe them? |
//! | `flood` | are questions by the million accounted for on both sides, in memory that does not grow? |
//! | `spoofed` | does a flood from sources that do not exist take anything from those that do? |
//! | `age` | is what has waited for too long dropped, and what comes in time answered? |
//! | `departures` | does each answer say when it left, by the clock that is named, where that is asked for? |
//! | `streams` | is what was lost, doubled and late on the way to the server told of each stream, to the packet? |
//! | `service` | does a service manager hear what happens? |
//! | `side_channel` | does the segment say what happened, and does nobody who reads it disturb a server? |
//! | `card` | are frames that the card lost before any lane told as the card counts them? |
//! | `competitor` | is a thread that takes a lane's core away told with its length and as what it is? |
//! | `events` | is what happens told as events that programs can read, and does nobody wait who tells them? |
//! | `top` | does `barelane top` say so too? |
//! | `capture` | does a capture say what the lanes saw and sent, and does nobody who captures disturb a server? |
//! | `admin` | does Prometheus hear it as well, and can nobody who asks badly hold a server up? |
//! | `health` | does `/healthz` ask what is claimed where it is answered, and fail where a lane does not? |
//! | `page` | does a browser show it, in every window, and does it say when nobody answers? |
//! | `tls` | … and by TLS, to curl, whatever the files are, and however slowly somebody shakes hands? |
//! | `ends` | what is left after SIGTERM, and after SIGKILL at any moment? |
//! | `leftovers` | … of programs, maps, pins and namespaces? |
//! | `idle` | does a lane that sleeps answer everything, hardly run where nothing comes, and hear what it is told? |
//! | `vanishing` | does a server outlive its interface, and answer again when one of that name is there? |
//! | `several_cards` | does one server answer on two cards, and does nothing that happens to the one touch the other? |
//! | `steady` | which system calls and page faults does an answered packet cost? |
//!
//! They need root and the clients, so they are marked `#[ignore]`: `cargo xtask test` installs what is missing and
//! runs them; `cargo xtask test NAME` runs those with NAME in theirs.

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

mod admin;
mod age;
mod asking;
mod capture;
mod card;
mod competitor;
mod departures;
mod echo;
mod ends;
mod events;
mod flood;
mod health;
mod hold;
mod idle;
mod kernel;
mod leftovers;
mod limits;
mod many_lanes;
mod neighbours;
mod next_hop;
mod page;
mod peers;
mod placement;
mod probe;
mod reload;
mod routed;
mod routers;
mod routes;
mod server;
mod service;
mod several_cards;
mod side_channel;
mod sockets;
mod sockperf;
mod spoofed;
mod stamp;
mod stamp_suite;
mod steady;
mod streams;
mod tier;
mod tls;
mod top;
mod topology;
mod under_load;
mod vanishing;

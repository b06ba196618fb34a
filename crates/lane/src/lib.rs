//! The lane: every packet of one queue, from wire to wire, in one pass on one core.
//!
//! ```text
//!   rx ──▶ parse ──▶ classify ──▶ respond ──▶ tx          Lane::turn, on one screen
//!                                    └──────▶ pass, release     and then housekeeping, seldom
//! ```
//!
//! A lane makes no system call, takes no lock and allocates nothing after [`Lane::new`]. Time is passed in; only for answers
//! that carry it, and to know how old a stamped frame is or whether it can have left, it reads the [`Clock`](telemetry::Clock) that it was given.
//! What it needs from outside comes whole, between two turns, through its [`Mailbox`]; what others want to know they read
//! from its page.
#![forbid(unsafe_code)]

mod arrivals;
mod bucket;
mod classify;
mod departures;
pub mod filter;
mod housekeeping;
mod inquiry;
mod keep_warm;
mod lane;
mod limits;
mod look_back;
mod mailbox;
mod respond;
mod streams;
pub mod tap;
#[cfg(test)]
mod testing;
mod verdict;

pub use classify::classify;
pub use inquiry::{Inquiry, Outcome};
pub use lane::Lane;
pub use look_back::STALL_LIMIT;
pub use mailbox::{GatewaysUsed, InquirySender, Mailbox, MailboxFull, TableSender, TapSender, mailbox};
pub use respond::{State, respond};
pub use verdict::{Verdict, verdict_of};

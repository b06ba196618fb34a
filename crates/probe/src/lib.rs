//! The measuring client: asks on a schedule, checks every answer, reports round trips.
//!
//! It shares `nic` and `wire` with the server and nothing of its lane, so that an error in the lane cannot hide
//! itself. The road of one question, which is also the reading order:
//!
//! ```text
//!   Ask ──▶ schedule ──▶ question ──▶ Transport::send ─────────▶ wire
//!  (what)    (when)       (bytes)      (socket, queue)
//!                                                                │
//!  Report ◀── record ◀── matching ◀── question ◀── Transport::receive
//!             (RTT)       (fate)      (is it right?)
//! ```
//!
//! | module | answers |
//! |---|---|
//! | [`ask`] | what is to be measured, and whether that can be asked at all |
//! | [`schedule`] | when the next question is due |
//! | [`question`] | which bytes a question carries, and whether an answer carries the same |
//! | [`transport`] | what a backend does |
//! | [`socket`] | … over the kernel's sockets |
//! | [`queue`] | … over the queues of a card, with whole [`frames`] |
//! | [`xdp`] | … over a card that is opened for the probe alone |
//! | [`memif`] | … over an interface in shared memory, with [`neighbours`] of its own |
//! | [`matching`] | what became of each question; sent = answered + lost + late, exactly |
//! | [`record`] | the round trips, and how deep a percentile the samples carry |
//! | [`own_error`] | what the probe does wrong itself: when it was late, when it was not there, and why |
//! | [`measure`](mod@measure) | the loop, on one screen |
//! | [`search`](mod@search) | the highest rate without loss, out of many runs |
//! | [`report`] | the figures, as JSON with units in its keys and as a table |
//!
//! What is measured is the round trip, from a stamp before the question is handed over to a stamp after the answer
//! is in hand. Where the stamps are taken and by which clock is part of every report. Half of a round trip is
//! never reported as a one-way delay: no figure here could support that.
#![forbid(unsafe_code)]

pub mod ask;
pub mod clock;
pub mod figures;
pub mod frames;
pub mod matching;
pub mod measure;
pub mod memif;
pub mod neighbours;
pub mod own_error;
pub mod question;
pub mod queue;
pub mod record;
pub mod report;
pub mod schedule;
pub mod search;
pub mod socket;
pub mod transport;
pub mod xdp;

pub use ask::{Ask, AskError, End, Protocol, StampKey};
pub use clock::{Clock, MonotonicClock, RealtimeClock, WallTime};
pub use figures::Figures;
pub use matching::Counts;
pub use measure::{Controls, Ended, Outcome, ProbeError, Progress, measure};
pub use own_error::{OwnError, Watch};
pub use report::Report;
pub use schedule::{Arrivals, Ramp, Schedule};
pub use transport::{Transport, TransportError};

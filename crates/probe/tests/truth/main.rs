//! Truth under a known law: a world in memory whose figures can be computed, and what the probe reports of it.
//!
//! | module | what it holds the probe to |
//! |---|---|
//! | [`schedules`] | intended instants: no drift, exponential gaps, ramps as their integral |
//! | [`stalls`] | percentiles of a server that stalls, against formulas, in open and in closed loops |
//! | [`fates`] | every injected loss, repetition, change of order, damage and delay is counted as what it is |
//! | [`search`] | the highest rate without loss of servers whose limit is known |
//! | [`law`], [`world`] | the distributions, and the world: a clock, a wire, a reflector |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "a test may stop, and its numbers are small"
)]

mod fates;
mod law;
mod schedules;
mod search;
mod stalls;
mod world;

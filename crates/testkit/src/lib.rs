//! What the tests of every crate share: questions and answers as data, packets from a seed, checkers, a browser.
//!
//! A vector (`vectors/*.toml`) is a question in bytes, the rule that it tests, and what must become of it: an answer
//! byte for byte, or a reason. The files are written by an independent stack and know nothing of our code. Whatever
//! answers packets (a lane over a simulated card, a lane over AF_XDP, later a driver program) is a [`vectors::Tier`]
//! and is put to the same vectors by the same runner.
//!
//! This crate is a dev-dependency only, and never asks the code under test for what is right.

pub mod allocations;
pub mod chromium;
pub mod clock;
pub mod conservation;
pub mod endpoint;
pub mod hex;
pub mod machines;
pub mod mutants;
pub mod packets;
pub mod random;
pub mod vectors;

//! Frames through a lane: `cargo +nightly fuzz run turn`.
#![no_main]

#[path = "../bodies/turn.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::turn(bytes));

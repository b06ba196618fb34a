//! Messages to both ends of a memif handshake: `cargo +nightly fuzz run memif_messages`.
#![no_main]

#[path = "../bodies/memif_messages.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::memif_messages(bytes);
});

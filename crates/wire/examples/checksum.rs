//! How fast each checksum implementation of this machine sums, by length: `cargo xtask bench --checksum` runs this.
//!
//! One line for each implementation and length: its name, the length in bytes, gigabytes a second. The best of
//! several rounds counts, because whatever else the machine does can only slow a round down.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program beside the library, for measurements")]

use std::hint::black_box;
use std::time::Instant;

use barelane_wire::checksum::Summer;

/// The shortest frame's payload, what games and voices send, around the step to long inputs, a full frame.
const SIZES: [usize; 7] = [20, 64, 128, 256, 512, 1024, 1480];
/// Bytes summed in one round: some milliseconds.
const ROUND_BYTES: usize = 32 << 20;
const ROUNDS: usize = 7;

fn main() {
    let bytes: Vec<u8> = (0..1480_u32).map(|index| index.to_le_bytes()[0].wrapping_mul(31)).collect();
    for summer in Summer::available() {
        for size in SIZES {
            let input = bytes.get(..size).unwrap_or_default();
            let best = (0..ROUNDS).map(|_| round(summer, input)).fold(0.0, f64::max);
            println!("{} {size} {best:.2}", summer.name());
        }
    }
}

/// Gigabytes a second of one round.
#[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
fn round(summer: Summer, input: &[u8]) -> f64 {
    let count = ROUND_BYTES / input.len().max(1);
    let started = Instant::now();
    for _ in 0..count {
        black_box(summer.sum(black_box(input)));
    }
    (count * input.len()) as f64 / started.elapsed().as_secs_f64() / 1e9
}

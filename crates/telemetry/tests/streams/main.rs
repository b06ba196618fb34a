//! The figures of streams against plain models, which have numbers that never come round and forget nothing. Seeded: a failure says
//! which seed to repeat, by `BARELANE_SEEDS=FIRST..END`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may stop")]

mod model;
mod one;
mod table;
mod world;

use std::env;
use std::ops::Range;

/// The seeds of this run: 200, or those that were asked for.
fn seeds() -> Range<u64> {
    let Ok(wanted) = env::var("BARELANE_SEEDS") else { return 0..200 };
    let (first, end) = wanted.split_once("..").expect("BARELANE_SEEDS=FIRST..END");
    first.parse().unwrap()..end.parse().unwrap()
}

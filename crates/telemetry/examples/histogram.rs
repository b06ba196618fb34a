//! Nanoseconds of a record in our histograms, and in one that others wrote: `cargo xtask bench --histogram` runs this in rounds.
//!
//! All of them record the same times, one after the other on one core, so that what is compared was measured within some
//! milliseconds. One line for each kind of times and each histogram: both names, and nanoseconds a record. The best of several
//! passes counts, because whatever else the machine does can only slow a pass down.
//!
//! With the names of both it records those times once, within [`record_all`], for callgrind to count.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program beside the library, for measurements")]

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use barelane_telemetry::{Histogram, SharedHistogram};
use hdrhistogram::Histogram as Hdr;

/// Times of one pass: they and their buckets stay in the first cache, as a busy lane's do.
const COUNT: usize = 1 << 12;
/// Passes over them whose time is taken together: a millisecond or two.
const PASSES: usize = 64;
const TRIES: usize = 15;

/// Something with its name on the command line.
type Named<T> = (&'static str, T);

/// A time of a random number.
type Draw = fn(u64) -> u64;

/// What can be recorded.
const TIMES: [Named<Draw>; 2] = [("alike", alike), ("spread", spread)];

/// Who records. A reference of two digits is as fine as ours; three are what most people take.
const RECORDERS: [Named<fn() -> Recorder>; 4] = [
    ("shared", || Recorder::Shared(Box::default())),
    ("own", || Recorder::Own(Box::default())),
    ("hdr-2", || Recorder::Hdr(hdr(2))),
    ("hdr-3", || Recorder::Hdr(hdr(3))),
];

#[derive(Debug)]
enum Recorder {
    Shared(Box<SharedHistogram>),
    Own(Box<Histogram>),
    Hdr(Hdr<u64>),
}

/// As far as ours goes, and never made longer.
#[expect(clippy::unwrap_used, reason = "the bounds are constants that it takes")]
fn hdr(digits: u8) -> Hdr<u64> {
    Hdr::new_with_bounds(1, 1 << 36, digits).unwrap()
}

/// What a lane answers in one way: within some hundred nanoseconds of each other.
fn alike(random: u64) -> u64 {
    1_000 + random % 256
}

/// From 100 ns to seconds, each power of two as often, so that no branch on the size is foreseen.
fn spread(random: u64) -> u64 {
    let power = 7 + random % 25;
    (1 << power) + (random >> 32) % (1 << power)
}

/// The same times in every run (splitmix64, Steele et al. 2014).
fn times(of: Draw) -> Vec<u64> {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        of(mixed ^ (mixed >> 27))
    };
    std::iter::repeat_with(next).take(COUNT).collect()
}

/// What is counted. Not inlined, so that callgrind finds its beginning and its end.
#[inline(never)]
fn record_all(recorder: &mut Recorder, times: &[u64]) {
    match recorder {
        Recorder::Shared(shared) => times.iter().for_each(|ns| shared.record(*ns)),
        Recorder::Own(own) => times.iter().for_each(|ns| own.record(*ns)),
        Recorder::Hdr(hdr) => times.iter().for_each(|ns| {
            // None is out of its bounds.
            let _recorded = hdr.record(*ns);
        }),
    }
}

fn recorded(recorder: &Recorder) -> u64 {
    match recorder {
        Recorder::Shared(shared) => shared.read().count(),
        Recorder::Own(own) => own.count(),
        Recorder::Hdr(hdr) => hdr.len(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [] => TIMES.iter().try_for_each(|(name, of)| time(name, &times(*of))),
        [name, who] => count(name, who),
        _ => Err("nothing, or: alike|spread shared|own|hdr-2|hdr-3".into()),
    }
}

/// Times everybody, in turns.
#[expect(clippy::cast_precision_loss, reason = "some milliseconds, and some hundred thousand records")]
fn time(name: &str, times: &[u64]) -> Result<(), Box<dyn Error>> {
    let mut recorders = RECORDERS.map(|(who, new)| (who, new(), f64::INFINITY));
    for _ in 0..TRIES {
        for (_, recorder, best) in &mut recorders {
            let began = Instant::now();
            (0..PASSES).for_each(|_| record_all(recorder, black_box(times)));
            *best = best.min(began.elapsed().as_nanos() as f64 / (PASSES * COUNT) as f64);
        }
    }
    for (who, recorder, best) in &recorders {
        check(who, recorder, TRIES * PASSES * COUNT)?;
        println!("{name} {who} {best:.3}");
    }
    Ok(())
}

/// Records once, for callgrind; prints how many times, and by whom.
fn count(name: &str, who: &str) -> Result<(), Box<dyn Error>> {
    let (_, of) = TIMES.iter().find(|(known, _)| *known == name).ok_or("no such times")?;
    let (who, new) = RECORDERS.iter().find(|(known, _)| *known == who).ok_or("no such histogram")?;
    let mut recorder = new();
    record_all(&mut recorder, &times(*of));
    check(who, &recorder, COUNT)?;
    println!("{COUNT} {who}");
    Ok(())
}

fn check(who: &str, recorder: &Recorder, count: usize) -> Result<(), Box<dyn Error>> {
    if recorded(recorder) == count as u64 {
        return Ok(());
    }
    Err(format!("{who} has recorded {} of {count}", recorded(recorder)).into())
}

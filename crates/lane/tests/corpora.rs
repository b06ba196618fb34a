//! The fuzz targets' corpora, replayed: what a fuzzer once found, and one question of every vector.
//!
//! A fuzzer's input that stopped something goes to `fuzz/corpus` with the commit that mends it, and stays there.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may stop")]

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use testkit::vectors;

#[path = "../../../fuzz/bodies/memif_messages.rs"]
mod memif_messages;
#[path = "../../../fuzz/bodies/parse.rs"]
mod parse;
#[path = "../../../fuzz/bodies/turn.rs"]
mod turn;

/// Every input of one target.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn replay(target: &str, mut body: impl FnMut(&[u8])) {
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "fuzz/corpus/{target} is empty");
    for (path, input) in inputs {
        println!("{}", path.display());
        body(&input);
    }
}

#[test]
fn the_corpus_of_parse_stops_nothing() {
    replay("parse", parse::parse);
}

#[test]
fn the_corpus_of_turn_stops_nothing() {
    replay("turn", turn::turn);
}

#[test]
fn the_corpus_of_memif_messages_stops_nothing() {
    let mut queues = Vec::new();
    replay("memif_messages", |input| queues.push(memif_messages::memif_messages(input)));
    // Some of it comes as far as the rings.
    assert!(queues.contains(&1) && queues.contains(&2), "{queues:?}");
}

/// So that a fuzzer starts where the rules are: all questions, one after the other and in one turn.
#[test]
fn the_questions_of_all_vectors_stop_nothing() {
    let vectors = vectors::load().unwrap();
    for vector in &vectors {
        parse::parse(&vector.question);
        turn::turn(&input(&[&vector.question]));
    }
    for several in vectors.chunks(8) {
        turn::turn(&input(&several.iter().map(|vector| &vector.question[..]).collect::<Vec<_>>()));
    }
}

/// Frames as an input of the target `turn`, all of them in one turn.
fn input(frames: &[&[u8]]) -> Vec<u8> {
    let mut input = vec![1];
    for (index, frame) in frames.iter().enumerate() {
        let waits = if index + 1 < frames.len() { 0x8000 } else { 0 };
        input.extend((u16::try_from(frame.len()).unwrap() | waits).to_le_bytes());
        input.extend(*frame);
    }
    input
}

/// `cargo test --package barelane-lane --test corpora -- --ignored` writes the first short question of each rule.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn seed_the_corpora_from_the_vectors() {
    let home = format!("{}/../../fuzz/corpus", env!("CARGO_MANIFEST_DIR"));
    let mut rules = HashSet::new();
    for vector in vectors::load().unwrap().iter().filter(|vector| vector.question.len() <= 128) {
        let rule = vector.rule.id.split('-').next().unwrap();
        if rules.insert(rule.to_owned()) {
            fs::write(format!("{home}/parse/{rule}"), &vector.question).unwrap();
            fs::write(format!("{home}/turn/{rule}"), input(&[&vector.question])).unwrap();
        }
    }
}

//! No answer is longer than its question, by default: what `docs/decisions/0011-amplification.md` says of every answer, held
//! to every vector. Who forges a source must gain nothing by asking us.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop, and vectors hold whole packets"
)]

use barelane_testkit::vectors::{self, Expectation, ShortPackets, Vector};

/// What an answer is, as far as its length is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A neighbour advertisement: it always says our link-layer address, which a solicitation may leave out.
    Advertisement,
    /// Port Unreachable, which quotes the datagram behind headers of its own.
    ErrorV4,
    /// The same of ICMPv6.
    ErrorV6,
    /// Every other answer.
    Other,
}

/// Of each class the greatest amplification: the bytes of an answer, and of its question.
const GREATEST: [(Class, [usize; 2]); 4] = [
    (Class::Advertisement, [72, 64]),
    (Class::ErrorV4, [56, 28]),
    (Class::ErrorV6, [96, 48]),
    (Class::Other, [1, 1]),
];

impl Class {
    fn of(answer: &[u8]) -> Self {
        match packet(answer) {
            // Protocol and type: all but an echo reply.
            (IPV4, ip) if ip[9] == 1 && ip[20] != 0 => Self::ErrorV4,
            // Next header and type (RFC 4443 section 2.1: the highest bit is not set in errors).
            (IPV6, ip) if ip[6] == 58 && ip[40] < 128 => Self::ErrorV6,
            (IPV6, ip) if ip[6] == 58 && ip[40] == 136 => Self::Advertisement,
            _ => Self::Other,
        }
    }

    /// How long an answer of this class to a question of this length is, at most.
    fn longest(self, question: usize) -> usize {
        match self {
            Self::Advertisement => 72,
            Self::ErrorV4 => question + 28,
            Self::ErrorV6 => question + 48,
            Self::Other => question,
        }
    }
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;

/// The type behind all tags, and what follows it.
fn packet(frame: &[u8]) -> (u16, &[u8]) {
    let mut rest = &frame[12..];
    while matches!(rest[..2], [0x81, 0x00] | [0x88, 0xa8]) {
        rest = &rest[4..];
    }
    (number(rest), &rest[2..])
}

/// The length at the IP layer: padding is no part of it, nor is the Ethernet header.
fn len(frame: &[u8]) -> usize {
    match packet(frame) {
        (IPV4, ip) => number(&ip[2..]).into(),
        (IPV6, ip) => 40 + usize::from(number(&ip[4..])),
        (ARP, _) => 28,
        (ethertype, _) => panic!("an answer to or with EtherType {ethertype:04x}"),
    }
}

fn number(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// A vector's id, an answer, and a question that it is the answer to.
type Exchange = (String, Vec<u8>, Vec<u8>);

/// Every question of these vectors that is answered.
fn exchanges(is_wanted: impl Fn(&Vector) -> bool) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for vector in vectors::load().unwrap().iter().filter(|vector| is_wanted(vector)) {
        if let Expectation::Reply(answer) = &vector.expectation {
            let exchange = |question| (vector.rule.id.clone(), answer.clone(), question);
            exchanges.extend(vector.questions().map(exchange));
        }
    }
    exchanges
}

/// Every step of the conversations that is answered. They have default settings.
fn steps() -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for conversation in vectors::conversations().unwrap() {
        for step in conversation.steps {
            if let Expectation::Reply(answer) = step.expectation {
                exchanges.push((conversation.rule.id.clone(), answer, step.question));
            }
        }
    }
    exchanges
}

/// The greatest amplification among these, and whose it is.
fn greatest<'a>(exchanges: impl Iterator<Item = &'a Exchange>) -> ([usize; 2], &'a str) {
    let lengths = exchanges.map(|(id, answer, question)| ([len(answer), len(question)], id.as_str()));
    lengths.max_by(|(a, _), (b, _)| (a[0] * b[1]).cmp(&(b[0] * a[1]))).unwrap()
}

fn is_same([answer, question]: [usize; 2], [other_answer, other_question]: [usize; 2]) -> bool {
    answer * other_question == other_answer * question
}

#[test]
fn no_answer_is_longer_than_its_question_but_for_errors_and_advertisements() {
    let mut all = exchanges(|vector| vector.settings.short_packets == ShortPackets::Drop);
    all.extend(steps());
    for (id, answer, question) in &all {
        let class = Class::of(answer);
        let (found, asked) = (len(answer), len(question));
        assert!(found <= class.longest(asked), "{id}: {class:?} of {found} bytes to {asked}");
    }
    for (class, documented) in GREATEST {
        let (found, id) = greatest(all.iter().filter(|(_, answer, _)| Class::of(answer) == class));
        assert!(is_same(found, documented), "{class:?}: {found:?} in {id}, {documented:?} documented");
    }
}

#[test]
fn where_short_stamp_packets_are_answered_the_greatest_is_72_bytes_for_42() {
    let answered = exchanges(|vector| vector.settings.short_packets == ShortPackets::Answer);
    assert!(answered.iter().all(|(_, answer, _)| Class::of(answer) == Class::Other));
    let (found, id) = greatest(answered.iter());
    assert_eq!(found, [72, 42], "{id}");
}

//! The reflector of these tests writes its packets byte by byte, so that an error in the views cannot hide itself.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use super::*;
use crate::ask::Protocol;

const PORT: NonZeroU16 = NonZeroU16::new(862).unwrap();

/// 23 November 2026, 09:00 UTC, and a quarter of a second.
const SENT_AT: WallTime = WallTime(1_795_424_400_250_000_000);

/// How long the reflector of these tests has every question.
const RESIDENCE: u64 = 125_000_000;

const SEQUENCE: u64 = 5;

fn ask(size: usize, key: Option<&[u8]>) -> Ask {
    let stamp_key = key.and_then(StampKey::new);
    Ask { size, seed: 7, stamp_key, ..Ask::new(Ipv4Addr::LOCALHOST.into(), Protocol::Stamp { port: PORT }) }
}

fn question(questions: &Questions, sequence: u64) -> Vec<u8> {
    let mut room = vec![0xa5; questions.size + 3];
    questions.at(sequence).write(&mut room, SENT_AT);
    assert_eq!(room.split_off(questions.size), [0xa5; 3], "written beyond its size");
    room
}

/// Where the fields of a reflector's base packet stand: RFC 8762 figures 5 and 6.
struct Places {
    t3: usize,
    error_estimate: usize,
    ssid: usize,
    t2: usize,
    sequence: usize,
    t1: usize,
    asked_error_estimate: usize,
    ttl: usize,
    len: usize,
}

const OPEN: Places = Places {
    t3: 4,
    error_estimate: 12,
    ssid: 14,
    t2: 16,
    sequence: 24,
    t1: 28,
    asked_error_estimate: 36,
    ttl: 40,
    len: 44,
};

const SIGNED: Places = Places {
    t3: 16,
    error_estimate: 24,
    ssid: 26,
    t2: 32,
    sequence: 48,
    t1: 64,
    asked_error_estimate: 72,
    ttl: 80,
    len: 112,
};

/// A stateful reflector's answer: its own sequence number is 77. What follows the base packet comes back with U cleared.
fn answer(question: &[u8], key: Option<&[u8]>) -> Vec<u8> {
    let (to, from) = if key.is_some() { (SIGNED, [0, 16, 24, 26]) } else { (OPEN, [0, 4, 12, 14]) };
    let mut bytes = vec![0; to.len];
    bytes[..4].copy_from_slice(&77_u32.to_be_bytes());
    let received = Timestamp::new(SENT_AT.0 + 125_000_000, Format::Ntp).0.get();
    let sent = Timestamp::new(SENT_AT.0 + 125_000_000 + RESIDENCE, Format::Ntp).0.get();
    bytes[to.t3..][..8].copy_from_slice(&sent.to_be_bytes());
    bytes[to.error_estimate..][..2].copy_from_slice(&[0x92, 3]);
    bytes[to.ssid..][..2].copy_from_slice(&question[from[3]..][..2]);
    bytes[to.t2..][..8].copy_from_slice(&received.to_be_bytes());
    bytes[to.sequence..][..4].copy_from_slice(&question[from[0]..][..4]);
    bytes[to.t1..][..8].copy_from_slice(&question[from[1]..][..8]);
    bytes[to.asked_error_estimate..][..2].copy_from_slice(&question[from[2]..][..2]);
    bytes[to.ttl] = 61;
    bytes.extend_from_slice(&question[to.len..]);
    if let Some(flags) = bytes.get_mut(to.len) {
        *flags &= !tlv::UNRECOGNISED;
    }
    sign(&mut bytes, key);
    bytes
}

fn sign(bytes: &mut [u8], key: Option<&[u8]>) {
    if let Some(key) = key {
        authenticate(bytes, &Key::new(key).unwrap()).unwrap();
    }
}

fn recognise(questions: &Questions, bytes: &[u8]) -> Option<u64> {
    questions.recognise(bytes, None, SEQUENCE + 1).map(|answer| answer.sequence)
}

/// A run that has asked question 5, and the answer to it.
fn asked(size: usize, key: Option<&[u8]>) -> (Questions, Vec<u8>) {
    let questions = Questions::new(&ask(size, key));
    let bytes = answer(&question(&questions, SEQUENCE), key);
    (questions, bytes)
}

const KEY: Option<&[u8]> = Some(b"a key of these tests");

#[test]
fn an_answer_is_recognised_whatever_the_size_the_mode_and_the_sequence_number() {
    let sizes = [(None, [44, 48, 49, 55, 56, 57, 1_472]), (KEY, [112, 116, 117, 123, 124, 131, 1_452])];
    for (key, sizes) in sizes {
        for size in sizes {
            let questions = Questions::new(&ask(size, key));
            for sequence in [0, 1, 65_536, u64::from(u32::MAX), 1 << 32, (1 << 40) + 3] {
                let bytes = answer(&question(&questions, sequence), key);
                let expected = Recognised { sequence, residence: Some(Ns(RESIDENCE)) };
                assert_eq!(questions.recognise(&bytes, None, sequence + 9), Some(expected), "{size} bytes");
            }
        }
    }
}

#[test]
fn the_question_is_what_scapy_writes() {
    // STAMPSessionSenderTestUnauthenticated(seq=5, ts=1_795_424_400 + 2_208_988_800 + 0.25, ssid=…,
    //     err_estimate=ErrorEstimate(S=0, Z=0, scale=17, multiplier=1)) of scapy 2.8.0
    let scapys = [0, 0, 0, 5, 0xee, 0xae, 0x7f, 0x10, 0x40, 0, 0, 0, 0x11, 0x01];
    let stamp_error = ErrorEstimate(0x1101.into());
    let questions = Questions::new(&Ask { stamp_error, ..ask(56, None) });
    let bytes = question(&questions, SEQUENCE);
    assert_eq!(bytes[..14], scapys);
    assert_eq!(bytes[16..44], [0; 28]);
    assert_eq!(bytes[44..48], [0x80, 1, 0, 8], "Extra Padding of eight bytes, with the flag U");
    assert_eq!(bytes[48..], questions.at(SEQUENCE).token.to_be_bytes());
}

#[test]
fn every_flipped_bit_of_what_a_reflector_copies_is_found() {
    let (questions, right) = asked(61, None);
    // Its own sequence number, stamps and error estimate, the zeros and the TTL, and the TLV's flags.
    let own = |byte: usize| matches!(byte, 0..=13 | 16..=23 | 38..=44);
    for bit in 0..right.len() * 8 {
        let mut wrong = right.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(recognise(&questions, &wrong).is_some(), own(bit / 8), "byte {} bit {}", bit / 8, bit % 8);
    }
}

#[test]
fn every_flipped_bit_of_a_signed_answer_is_found() {
    let (questions, right) = asked(129, KEY);
    for bit in 0..right.len() * 8 {
        let mut wrong = right.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            recognise(&questions, &wrong).is_some(),
            bit / 8 == 112,
            "byte {} bit {}",
            bit / 8,
            bit % 8
        );
    }
}

#[test]
fn another_key_and_no_signature_at_all_are_found() {
    let (questions, mut bytes) = asked(112, KEY);
    sign(&mut bytes, Some(b"another key"));
    assert_eq!(recognise(&questions, &bytes), None);
    let (_, unsigned) = asked(56, None);
    assert_eq!(recognise(&questions, &unsigned), None);
    assert_eq!(recognise(&questions, &[unsigned, vec![0; 56]].concat()), None);
}

#[test]
fn an_answer_of_another_run_is_found() {
    let (questions, _) = asked(56, None);
    let other = Questions::new(&Ask { seed: 8, ..ask(56, None) });
    assert_eq!(recognise(&questions, &answer(&question(&other, SEQUENCE), None)), None);
}

#[test]
fn a_reflector_that_knows_no_identifier_may_leave_it_out_but_not_change_it() {
    let (questions, mut bytes) = asked(56, None);
    bytes[14..16].fill(0);
    assert_eq!(recognise(&questions, &bytes), Some(SEQUENCE));
    bytes[15] = 1;
    assert_eq!(recognise(&questions, &bytes), None);
}

#[test]
fn t1_has_to_come_back_as_it_was_sent_last() {
    let questions = Questions::new(&ask(44, None));
    let first = answer(&question(&questions, SEQUENCE), None);
    // There was no room for it, and it was written again.
    questions.at(SEQUENCE).write(&mut [0; 44], WallTime(SENT_AT.0 + 1));
    assert_eq!(recognise(&questions, &first), None);
}

#[test]
fn a_reflector_that_knows_no_tlvs_answers_with_the_base_packet_alone() {
    for (size, key) in [(56, None), (1_472, None), (124, KEY)] {
        let (questions, bytes) = asked(size, key);
        let base = size_min(key.is_some());
        assert_eq!(recognise(&questions, &bytes[..base]), Some(SEQUENCE));
        for len in [0, base - 1, base + 1, base + 4, size - 1] {
            assert_eq!(recognise(&questions, &bytes[..len]), None, "{len} bytes of {size}");
        }
        assert_eq!(recognise(&questions, &[bytes, vec![0]].concat()), None);
    }
}

fn tlv(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[flags, kind, high, low], value].concat()
}

#[test]
fn other_tlvs_may_stand_around_the_padding_and_damage_behind_m_and_i_is_not_looked_at() {
    let (questions, bytes) = asked(56, None);
    let (base, padding) = bytes.split_at(44);
    let is_taken = |tlvs: &[&[u8]]| recognise(&questions, &[&[base], tlvs].concat().concat()).is_some();
    let other = tlv(tlv::UNRECOGNISED, 99, &[1, 2, 3]);
    assert!(is_taken(&[&other, padding]) && is_taken(&[padding, &other]));
    assert!(!is_taken(&[&other]), "the padding is missing");
    assert!(!is_taken(&[padding, padding]), "it is there twice");
    assert!(!is_taken(&[&tlv(0, EXTRA_PADDING, &padding[4..11])]), "it is shorter");
    assert!(!is_taken(&[&tlv(0, EXTRA_PADDING, &[])]), "it is empty");
    let mut with_flag = padding.to_vec();
    for (flags, is_right) in [(0x80, false), (0x40, true), (0x20, true), (0x00, false), (0x1f, false)] {
        with_flag[0] = flags;
        assert!(is_taken(&[&with_flag]), "flags {flags:#x}");
        let mut damaged = with_flag.clone();
        damaged[8] ^= 1;
        assert_eq!(is_taken(&[&damaged]), is_right, "flags {flags:#x}, and damaged");
    }
    let unpadded = asked(44, None);
    let unpadded_with = |tlvs: &[u8]| recognise(&unpadded.0, &[&unpadded.1, tlvs].concat());
    assert_eq!(unpadded_with(&other), Some(SEQUENCE));
    assert_eq!(unpadded_with(padding), None, "padding that was not asked for");
}

#[test]
fn an_hmac_tlv_is_verified_where_there_is_a_key() {
    let (questions, bytes) = asked(124, KEY);
    let (base, padding) = bytes.split_at(112);
    let other = tlv(0, 99, &[1, 2, 3]);
    // hmac.new(b"a key of these tests", bytes.fromhex("0000004d" "00630003010203"), "sha256").digest()[:16] of Python
    let signature: [u8; 16] =
        [0x51, 0x1a, 0x7a, 0xfc, 0x0c, 0x3d, 0xa9, 0xa0, 0xe2, 0xa2, 0x81, 0x84, 0x07, 0xd6, 0xfc, 0xf2];
    let with = |signature: &[u8]| {
        let bytes = [base, &other, &tlv(0, HMAC, signature), padding].concat();
        recognise(&questions, &bytes)
    };
    assert_eq!(with(&signature), Some(SEQUENCE));
    let mut wrong = signature;
    wrong[15] ^= 1;
    assert_eq!(with(&wrong), None);
    assert_eq!(with(&signature[..15]), None);
}

/// The residence that an answer with these two stamps tells.
fn residence(error_estimate: u16, t2: u64, t3: u64) -> Option<u64> {
    let (questions, mut bytes) = asked(44, None);
    bytes[12..14].copy_from_slice(&error_estimate.to_be_bytes());
    bytes[16..24].copy_from_slice(&t2.to_be_bytes());
    bytes[4..12].copy_from_slice(&t3.to_be_bytes());
    let recognised = questions.recognise(&bytes, None, SEQUENCE + 1).unwrap();
    recognised.residence.map(|ns| ns.0)
}

#[test]
fn residence_is_t3_less_t2_in_the_reflectors_own_format() {
    let [ntp, ptp] = [0x0001, 0x4001];
    assert_eq!(residence(ntp, 7 << 32, (7 << 32) + (1 << 31)), Some(500_000_000));
    assert_eq!(residence(ptp, (7 << 32) + 999_999_990, (8 << 32) + 5), Some(15));
    // 7 February 2036, when NTP's seconds come round, and 2106, when PTP's do.
    assert_eq!(residence(ntp, u64::MAX - 3, (1 << 30) - 4), Some(250_000_000));
    assert_eq!(residence(ptp, (u64::from(u32::MAX) << 32) + 999_999_999, 1), Some(2));
    assert_eq!(residence(ntp, 7 << 32, 7 << 32), Some(0));
}

#[test]
fn stamps_that_cannot_be_believed_tell_no_residence_and_the_answer_stays_right() {
    let [ntp, ptp] = [0x0001, 0x4001];
    assert_eq!(residence(ntp, (7 << 32) + 1, 7 << 32), None, "T3 before T2");
    assert_eq!(residence(ntp, 0, 7 << 32), None, "no T2");
    assert_eq!(residence(ntp, 7 << 32, 0), None, "no T3");
    assert_eq!(residence(ptp, 7 << 32, (7 << 32) + 1_000_000_000), None, "no instant");
    assert_eq!(residence(ntp, 7 << 32, 67 << 32), Some(60_000_000_000));
    assert_eq!(residence(ntp, 7 << 32, (67 << 32) + 8), None, "longer than any question waits");
}

#[test]
fn an_answer_to_a_question_that_is_forgotten_is_left_to_the_matcher() {
    let (questions, bytes) = asked(56, None);
    questions.at(SEQUENCE + (1 << 16)).write(&mut [0; 56], WallTime(SENT_AT.0 + 1));
    let recognised = questions.recognise(&bytes, None, SEQUENCE + (1 << 16) + 1);
    assert_eq!(recognised.unwrap().sequence, SEQUENCE);
}

#[test]
fn the_key_is_not_shown() {
    let (questions, _) = asked(112, KEY);
    assert!(!format!("{questions:?}").contains("97, 32, 107"), "{questions:?}");
}

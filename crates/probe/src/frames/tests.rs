//! The peer of these tests is made here, field by field, so that an error in `Frames` cannot hide itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;
use crate::question::Questions;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const NEXT_HOP: Mac = Mac([2, 0, 0, 0, 0, 2]);
const V4: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))];
const V6: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
];
const UDP: Protocol = Protocol::Udp { port: NonZeroU16::new(7).unwrap() };
const SETTINGS: [([IpAddr; 2], Protocol); 4] =
    [(V4, UDP), (V6, UDP), (V4, Protocol::Icmp), (V6, Protocol::Icmp)];
const SIZES: [usize; 6] = [16, 17, 18, 64, 129, 1452];
const SEQUENCE: u64 = 70_000;

fn link(own: IpAddr) -> Link {
    Link { mac: OWN, ip: own, next_hop: NEXT_HOP, identity: NonZeroU16::new(40_000).unwrap(), mtu: 1500 }
}

fn frames([own, target]: [IpAddr; 2], protocol: Protocol, size: usize) -> Frames {
    let ask = Ask { size, ..Ask::new(target, protocol) };
    Frames::new(&ask, link(own), PartialChecksums::Refuse).unwrap()
}

fn questions(size: usize) -> Questions {
    Questions::new(&Ask { seed: 1, size, ..Ask::new(V4[1], UDP) })
}

fn question(frames: &Frames, size: usize) -> Vec<u8> {
    let mut room = vec![0xa5; 2048];
    let len = frames.write(&questions(size).at(SEQUENCE), WallTime(0), &mut room).unwrap();
    assert!(room[len..].iter().all(|&byte| byte == 0xa5), "written beyond the frame");
    room.truncate(len);
    room
}

/// What a right echo server makes of a question: addresses and ports change places, the echo's type changes, and the
/// checksum is made anew.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut frame = question.to_vec();
    swap(&mut frame, 0, 6, 6);
    let is_v4 = frame[12] == 0x08;
    let (src, len, transport, protocol) =
        if is_v4 { (26, 4, 34, frame[23]) } else { (22, 16, 54, frame[20]) };
    swap(&mut frame, src, src + len, len);
    match protocol {
        17 => swap(&mut frame, transport, transport + 2, 2),
        1 => frame[transport] = 0,
        _ => frame[transport] = 129,
    }
    if protocol != 17 {
        // One word changes from 08 00 to 00 00 or from 80 00 to 81 00 (RFC 1624, equation 3).
        let change = if protocol == 1 { 0x0800 } else { 0xfeff };
        let sum = u32::from(u16::from_be_bytes([frame[transport + 2], frame[transport + 3]])) + change;
        let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        frame[transport + 2..transport + 4].copy_from_slice(&folded.to_be_bytes());
    }
    frame
}

fn swap(frame: &mut [u8], left: usize, right: usize, len: usize) {
    for offset in 0..len {
        frame.swap(left + offset, right + offset);
    }
}

#[test]
fn an_independent_parser_agrees_with_every_question() {
    for (addresses, protocol) in SETTINGS {
        for size in SIZES {
            let bytes = question(&frames(addresses, protocol, size), size);
            let packet = SlicedPacket::from_ethernet(&bytes).unwrap();
            let link = packet.link.as_ref().unwrap().to_header().unwrap().ethernet2().unwrap();
            assert_eq!((link.destination, link.source), (NEXT_HOP.0, OWN.0));
            let (payload, is_right) = check_with_etherparse(&packet);
            assert!(is_right, "{protocol} over {}, {size} bytes", addresses[0]);
            let mut expected = vec![0; size];
            questions(size).at(SEQUENCE).write(&mut expected, WallTime(0));
            assert_eq!(payload, expected);
        }
    }
}

/// The payload, and whether all checksums are right, by a parser that is not ours.
fn check_with_etherparse(packet: &SlicedPacket<'_>) -> (Vec<u8>, bool) {
    match (packet.net.as_ref().unwrap(), packet.transport.as_ref().unwrap()) {
        (NetSlice::Ipv4(ip), TransportSlice::Udp(udp)) => {
            let header = ip.header().to_header();
            let is_right = header.calc_header_checksum() == header.header_checksum
                && udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap() == udp.checksum();
            (udp.payload().to_vec(), is_right)
        }
        (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) => {
            let header = ip.header().to_header();
            let is_right =
                udp.to_header().calc_checksum_ipv6(&header, udp.payload()).unwrap() == udp.checksum();
            (udp.payload().to_vec(), is_right)
        }
        (NetSlice::Ipv4(_), TransportSlice::Icmpv4(icmp)) => {
            (icmp.payload().to_vec(), icmp.icmp_type().calc_checksum(icmp.payload()) == icmp.checksum())
        }
        (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
            let header = ip.header();
            let is_right = icmp.is_checksum_valid(header.source(), header.destination());
            (icmp.payload().to_vec(), is_right)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_right_answer_is_read_whatever_its_size() {
    for (addresses, protocol) in SETTINGS {
        for size in SIZES {
            let frames = frames(addresses, protocol, size);
            let bytes = answer(&question(&frames, size));
            let Some(What::Answer { payload, echo_sequence, checksum: Coverage::Whole }) =
                frames.read(&bytes)
            else {
                panic!("{protocol} over {}, {size} bytes: {:?}", addresses[0], frames.read(&bytes));
            };
            let recognised = questions(size).recognise(payload, echo_sequence, SEQUENCE + 1);
            assert_eq!(recognised.map(|answer| answer.sequence), Some(SEQUENCE));
        }
    }
}

/// Where a flipped bit must not be noticed: the sender's Ethernet address, and what IPv6 protects by no checksum.
fn is_unprotected(byte: usize, is_v4: bool) -> bool {
    let ipv6_class_flow_and_hops = [15, 16, 17, 21];
    (6..12).contains(&byte) || !is_v4 && ipv6_class_flow_and_hops.contains(&byte)
}

#[test]
fn no_flipped_bit_gets_past_the_checks() {
    for (addresses, protocol) in SETTINGS {
        let frames = frames(addresses, protocol, 33);
        let right = answer(&question(&frames, 33));
        for bit in 0..right.len() * 8 {
            let mut wrong = right.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let is_taken = matches!(frames.read(&wrong), Some(What::Answer { .. }));
            let low_half_of_version = bit / 8 == 14 && bit % 8 < 4 && !addresses[0].is_ipv4();
            let is_harmless = is_unprotected(bit / 8, addresses[0].is_ipv4()) || low_half_of_version;
            assert_eq!(is_taken, is_harmless, "{protocol} over {}, bit {bit}", addresses[0]);
        }
    }
}

#[test]
fn a_flipped_bit_of_the_payload_is_corrupted_not_skipped() {
    for (addresses, protocol) in SETTINGS {
        let frames = frames(addresses, protocol, 33);
        let mut bytes = answer(&question(&frames, 33));
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(frames.read(&bytes), Some(What::Corrupted));
    }
}

#[test]
fn a_frame_for_another_station_is_corrupted() {
    for (addresses, protocol) in SETTINGS {
        let frames = frames(addresses, protocol, 33);
        let mut bytes = answer(&question(&frames, 33));
        bytes[5] ^= 8;
        assert_eq!(frames.read(&bytes), Some(What::Corrupted));
    }
}

#[test]
fn among_others_what_cannot_be_read_is_damaged_only_where_it_names_both_ends() {
    for (addresses, protocol) in SETTINGS {
        let frames = frames(addresses, protocol, 33).among_others();
        let whole = answer(&question(&frames, 33));
        assert!(matches!(frames.read(&whole), Some(What::Answer { .. })));
        // Cut within the payload: by its own words it is longer than it is.
        let cut = &whole[..whole.len() - 1];
        assert_eq!(frames.read(cut), Some(What::Corrupted));
        let mut of_another = cut.to_vec();
        // The last byte of the source.
        of_another[if addresses[0].is_ipv4() { 29 } else { 37 }] ^= 8;
        assert_eq!(frames.read(&of_another), None);
        let mut of_another_kind = cut.to_vec();
        of_another_kind[12] = 0x77;
        assert_eq!(frames.read(&of_another_kind), None);
        assert_eq!(frames.read(&[0xff; 60]), None);
        assert_eq!(frames.read(&[]), None);
    }
}

#[test]
fn questions_go_to_the_next_hop_that_was_told_last() {
    let mut frames = frames(V4, UDP, 33);
    frames.set_next_hop(Mac([2, 0, 0, 0, 0, 9]));
    assert_eq!(question(&frames, 33)[..6], [2, 0, 0, 0, 0, 9]);
}

#[test]
fn the_question_itself_is_no_answer() {
    for (addresses, protocol) in SETTINGS {
        let frames = frames(addresses, protocol, 33);
        assert_eq!(frames.read(&question(&frames, 33)), None);
    }
}

#[test]
fn an_unfinished_checksum_is_taken_only_where_that_is_allowed() {
    for addresses in [V4, V6] {
        let ask = Ask { size: 33, ..Ask::new(addresses[1], UDP) };
        let refusing = frames(addresses, UDP, 33);
        let accepting = Frames::new(&ask, link(addresses[0]), PartialChecksums::Accept).unwrap();
        let mut bytes = answer(&question(&refusing, 33));
        let headers = parse(&bytes).unwrap();
        let len = 8 + 33;
        let pseudo = if addresses[0].is_ipv4() {
            Ipv4::of(&bytes, 14).unwrap().pseudo(len)
        } else {
            Ipv6::of(&bytes, 14).unwrap().pseudo(len)
        };
        let at = headers.transport() + 6;
        bytes[at..at + 2].copy_from_slice(&pseudo.fold().to_ne_bytes());
        assert_eq!(refusing.read(&bytes), Some(What::Corrupted));
        assert!(matches!(accepting.read(&bytes), Some(What::Answer { checksum: Coverage::Partial, .. })));
        bytes[at..at + 2].fill(0);
        assert_eq!(accepting.read(&bytes), Some(What::Corrupted), "an answer without a checksum");
    }
}

#[test]
fn a_question_one_byte_over_the_mtu_is_refused() {
    for (addresses, header_len) in [(V4, 28), (V6, 48)] {
        for (size, is_right) in [(1500 - header_len, true), (1501 - header_len, false)] {
            let ask = Ask { size, ..Ask::new(addresses[1], UDP) };
            assert_eq!(Frames::new(&ask, link(addresses[0]), PartialChecksums::Refuse).is_ok(), is_right);
        }
    }
}

#[test]
fn an_address_of_another_family_is_refused() {
    let ask = Ask::new(V6[1], UDP);
    let refused = Frames::new(&ask, link(V4[0]), PartialChecksums::Refuse);
    assert!(matches!(refused, Err(TransportError::Families { .. })));
}

#[test]
fn a_claim_names_what_an_answer_looks_like() {
    assert_eq!(link(V4[0]).claim(UDP), (V4[0], 17, 40_000));
    assert_eq!(link(V6[0]).claim(UDP), (V6[0], 17, 40_000));
    assert_eq!(link(V4[0]).claim(Protocol::Icmp), (V4[0], 1, 0));
    assert_eq!(link(V6[0]).claim(Protocol::Icmp), (V6[0], 58, 129));
}

#[test]
fn a_room_too_small_for_the_question_is_left_alone() {
    let frames = frames(V4, UDP, 33);
    let mut room = [0xa5; 74];
    assert_eq!(frames.write(&questions(33).at(0), WallTime(0), &mut room), None);
    assert_eq!(room, [0xa5; 74]);
}

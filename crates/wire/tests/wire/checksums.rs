//! Checksums, held against their definition: sums, updates, and what a datagram's checksum says.

use proptest::prelude::*;
use wire::checksum::{Field, Sum, Summer, pseudo_v4, pseudo_v6, update};
use wire::udp::{self, Checksum};
use wire::{icmpv4, icmpv6, parse};

use crate::frames::{self, naive_sum, payload};

/// A folded sum as a number, to be compared with the naive one.
fn number(sum: Sum) -> u16 {
    u16::from_be_bytes(sum.fold().to_ne_bytes())
}

#[test]
fn the_example_of_rfc_1071_sums_to_what_it_says() {
    assert_eq!(number(Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
}

#[test]
fn a_sum_is_zero_only_where_every_byte_is() {
    for len in 0..200 {
        let mut bytes = vec![0; len];
        assert_eq!(Sum::of(&bytes).fold(), 0);
        assert!(!Sum::of(&bytes).is_right());
        bytes.fill(0xff);
        bytes.truncate(len & !1);
        assert_eq!(Sum::of(&bytes).fold(), if bytes.is_empty() { 0 } else { 0xffff });
        assert_eq!(Sum::of(&bytes).is_right(), !bytes.is_empty());
    }
}

#[test]
fn the_example_of_rfc_1624_updates_to_what_it_says() {
    let before = Field(0xdd2f_u16.to_be_bytes());
    assert_eq!(update(before, [0x55, 0x55], [0x32, 0x85]), Field([0x00, 0x00]));
}

#[test]
fn an_update_to_zeros_alone_is_the_one_that_a_full_computation_does_not_give() {
    let before = Sum::of(&[8, 0]).complement();
    assert_eq!(update(before, [8, 0], [0, 0]), Field::ZERO);
    assert_eq!(Sum::of(&[0, 0]).complement(), Field::ONES);
}

proptest! {
    #[test]
    fn every_way_to_sum_gives_the_sum_by_definition(
        bytes in proptest::collection::vec(any::<u8>(), 0..4096),
        start in 0_usize..64,
    ) {
        let bytes = bytes.get(start..).unwrap_or(&[]);
        for summer in Summer::available() {
            prop_assert_eq!(number(summer.sum(bytes)), naive_sum(bytes), "{}", summer.name());
        }
    }

    #[test]
    fn a_sum_of_parts_is_the_sum_of_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..512), cut in 0_usize..256) {
        let (head, tail) = bytes.split_at((cut * 2).min(bytes.len() & !1));
        prop_assert_eq!(number(Sum::of(head) + Sum::of(tail)), naive_sum(&bytes));
    }

    #[test]
    fn what_was_given_its_checksum_is_right_and_any_other_is_not(
        mut bytes in proptest::collection::vec(any::<u8>(), 2..512),
        wrong in 1_u16..0xffff,
    ) {
        bytes[..2].fill(0);
        let Field(checksum) = Sum::of(&bytes).complement();
        bytes[..2].copy_from_slice(&checksum);
        prop_assert!(Sum::of(&bytes).is_right());
        let damaged = u16::from_ne_bytes(checksum).wrapping_add(wrong);
        bytes[..2].copy_from_slice(&damaged.to_ne_bytes());
        // The two forms of zero are one value.
        let same = [checksum, damaged.to_ne_bytes()].iter().all(|form| [[0; 2], [0xff; 2]].contains(form));
        prop_assert_eq!(Sum::of(&bytes).is_right(), same);
    }

    #[test]
    fn an_update_gives_what_a_full_computation_gives(
        mut words in proptest::collection::vec(prop_oneof![Just(0_u16), Just(0xffff), Just(0xfffe), Just(1), any::<u16>()], 1..8),
        which in any::<prop::sample::Index>(),
        new in prop_oneof![Just(0_u16), Just(0xffff), any::<u16>()],
    ) {
        let bytes = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        let which = which.index(words.len());
        let before = Sum::of(&bytes(&words)).complement();
        let old = std::mem::replace(&mut words[which], new);
        prop_assume!(words.iter().any(|&word| word != 0));
        let after = Sum::of(&bytes(&words)).complement();
        prop_assert_eq!(update(before, old.to_be_bytes(), new.to_be_bytes()), after);
    }

    #[test]
    fn a_pseudo_header_sums_as_its_drawing_says(src in any::<[u8; 16]>(), dst in any::<[u8; 16]>(), protocol in any::<u8>(), len in any::<u16>()) {
        let [high, low] = len.to_be_bytes();
        let v6 = [&src[..], &dst[..], &[0, 0, high, low, 0, 0, 0, protocol]].concat();
        prop_assert_eq!(number(pseudo_v6(src, dst, protocol, len)), naive_sum(&v6));
        let (src, dst) = ([src[0], src[1], src[2], src[3]], [dst[0], dst[1], dst[2], dst[3]]);
        let v4 = [&src[..], &dst[..], &[0, protocol, high, low]].concat();
        prop_assert_eq!(number(pseudo_v4(src, dst, protocol, len)), naive_sum(&v4));
    }
}

/// Questions over UDP of every payload length, with the offset of their checksum.
fn datagrams() -> impl Iterator<Item = (Vec<u8>, usize)> {
    (0..=600)
        .chain([1399, 1400, 1472])
        .flat_map(|len| [(frames::udp_v4(&payload(len)), 40), (frames::udp_v6(&payload(len)), 60)])
}

#[test]
fn a_datagram_of_any_length_is_right_as_another_implementation_sent_it() {
    for summer in Summer::available() {
        for (frame, _) in datagrams() {
            let headers = parse(&frame).unwrap();
            assert_eq!(
                udp::check(&frame, headers, &summer),
                Checksum::Right,
                "{} {}",
                summer.name(),
                frame.len()
            );
        }
    }
}

#[test]
fn every_flipped_bit_of_a_datagram_is_noticed() {
    for frame in [frames::udp_v4(&payload(23)), frames::udp_v6(&payload(23))] {
        let headers = parse(&frame).unwrap();
        for bit in headers.transport() * 8..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 0x80 >> (bit % 8);
            if let Ok(headers) = parse(&damaged) {
                assert_eq!(udp::check(&damaged, headers, &Summer::SCALAR), Checksum::Wrong, "bit {bit}");
            }
        }
    }
}

#[test]
fn a_zero_in_the_field_means_that_there_is_no_checksum() {
    for (mut frame, field) in datagrams() {
        frame[field..field + 2].fill(0);
        let headers = parse(&frame).unwrap();
        assert_eq!(udp::check(&frame, headers, &Summer::SCALAR), Checksum::Absent);
    }
}

/// What a sender on a virtual link leaves in the field: the sum of the pseudo-header, folded and not complemented.
fn make_partial(frame: &mut [u8], field: usize) {
    let packet = &frame[14..];
    let pseudo = if field == 40 {
        [&packet[12..20], &[0, 17], &packet[24..26]].concat()
    } else {
        [&packet[8..40], &packet[44..46], &[0, 17]].concat()
    };
    frame[field..field + 2].copy_from_slice(&naive_sum(&pseudo).to_be_bytes());
}

#[test]
fn a_checksum_left_to_a_card_that_does_not_exist_is_partial() {
    for (mut frame, field) in datagrams().filter(|(frame, _)| frame.len() > 62) {
        make_partial(&mut frame, field);
        let headers = parse(&frame).unwrap();
        assert_eq!(udp::check(&frame, headers, &Summer::SCALAR), Checksum::Partial, "{}", frame.len());
    }
}

#[test]
fn a_partial_checksum_is_completed_to_what_the_sender_would_have_sent() {
    for summer in Summer::available() {
        for (sent, field) in datagrams() {
            let mut frame = sent.clone();
            make_partial(&mut frame, field);
            let headers = parse(&frame).unwrap();
            udp::set_checksum(&mut frame, headers, &summer).unwrap();
            assert_eq!(frame, sent);
        }
    }
}

#[test]
fn a_computed_zero_is_sent_as_ones() {
    for mut frame in [frames::udp_v4(&[0, 0]), frames::udp_v6(&[0, 0])] {
        let end = frame.len();
        let headers = parse(&frame).unwrap();
        // With zeros for a payload the field holds the complement of all the rest; as the payload, that makes zero.
        let field = headers.transport() + 6..headers.transport() + 8;
        let rest = [frame[field.start], frame[field.start + 1]];
        frame[end - 2..].copy_from_slice(&rest);
        udp::set_checksum(&mut frame, headers, &Summer::SCALAR).unwrap();
        assert_eq!(frame[field], [0xff, 0xff]);
        assert_eq!(udp::check(&frame, headers, &Summer::SCALAR), Checksum::Right);
    }
}

#[test]
fn bytes_behind_the_udp_length_are_not_summed() {
    for (mut frame, len_field) in [(frames::udp_v4(&payload(21)), 16), (frames::udp_v6(&payload(21)), 18)] {
        let longer = u16::from_be_bytes([frame[len_field], frame[len_field + 1]]) + 7;
        frame[len_field..len_field + 2].copy_from_slice(&longer.to_be_bytes());
        frame.extend([0xa5; 7]);
        if len_field == 16 {
            frames::mend_ipv4(&mut frame, 14);
        }
        let headers = parse(&frame).unwrap();
        assert_eq!(headers.end, frame.len());
        assert_eq!(udp::check(&frame, headers, &Summer::SCALAR), Checksum::Right);
        assert_eq!(udp::payload(&frame, headers), Some(&payload(21)[..]));
    }
}

#[test]
fn a_datagram_that_fills_its_packet_is_not_shorter_and_one_with_bytes_behind_it_is_trimmed_to_itself() {
    for (question, len_field) in
        [(frames::udp_v4(&[]), 16), (frames::udp_v6(&[]), 18), (frames::udp_v6(&payload(21)), 18)]
    {
        let whole = parse(&question).unwrap();
        assert!(!udp::is_shorter(&question, whole));
        // The last so many that the packet ends where the datagram's offset times its length is.
        let udp_len = whole.end - whole.transport();
        for behind in [1, 7, whole.transport() * udp_len - whole.end] {
            let mut longer = question.clone();
            let len = u16::from_be_bytes([longer[len_field], longer[len_field + 1]]) + behind as u16;
            longer[len_field..len_field + 2].copy_from_slice(&len.to_be_bytes());
            longer.extend(vec![0xa5; behind]);
            if len_field == 16 {
                frames::mend_ipv4(&mut longer, 14);
            }
            let headers = parse(&longer).unwrap();
            assert!(udp::is_shorter(&longer, headers), "{behind} bytes behind");
            let trimmed = udp::trim(&mut longer, headers.network, headers.kind).unwrap();
            assert_eq!(trimmed, wire::Headers { selector: 0, ..whole });
            if len_field == 16 {
                frames::mend_ipv4(&mut longer, 14);
            }
            assert_eq!(longer[..question.len()], question);
        }
    }
}

#[test]
fn an_echo_request_of_any_length_is_right_and_with_any_bit_flipped_it_is_not() {
    for summer in Summer::available() {
        for len in (0..=300).chain([1472]) {
            let v4 = frames::echo_v4(7, 9, &payload(len));
            assert!(icmpv4::is_right(&v4, parse(&v4).unwrap(), &summer), "{} {len}", summer.name());
            let v6 = frames::echo_v6(7, 9, &payload(len));
            assert!(icmpv6::is_right(&v6, parse(&v6).unwrap(), &summer), "{} {len}", summer.name());
        }
    }
    let (v4, v6) = (frames::echo_v4(7, 9, &payload(33)), frames::echo_v6(7, 9, &payload(33)));
    for (bit, byte) in (0..41 * 8).map(|bit| (0x80 >> (bit % 8), bit / 8)) {
        let mut damaged = v4.clone();
        damaged[34 + byte] ^= bit;
        assert!(!icmpv4::is_right(&damaged, parse(&v4).unwrap(), &Summer::SCALAR));
        let mut damaged = v6.clone();
        damaged[54 + byte] ^= bit;
        assert!(!icmpv6::is_right(&damaged, parse(&v6).unwrap(), &Summer::SCALAR));
    }
}

#[test]
fn every_address_bit_is_under_an_icmpv6_checksum() {
    let frame = frames::echo_v6(7, 9, &payload(33));
    let headers = parse(&frame).unwrap();
    for bit in 22 * 8..54 * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(!icmpv6::is_right(&damaged, headers, &Summer::SCALAR));
    }
}

#[test]
fn a_datagram_is_made_longer_with_zeros_and_only_where_there_is_room() {
    for (question, len_field) in [(frames::udp_v4(&payload(14)), 16), (frames::udp_v6(&payload(14)), 18)] {
        let headers = parse(&question).unwrap();
        let mut room = question.clone();
        room.resize(headers.end + 30, 0xa5);
        let longer = udp::lengthen(&mut room, headers, 44).unwrap();
        assert_eq!(longer, wire::Headers { end: headers.end + 30, ..headers });
        let (kept, new) = udp::payload(&room, longer).unwrap().split_at(14);
        assert_eq!((kept, new), (&payload(14)[..], &[0; 30][..]));
        let len = u16::from_be_bytes([room[len_field], room[len_field + 1]]);
        assert_eq!(usize::from(len), if len_field == 16 { 20 + 8 + 44 } else { 8 + 44 });
        for (len, end) in [(44, room.len() - 1), (13, room.len()), (u16::MAX, room.len())] {
            let mut short = question.clone();
            short.resize(end, 0xa5);
            let before = short.clone();
            assert_eq!((udp::lengthen(&mut short, headers, len), short), (None, before), "{len} in {end}");
        }
    }
}

#[test]
fn a_checksum_that_is_finished_after_the_last_bytes_is_that_of_all() {
    let summer = Summer::SCALAR;
    for mut frame in [frames::udp_v4(&[0; 40]), frames::udp_v6(&[0; 40])] {
        let headers = parse(&frame).unwrap();
        let sum = udp::begin_checksum(&mut frame, headers, &summer).unwrap();
        let last = [1, 2, 3, 4, 5, 6, 7, 0xff];
        udp::payload_mut(&mut frame, headers).unwrap()[4..12].copy_from_slice(&last);
        udp::finish_checksum(&mut frame, headers, sum + Sum::of(&last)).unwrap();
        assert_eq!(udp::check(&frame, headers, &summer), Checksum::Right);
    }
}

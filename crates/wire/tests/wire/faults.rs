//! Every fault, one test each; and what is no fault though it looks like one.

use wire::{Fault, parse};

use crate::frames::{self, mend_ipv4, payload, tagged};

/// The fault of a valid frame after a change, the IPv4 checksum mended.
fn fault_v4(change: impl FnOnce(&mut Vec<u8>)) -> Option<Fault> {
    let mut frame = frames::udp_v4(&payload(22));
    change(&mut frame);
    mend_ipv4(&mut frame, 14);
    parse(&frame).err()
}

/// The fault of a valid frame after a change.
fn fault_v6(change: impl FnOnce(&mut Vec<u8>)) -> Option<Fault> {
    let mut frame = frames::udp_v6(&payload(22));
    change(&mut frame);
    parse(&frame).err()
}

#[test]
fn a_frame_that_ends_inside_a_header_is_truncated() {
    for (frame, header_len) in
        [(frames::udp_v4(&[]), 20), (frames::udp_v6(&[]), 40), (frames::arp_request(), 28)]
    {
        for count in 0..=2 {
            let frame = tagged(&frame, count);
            for len in 0..14 + 4 * count + header_len {
                assert_eq!(parse(&frame[..len]), Err(Fault::FrameTruncated), "{len} bytes, {count} tags");
            }
        }
    }
}

#[test]
fn an_ethertype_that_nobody_here_reads_is_unknown() {
    for count in 0..=2 {
        for ethertype in [[0x88, 0xcc], [0x08, 0x01], [0x00, 0x2e], [0x88, 0x47]] {
            let mut frame = frames::udp_v4(&payload(22));
            frame[12..14].copy_from_slice(&ethertype);
            assert_eq!(parse(&tagged(&frame, count)), Err(Fault::EtherTypeUnknown));
        }
    }
}

#[test]
fn a_third_tag_is_too_deep() {
    let frame = frames::udp_v4(&payload(22));
    assert!(parse(&tagged(&frame, 2)).is_ok());
    assert_eq!(parse(&tagged(&frame, 3)), Err(Fault::VlanTooDeep));
    assert_eq!(parse(&tagged(&frame, 9)), Err(Fault::VlanTooDeep));
}

#[test]
fn arp_of_other_spaces_and_lengths_is_malformed() {
    for (offset, value) in [(14, 1), (15, 6), (16, 0x86), (17, 0xdd), (18, 8), (19, 16)] {
        let mut frame = frames::arp_request();
        frame[offset] = value;
        assert_eq!(parse(&frame), Err(Fault::ArpMalformed), "byte {offset}");
    }
}

#[test]
fn every_arp_operation_is_handed_on_with_its_number() {
    for operation in [0_u16, 1, 2, 9, 0x0102] {
        let mut frame = frames::arp_request();
        frame[20..22].copy_from_slice(&operation.to_be_bytes());
        assert_eq!(parse(&frame).unwrap().selector, operation);
    }
}

#[test]
fn every_ipv4_version_but_four_is_a_fault() {
    for version in (0..16).filter(|&version| version != 4) {
        assert_eq!(fault_v4(|frame| frame[14] = version << 4 | 5), Some(Fault::Ipv4Version));
    }
}

#[test]
fn an_ipv4_header_shorter_than_five_words_is_a_fault_of_its_length() {
    for words in 0..5 {
        assert_eq!(fault_v4(|frame| frame[14] = 0x40 | words), Some(Fault::Ipv4Length));
    }
}

#[test]
fn an_ipv4_total_length_beyond_the_frame_or_inside_the_header_is_a_fault() {
    for total_len in (0..20_u16).chain([51, 52, 1500, 65_521, 65_522, 65_535]) {
        let fault = fault_v4(|frame| frame[16..18].copy_from_slice(&total_len.to_be_bytes()));
        assert_eq!(fault, Some(Fault::Ipv4Length), "{total_len}");
    }
    assert_eq!(fault_v4(|_| ()), None);
}

#[test]
fn an_ipv4_header_with_options_longer_than_its_datagram_is_a_fault_of_its_length() {
    let fault = fault_v4(|frame| {
        frame[14] = 0x4f;
        frame[16..18].copy_from_slice(&59_u16.to_be_bytes());
        frame.resize(100, 0);
    });
    assert_eq!(fault, Some(Fault::Ipv4Length));
}

#[test]
fn every_flipped_bit_of_an_ipv4_header_is_noticed() {
    let frame = frames::udp_v4(&payload(22));
    for bit in 0..20 * 8 {
        let mut damaged = frame.clone();
        damaged[14 + bit / 8] ^= 0x80 >> (bit % 8);
        let fault = parse(&damaged).unwrap_err();
        let by_its_place = match bit / 8 {
            0 if bit < 4 => fault == Fault::Ipv4Version,
            0 | 2 | 3 => matches!(fault, Fault::Ipv4Length | Fault::Ipv4Checksum),
            _ => fault == Fault::Ipv4Checksum,
        };
        assert!(by_its_place, "bit {bit}: {fault:?}");
    }
}

#[test]
fn ipv4_options_are_named_where_the_checksum_over_them_is_right() {
    for words in 6..=12 {
        assert_eq!(fault_v4(|frame| frame[14] = 0x40 | words), Some(Fault::Ipv4Options));
    }
    let mut frame = frames::udp_v4(&payload(22));
    frame[14] = 0x46;
    assert_eq!(parse(&frame), Err(Fault::Ipv4Checksum));
}

#[test]
fn every_fragment_is_named_first_middle_and_last() {
    for fragment in [0x2000_u16, 0x2001, 0x0001, 0x1fff, 0x3fff, 0x6000, 0x0100] {
        let fault = fault_v4(|frame| frame[20..22].copy_from_slice(&fragment.to_be_bytes()));
        assert_eq!(fault, Some(Fault::Ipv4Fragment), "{fragment:04x}");
    }
}

#[test]
fn the_flag_against_fragments_and_the_reserved_one_are_no_fault() {
    for fragment in [0x0000_u16, 0x4000, 0x8000, 0xc000] {
        assert_eq!(fault_v4(|frame| frame[20..22].copy_from_slice(&fragment.to_be_bytes())), None);
    }
}

#[test]
fn every_ipv6_version_but_six_is_a_fault() {
    for version in (0..16).filter(|&version| version != 6) {
        assert_eq!(fault_v6(|frame| frame[14] = version << 4), Some(Fault::Ipv6Version));
    }
    assert_eq!(fault_v6(|frame| frame[14] = 0x6f), None);
}

#[test]
fn an_ipv6_payload_length_beyond_the_frame_is_a_fault() {
    for len in [31_u16, 32, 1500, 65_535] {
        assert_eq!(
            fault_v6(|frame| frame[18..20].copy_from_slice(&len.to_be_bytes())),
            Some(Fault::Ipv6Length)
        );
    }
}

#[test]
fn every_extension_header_is_named() {
    for next_header in [0, 43, 44, 50, 51, 60, 135, 139, 140, 253, 254] {
        assert_eq!(fault_v6(|frame| frame[20] = next_header), Some(Fault::Ipv6Extension), "{next_header}");
    }
}

#[test]
fn a_protocol_that_is_neither_icmp_nor_udp_is_unknown() {
    for protocol in (0..=255).filter(|protocol| ![1, 17].contains(protocol)) {
        assert_eq!(fault_v4(|frame| frame[23] = protocol), Some(Fault::ProtocolUnknown), "{protocol}");
    }
    for next_header in [1, 6, 59, 132] {
        assert_eq!(fault_v6(|frame| frame[20] = next_header), Some(Fault::ProtocolUnknown), "{next_header}");
    }
}

#[test]
fn an_icmp_message_without_a_whole_header_is_too_short() {
    for len in 0..8_u16 {
        let fault = fault_v4(|frame| {
            frame[23] = 1;
            frame[16..18].copy_from_slice(&(20 + len).to_be_bytes());
        });
        assert_eq!(fault, Some(Fault::IcmpLength), "{len}");
        let fault = fault_v6(|frame| {
            frame[20] = 58;
            frame[18..20].copy_from_slice(&len.to_be_bytes());
        });
        assert_eq!(fault, Some(Fault::IcmpLength), "{len}");
    }
}

#[test]
fn a_udp_length_below_its_header_or_beyond_its_packet_is_a_fault() {
    for len in (0..8_u16).chain([31, 32, 1500, 65_535]) {
        let set = |frame: &mut Vec<u8>, offset: usize| {
            frame[offset..offset + 2].copy_from_slice(&len.to_be_bytes());
        };
        assert_eq!(fault_v4(|frame| set(frame, 38)), Some(Fault::UdpLength), "{len}");
        assert_eq!(fault_v6(|frame| set(frame, 58)), Some(Fault::UdpLength), "{len}");
    }
}

#[test]
fn a_packet_without_a_whole_udp_header_is_a_fault_of_the_udp_length() {
    for len in 0..8_u16 {
        let fault = fault_v4(|frame| frame[16..18].copy_from_slice(&(20 + len).to_be_bytes()));
        assert_eq!(fault, Some(Fault::UdpLength), "{len}");
        assert_eq!(
            fault_v6(|frame| frame[18..20].copy_from_slice(&len.to_be_bytes())),
            Some(Fault::UdpLength)
        );
    }
}

#[test]
fn a_udp_length_below_that_of_the_packet_is_no_fault() {
    for len in 8..=30_u16 {
        assert_eq!(fault_v4(|frame| frame[38..40].copy_from_slice(&len.to_be_bytes())), None);
        assert_eq!(fault_v6(|frame| frame[58..60].copy_from_slice(&len.to_be_bytes())), None);
    }
}

#[test]
fn a_solicitation_without_room_for_its_target_is_malformed() {
    for len in 8..24_u16 {
        let mut frame = frames::solicitation();
        frame[18..20].copy_from_slice(&len.to_be_bytes());
        assert_eq!(parse(&frame), Err(Fault::NdpMalformed), "{len}");
    }
}

#[test]
fn only_type_135_is_a_solicitation() {
    for kind in (0..=255).filter(|&kind| kind != 135) {
        let mut frame = frames::solicitation();
        frame[54] = kind;
        let headers = parse(&frame).unwrap();
        assert_eq!((headers.kind, headers.selector), (wire::Kind::Icmpv6, u16::from(kind)));
    }
}

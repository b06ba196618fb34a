//! Every answer, read by two other implementations, and byte by byte where they would not look.

use etherparse::{IcmpEchoHeader, Icmpv4Type, Icmpv6Type, NetSlice, SlicedPacket, TransportSlice};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, Icmpv6Packet, Icmpv6Repr, NdiscNeighborFlags, NdiscRepr,
};
use wire::checksum::Summer;
use wire::ethernet::{self, Mac};
use wire::ndp::check_solicitation;
use wire::template::{AdvertisementTemplate, ArpTemplate, Ipv4Template, Ipv6Template};
use wire::udp::{self, Checksum};
use wire::{Headers, icmpv4, icmpv6, ipv4, parse};

use crate::frames::{
    self, ASKER, ASKER_PORT, ASKER_V4, ASKER_V6, OWN, OWN_V4, OWN_V6, PORT, naive_sum, payload, room, tagged,
    with_pseudo_v6,
};

const TTL: u8 = 61;

/// The answer to a question, made in place as a lane makes it.
fn answered(question: &[u8], answer: impl FnOnce(&mut [u8], Headers) -> Option<usize>) -> Vec<u8> {
    let mut room = room(question);
    let headers = parse(question).unwrap();
    let end = answer(&mut room, headers).unwrap();
    let len = ethernet::pad(&mut room, end);
    room.truncate(len);
    room
}

fn echo_v4(question: &[u8]) -> Vec<u8> {
    answered(question, |room, headers| {
        Ipv4Template::new(OWN_V4, ipv4::ICMP, TTL).answer(room, headers)?;
        icmpv4::answer_echo(room, headers)?;
        ethernet::turn_round(room, OWN)?;
        Some(headers.end)
    })
}

fn echo_v6(question: &[u8]) -> Vec<u8> {
    answered(question, |room, headers| {
        Ipv6Template::new(OWN_V6, TTL).answer(room, headers)?;
        icmpv6::answer_echo(room, headers)?;
        ethernet::turn_round(room, OWN)?;
        Some(headers.end)
    })
}

fn udp_v4(question: &[u8]) -> Vec<u8> {
    answered(question, |room, headers| {
        Ipv4Template::new(OWN_V4, ipv4::UDP, TTL).answer(room, headers)?;
        udp::turn_round(room, headers)?;
        ethernet::turn_round(room, OWN)?;
        Some(headers.end)
    })
}

fn udp_v6(question: &[u8]) -> Vec<u8> {
    answered(question, |room, headers| {
        Ipv6Template::new(OWN_V6, TTL).answer(room, headers)?;
        udp::turn_round(room, headers)?;
        ethernet::turn_round(room, OWN)?;
        Some(headers.end)
    })
}

fn advertisement(question: &[u8]) -> Vec<u8> {
    answered(question, |room, headers| {
        let solicitation = check_solicitation(room, headers, &Summer::SCALAR).unwrap();
        AdvertisementTemplate::new(OWN, OWN_V6).answer(room, headers, &solicitation)
    })
}

/// That the IPv4 header of an answer is what the template promises, and its checksum right by definition.
fn assert_ipv4(frame: &[u8], protocol: u8) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(NetSlice::Ipv4(ip)) = &sliced.net else { panic!("no IPv4 in the answer") };
    let header = ip.header();
    assert_eq!((header.source_addr(), header.destination_addr()), (OWN_V4, ASKER_V4));
    assert_eq!((header.ttl(), header.protocol().0, header.identification()), (TTL, protocol, 0));
    assert!(header.dont_fragment() && !header.more_fragments());
    assert_eq!(naive_sum(header.slice()), 0xffff);
    assert_eq!(parse(frame).unwrap().target(frame), Some(wire::target_of(ASKER_V4.into())));
}

#[test]
fn an_icmp_echo_of_any_length_comes_back_as_it_was() {
    for len in (0..=300).chain([1471, 1472]) {
        let answer = echo_v4(&frames::echo_v4(0x1234, 0x5678, &payload(len)));
        assert_ipv4(&answer, 1);
        let sliced = SlicedPacket::from_ethernet(&answer).unwrap();
        let Some(TransportSlice::Icmpv4(icmp)) = sliced.transport else { panic!("no ICMP in the answer") };
        assert_eq!(icmp.icmp_type(), Icmpv4Type::EchoReply(IcmpEchoHeader { id: 0x1234, seq: 0x5678 }));
        assert_eq!(icmp.payload(), payload(len));
        assert_eq!(naive_sum(icmp.slice()), 0xffff, "{len}");
    }
}

#[test]
fn an_icmpv6_echo_of_any_length_comes_back_as_it_was() {
    for len in (0..=300).chain([1451, 1452]) {
        let answer = echo_v6(&frames::echo_v6(0x1234, 0x5678, &payload(len)));
        let sliced = SlicedPacket::from_ethernet(&answer).unwrap();
        let Some(TransportSlice::Icmpv6(icmp)) = sliced.transport else { panic!("no ICMPv6 in the answer") };
        assert_eq!(icmp.icmp_type(), Icmpv6Type::EchoReply(IcmpEchoHeader { id: 0x1234, seq: 0x5678 }));
        assert_eq!(icmp.payload(), payload(len));
        assert!(icmp.is_checksum_valid(OWN_V6.octets(), ASKER_V6.octets()), "{len}");
    }
}

#[test]
fn an_echo_of_zeros_alone_has_the_checksum_of_zeros() {
    for len in [0, 1, 2, 56] {
        let answer = echo_v4(&frames::echo_v4(0, 0, &vec![0; len]));
        assert_eq!(answer[34..42], [0, 0, 0xff, 0xff, 0, 0, 0, 0], "{len} zeros");
    }
}

#[test]
fn an_echo_whose_sum_becomes_zero_without_being_zeros_has_the_checksum_zero() {
    let answer = echo_v4(&frames::echo_v4(0xffff, 0, &[]));
    assert_eq!(answer[34..42], [0, 0, 0, 0, 0xff, 0xff, 0, 0]);
    assert_eq!(naive_sum(&answer[34..42]), 0xffff);
}

#[test]
fn only_type_8_or_128_with_code_0_is_an_echo_request() {
    let (mut v4, mut v6) = (frames::echo_v4(1, 2, &[]), frames::echo_v6(1, 2, &[]));
    let (headers_v4, headers_v6) = (parse(&v4).unwrap(), parse(&v6).unwrap());
    for kind in 0..=255 {
        for code in [0, 1, 255] {
            v4[34..36].copy_from_slice(&[kind, code]);
            v6[54..56].copy_from_slice(&[kind, code]);
            assert_eq!(icmpv4::is_echo_request(&v4, headers_v4), (kind, code) == (8, 0));
            assert_eq!(icmpv6::is_echo_request(&v6, headers_v6), (kind, code) == (128, 0));
        }
    }
}

#[test]
fn a_datagram_of_any_length_comes_back_from_the_port_that_it_asked() {
    for len in (0..=300).chain([1472]) {
        for (answer, is_v4) in
            [(udp_v4(&frames::udp_v4(&payload(len))), true), (udp_v6(&frames::udp_v6(&payload(len))), false)]
        {
            if is_v4 {
                assert_ipv4(&answer, 17);
            }
            let sliced = SlicedPacket::from_ethernet(&answer).unwrap();
            let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("no UDP in the answer") };
            assert_eq!((udp.source_port(), udp.destination_port()), (PORT, ASKER_PORT));
            assert_eq!(udp.payload(), payload(len));
            let header = udp.to_header();
            let expected = if is_v4 {
                header.calc_checksum_ipv4_raw(OWN_V4.octets(), ASKER_V4.octets(), udp.payload())
            } else {
                header.calc_checksum_ipv6_raw(OWN_V6.octets(), ASKER_V6.octets(), udp.payload())
            };
            assert_eq!(udp.checksum(), expected.unwrap());
        }
    }
}

#[test]
fn an_answer_goes_back_to_the_station_that_asked() {
    let answers = [
        echo_v4(&frames::echo_v4(1, 2, &[])),
        echo_v6(&frames::echo_v6(1, 2, &[])),
        udp_v4(&frames::udp_v4(&[])),
        udp_v6(&frames::udp_v6(&[])),
        advertisement(&frames::solicitation()),
    ];
    for answer in answers {
        assert_eq!(answer[..12], [ASKER.0, OWN.0].concat());
    }
}

#[test]
fn dscp_is_kept_and_ecn_is_cleared() {
    for class in 0..=255_u8 {
        let mut question = frames::udp_v4(&payload(5));
        question[15] = class;
        frames::mend_ipv4(&mut question, 14);
        let answer = udp_v4(&question);
        assert_eq!(answer[15], class & 0xfc);
        assert_ipv4(&answer, 17);

        let mut question = frames::udp_v6(&payload(5));
        question[14] = 0x60 | class >> 4;
        question[15] = class << 4 | 0x0b;
        question[16..18].fill(0xcd);
        let answer = udp_v6(&question);
        let expected = 0x6000_0000 | u32::from(class & 0xfc) << 20;
        assert_eq!(answer[14..18], expected.to_be_bytes(), "the flow label is zero");
        assert_eq!(answer[21], TTL);
    }
}

#[test]
fn an_answer_is_as_long_as_its_question_even_where_the_udp_length_ends_early() {
    let mut question = frames::udp_v4(&payload(21));
    question[16..18].copy_from_slice(&56_u16.to_be_bytes());
    frames::mend_ipv4(&mut question, 14);
    question.extend([0x5a; 7]);
    let answer = udp_v4(&question);
    assert_eq!(answer.len(), question.len());
    assert_eq!((&answer[16..18], &answer[38..40]), (&question[16..18], &question[38..40]));
    assert_eq!(answer[42..], question[42..]);
    assert_eq!(udp::check(&answer, parse(&answer).unwrap(), &Summer::SCALAR), Checksum::Right);
}

#[test]
fn a_short_answer_is_padded_with_zeros_and_not_with_what_was_there() {
    let mut question = frames::udp_v4(&[1]);
    question.resize(60, 0xee);
    let answer = udp_v4(&question);
    assert_eq!(answer.len(), 60);
    assert_eq!(answer[43..], [0; 17]);
}

#[test]
fn tags_are_kept_in_every_answer() {
    type Answer = fn(&[u8]) -> Vec<u8>;
    let cases: [(Vec<u8>, Answer); 7] = [
        (frames::echo_v4(1, 2, &payload(60)), echo_v4),
        (frames::echo_v6(1, 2, &payload(60)), echo_v6),
        (frames::udp_v4(&payload(60)), udp_v4),
        (frames::udp_v6(&payload(60)), udp_v6),
        (frames::solicitation(), advertisement),
        (frames::probe(), advertisement),
        (frames::arp_request(), arp_reply),
    ];
    for (question, answer) in cases {
        let untagged = answer(&question);
        for count in 1..=2 {
            let mut expected = tagged(&untagged, count);
            let found = answer(&tagged(&question, count));
            expected.truncate(found.len());
            assert_eq!(found, expected);
        }
    }
}

fn arp_reply(question: &[u8]) -> Vec<u8> {
    answered(question, |room, headers| ArpTemplate::new(OWN, OWN_V4).answer(room, headers))
}

#[test]
fn an_arp_reply_says_where_we_are_to_the_one_who_asked() {
    let reply = arp_reply(&frames::arp_request());
    assert_eq!(reply.len(), 60);
    assert_eq!(reply[..14], [&ASKER.0[..], &OWN.0, &[0x08, 0x06]].concat());
    assert_eq!(reply[42..], [0; 18]);
    let repr = ArpRepr::parse(&ArpPacket::new_checked(&reply[14..]).unwrap()).unwrap();
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_hardware_addr,
        target_protocol_addr,
    } = repr
    else {
        panic!("no ARP for IPv4 over Ethernet")
    };
    assert_eq!(operation, ArpOperation::Reply);
    assert_eq!((source_hardware_addr.0, source_protocol_addr), (OWN.0, OWN_V4));
    assert_eq!((target_hardware_addr.0, target_protocol_addr), (ASKER.0, ASKER_V4));
}

#[test]
fn an_arp_announcement_asks_everybody_for_our_own_address() {
    for count in 0..=2 {
        let mut room = room(&tagged(&frames::arp_request(), count));
        let network = 14 + 4 * count;
        let end = ArpTemplate::new(OWN, OWN_V4).announce(&mut room, network).unwrap();
        assert_eq!(end, network + 28);
        assert_eq!(room[..12], [Mac::BROADCAST.0, OWN.0].concat());
        assert_eq!(room[12..network], tagged(&frames::arp_request(), count)[12..network]);
        let repr = ArpRepr::parse(&ArpPacket::new_checked(&room[network..end]).unwrap()).unwrap();
        let ArpRepr::EthernetIpv4 { operation, source_protocol_addr, target_protocol_addr, .. } = repr else {
            panic!("no ARP for IPv4 over Ethernet")
        };
        assert_eq!(operation, ArpOperation::Request);
        assert_eq!((source_protocol_addr, target_protocol_addr), (OWN_V4, OWN_V4));
        assert_eq!(room[network + 18..network + 24], [0; 6], "the target's hardware address is not known");
    }
}

/// The advertisement as smoltcp reads it: from our address to `dst`, its checksum verified.
fn assert_advertisement(answer: &[u8], dst: std::net::Ipv6Addr, flags: NdiscNeighborFlags) {
    assert_eq!(answer.len(), 86);
    assert_eq!(answer[14..22], [0x60, 0, 0, 0, 0, 32, 58, 255]);
    assert_eq!(answer[22..54], [OWN_V6.octets(), dst.octets()].concat());
    assert_eq!(naive_sum(&with_pseudo_v6(&answer[14..])), 0xffff);
    let packet = Icmpv6Packet::new_checked(&answer[54..]).unwrap();
    let repr = Icmpv6Repr::parse(&OWN_V6, &dst, &packet, &ChecksumCapabilities::default()).unwrap();
    let Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert { flags: found, target_addr, lladdr }) = repr else {
        panic!("no neighbour advertisement")
    };
    assert_eq!((found, target_addr), (flags, OWN_V6));
    assert_eq!(lladdr.unwrap().as_bytes(), OWN.0);
}

#[test]
fn a_known_asker_is_told_where_we_are() {
    let answer = advertisement(&frames::solicitation());
    assert_advertisement(&answer, ASKER_V6, NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE);
    let silent = frames::icmpv6(ASKER_V6, OWN_V6, 255, &frames::solicitation()[54..78]);
    assert_eq!(advertisement(&silent), answer, "also one that does not say where it is");
}

#[test]
fn a_probe_is_answered_to_everybody() {
    let answer = advertisement(&frames::probe());
    assert_eq!(answer[..12], [[0x33, 0x33, 0, 0, 0, 1], OWN.0].concat());
    assert_advertisement(
        &answer,
        std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        NdiscNeighborFlags::OVERRIDE,
    );
}

#[test]
fn a_closed_port_over_ipv4_is_told_with_as_much_of_the_datagram_as_fits() {
    for summer in Summer::available() {
        for len in [0, 1, 22, 519, 520, 521, 1472] {
            let question = frames::udp_v4(&payload(len));
            let answer = answered(&question, |room, headers| {
                let end = icmpv4::port_unreachable(
                    room,
                    headers,
                    &Ipv4Template::new(OWN_V4, ipv4::ICMP, TTL),
                    &summer,
                )?;
                ethernet::turn_round(room, OWN)?;
                Some(end)
            });
            assert_ipv4(&answer, 1);
            let quote_len = (question.len() - 14).min(576 - 28);
            assert_eq!(answer[16..18], (28 + quote_len as u16).to_be_bytes());
            assert_eq!(answer[34..36], [3, 3]);
            assert_eq!(answer[38..42], [0; 4], "unused");
            assert_eq!(answer[42..42 + quote_len], question[14..14 + quote_len]);
            assert_eq!(naive_sum(&answer[34..42 + quote_len]), 0xffff);
            assert_eq!(answer.len(), 42 + quote_len);
        }
    }
}

#[test]
fn a_closed_port_over_ipv6_is_told_with_as_much_of_the_packet_as_fits() {
    for summer in Summer::available() {
        for len in [0, 1, 22, 1183, 1184, 1185, 1452] {
            let question = frames::udp_v6(&payload(len));
            let answer = answered(&question, |room, headers| {
                let end = icmpv6::port_unreachable(room, headers, &Ipv6Template::new(OWN_V6, TTL), &summer)?;
                ethernet::turn_round(room, OWN)?;
                Some(end)
            });
            let quote_len = (question.len() - 14).min(1280 - 48);
            assert_eq!(answer[18..22], [&(8 + quote_len as u16).to_be_bytes()[..], &[58, TTL]].concat());
            assert_eq!(answer[22..54], [OWN_V6.octets(), ASKER_V6.octets()].concat());
            assert_eq!(answer[54..56], [1, 4]);
            assert_eq!(answer[58..62], [0; 4], "unused");
            assert_eq!(answer[62..], question[14..14 + quote_len]);
            assert_eq!(naive_sum(&with_pseudo_v6(&answer[14..])), 0xffff);
        }
    }
}

#[test]
fn padding_is_not_quoted() {
    let mut question = frames::udp_v4(&[1]);
    question.resize(60, 0xee);
    let answer = answered(&question, |room, headers| {
        icmpv4::port_unreachable(room, headers, &Ipv4Template::new(OWN_V4, ipv4::ICMP, TTL), &Summer::SCALAR)
    });
    assert_eq!(answer.len(), 42 + 29);
}

#[test]
fn a_room_too_small_for_an_answer_is_left_as_it_was() {
    let v4 = Ipv4Template::new(OWN_V4, ipv4::ICMP, TTL);
    let v6 = Ipv6Template::new(OWN_V6, TTL);
    let advertisement = AdvertisementTemplate::new(OWN, OWN_V6);
    let refuse = |question: Vec<u8>, answer: &dyn Fn(&mut [u8], Headers) -> Option<usize>| {
        let headers = parse(&question).unwrap();
        let mut room = question.clone();
        assert_eq!(answer(&mut room, headers), None);
        assert_eq!(room, question);
    };
    refuse(frames::udp_v4(&payload(22)), &|room, headers| {
        icmpv4::port_unreachable(room, headers, &v4, &Summer::SCALAR)
    });
    refuse(frames::udp_v6(&payload(22)), &|room, headers| {
        icmpv6::port_unreachable(room, headers, &v6, &Summer::SCALAR)
    });
    refuse(frames::probe(), &|room, headers| {
        let solicitation = check_solicitation(room, headers, &Summer::SCALAR).unwrap();
        advertisement.answer(room, headers, &solicitation)
    });
}

#[test]
fn headers_of_another_frame_write_nothing_and_stop_nothing() {
    let headers = parse(&tagged(&frames::udp_v6(&payload(300)), 2)).unwrap();
    for len in 0..22 {
        let mut room = vec![0xa5; len];
        assert_eq!(Ipv4Template::new(OWN_V4, 17, TTL).answer(&mut room, headers), None);
        assert_eq!(Ipv6Template::new(OWN_V6, TTL).answer(&mut room, headers), None);
        assert_eq!(ArpTemplate::new(OWN, OWN_V4).answer(&mut room, headers), None);
        assert_eq!(udp::turn_round(&mut room, headers), None);
        assert_eq!(udp::set_checksum(&mut room, headers, &Summer::SCALAR), None);
        assert_eq!(udp::lengthen(&mut room, headers, 400), None);
        assert_eq!(udp::payload_mut(&mut room, headers), None);
        assert_eq!(icmpv4::answer_echo(&mut room, headers), None);
        assert_eq!(icmpv6::answer_echo(&mut room, headers), None);
        assert_eq!(udp::check(&room, headers, &Summer::SCALAR), Checksum::Wrong);
        assert!(!icmpv6::is_right(&room, headers, &Summer::SCALAR));
        assert_eq!(room, vec![0xa5; len]);
    }
}

//! What a valid frame's headers say.

use std::net::IpAddr;

use proptest::prelude::*;
use wire::{Fault, Kind, parse, target_of};

use crate::frames::{self, OWN_GROUP, OWN_V4, OWN_V6, PORT, payload};

#[test]
fn an_arp_request_is_for_the_address_that_it_asks_for() {
    let frame = frames::arp_request();
    let headers = parse(&frame).unwrap();
    assert_eq!((headers.kind, headers.network, headers.end), (Kind::Arp, 14, 42));
    assert_eq!((headers.selector, headers.target(&frame)), (1, Some(target_of(OWN_V4.into()))));
}

#[test]
fn a_datagram_is_for_its_destination_and_port() {
    let frame = frames::udp_v4(&payload(22));
    let headers = parse(&frame).unwrap();
    assert_eq!((headers.kind, headers.network, headers.end), (Kind::Udpv4, 14, 64));
    assert_eq!((headers.selector, headers.target(&frame)), (PORT, Some(target_of(OWN_V4.into()))));
    assert_eq!(headers.transport(), 34);

    let frame = frames::udp_v6(&payload(22));
    let headers = parse(&frame).unwrap();
    assert_eq!((headers.kind, headers.network, headers.end), (Kind::Udpv6, 14, 84));
    assert_eq!((headers.selector, headers.target(&frame)), (PORT, Some(target_of(OWN_V6.into()))));
    assert_eq!(headers.transport(), 54);
}

#[test]
fn an_echo_request_is_for_its_destination() {
    let frame = frames::echo_v4(1, 2, &payload(3));
    let headers = parse(&frame).unwrap();
    assert_eq!((headers.kind, headers.end, headers.selector), (Kind::Icmpv4, 45, 8));
    assert_eq!(headers.target(&frame), Some(target_of(OWN_V4.into())));

    let frame = frames::echo_v6(1, 2, &payload(3));
    let headers = parse(&frame).unwrap();
    assert_eq!((headers.kind, headers.end, headers.selector), (Kind::Icmpv6, 65, 128));
    assert_eq!(headers.target(&frame), Some(target_of(OWN_V6.into())));
}

#[test]
fn a_solicitation_is_for_the_address_that_it_asks_for_and_not_for_the_group_that_it_went_to() {
    for frame in [frames::solicitation(), frames::probe()] {
        let headers = parse(&frame).unwrap();
        assert_eq!((headers.kind, headers.selector), (Kind::Solicitation, 135));
        assert_eq!(headers.target(&frame), Some(target_of(OWN_V6.into())));
        assert_ne!(headers.target(&frame), Some(target_of(OWN_GROUP.into())));
    }
}

#[test]
fn tags_move_the_offsets_and_nothing_else() {
    for (name, frame) in frames::questions() {
        let untagged = parse(&frame);
        for count in 1..=2 {
            let tagged = parse(&frames::tagged(&frame, count));
            let moved = 4 * count;
            match untagged {
                Ok(headers) if headers.network + moved <= 22 => {
                    let expected = wire::Headers {
                        network: headers.network + moved,
                        end: headers.end + moved,
                        ..headers
                    };
                    assert_eq!(tagged, Ok(expected), "{name}");
                }
                _ => assert_eq!(tagged, Err(Fault::VlanTooDeep), "{name}"),
            }
        }
    }
}

#[test]
fn padding_is_not_part_of_a_packet() {
    for (name, frame) in frames::questions() {
        let mut padded = frame.clone();
        padded.resize(frame.len() + 18, 0xa5);
        assert_eq!(parse(&padded), parse(&frame), "{name}");
        assert_eq!(parse(&padded).unwrap().end, frame.len(), "{name}");
    }
}

#[test]
fn two_addresses_never_have_the_same_target() {
    let v4 = target_of(IpAddr::from([192, 0, 2, 1]));
    let v6 = target_of(IpAddr::from([0xc000_u16, 0x0201, 0, 0, 0, 0, 0, 0]));
    assert_ne!(v4, v6);
    assert_ne!(v4, target_of(IpAddr::from([192, 0, 2, 2])));
}

#[test]
fn a_frame_that_ends_early_never_parses_to_more_than_is_there() {
    for (name, frame) in frames::questions() {
        for len in 0..frame.len() {
            assert!(parse(&frame[..len]).is_err(), "{name} cut to {len} bytes");
        }
        assert!(parse(&frame).is_ok(), "{name}");
    }
}

proptest! {
    #[test]
    fn no_bytes_whatever_stop_the_parser_or_make_it_read_beyond_them(frame in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(headers) = parse(&frame) {
            prop_assert!(headers.end <= frame.len());
        }
    }

    /// Random bytes hardly ever get past the ethertype; valid frames with a few bytes changed get everywhere.
    #[test]
    fn no_change_of_a_valid_frame_makes_it_read_beyond_its_end(
        which in 0_usize..21,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        mend in any::<bool>(),
    ) {
        let (_, mut frame) = frames::questions().swap_remove(which);
        for (index, byte) in changes {
            let index = index.index(frame.len());
            frame[index] = byte;
        }
        if mend && frame[12..14] == [8, 0] && frame[14] & 0x0f == 5 {
            frames::mend_ipv4(&mut frame, 14);
        }
        if let Ok(headers) = parse(&frame) {
            prop_assert!(headers.end <= frame.len());
            prop_assert!(headers.transport() <= headers.end);
        }
    }
}

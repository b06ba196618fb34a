//! Which solicitations are valid: each rule of RFC 4861 section 7.1.1, broken alone.

use std::net::Ipv6Addr;

use wire::checksum::Summer;
use wire::ndp::{Invalid, Solicitation, check_solicitation};
use wire::parse;

use crate::frames::{self, ASKER, ASKER_V6, OWN_GROUP, OWN_V6, icmpv6};

fn check(frame: &[u8]) -> Result<Solicitation, Invalid> {
    check_solicitation(frame, parse(frame).unwrap(), &Summer::SCALAR)
}

/// A solicitation's message with these options.
fn message(options: &[u8]) -> Vec<u8> {
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(OWN_V6.octets());
    message.extend(options);
    message
}

/// The option that says where the asker is.
const SOURCE: [u8; 8] = [1, 1, 0x02, 0, 0, 0, 0, 0x01];

#[test]
fn a_valid_solicitation_says_who_asks_and_how() {
    let expected = Solicitation { asker: Some(ASKER), is_probe: false, is_multicast: true };
    assert_eq!(check(&frames::solicitation()), Ok(expected));
    let unicast = icmpv6(ASKER_V6, OWN_V6, 255, &message(&SOURCE));
    assert_eq!(check(&unicast), Ok(Solicitation { is_multicast: false, ..expected }));
    let silent = icmpv6(ASKER_V6, OWN_V6, 255, &message(&[]));
    assert_eq!(check(&silent), Ok(Solicitation { asker: None, is_probe: false, is_multicast: false }));
}

#[test]
fn a_probe_has_no_asker() {
    let expected = Solicitation { asker: None, is_probe: true, is_multicast: true };
    assert_eq!(check(&frames::probe()), Ok(expected));
}

#[test]
fn a_solicitation_that_crossed_a_router_is_invalid() {
    for hop_limit in 0..255 {
        let frame = icmpv6(ASKER_V6, OWN_GROUP, hop_limit, &message(&SOURCE));
        assert_eq!(check(&frame), Err(Invalid::HopLimit));
    }
}

#[test]
fn a_solicitation_with_a_flipped_bit_is_invalid() {
    let frame = frames::solicitation();
    for bit in 55 * 8..frame.len() * 8 {
        let mut damaged = frame.clone();
        damaged[bit / 8] ^= 0x80 >> (bit % 8);
        assert_eq!(check(&damaged), Err(Invalid::Checksum), "bit {bit}");
    }
}

#[test]
fn a_code_other_than_zero_is_invalid() {
    let mut message = message(&SOURCE);
    message[1] = 1;
    assert_eq!(check(&icmpv6(ASKER_V6, OWN_GROUP, 255, &message)), Err(Invalid::Malformed));
}

#[test]
fn nobody_can_be_asked_for_a_group() {
    let mut message = message(&SOURCE);
    message[8..24].copy_from_slice(&OWN_GROUP.octets());
    assert_eq!(check(&icmpv6(ASKER_V6, OWN_GROUP, 255, &message)), Err(Invalid::Malformed));
}

#[test]
fn an_option_of_length_zero_is_invalid_wherever_it_stands() {
    let zero = [14, 0, 0, 0, 0, 0, 0, 0];
    for options in [zero.to_vec(), [SOURCE, zero].concat(), [zero, SOURCE].concat()] {
        assert_eq!(check(&icmpv6(ASKER_V6, OWN_GROUP, 255, &message(&options))), Err(Invalid::Malformed));
    }
}

#[test]
fn an_option_that_goes_beyond_the_message_is_invalid() {
    for options in [vec![14, 2, 0, 0, 0, 0, 0, 0], vec![1], vec![1, 1], SOURCE[..7].to_vec()] {
        assert_eq!(check(&icmpv6(ASKER_V6, OWN_GROUP, 255, &message(&options))), Err(Invalid::Malformed));
    }
}

#[test]
fn unknown_options_are_skipped() {
    let options =
        [&[14, 1, 1, 2, 3, 4, 5, 6][..], &[200, 2], &[0; 14], &SOURCE, &[2, 1, 0, 0, 0, 0, 0, 0]].concat();
    let solicitation = check(&icmpv6(ASKER_V6, OWN_GROUP, 255, &message(&options))).unwrap();
    assert_eq!(solicitation.asker, Some(ASKER));
}

#[test]
fn a_link_layer_address_that_is_none_of_ethernet_is_not_taken() {
    let options = [&[1, 2][..], &[0xa5; 14]].concat();
    let frame = icmpv6(ASKER_V6, OWN_GROUP, 255, &message(&options));
    assert_eq!(check(&frame).unwrap().asker, None);
}

#[test]
fn a_probe_goes_to_the_solicited_node_group_and_to_nothing_else() {
    for dst in [
        OWN_V6,
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0xff05, 0, 0, 0, 0, 1, 0xff34, 0x5678),
    ] {
        let frame = icmpv6(Ipv6Addr::UNSPECIFIED, dst, 255, &message(&[]));
        assert_eq!(check(&frame), Err(Invalid::Malformed), "{dst}");
    }
}

#[test]
fn a_probe_that_says_where_the_asker_is_is_invalid() {
    for options in [SOURCE.to_vec(), [&[1, 2][..], &[0; 14]].concat()] {
        let frame = icmpv6(Ipv6Addr::UNSPECIFIED, OWN_GROUP, 255, &message(&options));
        assert_eq!(check(&frame), Err(Invalid::Malformed));
    }
}

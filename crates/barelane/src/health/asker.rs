//! Who seems to ask: a station that does not exist.
//!
//! A lane's answer leaves by the cable, so it must be nobody's. It is sent to the Ethernet address that asked, for an asker on the
//! link; and that one is reserved for documentation, so that no station has it (RFC 9542 2.1.2): every NIC lets it go by, and a switch
//! that does not know it floods a frame of some hundred bytes, once for a question. The card's own address, to which a switch sends nothing
//! back, would be quieter still, but a lane and the program drop what says that it is from themselves, which is what ends a loop, and that is
//! worth more than silence.
//!
//! Its IP address lies on the link of the address that is asked, since the way to any other leads by a gateway, who would take the answer.
//! It is the link's own, all bits behind the prefix zero, which no host has (RFC 1122 3.2.1.3, RFC 4291 2.6.1); and where that is one of ours, or no
//! asker's, one of the next to ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use route::{Address, NextHop, Prefix};
use wire::ethernet::Mac;

/// Two addresses that are reserved for documentation: a card that somebody has given the one is asked by the other.
const MACS: [Mac; 2] = [Mac([0x00, 0x00, 0x5e, 0x00, 0x53, 0x19]), Mac([0x00, 0x00, 0x5e, 0x00, 0x53, 0x91])];

/// Askers for whom no way is looked up, reserved for documentation too (RFC 5737, RFC 3849).
const ANYWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// The Ethernet address of who asks a card that has this one.
pub(super) fn mac(own: Mac) -> Mac {
    let [first, second] = MACS;
    if own == first { second } else { first }
}

/// The IP addresses that may ask `address`, the best first: those that share its link, and where the answer goes back to
/// whoever asked, any. `from` are those that a route is for.
pub(super) fn ips(address: &Address, from: &[Prefix], next_hop: NextHop) -> Vec<IpAddr> {
    let network =
        Prefix::around(address.ip, address.prefix_len).map(|link| number_to_ip(address.ip, link.first()));
    let own = number(address.ip);
    let beside = [1, 2, 3].map(|bits| number_to_ip(address.ip, own ^ bits));
    let wanted = from.iter().filter(|prefix| prefix.family() == route::Family::of(address.ip));
    let wanted = wanted.flat_map(|prefix| [prefix.first(), prefix.first() | 1]);
    let wanted = wanted.map(|number| number_to_ip(address.ip, number));
    let all = network.into_iter().chain(beside).chain(wanted);
    let on_link = Prefix::around(address.ip, address.prefix_len);
    let is_reached =
        |ip: &IpAddr| next_hop == NextHop::Reflect || on_link.is_some_and(|link| link.contains(*ip));
    let anywhere = ANYWHERE.into_iter().filter(|ip| ip.is_ipv4() == address.ip.is_ipv4());
    all.chain(anywhere).filter(is_reached).filter(|ip| may_ask(*ip, address)).collect()
}

/// Whether one host can have the address, and it is none of ours' link's own: what a lane demands of an asker.
fn may_ask(ip: IpAddr, address: &Address) -> bool {
    let is_host = match ip {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            (1..224).contains(&first) && first != 127 && address.broadcast() != Some(v4)
        }
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_loopback() || v6.is_multicast()),
    };
    is_host && ip != address.ip
}

fn number(ip: IpAddr) -> u128 {
    route::prefix::number(ip)
}

/// The address of a number, of the family of another one.
#[expect(clippy::cast_possible_truncation, reason = "an IPv4 address has 32 bits")]
fn number_to_ip(like: IpAddr, number: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

#[cfg(test)]
mod tests {
    use route::Owner;

    use super::*;

    fn first(text: &str, from: &[&str], next_hop: NextHop) -> Option<String> {
        let (ip, len) = text.split_once('/').unwrap();
        let address =
            Address { ip: ip.parse().unwrap(), prefix_len: len.parse().unwrap(), owner: Owner::Barelane };
        let from: Vec<Prefix> = from.iter().map(|prefix| prefix.parse().unwrap()).collect();
        ips(&address, &from, next_hop).first().map(ToString::to_string)
    }

    #[test]
    fn who_asks_is_on_the_link_and_no_host() {
        for (address, asker) in [
            ("10.9.0.1/24", Some("10.9.0.0")),
            ("10.9.0.1/30", Some("10.9.0.0")),
            ("10.9.0.1/31", Some("10.9.0.0")),
            ("10.9.0.0/31", Some("10.9.0.1")),
            ("10.9.0.1/32", None),
            ("10.0.0.1/0", Some("10.0.0.0")),
            ("128.0.0.1/1", Some("128.0.0.0")),
            ("fd09::1/64", Some("fd09::")),
            ("fd09::/64", Some("fd09::1")),
            ("fd09::1/127", Some("fd09::")),
            ("fd09::1/128", None),
            ("fd09::1/0", Some("fd09::")),
        ] {
            assert_eq!(first(address, &[], NextHop::Auto).as_deref(), asker, "{address}");
        }
    }

    #[test]
    fn where_answers_go_back_to_whoever_asked_anybody_may_ask() {
        assert_eq!(first("10.9.0.1/32", &[], NextHop::Reflect).as_deref(), Some("10.9.0.0"));
        assert_eq!(first("fd09::/128", &[], NextHop::Reflect).as_deref(), Some("fd09::1"));
    }

    #[test]
    fn those_that_a_route_is_for_are_among_the_askers_if_they_are_on_the_link() {
        let address = Address { ip: "10.9.0.1".parse().unwrap(), prefix_len: 24, owner: Owner::Kernel };
        let from: Vec<Prefix> =
            ["10.9.0.128/25", "192.168.0.0/16"].iter().map(|prefix| prefix.parse().unwrap()).collect();
        let all = ips(&address, &from, NextHop::Auto);
        assert!(all.contains(&"10.9.0.128".parse().unwrap()), "{all:?}");
        assert!(all.iter().all(|ip| ip.to_string().starts_with("10.9.0.")), "{all:?}");
        assert!(ips(&address, &from, NextHop::Reflect).contains(&"192.168.0.0".parse().unwrap()));
    }

    #[test]
    fn a_card_is_never_asked_by_its_own_ethernet_address() {
        assert_eq!(mac(Mac([2, 0, 0, 0, 0, 1])), MACS[0]);
        assert_eq!(mac(MACS[0]), MACS[1]);
        assert!(MACS.iter().all(|mac| !mac.is_group()));
    }
}

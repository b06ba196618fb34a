//! Who has this address?
//!
//! | | IPv4 | IPv6 |
//! |---|---|---|
//! | question | ARP request (RFC 826) | solicitation with our Ethernet address in it (RFC 4861 7.2.2) |
//! | goes to | everybody | those who have an address with the same end |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::Mac;
use wire::arp::Arp;
use wire::checksum::{Field, Sum};
use wire::ethernet::{self, Ethernet};
use wire::icmpv6;
use wire::ipv6::{self, Ipv6};
use wire::ndp::{self, LinkLayerAddress, NeighbourSolicitation};
use wire::template::ArpTemplate;

use super::Station;

/// Where the message of a solicitation begins, and its option.
const MESSAGE: usize = Ethernet::LEN + Ipv6::LEN;
const OPTION: usize = MESSAGE + NeighbourSolicitation::LEN;
const END: usize = OPTION + LinkLayerAddress::LEN;

/// How long the message is, as an IPv6 header has it.
const MESSAGE_LEN: u16 = 32;
const _: () = assert!(END - MESSAGE == MESSAGE_LEN as usize);

/// Writes the question of `own` who has `ip`, and gives its end; nothing where they are of two families, or the room is
/// too small.
pub fn write(own: Station, ip: IpAddr, room: &mut [u8]) -> Option<usize> {
    match (own.ip, ip) {
        (IpAddr::V4(own_ip), IpAddr::V4(ip)) => arp_request(own.mac, own_ip, ip, room),
        (IpAddr::V6(own_ip), IpAddr::V6(ip)) => solicitation(own.mac, own_ip, ip, room),
        _ => None,
    }
}

fn arp_request(mac: Mac, own: Ipv4Addr, ip: Ipv4Addr, room: &mut [u8]) -> Option<usize> {
    Ethernet::of_mut(room, 0)?.ethertype = ethernet::ARP.into();
    // An announcement is a request for one's own address.
    let end = ArpTemplate::new(mac, own).announce(room, Ethernet::LEN)?;
    Arp::of_mut(room, Ethernet::LEN)?.target_ip = ip.octets();
    Some(end)
}

fn solicitation(mac: Mac, own: Ipv6Addr, ip: Ipv6Addr, room: &mut [u8]) -> Option<usize> {
    let room = room.get_mut(..END)?;
    let (group, dst) = ndp::solicited_node(ip.octets());
    *Ethernet::of_mut(room, 0)? = Ethernet { dst, src: mac, ethertype: ethernet::IPV6.into() };
    let header = Ipv6 {
        version_and_class: ipv6::VERSION.into(),
        payload_len: MESSAGE_LEN.into(),
        next_header: ipv6::ICMP,
        hop_limit: ndp::HOP_LIMIT,
        src: own.octets(),
        dst: group,
    };
    *Ipv6::of_mut(room, Ethernet::LEN)? = header;
    *NeighbourSolicitation::of_mut(room, MESSAGE)? = NeighbourSolicitation {
        kind: icmpv6::NEIGHBOUR_SOLICITATION,
        code: 0,
        checksum: Field::ZERO,
        reserved: [0; 4],
        target: ip.octets(),
    };
    *LinkLayerAddress::of_mut(room, OPTION)? =
        LinkLayerAddress { kind: ndp::SOURCE_LINK_LAYER_ADDRESS, len: 1, mac };
    let sum = header.pseudo(MESSAGE_LEN) + Sum::of(room.get(MESSAGE..)?);
    NeighbourSolicitation::of_mut(room, MESSAGE)?.checksum = sum.complement();
    Some(END)
}

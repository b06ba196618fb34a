//! The frames of an address check: the question, the announcement, and who contradicts.
//!
//! | | IPv4 | IPv6 |
//! |---|---|---|
//! | question | ARP probe: a request whose sender address is 0.0.0.0 (RFC 5227 2.1.1) | solicitation from `::` without options (RFC 4862 5.4.2) |
//! | contradiction | ARP from another host that has the address or probes for it too | advertisement for it, or another host's solicitation from `::` |
//! | announcement | ARP request for the own address (RFC 5227 2.3) | unsolicited advertisement to all nodes (RFC 4861 7.2.6) |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::arp::Arp;
use wire::checksum::{Field, Sum};
use wire::ethernet::{self, Ethernet, Mac};
use wire::headers::{Headers, Kind};
use wire::icmpv6;
use wire::ipv6::{self, Ipv6};
use wire::ndp::{self, NeighbourSolicitation, Solicitation};
use wire::template::{AdvertisementTemplate, ArpTemplate};

/// Where the network header begins: these frames carry no VLAN tag, as the kernel's on this interface do not.
const NETWORK: usize = Ethernet::LEN;

/// The length of a solicitation without options, as an IPv6 header has it.
const SOLICITATION_LEN: u16 = 24;

const _: () = assert!(SOLICITATION_LEN as usize == NeighbourSolicitation::LEN);

/// The longest of these frames is an advertisement of 86 bytes.
const ROOM: usize = 96;

/// The question whether anybody has `ip`.
pub(super) fn question(ip: IpAddr, own: Mac) -> Vec<u8> {
    frame(ip, |room| match ip {
        IpAddr::V4(v4) => arp_probe(room, v4, own),
        IpAddr::V6(v6) => solicitation(room, v6, own),
    })
}

/// The news that `ip` is at `own`.
pub(super) fn announcement(ip: IpAddr, own: Mac) -> Vec<u8> {
    frame(ip, |room| match ip {
        IpAddr::V4(v4) => ArpTemplate::new(own, v4).announce(room, NETWORK),
        IpAddr::V6(v6) => advertisement(room, v6, own),
    })
}

/// Writes one frame, ethertype included, and pads it.
fn frame(ip: IpAddr, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut room = vec![0; ROOM];
    if let Some(ethernet) = Ethernet::of_mut(&mut room, 0) {
        ethernet.ethertype = if ip.is_ipv4() { ethernet::ARP } else { ethernet::IPV6 }.into();
    }
    let end = write(&mut room);
    let len = end.map_or(0, |end| end.max(ethernet::FRAME_LEN_MIN));
    assert!(len > 0, "a frame of at most 86 bytes fits into {ROOM}");
    room.truncate(len);
    room
}

fn arp_probe(room: &mut [u8], ip: Ipv4Addr, own: Mac) -> Option<usize> {
    let end = ArpTemplate::new(own, ip).announce(room, NETWORK)?;
    Arp::of_mut(room, NETWORK)?.sender_ip = [0; 4];
    Some(end)
}

fn solicitation(room: &mut [u8], ip: Ipv6Addr, own: Mac) -> Option<usize> {
    let group = host::groups::solicited_node(ip);
    let [.., a, b, c] = ip.octets();
    let ethernet = Ethernet::of_mut(room, 0)?;
    ethernet.dst = Mac([0x33, 0x33, 0xff, a, b, c]);
    ethernet.src = own;
    let header = Ipv6 {
        version_and_class: ipv6::VERSION.into(),
        payload_len: SOLICITATION_LEN.into(),
        next_header: ipv6::ICMP,
        hop_limit: ndp::HOP_LIMIT,
        src: [0; 16],
        dst: group.octets(),
    };
    *Ipv6::of_mut(room, NETWORK)? = header;
    let message = room.get_mut(NETWORK + Ipv6::LEN..)?;
    let mut question = NeighbourSolicitation {
        kind: icmpv6::NEIGHBOUR_SOLICITATION,
        code: 0,
        checksum: Field::ZERO,
        reserved: [0; 4],
        target: ip.octets(),
    };
    *NeighbourSolicitation::of_mut(message, 0)? = question;
    let sum = header.pseudo(SOLICITATION_LEN) + Sum::of(message.get(..NeighbourSolicitation::LEN)?);
    question.checksum = sum.complement();
    *NeighbourSolicitation::of_mut(message, 0)? = question;
    Some(NETWORK + Ipv6::LEN + NeighbourSolicitation::LEN)
}

/// An unsolicited advertisement has the form of the answer to a host that asks from nowhere: to all nodes, with the
/// flag that overrides what they remember.
fn advertisement(room: &mut [u8], ip: Ipv6Addr, own: Mac) -> Option<usize> {
    let headers = Headers {
        network: NETWORK,
        end: 0,
        selector: icmpv6::NEIGHBOUR_SOLICITATION.into(),
        kind: Kind::Solicitation,
    };
    let from_nowhere = Solicitation { asker: None, is_probe: true, is_multicast: true };
    AdvertisementTemplate::new(own, ip).answer(room, headers, &from_nowhere)
}

/// The other host that has one of `ours`, or is about to take it, by a frame that it sent.
pub(super) fn contradiction(frame: &[u8], ours: &[IpAddr], own: Mac) -> Option<(IpAddr, Mac)> {
    let ethernet = Ethernet::of(frame, 0)?;
    if ethernet.src == own {
        return None;
    }
    let (ip, mac) = match ethernet.ethertype.get() {
        ethernet::ARP => arp_claim(Arp::of(frame, NETWORK)?)?,
        ethernet::IPV6 => (ndp_claim(frame)?, ethernet.src),
        _ => return None,
    };
    (ours.contains(&ip) && mac != own).then_some((ip, mac))
}

fn arp_claim(arp: &Arp) -> Option<(IpAddr, Mac)> {
    if !arp.is_ipv4_over_ethernet() {
        return None;
    }
    let claimed = if arp.sender_ip == [0; 4] { arp.target_ip } else { arp.sender_ip };
    Some((Ipv4Addr::from(claimed).into(), arp.sender_mac))
}

fn ndp_claim(frame: &[u8]) -> Option<IpAddr> {
    let ip = Ipv6::of(frame, NETWORK)?;
    // A solicitation and an advertisement have their target in the same place.
    let message = NeighbourSolicitation::of(frame, NETWORK + Ipv6::LEN)?;
    let is_claim = match message.kind {
        icmpv6::NEIGHBOUR_ADVERTISEMENT => true,
        icmpv6::NEIGHBOUR_SOLICITATION => ip.src == [0; 16],
        _ => false,
    };
    let is_from_link = ip.next_header == ipv6::ICMP && ip.hop_limit == ndp::HOP_LIMIT;
    (is_claim && is_from_link).then(|| Ipv6Addr::from(message.target).into())
}

#[cfg(test)]
mod tests {
    use wire::checksum::Summer;

    use super::*;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn ours() -> [IpAddr; 2] {
        ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()]
    }

    #[test]
    fn a_question_of_another_host_for_our_address_is_a_contradiction() {
        for ip in ours() {
            assert_eq!(contradiction(&question(ip, OTHER), &ours(), OWN), Some((ip, OTHER)));
            assert_eq!(contradiction(&question(ip, OWN), &ours(), OWN), None);
        }
    }

    #[test]
    fn an_announcement_of_another_host_is_a_contradiction_and_one_of_ours_is_none() {
        for ip in ours() {
            assert_eq!(contradiction(&announcement(ip, OTHER), &ours(), OWN), Some((ip, OTHER)));
            assert_eq!(contradiction(&announcement(ip, OWN), &ours(), OWN), None);
        }
    }

    #[test]
    fn what_others_ask_about_others_is_no_contradiction() {
        for ip in ["10.0.0.2", "fd00::2"] {
            let ip = ip.parse().unwrap();
            assert_eq!(contradiction(&question(ip, OTHER), &ours(), OWN), None);
            assert_eq!(contradiction(&announcement(ip, OTHER), &ours(), OWN), None);
        }
        assert_eq!(contradiction(&[0; 20], &ours(), OWN), None);
    }

    #[test]
    fn the_solicitation_is_one_that_rfc_4861_calls_valid() {
        let frame = question("fd00::1".parse().unwrap(), OWN);
        let headers = wire::parse::parse(&frame).unwrap();
        let valid = ndp::check_solicitation(&frame, headers, &Summer::SCALAR).unwrap();
        assert!(valid.is_probe && valid.is_multicast);
        assert_eq!(headers.kind, Kind::Solicitation);
    }

    #[test]
    fn the_arp_probe_names_no_sender() {
        let frame = question("10.0.0.1".parse().unwrap(), OWN);
        let arp = Arp::of(&frame, NETWORK).unwrap();
        assert_eq!((arp.sender_ip, arp.target_ip, frame.len()), ([0; 4], [10, 0, 0, 1], 60));
    }
}

//! One endpoint for the unit tests of this crate.

use route::{Host4, Host6};
use wire::ethernet::Mac;
use wire::template::{AdvertisementTemplate, ArpTemplate, Ipv4Template, Ipv6Template};

pub(crate) const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

pub(crate) fn host4() -> Host4 {
    let ip = std::net::Ipv4Addr::new(10, 0, 0, 1);
    Host4 {
        address: ip.octets(),
        broadcast: [10, 0, 0, 255],
        icmp: Ipv4Template::new(ip, 1, 64),
        udp: Ipv4Template::new(ip, 17, 64),
        arp: ArpTemplate::new(MAC, ip),
        link_mask: u32::from_ne_bytes([255, 255, 255, 0]),
    }
}

pub(crate) fn host6() -> Host6 {
    let ip = std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    Host6 {
        address: ip.octets(),
        ipv6: Ipv6Template::new(ip, 64),
        advertisement: AdvertisementTemplate::new(MAC, ip),
        link_mask: (u128::MAX << 64).to_be(),
    }
}

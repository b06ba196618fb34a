//! The route table compiled for a lane: flat, whole, and replaced only whole.
//!
//! ```text
//!   Headers ──key──▶ Lookup ──▶ Class { responder, host } ──▶ hosts4[host] / hosts6[host]
//!                                                              own address, broadcast, templates
//! ```

use std::net::IpAddr;

use wire::checksum::Summer;
use wire::ethernet::Mac;
use wire::headers::{Headers, Kind, target_of};
use wire::template::{AdvertisementTemplate, ArpTemplate, Ipv4Template, Ipv6Template};

use crate::lookup::{Key, Lookup};
use crate::service::Service;
use crate::table::{Owner, RouteTable, broadcast_of};

/// Ports whose services answer whatever comes: echo, daytime, qotd, chargen, time, DNS, NTP. An answer to one of
/// them could be answered again, for ever (CERT CA-1996-01).
const LOOP_PORTS: [u16; 7] = [7, 13, 17, 19, 37, 53, 123];

/// What is done about a UDP checksum that the sender left to a NIC which does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialChecksums {
    /// The link is a veth: its sender leaves only the pseudo-header's sum, and no wire can have damaged the rest.
    Accept,
    /// The link is a wire: a checksum that does not fit is wrong.
    Refuse,
}

/// What a lane's tables need beside the routes.
#[derive(Clone, Copy, Debug)]
pub struct LaneSettings {
    /// The NIC's own Ethernet address.
    pub mac: Mac,
    /// How checksums are computed on this machine.
    pub checksum: Summer,
    /// What is done about partial UDP checksums.
    pub partial_checksums: PartialChecksums,
    /// The TTL or hop limit of answers.
    pub hop_limit: u8,
    /// How many ICMP errors a lane may send in a second, at most (RFC 1812 4.3.2.8, RFC 4443 2.4 (f)); 0 for none.
    pub errors_per_second: u32,
}

/// Which responder answers. One for each way to write an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Responder {
    /// ARP requests and conflicts.
    Arp,
    /// Neighbour solicitations.
    Neighbour,
    /// ICMP echo over IPv4.
    Icmpv4Echo,
    /// ICMPv6 echo.
    Icmpv6Echo,
    /// UDP echo over IPv4.
    Udpv4Echo,
    /// UDP echo over IPv6.
    Udpv6Echo,
    /// A closed UDP port over IPv4.
    Udpv4Closed,
    /// A closed UDP port over IPv6.
    Udpv6Closed,
}

/// Which question a packet asks, and of which of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// What answers it.
    pub responder: Responder,
    /// The index of the address in [`LaneTables::host4`] or [`LaneTables::host6`].
    pub host: u16,
}

/// One of our IPv4 addresses, with all that can be written before a question comes.
#[derive(Debug)]
pub struct Host4 {
    /// The address, in memory order.
    pub address: [u8; 4],
    /// Its link's broadcast address, which may not ask; the limited broadcast address where the link has none.
    pub broadcast: [u8; 4],
    /// The IPv4 header of an ICMP answer.
    pub icmp: Ipv4Template,
    /// The IPv4 header of a UDP answer.
    pub udp: Ipv4Template,
    /// The ARP answer.
    pub arp: ArpTemplate,
}

/// One of our IPv6 addresses, with all that can be written before a question comes.
#[derive(Debug)]
pub struct Host6 {
    /// The address, in memory order.
    pub address: [u8; 16],
    /// The IPv6 header of an answer.
    pub ipv6: Ipv6Template,
    /// The neighbour advertisement.
    pub advertisement: AdvertisementTemplate,
}

/// Everything that a lane knows. Nothing in it changes; a lane gets a new one whole.
#[derive(Debug)]
pub struct LaneTables {
    /// The NIC's own Ethernet address.
    pub mac: Mac,
    /// How checksums are computed on this machine.
    pub checksum: Summer,
    /// What is done about partial UDP checksums.
    pub partial_checksums: PartialChecksums,
    /// How many ICMP errors a lane may send in a second.
    pub errors_per_second: u32,
    lookup: Lookup<Class>,
    hosts4: Box<[Host4]>,
    hosts6: Box<[Host6]>,
    refused_sources: Box<[u64; 1024]>,
}

/// Set in a key's last word where the selector does not matter.
const ANY_SELECTOR: u64 = 1 << 32;

fn key_of(target: [u64; 2], kind: Kind, selector: u64) -> Key {
    let [high, low] = target;
    [high, low, (kind as u64) << 16 | selector]
}

impl LaneTables {
    /// Which question a packet asks. One lookup in constant time; a second one, as constant, for what no route
    /// claims, to tell a closed port of our own address from a stranger's.
    #[inline]
    pub fn class(&self, headers: &Headers) -> Option<Class> {
        let key = key_of(headers.target, headers.kind, u64::from(headers.selector));
        self.lookup.find(&key).or_else(|| self.class_of_the_rest(headers))
    }

    #[cold]
    #[inline(never)]
    fn class_of_the_rest(&self, headers: &Headers) -> Option<Class> {
        self.lookup.find(&key_of(headers.target, headers.kind, ANY_SELECTOR))
    }

    /// The IPv4 address that a class names.
    #[inline]
    pub fn host4(&self, class: Class) -> Option<&Host4> {
        self.hosts4.get(usize::from(class.host))
    }

    /// The IPv6 address that a class names.
    #[inline]
    pub fn host6(&self, class: Class) -> Option<&Host6> {
        self.hosts6.get(usize::from(class.host))
    }

    /// The class of ARP packets that concern `address`, where its ARP is ours: for conflicts, which have our address
    /// as their sender and anything as their target.
    pub fn arp_class(&self, address: [u8; 4]) -> Option<Class> {
        self.lookup.find(&key_of(target_of(IpAddr::from(address)), Kind::Arp, ANY_SELECTOR))
    }

    /// Whether a UDP answer to this port could come back as a question.
    #[inline]
    pub fn refuses_source(&self, port: u16) -> bool {
        self.refused_sources.get(usize::from(port / 64)).is_none_or(|word| word >> (port % 64) & 1 == 1)
    }
}

impl RouteTable {
    /// Compiles the table for a lane.
    pub fn compile(&self, settings: &LaneSettings) -> LaneTables {
        let mut compiler =
            Compiler { settings: *settings, hosts4: Vec::new(), hosts6: Vec::new(), entries: Vec::new() };
        for address in self.addresses() {
            let services = self.routes().iter().filter(|route| route.address == address.ip);
            compiler.address(
                address.ip,
                address.prefix_len,
                address.owner,
                services.map(|route| route.service),
            );
        }
        let vacant = Class { responder: Responder::Arp, host: 0 };
        LaneTables {
            mac: settings.mac,
            checksum: settings.checksum,
            partial_checksums: settings.partial_checksums,
            errors_per_second: settings.errors_per_second,
            lookup: Lookup::new(&compiler.entries, vacant),
            hosts4: compiler.hosts4.into_boxed_slice(),
            hosts6: compiler.hosts6.into_boxed_slice(),
            refused_sources: refused_sources(self),
        }
    }
}

struct Compiler {
    settings: LaneSettings,
    hosts4: Vec<Host4>,
    hosts6: Vec<Host6>,
    entries: Vec<(Key, Class)>,
}

impl Compiler {
    fn address(&mut self, ip: IpAddr, prefix_len: u8, owner: Owner, services: impl Iterator<Item = Service>) {
        let host = match ip {
            IpAddr::V4(v4) => self.host4(v4, prefix_len),
            IpAddr::V6(v6) => self.host6(v6),
        };
        let target = target_of(ip);
        let mut claim = |kind, selector, responder| {
            self.entries.push((key_of(target, kind, selector), Class { responder, host }));
        };
        for service in services {
            match (service, ip) {
                (Service::IcmpEcho, IpAddr::V4(_)) => {
                    claim(Kind::Icmpv4, u64::from(wire::icmpv4::ECHO_REQUEST), Responder::Icmpv4Echo);
                }
                (Service::IcmpEcho, IpAddr::V6(_)) => {
                    claim(Kind::Icmpv6, u64::from(wire::icmpv6::ECHO_REQUEST), Responder::Icmpv6Echo);
                }
                (Service::UdpEcho { port }, IpAddr::V4(_)) => {
                    claim(Kind::Udpv4, u64::from(port.get()), Responder::Udpv4Echo);
                }
                (Service::UdpEcho { port }, IpAddr::V6(_)) => {
                    claim(Kind::Udpv6, u64::from(port.get()), Responder::Udpv6Echo);
                }
            }
        }
        match (owner, ip) {
            (Owner::Kernel, _) => {}
            (Owner::Barelane, IpAddr::V4(_)) => {
                claim(Kind::Arp, u64::from(wire::arp::REQUEST), Responder::Arp);
                claim(Kind::Arp, ANY_SELECTOR, Responder::Arp);
                claim(Kind::Udpv4, ANY_SELECTOR, Responder::Udpv4Closed);
            }
            (Owner::Barelane, IpAddr::V6(_)) => {
                claim(
                    Kind::Solicitation,
                    u64::from(wire::icmpv6::NEIGHBOUR_SOLICITATION),
                    Responder::Neighbour,
                );
                claim(Kind::Udpv6, ANY_SELECTOR, Responder::Udpv6Closed);
            }
        }
    }

    fn host4(&mut self, ip: std::net::Ipv4Addr, prefix_len: u8) -> u16 {
        let LaneSettings { mac, hop_limit, .. } = self.settings;
        self.hosts4.push(Host4 {
            address: ip.octets(),
            broadcast: broadcast_of(ip, prefix_len).unwrap_or(std::net::Ipv4Addr::BROADCAST).octets(),
            icmp: Ipv4Template::new(ip, wire::ipv4::ICMP, hop_limit),
            udp: Ipv4Template::new(ip, wire::ipv4::UDP, hop_limit),
            arp: ArpTemplate::new(mac, ip),
        });
        index_of_last(self.hosts4.len())
    }

    fn host6(&mut self, ip: std::net::Ipv6Addr) -> u16 {
        let LaneSettings { mac, hop_limit, .. } = self.settings;
        self.hosts6.push(Host6 {
            address: ip.octets(),
            ipv6: Ipv6Template::new(ip, hop_limit),
            advertisement: AdvertisementTemplate::new(mac, ip),
        });
        index_of_last(self.hosts6.len())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "RouteTable holds at most 2^16 addresses")]
fn index_of_last(count: usize) -> u16 {
    (count - 1) as u16
}

/// One bit a port: the loop ports, port 0 (nobody to answer), and every port that we answer on ourselves, so that two
/// servers of one configuration cannot be made to talk to each other.
fn refused_sources(table: &RouteTable) -> Box<[u64; 1024]> {
    let mut words = Box::new([0; 1024]);
    let own = table.routes().iter().filter_map(|route| match route.service {
        Service::UdpEcho { port } => Some(port.get()),
        Service::IcmpEcho => None,
    });
    for port in LOOP_PORTS.into_iter().chain([0]).chain(own) {
        if let Some(word) = words.get_mut(usize::from(port / 64)) {
            *word |= 1 << (port % 64);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Address;

    fn tables(owner: Owner) -> LaneTables {
        let address = |ip: &str, prefix_len| Address { ip: ip.parse().unwrap(), prefix_len, owner };
        let services = ["icmp-echo", "udp-echo:7", "udp-echo:4000"].map(|name| name.parse().unwrap());
        let table =
            RouteTable::everywhere(vec![address("10.0.0.1", 24), address("fd00::1", 64)], &services).unwrap();
        table.compile(&LaneSettings {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            checksum: Summer::SCALAR,
            partial_checksums: PartialChecksums::Refuse,
            hop_limit: 64,
            errors_per_second: 100,
        })
    }

    fn responder(tables: &LaneTables, ip: &str, kind: Kind, selector: u16) -> Option<Responder> {
        let headers =
            Headers { network: 14, end: 60, kind, selector, target: target_of(ip.parse().unwrap()) };
        tables.class(&headers).map(|class| class.responder)
    }

    #[test]
    fn each_question_finds_its_responder() {
        let tables = tables(Owner::Barelane);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Arp, 1), Some(Responder::Arp));
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Icmpv4, 8), Some(Responder::Icmpv4Echo));
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Icmpv4, 13), None);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Udpv4, 4000), Some(Responder::Udpv4Echo));
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Udpv4, 8), Some(Responder::Udpv4Closed));
        assert_eq!(responder(&tables, "fd00::1", Kind::Icmpv6, 128), Some(Responder::Icmpv6Echo));
        assert_eq!(responder(&tables, "fd00::1", Kind::Solicitation, 135), Some(Responder::Neighbour));
        assert_eq!(responder(&tables, "fd00::1", Kind::Udpv6, 9), Some(Responder::Udpv6Closed));
        assert_eq!(responder(&tables, "10.0.0.2", Kind::Udpv4, 7), None);
    }

    #[test]
    fn the_kernel_keeps_what_no_route_claims_on_its_own_address() {
        let tables = tables(Owner::Kernel);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Arp, 1), None);
        assert_eq!(responder(&tables, "fd00::1", Kind::Solicitation, 135), None);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Udpv4, 8), None);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Udpv4, 7), Some(Responder::Udpv4Echo));
    }

    #[test]
    fn loop_ports_and_our_own_are_refused_as_sources() {
        let tables = tables(Owner::Barelane);
        let refused: Vec<u16> = (0..=u16::MAX).filter(|&port| tables.refuses_source(port)).collect();
        assert_eq!(refused, [0, 7, 13, 17, 19, 37, 53, 123, 4000]);
    }
}

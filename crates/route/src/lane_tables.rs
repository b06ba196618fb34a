//! The route table compiled for a lane: flat, whole, and replaced only whole.
//!
//! ```text
//!   Headers ──key──▶ Compiled ──▶ Class { responder, host } ──▶ hosts4[host] / hosts6[host]
//!                                                              own address, broadcast, templates
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use wire::checksum::Summer;
use wire::ethernet::{Mac, MacWord};
use wire::headers::{Headers, Kind};
use wire::stamp;
use wire::template::{AdvertisementTemplate, ArpTemplate, Ipv4Template, Ipv6Template};

use crate::class::{Class, Decision};
use crate::compiled::Compiled;
use crate::compiler::next_hops_of;
use crate::conditions::{NextHop, TierChoice};
use crate::counts::RouteCount;
use crate::limit::Limit;
use crate::ports::PortRange;
use crate::prefix::Family;
use crate::table::{RouteTable, broadcast_of};
use crate::vlan_set::VlanSet;

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

/// What is done about an unauthenticated STAMP packet that is shorter than its answer, as a sender of TWAMP Light may send
/// it: the answer to it is a base packet of 44 bytes (RFC 8762 section 4.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShortPackets {
    /// It is dropped: no answer is longer than its question.
    #[default]
    Drop,
    /// It is answered.
    Answer,
}

/// What a lane's tables need beside the routes.
#[derive(Clone, Debug)]
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
    /// Who gets the frame of an answer, where its route does not say it.
    pub next_hop: NextHop,
    /// The key of authenticated STAMP; none for unauthenticated STAMP. A reflector serves one mode (RFC 8762 section 4).
    pub stamp_key: Option<stamp::Key>,
    /// What is done about STAMP packets that are shorter than their answers.
    pub short_packets: ShortPackets,
}

/// One of our IPv4 addresses, with all that can be written before a question comes. In a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
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
    /// Of the bits of an asker's address, in memory order, those that it shares with ours if it is on the link; none where
    /// every answer is reflected.
    pub link_mask: u32,
}

const _: () = assert!(size_of::<Host4>() == 64);

impl Host4 {
    /// Whether an answer to this address goes back to the station that asked.
    #[inline(always)]
    pub fn is_on_link(&self, asker: [u8; 4]) -> bool {
        let [asker, own] = [asker, self.address].map(u32::from_ne_bytes);
        (asker ^ own) & self.link_mask == 0
    }
}

/// One of our IPv6 addresses, with all that can be written before a question comes. In cache lines of its own.
#[derive(Debug)]
#[repr(align(64))]
pub struct Host6 {
    /// The address, in memory order.
    pub address: [u8; 16],
    /// The IPv6 header of an answer.
    pub ipv6: Ipv6Template,
    /// The neighbour advertisement.
    pub advertisement: AdvertisementTemplate,
    /// As [`Host4::link_mask`].
    pub link_mask: u128,
}

impl Host6 {
    /// Whether an answer to this address goes back to the station that asked; one on the link by its scope alone
    /// (`fe80::/10`) is left to [`NextHops`](crate::NextHops).
    #[inline(always)]
    pub fn is_on_link(&self, asker: [u8; 16]) -> bool {
        let [asker, own] = [asker, self.address].map(u128::from_ne_bytes);
        (asker ^ own) & self.link_mask == 0
    }
}

/// Everything that a lane knows. Nothing in it changes; a lane gets a new one whole.
#[derive(Debug)]
pub struct LaneTables {
    /// The NIC's own Ethernet address.
    pub mac: Mac,
    /// The same, to be compared.
    pub mac_word: MacWord,
    /// How checksums are computed on this machine.
    pub checksum: Summer,
    /// What is done about partial UDP checksums.
    pub partial_checksums: PartialChecksums,
    /// How many ICMP errors a lane may send in a second.
    pub errors_per_second: u32,
    /// The key of authenticated STAMP; none for unauthenticated STAMP.
    pub stamp_key: Option<Box<stamp::Key>>,
    /// What is done about STAMP packets that are shorter than their answers.
    pub short_packets: ShortPackets,
    /// How often routes answer, at most; [`LaneTables::limit`] gives indices.
    pub limits: Box<[Limit]>,
    limit_of: Box<[u16]>,
    /// What became of the questions of each route.
    pub counts: Arc<[RouteCount]>,
    /// The VLANs that are served; nothing where whoever hands frames to the lane has looked at them.
    vlans: Option<Box<VlanSet>>,
    compiled: Compiled,
    /// Each address with the next hop of [`LaneSettings`], and behind it with those that routes name.
    hosts4: Box<[Host4]>,
    hosts6: Box<[Host6]>,
    refused_sources: Box<[u64; 1024]>,
}

impl LaneTables {
    /// The same, for a queue that nobody before the lane keeps frames of other VLANs away from.
    #[must_use]
    pub fn with_vlans(self, vlans: VlanSet) -> Self {
        Self { vlans: Some(Box::new(vlans)), ..self }
    }

    /// Whether all VLANs of a tagged packet are served.
    pub fn serves_vlans_of(&self, headers: Headers, frame: &[u8]) -> bool {
        self.vlans.as_ref().is_none_or(|vlans| headers.vids(frame).all(|vid| vlans.contains(vid)))
    }

    /// What is decided of a packet to `target`, where a route takes all such questions. One lookup in constant time.
    #[inline(always)]
    pub fn claimed(&self, headers: Headers, target: [u64; 2]) -> Option<&Decision> {
        self.compiled.claimed(headers.kind, headers.selector, target)
    }

    /// What is said of what that does not find: a second lookup, which tells a closed port of our own address from a
    /// stranger's, and what has to be [refined](LaneTables::refine) first.
    #[inline(always)]
    pub fn rest(&self, kind: Kind, target: [u64; 2]) -> Option<&Decision> {
        self.compiled.rest(kind, target)
    }

    /// What is decided of a packet for which [`LaneTables::rest`] found `any`, which has a refinement; nothing where no
    /// route takes it and the address's owner has nothing to say. `source` is the asker's address as a number,
    /// its first bit the highest of the family's.
    pub fn refine(&self, any: &Decision, headers: Headers, source: u128, vid: u16) -> Option<Decision> {
        let family = Family::of_kind(headers.kind);
        self.compiled.refinements.decide(any, family, headers.selector, source, vid)
    }

    /// The counts of a route; nothing for [`Decision::NO_ROUTE`].
    #[inline(always)]
    pub fn count(&self, route: u16) -> Option<&RouteCount> {
        self.counts.get(usize::from(route))
    }

    /// All of the above at once, beside the road: what is decided of a packet, for who looks over a lane's shoulder.
    pub fn decision(&self, headers: Headers, frame: &[u8]) -> Option<Decision> {
        let Headers { kind, selector, .. } = headers;
        let (target, source) = (headers.target(frame)?, headers.source(frame));
        self.compiled.decision(kind, selector, target, source, headers.vid(frame))
    }

    /// The index of the limit of a route, where it has one.
    pub fn limit(&self, route: u16) -> Option<usize> {
        usize::from(*self.limit_of.get(usize::from(route))?).checked_sub(1)
    }

    /// The IPv4 address that a class names, with the next hop of its answers.
    #[inline(always)]
    pub fn host4(&self, class: Class) -> Option<&Host4> {
        self.hosts4.get(usize::from(class.host))
    }

    /// The IPv6 address that a class names, with the next hop of its answers.
    #[inline(always)]
    pub fn host6(&self, class: Class) -> Option<&Host6> {
        self.hosts6.get(usize::from(class.host))
    }

    /// The class of ARP packets that concern `address`, where its ARP is ours: for conflicts, which have our address
    /// as their sender and anything as their target.
    #[inline(always)]
    pub fn arp_class(&self, address: [u8; 4]) -> Option<Class> {
        self.compiled.arp(address)
    }

    /// Whether a UDP answer to this port could come back as a question.
    #[inline(always)]
    pub fn refuses_source(&self, port: u16) -> bool {
        let (word, bit) = place_of(port);
        self.refused_sources.get(word).is_none_or(|word| word >> bit & 1 == 1)
    }
}

impl RouteTable {
    /// The UDP source ports that are not answered: the loop ports, port 0 (nobody to answer), and every port that we
    /// answer on ourselves, so that two servers of one configuration cannot be made to talk to each other.
    pub fn refused_sources(&self) -> Vec<u16> {
        let answered = self.routes_here().filter(|route| route.tier != TierChoice::Kernel);
        let own = answered.filter_map(|route| route.service.udp_ports()).flat_map(PortRange::iter);
        LOOP_PORTS.into_iter().chain([0]).chain(own).collect()
    }

    /// The tables of a lane: what the routes are compiled to, and what can be written before a question comes.
    pub fn compile(&self, settings: &LaneSettings) -> LaneTables {
        let (mut hosts4, mut hosts6) = (Vec::new(), Vec::new());
        let next_hops = next_hops_of(self.routes());
        for address in self.addresses() {
            for next_hop in &next_hops {
                let next_hop = next_hop.unwrap_or(settings.next_hop);
                match address.ip {
                    IpAddr::V4(ip) => hosts4.push(host4(ip, address.prefix_len, next_hop, settings)),
                    IpAddr::V6(ip) => hosts6.push(host6(ip, address.prefix_len, next_hop, settings)),
                }
            }
        }
        let (limits, limit_of) = self.limits();
        LaneTables {
            limits: limits.into_boxed_slice(),
            limit_of: limit_of.into_boxed_slice(),
            counts: self.routes().iter().map(|_| RouteCount::default()).collect(),
            mac: settings.mac,
            mac_word: MacWord::new(settings.mac),
            checksum: settings.checksum,
            partial_checksums: settings.partial_checksums,
            errors_per_second: settings.errors_per_second,
            stamp_key: settings.stamp_key.clone().map(Box::new),
            short_packets: settings.short_packets,
            vlans: None,
            compiled: self.compiled().clone(),
            hosts4: hosts4.into_boxed_slice(),
            hosts6: hosts6.into_boxed_slice(),
            refused_sources: refused_sources(self),
        }
    }
}

fn host4(ip: Ipv4Addr, prefix_len: u8, next_hop: NextHop, settings: &LaneSettings) -> Host4 {
    let &LaneSettings { mac, hop_limit, .. } = settings;
    let link = Ipv4Addr::from_bits(low_bits(link_mask(Family::V4, prefix_len, next_hop)));
    Host4 {
        address: ip.octets(),
        broadcast: broadcast_of(ip, prefix_len).unwrap_or(Ipv4Addr::BROADCAST).octets(),
        icmp: Ipv4Template::new(ip, wire::ipv4::ICMP, hop_limit),
        udp: Ipv4Template::new(ip, wire::ipv4::UDP, hop_limit),
        arp: ArpTemplate::new(mac, ip),
        link_mask: u32::from_ne_bytes(link.octets()),
    }
}

fn host6(ip: Ipv6Addr, prefix_len: u8, next_hop: NextHop, settings: &LaneSettings) -> Host6 {
    let &LaneSettings { mac, hop_limit, .. } = settings;
    Host6 {
        address: ip.octets(),
        ipv6: Ipv6Template::new(ip, hop_limit),
        advertisement: AdvertisementTemplate::new(mac, ip),
        link_mask: link_mask(Family::V6, prefix_len, next_hop).to_be(),
    }
}

/// The bits of an asker's address that tell whether it is on the link.
fn link_mask(family: Family, prefix_len: u8, next_hop: NextHop) -> u128 {
    match next_hop {
        NextHop::Auto => family.mask(prefix_len),
        NextHop::Reflect => 0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an IPv4 address has 32 bits")]
const fn low_bits(number: u128) -> u32 {
    number as u32
}

/// One bit a port.
fn refused_sources(table: &RouteTable) -> Box<[u64; 1024]> {
    let mut words = Box::new([0; 1024]);
    for port in table.refused_sources() {
        let (word, bit) = place_of(port);
        if let Some(word) = words.get_mut(word) {
            *word |= 1 << bit;
        }
    }
    words
}

/// Which word and bit are a port's: by its bytes in memory order, as the packet has them.
#[inline(always)]
fn place_of(port: u16) -> (usize, u16) {
    let port = port.to_be();
    (usize::from(port / 64), port % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::headers::target_of;

    use crate::class::Responder;
    use crate::table::{Address, Owner};

    fn tables(owner: Owner) -> LaneTables {
        tables_with(owner, NextHop::Auto)
    }

    fn tables_with(owner: Owner, next_hop: NextHop) -> LaneTables {
        let address = |ip: &str, prefix_len| Address { ip: ip.parse().unwrap(), prefix_len, owner };
        let services = ["icmp-echo", "udp-echo:7", "udp-echo:4000", "stamp", "sockperf:5000"];
        let services = services.map(|name| name.parse().unwrap());
        let table =
            RouteTable::everywhere(vec![address("10.0.0.1", 24), address("fd00::1", 64)], &services).unwrap();
        table.compile(&LaneSettings {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            checksum: Summer::SCALAR,
            partial_checksums: PartialChecksums::Refuse,
            hop_limit: 64,
            errors_per_second: 100,
            next_hop,
            stamp_key: None,
            short_packets: ShortPackets::Drop,
        })
    }

    fn responder(tables: &LaneTables, ip: &str, kind: Kind, selector: u16) -> Option<Responder> {
        let headers = Headers { network: 14, end: 60, kind, selector };
        let target = target_of(ip.parse().unwrap());
        let class =
            tables.claimed(headers, target).or_else(|| tables.rest(kind, target)).map(Decision::class);
        class.map(|class| class.responder)
    }

    #[test]
    fn each_question_finds_its_responder() {
        let tables = tables(Owner::Barelane);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Arp, 1), Some(Responder::Arp));
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Icmpv4, 8), Some(Responder::Echo));
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Icmpv4, 13), None);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Udpv4, 4000), Some(Responder::UdpEcho));
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Udpv4, 8), Some(Responder::UdpClosed));
        assert_eq!(responder(&tables, "fd00::1", Kind::Icmpv6, 128), Some(Responder::Echo));
        assert_eq!(responder(&tables, "fd00::1", Kind::Solicitation, 135), Some(Responder::Neighbour));
        assert_eq!(responder(&tables, "fd00::1", Kind::Udpv6, 9), Some(Responder::UdpClosed));
        assert_eq!(responder(&tables, "10.0.0.2", Kind::Udpv4, 7), None);
        for (ip, kind) in [("10.0.0.1", Kind::Udpv4), ("fd00::1", Kind::Udpv6)] {
            assert_eq!(responder(&tables, ip, kind, 862), Some(Responder::Stamp));
            assert_eq!(responder(&tables, ip, kind, 5000), Some(Responder::Sockperf));
        }
    }

    #[test]
    fn the_kernel_keeps_what_no_route_claims_on_its_own_address() {
        let tables = tables(Owner::Kernel);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Arp, 1), None);
        assert_eq!(responder(&tables, "fd00::1", Kind::Solicitation, 135), None);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Udpv4, 8), None);
        assert_eq!(responder(&tables, "10.0.0.1", Kind::Udpv4, 7), Some(Responder::UdpEcho));
    }

    #[test]
    fn who_is_on_the_link_is_told_by_the_prefix_of_who_was_asked() {
        for (next_hop, is_reflected) in [(NextHop::Auto, false), (NextHop::Reflect, true)] {
            let tables = tables_with(Owner::Barelane, next_hop);
            let is_on_link = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => tables.hosts4.iter().all(|host| host.is_on_link(ip.octets())),
                IpAddr::V6(ip) => tables.hosts6.iter().all(|host| host.is_on_link(ip.octets())),
            };
            for ip in ["10.0.0.0", "10.0.0.255", "fd00::", "fd00::ffff:ffff:ffff:ffff"] {
                assert!(is_on_link(ip.parse().unwrap()), "{ip}");
            }
            for ip in ["10.0.1.0", "9.255.255.255", "138.0.0.1", "fd00:0:0:1::", "fcff:ffff::", "fe80::1"] {
                assert_eq!(is_on_link(ip.parse().unwrap()), is_reflected, "{ip}");
            }
        }
    }

    #[test]
    fn loop_ports_and_our_own_are_refused_as_sources() {
        let tables = tables(Owner::Barelane);
        let refused: Vec<u16> = (0..=u16::MAX).filter(|&port| tables.refuses_source(port)).collect();
        assert_eq!(refused, [0, 7, 13, 17, 19, 37, 53, 123, 862, 4000, 5000]);
    }
}

//! Packets from a seed: questions with the answers that they must get, and damaged ones that must get none or any.
//!
//! Built with etherparse, a second independent stack beside the one that writes the vectors. For simulations and
//! sweeps: every length, thousands of seeds. What must happen at the edges of a rule stands in the vectors.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header,
    Ipv6Extensions, Ipv6FlowLabel, Ipv6Header, PacketBuilder, PacketBuilderStep,
};

use crate::endpoint::{Address, Endpoint, Owner};
use crate::random::Random;

/// No frame on the wire is shorter, without its checksum sequence (IEEE 802.3 4A.3.2.3).
const FRAME_LEN_MIN: usize = 60;

/// The most that one frame carries behind its Ethernet header, on a link of the usual size.
pub const MTU: usize = 1500;

/// The asker's UDP port: far from every service that could make a loop (RFC 6335 section 6, dynamic ports).
const ASKER_PORT_MIN: u16 = 49_152;

/// What a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our link address, over ARP or by a neighbour solicitation.
    LinkAddress,
    /// An ICMP or ICMPv6 echo.
    Echo,
    /// A UDP echo at this port.
    UdpEcho(u16),
}

/// A question and the answer that it must get, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What is asked.
    pub question: Vec<u8>,
    /// What must come back.
    pub answer: Vec<u8>,
}

/// An endless supply of packets for one endpoint, all from one seed.
#[derive(Debug)]
pub struct Packets<'endpoint> {
    endpoint: &'endpoint Endpoint,
    random: Random,
}

impl<'endpoint> Packets<'endpoint> {
    /// The packets of this seed.
    pub fn new(endpoint: &'endpoint Endpoint, seed: u64) -> Self {
        Self { endpoint, random: Random::new(seed) }
    }

    /// A question that must be answered, and its answer.
    pub fn valid(&mut self) -> Exchange {
        let choices = choices(self.endpoint);
        let (address, kind) = self.random.one_of(&choices);
        let size = self.random.below(data_size_max(address.ip, kind) + 1);
        let data = self.random.bytes(size);
        exchange(self.endpoint, address.ip, kind, &data)
    }

    /// A question that something happened to: bits, lengths, fields or its end. It may still be valid by luck, so
    /// that nothing can be said of its answer; what it may not do is break the counters or stop the process.
    pub fn damaged(&mut self) -> Vec<u8> {
        let mut frame = self.valid().question;
        for _ in 0..=self.random.below(3) {
            self.damage(&mut frame);
        }
        frame
    }

    fn damage(&mut self, frame: &mut Vec<u8>) {
        // Where the headers are: damage to data is found by one checksum, damage here by everything else.
        let headers = frame.len().min(90);
        match self.random.below(6) {
            0 => self.change(frame, headers, |byte, random| byte ^ (1 << random.below(8))),
            1 => self.change(frame, headers, |_, random| random.next().to_le_bytes()[0]),
            2 => self.change(frame, headers, |_, random| random.one_of(&[0x00, 0x01, 0x7f, 0x80, 0xff])),
            3 => frame.truncate(1 + self.random.below(frame.len())),
            4 => {
                let size = self.random.below(MTU + 14 - frame.len().min(MTU + 14));
                frame.extend(self.random.bytes(size));
            }
            _ => {
                let from = self.valid().question;
                let end = self.random.below(frame.len().min(from.len()) + 1);
                frame.iter_mut().zip(&from).take(end).for_each(|(byte, other)| *byte = *other);
            }
        }
    }

    fn change(&mut self, frame: &mut [u8], below: usize, change: impl Fn(u8, &mut Random) -> u8) {
        let at = self.random.below(below);
        if let Some(byte) = frame.get_mut(at) {
            *byte = change(*byte, &mut self.random);
        }
    }
}

/// Everything that may be asked of this endpoint, and where.
pub fn choices(endpoint: &Endpoint) -> Vec<(&Address, Kind)> {
    let of = |address| {
        let Address { owner, services, .. }: &Address = address;
        let own = (*owner == Owner::Barelane).then_some(Kind::LinkAddress);
        own.into_iter()
            .chain(services.iter().filter_map(|name| kind_of(name)))
            .map(move |kind| (address, kind))
    };
    endpoint.addresses.iter().flat_map(of).collect()
}

fn kind_of(service: &str) -> Option<Kind> {
    match service.split_once(':') {
        None if service == "icmp-echo" => Some(Kind::Echo),
        Some(("udp-echo", port)) => port.parse().ok().map(Kind::UdpEcho),
        _ => None,
    }
}

/// How much data fits into one question of this kind.
pub fn data_size_max(ip: IpAddr, kind: Kind) -> usize {
    const TRANSPORT: usize = 8;
    let network = if ip.is_ipv4() { Ipv4Header::MIN_LEN } else { Ipv6Header::LEN };
    if kind == Kind::LinkAddress { 0 } else { MTU - network - TRANSPORT }
}

/// A question of one kind to one address, with this data, and its answer. Link addresses are asked for without data.
///
/// # Panics
/// Where the data do not fit into one frame.
pub fn exchange(endpoint: &Endpoint, ip: IpAddr, kind: Kind, data: &[u8]) -> Exchange {
    assert!(data.len() <= data_size_max(ip, kind), "{} bytes do not fit", data.len());
    let port = ASKER_PORT_MIN + u16::from(data.first().copied().unwrap_or(0));
    match (kind, ip) {
        (Kind::LinkAddress, IpAddr::V4(ip)) => arp(endpoint, ip),
        (Kind::LinkAddress, IpAddr::V6(ip)) => solicitation(endpoint, ip),
        (Kind::Echo, IpAddr::V4(_)) => Exchange {
            question: written(data, |to| asked(endpoint, ip).icmpv4_echo_request(port, 1).write(to, data)),
            answer: written(data, |to| answered(endpoint, ip).icmpv4_echo_reply(port, 1).write(to, data)),
        },
        (Kind::Echo, IpAddr::V6(_)) => Exchange {
            question: written(data, |to| asked(endpoint, ip).icmpv6_echo_request(port, 1).write(to, data)),
            answer: written(data, |to| answered(endpoint, ip).icmpv6_echo_reply(port, 1).write(to, data)),
        },
        (Kind::UdpEcho(service), _) => Exchange {
            question: written(data, |to| asked(endpoint, ip).udp(port, service).write(to, data)),
            answer: written(data, |to| answered(endpoint, ip).udp(service, port).write(to, data)),
        },
    }
}

/// A question's headers as a common sender writes them.
fn asked(endpoint: &Endpoint, own: IpAddr) -> PacketBuilderStep<IpHeaders> {
    let Endpoint { mac, asker, .. } = endpoint;
    let builder = PacketBuilder::ethernet2(asker.mac, *mac);
    match own {
        IpAddr::V4(own) => builder.ip(ipv4_header(asker.ipv4, own, 57, 0x1234)),
        IpAddr::V6(own) => builder.ip(ipv6_header(asker.ipv6, own, 57)),
    }
}

/// An answer's headers by our reply policy.
fn answered(endpoint: &Endpoint, own: IpAddr) -> PacketBuilderStep<IpHeaders> {
    let Endpoint { mac, asker, hop_limit, .. } = endpoint;
    let builder = PacketBuilder::ethernet2(*mac, asker.mac);
    match own {
        IpAddr::V4(own) => builder.ip(ipv4_header(own, asker.ipv4, *hop_limit, 0)),
        IpAddr::V6(own) => builder.ip(ipv6_header(own, asker.ipv6, *hop_limit)),
    }
}

/// Lengths, protocol and checksum are the builder's to fill in.
fn ipv4_header(src: Ipv4Addr, dst: Ipv4Addr, ttl: u8, identification: u16) -> IpHeaders {
    let header = Ipv4Header {
        identification,
        time_to_live: ttl,
        dont_fragment: true,
        source: src.octets(),
        destination: dst.octets(),
        ..Ipv4Header::default()
    };
    IpHeaders::Ipv4(header, Ipv4Extensions::default())
}

fn ipv6_header(src: Ipv6Addr, dst: Ipv6Addr, hop_limit: u8) -> IpHeaders {
    let header = Ipv6Header {
        flow_label: Ipv6FlowLabel::ZERO,
        hop_limit,
        next_header: IpNumber::UDP,
        source: src.octets(),
        destination: dst.octets(),
        ..Ipv6Header::default()
    };
    IpHeaders::Ipv6(header, Ipv6Extensions::default())
}

fn arp(endpoint: &Endpoint, own: Ipv4Addr) -> Exchange {
    let Endpoint { mac, asker, .. } = endpoint;
    let packet = |operation, from: ([u8; 6], Ipv4Addr), to: ([u8; 6], Ipv4Addr)| {
        ArpPacket::new(
            ArpHardwareId::ETHERNET,
            EtherType::IPV4,
            operation,
            &from.0,
            &from.1.octets(),
            &to.0,
            &to.1.octets(),
        )
    };
    let question = packet(ArpOperation::REQUEST, (asker.mac, asker.ipv4), ([0; 6], own));
    let answer = packet(ArpOperation::REPLY, (*mac, own), (asker.mac, asker.ipv4));
    Exchange {
        question: written(&[], |to| {
            PacketBuilder::ethernet2(asker.mac, [0xff; 6]).arp(known(question)).write(to)
        }),
        answer: written(&[], |to| PacketBuilder::ethernet2(*mac, asker.mac).arp(known(answer)).write(to)),
    }
}

/// A solicitation to the solicited-node group (RFC 4291 2.7.1) with the asker's link address, and its advertisement.
fn solicitation(endpoint: &Endpoint, own: Ipv6Addr) -> Exchange {
    const SOLICITED_AND_OVERRIDE: [u8; 4] = [0x60, 0, 0, 0];
    let Endpoint { mac, asker, .. } = endpoint;
    let [.., a, b, c] = own.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let body = |option, mac: &[u8; 6]| [&own.octets()[..], &[option, 1], mac].concat();
    let (asks, says) = (body(1, &asker.mac), body(2, mac));
    Exchange {
        question: written(&asks, |to| {
            let builder = PacketBuilder::ethernet2(asker.mac, [0x33, 0x33, 0xff, a, b, c]);
            builder.ip(ipv6_header(asker.ipv6, group, 255)).icmpv6_raw(135, 0, [0; 4]).write(to, &asks)
        }),
        answer: written(&says, |to| {
            let builder = PacketBuilder::ethernet2(*mac, asker.mac);
            let builder = builder.ip(ipv6_header(own, asker.ipv6, 255));
            builder.icmpv6_raw(136, 0, SOLICITED_AND_OVERRIDE).write(to, &says)
        }),
    }
}

/// The bytes that `write` writes around `data`, padded to a whole frame.
fn written<E: std::fmt::Debug>(data: &[u8], write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(data.len() + 128);
    known(write(&mut frame));
    frame.resize(frame.len().max(FRAME_LEN_MIN), 0);
    frame
}

/// What cannot fail, because every length was checked by [`exchange`].
#[expect(clippy::panic, reason = "a test may stop, and this is code for tests only")]
fn known<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("etherparse refuses what was checked before: {error:?}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{endpoint, vectors};

    #[test]
    fn a_seed_gives_the_same_packets_again() {
        let endpoint = endpoint::load().unwrap();
        let (mut one, mut same, mut other) =
            (Packets::new(&endpoint, 7), Packets::new(&endpoint, 7), Packets::new(&endpoint, 8));
        let run = |packets: &mut Packets<'_>| (0..100).map(|_| packets.damaged()).collect::<Vec<_>>();
        assert_eq!(run(&mut one), run(&mut same));
        assert_ne!(run(&mut one), run(&mut other));
    }

    #[test]
    fn every_service_of_every_address_is_asked() {
        let endpoint = endpoint::load().unwrap();
        let mut packets = Packets::new(&endpoint, 1);
        let ends = |frame: Vec<u8>| frame.get(12..24).map(<[u8]>::to_vec);
        assert_eq!(choices(&endpoint).len(), 14);
        assert!((0..500).map(|_| ends(packets.valid().question)).collect::<HashSet<_>>().len() > 100);
    }

    #[test]
    fn both_stacks_write_the_same_answers() {
        let endpoint = endpoint::load().unwrap();
        for id in ["A1-request", "D2-solicitation"] {
            let vector = vectors::load().unwrap().into_iter().find(|vector| vector.rule.id == id).unwrap();
            let own = endpoint.addresses[usize::from(id == "D2-solicitation")].ip;
            let Exchange { question, answer } = exchange(&endpoint, own, Kind::LinkAddress, &[]);
            assert_eq!(
                (vector.question, vector.expectation),
                (question, vectors::Expectation::Reply(answer))
            );
        }
    }
}

//! Filters against packets, refused ones by the word at fault, and any filter against a straight reading of it.

use std::net::IpAddr;

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use proptest::prelude::*;
use testkit::endpoint;
use testkit::packets::Packets;

use super::*;

/// Packets by what they are: of UDP from port 4000 to 7, of ICMP, of ARP, each from host 2 to host 1.
fn packets() -> [(&'static str, Vec<u8>); 5] {
    let udp = [0x0f, 0xa0, 0, 7, 0, 8, 0, 0];
    [
        (
            "arp",
            ethernet(0x0806, &[&[0, 1, 8, 0, 6, 4, 0, 1][..], &[2; 6], &V4[0], &[0; 6], &V4[1]].concat()),
        ),
        ("icmp", ethernet(0x0800, &ipv4(1, &[8, 0, 0, 0, 0, 0, 0, 0]))),
        ("udp4", ethernet(0x0800, &ipv4(17, &udp))),
        ("udp6", ethernet(0x86dd, &ipv6(17, &udp))),
        ("icmp6", ethernet(0x86dd, &ipv6(58, &[128, 0, 0, 0, 0, 0, 0, 0]))),
    ]
}

const V4: [[u8; 4]; 2] = [[10, 0, 0, 2], [10, 0, 0, 1]];

fn ethernet(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    [&[2; 12], &ethertype.to_be_bytes()[..], packet].concat()
}

fn ipv4(protocol: u8, transport: &[u8]) -> Vec<u8> {
    [&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0][..], &V4[0], &V4[1], transport].concat()
}

fn ipv6(next_header: u8, transport: &[u8]) -> Vec<u8> {
    let address = |last| [&[0xfd][..], &[0; 14], &[last]].concat();
    [&[0x60, 0, 0, 0, 0, 8, next_header, 64][..], &address(2), &address(1), transport].concat()
}

#[test]
fn filters_take_what_they_say() {
    for (filter, taken) in [
        ("", "arp icmp udp4 udp6 icmp6"),
        ("  ", "arp icmp udp4 udp6 icmp6"),
        ("arp", "arp"),
        ("ip", "icmp udp4"),
        ("ip6", "udp6 icmp6"),
        ("icmp", "icmp"),
        ("icmp6", "icmp6"),
        ("udp", "udp4 udp6"),
        ("tcp", ""),
        ("port 7", "udp4 udp6"),
        ("udp port 7", "udp4 udp6"),
        ("tcp port 7", ""),
        ("src port 7", ""),
        ("dst port 7", "udp4 udp6"),
        ("udp src port 4000", "udp4 udp6"),
        ("host 10.0.0.2", "arp icmp udp4"),
        ("arp host 10.0.0.2", "arp"),
        ("ip dst host 10.0.0.2", ""),
        ("src host fd00::2", "udp6 icmp6"),
        ("ip6 host fd00::1", "udp6 icmp6"),
        ("net 10.0.0.0/31", "arp icmp udp4"),
        ("dst net 10.0.0.2/31", ""),
        ("net ::/0", "udp6 icmp6"),
        ("not udp", "arp icmp icmp6"),
        ("!udp", "arp icmp icmp6"),
        ("not not udp", "udp4 udp6"),
        ("udp and ip", "udp4"),
        ("udp&&ip", "udp4"),
        ("icmp or arp", "arp icmp"),
        ("icmp||arp", "arp icmp"),
        // From left to right, as libpcap has it: (arp or icmp) and ip, and not arp or (icmp and ip).
        ("arp or icmp and ip", "icmp"),
        ("arp or (icmp and ip)", "arp icmp"),
        ("not arp and ip", "icmp udp4"),
        ("not (arp or ip)", "udp6 icmp6"),
        ("((udp))and(port 7)", "udp4 udp6"),
    ] {
        let program = compile(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        let found: Vec<_> =
            packets().iter().filter(|(_, frame)| program.takes(frame)).map(|(name, _)| *name).collect();
        assert_eq!(found.join(" "), taken, "{filter:?}");
    }
}

#[test]
fn what_is_not_in_the_language_is_refused_by_its_word() {
    for (filter, parts) in [
        ("vlan 5", ["'vlan'", "write arp, icmp"]),
        ("udp port echo", ["'echo' is no port", "names are not looked up"]),
        ("udp port 65536", ["'65536' is no port", "0 to 65535"]),
        ("port", ["port has no value", "write a number"]),
        ("portrange 1-9", ["'portrange'", "[src|dst] port N"]),
        ("host router", ["'router' is no address", "write an address such as"]),
        ("host", ["host has no value", "write an address"]),
        ("net 10.0.0.1/8", ["'10.0.0.1/8'", "10.0.0.0/8"]),
        ("net 10", ["'10'", "not a prefix"]),
        ("src", ["it ends where", "write arp"]),
        ("src 10.0.0.1", ["'10.0.0.1' stands where", "write arp"]),
        ("src or dst port 7", ["'or' stands where", "write arp"]),
        ("ip host fd00::1", ["'fd00::1' is of the other family than ip", "leave ip out"]),
        ("ip6 net 10.0.0.0/8", ["'10.0.0.0/8' is of the other family than ip6", "leave ip6 out"]),
        ("icmp port 7", ["'icmp' has no port", "tcp, udp"]),
        ("udp host 10.0.0.1", ["'udp' has no host", "write udp and host"]),
        ("udp port 7 icmp", ["nothing joins 'icmp'", "write and, or or"]),
        ("udp 7", ["'7' is no word", "write arp"]),
        ("udp and", ["it ends where a test belongs", "write arp"]),
        ("and udp", ["'and' is no word", "write arp"]),
        ("(udp", ["is not closed", "close it"]),
        ("(udp icmp)", ["nothing joins 'icmp'", "write and or or"]),
        ("udp)", ["closed that was not opened", "take it away"]),
        ("()", ["')' is no word", "write arp"]),
        ("udp & icmp", ["'&' is no word", "write arp"]),
        ("UDP", ["'UDP' is no word", "udp"]),
        ("ether host 02:00:00:00:00:01", ["'ether'", "write arp"]),
        ("len > 60", ["'len'", "write arp"]),
    ] {
        let error = compile(filter).unwrap_err().of("--filter", filter).to_string();
        for part in parts {
            assert!(error.contains(part), "`{part}` is not in\n{error}");
        }
    }
}

#[test]
fn a_filter_is_bounded_in_length_depth_and_tests() {
    let nested = |depth| format!("{}udp{}", "(".repeat(depth), ")".repeat(depth));
    assert!(compile(&nested(DEPTH_MAX)).is_ok());
    assert!(compile(&nested(DEPTH_MAX + 1)).unwrap_err().to_string().contains("nested"));
    assert!(compile(&"! ".repeat(DEPTH_MAX + 1)).is_err());
    let chain = |count: usize| vec!["udp"; count].join(" or ");
    assert!(compile(&chain(lane::filter::TESTS_MAX)).is_ok());
    assert!(compile(&chain(lane::filter::TESTS_MAX + 1)).unwrap_err().to_string().contains("too long"));
    assert!(compile(&" ".repeat(LENGTH_MAX + 1)).is_err());
}

/// A filter as its words, read straight: no program, no precedence to get wrong, each term looked at.
#[derive(Clone, Debug)]
enum Words {
    One(Primitive),
    Not(Box<Self>),
    /// The first, and what is joined to it, from left to right; true for "and".
    Chain(Box<Self>, Vec<(bool, Self)>),
}

#[derive(Clone, Debug)]
enum Primitive {
    Protocol(&'static str),
    /// Protocol, end, number.
    Port(&'static str, &'static str, u16),
    Net(&'static str, IpAddr, u8),
}

/// What etherparse finds in a packet.
struct Parsed {
    ethertype: Option<EtherType>,
    protocol: Option<u8>,
    addresses: Option<[IpAddr; 2]>,
    ports: Option<[u16; 2]>,
}

impl Parsed {
    fn of(frame: &[u8]) -> Self {
        let packet = LaxSlicedPacket::from_ethernet(frame).unwrap();
        let mut parsed = Self { ethertype: None, protocol: None, addresses: None, ports: None };
        match &packet.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                parsed.ethertype = Some(EtherType::IPV4);
                parsed.protocol = Some(ip.header().protocol().0);
                parsed.addresses =
                    Some([ip.header().source_addr().into(), ip.header().destination_addr().into()]);
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                parsed.ethertype = Some(EtherType::IPV6);
                parsed.protocol = Some(ip.header().next_header().0);
                parsed.addresses =
                    Some([ip.header().source_addr().into(), ip.header().destination_addr().into()]);
            }
            Some(LaxNetSlice::Arp(arp)) => {
                parsed.ethertype = Some(EtherType::ARP);
                let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).unwrap().into();
                parsed.addresses =
                    Some([address(arp.sender_protocol_addr()), address(arp.target_protocol_addr())]);
            }
            None => {}
        }
        if let Some(TransportSlice::Udp(udp)) = &packet.transport {
            parsed.ports = Some([udp.source_port(), udp.destination_port()]);
        }
        parsed
    }

    fn is(&self, protocol: &str) -> bool {
        match protocol {
            "" => true,
            "arp" => self.ethertype == Some(EtherType::ARP),
            "ip" => self.ethertype == Some(EtherType::IPV4),
            "ip6" => self.ethertype == Some(EtherType::IPV6),
            "icmp" => self.is("ip") && self.protocol == Some(1),
            "icmp6" => self.is("ip6") && self.protocol == Some(58),
            "tcp" => self.protocol == Some(6),
            "udp" => self.protocol == Some(17),
            other => panic!("{other}"),
        }
    }

    fn meets(&self, words: &Words) -> bool {
        match words {
            Words::Not(of) => !self.meets(of),
            Words::Chain(first, rest) => rest.iter().fold(self.meets(first), |met, (is_and, next)| {
                if *is_and { met & self.meets(next) } else { met | self.meets(next) }
            }),
            Words::One(Primitive::Protocol(name)) => self.is(name),
            Words::One(Primitive::Port(protocol, end, port)) => {
                self.is(protocol) && ends(end, self.ports).contains(port)
            }
            Words::One(Primitive::Net(end, network, len)) => ends(end, self.addresses)
                .iter()
                .any(|one| Prefix::around(*network, *len).unwrap().contains(*one)),
        }
    }
}

fn ends<T: Copy>(end: &str, both: Option<[T; 2]>) -> Vec<T> {
    let both = both.map(Vec::from).unwrap_or_default();
    match end {
        "src" => both.into_iter().take(1).collect(),
        "dst" => both.into_iter().skip(1).collect(),
        _ => both,
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(Primitive::Protocol(name)) => out.write_str(name),
            Self::One(Primitive::Port(protocol, end, port)) => write!(out, "{protocol} {end} port {port}"),
            Self::One(Primitive::Net(end, network, len)) => {
                write!(out, "{end} net {}", Prefix::around(*network, *len).unwrap())
            }
            Self::Not(of) => write!(out, "not {of}"),
            Self::Chain(first, rest) => {
                write!(out, "({first}")?;
                rest.iter().try_for_each(|(is_and, next)| {
                    write!(out, " {} {next}", if *is_and { "and" } else { "||" })
                })?;
                out.write_str(")")
            }
        }
    }
}

fn primitives() -> impl Strategy<Value = Words> {
    let end = || prop::sample::select(vec!["", "src", "dst"]);
    let protocol = prop::sample::select(vec!["arp", "icmp", "icmp6", "ip", "ip6", "tcp", "udp"]);
    let port = (
        prop::sample::select(vec!["", "tcp", "udp"]),
        end(),
        prop::sample::select(vec![7_u16, 9, 862, 50_000]),
    );
    let address =
        prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "192.0.2.1", "fd00::1", "fd00::2", "fe80::1"]);
    let net = (end(), address, 0..=32_u8);
    prop_oneof![
        protocol.prop_map(Primitive::Protocol),
        port.prop_map(|(protocol, end, port)| Primitive::Port(protocol, end, port)),
        net.prop_map(|(end, address, len)| Primitive::Net(end, address.parse().unwrap(), len)),
    ]
    .prop_map(Words::One)
}

fn filters() -> impl Strategy<Value = Words> {
    primitives().prop_recursive(4, 24, 4, |inner| {
        let joined = prop::collection::vec((any::<bool>(), inner.clone()), 0..4);
        prop_oneof![
            inner.clone().prop_map(|of| Words::Not(Box::new(of))),
            (inner, joined).prop_map(|(first, rest)| Words::Chain(Box::new(first), rest)),
        ]
    })
}

proptest! {
    #[test]
    fn any_filter_takes_what_a_straight_reading_of_it_takes(words in filters(), seed in any::<u64>()) {
        let endpoint = endpoint::load().unwrap();
        let mut packets = Packets::new(&endpoint, seed);
        let program = compile(&words.to_string()).unwrap();
        for _ in 0..20 {
            let exchange = packets.valid();
            for frame in [&exchange.question, &exchange.answer] {
                let parsed = Parsed::of(frame);
                prop_assert_eq!(program.takes(frame), parsed.meets(&words), "{} on {:02x?}", &words, frame);
            }
        }
    }

    #[test]
    fn no_text_stops_the_parser(text in "[a-z0-9 ()!&|./:]{0,60}", frame in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(program) = compile(&text) {
            program.takes(&frame);
        }
    }
}

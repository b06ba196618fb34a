//! Which packets a capture takes: a program of tests on headers, flat, and run in the lane.
//!
//! ```text
//!   udp port 7 and not net 10.0.0.0/8
//!
//!   ▶ protocol 17 ──yes──▶ port 7 ──yes──▶ net 10.0.0.0/8 ──no──▶ taken
//!          └─no─▶ left        └─no─▶ left         └─yes─▶ left
//! ```
//!
//! Each test says which one is next where it is met and where it is not. The next one always stands before it in memory, so
//! that no program runs longer than it is, and nothing has to be proven of it when it runs.

use std::net::IpAddr;

use route::Prefix;
use wire::arp::Arp;
use wire::ethernet::{self, Ethernet, Vlan};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

/// The most tests of a program. At some ten instructions each, the longest costs a captured packet about what answering it
/// does ten times; more are asked for by programs and not by people.
pub const TESTS_MAX: usize = 256;

/// How many VLAN tags are looked behind: as many as lanes do.
const TAGS_MAX: usize = 2;

/// IP protocols with ports at the beginning of their headers: TCP, UDP, SCTP (RFC 9260 3.1), as pcap-filter(7) has it.
const WITH_PORTS: [u8; 3] = [6, wire::ipv4::UDP, 132];

/// The bits of IPv4's fragment field that say where a fragment begins; behind the first there are no ports.
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Which end of a packet is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that it comes from.
    Source,
    /// The one that it goes to.
    Destination,
    /// At least one of them.
    Either,
}

/// One thing that is asked of a packet. What cannot be read of a packet is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is of ARP.
    Arp,
    /// It is of IPv4.
    Ipv4,
    /// It is of IPv6.
    Ipv6,
    /// Its IPv4 header names this protocol, or its IPv6 header as the next one.
    Protocol(u8),
    /// It has ports, and this is one of them.
    Port(End, u16),
    /// An address of it, or one that it says in ARP, is in this prefix.
    Net(End, Prefix),
}

/// What is asked of a packet, as a person writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Nothing: every packet is taken.
    Anything,
    /// One test.
    Is(Test),
    /// The opposite.
    Not(Box<Self>),
    /// Both.
    And(Box<Self>, Box<Self>),
    /// At least one of them.
    Or(Box<Self>, Box<Self>),
}

/// An expression has more than [`TESTS_MAX`] tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Where a program goes on, or how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Taken,
    Left,
    At(u16),
}

/// One test, and what comes after it.
#[derive(Clone, Copy, Debug)]
struct Step {
    test: Test,
    met: Next,
    unmet: Next,
}

/// An expression, compiled. Each step leads to steps before it only.
#[derive(Clone, Debug)]
pub struct Filter {
    steps: Box<[Step]>,
    first: Next,
}

impl Filter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Where it has more than [`TESTS_MAX`] tests.
    pub fn new(expression: &Expression) -> Result<Self, TooLong> {
        let mut steps = Vec::new();
        let first = compile(&mut steps, expression, Next::Taken, Next::Left)?;
        Ok(Self { steps: steps.into_boxed_slice(), first })
    }

    /// Whether a frame is one of those that are wanted. Cost: reading its addresses and ports once, and a comparison for each
    /// test on the way; nothing where every frame is wanted.
    pub fn takes(&self, frame: &[u8]) -> bool {
        if self.steps.is_empty() {
            return self.first == Next::Taken;
        }
        let subject = Subject::of(frame);
        let mut next = self.first;
        for _ in 0..=self.steps.len() {
            let step = match next {
                Next::Taken => return true,
                Next::Left => return false,
                Next::At(index) => self.steps.get(usize::from(index)),
            };
            let Some(step) = step else { return false };
            next = if subject.meets(step.test) { step.met } else { step.unmet };
        }
        false
    }
}

/// Appends the steps of an expression, what comes last first, and gives where it begins.
fn compile(steps: &mut Vec<Step>, expression: &Expression, met: Next, unmet: Next) -> Result<Next, TooLong> {
    match expression {
        Expression::Anything => Ok(met),
        Expression::Not(of) => compile(steps, of, unmet, met),
        Expression::And(left, right) => {
            let right = compile(steps, right, met, unmet)?;
            compile(steps, left, right, unmet)
        }
        Expression::Or(left, right) => {
            let right = compile(steps, right, met, unmet)?;
            compile(steps, left, met, right)
        }
        &Expression::Is(test) => {
            let index = u16::try_from(steps.len()).map_err(|_| TooLong)?;
            if steps.len() >= TESTS_MAX {
                return Err(TooLong);
            }
            steps.push(Step { test, met, unmet });
            Ok(Next::At(index))
        }
    }
}

/// What of a frame is asked about. Read without judging the packet: a checksum may be wrong, and what follows may be cut off.
#[derive(Clone, Copy, Debug, Default)]
struct Subject {
    ethertype: u16,
    /// Source and destination.
    addresses: Option<[IpAddr; 2]>,
    protocol: Option<u8>,
    ports: Option<[u16; 2]>,
}

impl Subject {
    fn of(frame: &[u8]) -> Self {
        let Some((ethertype, packet)) = network(frame) else { return Self::default() };
        let read = match ethertype {
            ethernet::ARP => Self::arp(packet),
            ethernet::IPV4 => Self::ipv4(packet),
            ethernet::IPV6 => Self::ipv6(packet),
            _ => None,
        };
        Self { ethertype, ..read.unwrap_or_default() }
    }

    fn arp(packet: &[u8]) -> Option<Self> {
        let arp = Arp::of(packet, 0).filter(|arp| arp.is_ipv4_over_ethernet())?;
        Some(Self { addresses: Some([arp.sender_ip.into(), arp.target_ip.into()]), ..Self::default() })
    }

    fn ipv4(packet: &[u8]) -> Option<Self> {
        let ip = Ipv4::of(packet, 0)?;
        let header_len = usize::from(ip.version_and_len & 0x0f) * 4;
        let transport =
            if ip.fragment.get() & FRAGMENT_OFFSET == 0 { packet.get(header_len..) } else { None };
        Some(Self {
            addresses: Some([ip.src.into(), ip.dst.into()]),
            protocol: Some(ip.protocol),
            ports: transport.and_then(|transport| ports(ip.protocol, transport)),
            ..Self::default()
        })
    }

    fn ipv6(packet: &[u8]) -> Option<Self> {
        let ip = Ipv6::of(packet, 0)?;
        let transport = packet.get(Ipv6::LEN..);
        Some(Self {
            addresses: Some([ip.src.into(), ip.dst.into()]),
            protocol: Some(ip.next_header),
            ports: transport.and_then(|transport| ports(ip.next_header, transport)),
            ..Self::default()
        })
    }

    fn meets(&self, test: Test) -> bool {
        match test {
            Test::Arp => self.ethertype == ethernet::ARP,
            Test::Ipv4 => self.ethertype == ethernet::IPV4,
            Test::Ipv6 => self.ethertype == ethernet::IPV6,
            Test::Protocol(number) => self.protocol == Some(number),
            Test::Port(end, port) => end.is_met(self.ports, |one| one == port),
            Test::Net(end, prefix) => end.is_met(self.addresses, |one| prefix.contains(one)),
        }
    }
}

impl End {
    fn is_met<T>(self, ends: Option<[T; 2]>, is_meant: impl Fn(T) -> bool) -> bool {
        let Some([source, destination]) = ends else { return false };
        match self {
            Self::Source => is_meant(source),
            Self::Destination => is_meant(destination),
            Self::Either => is_meant(source) || is_meant(destination),
        }
    }
}

/// The first ethertype that is no VLAN tag's, and what follows it.
fn network(frame: &[u8]) -> Option<(u16, &[u8])> {
    let mut ethertype = Ethernet::of(frame, 0)?.ethertype.get();
    let mut at = Ethernet::LEN;
    for _ in 0..TAGS_MAX {
        if ethertype != ethernet::VLAN && ethertype != ethernet::SERVICE_VLAN {
            break;
        }
        ethertype = Vlan::of(frame, at)?.ethertype.get();
        at += Vlan::LEN;
    }
    Some((ethertype, frame.get(at..)?))
}

/// Source and destination port, where the protocol has them.
fn ports(protocol: u8, transport: &[u8]) -> Option<[u16; 2]> {
    let &[src_high, src_low, dst_high, dst_low] = transport.first_chunk()?;
    let ports = [[src_high, src_low], [dst_high, dst_low]].map(u16::from_be_bytes);
    WITH_PORTS.contains(&protocol).then_some(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Expression = Expression::Is(Test::Protocol(17));

    fn port(number: u16) -> Expression {
        Expression::Is(Test::Port(End::Either, number))
    }

    /// A frame of UDP over IPv4, from 10.0.0.2 port 4000 to 10.0.0.1 port 7.
    fn udp() -> Vec<u8> {
        let mut frame = vec![0; 60];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x45;
        frame[23] = 17;
        frame[26..34].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
        frame[34..38].copy_from_slice(&[0x0f, 0xa0, 0, 7]);
        frame
    }

    fn takes(expression: &Expression, frame: &[u8]) -> bool {
        Filter::new(expression).unwrap().takes(frame)
    }

    #[test]
    fn no_test_takes_everything_and_its_opposite_nothing() {
        let nothing = Expression::Not(Box::new(Expression::Anything));
        for frame in [&[][..], &[0xa5; 60], &udp()] {
            assert!(takes(&Expression::Anything, frame) && !takes(&nothing, frame));
        }
    }

    #[test]
    fn each_end_of_a_packet_is_told_from_the_other() {
        let frame = udp();
        let ends = [End::Source, End::Destination, End::Either];
        let of_port = |port| ends.map(|end| takes(&Expression::Is(Test::Port(end, port)), &frame));
        assert_eq!([of_port(4000), of_port(7)], [[true, false, true], [false, true, true]]);
        assert_eq!(of_port(8), [false; 3]);
        let of_net =
            |net: &str| ends.map(|end| takes(&Expression::Is(Test::Net(end, net.parse().unwrap())), &frame));
        assert_eq!(of_net("10.0.0.2/32"), [true, false, true]);
        assert_eq!(of_net("10.0.0.0/31"), [false, true, true]);
        assert_eq!(of_net("::/0"), [false; 3]);
    }

    #[test]
    fn a_packet_that_is_cut_off_has_no_ports_and_a_later_fragment_neither() {
        let whole = udp();
        assert!(takes(&port(7), &whole) && !takes(&port(7), &whole[..37]));
        assert!(takes(&UDP, &whole[..34]) && !takes(&UDP, &whole[..33]));
        let mut fragment = whole;
        fragment[21] = 1;
        assert!(takes(&UDP, &fragment) && !takes(&port(7), &fragment));
    }

    #[test]
    fn tags_are_looked_behind() {
        let mut frame = udp();
        frame.splice(12..12, [0x88, 0xa8, 0, 1, 0x81, 0, 0, 2]);
        assert!(takes(&port(7), &frame));
        frame.splice(12..12, [0x81, 0, 0, 3]);
        assert!(!takes(&port(7), &frame));
    }

    #[test]
    fn a_program_of_the_most_tests_is_compiled_and_one_more_is_refused() {
        let chain =
            |count| (1..count).fold(port(7), |left, _| Expression::And(Box::new(left), Box::new(port(7))));
        assert!(takes(&chain(TESTS_MAX), &udp()));
        assert_eq!(Filter::new(&chain(TESTS_MAX + 1)).unwrap_err(), TooLong);
    }
}

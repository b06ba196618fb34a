//! The other end of these tests makes its frames by the templates of `wire`, and a parser of another hand reads ours.

use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{ArpOperation, EtherType, NetSlice, SlicedPacket, TransportSlice};
use nic::queue::{Burst, Frame};
use telemetry::TickRate;

use super::*;
use crate::clock::WallTime;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const OWN_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const OTHER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const OWN_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
const OTHER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));
const FAMILIES: [(IpAddr, IpAddr); 2] = [(OWN_V4, OTHER_V4), (OWN_V6, OTHER_V6)];

/// A link in memory, with the other end's station on it, which answers from its `silence`-th question on.
struct Wire {
    connection: Option<u32>,
    room: Vec<u8>,
    spare: Option<Frame>,
    sent: Vec<Vec<u8>>,
    waiting: Vec<Vec<u8>>,
    station: Option<Neighbours>,
    silence: usize,
}

impl Wire {
    fn new() -> Self {
        // A frame is made by a card only: this one is lent by a card in memory.
        let mut card = nic::sim::Card::new(4, 1, nic::sim::Faults::default());
        card.inject(&[0; 60]);
        let mut burst = card.rx();
        let spare = card.next(&mut burst);
        let (sent, waiting) = (Vec::new(), Vec::new());
        Self { connection: Some(0), room: vec![0xa5; 256], spare, sent, waiting, station: None, silence: 0 }
    }

    fn with(mac: Mac, ip: IpAddr, silence: usize) -> Self {
        let station = neighbours(mac, ip, NextHop::Fixed(OWN));
        Self { station: Some(station), silence, ..Self::new() }
    }
}

impl Queue for Wire {
    fn rx(&mut self) -> Burst {
        self.waiting.clear();
        if let Some(mut station) = self.station.take() {
            let mut reply = Self::new();
            for frame in self.sent.iter().skip(self.silence) {
                station.hear(frame, &mut reply);
            }
            self.waiting = reply.sent;
            self.station = Some(station);
        }
        nic::sim::Card::new(4, 1, nic::sim::Faults::default()).rx()
    }

    fn next(&mut self, _: &mut Burst) -> Option<Frame> {
        let mut frame = self.spare.take()?;
        let Some(bytes) = self.waiting.pop() else {
            self.spare = Some(frame);
            return None;
        };
        self.room[..bytes.len()].copy_from_slice(&bytes);
        frame.set_len(bytes.len());
        Some(frame)
    }

    fn room_mut(&mut self, _: &Frame) -> &mut [u8] {
        &mut self.room
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        self.sent.push(self.room[..frame.len()].to_vec());
        self.spare = Some(frame);
        Ok(())
    }

    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        Err(frame)
    }

    fn release(&mut self, frame: Frame) {
        self.spare = Some(frame);
    }

    fn flush(&mut self) {}
}

impl Origin for Wire {
    fn spare(&mut self) -> Option<Frame> {
        self.spare.take()
    }

    fn connection(&self) -> Option<u32> {
        self.connection
    }
}

/// A clock by which every reading takes a tenth of a try.
#[derive(Default)]
struct CountingClock(Cell<u64>);

impl Clock for CountingClock {
    fn now(&self) -> Tick {
        self.0.set(self.0.get() + TRY_INTERVAL.0 / 10);
        Tick(self.0.get())
    }

    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }

    fn wall(&self, at: Tick) -> WallTime {
        WallTime(at.0)
    }

    fn name(&self) -> &'static str {
        "counting"
    }
}

fn neighbours(mac: Mac, ip: IpAddr, next_hop: NextHop) -> Neighbours {
    Neighbours::new(Station { mac, ip }, next_hop).unwrap()
}

fn question(own: Station, ip: IpAddr) -> Vec<u8> {
    let mut room = vec![0xa5; 128];
    let end = question::write(own, ip, &mut room).unwrap();
    let len = ethernet::pad(&mut room, end);
    room.truncate(len);
    room
}

fn resolved(queue: &mut Wire, own: IpAddr, next_hop: IpAddr) -> Result<Mac, Unresolved> {
    let stop = AtomicBool::new(false);
    let mut neighbours = neighbours(OWN, own, NextHop::Owner(next_hop));
    neighbours.resolve(std::slice::from_mut(queue), &CountingClock::default(), &stop)
}

#[test]
fn an_independent_parser_agrees_with_the_arp_request() {
    let bytes = question(Station { mac: OWN, ip: OWN_V4 }, OTHER_V4);
    assert_eq!((&bytes[..6], &bytes[6..12], bytes.len()), (&[0xff; 6][..], &OWN.0[..], 60));
    let packet = SlicedPacket::from_ethernet(&bytes).unwrap();
    let Some(NetSlice::Arp(arp)) = packet.net else { panic!("{packet:?}") };
    assert_eq!((arp.operation(), arp.proto_addr_type()), (ArpOperation::REQUEST, EtherType::IPV4));
    assert_eq!((arp.sender_hw_addr(), arp.sender_protocol_addr()), (&OWN.0[..], &[10, 0, 0, 1][..]));
    assert_eq!(arp.target_protocol_addr(), [10, 0, 0, 2]);
}

#[test]
fn an_independent_parser_agrees_with_the_solicitation() {
    let bytes = question(Station { mac: OWN, ip: OWN_V6 }, OTHER_V6);
    assert_eq!((&bytes[..6], &bytes[6..12]), (&[0x33, 0x33, 0xff, 0, 0, 2][..], &OWN.0[..]));
    let packet = SlicedPacket::from_ethernet(&bytes).unwrap();
    let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
    let header = ip.header();
    assert_eq!((header.hop_limit(), header.source_addr().into()), (255, OWN_V6));
    assert_eq!(header.destination_addr(), "ff02::1:ff00:2".parse::<Ipv6Addr>().unwrap());
    let Some(TransportSlice::Icmpv6(icmp)) = &packet.transport else { panic!("{packet:?}") };
    assert!(icmp.is_checksum_valid(header.source(), header.destination()));
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (135, 0));
    let IpAddr::V6(other) = OTHER_V6 else { panic!() };
    assert_eq!(icmp.slice()[8..24], other.octets());
    assert_eq!(icmp.slice()[24..], [1, 1, 2, 0, 0, 0, 0, 1]);
}

#[test]
fn a_next_hop_that_answers_is_found_at_any_of_the_tries() {
    for (own, other) in FAMILIES {
        for silence in 0..3 {
            let mut queue = Wire::with(OTHER, other, silence);
            assert_eq!(resolved(&mut queue, own, other), Ok(OTHER));
            assert_eq!(queue.sent.len(), silence + 1);
        }
    }
}

#[test]
fn a_next_hop_that_does_not_answer_is_given_up_after_three_tries() {
    for (own, other) in FAMILIES {
        let mut queue = Wire::with(OTHER, other, 3);
        assert_eq!(resolved(&mut queue, own, other), Err(Unresolved::Silent(other)));
        assert_eq!(queue.sent.len(), 3);
        let mut gone = Wire { connection: None, ..Wire::new() };
        assert_eq!(resolved(&mut gone, own, other), Err(Unresolved::Gone(other)));
        let (stop, mut queue) = (AtomicBool::new(true), [Wire::new()]);
        let mut stopped = neighbours(OWN, own, NextHop::Owner(other));
        let found = stopped.resolve(&mut queue, &CountingClock::default(), &stop);
        assert_eq!(found, Err(Unresolved::Stopped(other)));
    }
}

#[test]
fn a_fixed_next_hop_is_not_asked_for() {
    let mut queue = [Wire::new()];
    let mut fixed = neighbours(OWN, OWN_V4, NextHop::Fixed(OTHER));
    let found = fixed.resolve(&mut queue, &CountingClock::default(), &AtomicBool::new(false));
    assert_eq!((found, queue[0].sent.len()), (Ok(OTHER), 0));
}

#[test]
fn who_asks_for_our_address_is_answered_and_tells_his_own() {
    for (own, other) in FAMILIES {
        let mut queue = Wire::new();
        let mut ours = neighbours(OWN, own, NextHop::Owner(other));
        let asked = question(Station { mac: OTHER, ip: other }, own);
        assert_eq!(ours.hear(&asked, &mut queue), Some(OTHER));
        let [answer] = &queue.sent[..] else { panic!("{:?}", queue.sent) };
        assert_eq!((&answer[..6], &answer[6..12]), (&OTHER.0[..], &OWN.0[..]));
        // The asker finds us by it.
        let mut theirs = neighbours(OTHER, other, NextHop::Owner(own));
        assert_eq!(theirs.hear(answer, &mut Wire::new()), Some(OWN));
    }
}

#[test]
fn what_is_about_others_or_damaged_is_left_alone() {
    for (own, other) in FAMILIES {
        let mut queue = Wire::new();
        let mut ours = neighbours(OWN, own, NextHop::Owner(other));
        let third = if own.is_ipv4() { "10.0.0.3".parse() } else { "fd00::3".parse() }.unwrap();
        let asked = question(Station { mac: OTHER, ip: third }, other);
        assert_eq!(ours.hear(&asked, &mut queue), None);
        // Our own question, as a link in a loop would bring it back.
        assert_eq!(ours.hear(&question(ours.own, other), &mut queue), None);
        let group = question(Station { mac: Mac([3, 0, 0, 0, 0, 2]), ip: other }, third);
        assert_eq!(ours.hear(&group, &mut queue), None, "a group is no station");
        let asked = question(Station { mac: OTHER, ip: other }, own);
        let whole = if own.is_ipv4() { Ethernet::LEN + Arp::LEN } else { asked.len() };
        for len in 0..whole {
            assert_eq!(ours.hear(&asked[..len], &mut queue), None, "{len} bytes");
        }
        assert!(queue.sent.is_empty(), "{:?}", queue.sent);
    }
}

#[test]
fn a_peer_that_has_come_back_is_asked_again_where_it_is() {
    for (own, other) in FAMILIES {
        let (mut queue, clock) = (Wire::with(OTHER, other, 0), CountingClock::default());
        let mut ours = neighbours(OWN, own, NextHop::Owner(other));
        ours.rest(&mut queue, &clock);
        assert!(queue.sent.is_empty(), "nothing has happened");
        queue.connection = None;
        ours.rest(&mut queue, &clock);
        assert!(queue.sent.is_empty(), "there is nobody to ask");
        queue.connection = Some(1);
        (0..5).for_each(|_| ours.rest(&mut queue, &clock));
        assert_eq!(queue.sent.len(), 1);
        let mut burst = queue.rx();
        let frame = queue.next(&mut burst).unwrap();
        let answer = queue.room[..frame.len()].to_vec();
        queue.release(frame);
        assert_eq!(ours.hear(&answer, &mut queue), Some(OTHER));
        (0..50).for_each(|_| ours.rest(&mut queue, &clock));
        assert_eq!(queue.sent.len(), 1, "it is known");
        // One that came while nobody looked, so that it was never seen that the one before had gone.
        queue.connection = Some(2);
        ours.rest(&mut queue, &clock);
        assert_eq!(queue.sent.len(), 2);
    }
}

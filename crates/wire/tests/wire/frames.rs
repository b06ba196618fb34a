//! Questions, built by etherparse and smoltcp, and the naive checksum that they are held against.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv6Packet, Icmpv6Repr, NdiscRepr, RawHardwareAddress};
use wire::Mac;

pub(crate) const ASKER: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);
pub(crate) const OWN: Mac = Mac([0x02, 0, 0, 0, 0, 0x02]);
pub(crate) const ASKER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const OWN_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const ASKER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x1234, 0x5678);
pub(crate) const OWN_GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff34, 0x5678);
pub(crate) const PORT: u16 = 7;
pub(crate) const ASKER_PORT: u16 = 40_000;

/// The sum of RFC 1071, word by word, by its definition.
pub(crate) fn naive_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Writes the right checksum into the IPv4 header that begins at `network`.
pub(crate) fn mend_ipv4(frame: &mut [u8], network: usize) {
    let header_len = usize::from(frame[network] & 0x0f) * 4;
    frame[network + 10..network + 12].fill(0);
    let checksum = !naive_sum(&frame[network..network + header_len]);
    frame[network + 10..network + 12].copy_from_slice(&checksum.to_be_bytes());
}

/// A packet buffer of 2,048 bytes that begins with `frame`; the rest is what others left.
pub(crate) fn room(frame: &[u8]) -> Vec<u8> {
    let mut room = frame.to_vec();
    room.resize(2048, 0xa5);
    room
}

/// The frame with `count` VLAN tags.
pub(crate) fn tagged(frame: &[u8], count: usize) -> Vec<u8> {
    let mut tagged = frame.to_vec();
    for tag in 0..count {
        let ethertype: [u8; 2] = if tag == 0 { [0x81, 0x00] } else { [0x88, 0xa8] };
        tagged.splice(12..12, [ethertype[0], ethertype[1], 0x60, 100 + tag as u8]);
    }
    tagged
}

pub(crate) fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + 3) as u8).collect()
}

pub(crate) fn arp_request() -> Vec<u8> {
    let arp = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &ASKER.0,
        &ASKER_V4.octets(),
        &[0; 6],
        &OWN_V4.octets(),
    )
    .unwrap();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(ASKER.0, Mac::BROADCAST.0).arp(arp).write(&mut frame).unwrap();
    frame
}

pub(crate) fn udp_v4(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(ASKER.0, OWN.0)
        .ipv4(ASKER_V4.octets(), OWN_V4.octets(), 64)
        .udp(ASKER_PORT, PORT);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

pub(crate) fn udp_v6(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(ASKER.0, OWN.0)
        .ipv6(ASKER_V6.octets(), OWN_V6.octets(), 64)
        .udp(ASKER_PORT, PORT);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

pub(crate) fn echo_v4(identifier: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(ASKER.0, OWN.0)
        .ipv4(ASKER_V4.octets(), OWN_V4.octets(), 64)
        .icmpv4_echo_request(identifier, sequence);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

pub(crate) fn echo_v6(identifier: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(ASKER.0, OWN.0)
        .ipv6(ASKER_V6.octets(), OWN_V6.octets(), 64)
        .icmpv6_echo_request(identifier, sequence);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// The solicitation of a known asker, as smoltcp writes it.
pub(crate) fn solicitation() -> Vec<u8> {
    let repr = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
        target_addr: OWN_V6,
        lladdr: Some(RawHardwareAddress::from_bytes(&ASKER.0)),
    });
    let mut message = vec![0xa5; repr.buffer_len()];
    let mut packet = Icmpv6Packet::new_unchecked(&mut message);
    repr.emit(&ASKER_V6, &OWN_GROUP, &mut packet, &ChecksumCapabilities::default());
    icmpv6(ASKER_V6, OWN_GROUP, 255, &message)
}

/// The question whether `OWN_V6` is free (RFC 4862 section 5.4.2).
pub(crate) fn probe() -> Vec<u8> {
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(OWN_V6.octets());
    icmpv6(Ipv6Addr::UNSPECIFIED, OWN_GROUP, 255, &message)
}

/// An ICMPv6 message in a frame, its checksum made right.
pub(crate) fn icmpv6(src: Ipv6Addr, dst: Ipv6Addr, hop_limit: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = [OWN.0, ASKER.0].concat();
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, message.len() as u8, 58, hop_limit]);
    frame.extend([src.octets(), dst.octets()].concat());
    frame.extend(message);
    frame[56..58].fill(0);
    let checksum = !naive_sum(&with_pseudo_v6(&frame[14..]));
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// What the checksum over an IPv6 packet's payload sums: pseudo-header and payload.
pub(crate) fn with_pseudo_v6(packet: &[u8]) -> Vec<u8> {
    let mut summed = packet[8..40].to_vec();
    summed.extend([0, 0, packet[4], packet[5], 0, 0, 0, packet[6]]);
    summed.extend(&packet[40..]);
    summed
}

/// Every valid question, with its name.
pub(crate) fn questions() -> Vec<(&'static str, Vec<u8>)> {
    let plain = [
        ("arp", arp_request()),
        ("udp over ipv4", udp_v4(&payload(22))),
        ("udp over ipv6", udp_v6(&payload(33))),
        ("icmp", echo_v4(1, 2, &payload(56))),
        ("icmpv6", echo_v6(1, 2, &payload(57))),
        ("solicitation", solicitation()),
        ("probe", probe()),
    ];
    let with_tags =
        |(name, frame): &(&'static str, Vec<u8>)| [0, 1, 2].map(|count| (*name, tagged(frame, count)));
    plain.iter().flat_map(with_tags).collect()
}

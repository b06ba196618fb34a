//! The two hosts' addresses, and packets from the client to the server.

use std::net::IpAddr;

use etherparse::PacketBuilder;

pub(crate) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
pub(crate) const SOLICITED_NODE: [u8; 6] = [0x33, 0x33, 0xff, 0, 0, 9];
pub(crate) const KERNELS: &str = "192.0.2.1";
pub(crate) const CLIENTS: &str = "192.0.2.2";
pub(crate) const OURS: &str = "192.0.2.9";
pub(crate) const KERNELS_V6: &str = "2001:db8::1";
pub(crate) const CLIENTS_V6: &str = "2001:db8::2";
pub(crate) const OURS_V6: &str = "2001:db8::9";

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

pub(crate) fn v4(address: &str) -> [u8; 4] {
    address.parse::<std::net::Ipv4Addr>().unwrap().octets()
}

pub(crate) fn v6(address: &str) -> [u8; 16] {
    address.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

pub(crate) fn udp(dst: &str, port: u16) -> Vec<u8> {
    udp_to(SERVER_MAC, dst, port)
}

pub(crate) fn udp_to(mac: [u8; 6], dst: &str, port: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    let ethernet = PacketBuilder::ethernet2(CLIENT_MAC, mac);
    let network = match ip(dst) {
        IpAddr::V4(dst) => ethernet.ipv4(v4(CLIENTS), dst.octets(), 64),
        IpAddr::V6(dst) => ethernet.ipv6(v6(CLIENTS_V6), dst.octets(), 64),
    };
    network.udp(4000, port).write(&mut packet, b"a question, and its tail of zeros\0\0\0").unwrap();
    packet
}

/// A frame with one or more bytes replaced.
pub(crate) fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// A frame whose IPv4 header, options included, has its checksum made anew (RFC 1071).
pub(crate) fn mended(frame: Vec<u8>) -> Vec<u8> {
    let end = 14 + usize::from(frame[14] & 0x0f) * 4;
    let frame = with(frame, 24, &[0; 2]);
    let words = frame[14..end].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = u16::try_from(0xffff - folded).unwrap();
    with(frame, 24, &checksum.to_be_bytes())
}

/// A frame with VLAN tags put in behind its addresses.
pub(crate) fn tagged(mut frame: Vec<u8>, tags: &[[u8; 4]]) -> Vec<u8> {
    let tags: Vec<_> = tags.iter().flatten().copied().collect();
    frame.splice(12..12, tags);
    frame
}

/// As a packet socket shows a frame: the kernel keeps the outermost tag beside it.
pub(crate) fn untagged(frame: &[u8]) -> Vec<u8> {
    let is_tagged = frame[12..14] == [0x81, 0] || frame[12..14] == [0x88, 0xa8];
    [&frame[..12], &frame[if is_tagged { 16 } else { 12 }..]].concat()
}

pub(crate) fn icmp(dst: &str, kind: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC).ipv4(v4(CLIENTS), v4(dst), 64);
    builder.icmpv4_raw(kind, 0, [0, 1, 0, 1]).write(&mut packet, &[0xa5; 20]).unwrap();
    packet
}

pub(crate) fn icmpv6(dst: &str, kind: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC).ipv6(v6(CLIENTS_V6), v6(dst), 255);
    builder.icmpv6_raw(kind, 0, [0, 1, 0, 1]).write(&mut packet, &[0xa5; 20]).unwrap();
    packet
}

pub(crate) fn solicitation(mac: [u8; 6], dst: &str, target: &str) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, mac).ipv6(v6(CLIENTS_V6), v6(dst), 255);
    builder.icmpv6_raw(135, 0, [0; 4]).write(&mut packet, &v6(target)).unwrap();
    packet
}

pub(crate) fn tcp(dst: &str) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC).ipv4(v4(CLIENTS), v4(dst), 64);
    builder.tcp(4000, 80, 1, 1000).syn().write(&mut packet, &[]).unwrap();
    packet
}

pub(crate) fn arp(mac: [u8; 6], sender: &str, target: &str) -> Vec<u8> {
    let head = [&mac[..], &CLIENT_MAC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &CLIENT_MAC].concat();
    [&head[..], &v4(sender), &[0; 6], &v4(target), &[0; 18]].concat()
}

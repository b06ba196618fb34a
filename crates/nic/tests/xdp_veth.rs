//! AF_XDP on a real interface: one end of a virtual cable, in a network namespace of its own.
//!
//! ```text
//!   namespace `server`                         namespace `client`
//!   kernel 192.0.2.1, 2001:db8::1              kernel 192.0.2.2, 2001:db8::2
//!        │ PASS                                     │
//!   XDP program ── bl0 ═══════ veth ═══════ bl1 ────┴── packet socket
//!        │
//!   XdpQueue: 192.0.2.9, 2001:db8::9, which no kernel has
//! ```
//!
//! Each test has its own namespaces, which go with it. They need privileges; without them each says that it did not
//! run, and why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test that does not run says so")]

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use barelane_nic::xdp::{
    self, Attachment, BusyPoll, ClaimKey, Claims, Mode, ModeChoice, Owner, PROGRAM_NAME, Settings, Wake,
    XdpError, XdpQueue, XdpSocket, ZeroCopyChoice,
};
use barelane_nic::{Frame, Queue};
use etherparse::PacketBuilder;
use host::links;
use host::namespace::Namespace;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};
use host::privileges;
use host::veth::{self, End, VethPair};

const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const BROADCAST: [u8; 6] = [0xff; 6];
const SOLICITED_NODE: [u8; 6] = [0x33, 0x33, 0xff, 0, 0, 9];
const KERNELS: &str = "192.0.2.1";
const CLIENTS: &str = "192.0.2.2";
const OURS: &str = "192.0.2.9";
const KERNELS_V6: &str = "2001:db8::1";
const CLIENTS_V6: &str = "2001:db8::2";
const OURS_V6: &str = "2001:db8::9";
const INTERFACE: &str = "bl0";
/// Far longer than anything takes; far shorter than a patient reader waits.
const LIMIT: Duration = Duration::from_secs(2);
/// Long enough to see that something does not come.
const NOTHING: Duration = Duration::from_millis(50);

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn v4(address: &str) -> [u8; 4] {
    address.parse::<std::net::Ipv4Addr>().unwrap().octets()
}

fn v6(address: &str) -> [u8; 16] {
    address.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

/// The two ends of a cable, each in its namespace.
struct Cable {
    server: Namespace,
    client: Namespace,
    ifindex: u32,
    peer: u32,
}

impl Cable {
    /// A cable whose ends have `queues` each; nothing, said aloud, where the privileges are missing.
    fn lay(queues: u32) -> Option<Self> {
        let missing = [privileges::missing_for_xdp(), privileges::missing_for_namespaces()].concat();
        if !missing.is_empty() {
            eprintln!("SKIPPED: a test on a virtual cable needs {}", missing.join(", "));
            return None;
        }
        let (server, client) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let server_addresses = [(ip(KERNELS), 24), (ip(KERNELS_V6), 64)];
        let client_addresses = [(ip(CLIENTS), 24), (ip(CLIENTS_V6), 64)];
        let end = |namespace, name, mac, addresses| End {
            namespace: Some(namespace),
            name,
            mac,
            rx_queues: queues,
            tx_queues: queues,
            addresses,
        };
        let pair = VethPair {
            a: end(&server, INTERFACE, SERVER_MAC, &server_addresses),
            b: end(&client, "bl1", CLIENT_MAC, &client_addresses),
            mtu: 1500,
        };
        let indices = veth::create(&pair).unwrap();
        Some(Self { ifindex: indices.a, peer: indices.b, server, client })
    }

    fn settings(&self) -> Settings {
        Settings::new(INTERFACE, self.ifindex, 1500)
    }

    fn open(&self, settings: &Settings) -> Result<(Attachment, Vec<XdpQueue<XdpSocket>>), XdpError> {
        self.server.run(|| xdp::open(settings, &claims())).unwrap()
    }

    fn client_socket(&self) -> PacketSocket {
        self.client.run(|| PacketSocket::open(self.peer, EVERY_ETHERTYPE)).unwrap().unwrap()
    }

    /// Sees what the program passes to the kernel.
    fn kernel_socket(&self) -> PacketSocket {
        self.server.run(|| PacketSocket::open(self.ifindex, EVERY_ETHERTYPE)).unwrap().unwrap()
    }

    fn program(&self) -> Option<links::AttachedProgram> {
        self.server.run(|| links::link(INTERFACE).unwrap().program).unwrap()
    }
}

/// Ping and UDP port 7 of the kernel's address are ours, and so are two addresses that no kernel has.
fn claims() -> Claims {
    let key = |address, protocol, selector| ClaimKey { address: ip(address), protocol, selector };
    Claims {
        mac: SERVER_MAC,
        addresses: vec![
            (ip(KERNELS), Owner::Kernel),
            (ip(KERNELS_V6), Owner::Kernel),
            (ip(OURS), Owner::Barelane),
            (ip(OURS_V6), Owner::Barelane),
        ],
        keys: vec![
            key(KERNELS, 1, 8),
            key(KERNELS, 17, 7),
            key(KERNELS_V6, 17, 7),
            key(OURS, 1, 8),
            key(OURS_V6, 58, 128),
        ],
    }
}

fn udp(dst: &str, port: u16) -> Vec<u8> {
    udp_to(SERVER_MAC, dst, port)
}

fn udp_to(mac: [u8; 6], dst: &str, port: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    let ethernet = PacketBuilder::ethernet2(CLIENT_MAC, mac);
    let network = match ip(dst) {
        IpAddr::V4(dst) => ethernet.ipv4(v4(CLIENTS), dst.octets(), 64),
        IpAddr::V6(dst) => ethernet.ipv6(v6(CLIENTS_V6), dst.octets(), 64),
    };
    network.udp(4000, port).write(&mut packet, b"a question, and its tail of zeros\0\0\0").unwrap();
    packet
}

/// The next frame that the queue receives, within the limit.
fn receive(queue: &mut XdpQueue<XdpSocket>, limit: Duration) -> Option<Frame> {
    let deadline = Instant::now() + limit;
    loop {
        let mut burst = queue.rx();
        if let Some(frame) = queue.next(&mut burst) {
            return Some(frame);
        }
        queue.flush();
        if Instant::now() > deadline {
            return None;
        }
        thread::yield_now();
    }
}

/// Sends everything back as it came, but for the Ethernet addresses.
fn reflect(queue: &mut XdpQueue<XdpSocket>, frame: Frame) {
    let room = queue.room_mut(&frame);
    room[..6].copy_from_slice(&CLIENT_MAC);
    room[6..12].copy_from_slice(&SERVER_MAC);
    queue.tx(frame).unwrap();
    queue.flush();
}

/// Whether `wanted` arrives at a packet socket, which sees all else that passes there too.
fn arrives(socket: &PacketSocket, wanted: &[u8], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut room = vec![0xa5; 2048];
    while let Some(rest) = deadline.checked_duration_since(Instant::now()) {
        if let Some(len) = socket.receive(&mut room, rest).unwrap()
            && room[..len] == *wanted
        {
            return true;
        }
    }
    false
}

/// A frame of `marker` and its answer, as `reflect` makes it, both ways through the cable.
fn assert_reflects(client: &PacketSocket, queue: &mut XdpQueue<XdpSocket>, question: &[u8]) {
    client.send(question).unwrap();
    let frame = receive(queue, LIMIT).expect("the question does not reach the queue");
    assert_eq!(queue.room_mut(&frame)[..frame.len()], *question);
    reflect(queue, frame);
    let answer = [&CLIENT_MAC[..], &SERVER_MAC, &question[12..]].concat();
    assert!(arrives(client, &answer, LIMIT), "the answer does not reach the client");
}

#[test]
fn a_frame_goes_from_the_wire_to_the_queue_and_back() {
    let Some(cable) = Cable::lay(1) else { return };
    for (wake, mode) in [
        (Wake::NeedWakeup, ModeChoice::Auto),
        (Wake::Spin, ModeChoice::Native),
        (Wake::BusyPoll, ModeChoice::Native),
        (Wake::NeedWakeup, ModeChoice::Generic),
    ] {
        let settings = Settings { wake, mode, ..cable.settings() };
        let (attachment, mut queues) = cable.open(&settings).unwrap();
        let wanted = if mode == ModeChoice::Generic { Mode::Generic } else { Mode::Native };
        assert_eq!((attachment.mode(), attachment.is_zero_copy()), (wanted, false));
        assert_eq!(attachment.why_not_native(), None);
        let client = cable.client_socket();
        for _ in 0..200 {
            assert_reflects(&client, &mut queues[0], &udp(OURS, 9));
        }
        assert_eq!((queues[0].held(), queues[0].kicks().tx), (0, 200), "{wake:?}");
        let expected = if wake == Wake::BusyPoll { BusyPoll::WithoutNapi } else { BusyPoll::NotAsked };
        assert_eq!(attachment.busy_poll().unwrap(), [(0, expected)]);
    }
}

#[test]
fn bursts_longer_than_one_call_sends_arrive_whole() {
    let Some(cable) = Cable::lay(1) else { return };
    let (attachment, mut queues) = cable.open(&cable.settings()).unwrap();
    let (client, queue) = (cable.client_socket(), &mut queues[0]);
    for port in 1000..1200 {
        client.send(&udp(OURS, port)).unwrap();
    }
    let mut echoed = 0;
    while let Some(frame) = receive(queue, NOTHING) {
        let room = queue.room_mut(&frame);
        room[..6].copy_from_slice(&CLIENT_MAC);
        queue.tx(frame).unwrap();
        echoed += 1;
        // Not after each: the ring shall hold more than one call takes.
        if echoed % 50 == 0 {
            queue.flush();
        }
    }
    println!("{:?} for {echoed} packets", queue.kicks());
    assert_eq!((echoed, queue.held(), queue.depths().tx), (200, 0, 0));
    for port in 1000..1200 {
        let mut answer = udp(OURS, port);
        answer[..6].copy_from_slice(&CLIENT_MAC);
        assert!(arrives(&client, &answer, LIMIT), "{port}");
    }
    let statistics = attachment.statistics().unwrap();
    assert_eq!((statistics[0].1.rx_dropped, statistics[0].1.tx_invalid), (0, 0), "{statistics:?}");
}

/// Where the program sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Lane,
    Kernel,
    Drop(&'static str),
}

/// A frame with one or more bytes replaced.
fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// A frame with VLAN tags put in behind its addresses.
fn tagged(mut frame: Vec<u8>, tags: &[[u8; 4]]) -> Vec<u8> {
    let tags: Vec<_> = tags.iter().flatten().copied().collect();
    frame.splice(12..12, tags);
    frame
}

/// As a packet socket shows a frame: the kernel keeps the outermost tag beside it.
fn untagged(frame: &[u8]) -> Vec<u8> {
    let is_tagged = frame[12..14] == [0x81, 0] || frame[12..14] == [0x88, 0xa8];
    [&frame[..12], &frame[if is_tagged { 16 } else { 12 }..]].concat()
}

fn icmp(dst: &str, kind: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC).ipv4(v4(CLIENTS), v4(dst), 64);
    builder.icmpv4_raw(kind, 0, [0, 1, 0, 1]).write(&mut packet, &[0xa5; 20]).unwrap();
    packet
}

fn icmpv6(dst: &str, kind: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC).ipv6(v6(CLIENTS_V6), v6(dst), 255);
    builder.icmpv6_raw(kind, 0, [0, 1, 0, 1]).write(&mut packet, &[0xa5; 20]).unwrap();
    packet
}

fn solicitation(mac: [u8; 6], dst: &str, target: &str) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, mac).ipv6(v6(CLIENTS_V6), v6(dst), 255);
    builder.icmpv6_raw(135, 0, [0; 4]).write(&mut packet, &v6(target)).unwrap();
    packet
}

fn tcp(dst: &str) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC).ipv4(v4(CLIENTS), v4(dst), 64);
    builder.tcp(4000, 80, 1, 1000).syn().write(&mut packet, &[]).unwrap();
    packet
}

fn arp(mac: [u8; 6], sender: &str, target: &str) -> Vec<u8> {
    let head = [&mac[..], &CLIENT_MAC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &CLIENT_MAC].concat();
    [&head[..], &v4(sender), &[0; 6], &v4(target), &[0; 18]].concat()
}

/// Byte offsets of fields behind an Ethernet header.
const IPV4_FIRST: usize = 14;
const IPV4_FRAGMENT: usize = 14 + 6;
const IPV4_PROTOCOL: usize = 14 + 9;
const IPV6_NEXT: usize = 14 + 6;

fn decisions() -> Vec<(&'static str, Vec<u8>, Way)> {
    use Way::{Drop, Kernel, Lane};
    let tag = [0x81, 0, 0, 5];
    let service_tag = [0x88, 0xa8, 0, 6];
    let other_mac = [2, 0, 0, 0, 0, 7];
    vec![
        ("claimed port", udp(KERNELS, 7), Lane),
        ("claimed port, one tag", tagged(udp(KERNELS, 7), &[tag]), Lane),
        ("claimed port, two tags", tagged(udp(KERNELS, 7), &[service_tag, tag]), Lane),
        ("claimed port, three tags", tagged(udp(KERNELS, 7), &[service_tag, tag, tag]), Kernel),
        ("claimed port over IPv6", udp(KERNELS_V6, 7), Lane),
        ("unclaimed port", udp(KERNELS, 8), Kernel),
        ("unclaimed port over IPv6", udp(KERNELS_V6, 8), Kernel),
        ("claimed port, options", with(udp(KERNELS, 7), IPV4_FIRST, &[0x46]), Kernel),
        ("claimed port, first fragment", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0x20, 0]), Kernel),
        ("claimed port, later fragment", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0, 9]), Kernel),
        ("claimed port, not to be fragmented", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0x40, 0]), Lane),
        ("claimed port, extension header", with(udp(KERNELS_V6, 7), IPV6_NEXT, &[60]), Kernel),
        ("claimed port, another's MAC", udp_to(other_mac, KERNELS, 7), Kernel),
        ("claimed port, broadcast MAC", udp_to(BROADCAST, KERNELS, 7), Kernel),
        ("claimed ping", icmp(KERNELS, 8), Lane),
        ("echo reply", icmp(KERNELS, 0), Kernel),
        ("unclaimed ping over IPv6", icmpv6(KERNELS_V6, 128), Kernel),
        ("TCP", tcp(KERNELS), Kernel),
        ("another host's address", udp("192.0.2.77", 7), Kernel),
        ("own address, any port", udp(OURS, 4242), Lane),
        ("own address, any port, IPv6", udp(OURS_V6, 4242), Lane),
        ("own address, claimed ping", icmp(OURS, 8), Lane),
        ("own address, claimed ping, IPv6", icmpv6(OURS_V6, 128), Lane),
        ("own address, another's MAC", udp_to(other_mac, OURS, 7), Kernel),
        ("own address, timestamp request", icmp(OURS, 13), Drop("icmp_unclaimed")),
        ("own address, advertisement", icmpv6(OURS_V6, 136), Drop("icmp_unclaimed")),
        ("own address, TCP", tcp(OURS), Drop("tcp")),
        ("own address, SCTP", with(udp(OURS, 7), IPV4_PROTOCOL, &[132]), Drop("protocol_unknown")),
        ("own address, TCP over IPv6", with(udp(OURS_V6, 7), IPV6_NEXT, &[6]), Drop("tcp")),
        ("own address, options", with(udp(OURS, 7), IPV4_FIRST, &[0x46]), Drop("ipv4_options")),
        ("own address, version 5", with(udp(OURS, 7), IPV4_FIRST, &[0x55]), Drop("ipv4_malformed")),
        ("own address, header of 16", with(udp(OURS, 7), IPV4_FIRST, &[0x44]), Drop("ipv4_malformed")),
        ("own address, fragment", with(udp(OURS, 7), IPV4_FRAGMENT, &[0x20, 0]), Drop("ipv4_fragment")),
        ("own address, extension", with(udp(OURS_V6, 7), IPV6_NEXT, &[0]), Drop("ipv6_extension")),
        ("own address, fragment header", with(udp(OURS_V6, 7), IPV6_NEXT, &[44]), Drop("ipv6_extension")),
        ("own address, version 7", with(udp(OURS_V6, 7), 14, &[0x70]), Drop("ipv6_malformed")),
        ("ARP for us", arp(BROADCAST, CLIENTS, OURS), Lane),
        ("ARP for us, unicast", arp(SERVER_MAC, CLIENTS, OURS), Lane),
        ("ARP by one who has our address", arp(BROADCAST, OURS, CLIENTS), Lane),
        ("ARP for the kernel", arp(BROADCAST, CLIENTS, KERNELS), Kernel),
        ("ARP for us, another's MAC", arp(other_mac, CLIENTS, OURS), Kernel),
        ("solicitation for us", solicitation(SOLICITED_NODE, "ff02::1:ff00:9", OURS_V6), Lane),
        ("solicitation for us, unicast", solicitation(SERVER_MAC, OURS_V6, OURS_V6), Lane),
        (
            "solicitation for us, tagged",
            tagged(solicitation(SOLICITED_NODE, "ff02::1:ff00:9", OURS_V6), &[tag]),
            Lane,
        ),
        ("solicitation for the kernel", solicitation(SERVER_MAC, KERNELS_V6, KERNELS_V6), Kernel),
        ("solicitation for another", solicitation(SOLICITED_NODE, "ff02::1:ff00:9", "2001:db8::77"), Kernel),
        ("shorter than an IPv4 header", udp(OURS, 7)[..30].to_vec(), Kernel),
        ("neither ARP nor IP", with(udp(OURS, 7), 12, &[0x88, 0xb5]), Kernel),
    ]
}

fn drop_count(attachment: &Attachment, name: &str) -> u64 {
    attachment.drops().unwrap().iter().find(|drop| drop.name == name).unwrap().count
}

fn check_decisions(mode: ModeChoice) {
    let Some(cable) = Cable::lay(1) else { return };
    let (attachment, mut queues) = cable.open(&Settings { mode, ..cable.settings() }).unwrap();
    let (client, kernel) = (cable.client_socket(), cable.kernel_socket());
    for (what, frame, way) in decisions() {
        let dropped = |way| if let Way::Drop(name) = way { drop_count(&attachment, name) } else { 0 };
        let before = dropped(way);
        client.send(&frame).unwrap();
        match way {
            Way::Lane => {
                let received = receive(&mut queues[0], LIMIT).expect(what);
                assert_eq!(queues[0].room_mut(&received)[..received.len()], frame, "{what}");
                queues[0].release(received);
                queues[0].flush();
            }
            Way::Kernel => assert!(arrives(&kernel, &untagged(&frame), LIMIT), "{what}"),
            Way::Drop(_) => {
                let deadline = Instant::now() + LIMIT;
                while dropped(way) == before && Instant::now() < deadline {
                    thread::yield_now();
                }
                assert_eq!(dropped(way), before + 1, "{what}");
            }
        }
    }
    assert!(receive(&mut queues[0], NOTHING).is_none(), "nothing else was redirected");
    let drops: u64 = attachment.drops().unwrap().iter().map(|drop| drop.count).sum();
    let expected = decisions().iter().filter(|(_, _, way)| matches!(way, Way::Drop(_))).count();
    assert_eq!(drops, expected as u64, "nothing else was dropped");
}

#[test]
fn the_program_decides_as_its_table_says_in_native_mode() {
    check_decisions(ModeChoice::Native);
}

#[test]
fn the_program_decides_as_its_table_says_in_generic_mode() {
    check_decisions(ModeChoice::Generic);
}

#[test]
fn the_kernel_keeps_what_nobody_claims() {
    let Some(cable) = Cable::lay(1) else { return };
    let (_attachment, mut queues) = cable.open(&cable.settings()).unwrap();
    let (udp_server, tcp_server) = cable
        .server
        .run(|| (UdpSocket::bind((KERNELS, 4242)).unwrap(), TcpListener::bind((KERNELS, 80)).unwrap()))
        .unwrap();
    let (udp_client, mut tcp_client) = cable
        .client
        .run(|| (UdpSocket::bind((CLIENTS, 0)).unwrap(), TcpStream::connect((KERNELS, 80)).unwrap()))
        .unwrap();

    let mut room = [0xa5; 16];
    udp_server.set_read_timeout(Some(LIMIT)).unwrap();
    udp_client.send_to(b"kernel", (KERNELS, 4242)).unwrap();
    assert_eq!(udp_server.recv(&mut room).unwrap(), 6);

    let (mut accepted, _) = tcp_server.accept().unwrap();
    accepted.set_read_timeout(Some(LIMIT)).unwrap();
    tcp_client.write_all(b"stream").unwrap();
    accepted.read_exact(&mut room[..6]).unwrap();
    assert_eq!(&room[..6], b"stream");
    assert!(receive(&mut queues[0], NOTHING).is_none());

    udp_client.send_to(b"lane", (KERNELS, 7)).unwrap();
    assert!(receive(&mut queues[0], LIMIT).map(|frame| queues[0].release(frame)).is_some());
}

#[test]
fn claims_can_be_changed_while_packets_flow() {
    let Some(cable) = Cable::lay(1) else { return };
    let (mut attachment, mut queues) = cable.open(&cable.settings()).unwrap();
    let (client, kernel) = (cable.client_socket(), cable.kernel_socket());
    assert_reflects(&client, &mut queues[0], &udp(KERNELS, 7));
    assert_reflects(&client, &mut queues[0], &udp(OURS, 9));

    let key = ClaimKey { address: ip(KERNELS), protocol: 17, selector: 70 };
    let other = Claims { mac: SERVER_MAC, addresses: vec![(ip(KERNELS), Owner::Kernel)], keys: vec![key] };
    attachment.set_claims(&other).unwrap();
    assert_reflects(&client, &mut queues[0], &udp(KERNELS, 70));
    for frame in [udp(KERNELS, 7), udp(OURS, 9)] {
        client.send(&frame).unwrap();
        assert!(arrives(&kernel, &frame, LIMIT));
    }
    attachment.set_claims(&claims()).unwrap();
    assert_reflects(&client, &mut queues[0], &udp(OURS, 9));
}

#[test]
fn two_queues_have_a_lane_each() {
    let Some(cable) = Cable::lay(2) else { return };
    let settings = Settings { queues: vec![0, 1], ..cable.settings() };
    let (attachment, mut queues) = cable.open(&settings).unwrap();
    assert_eq!((queues.len(), attachment.statistics().unwrap().len()), (2, 2));
    let client = cable.client_socket();
    // The sender's transmit queue, which follows a hash of the flow, is the receiver's receive queue.
    let mut received = [0, 0];
    for port in 1000..1200 {
        client.send(&udp(OURS, port)).unwrap();
    }
    for (queue, count) in queues.iter_mut().zip(&mut received) {
        while let Some(frame) = receive(queue, NOTHING) {
            reflect(queue, frame);
            *count += 1;
        }
    }
    assert!(received[0] > 50 && received[1] > 50 && received[0] + received[1] == 200, "{received:?}");
}

#[test]
fn a_queue_that_does_not_exist_is_named() {
    let Some(cable) = Cable::lay(1) else { return };
    let settings = Settings { queues: vec![0, 9], ..cable.settings() };
    let error = cable.open(&settings).unwrap_err();
    assert!(matches!(error, XdpError::QueueAbsent { queue: 9, .. }), "{error}");
    assert!(error.is_setting() && error.to_string().contains("queue 9 cannot be bound"), "{error}");
    assert!(cable.program().is_none(), "the interface is as it was");
}

#[test]
fn zero_copy_forced_on_a_veth_is_refused() {
    let Some(cable) = Cable::lay(1) else { return };
    let settings = Settings { zero_copy: ZeroCopyChoice::Yes, ..cable.settings() };
    let error = cable.open(&settings).unwrap_err();
    assert!(matches!(error, XdpError::ZeroCopyAbsent { queue: 0, .. }), "{error}");
    assert!(error.is_setting() && error.to_string().contains("use zero-copy `auto` or `no`"), "{error}");
    assert!(cable.program().is_none(), "the interface is as it was");
}

#[test]
fn native_mode_that_is_not_to_be_had_is_refused_or_explained() {
    let Some(cable) = Cable::lay(1) else { return };
    // The loopback interface has no driver that could run a program.
    let native = Settings { mode: ModeChoice::Native, ..Settings::new("lo", links::LOOPBACK, 1500) };
    let error = cable.open(&native).unwrap_err();
    assert!(matches!(error, XdpError::ModeAbsent { mode: Mode::Native, .. }), "{error}");
    assert!(error.is_setting() && error.to_string().contains("use mode `auto`"), "{error}");
    let auto = Settings { mode: ModeChoice::Auto, ..native };
    let (attachment, _queues) = cable.open(&auto).unwrap();
    assert_eq!(attachment.mode(), Mode::Generic);
    assert!(attachment.why_not_native().is_some());
}

#[test]
fn an_interface_that_is_not_there_or_is_down_is_named() {
    let Some(cable) = Cable::lay(1) else { return };
    let error = cable.open(&Settings::new("gone", 4711, 1500)).unwrap_err();
    assert!(matches!(error, XdpError::InterfaceAbsent { index: 4711, .. }), "{error}");
    cable.server.run(|| links::set_down(cable.ifindex)).unwrap().unwrap();
    let error = cable.open(&cable.settings()).unwrap_err();
    assert!(matches!(error, XdpError::InterfaceDown { .. }), "{error}");
    assert!(error.to_string().contains("ip link set dev bl0 up") && cable.program().is_none());
}

#[test]
fn a_program_that_is_there_is_named_and_stays() {
    let Some(cable) = Cable::lay(1) else { return };
    let (first, mut queues) = cable.open(&cable.settings()).unwrap();
    let attached = cable.program().unwrap();
    for mode in [ModeChoice::Auto, ModeChoice::Native, ModeChoice::Generic] {
        let error = cable.open(&Settings { mode, ..cable.settings() }).unwrap_err();
        let XdpError::Occupied { program: Some(program), .. } = &error else { panic!("{error}") };
        assert_eq!((program.id, program.name.as_deref()), (attached.id, Some(PROGRAM_NAME)));
        assert!(error.is_setting() && error.to_string().contains("`barelane_lane` (id"), "{error}");
    }
    assert_eq!(cable.program().unwrap().id, attached.id);
    assert_reflects(&cable.client_socket(), &mut queues[0], &udp(OURS, 9));
    drop((first, queues));
    assert!(cable.program().is_none());
}

#[test]
fn a_queue_can_be_opened_again_at_once() {
    let Some(cable) = Cable::lay(1) else { return };
    for _ in 0..20 {
        let (_attachment, mut queues) = cable.open(&cable.settings()).unwrap();
        assert_reflects(&cable.client_socket(), &mut queues[0], &udp(OURS, 9));
    }
}

/// Set for the process that is to be killed.
const VICTIM: &str = "BARELANE_TEST_VICTIM_IFINDEX";

/// Not a test of its own: what the process does that the next test kills.
#[test]
fn victim() {
    let Ok(ifindex) = env::var(VICTIM) else { return };
    let settings = Settings::new(INTERFACE, ifindex.parse().unwrap(), 1500);
    let _open = xdp::open(&settings, &claims()).unwrap();
    println!("{VICTIM} is ready");
    thread::sleep(Duration::from_mins(1));
}

fn start_victim(cable: &Cable) -> Child {
    let mut child = cable
        .server
        .run(|| {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "victim", "--nocapture"]).env(VICTIM, cable.ifindex.to_string());
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("is ready")), "the victim did not start");
    child
}

#[test]
fn a_killed_process_leaves_no_program() {
    let Some(cable) = Cable::lay(1) else { return };
    for _ in 0..5 {
        let mut child = start_victim(&cable);
        assert!(cable.program().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        let killed = Instant::now();
        while cable.program().is_some() {
            assert!(killed.elapsed() < Duration::from_millis(50), "a program stays attached");
        }
    }
    let (_attachment, mut queues) = cable.open(&cable.settings()).unwrap();
    assert_reflects(&cable.client_socket(), &mut queues[0], &udp(OURS, 9));
}

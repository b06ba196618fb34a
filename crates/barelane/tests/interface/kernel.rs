//! Does the kernel keep everything that no route claims, while a lane answers beside it on the same address?

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host::links;
use host::namespace::Namespace;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};

use crate::server::Server;
use crate::topology::{CLIENT_NIC, KERNEL, SERVER_MAC, SERVER_NIC, Topology};

/// What the kernel's own echo puts before what it echoes.
const KERNEL_SAYS: &[u8] = b"kernel:";
/// The port of the kernel's own services.
const KERNEL_PORT: u16 = 9000;
/// What goes through the TCP service, there and back: many segments each way.
const TCP_SIZE: usize = 300_000;

/// A UDP echo by a socket of the server's kernel. It ends by itself when nobody has asked for a while.
fn kernel_echo(topology: &Topology, address: &str, port: u16) {
    let address = (address.parse::<std::net::IpAddr>().unwrap(), port);
    let socket = topology.server.run(|| UdpSocket::bind(address)).unwrap().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    thread::spawn(move || {
        let mut question = [0; 2048];
        while let Ok((len, asker)) = socket.recv_from(&mut question) {
            let _ = socket.send_to(&[KERNEL_SAYS, &question[..len]].concat(), asker);
        }
    });
}

/// A TCP echo by the server's kernel, for one connection.
fn kernel_tcp(topology: &Topology, address: &str) {
    let address = (address.parse::<std::net::IpAddr>().unwrap(), KERNEL_PORT);
    let listener = topology.server.run(|| TcpListener::bind(address)).unwrap().unwrap();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut all = vec![0; TCP_SIZE];
        connection.read_exact(&mut all).unwrap();
        connection.write_all(&all).unwrap();
    });
}

fn ask(socket: &UdpSocket, question: &[u8]) -> Vec<u8> {
    let mut answer = vec![0; 2048];
    socket.send(question).unwrap();
    let len = socket.recv(&mut answer).unwrap();
    answer.truncate(len);
    answer
}

fn assert_kernel_answers(topology: &Topology, address: &str) {
    let from_kernel = ask(&topology.socket(address, KERNEL_PORT), b"unclaimed");
    assert_eq!(from_kernel, b"kernel:unclaimed");

    let mut connection = topology.connect(address, KERNEL_PORT, Duration::from_secs(2)).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (sent, mut received) = (vec![7; TCP_SIZE], vec![0; TCP_SIZE]);
    connection.write_all(&sent).unwrap();
    connection.read_exact(&mut received).unwrap();
    assert!(sent == received);

    let closed = topology.socket(address, 4242);
    closed.send(b"?").unwrap();
    assert_eq!(closed.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);

    let ping = topology.client("ping", &["-n", "-q", "-c", "50", "-i", "0.02", address]);
    assert!(ping.said.contains("50 received, 0% packet loss"), "{}", ping.said);
    let odd = topology.client("ping", &["-n", "-q", "-c", "2", "-i", "0.02", "-s", "4000", address]);
    assert!(odd.said.contains("2 received, 0% packet loss"), "fragments: {}", odd.said);
}

/// Asks the claimed service again and again while `work` runs; every answer must be Barelane's and right. Gives how
/// many there were.
fn under_load(topology: &Topology, address: &str, work: impl FnOnce()) -> u64 {
    let (is_done, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let socket = topology.socket(address, 7);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                let number = count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
                assert_eq!(ask(&socket, &number), number);
            }
        });
        work();
        is_done.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed)
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_claimed_service_is_barelanes_and_all_else_stays_the_kernels_at_the_same_time() {
    let topology = Topology::new();
    for address in KERNEL {
        // The kernel has a service on the claimed port too, so that it shows who answers.
        kernel_echo(&topology, address, 7);
        kernel_echo(&topology, address, KERNEL_PORT);
        kernel_tcp(&topology, address);
    }
    let _server = Server::start(&topology, &["--respond", "udp-echo:7"]);
    for address in KERNEL {
        let answered = under_load(&topology, address, || assert_kernel_answers(&topology, address));
        assert!(answered > 10, "{answered}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn arp_and_neighbour_discovery_of_the_kernels_addresses_stay_the_kernels() {
    let topology = Topology::new();
    let _server = Server::start(&topology, &["--respond", "icmp-echo", "--respond", "udp-echo:7"]);
    let arp =
        topology.client("/usr/sbin/arping", &["-c", "3", "-W", "0.05", "-d", "-i", CLIENT_NIC, KERNEL[0]]);
    assert!(arp.status.success(), "{}", arp.said);
    assert_eq!(arp.said.matches(SERVER_MAC).count(), 3, "one answer each: {}", arp.said);
    let ndp = topology.client("ndisc6", &["-1", "-r", "3", "-w", "500", KERNEL[1], CLIENT_NIC]);
    assert!(ndp.status.success() && ndp.said.to_lowercase().contains(SERVER_MAC), "{}", ndp.said);
    for address in KERNEL {
        let ping = topology.client("ping", &["-n", "-q", "-c", "20", "-i", "0.02", address]);
        assert!(ping.said.contains("20 received, 0% packet loss"), "{}", ping.said);
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn barelanes_own_addresses_and_the_kernels_answer_side_by_side() {
    let topology = Topology::new();
    kernel_echo(&topology, KERNEL[0], KERNEL_PORT);
    let _server = Server::alone(&topology);
    assert_eq!(ask(&topology.socket(KERNEL[0], KERNEL_PORT), b"x"), b"kernel:x");
    assert_eq!(ask(&topology.socket(crate::topology::SERVER[0], 7), b"x"), b"x");
    // The service is claimed for Barelane's addresses only.
    let closed = topology.socket(KERNEL[0], 7);
    closed.send(b"?").unwrap();
    assert_eq!(closed.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

/// Who has 10.9.0.1? (RFC 826), with a VLAN tag behind the Ethernet addresses.
fn arp_on_vlan(vid: u16, asker: [u8; 4]) -> Vec<u8> {
    const MAC: [u8; 6] = [2, 0, 0, 0, 9, 2];
    let [high, low] = vid.to_be_bytes();
    let ethernet = [&[0xff; 6], &MAC[..], &[0x81, 0, high, low, 8, 6]].concat();
    [&ethernet, &[0, 1, 8, 0, 6, 4, 0, 1][..], &MAC, &asker, &[0; 6], &[10, 9, 0, 1], &[0; 18]].concat()
}

fn packets_of(host: &Namespace, interface: &str) -> PacketSocket {
    let open = || PacketSocket::open(links::link(interface).unwrap().index, EVERY_ETHERTYPE).unwrap();
    host.run(open).unwrap()
}

/// The first frame within two seconds that has `bytes` at `offset`.
fn first_with(socket: &PacketSocket, offset: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut room = [0; 2048];
    while let Some(rest) = deadline.checked_duration_since(Instant::now()) {
        let len = socket.receive(&mut room, rest).unwrap()?;
        if room[..len].get(offset..offset + bytes.len()) == Some(bytes) {
            return Some(room[..len].to_vec());
        }
    }
    None
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_vlan_that_is_not_served_is_the_kernels_even_where_the_address_is_barelanes() {
    const STRANGER: [u8; 4] = [10, 9, 0, 98];
    const ASKER: [u8; 4] = [10, 9, 0, 99];
    // As a packet socket shows an ARP packet: the kernel keeps its tag beside it.
    const OPERATION: usize = 20;
    const SENDER_IP: usize = 28;
    const TARGET_IP: usize = 38;
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--vlan", "42"]);
    let kernel = packets_of(&topology.server, SERVER_NIC);
    let client = packets_of(&topology.clients, CLIENT_NIC);
    client.send(&arp_on_vlan(200, STRANGER)).unwrap();
    client.send(&arp_on_vlan(42, ASKER)).unwrap();
    assert!(first_with(&kernel, SENDER_IP, &STRANGER).is_some(), "VLAN 200 does not reach the kernel");
    // One lane answers in order, so that the first answer shows that the question before it had none.
    let answer = first_with(&client, OPERATION, &[0, 2]).expect("an answer on VLAN 42");
    assert_eq!(answer[TARGET_IP..TARGET_IP + 4], ASKER);
    assert_eq!(server.counts().get("replied_arp"), Some(&1));
}

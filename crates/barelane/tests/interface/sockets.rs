//! Do ordinary sockets get what they sent? Their kernel leaves the checksums of what it sends to hardware that a veth
//! pair does not have, so that what arrives here has partial checksums (the pseudo-header's sum alone).

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

use crate::server::Server;
use crate::tier::Serving;
use crate::topology::{SERVER, Topology};

/// The longest UDP payloads that fit an MTU of 1500 over IPv4 and IPv6.
const SIZES_MAX: [usize; 2] = [1472, 1452];

/// Bytes ending in zeros, as a careless echo would trim them.
fn payload(size: usize) -> Vec<u8> {
    let pattern = (0..=u8::MAX).cycle().take(size).map(|byte| byte.wrapping_mul(31) | 1);
    pattern.take(size - size / 4).chain(std::iter::repeat(0)).take(size).collect()
}

fn assert_echo(socket: &UdpSocket, size: usize) {
    let question = payload(size);
    let mut answer = vec![0xa5; 2048];
    socket.send(&question).unwrap();
    let len = socket.recv(&mut answer).unwrap_or_else(|error| panic!("{size} bytes: {error}"));
    assert!(answer[..len] == question, "{size} bytes came back as {len}, or changed");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn udp_sockets_get_every_length_back_though_checksums_are_left_to_hardware() {
    for serving in Serving::at_each_tier() {
        for (address, size_max) in SERVER.into_iter().zip(SIZES_MAX) {
            let socket = serving.topology.socket(address, 7);
            (0..=size_max).for_each(|size| assert_echo(&socket, size));
        }
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_closed_udp_port_is_refused_at_once() {
    let topology = Topology::new();
    let _server = Server::alone(&topology);
    for address in SERVER {
        let socket = topology.socket(address, 4242);
        socket.send(b"anybody there?").unwrap();
        let error = socket.recv(&mut [0; 64]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    }
}

/// RFC 1812 4.3.2.8: what a closed port costs its server is bounded, however many ask.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_flood_to_closed_ports_gets_a_bounded_number_of_refusals() {
    let topology = Topology::new();
    let _server = Server::alone(&topology);
    let socket = topology.socket(SERVER[0], 4242);
    socket.set_nonblocking(true).unwrap();
    // A refusal is reported by the next call on the socket, whichever that is, and once.
    let is_refusal = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    let refused = (0..2000).flat_map(|_| [socket.send(b"?"), socket.recv(&mut [0; 8])]);
    let at_once = refused.filter(|result| result.as_ref().is_err_and(is_refusal)).count();
    // Where the server's core was taken away meanwhile, the first one is still under way.
    socket.set_nonblocking(false).unwrap();
    let refused = at_once + usize::from(socket.recv(&mut [0; 8]).as_ref().is_err_and(is_refusal));
    assert!((1..=100).contains(&refused), "{refused} refusals for 2000 questions");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn tcp_to_an_address_that_only_barelane_has_goes_unanswered_and_is_counted() {
    let topology = Topology::new();
    let server = Server::alone(&topology);
    for address in SERVER {
        let error = topology.connect(address, 80, Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }
    let counts = server.counts();
    assert!(counts.get("driver_protocol_unknown").is_some_and(|&count| count >= 2), "{counts:?}");
}

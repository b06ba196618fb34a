//! Does each of two lanes answer the flow of its own queue, and count nothing of the other's?
//!
//! ```text
//!   socket A ── transmit queue 0 ══▶ receive queue 0 ── lane 0
//!   socket B ── transmit queue 1 ══▶ receive queue 1 ── lane 1
//! ```
//!
//! The kernel chooses a socket's transmit queue by a random number of the socket, and a veth receives on the queue of the same
//! number. So sockets are made until there is one for each lane.

use std::net::UdpSocket;
use std::thread;

use barelane::side_channel::{Reader, Snapshot};

use crate::server::Server;
use crate::side_channel::{replied_udp, segment_of, when};
use crate::topology::{SERVER, Topology};

/// How many questions each flow asks: two numbers that cannot be mistaken for each other.
const COUNTS: [u64; 2] = [1_500, 900];
/// Sockets that are tried: that all of them have one queue happens once in 2^63 times.
const SOCKETS_MAX: u64 = 64;

fn ask_by(socket: &UdpSocket, count: u64) {
    let mut answer = [0; 64];
    for number in 0..count {
        socket.send(&number.to_be_bytes()).unwrap();
        let len = socket.recv(&mut answer).unwrap_or_else(|error| panic!("question {number}: {error}"));
        assert_eq!(answer[..len], number.to_be_bytes());
    }
}

fn by_lane(snapshot: &Snapshot) -> [u64; 2] {
    let lanes: Vec<u64> = snapshot.of_kind("lane").map(|lane| lane.number("replied_udp").unwrap()).collect();
    lanes.try_into().unwrap()
}

/// A socket for each lane, found by who answers its first question; and what the lanes have counted then.
fn flows(topology: &Topology, reader: &Reader) -> ([UdpSocket; 2], [u64; 2]) {
    let (mut found, mut before) = ([None, None], [0, 0]);
    for asked in 1..=SOCKETS_MAX {
        let socket = topology.socket(SERVER[0], 7);
        ask_by(&socket, 1);
        let now = by_lane(&when(reader, |snapshot| replied_udp(snapshot) == asked));
        let lane = usize::from(now[0] == before[0]);
        found[lane].get_or_insert(socket);
        before = now;
        if let [Some(first), Some(second)] = found {
            return ([first, second], now);
        }
    }
    panic!("{SOCKETS_MAX} sockets, and all of them have one queue");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn two_lanes_answer_two_flows_at_once_and_each_counts_its_own_alone() {
    let topology = Topology::with_queues(2);
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    assert!(server.ready.ends_with("lanes=2"), "{}", server.ready);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    let (flows, before) = flows(&topology, &reader);
    thread::scope(|scope| {
        for (socket, count) in flows.iter().zip(COUNTS) {
            scope.spawn(move || ask_by(socket, count));
        }
    });
    let asked = before.iter().chain(&COUNTS).sum::<u64>();
    let after = by_lane(&when(&reader, |snapshot| replied_udp(snapshot) == asked));
    assert_eq!([after[0] - before[0], after[1] - before[1]], COUNTS);
    assert_eq!(server.counts()["replied_udp"], asked);
}

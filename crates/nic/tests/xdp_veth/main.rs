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

mod attaching;
mod bare;
mod cable;
mod decisions;
mod departing;
mod packets;
mod stamped;
mod stand_in;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use barelane_nic::xdp::{
    BusyPoll, Claim, ClaimKey, ClaimedAddress, Claims, Mode, ModeChoice, Owner, Settings, Tier, Vlans, Wake,
};
use barelane_nic::{Depths, Queue};

use crate::cable::{Cable, LIMIT, NOTHING, arrives, assert_reflects, claims, receive, reflect};
use crate::packets::{CLIENT_MAC, CLIENTS, KERNELS, OURS, SERVER_MAC, ip, tagged, udp, untagged};

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

/// Packets come faster than they are taken, for longer than the rings can hold; then everything is as it was.
#[test]
fn a_flood_costs_packets_but_no_frames() {
    const FLOOD: u32 = 100_000;
    let Some(cable) = Cable::lay(1) else { return };
    let (attachment, mut queues) = cable.open(&cable.settings()).unwrap();
    let (client, queue) = (cable.client_socket(), &mut queues[0]);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..FLOOD {
                // A sender whose own buffer is full has lost that packet too.
                let _full = client.send(&udp(OURS, 9));
            }
        });
        let mut echoed = 0_u64;
        while let Some(frame) = receive(queue, NOTHING) {
            reflect(queue, frame);
            echoed += 1;
            // Every now and then the lane's core is taken away.
            if echoed.is_multiple_of(5_000) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        println!("{echoed} of {FLOOD} echoed, {:?}, {:?}", queue.kicks(), attachment.statistics().unwrap());
    });
    let deadline = Instant::now() + LIMIT;
    let sum = |depths: Depths| depths.free + depths.fill + depths.rx + depths.tx + depths.completion;
    while sum(queue.depths()) < queue.layout().frame_count() && Instant::now() < deadline {
        thread::yield_now();
    }
    assert_eq!(
        (sum(queue.depths()), queue.held()),
        (queue.layout().frame_count(), 0),
        "{:?}",
        queue.depths()
    );
    let statistics = attachment.statistics().unwrap()[0].1;
    assert_eq!((statistics.rx_invalid, statistics.tx_invalid), (0, 0));
    assert_reflects(&cable.client_socket(), queue, &udp(OURS, 9));
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
    let other = Claims {
        mac: SERVER_MAC,
        addresses: vec![ClaimedAddress::new(ip(KERNELS), Owner::Kernel)],
        claims: vec![Claim { key, tier: Tier::Lane, route: 0, is_reflected: false }],
        ..Claims::default()
    };
    attachment.set_claims(&other).unwrap();
    assert_reflects(&client, &mut queues[0], &udp(KERNELS, 70));
    for frame in [udp(KERNELS, 7), udp(OURS, 9)] {
        client.send(&frame).unwrap();
        assert!(arrives(&kernel, &frame, LIMIT));
    }
    let on_vlan_5 = tagged(udp(KERNELS, 70), &[[0x81, 0, 0, 5]]);
    client.send(&on_vlan_5).unwrap();
    assert!(arrives(&kernel, &untagged(&on_vlan_5), LIMIT), "the VLAN is not served any more");
    attachment.set_claims(&Claims { vlans: Vlans::of(&[5]).unwrap(), ..other }).unwrap();
    assert_reflects(&client, &mut queues[0], &udp(KERNELS, 70));
    client.send(&on_vlan_5).unwrap();
    assert!(receive(&mut queues[0], LIMIT).map(|frame| queues[0].release(frame)).is_some());
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

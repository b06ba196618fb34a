//! Nanoseconds of a packet from ring to ring, over memif rings in own memory: `cargo xtask bench --road` runs this in turns
//! with `road.c`, a straight C function that makes the same checks over the same rings.
//!
//! ```text
//!   the peer puts BATCH questions ──▶ one turn ──▶ the peer takes BATCH answers      × ROUNDS
//!             not timed                 timed              not timed
//! ```
//!
//! The peer is a queue of this process, on the same thread, so that no other core takes part: what is timed is work, and
//! not the way between two cores. The median over all rounds is printed.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program beside the library, for measurements")]

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use barelane_lane::{Lane, mailbox};
use nic::Queue;
use nic::memif::MemifQueue;
use nic::memif::testing::pair;
use route::{Address, LaneSettings, NextHop, Owner, PartialChecksums, RouteTable, Service, ShortPackets};
use telemetry::{Kind, Page, Still, Tick};
use testkit::endpoint::{self, Endpoint};
use testkit::packets::{self, exchange};
use wire::checksum::Summer;
use wire::ethernet::Mac;

/// Packets of one turn, as much as a lane takes at once.
const BATCH: usize = 64;
/// Turns of a run. With fewer, a look of the hypervisor elsewhere would move the median.
const ROUNDS: usize = 20_000;
/// Payload of the echoes: a UDP question over IPv4 is a frame of 64 bytes with it, checksum sequence included.
const PAYLOAD: [u8; 18] = [0x5a; 18];
/// The UDP echo service's port (RFC 862).
const PORT: u16 = 7;
const RING_SIZE: u32 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(class) = env::args().nth(1) else { return Err("which class? drop, arp, udp or icmp".into()) };
    let endpoint = endpoint::load()?;
    let question = question(&class, &endpoint)?;
    if let Some(path) = env::args().nth(2) {
        std::fs::write(path, &question)?;
    }
    let [server, mut peer] = pair(RING_SIZE)?;
    let mut lane = lane(server, &endpoint)?;
    lane.turn(Tick(0));
    peer.rx();
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        ask(&mut peer, &question)?;
        let began = Instant::now();
        let taken = lane.turn(black_box(Tick(round as u64)));
        times.push(began.elapsed().as_nanos());
        assert_eq!(taken, BATCH, "round {round}");
        take(&mut peer);
    }
    let fate = if class == "drop" { Kind::Dropped } else { Kind::Replied };
    assert_eq!(lane.counters().sum(fate), (ROUNDS * BATCH) as u64, "not every packet had the fate {fate:?}");
    times.sort_unstable();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    println!("{}.{:02}", median / BATCH as u128, median % BATCH as u128 * 100 / BATCH as u128);
    Ok(())
}

fn question(class: &str, endpoint: &Endpoint) -> Result<Vec<u8>, Box<dyn Error>> {
    let own = endpoint.addresses.iter().map(|address| address.ip).find(IpAddr::is_ipv4);
    let own = own.ok_or("the endpoint has no IPv4 address")?;
    let ask = |kind, payload: &[u8]| exchange(endpoint, own, kind, payload).question;
    Ok(match class {
        "udp" => ask(packets::Kind::UdpEcho(PORT), &PAYLOAD),
        "icmp" => ask(packets::Kind::Echo, &PAYLOAD),
        "arp" => ask(packets::Kind::LinkAddress, &[]),
        "drop" => {
            let mut question = ask(packets::Kind::UdpEcho(PORT), &PAYLOAD);
            let checksum = question.get_mut(24).ok_or("the question is no packet")?;
            *checksum ^= 1;
            question
        }
        _ => return Err(format!("no class `{class}`").into()),
    })
}

fn ask(peer: &mut MemifQueue, question: &[u8]) -> Result<(), &'static str> {
    for _ in 0..BATCH {
        let mut frame = peer.spare().ok_or("no room")?;
        let room = peer.room_mut(&frame).get_mut(..question.len()).ok_or("a short room")?;
        room.copy_from_slice(question);
        frame.set_len(question.len());
        if let Err(frame) = peer.tx(frame) {
            peer.release(frame);
            return Err("the ring is full");
        }
    }
    peer.flush();
    Ok(())
}

fn take(peer: &mut MemifQueue) {
    let mut burst = peer.rx();
    while let Some(frame) = peer.next(&mut burst) {
        peer.release(frame);
    }
    peer.flush();
}

fn lane(queue: MemifQueue, endpoint: &Endpoint) -> Result<Lane<MemifQueue, Still>, Box<dyn Error>> {
    let address =
        |own: &endpoint::Address| Address { ip: own.ip, prefix_len: own.prefix_len, owner: Owner::Barelane };
    let services = [Service::IcmpEcho, Service::UdpEcho { ports: PORT.try_into()? }];
    let routes = RouteTable::everywhere(endpoint.addresses.iter().map(address).collect(), &services)?;
    let tables = routes.compile(&LaneSettings {
        mac: Mac(endpoint.mac),
        checksum: Summer::fastest(),
        partial_checksums: PartialChecksums::Refuse,
        hop_limit: endpoint.hop_limit,
        errors_per_second: endpoint.errors_per_second,
        next_hop: NextHop::Reflect,
        stamp_key: None,
        short_packets: ShortPackets::Drop,
    });
    let (_, mailbox) = mailbox();
    Ok(Lane::new(queue, Box::new(tables), Still::default(), Arc::new(Page::default()), mailbox))
}

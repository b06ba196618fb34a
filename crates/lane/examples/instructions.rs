//! Turns of one class of packets, for counting instructions: `cargo xtask bench --instructions` runs this under
//! callgrind, which counts what happens inside [`one_turn`] and nothing else.
//!
//! ```text
//!   inject 32 questions ──▶ one_turn: from ring read to ring write ──▶ take 32 answers     × TURNS
//!        not counted                      counted                         not counted
//! ```
//!
//! The queue is the one that runs over AF_XDP sockets, over rings in own memory. The kernel behind it never asks to be
//! woken, so that no instruction of a ring kick, which is the kernel's, is counted.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a program beside the library, for measurements")]

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use barelane_lane::{Lane, mailbox};
use many::Many;
use nic::Queue;
use nic::xdp::testing::{self, MemoryKernel};
use nic::xdp::{Departing, OverXdp, Wake};
use route::{Address, LaneSettings, NextHop, Owner, PartialChecksums, RouteTable, Service, ShortPackets};
use telemetry::{ArrivalClock, Kind, Page, SharedStreams, Still, Tick, TickRate};
use testkit::endpoint::{self, Endpoint};
use testkit::packets::{self, exchange};
use wire::checksum::Summer;
use wire::ethernet::Mac;
use wire::sockperf;
use wire::stamp::{self, Key};

/// One round of housekeeping (`housekeeping::TURNS`), so that its share of a packet is counted too, exactly once.
const TURNS: u64 = 1 << 12;
/// Packets of one turn, as the figures of other projects have it.
const BATCH: usize = 32;
/// Payload of the echoes: with it a UDP question over IPv4 is a frame of 64 bytes, checksum sequence included, which is
/// the size that packet rates and instructions are quoted at.
const PAYLOAD: [u8; 18] = [0x5a; 18];
/// The shortest ring that a queue takes whose fill ring holds more than one batch.
const RING_SIZE: u32 = 256;
/// The class of signed STAMP packets. callgrind's processor has no SHA instructions, so that hashing is counted as plain
/// code does it, at some four times what a processor of today takes.
const SIGNED: &str = "stamp4-signed";
/// Its key.
const KEY: &[u8] = b"the key of a measurement";
/// When what leaves does so, as the kernel says it: after each turn's instant.
const LEFT_NS: u64 = 100_000;
/// The UDP echo service's port (RFC 862).
const PORT: u16 = 7;

// Beside this file and no examples of their own.
#[path = "instructions/many.rs"]
mod many;
#[path = "instructions/numbered.rs"]
mod numbered;

/// What a class is called whose lane is told when its answers leave, behind the name of one whose lane is not.
const DEPARTING: &str = "-departing";

/// What is counted. Not inlined, so that callgrind finds its beginning and its end.
#[inline(never)]
fn one_turn<Q: Queue>(lane: &mut Lane<Q, Still>, now: Tick) -> usize {
    lane.turn(now)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(class) = env::args().nth(1) else {
        return Err("which class? udp4 udp6 icmp4 icmp6 arp ndp stamp4 stamp6 stamp4-signed sockperf4 malformed unclaimed junk, \
                    stamp4-streams sockperf4-streams, udp4-departing stamp4-departing, ports-N ranges-N askers-N vlans-N with N routes, or: load"
            .into());
    };
    let endpoint = endpoint::load()?;
    if class == "load" {
        return load(&endpoint);
    }
    let queue = testing::queue(RING_SIZE, Wake::NeedWakeup)?;
    match class.strip_suffix(DEPARTING) {
        None => count(&class, &endpoint, queue),
        Some(base) => count(base, &endpoint, Departing::new(queue)),
    }
}

/// Asks all questions of a class, by this queue, and says how many they were.
fn count<Q: OverXdp<Kernel = MemoryKernel>>(
    class: &str,
    endpoint: &Endpoint,
    queue: Q,
) -> Result<(), Box<dyn Error>> {
    let many = Many::of(class)?;
    let numbered = class.strip_suffix(numbered::ENDING);
    let mut question = match &many {
        Some(many) => many.question(endpoint)?,
        None => question(numbered.unwrap_or(class), endpoint)?,
    };
    let stamp_key = if class == SIGNED { Key::new(KEY) } else { None };
    let routes = match &many {
        Some(many) => many.table(endpoint)?,
        None => everywhere(endpoint)?,
    };
    let streams = numbered.map(|_| Arc::new(SharedStreams::new(numbered::ROOM)));
    let mut lane = lane(endpoint, &routes, stamp_key, queue).with_streams(streams.clone());
    lane.queue_mut().xdp_mut().set_tai(Some(LEFT_NS));
    for turn in 0..TURNS {
        let mut injected = 0;
        for place in 0..BATCH {
            if let Some(base) = numbered {
                numbered::number(&mut question, base, turn * BATCH as u64 + place as u64)
                    .ok_or("no number")?;
            }
            injected += usize::from(lane.queue_mut().xdp_mut().inject(&question));
        }
        let taken = one_turn(black_box(&mut lane), Tick(turn));
        lane.queue_mut().xdp_mut().transmit(|_| ());
        assert_eq!((injected, taken), (BATCH, BATCH), "turn {turn}");
    }
    let counters = lane.counters();
    let fate = if is_dropped(class) { Kind::Dropped } else { Kind::Replied };
    assert!(
        cfg!(silent) || counters.sum(fate) == TURNS * BATCH as u64,
        "not every packet of {class} had the fate {fate:?}"
    );
    if let Some((_, stream)) = streams.iter().flat_map(|streams| streams.iter()).next() {
        assert_eq!(stream.counts.received, TURNS * BATCH as u64, "a packet of {class} was not noted");
    }
    println!("{} {}", TURNS * BATCH as u64, Summer::fastest().name());
    Ok(())
}

fn is_dropped(class: &str) -> bool {
    ["unclaimed", "malformed", "junk"].contains(&class)
}

/// The question of a class.
fn question(class: &str, endpoint: &Endpoint) -> Result<Vec<u8>, Box<dyn Error>> {
    let own =
        |is_wanted: fn(&IpAddr) -> bool| endpoint.addresses.iter().map(|address| address.ip).find(is_wanted);
    let (Some(ipv4), Some(ipv6)) = (own(IpAddr::is_ipv4), own(IpAddr::is_ipv6)) else {
        return Err("the endpoint lacks a family".into());
    };
    let ask = |ip, kind, payload: &[u8]| exchange(endpoint, ip, kind, payload).question;
    Ok(match class {
        "udp4" => ask(ipv4, packets::Kind::UdpEcho(PORT), &PAYLOAD),
        "udp6" => ask(ipv6, packets::Kind::UdpEcho(PORT), &PAYLOAD),
        "icmp4" => ask(ipv4, packets::Kind::Echo, &PAYLOAD),
        "icmp6" => ask(ipv6, packets::Kind::Echo, &PAYLOAD),
        // The kind of question is that of any UDP service: only port and payload differ.
        "stamp4" => ask(ipv4, packets::Kind::UdpEcho(stamp::PORT), &stamp_packet(None)),
        "stamp6" => ask(ipv6, packets::Kind::UdpEcho(stamp::PORT), &stamp_packet(None)),
        SIGNED => ask(ipv4, packets::Kind::UdpEcho(stamp::PORT), &stamp_packet(Key::new(KEY).as_ref())),
        "sockperf4" => ask(ipv4, packets::Kind::UdpEcho(sockperf::PORT), &sockperf_message()),
        "arp" => ask(ipv4, packets::Kind::LinkAddress, &[]),
        "ndp" => ask(ipv6, packets::Kind::LinkAddress, &[]),
        // Right in every field, and for another host: read to the end, looked up, not found. Behind the XDP program,
        // which passes it to the kernel, no lane sees such a frame.
        "unclaimed" => ask("10.0.0.77".parse()?, packets::Kind::UdpEcho(PORT), &PAYLOAD),
        // With a header checksum that is wrong: the drop that a lane behind the XDP program does see.
        "malformed" => {
            let mut question = ask(ipv4, packets::Kind::UdpEcho(PORT), &PAYLOAD);
            let checksum = question.get_mut(24).ok_or("the question is no packet")?;
            *checksum ^= 1;
            question
        }
        // Nothing that is ever asked of us (IEEE 802.1AB): what taking and giving back a frame costs at the least.
        "junk" => [&[0xff; 6][..], &endpoint.asker.mac, &[0x88, 0xcc], &[0; 46]].concat(),
        _ => return Err(format!("no class `{class}`").into()),
    })
}

/// A STAMP sender's packet, signed where there is a key. Its stamps are read and written whatever they are.
fn stamp_packet(key: Option<&Key>) -> Vec<u8> {
    let mut packet = vec![0; if key.is_some() { 112 } else { 44 }];
    if let Some(key) = key {
        assert!(stamp::authenticate(&mut packet, key).is_some(), "112 bytes hold a signed packet");
    }
    packet
}

/// A sockperf client's message that asks for a pong, as long as [`PAYLOAD`].
fn sockperf_message() -> Vec<u8> {
    let mut message = PAYLOAD.to_vec();
    let header = [0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 18];
    message.iter_mut().zip(header).for_each(|(byte, header)| *byte = header);
    message
}

fn addresses(endpoint: &Endpoint) -> Vec<Address> {
    let address = |own: &endpoint::Address| Address {
        ip: own.ip,
        prefix_len: own.prefix_len,
        owner: match own.owner {
            endpoint::Owner::Kernel => Owner::Kernel,
            endpoint::Owner::Barelane => Owner::Barelane,
        },
    };
    endpoint.addresses.iter().map(address).collect()
}

/// Every service on each of the endpoint's addresses.
fn everywhere(endpoint: &Endpoint) -> Result<RouteTable, Box<dyn Error>> {
    let services = [
        Service::IcmpEcho,
        Service::UdpEcho { ports: PORT.try_into()? },
        Service::Stamp { ports: stamp::PORT.try_into()? },
        Service::Sockperf { ports: sockperf::PORT.try_into()? },
    ];
    Ok(RouteTable::everywhere(addresses(endpoint), &services)?)
}

/// A lane that goes by these routes.
fn lane<Q: Queue>(
    endpoint: &Endpoint,
    routes: &RouteTable,
    stamp_key: Option<Key>,
    queue: Q,
) -> Lane<Q, Still> {
    let tables = routes.compile(&LaneSettings {
        mac: Mac(endpoint.mac),
        checksum: Summer::fastest(),
        partial_checksums: PartialChecksums::Refuse,
        hop_limit: endpoint.hop_limit,
        errors_per_second: endpoint.errors_per_second,
        next_hop: NextHop::Auto,
        stamp_key,
        short_packets: ShortPackets::Drop,
    });
    let (mut sender, mailbox) = mailbox();
    sender.tell_arrival_clock(ArrivalClock::new(Tick(0), 0, TickRate::NANOSECONDS));
    Lane::new(queue, Box::new(tables), Still::default(), Arc::new(Page::default()), mailbox)
}

/// How long tables of many routes take to be made, and how much memory, on this machine as it is now.
fn load(endpoint: &Endpoint) -> Result<(), Box<dyn Error>> {
    for kind in many::KINDS {
        for count in [10, many::most(kind)] {
            let many = Many { kind, count };
            let started = Instant::now();
            let table = many.table(endpoint)?;
            let took = started.elapsed();
            let compiled = table.compiled();
            let size = compiled.lookup4().size() + compiled.lookup6().size() + compiled.refinements().size();
            println!("{kind} {} {} {size}", many.count, took.as_micros());
        }
    }
    Ok(())
}

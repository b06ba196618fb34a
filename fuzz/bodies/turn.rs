//! What the fuzz target `turn` does with its bytes. The fuzzer calls it with bytes that it makes up; a test of `lane`
//! calls it with everything in `fuzz/corpus/turn`, on the stable compiler and in every run.

use std::sync::Arc;

use barelane_lane::{Lane, mailbox};
use nic::sim::{Card, Faults};
use route::{
    Address, LaneSettings, LaneTables, NextHop, Owner, PartialChecksums, RouteTable, Service, ShortPackets,
};
use telemetry::{Page, SharedStreams, Still, Tick};
use testkit::conservation::Conservation;
use testkit::endpoint;
use wire::checksum::Summer;
use wire::ethernet::Mac;
use wire::stamp::Key;

/// Frames that wait at once, at most.
const RING_SIZE: usize = 8;
/// Frames of one input, at most, so that no input is slow.
const FRAME_COUNT_MAX: usize = 64;
/// Places for streams: so few that they are taken away.
const STREAMS: usize = 4;
/// Bytes of the shortest frame.
const FRAME_LEN_MIN: usize = 60;

/// No frames stop a lane, lose a buffer or have two fates, and no answer goes to anybody but the asker.
///
/// The input: one byte of settings, then frames, each behind two bytes of length, little-endian. A frame whose length
/// has its highest bit set waits for the next one, so that both are taken in one turn.
pub(crate) fn turn(bytes: &[u8]) {
    let Some((&settings, mut rest)) = bytes.split_first() else { return };
    let mut lane = lane(settings);
    let mut watch = Conservation::default();
    let mut askers = vec![[0xff; 6], [0x33, 0x33, 0, 0, 0, 1]];
    for number in 0..FRAME_COUNT_MAX {
        let Some((frame, ends_turn, after)) = next_frame(rest) else { return };
        rest = after;
        askers.extend(frame.get(6..12).and_then(|src| <[u8; 6]>::try_from(src).ok()));
        askers.extend(frame.get(22..28).and_then(|sender| <[u8; 6]>::try_from(sender).ok()));
        lane.queue_mut().inject(frame);
        if ends_turn {
            lane.turn(Tick(number as u64 * 1_000_000));
            check(&mut lane, &mut watch, &askers);
        }
    }
}

/// The next frame, whether the turn ends behind it, and what follows.
fn next_frame(bytes: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let (&[low, high], rest) = bytes.split_first_chunk()?;
    let len = usize::from(u16::from_le_bytes([low, high & 0x7f])).min(rest.len());
    let (frame, rest) = rest.split_at(len);
    Some((frame, high & 0x80 == 0, rest))
}

fn check(lane: &mut Lane<Card, Still>, watch: &mut Conservation, askers: &[[u8; 6]]) {
    watch.check(lane.counters()).unwrap_or_else(|violation| panic!("{violation}"));
    lane.queue().accounted().unwrap_or_else(|wrong| panic!("{wrong}"));
    lane.queue_mut().take_sent(|answer| {
        assert!(answer.len() >= FRAME_LEN_MIN, "a frame of {} bytes", answer.len());
        assert!(askers.iter().any(|asker| answer.starts_with(asker)), "to a stranger: {answer:02x?}");
    });
    lane.queue_mut().take_passed(|_| ());
}

fn lane(settings: u8) -> Lane<Card, Still> {
    let (_, mailbox) = mailbox();
    let card = Card::new(RING_SIZE, 1, Faults::default());
    let streams = (settings & 16 == 0).then(|| Arc::new(SharedStreams::new(STREAMS)));
    Lane::new(card, Box::new(tables(settings)), Still::default(), Arc::new(Page::default()), mailbox)
        .with_streams(streams)
}

/// The endpoint that every vector is put to, with every service on every address. The lowest bit of `settings` says
/// whether partial checksums are accepted, the one above it whether STAMP is authenticated, the third whether only who is on
/// the link is answered, the fourth whether short STAMP packets are; the fifth whether the lane has no streams.
fn tables(settings: u8) -> LaneTables {
    let endpoint = endpoint::load().unwrap_or_else(|error| panic!("{error}"));
    let owner = |owner| if owner == endpoint::Owner::Kernel { Owner::Kernel } else { Owner::Barelane };
    let address =
        |own: &endpoint::Address| Address { ip: own.ip, prefix_len: own.prefix_len, owner: owner(own.owner) };
    let names = ["icmp-echo", "udp-echo:7", "stamp:862", "sockperf:11111"];
    let services = names.map(|name| name.parse::<Service>().unwrap_or_else(|error| panic!("{error}")));
    let routes = RouteTable::everywhere(endpoint.addresses.iter().map(address).collect(), &services);
    routes.unwrap_or_else(|error| panic!("{error}")).compile(&LaneSettings {
        mac: Mac(endpoint.mac),
        checksum: Summer::fastest(),
        partial_checksums: if settings & 1 == 0 {
            PartialChecksums::Refuse
        } else {
            PartialChecksums::Accept
        },
        hop_limit: endpoint.hop_limit,
        errors_per_second: endpoint.errors_per_second,
        next_hop: if settings & 4 == 0 { NextHop::Reflect } else { NextHop::Auto },
        stamp_key: if settings & 2 == 0 { None } else { Key::new(endpoint.stamp.key.as_bytes()) },
        short_packets: if settings & 8 == 0 { ShortPackets::Drop } else { ShortPackets::Answer },
    })
}

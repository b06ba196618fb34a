//! A lane over memif allocates nothing after its start. [`MemifLane::turn`] counts; here is what is done meanwhile.

use nic::memif::Role;
use route::PartialChecksums;
use telemetry::Ns;
use testkit::allocations;
use testkit::endpoint;
use testkit::packets::Packets;
use wire::checksum::Summer;

use crate::peer::{MemifLane, Peer, Way};
use crate::simulated::settings_of;

#[test]
fn an_allocation_would_be_seen() {
    assert!(allocations::is_counted());
}

/// Connections come and go on the lane's thread, between two turns: what is exchanged is freed by another thread.
#[test]
fn a_lane_allocates_nothing_while_connections_come_and_go() {
    let endpoint = endpoint::load().unwrap();
    for role in [Role::Server, Role::Client] {
        let mut own =
            MemifLane::new(role, &settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest()));
        let mut packets = Packets::new(&endpoint, 1);
        let mut way = Way::of(&own);
        for round in 1..=4 {
            let mut peer = Peer::connect(&mut own, way);
            for _ in 0..100 {
                own.until(|_| peer.has_room(), "room for a question");
                let exchange = packets.valid();
                peer.ask(&exchange.question);
                own.turn(Ns(1_000_000));
                assert_eq!(peer.answers(), [exchange.answer]);
            }
            let Peer { raw, way: next, .. } = peer;
            drop(raw);
            own.part();
            assert_eq!(own.control.peers().connected, round);
            way = match next {
                Way::Offer(_) => Way::of(&own),
                listener @ Way::Listener(_) => listener,
            };
        }
        // A peer that is given up in a turn.
        let mut peer = Peer::connect(&mut own, way);
        peer.jump();
        own.part();
        assert_eq!(own.control.peers().of(nic::memif::Fault::IndexInvalid), 1, "{role:?}");
    }
}

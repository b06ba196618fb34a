//! New tables reach a lane whole, between two turns, and what it counted reaches its page.

use std::sync::Arc;

use barelane_lane::{Lane, MailboxFull, mailbox};
use nic::sim::{Card, Faults};
use route::{LaneSettings, LaneTables, NextHop, PartialChecksums, ShortPackets};
use telemetry::{Counter, Page, Still, Tick};
use testkit::endpoint;
use wire::checksum::Summer;
use wire::ethernet::Mac;

use crate::simulated::table_of;

/// A lane does its seldom work after so many turns.
const TURNS: u64 = 4_096;

/// What a lane of the vectors' endpoint knows, with so many errors a second.
pub(crate) fn limited(errors_per_second: u32) -> Box<LaneTables> {
    let endpoint = endpoint::load().unwrap();
    let settings = LaneSettings {
        mac: Mac(endpoint.mac),
        checksum: Summer::SCALAR,
        partial_checksums: PartialChecksums::Refuse,
        hop_limit: endpoint.hop_limit,
        errors_per_second,
        next_hop: NextHop::Reflect,
        stamp_key: None,
        short_packets: ShortPackets::Drop,
    };
    Box::new(table_of(&endpoint).compile(&settings))
}

fn turn(lane: &mut Lane<Card, Still>, turns: u64) {
    (0..turns).for_each(|_| assert_eq!(lane.turn(Tick(0)), 0));
}

#[test]
fn tables_wait_until_those_before_them_are_taken_and_given_back() {
    let (mut sender, mailbox) = mailbox();
    let card = Card::new(4, 0, Faults::default());
    let mut lane = Lane::new(card, limited(1), Still::default(), Arc::new(Page::default()), mailbox);
    sender.send(limited(2)).unwrap();
    let MailboxFull(refused) = sender.send(limited(3)).unwrap_err();
    assert_eq!(refused.errors_per_second, 3, "what is refused comes back");
    turn(&mut lane, TURNS);
    sender.send(refused).unwrap();
    turn(&mut lane, TURNS);
    assert_eq!(lane.counters().of(Counter::TablesTaken), 1, "the first old ones still lie there");
    assert!(sender.collect());
    turn(&mut lane, TURNS);
    assert_eq!(lane.counters().of(Counter::TablesTaken), 2);
}

#[test]
fn what_a_lane_counted_stands_on_its_page_after_its_housekeeping_and_when_it_says_so() {
    let page = Arc::new(Page::default());
    let (_, mailbox) = mailbox();
    let card = Card::new(4, 0, Faults::default());
    let mut lane = Lane::new(card, limited(1), Still::default(), page.clone(), mailbox);
    let empty_turns = || page.read().unwrap().counters.of(Counter::TurnEmpty);
    turn(&mut lane, TURNS - 1);
    assert_eq!(empty_turns(), 0, "publishing costs, and is seldom");
    turn(&mut lane, 1);
    assert_eq!(empty_turns(), TURNS);
    turn(&mut lane, 1);
    lane.publish();
    assert_eq!(empty_turns(), TURNS + 1);
}

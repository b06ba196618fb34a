//! What a lane sees of its own turns stands on its page: how long it had what it answered, and when it was not there.

use std::sync::Arc;

use barelane_lane::{Lane, STALL_LIMIT, mailbox};
use nic::sim::{Card, Faults};
use route::PartialChecksums;
use telemetry::{ANSWERED_COUNT, Counter, Histogram, Ns, Page, Stall, StallTotals, Still, Tick};
use testkit::vectors;
use wire::checksum::Summer;

use crate::simulated::{SimulatedLane, Window, card};
use crate::tables::limited;

fn lane() -> SimulatedLane<impl Window> {
    SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest())
}

fn question(id: &str) -> Vec<u8> {
    vectors::load().unwrap().into_iter().find(|vector| vector.rule.id == id).unwrap().question
}

/// The residence of the answers that this counter counts.
fn residence<Q: Window>(lane: &SimulatedLane<Q>, counter: Counter) -> Histogram {
    let place = Counter::answered().iter().position(|&answered| answered == counter).unwrap();
    lane.page.turn_residence[place].read()
}

#[test]
fn every_answer_of_a_turn_was_there_until_the_next_turn_and_counts_under_its_kind() {
    let mut lane = lane();
    for (quiet, id) in [(5, "C4-echo"), (900, "U1-echo"), (1_500, "C4-echo")] {
        lane.turn(Ns(quiet));
        lane.lane.queue_mut().card().inject(&question(id));
        lane.lane.queue_mut().card().inject(&question("C4-echo"));
        lane.turn(Ns(700));
    }
    lane.turn(Ns(1_500));
    lane.turn(Ns(1_000_000));
    let [echo, udp] = [Counter::RepliedIcmpv4, Counter::RepliedUdp].map(|counter| residence(&lane, counter));
    assert_eq!((echo.count(), echo.min(), echo.max(), echo.sum()), (5, 900, 1_500, 2 * 900 + 3 * 1_500));
    assert_eq!((udp.count(), udp.sum()), (1, 1_500));
    let others = lane.page.turn_residence.iter().map(|shared| shared.read().count()).sum::<u64>() - 6;
    assert_eq!((others, ANSWERED_COUNT), (0, Counter::answered().len()));
}

#[test]
fn what_is_dropped_or_not_there_has_no_residence() {
    let mut lane = lane();
    let mut damaged = question("U1-echo");
    *damaged.last_mut().unwrap() ^= 1;
    lane.lane.queue_mut().card().inject(&damaged);
    (0..3).for_each(|_| lane.turn(Ns(100)));
    assert_eq!(lane.lane.counters().of(Counter::UdpChecksum), 1);
    assert!(lane.page.turn_residence.iter().all(|shared| shared.read().count() == 0));
}

#[test]
fn a_sleep_that_was_meant_is_no_stall_and_one_that_ended_late_is() {
    let page = Arc::new(Page::default());
    let (_, mailbox) = mailbox();
    let card = Card::new(4, 0, Faults::default());
    let mut lane = Lane::new(card, limited(1), Still::default(), page.clone(), mailbox);
    let limit = STALL_LIMIT.0;
    lane.turn(Tick(10));
    lane.rest(Tick(20));
    lane.wake(Tick(100 * limit));
    lane.turn(Tick(101 * limit));
    assert_eq!(page.stalls.count(), 0);
    lane.rest(Tick(101 * limit + 5));
    // It was to sleep until here, and turned only then.
    lane.wake(Tick(200 * limit));
    lane.turn(Tick(201 * limit + 1));
    assert_eq!(page.stalls.stall(0), Some(Stall { began: Tick(200 * limit), ticks: limit + 1 }));
    // What keeps it from going to sleep is one too.
    lane.rest(Tick(203 * limit));
    assert_eq!(page.stalls.count(), 2);
}

#[test]
fn a_gap_between_two_turns_that_is_longer_than_the_limit_is_a_stall() {
    let page = Arc::new(Page::default());
    let (_, mailbox) = mailbox();
    let card = Card::new(4, 0, Faults::default());
    let mut lane = Lane::new(card, limited(1), Still::default(), page.clone(), mailbox);
    let (begin, limit) = (7 * STALL_LIMIT.0, STALL_LIMIT.0);
    for at in [begin, begin + limit, begin + 2 * limit + 1, begin + 2 * limit + 2] {
        lane.turn(Tick(at));
    }
    assert_eq!(page.stalls.totals(), StallTotals { count: 1, ticks: limit + 1, longest: limit + 1 });
    assert_eq!(page.stalls.stall(0), Some(Stall { began: Tick(begin + limit), ticks: limit + 1 }));
}

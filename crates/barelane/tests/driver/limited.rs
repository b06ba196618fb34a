//! Limits in the driver: what is answered is never more than the limit allows, and what is not is counted for its reason. What
//! one source is, the driver and the lane see alike.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use barelane::plan::claims_of;
use barelane_lane::{Lane, mailbox};
use nic::sim::Card;
use nic::xdp::Vlans;
use nic::xdp::dry_run::{Action, DryRun};
use route::{
    Address, Asks, Family, LaneSettings, Limit, Owner, PartialChecksums, Question, Route, RouteTable,
    SourceLimit, SourcePrefix, Terms, Tier,
};
use telemetry::{Counter, Page, Still, Tick};
use testkit::endpoint;
use wire::checksum::Summer;

use crate::can_load;
use crate::refined::frame;
use crate::simulated::{card, settings_of};

const PER_SECOND: u32 = 100;
const PORT: u16 = 4000;

/// One route, a UDP echo with a limit.
fn table(limit: Limit) -> RouteTable {
    let addresses = ["10.0.0.1", "fd00::1"].map(|ip| Address {
        ip: ip.parse().unwrap(),
        prefix_len: 24,
        owner: Owner::Barelane,
    });
    let route = Route { limit, ..Route::everywhere(format!("udp-echo:{PORT}").parse().unwrap()) };
    let terms = Terms { earliest: Tier::Driver, ..Terms::default() };
    RouteTable::with_terms(addresses.to_vec(), vec![route], &terms).unwrap()
}

fn settings() -> LaneSettings {
    settings_of(&endpoint::load().unwrap(), PartialChecksums::Refuse, Summer::fastest())
}

/// The program with such a route, and how frames are addressed to it.
fn load(limit: Limit) -> (DryRun, [u8; 6]) {
    let settings = settings();
    let claims = claims_of(&settings, Vlans::UNTAGGED, &table(limit), Tier::Driver);
    (DryRun::load(&claims).unwrap(), settings.mac.0)
}

/// A lane with such a route.
fn lane(limit: Limit) -> Lane<Card, Still> {
    let tables = Box::new(table(limit).compile(&settings()));
    let (_, mailbox) = mailbox();
    Lane::new(card(), tables, Still::default(), Arc::new(Page::default()), mailbox)
}

fn question(to: &str, from: IpAddr) -> Question {
    Question { asks: Asks::Udp(PORT), to: to.parse().unwrap(), from, vid: 0 }
}

/// How many of these frames were answered; the others were dropped for the limit.
fn answered(program: &DryRun, frames: &[Vec<u8>], reason: Counter) -> u64 {
    let before = program.counts().unwrap();
    let of_route = || program.route_counts().unwrap()[0];
    let route_before = of_route();
    let actions: Vec<Action> = frames.iter().map(|frame| program.run(frame).unwrap().0).collect();
    let after = program.counts().unwrap();
    let more = |counter: Counter| after[counter as usize] - before[counter as usize];
    let count_of = |action| actions.iter().filter(|one| **one == action).count() as u64;
    assert_eq!(more(Counter::RepliedUdp), count_of(Action::Reply));
    assert_eq!(more(reason), count_of(Action::Drop), "{actions:?}");
    assert_eq!(count_of(Action::Reply) + count_of(Action::Drop), frames.len() as u64);
    assert_eq!(of_route().taken - route_before.taken, frames.len() as u64);
    assert_eq!(of_route().unanswered - route_before.unanswered, count_of(Action::Drop));
    count_of(Action::Reply)
}

/// The most that may be answered in this time: a tenth of a second's at once, and then one each interval.
fn most(elapsed: Duration) -> u64 {
    let per_second = u64::from(PER_SECOND);
    let in_time = u128::from(per_second) * elapsed.as_nanos() / 1_000_000_000;
    per_second / 10 + u64::try_from(in_time).unwrap() + 1
}

#[test]
fn each_source_is_answered_as_often_as_it_may_be() {
    if !can_load() {
        return;
    }
    let per_source = NonZeroU32::new(PER_SECOND).map(SourceLimit::from);
    let (program, mac) = load(Limit { per_second: None, per_source });
    for (to, froms) in [
        ("10.0.0.1", ["10.0.0.9", "10.0.0.10"]),
        // Of one link: one source.
        ("fd00::1", ["fd00::9", "fd00:0:0:1::9"]),
    ] {
        for from in froms {
            let frames = vec![frame(mac, &question(to, from.parse().unwrap())); 1_000];
            let began = Instant::now();
            let count = answered(&program, &frames, Counter::SourceLimited);
            assert!((10..=most(began.elapsed())).contains(&count), "{count} of {from}");
        }
    }
    let one_link: Vec<_> = (0..1_000_u128)
        .map(|host| frame(mac, &question("fd00::1", IpAddr::from((0xfd02_u128 << 112 | host).to_be_bytes()))))
        .collect();
    let began = Instant::now();
    let count = answered(&program, &one_link, Counter::SourceLimited);
    assert!((10..=most(began.elapsed())).contains(&count), "{count} of one link");
}

#[test]
fn a_route_is_answered_as_often_as_it_may_be_whoever_asks() {
    if !can_load() {
        return;
    }
    let (program, mac) = load(Limit { per_second: PER_SECOND.try_into().ok(), per_source: None });
    let frames: Vec<_> = (0..1_000_u32)
        .map(|host| frame(mac, &question("10.0.0.1", IpAddr::from((0x0b00_0000 + host).to_be_bytes()))))
        .collect();
    let began = Instant::now();
    let count = answered(&program, &frames, Counter::RouteLimited);
    assert!((10..=most(began.elapsed())).contains(&count), "{count}");
}

#[test]
fn what_is_not_answered_takes_no_token() {
    if !can_load() {
        return;
    }
    let (program, mac) = load(Limit { per_second: PER_SECOND.try_into().ok(), per_source: None });
    let right = frame(mac, &question("10.0.0.1", "10.0.0.9".parse().unwrap()));
    let mut wrong = right.clone();
    *wrong.last_mut().unwrap() ^= 1;
    for _ in 0..1_000 {
        assert_eq!(program.run(&wrong).unwrap().0, Action::Drop);
    }
    assert_eq!(program.run(&right).unwrap().0, Action::Reply);
}

/// The answer to each frame; nothing where it was dropped for its source.
type Answers = Vec<Option<Vec<u8>>>;

fn by_driver(limit: Limit, frames: &[Vec<u8>]) -> Answers {
    let (program, _) = load(limit);
    let answer = |frame: &Vec<u8>| match program.run(frame).unwrap() {
        (Action::Reply, answer) => Some(answer),
        (Action::Drop, _) => None,
        other => panic!("{other:02x?}"),
    };
    let answers: Answers = frames.iter().map(answer).collect();
    let limited = program.counts().unwrap()[Counter::SourceLimited as usize];
    assert_eq!(limited, answers.iter().filter(|answer| answer.is_none()).count() as u64);
    answers
}

fn by_lane(limit: Limit, frames: &[Vec<u8>]) -> Answers {
    let mut lane = lane(limit);
    let mut answer = |frame: &Vec<u8>| {
        lane.queue_mut().inject(frame);
        assert_eq!(lane.turn(Tick(0)), 1);
        let mut sent = Vec::new();
        lane.queue_mut().take_sent(|frame| sent.push(frame.to_vec()));
        sent.pop()
    };
    let answers: Answers = frames.iter().map(&mut answer).collect();
    let limited = lane.counters().of(Counter::SourceLimited);
    assert_eq!(limited, answers.iter().filter(|answer| answer.is_none()).count() as u64);
    answers
}

/// Whether each of them may be answered, where a source may be once: an address, two that differ from it behind the prefix only,
/// and the same in another prefix.
fn askers(base: IpAddr, len: u8) -> [(IpAddr, bool); 6] {
    let bits = Family::of(base).bits();
    let bit = |index: u8| if index < bits { 1_u128 << (bits - 1 - index) } else { 0 };
    let (behind, last, other) = (bit(len), bit(len.max(bits - 1)), bit(len - 1));
    [(0, true), (behind, false), (last, false), (other, true), (other | behind, false), (other | last, false)]
        .map(|(turned, may)| (with_turned(base, turned), may))
}

fn with_turned(ip: IpAddr, bits: u128) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() ^ u32::try_from(bits).unwrap()).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() ^ bits).into(),
    }
}

/// Two prefixes whose hashes meet are one source, which one run in some thousand has; and a machine may stand still for a
/// second between two frames. A fault is there each time.
const TRIES: usize = 3;

#[test]
fn the_driver_and_the_lane_take_the_same_addresses_for_one_source() {
    if !can_load() {
        return;
    }
    let mac = settings().mac.0;
    for (ipv4_len, ipv6_len) in [(32, 64), (24, 56), (17, 49), (1, 1)] {
        let prefix = SourcePrefix::LONGEST.with(Family::V4, ipv4_len).with(Family::V6, ipv6_len);
        let limit =
            Limit { per_source: Some(SourceLimit { prefix, per_second: NonZeroU32::MIN }), ..Limit::NONE };
        let (mut frames, mut wanted) = (Vec::new(), Vec::new());
        for (to, base, len) in
            [("10.0.0.1", "203.0.113.77", ipv4_len), ("fd00::1", "2001:db8:0:1200::4d", ipv6_len)]
        {
            for (from, may) in askers(base.parse().unwrap(), len) {
                frames.push(frame(mac, &question(to, from)));
                wanted.push(may);
            }
        }
        let is_right = || {
            let (driver, lane) = (by_driver(limit, &frames), by_lane(limit, &frames));
            driver == lane && lane.iter().map(Option::is_some).eq(wanted.iter().copied())
        };
        assert!((0..TRIES).any(|_| is_right()), "{prefix}");
    }
}

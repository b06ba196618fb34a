//! Limits in the driver: what is answered is never more than the limit allows, and what is not is counted for its reason.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use barelane::plan::claims_of;
use nic::xdp::Vlans;
use nic::xdp::dry_run::{Action, DryRun};
use route::{Address, Asks, Limit, Owner, PartialChecksums, Question, Route, RouteTable, Terms, Tier};
use telemetry::Counter;
use testkit::endpoint;
use wire::checksum::Summer;

use crate::can_load;
use crate::refined::frame;
use crate::simulated::settings_of;

const PER_SECOND: u32 = 100;
const PORT: u16 = 4000;

/// The program with one route, a UDP echo with a limit, and how frames are addressed to it.
fn load(limit: Limit) -> (DryRun, [u8; 6]) {
    let endpoint = endpoint::load().unwrap();
    let addresses = ["10.0.0.1", "fd00::1"].map(|ip| Address {
        ip: ip.parse().unwrap(),
        prefix_len: 24,
        owner: Owner::Barelane,
    });
    let route = Route { limit, ..Route::everywhere(format!("udp-echo:{PORT}").parse().unwrap()) };
    let terms = Terms { earliest: Tier::Driver, ..Terms::default() };
    let table = RouteTable::with_terms(addresses.to_vec(), vec![route], &terms).unwrap();
    let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
    let claims = claims_of(&settings, Vlans::UNTAGGED, &table, Tier::Driver);
    (DryRun::load(&claims).unwrap(), endpoint.mac)
}

fn question(to: &str, from: IpAddr) -> Question {
    Question { asks: Asks::Udp(PORT), to: to.parse().unwrap(), from, vid: 0 }
}

/// How many of these frames were answered; the others were dropped for the limit.
fn answered(program: &DryRun, frames: &[Vec<u8>], reason: Counter) -> u64 {
    let before = program.counts().unwrap();
    let actions: Vec<Action> = frames.iter().map(|frame| program.run(frame).unwrap().0).collect();
    let after = program.counts().unwrap();
    let more = |counter: Counter| after[counter as usize] - before[counter as usize];
    let count_of = |action| actions.iter().filter(|one| **one == action).count() as u64;
    assert_eq!(more(Counter::RepliedUdp), count_of(Action::Reply));
    assert_eq!(more(reason), count_of(Action::Drop), "{actions:?}");
    assert_eq!(count_of(Action::Reply) + count_of(Action::Drop), frames.len() as u64);
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
    let (program, mac) = load(Limit { per_second: None, per_source: PER_SECOND.try_into().ok() });
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

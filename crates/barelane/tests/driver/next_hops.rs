//! Where the program sends the answers to askers behind routers: by the table that a lane has, as a lane does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use barelane::plan::next_hops_of;
use nic::xdp::dry_run::{Action, DryRun};
use nic::xdp::{Answers, COUNT_MAX, Claim, ClaimKey, ClaimedAddress, Claims, Owner, Tier};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use route::{Asks, NextHops, Prefix, Question, Via, Way};
use telemetry::Counter;
use wire::ethernet::Mac;

use crate::can_load;
use crate::differential::{Telling, compare, seeds, telling};
use crate::refined::frame;
use crate::simulated::SimulatedLane;
use crate::tier::{Driver, difference};

const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0xfe]);
/// No asker has one of these.
const OWN: [&str; 2] = ["192.0.2.1", "2001:db8:ffff::1"];

fn gateway(number: u32, mac: Option<Mac>) -> Via {
    Via::Gateway(Ipv4Addr::from(0x0aff_0000 + number).into(), mac)
}

/// Everybody is reached like this.
fn all(via: Via) -> NextHops {
    let ways = ["0.0.0.0/0", "::/0"].map(|prefix| (prefix.parse().unwrap(), via));
    NextHops::new(1, ways.into_iter()).unwrap()
}

#[test]
fn the_lane_and_the_driver_send_every_answer_to_the_same_station() {
    if !can_load() {
        return;
    }
    let seeds = seeds();
    let share = (seeds.end - seeds.start).div_ceil(4);
    for (via, fate) in [
        (gateway(0, Some(ROUTER)), ("Some(Answered)", "reply")),
        (gateway(0, None), ("Some(Dropped)", "next_hop_unresolved")),
        (Via::Elsewhere, ("Some(Dropped)", "next_hop_elsewhere")),
        (Via::Link, ("Some(Answered)", "reply")),
    ] {
        let next_hops = all(via);
        let mut alone: SimulatedLane<Telling> = SimulatedLane::by_routes(telling(), next_hops.clone());
        let mut driver = Driver::by_routes(&next_hops);
        let summary = compare(seeds.start..seeds.start + share, &via, &mut alone, &mut driver);
        println!("{share} frames, {via:?}\n{summary}");
        assert_eq!(summary.failed, 0, "of {share}, {via:?}\n{summary}");
        let seen = summary.fates.get(&(fate.0.to_owned(), fate.1)).copied().unwrap_or_default();
        assert!(seen * 100 > share || share < 100, "{fate:?} {seen} times of {share}\n{summary}");
    }
}

/// Echo of ICMP and UDP at our addresses, with nobody on their links.
fn claims() -> Claims {
    let own = OWN.map(|own| own.parse::<IpAddr>().unwrap());
    let link_len = |ip: &IpAddr| if ip.is_ipv4() { 32 } else { 128 };
    let address =
        |ip: &IpAddr| ClaimedAddress { link_len: link_len(ip), ..ClaimedAddress::new(*ip, Owner::Kernel) };
    let claim = |ip: &IpAddr| {
        let echo = if ip.is_ipv4() { (1, 8) } else { (58, 128) };
        [echo, (17, 7)].map(|(protocol, selector)| Claim {
            key: ClaimKey { address: *ip, protocol, selector },
            tier: Tier::Driver,
            route: 0,
            is_reflected: false,
        })
    };
    Claims {
        mac: OUR_MAC,
        addresses: own.iter().map(address).collect(),
        claims: own.iter().flat_map(claim).collect(),
        answers: Answers { hop_limit: 64, ..Answers::default() },
        ..Claims::default()
    }
}

/// A way: its family, bits of its prefix and where they stand, its length, and by whom it goes.
type Drawn = (bool, u32, u32, u8, u32);

/// An address of those that ways are drawn among: 10.0.0.0/8, or the last 64 bits of `2001:db8::/64`.
fn address(is_ipv4: bool, bits: u32, shift: u32) -> IpAddr {
    if is_ipv4 {
        return Ipv4Addr::from(0x0a00_0000 | bits << (shift % 21)).into();
    }
    let low = u128::from(bits) << (shift % 61);
    Ipv6Addr::from(0x2001_0db8_u128 << 96 | low).into()
}

fn way((is_ipv4, bits, shift, len, by): Drawn) -> (Prefix, Via) {
    let ip = address(is_ipv4, bits, shift);
    let prefix = Prefix::around(ip, if is_ipv4 { len % 33 } else { len % 129 }).unwrap();
    let via = match by % 8 {
        0 => Via::Link,
        1 => Via::Elsewhere,
        // So many gateways that some share a bit of those that say who was used; every third one is known.
        _ => {
            let mac = Mac([2, 0, 0, 1, u8::try_from(by / 256).unwrap(), by.to_be_bytes()[3]]);
            gateway(by, by.is_multiple_of(3).then_some(mac))
        }
    };
    (prefix, via)
}

/// What the program did with a question: to whom it answered, or why not.
fn run(program: &DryRun, question: &Question) -> Result<[u8; 6], Counter> {
    let before: [u64; COUNT_MAX] = program.counts().unwrap();
    let (action, after) = program.run(&frame(OUR_MAC, question)).unwrap();
    let counted = difference(&before, &program.counts().unwrap());
    match action {
        Action::Reply => {
            assert_eq!(after[6..12], OUR_MAC);
            Ok(after[..6].try_into().unwrap())
        }
        Action::Drop => {
            let reasons = [Counter::NextHopElsewhere, Counter::NextHopUnresolved];
            Err(reasons.into_iter().find(|&reason| counted.of(reason) == 1).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_program_finds_the_way_that_the_table_has_and_says_which_gateways_it_used() {
    if !can_load() {
        return;
    }
    let config = Config {
        // Each table is put in force in the kernel, which takes it some ten milliseconds.
        cases: 60,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(5),
        ..Config::default()
    };
    let program = std::cell::RefCell::new(DryRun::load(&claims()).unwrap());
    let done = std::cell::RefCell::new([0_u64; 4]);
    let drawn = (any::<bool>(), 0_u32..16, 0_u32..64, any::<u8>(), 0_u32..400);
    let asker = (any::<bool>(), 0_u32..16, 0_u32..64);
    let strategy = (prop::collection::vec(drawn, 1..200), prop::collection::vec(asker, 200));
    TestRunner::new(config)
        .run(&strategy, |(ways, askers)| {
            let ways: Vec<_> = ways.into_iter().map(way).collect();
            let table = NextHops::new(1, ways.into_iter()).unwrap();
            let mut program = program.borrow_mut();
            program.set_next_hops(&next_hops_of(&table)).unwrap();
            let mut used = 0;
            for (number, (is_ipv4, bits, shift)) in askers.into_iter().enumerate() {
                let from = address(is_ipv4, bits, shift);
                let to = OWN[usize::from(!is_ipv4)].parse().unwrap();
                let asks = if number % 2 == 0 { Asks::Echo } else { Asks::Udp(7) };
                let question = Question { from, to, asks, vid: 0 };
                let (kind, wanted) = match table.to(from) {
                    // The station that `frame` puts there.
                    Way::Back => (0, Ok([2, 0, 0, 0, 0, 2])),
                    Way::To(gateway, mac) => {
                        used |= 1_u64 << (gateway % 64);
                        (1, Ok(mac.0))
                    }
                    Way::Unresolved(gateway) => {
                        used |= 1_u64 << (gateway % 64);
                        (2, Err(Counter::NextHopUnresolved))
                    }
                    Way::Elsewhere => (3, Err(Counter::NextHopElsewhere)),
                };
                prop_assert_eq!(run(&program, &question), wanted, "{:?} by {:?}", question, table);
                done.borrow_mut()[kind] += 1;
            }
            prop_assert_eq!(program.take_gateways_used().unwrap(), used);
            prop_assert_eq!(program.take_gateways_used().unwrap(), 0, "said once");
            Ok(())
        })
        .unwrap();
    let done = done.into_inner();
    assert!(done.iter().all(|&count| count > 100), "too few of a kind were tried: {done:?}");
}

#[test]
fn other_claims_leave_the_ways_as_they_are() {
    if !can_load() {
        return;
    }
    let mut program = DryRun::load(&claims()).unwrap();
    let question =
        Question { from: "10.0.0.9".parse().unwrap(), to: OWN[0].parse().unwrap(), asks: Asks::Echo, vid: 0 };
    assert_eq!(run(&program, &question), Err(Counter::NextHopElsewhere), "no way is set");
    program.set_next_hops(&next_hops_of(&all(gateway(0, Some(ROUTER))))).unwrap();
    assert_eq!(run(&program, &question), Ok(ROUTER.0));
    program.set_claims(&claims()).unwrap();
    assert_eq!(run(&program, &question), Ok(ROUTER.0));
}

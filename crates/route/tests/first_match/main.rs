//! What routes are compiled to decides as the routes themselves do: the first whose conditions all hold.
//!
//! Tables and packets are random (`tables.rs`). The oracle looks at one route after the other, as a reader would.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

mod tables;

use std::net::IpAddr;

use barelane_route::{
    Asks, Decision, LaneSettings, LaneTables, NextHop, Owner, PartialChecksums, Question, Responder,
    RouteTable, Service, ShortPackets, Tier,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use wire::checksum::Summer;
use wire::ethernet::Mac;

use crate::tables::{addresses, asked, edges, is_sent_back, question, route, table, terms};

/// What must be found, from the first route that matches and from whose the address is.
fn expected(table: &RouteTable, question: &Question) -> Option<(Option<usize>, Tier, Responder)> {
    let route = table.first_match(question);
    if let Some(index) = route {
        let responder = match table.routes()[index].service {
            Service::IcmpEcho => Responder::Echo,
            Service::UdpEcho { .. } => Responder::UdpEcho,
            Service::Stamp { .. } => Responder::Stamp,
            Service::Sockperf { .. } => Responder::Sockperf,
        };
        return Some((route, table.tiers()[index], responder));
    }
    let is_own = table.addresses().iter().any(|one| one.ip == question.to && one.owner == Owner::Barelane);
    let is_closed = is_own && matches!(question.asks, Asks::Udp(_));
    is_closed.then_some((None, Tier::Lane, Responder::UdpClosed))
}

fn found(table: &RouteTable, class: Decision) -> (Option<usize>, Tier, Responder) {
    let route = (class.route != Decision::NO_ROUTE).then_some(class.route.into());
    assert!(route.is_none_or(|index: usize| index < table.routes().len()));
    assert_eq!(class.refinement, 0, "nothing is left to be asked");
    (route, class.tier, class.responder)
}

/// Holds what lanes have of an address to the route that takes a packet to it.
fn check_host(table: &RouteTable, lanes: &[(NextHop, LaneTables)], question: &Question) {
    let Some(decision) = table.compiled().decide(question) else { return };
    for (otherwise, tables) in lanes {
        let class = decision.class();
        let (address, is_on_link): (IpAddr, bool) = match question.from {
            IpAddr::V4(from) => {
                let host = tables.host4(class).unwrap();
                (host.address.into(), host.is_on_link(from.octets()))
            }
            IpAddr::V6(from) => {
                let host = tables.host6(class).unwrap();
                (host.address.into(), host.is_on_link(from.octets()))
            }
        };
        assert_eq!(address, question.to);
        let wanted = is_sent_back(table, question, *otherwise);
        assert_eq!(is_on_link, wanted, "{question:?} by {:#?}, else {otherwise:?}", table.routes());
    }
}

/// The tables of a lane, by either next hop of what no route has.
fn lanes(table: &RouteTable) -> [(NextHop, LaneTables); 2] {
    [NextHop::Auto, NextHop::Reflect].map(|next_hop| {
        let settings = LaneSettings {
            mac: Mac([2, 0, 0, 0, 0, 1]),
            checksum: Summer::SCALAR,
            partial_checksums: PartialChecksums::Refuse,
            hop_limit: 64,
            errors_per_second: 100,
            next_hop,
            stamp_key: None,
            short_packets: ShortPackets::Drop,
        };
        (next_hop, table.compile(&settings))
    })
}

/// Holds the compiled table to the routes, and gives how it decided: by nobody, its owner, the kernel, a route without
/// conditions or one with them.
fn check(table: &RouteTable, question: &Question) -> usize {
    let class = table.compiled().decide(question);
    let of_class = class.map(|class| found(table, class));
    let expected = expected(table, question);
    assert!(of_class == expected, "{of_class:?}, not {expected:?}: {question:?} by {:#?}", table.routes());
    match expected {
        None => 0,
        Some((None, ..)) => 1,
        Some((_, Tier::Kernel, _)) => 2,
        Some((Some(index), ..)) => 3 + usize::from(table.routes()[index].is_conditioned()),
    }
}

/// Of a card among several: no route is left out, whatever it gets here, and what gets nothing takes nothing.
#[test]
fn a_table_of_one_card_among_several_keeps_every_routes_number_and_decides_as_the_routes_do() {
    let config = Config {
        cases: 300,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(5),
        ..Config::default()
    };
    let idle = std::cell::Cell::new(0);
    let strategy = (prop::collection::vec(route(), 1..24), prop::collection::vec(question(), 100));
    TestRunner::new(config)
        .run(&strategy, |(routes, questions)| {
            let Ok(table) = RouteTable::of_several(addresses(), routes.clone(), &terms()) else {
                assert!(routes.iter().all(|route| route.is_elsewhere));
                return Ok(());
            };
            assert_eq!(table.routes(), routes);
            for question in questions.into_iter().map(asked).chain(edges(&table)) {
                check(&table, &question);
                let taken = table.first_match(&question);
                assert!(taken.is_none_or(|number| table.gets_something(number)), "{taken:?} of {routes:#?}");
            }
            idle.set(idle.get() + table.idle().len());
            Ok(())
        })
        .unwrap();
    assert!(idle.get() > 300, "{} routes got nothing", idle.get());
}

#[test]
fn the_compiled_table_decides_as_the_routes_do() {
    let config = Config {
        cases: 1_000,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(4),
        ..Config::default()
    };
    let decided = std::cell::RefCell::new([0_u64; 5]);
    let strategy = (prop::collection::vec(route(), 1..24), prop::collection::vec(question(), 100));
    let mut runner = TestRunner::new(config);
    runner
        .run(&strategy, |(routes, questions)| {
            let Some(table) = table(routes) else { return Ok(()) };
            let on_road = table.compiled().lookup4().slots().map(|(_, class)| class);
            let on_road = on_road.chain(table.compiled().lookup6().slots().map(|(_, class)| class));
            assert!(
                { on_road }.all(|class| class.tier != Tier::Kernel),
                "what the kernel keeps is no lane's"
            );
            let lanes = lanes(&table);
            for question in questions.into_iter().map(asked).chain(edges(&table)) {
                decided.borrow_mut()[check(&table, &question)] += 1;
                check_host(&table, &lanes, &question);
            }
            Ok(())
        })
        .unwrap();
    let decided = decided.into_inner();
    assert!(decided.iter().all(|&count| count > 10_000), "too few of a kind were tried: {decided:?}");
}

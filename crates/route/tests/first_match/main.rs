//! What routes are compiled to decides as the routes themselves do: the first whose conditions all hold.
//!
//! Tables and packets are random (`tables.rs`). The oracle looks at one route after the other, as a reader would.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may stop")]

mod tables;

use barelane_route::{Asks, Decision, Owner, Question, Responder, RouteTable, Service, Tier};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};

use crate::tables::{asked, edges, question, route, table};

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

/// Holds the compiled table to the routes, and gives how it decided: by nobody, its owner, the kernel, a route without
/// conditions or one with them.
fn check(table: &RouteTable, question: &Question) -> usize {
    let class = table.compiled().decide(question);
    let of_class = class.map(|class| found(table, class));
    let expected = expected(table, question);
    assert!(of_class == expected, "{of_class:?}, not {expected:?}: {question:?} by {:#?}", table.routes());
    if let Some(class) = class {
        let same_family = table.addresses().iter().filter(|one| one.ip.is_ipv4() == question.to.is_ipv4());
        assert_eq!(same_family.clone().nth(class.host.into()).unwrap().ip, question.to);
    }
    match expected {
        None => 0,
        Some((None, ..)) => 1,
        Some((_, Tier::Kernel, _)) => 2,
        Some((Some(index), ..)) => 3 + usize::from(table.routes()[index].is_conditioned()),
    }
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
            for question in questions.into_iter().map(asked).chain(edges(&table)) {
                decided.borrow_mut()[check(&table, &question)] += 1;
            }
            Ok(())
        })
        .unwrap();
    let decided = decided.into_inner();
    assert!(decided.iter().all(|&count| count > 10_000), "too few of a kind were tried: {decided:?}");
}

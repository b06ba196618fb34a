//! Who gets the frame of an answer where the asker is behind a router.

use std::net::IpAddr;

use barelane_lane::GatewaysUsed;
use nic::sim::Card;
use route::{
    Address, LaneSettings, Limit, NextHop, NextHops, Owner, PartialChecksums, Prefix, Route, RouteTable, Via,
};
use telemetry::{Counter, Ns, Reason};
use testkit::vectors::{Outcome, QUIET, Tier};
use wire::checksum::Summer;
use wire::ethernet::Mac;

use crate::limits::question;
use crate::simulated::{SimulatedLane, alone_on_their_links, card, settings_of};

/// One question of each class, and of each way through a class.
const QUESTIONS: [&str; 10] = [
    "U1-echo",
    "U1-echo-6",
    "U1-partial-refused",
    "U1-partial-refused-6",
    "C4-echo",
    "N5-echo",
    "P1-unauthenticated",
    "P7-pong",
    "U3-closed-port",
    "U3-closed-port-6",
];
/// What comes from a neighbour by its nature, and is answered to it whatever the routes say.
const OF_NEIGHBOURS: [&str; 2] = ["A1-request", "D2-solicitation"];

/// Which of the questions a service answers, by how their names begin.
const SERVICES: [(&str, &[&str]); 4] = [
    ("icmp-echo", &["C4", "N5"]),
    ("udp-echo:7", &["U1"]),
    ("stamp:862", &["P1"]),
    ("sockperf:11111", &["P7"]),
];

const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0xfe]);
/// A lane does its seldom work after so many turns.
const TURNS: u64 = 4_096;

/// Everybody is reached like this.
fn all(generation: u32, via: Via) -> NextHops {
    let ways = ["0.0.0.0/0", "::/0"].map(|prefix| (prefix.parse().unwrap(), via));
    NextHops::new(generation, ways.into_iter()).unwrap()
}

fn gateway(mac: Option<Mac>) -> Via {
    Via::Gateway("10.0.0.254".parse::<IpAddr>().unwrap(), mac)
}

/// The answer of a lane that sends everything back where it came from.
fn reflected(id: &str) -> Vec<u8> {
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Accept, Summer::fastest());
    match lane.ask(&question(id), QUIET) {
        Outcome::Reply(answer) => answer,
        outcome => panic!("{id}: {outcome:?}"),
    }
}

fn turn(lane: &mut SimulatedLane<Card>) {
    (0..TURNS).for_each(|_| lane.turn(Ns(0)));
}

#[test]
fn an_answer_goes_to_the_gateway_that_the_routes_name_and_is_the_same_but_for_that() {
    let mut lane = SimulatedLane::by_routes(card(), all(1, gateway(Some(ROUTER))));
    for id in QUESTIONS {
        let expected = [&ROUTER.0, &reflected(id)[6..]].concat();
        assert_eq!(lane.ask(&question(id), QUIET), Outcome::Reply(expected), "{id}");
    }
    turn(&mut lane);
    assert_eq!(lane.sender.gateways_used(), Some(GatewaysUsed { generation: 1, gateways: 1 }));
    assert_eq!(lane.sender.gateways_used(), None, "said once");
}

/// How a route may be told: by one lookup, by a limit, by who asks.
fn each_way(service: &str) -> [Route; 3] {
    let asker = alone_on_their_links().asker;
    let route = Route::everywhere(service.parse().unwrap());
    let limit = Limit { per_second: 1_000_000.try_into().ok(), per_source: None };
    let from = [IpAddr::from(asker.ipv4), IpAddr::from(asker.ipv6)].map(Prefix::from);
    [route.clone(), Route { limit, ..route.clone() }, Route { from: from.to_vec(), ..route }]
}

/// The table of all services, on addresses whose askers are all behind routers.
fn table_of(routes: Vec<Route>) -> RouteTable {
    let of_barelane = |own: &testkit::endpoint::Address| Address {
        ip: own.ip,
        prefix_len: own.prefix_len,
        owner: Owner::Barelane,
    };
    RouteTable::new(alone_on_their_links().addresses.iter().map(of_barelane).collect(), routes).unwrap()
}

#[test]
fn a_route_says_who_gets_its_answers_and_the_rest_go_as_the_server_has_it() {
    let settings = settings_of(&alone_on_their_links(), PartialChecksums::Accept, Summer::fastest());
    for (otherwise, own) in [(NextHop::Auto, NextHop::Reflect), (NextHop::Reflect, NextHop::Auto)] {
        for (index, (service, beginnings)) in SERVICES.iter().enumerate() {
            for route in each_way(service) {
                let mut routes = SERVICES.map(|(other, _)| Route::everywhere(other.parse().unwrap()));
                routes[index] = Route { next_hop: Some(own), ..route };
                let told = routes[index].to_string();
                let settings = LaneSettings { next_hop: otherwise, ..settings.clone() };
                let (table, ways) = (table_of(routes.to_vec()), all(1, gateway(Some(ROUTER))));
                let mut lane = SimulatedLane::of_table(card(), &table, settings, ways);
                for id in QUESTIONS {
                    let is_own = beginnings.iter().any(|beginning| id.starts_with(beginning));
                    let reflected = reflected(id);
                    let expected = match if is_own { own } else { otherwise } {
                        NextHop::Auto => [&ROUTER.0, &reflected[6..]].concat(),
                        NextHop::Reflect => reflected,
                    };
                    assert_eq!(
                        lane.ask(&question(id), QUIET),
                        Outcome::Reply(expected),
                        "{id} by `{told}`, else {otherwise}"
                    );
                }
            }
        }
    }
}

#[test]
fn who_is_on_the_link_by_the_routes_is_answered_as_if_asked_by_its_own_prefix() {
    let mut lane = SimulatedLane::by_routes(card(), all(1, Via::Link));
    for id in QUESTIONS {
        assert_eq!(lane.ask(&question(id), QUIET), Outcome::Reply(reflected(id)), "{id}");
    }
    turn(&mut lane);
    assert_eq!(lane.sender.gateways_used(), None, "no gateway had anything to do with it");
}

#[test]
fn what_has_no_next_hop_is_dropped_and_counted_and_the_gateway_is_named() {
    for (via, reason, named) in [
        (gateway(None), Reason::NextHopUnresolved, Some(GatewaysUsed { generation: 3, gateways: 1 })),
        (Via::Elsewhere, Reason::NextHopElsewhere, None),
    ] {
        let mut lane = SimulatedLane::by_routes(card(), all(3, via));
        for id in QUESTIONS {
            assert_eq!(lane.ask(&question(id), QUIET), Outcome::Drop(Some(reason)), "{id}");
        }
        for id in OF_NEIGHBOURS {
            assert_eq!(lane.ask(&question(id), QUIET), Outcome::Reply(reflected(id)), "{id}");
        }
        assert_eq!(lane.lane.counters().of(reason.counter()), QUESTIONS.len() as u64);
        turn(&mut lane);
        assert_eq!(lane.sender.gateways_used(), named);
    }
}

#[test]
fn what_is_wrong_is_dropped_for_what_is_wrong_with_it_and_asks_nobody_for_the_way() {
    let mut lane = SimulatedLane::by_routes(card(), all(1, gateway(None)));
    let mut wrong = question("U1-echo");
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(lane.ask(&wrong, QUIET), Outcome::Drop(Some(Reason::UdpChecksum)));
    turn(&mut lane);
    assert_eq!(lane.sender.gateways_used(), None);
}

#[test]
fn new_ways_are_taken_between_two_turns_and_the_old_ones_come_back() {
    let mut lane = SimulatedLane::by_routes(card(), all(1, gateway(None)));
    let question = question("U1-echo");
    assert_eq!(lane.ask(&question, QUIET), Outcome::Drop(Some(Reason::NextHopUnresolved)));
    for generation in 2..5 {
        lane.sender.send_next_hops(Box::new(all(generation, gateway(Some(ROUTER))))).unwrap();
        lane.sender.send_next_hops(Box::new(all(generation, gateway(None)))).unwrap_err();
        turn(&mut lane);
        assert!(matches!(lane.ask(&question, QUIET), Outcome::Reply(answer) if answer[..6] == ROUTER.0));
    }
    assert_eq!(lane.lane.counters().of(Counter::NextHopsTaken), 3);
}

#[test]
fn gateways_that_could_not_be_told_are_told_later_and_never_by_another_tables_numbers() {
    let mut lane = SimulatedLane::by_routes(card(), all(1, gateway(None)));
    let question = question("U1-echo");
    for _ in 0..20 {
        lane.ask(&question, QUIET);
        turn(&mut lane);
    }
    let told: Vec<_> = std::iter::from_fn(|| lane.sender.gateways_used()).collect();
    assert!(told.iter().all(|used| *used == GatewaysUsed { generation: 1, gateways: 1 }), "{told:?}");
    lane.sender.send_next_hops(Box::new(all(2, Via::Elsewhere))).unwrap();
    turn(&mut lane);
    turn(&mut lane);
    assert_eq!(lane.sender.gateways_used().map(|used| used.generation), Some(1));
    assert_eq!(lane.sender.gateways_used(), None);
}

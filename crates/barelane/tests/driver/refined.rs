//! The program against the routes themselves: whoever asks, on whatever VLAN and port, it does with the packet what the first
//! route that matches says.

use std::net::IpAddr;

use barelane::plan::claims_of;
use etherparse::{PacketBuilder, VlanId};
use nic::xdp::dry_run::{Action, DryRun};
use nic::xdp::{RouteCount, Vlans};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use route::{Asks, NextHop, Owner, PartialChecksums, Question, RouteTable, Tier};
use testkit::endpoint;
use wire::checksum::Summer;

use crate::can_load;
use crate::simulated::settings_of;
use crate::tables::{asked, edges, is_sent_back, question, route, table};

/// The VLANs that the random tables are made for.
const SERVED: [u16; 3] = [7, 8, 4094];
const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const PORT: u16 = 50_000;

/// The question as a frame to `mac`.
pub(crate) fn frame(mac: [u8; 6], question: &Question) -> Vec<u8> {
    let mut frame = Vec::new();
    let ethernet = PacketBuilder::ethernet2(ASKER, mac);
    let payload = [0xa5; 20];
    macro_rules! finish {
        ($link:expr) => {
            match (question.from, question.to) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    let ip = $link.ipv4(from.octets(), to.octets(), 64);
                    match question.asks {
                        Asks::Udp(port) => ip.udp(PORT, port).write(&mut frame, &payload),
                        Asks::Echo => ip.icmpv4_echo_request(1, 1).write(&mut frame, &payload),
                    }
                }
                (IpAddr::V6(from), IpAddr::V6(to)) => {
                    let ip = $link.ipv6(from.octets(), to.octets(), 64);
                    match question.asks {
                        Asks::Udp(port) => ip.udp(PORT, port).write(&mut frame, &payload),
                        Asks::Echo => ip.icmpv6_echo_request(1, 1).write(&mut frame, &payload),
                    }
                }
                _ => panic!("the asker has the family of the asked"),
            }
        };
    }
    let written = match question.vid {
        0 => finish!(ethernet),
        vid => finish!(ethernet.single_vlan(VlanId::try_new(vid).unwrap())),
    };
    written.unwrap();
    frame
}

/// What the program must do: one of these, since what the driver takes it may also drop, for its source. Whose way back is the
/// kernel's routes' to say has none: there are no routes here.
fn wanted(table: &RouteTable, question: &Question) -> &'static [Action] {
    if question.vid != 0 && !SERVED.contains(&question.vid) {
        return &[Action::Pass];
    }
    let is_own = table.addresses().iter().any(|one| one.ip == question.to && one.owner == Owner::Barelane);
    match (table.first_match(question).map(|index| table.tiers()[index]), question.asks) {
        (Some(Tier::Driver), _) if is_near(table, question) => &[Action::Reply, Action::Drop],
        (Some(Tier::Driver), _) => &[Action::Drop],
        (Some(Tier::Lane), _) => &[Action::Redirect],
        (Some(Tier::Kernel), _) | (None, Asks::Udp(_)) if is_own => &[Action::Redirect],
        (None, Asks::Echo) if is_own => &[Action::Drop],
        (Some(Tier::Kernel) | None, _) => &[Action::Pass],
    }
}

/// Whether an answer goes back to the station that asked, everybody being reflected where a route does not say otherwise.
fn is_near(table: &RouteTable, question: &Question) -> bool {
    let is_link_local = matches!(question.from, IpAddr::V6(from) if from.is_unicast_link_local());
    is_link_local || is_sent_back(table, question, NextHop::Reflect)
}

#[test]
fn the_program_decides_as_the_routes_do() {
    if !can_load() {
        return;
    }
    let endpoint = endpoint::load().unwrap();
    let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
    let vlans = Vlans::of(&SERVED).unwrap();
    let config = Config {
        // Each table is put in force in the kernel, which takes it some ten milliseconds.
        cases: 100,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(4),
        ..Config::default()
    };
    let done = std::cell::RefCell::new([0_u64; 4]);
    let program = std::cell::RefCell::new(DryRun::load(&nic::xdp::Claims::default()).unwrap());
    let strategy = (prop::collection::vec(route(), 1..24), prop::collection::vec(question(), 100));
    TestRunner::new(config)
        .run(&strategy, |(routes, questions)| {
            let Some(table) = table(routes) else { return Ok(()) };
            let mut program = program.borrow_mut();
            program.set_claims(&claims_of(&settings, vlans, &table, Tier::Driver)).unwrap();
            let mut counts = vec![RouteCount::default(); table.routes().len()];
            for question in questions.into_iter().map(asked).chain(edges(&table)) {
                let (action, _) = program.run(&frame(endpoint.mac, &question)).unwrap();
                let wanted = wanted(&table, &question);
                assert!(
                    wanted.contains(&action),
                    "{action:?}, not {wanted:?}: {question:?} by {:#?}",
                    table.routes()
                );
                done.borrow_mut()[action as usize] += 1;
                if let Some(index) = table.first_match(&question)
                    && let Action::Reply | Action::Drop = action
                {
                    counts[index].taken += 1;
                    counts[index].unanswered += u64::from(action == Action::Drop);
                }
            }
            let counted = program.route_counts().unwrap();
            assert_eq!(counted[..], counts[..counted.len()], "of {:#?}", table.routes());
            assert!(counts.iter().skip(counted.len()).all(|count| *count == RouteCount::default()));
            // What was counted of the old claims is told once more, and then no more.
            let claims = claims_of(&settings, vlans, &table, Tier::Driver);
            assert_eq!(program.set_claims(&claims).unwrap(), counted);
            assert!(program.route_counts().unwrap().iter().all(|count| *count == RouteCount::default()));
            Ok(())
        })
        .unwrap();
    let done = done.into_inner();
    assert!(done.iter().all(|&count| count > 1_000), "too few of a kind were tried: {done:?}");
}

//! Who is on the link is answered at the station that asked; the others go by the kernel's routes, or where a route reflects, back.

use std::net::IpAddr;
use std::num::NonZeroU32;

use barelane::plan::{claims_of, next_hops_of};
use nic::xdp::dry_run::{Action, DryRun};
use nic::xdp::{Answers, Claim, ClaimKey, ClaimedAddress, Claims, Owner, Tier, Vlans};
use route::{
    Address, Asks, LaneSettings, Limit, NextHop, NextHops, PartialChecksums, Prefix, Question, Route,
    RouteTable, Terms, Via,
};
use testkit::endpoint;
use testkit::vectors::{Outcome, QUIET, Tier as _};
use wire::checksum::Summer;
use wire::ethernet::Mac;

use crate::can_load;
use crate::refined::frame;
use crate::simulated::{SimulatedLane, card, settings_of};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// No bit that is changed in one of these makes it an address that no host can have.
const OWN: [&str; 2] = ["10.85.85.85", "2001:db8:5555::5555"];

/// Echo of an address whose link has a prefix of this length.
fn claims(address: IpAddr, link_len: u8) -> Claims {
    let (protocol, selector) = if address.is_ipv4() { (1, 8) } else { (58, 128) };
    let key = |protocol, selector| Claim {
        key: ClaimKey { address, protocol, selector },
        tier: Tier::Driver,
        route: 0,
        is_reflected: false,
    };
    Claims {
        mac: MAC,
        addresses: vec![ClaimedAddress { link_len, ..ClaimedAddress::new(address, Owner::Kernel) }],
        claims: vec![key(protocol, selector), key(17, 7)],
        answers: Answers { hop_limit: 64, ..Answers::default() },
        ..Claims::default()
    }
}

/// The address that shares exactly so many of its first bits with this one.
fn sharing(own: IpAddr, bit_count: u8) -> IpAddr {
    match own {
        IpAddr::V4(own) => IpAddr::V4((own.to_bits() ^ (1 << 31 >> bit_count)).into()),
        IpAddr::V6(own) => IpAddr::V6((own.to_bits() ^ (1 << 127 >> bit_count)).into()),
    }
}

#[test]
fn an_asker_is_on_the_link_who_shares_its_prefix() {
    if !can_load() {
        return;
    }
    let mut program = DryRun::load(&Claims::default()).unwrap();
    for own in OWN.map(|own| own.parse::<IpAddr>().unwrap()) {
        let bits = if own.is_ipv4() { 32 } else { 128 };
        for link_len in 0..=bits {
            program.set_claims(&claims(own, link_len)).unwrap();
            for shared in 0..bits {
                let asks = if shared % 2 == 0 { Asks::Echo } else { Asks::Udp(7) };
                let question = frame(MAC, &Question { from: sharing(own, shared), to: own, asks, vid: 0 });
                let (action, _) = program.run(&question).unwrap();
                let wanted = if shared >= link_len { Action::Reply } else { Action::Drop };
                assert_eq!(action, wanted, "{shared} bits shared with {own}/{link_len}");
            }
        }
    }
}

#[test]
fn who_has_an_address_for_the_link_alone_is_on_it() {
    if !can_load() {
        return;
    }
    let to: IpAddr = OWN[1].parse().unwrap();
    let program = DryRun::load(&claims(to, 64)).unwrap();
    for (from, wanted) in [
        ("fe80::9", Action::Reply),
        ("febf:ffff::9", Action::Reply),
        ("fec0::9", Action::Drop),
        ("fe7f::9", Action::Drop),
    ] {
        let question = Question { from: from.parse().unwrap(), to, asks: Asks::Echo, vid: 0 };
        assert_eq!(program.run(&frame(MAC, &question)).unwrap().0, wanted, "{from}");
    }
}

/// Where everybody is who is not on the link.
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0xfe]);
/// Who is served; who is on the link of each of them; and who is not.
const SERVED: [(&str, u8); 2] = [("10.0.0.1", 24), ("fd00::1", 64)];
const NEAR: [&str; 2] = ["10.0.0.9", "fd00::9"];
const FAR: [&str; 2] = ["192.0.2.9", "2001:db8::9"];

/// UDP echo with this next hop in each way that a route may be told, from this port on: by one lookup, by a limit, by who
/// asks, and as a range.
fn each_way(first: u16, next_hop: Option<NextHop>) -> [Route; 4] {
    let on =
        |ports: String| Route { next_hop, ..Route::everywhere(format!("udp-echo:{ports}").parse().unwrap()) };
    let limit = Limit {
        per_second: 1_000_000.try_into().ok(),
        per_source: NonZeroU32::new(1_000_000).map(Into::into),
    };
    let from = NEAR.iter().chain(&FAR).map(|ip| Prefix::from(ip.parse::<IpAddr>().unwrap())).collect();
    [
        on(first.to_string()),
        Route { limit, ..on((first + 1).to_string()) },
        Route { from, ..on((first + 2).to_string()) },
        on(format!("{}-{}", first + 3, first + 9)),
    ]
}

#[test]
fn a_route_says_whose_answers_are_sent_back_and_the_program_does_it_as_a_lane_does() {
    if !can_load() {
        return;
    }
    let endpoint = endpoint::load().unwrap();
    let addresses = SERVED.map(|(ip, prefix_len)| Address {
        ip: ip.parse().unwrap(),
        prefix_len,
        owner: route::Owner::Barelane,
    });
    let gateway = Via::Gateway("10.0.0.254".parse().unwrap(), Some(ROUTER));
    let ways = ["0.0.0.0/0", "::/0"].map(|prefix| (prefix.parse().unwrap(), gateway));
    let terms = Terms { earliest: route::Tier::Driver, ..Terms::default() };
    for (otherwise, own) in [(NextHop::Auto, NextHop::Reflect), (NextHop::Reflect, NextHop::Auto)] {
        let echo = Route { next_hop: Some(own), ..Route::everywhere("icmp-echo".parse().unwrap()) };
        let routes = [&each_way(1000, None)[..], &each_way(2000, Some(own)), &[echo]].concat();
        let table = RouteTable::with_terms(addresses.to_vec(), routes, &terms).unwrap();
        let settings = settings_of(&endpoint, PartialChecksums::Refuse, Summer::fastest());
        let settings = LaneSettings { next_hop: otherwise, ..settings };
        let claims = claims_of(&settings, Vlans::UNTAGGED, &table, route::Tier::Driver);
        let mut program = DryRun::load(&claims).unwrap();
        let next_hops = NextHops::new(1, ways.into_iter()).unwrap();
        program.set_next_hops(&next_hops_of(&next_hops)).unwrap();
        let mut lane = SimulatedLane::of_table(card(), &table, settings, next_hops);
        let ports = [1000, 1001, 1002, 1003, 1009, 2000, 2001, 2002, 2003, 2009].map(Asks::Udp);
        for asks in ports.into_iter().chain([Asks::Echo]) {
            for (froms, is_near) in [(NEAR, true), (FAR, false)] {
                for (from, (to, _)) in froms.iter().zip(SERVED) {
                    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
                    let question = Question { asks, from, to, vid: 0 };
                    let asked = frame(endpoint.mac, &question);
                    let is_own = !matches!(asks, Asks::Udp(..2000));
                    let next_hop = if is_own { own } else { otherwise };
                    let is_sent_back = is_near || next_hop == NextHop::Reflect;
                    let Outcome::Reply(by_lane) = lane.ask(&asked, QUIET) else { panic!("{question:?}") };
                    let station = if is_sent_back { &asked[6..12] } else { &ROUTER.0[..] };
                    assert_eq!(by_lane[..6], *station, "{question:?}, {own} or else {otherwise}");
                    let by_program = program.run(&asked).unwrap();
                    assert_eq!(
                        by_program,
                        (Action::Reply, by_lane),
                        "{question:?}, {own} or else {otherwise}"
                    );
                }
            }
        }
    }
}

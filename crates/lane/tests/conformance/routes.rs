//! Routes with conditions, as a lane meets them: ranges of ports, who asks, on which VLAN, and what is the kernel's.

use std::net::IpAddr;
use std::sync::Arc;

use barelane_lane::{Lane, mailbox};
use nic::sim::Card;
use route::{
    Address, LaneSettings, NextHop, Owner, PartialChecksums, Route, RouteTable, ShortPackets, Terms,
    TierChoice, VlanSet,
};
use telemetry::{Counter, Page, Still, Tick};
use testkit::endpoint::{self, Endpoint};
use testkit::packets::{self, exchange};
use wire::checksum::Summer;
use wire::ethernet::Mac;

use crate::simulated::card;

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Answered as UDP echo does.
    Echoed,
    /// Handed on, unchanged.
    Passed,
    /// Told that the port is closed.
    Closed,
}

/// Who asks, of the asker's own family.
const ASKER: &str = "asker";

/// A lane with these routes on every address of the endpoint, whose owner they all are.
fn lane(endpoint: &Endpoint, owner: Owner, routes: &[Route]) -> Lane<Card, Still> {
    let address = |own: &endpoint::Address| Address { ip: own.ip, prefix_len: own.prefix_len, owner };
    let addresses = endpoint.addresses.iter().map(address).collect();
    let terms = Terms { vlans: [VlanSet::NO_VLAN, 7, 8].into_iter().collect(), ..Terms::default() };
    let tables = RouteTable::with_terms(addresses, routes.to_vec(), &terms).unwrap().compile(&LaneSettings {
        mac: Mac(endpoint.mac),
        checksum: Summer::fastest(),
        partial_checksums: PartialChecksums::Refuse,
        hop_limit: endpoint.hop_limit,
        errors_per_second: endpoint.errors_per_second,
        stamp_key: None,
        short_packets: ShortPackets::Drop,
        next_hop: NextHop::Reflect,
    });
    let (_, mailbox) = mailbox();
    Lane::new(card(), Box::new(tables), Still::default(), Arc::new(Page::default()), mailbox)
}

/// `udp-echo:7 from asker vlan 0,7 tier kernel`, as the tests of the table have it.
fn route(endpoint: &Endpoint, text: &str) -> Route {
    let mut words = text.split_whitespace();
    let mut route = Route::everywhere(words.next().unwrap().parse().unwrap());
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match (name, value) {
            ("from", ASKER) => {
                route.from =
                    vec![IpAddr::from(endpoint.asker.ipv4).into(), IpAddr::from(endpoint.asker.ipv6).into()];
            }
            ("from", _) => route.from = value.split(',').map(|prefix| prefix.parse().unwrap()).collect(),
            ("vlan", _) => {
                route.vlans = Some(Box::new(value.split(',').map(|vid| vid.parse().unwrap()).collect()));
            }
            ("tier", "kernel") => route.tier = TierChoice::Kernel,
            other => panic!("{other:?}"),
        }
    }
    route
}

/// A frame with these tags between its addresses and what they were for.
fn tagged(frame: &[u8], tags: &[u16]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    let tags = tags.iter().flat_map(|tag| [0x81, 0x00].into_iter().chain(tag.to_be_bytes()));
    addresses.iter().copied().chain(tags).chain(rest.iter().copied()).collect()
}

fn fate(lane: &mut Lane<Card, Still>, question: &[u8], answer: &[u8]) -> Fate {
    let before = [Counter::Passed, Counter::RepliedUnreachable].map(|counter| lane.counters().of(counter));
    lane.queue_mut().inject(question);
    assert_eq!(lane.turn(Tick(0)), 1);
    let after = [Counter::Passed, Counter::RepliedUnreachable].map(|counter| lane.counters().of(counter));
    let (mut sent, mut passed) = (Vec::new(), Vec::new());
    lane.queue_mut().take_sent(|frame| sent.push(frame.to_vec()));
    lane.queue_mut().take_passed(|frame| passed.push(frame.to_vec()));
    match (sent.as_slice(), passed.as_slice(), after != before) {
        ([echo], [], false) if echo == answer => Fate::Echoed,
        ([_], [], true) => Fate::Closed,
        ([], [same], true) if same == question => Fate::Passed,
        other => panic!("{other:02x?}"),
    }
}

/// A UDP port, the tags of the frame, and its fate.
type Asked = (u16, &'static [u16], Fate);

/// What each table does with UDP questions, by port and tags, on an address that the kernel has too. Where it passes one,
/// a lane of an address that only Barelane has says that the port is closed, but for the kernel's exceptions.
const CASES: &[(&[&str], &[Asked])] = &[
    (
        &["udp-echo:4000-4999"],
        &[
            (3999, &[], Fate::Passed),
            (4000, &[], Fate::Echoed),
            (4999, &[7], Fate::Echoed),
            (5000, &[], Fate::Passed),
        ],
    ),
    (&["udp-echo:7 from asker"], &[(7, &[], Fate::Echoed), (8, &[], Fate::Passed)]),
    (&["udp-echo:7 from 192.0.2.0/24,2001:db8:ffff::/48"], &[(7, &[], Fate::Passed)]),
    (
        &["udp-echo:7 vlan 7"],
        &[
            (7, &[], Fate::Passed),
            (7, &[7], Fate::Echoed),
            (7, &[8], Fate::Passed),
            // Only a priority: of no VLAN.
            (7, &[0xe000], Fate::Passed),
            (7, &[0xe007], Fate::Echoed),
            // The inner tag's, where it names one.
            (7, &[8, 7], Fate::Echoed),
            (7, &[7, 8], Fate::Passed),
            (7, &[7, 0], Fate::Echoed),
        ],
    ),
    (&["udp-echo:7 vlan 0", "stamp:7"], &[(7, &[], Fate::Echoed), (7, &[0], Fate::Echoed)]),
];

fn each_case(owner: Owner, expected: impl Fn(Fate) -> Fate) {
    let endpoint = endpoint::load().unwrap();
    for (texts, questions) in CASES {
        let routes: Vec<Route> = texts.iter().map(|text| route(&endpoint, text)).collect();
        for own in &endpoint.addresses {
            // One for each, so that the limit of errors is not reached.
            let mut lane = lane(&endpoint, owner, &routes);
            for &(port, tags, wanted) in *questions {
                let exchange = exchange(&endpoint, own.ip, packets::Kind::UdpEcho(port), &[b'?'; 40]);
                let [question, answer] =
                    [&exchange.question, &exchange.answer].map(|frame| tagged(frame, tags));
                let found = fate(&mut lane, &question, &answer);
                assert_eq!(
                    found,
                    expected(wanted),
                    "{texts:?}: UDP {port} to {} with tags {tags:x?}",
                    own.ip
                );
            }
        }
    }
}

#[test]
fn ranges_askers_and_vlans_decide_what_is_answered() {
    each_case(Owner::Kernel, |fate| fate);
}

#[test]
fn what_no_route_takes_of_ones_own_address_is_a_closed_port() {
    each_case(Owner::Barelane, |fate| if fate == Fate::Passed { Fate::Closed } else { fate });
}

#[test]
fn an_exception_leaves_to_the_kernel_what_a_later_route_would_answer() {
    let endpoint = endpoint::load().unwrap();
    let texts = [
        "udp-echo:4500 tier kernel",
        "udp-echo:7 from asker tier kernel",
        "udp-echo:7",
        "udp-echo:4000-4999",
    ];
    let routes = texts.map(|text| route(&endpoint, text));
    for owner in [Owner::Kernel, Owner::Barelane] {
        let mut lane = lane(&endpoint, owner, &routes);
        for own in &endpoint.addresses {
            for (port, wanted) in [(4500, Fate::Passed), (7, Fate::Passed), (4501, Fate::Echoed)] {
                let exchange = exchange(&endpoint, own.ip, packets::Kind::UdpEcho(port), b"?");
                assert_eq!(
                    fate(&mut lane, &exchange.question, &exchange.answer),
                    wanted,
                    "{port} of {}",
                    own.ip
                );
                if wanted == Fate::Passed {
                    // In a frame to many it would be no lane's to answer, and is the kernel's to judge.
                    let to_all = [&[0xff; 6], exchange.question.get(6..).unwrap()].concat();
                    assert_eq!(fate(&mut lane, &to_all, &[]), Fate::Passed);
                }
            }
        }
    }
}

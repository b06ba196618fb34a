//! Do answers find their way back through real routers? The routers are Linux kernels, and what they count as forwarded says
//! which way every packet went: exactly, since nothing else is forwarded there.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use host::packet::PacketSocket;
use nic::xdp::bare::BareAttachment;

use crate::routed::{
    A, B, BACK_BY_A, BACK_BY_B, CLIENT_HOSTS, CLIENTS, Family, Routed, difference, wait_until,
};
use crate::server::Server;
use crate::tier::Tier;
use crate::topology::SERVER;

const TIERS: [Tier; 2] = [Tier::Lane, Tier::Driver];
/// How often is asked in each of the ways of asking.
const COUNT: u64 = 20;
/// Answers by a dead gateway that must be counted: fewer than a veth's ring takes, so that none is lost before.
const UNANSWERED: u64 = 100;
/// Another router's Ethernet address, in the place of B.
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 9, 0xfc];
/// What lets a kernel notice within seconds that a neighbour is silent. How long it waits for each answer, a second, stays.
const TIMERS: [(&str, &str); 3] =
    [("base_reachable_time_ms", "1000"), ("delay_first_probe_time", "1"), ("ucast_solicit", "1")];

/// A server of this tier, on a link that carries what it sends for as long as the second is held.
fn serve(routed: &Routed, tier: Tier, options: &[&str]) -> (Server, Option<BareAttachment>) {
    let carried = (tier == Tier::Driver).then(|| routed.carry_what_drivers_answer());
    (Server::alone_with(&routed.hosts, &[tier.options(), options].concat()), carried)
}

/// Asks by ping, by sockets, and at a closed port, and demands every answer: each by the routers that these counts stand for,
/// and each with one hop less than it had when it was sent.
fn assert_answered(routed: &Routed, family: Family, each: [u64; 2]) {
    let mut asker = routed.asker(family);
    asker.wait_for_answer(each);
    let before = routed.forwarded(family);

    // One at a time: for the last of several, ping waits twice as long as the slowest took, and no longer.
    let ping = ["-n", "-c", "1", "-W", "5", family.of(&["-4", "-6"]), family.of(&SERVER)];
    for _ in 0..COUNT {
        let said = routed.hosts.client("ping", &ping).said;
        assert!(said.contains(" ttl=63 ") && said.contains("1 received, 0% packet loss"), "{said}");
    }
    (0..COUNT).for_each(|_| asker.assert_answered());
    let closed = routed.socket(family, 4242);
    closed.send(b"anybody there?").unwrap();
    assert_eq!(closed.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::ConnectionRefused);

    let forwarded = difference(before, routed.forwarded(family));
    assert_eq!(forwarded, each.map(|count| count * (2 * COUNT + 1)), "{family:?}");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_asker_behind_a_router_is_answered_by_way_of_it() {
    for tier in TIERS {
        let routed = Routed::with_one_router();
        let (server, _carried) = serve(&routed, tier, &[]);
        for family in Family::BOTH {
            assert_answered(&routed, family, BACK_BY_A);
        }
        drop(tier.counts(&server.counts()));
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn answers_go_back_by_another_router_where_the_kernels_routes_say_so_and_by_the_same_where_they_are_reflected()
 {
    for tier in TIERS {
        for (next_hop, each) in [("auto", BACK_BY_B), ("reflect", BACK_BY_A)] {
            let routed = Routed::with_two_routers();
            let (server, _carried) = serve(&routed, tier, &["--next-hop", next_hop]);
            for family in Family::BOTH {
                assert_answered(&routed, family, each);
            }
            drop(tier.counts(&server.counts()));
        }
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_route_that_changes_while_it_serves_is_followed() {
    for tier in TIERS {
        let routed = Routed::with_two_routers();
        let (server, _carried) = serve(&routed, tier, &[]);
        for family in Family::BOTH {
            let [network, host] = [&CLIENTS, &CLIENT_HOSTS].map(|prefixes| family.of(prefixes));
            let [a, b] = [&A, &B].map(|place| family.of(&place.gateway));
            assert_answered(&routed, family, BACK_BY_B);
            routed.route(&["add", family.of(&["0.0.0.0/0", "::/0"]), "via", a]);
            for (change, each) in [
                (&["delete", network][..], BACK_BY_A),
                (&["add", host, "via", b], BACK_BY_B),
                (&["replace", host, "via", a], BACK_BY_A),
                // A router's link-local address, which IPv4 may go by, too (RFC 8950).
                (&["replace", host, "via", "inet6", B.gateway[2]], BACK_BY_B),
                (&["delete", host], BACK_BY_A),
            ] {
                routed.route(change);
                assert_answered(&routed, family, each);
            }
        }
        drop(tier.counts(&server.counts()));
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_router_that_dies_is_named_and_asked_for_once_a_second_and_answers_flow_when_it_or_another_is_there() {
    for tier in TIERS {
        for family in Family::BOTH {
            assert_followed_to_death_and_back(tier, family);
        }
    }
}

fn assert_followed_to_death_and_back(tier: Tier, family: Family) {
    let mut routed = Routed::with_two_routers();
    for (setting, value) in TIMERS {
        routed.set_neighbour_timer(family, setting, value);
    }
    // What is said of a gateway is said once a minute: here of its death, and not of its having been unknown before.
    routed.find_b(family);
    let (server, _carried) = serve(&routed, tier, &[]);
    routed.asker(family).wait_for_answer(BACK_BY_B);
    // Stalls may be told of: this machine's cores are others' too.
    let said = server.said();
    assert!(!said.iter().any(|line| line.contains("gateway")), "{said:#?}");

    let gateway = family.of(&B.gateway);
    let mut requests = Requests::of_server(&routed, gateway);
    routed.b().take_down();
    let mut asker = routed.asker(family);
    let beginning = format!("barelane: warning: answers by the gateway {gateway} are dropped");
    wait_until("the server names the gateway", || {
        asker.ask();
        requests.listen();
        server.said().iter().any(|line| line.starts_with(&beginning))
    });
    let before = requests.count;
    wait_until("the kernel asks for the gateway again and again", || {
        asker.ask();
        requests.listen();
        requests.count >= before + 2
    });
    requests.assert_at_most_one_a_second();

    (0..UNANSWERED).for_each(|_| asker.ask());
    routed.b().bring_back();
    asker.wait_for_answer(BACK_BY_B);
    assert_answered(&routed, family, BACK_BY_B);
    routed.replace_b(OTHER_MAC);
    assert_answered(&routed, family, BACK_BY_B);

    let counts = tier.counts(&server.counts());
    let unresolved = counts.get("next_hop_unresolved").copied().unwrap_or(0);
    assert!(unresolved >= UNANSWERED, "{tier:?}, {family:?}: {counts:?}");
}

/// What the server's kernel asks for a gateway's Ethernet address.
struct Requests {
    socket: PacketSocket,
    gateway: IpAddr,
    begun: Instant,
    count: u64,
}

impl Requests {
    fn of_server(routed: &Routed, gateway: &str) -> Self {
        let (socket, begun) = (routed.sent_by_server(), Instant::now());
        Self { socket, gateway: gateway.parse().unwrap(), begun, count: 0 }
    }

    /// Counts those that have come.
    fn listen(&mut self) {
        let mut room = [0; 2048];
        while let Some(len) = self.socket.receive(&mut room, Duration::from_micros(1)).unwrap() {
            self.count += u64::from(asks_for(&room[..len], self.gateway));
        }
    }

    /// The kernel's own timers wait for a second after each, so that a slow machine makes them fewer, never more.
    fn assert_at_most_one_a_second(&self) {
        let seconds = self.begun.elapsed().as_secs() + 1;
        assert!(self.count <= seconds, "{} questions for {} in {seconds} s", self.count, self.gateway);
    }
}

/// Whether a frame asks who has this address: an ARP request (RFC 826), or a neighbour solicitation (RFC 4861 4.3).
fn asks_for(frame: &[u8], address: IpAddr) -> bool {
    const SOLICITATION: u8 = 135;
    match address {
        IpAddr::V4(ip) => frame[12..14] == [8, 6] && frame[20..22] == [0, 1] && frame[38..42] == ip.octets(),
        IpAddr::V6(ip) => {
            let is_solicitation =
                frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == SOLICITATION;
            is_solicitation && frame[62..78] == ip.octets()
        }
    }
}

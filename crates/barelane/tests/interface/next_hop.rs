//! Do answers to askers behind routers go where the kernel's routes say? The routers are played by a packet socket at the
//! clients' end of the cable, so that every frame on it is seen: questions come from the one router, and the way back is by
//! the other.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};
use host::{links, neighbours, routes};

use crate::reload::{File, hang_up};
use crate::server::Server;
use crate::tier::Tier;
use crate::topology::{CLIENT_NIC, KERNEL, SERVER, SERVER_NIC, Topology};

const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 9, 1];
/// Where the questions come from.
const THERE: [u8; 6] = [2, 0, 0, 0, 9, 0xa1];
/// Where the answers go.
const BACK: [u8; 6] = [2, 0, 0, 0, 9, 0xb2];
/// The way back, after its router was replaced.
const BACK_TOO: [u8; 6] = [2, 0, 0, 0, 9, 0xc3];
/// An asker behind the routers, its prefix, and the gateway on the way back.
const FAR: [(&str, &str, u8, &str); 2] =
    [("192.0.2.9", "192.0.2.0", 24, "10.9.0.254"), ("2001:db8::9", "2001:db8::", 32, "fd09::fe")];
/// RFC 1122 2.3.2.1, as docs/conformance.md has it.
const FOLLOWED_MAX: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(5);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The two ends, as the routers see them.
struct Wire<'a> {
    topology: &'a Topology,
    socket: PacketSocket,
    ifindex: u32,
}

impl<'a> Wire<'a> {
    fn new(topology: &'a Topology) -> Self {
        let client = topology.clients.run(|| links::link(CLIENT_NIC)).unwrap().unwrap().index;
        let socket = topology.clients.run(|| PacketSocket::open(client, EVERY_ETHERTYPE)).unwrap().unwrap();
        let ifindex = topology.server.run(|| links::link(SERVER_NIC)).unwrap().unwrap().index;
        Self { topology, socket, ifindex }
    }

    fn route(&self, (_, prefix, len, gateway): (&str, &str, u8, &str)) {
        let add = || routes::add(self.ifindex, ip(prefix), len, ip(gateway));
        self.topology.server.run(add).unwrap().unwrap();
    }

    /// Asks for an echo of UDP, from the first router.
    fn ask(&self, from: &str, to: &str) {
        self.ask_at(7, from, to);
    }

    /// The same at another port.
    fn ask_at(&self, port: u16, from: &str, to: &str) {
        let mut frame = Vec::new();
        let ethernet = PacketBuilder::ethernet2(THERE, SERVER_MAC);
        let network = match (ip(from), ip(to)) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 60),
            (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 60),
            _ => panic!("{from} asks {to}"),
        };
        network.udp(40_000, port).write(&mut frame, b"who is there, behind the router?").unwrap();
        self.socket.send(&frame).unwrap();
    }

    /// Whom the server sends the next IP packet to from port 7; nothing where it sends none for a while.
    fn answered(&self, wait: Duration) -> Option<[u8; 6]> {
        self.answered_from(7, wait)
    }

    /// The same from another port.
    fn answered_from(&self, port: u16, wait: Duration) -> Option<[u8; 6]> {
        let begun = Instant::now();
        while let Some(rest) = wait.checked_sub(begun.elapsed()) {
            let frame = self.heard(rest)?;
            let at = if frame[12..14] == [8, 0] { 34 } else { 54 };
            if frame[12..14] != [8, 6] && frame.get(at..at + 2) == Some(&port.to_be_bytes()[..]) {
                return Some(frame[..6].try_into().unwrap());
            }
        }
        None
    }

    /// The next frame of the server's.
    fn heard(&self, wait: Duration) -> Option<Vec<u8>> {
        let mut room = [0; 2048];
        let len = self.socket.receive(&mut room, wait).unwrap()?;
        let frame = room[..len].to_vec();
        if frame[6..12] == SERVER_MAC { Some(frame) } else { Some([&[0; 14][..], &[0; 60]].concat()) }
    }

    /// The second router says that it is there: an ARP request for the address of the server's kernel.
    fn announce(&self, mac: [u8; 6]) {
        let [gateway, kernel] = [FAR[0].3, KERNEL[0]].map(|text| match ip(text) {
            IpAddr::V4(ip) => ip.octets(),
            IpAddr::V6(_) => panic!("ARP is of IPv4"),
        });
        let head = [&[0xff; 6][..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
        self.socket.send(&[&head[..], &mac, &gateway, &[0; 6], &kernel, &[0; 18]].concat()).unwrap();
    }

    /// Asks and has the second router speak until an answer goes to `mac`; gives how long that took.
    fn wait_for_answer_to(&self, mac: [u8; 6]) -> Duration {
        let begun = Instant::now();
        while begun.elapsed() < SOON {
            self.announce(mac);
            self.ask(FAR[0].0, SERVER[0]);
            if self.answered(Duration::from_millis(50)) == Some(mac) {
                return begun.elapsed();
            }
        }
        panic!("no answer goes to {mac:02x?} within {SOON:?}");
    }
}

/// Checks at the driver and at a lane, each on a cable of its own that carries what both answer.
fn at_each_tier(check: impl Fn(Tier, &Topology, &Wire<'_>)) {
    for tier in [Tier::Driver, Tier::Lane] {
        let topology = Topology::new();
        let _carried = topology.carry_what_drivers_answer();
        check(tier, &topology, &Wire::new(&topology));
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn an_answer_takes_the_way_back_of_the_kernels_routes_and_not_the_way_that_the_question_came() {
    at_each_tier(|tier, topology, wire| {
        for far @ (.., gateway) in FAR {
            wire.route(far);
            let add = || neighbours::add(wire.ifindex, ip(gateway), BACK);
            topology.server.run(add).unwrap().unwrap();
        }
        let server = Server::alone_with(topology, tier.options());
        for ((from, ..), to) in FAR.into_iter().zip(SERVER) {
            wire.ask(from, to);
            assert_eq!(wire.answered(SOON), Some(BACK), "{from}, tier {tier:?}");
        }
        let counts = tier.counts(&server.counts());
        assert_eq!((counts["replied_udp"], counts.get("next_hop_unresolved")), (2, None), "{counts:?}");
    });
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_is_to_be_reflected_goes_back_the_way_that_it_came() {
    at_each_tier(|tier, topology, wire| {
        wire.route(FAR[0]);
        let options = [tier.options(), &["--next-hop", "reflect"]].concat();
        let server = Server::alone_with(topology, &options);
        wire.ask(FAR[0].0, SERVER[0]);
        assert_eq!(wire.answered(SOON), Some(THERE));
        assert_eq!(tier.counts(&server.counts())["replied_udp"], 1);
    });
}

#[test]
#[ignore = "needs root: a network namespace"]
fn without_a_route_there_is_no_answer_and_it_is_counted() {
    at_each_tier(|tier, topology, wire| {
        let server = Server::alone_with(topology, tier.options());
        wire.ask(FAR[0].0, SERVER[0]);
        assert_eq!(wire.answered(Duration::from_millis(500)), None);
        assert_eq!(server.counts().get(tier.row("next_hop_elsewhere").as_str()), Some(&1));
    });
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_dead_gateway_is_named_and_asked_for_once_a_second_and_answers_flow_when_it_comes_and_when_it_moves() {
    at_each_tier(|tier, topology, wire| {
        wire.route(FAR[0]);
        let server = Server::alone_with(topology, tier.options());
        let (begun, mut question_count, mut arp_count) = (Instant::now(), 0, 0);
        // A3: a hundred thousand questions, and nobody at the gateway's address.
        while question_count < 100_000 || begun.elapsed() < Duration::from_secs(4) {
            for _ in 0..100 {
                wire.ask(FAR[0].0, SERVER[0]);
            }
            question_count += 100;
            while let Some(frame) = wire.heard(Duration::from_micros(1)) {
                arp_count += u64::from(frame[12..14] == [8, 6] && frame[38..42] == [10, 9, 0, 254]);
            }
        }
        let seconds = begun.elapsed().as_secs() + 1;
        assert!((1..=seconds).contains(&arp_count), "{arp_count} questions for the gateway in {seconds} s");
        server.line("barelane: warning: answers by the gateway 10.9.0.254 are dropped", SOON);
        wire.wait_for_answer_to(BACK);
        server.line("barelane: the gateway 10.9.0.254 is there again", SOON);
        // A2: another router takes the address over, and says so. The kernel believes no change within a second of the last
        // one (`locktime`, arp(7)).
        let took = wire.wait_for_answer_to(BACK_TOO);
        assert!(took < 2 * FOLLOWED_MAX, "followed after {took:?}");
        let counts = tier.counts(&server.counts());
        assert!(counts.get("next_hop_unresolved").is_some_and(|&count| count >= 1), "{counts:?}");
    });
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_reload_changes_who_gets_the_answers_there_and_back() {
    at_each_tier(|tier, topology, wire| {
        wire.route(FAR[0]);
        topology.server.run(|| neighbours::add(wire.ifindex, ip(FAR[0].3), BACK)).unwrap().unwrap();
        let file = File::new(&format!("next-hop-{tier:?}"));
        let write = |next_hop: &str| {
            file.set(&format!(
                "[serve]\naddresses = [\"{}/24\"]\nrespond = [\"udp-echo:7\"]\ntier = \"{}\"\nnext_hop = \"{next_hop}\"\n",
                SERVER[0],
                tier.options()[1],
            ));
        };
        write("reflect");
        let server = Server::start(topology, &["--config", file.path()]);
        for (next_hop, station) in [("auto", BACK), ("reflect", THERE), ("auto", BACK)] {
            write(next_hop);
            hang_up(&server);
            server.line("barelane: reloaded", SOON);
            wire.ask(FAR[0].0, SERVER[0]);
            assert_eq!(wire.answered(SOON), Some(station), "{next_hop}, tier {tier:?}");
        }
        assert_eq!(tier.counts(&server.counts())["replied_udp"], 3);
    });
}

#[test]
#[ignore = "needs root: a network namespace"]
fn one_route_reflects_while_another_goes_by_the_gateway() {
    let asker = format!("[\"{}\", \"{}\"]", FAR[0].0, FAR[1].0);
    let file = std::env::temp_dir().join(format!("barelane-route-next-hop-{}.toml", std::process::id()));
    for (tier, servers, own) in
        [("lane", "auto", "reflect"), ("driver", "auto", "reflect"), ("driver", "reflect", "auto")]
    {
        let topology = Topology::new();
        let _carrier = topology.carry_what_drivers_answer();
        let wire = Wire::new(&topology);
        for far @ (.., gateway) in FAR {
            wire.route(far);
            topology.server.run(|| neighbours::add(wire.ifindex, ip(gateway), BACK)).unwrap().unwrap();
        }
        let addresses = format!("addresses = [\"{}/24\", \"{}/64\"]", SERVER[0], SERVER[1]);
        let serve =
            format!("{addresses}\ntier = \"{tier}\"\nnext_hop = \"{servers}\"\naddress_check_ms = 20\n");
        let route = |rest: &str| format!("[[route]]\nrespond = \"udp-echo:{rest}\n");
        let routes = [
            route("7\""),
            route(&format!("8\"\nnext_hop = \"{own}\"")),
            route(&format!("9\"\nfrom = {asker}\nnext_hop = \"{own}\"")),
            route("4000-4009\""),
        ];
        std::fs::write(&file, format!("[serve]\n{serve}{}", routes.concat())).unwrap();
        let server = Server::start(&topology, &["--config", file.to_str().unwrap()]);
        let station = |next_hop| if next_hop == "auto" { BACK } else { THERE };
        for ((from, ..), to) in FAR.into_iter().zip(SERVER) {
            for (port, next_hop) in [(7, servers), (8, own), (9, own), (4000, servers)] {
                wire.ask_at(port, from, to);
                let answered = wire.answered_from(port, SOON);
                assert_eq!(
                    answered,
                    Some(station(next_hop)),
                    "port {port} asked by {from}, tier {tier}, {servers}"
                );
            }
        }
        let counts = server.counts();
        let count = |name: &str| counts.get(name).copied().unwrap_or_default();
        assert_eq!(count("replied_udp") + count("driver_replied_udp"), 8, "{counts:?}");
        assert_eq!(
            count("driver_replied_udp") >= 4,
            tier == "driver",
            "who is sent back, by the driver: {counts:?}"
        );
    }
    std::fs::remove_file(&file).unwrap();
}

//! A client behind routers. Each router is a Linux kernel that forwards, in a network namespace of its own.
//!
//! ```text
//!    client                        router A                       switch                    server
//!  ┌────────────────────┐        ┌────────────────┐             ┌──────────┐           ┌───────────────────┐
//!  │ 192.0.2.2          │        │ .1        .254 │             │          │           │ Barelane 10.9.0.1 │
//!  │ 2001:db8:a::2    a ┼────────┼ client    link ┼─────────────┼ a        │           │          fd09::1  │
//!  │                    │        │ ::1      ::fe  │             │   bridge │           │                   │
//!  │                    │        └────────────────┘             │   server ┼───────────┼ lane0             │
//!  │                    │        ┌────────────────┐             │          │           │                   │
//!  │ 198.51.100.2     b ┼────────┼ client    link ┼─────────────┼ b        │           │ kernel   10.9.0.3 │
//!  │ 2001:db8:b::2      │        │ .1        .253 │             │          │           │          fd09::3  │
//!  └────────────────────┘        │ ::1      ::fd  │             └──────────┘           └───────────────────┘
//!                                └────────────────┘
//!                                  router B
//! ```
//!
//! The client asks from its addresses on the cable to A, and by way of A. The way back is the server's to choose: A, or B,
//! which forwards to the client on the other cable. With one router there is neither B nor a switch, and the cable from A
//! ends at the server.
//!
//! Which way packets went is what the routers' kernels count as forwarded, each family by itself. Neighbour discovery needs
//! link-local addresses, since a router asks from them.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use host::namespace::Namespace;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};
use host::veth::{End, VethPair, create};
use host::{links, neighbours};
use nic::xdp::ModeChoice;
use nic::xdp::bare::{self, Bare, BareAttachment};

use crate::topology::{SERVER, SERVER_NIC, Topology, ip};

/// Where a router stands: what its two cables lead to, and the addresses there, of IPv4, of IPv6, and of the link.
#[derive(Debug)]
pub(crate) struct Place {
    /// The other end of both cables, at the client and at the switch.
    port: &'static str,
    client: [&'static str; 3],
    /// Its own addresses on the client's cable.
    near: [&'static str; 3],
    /// Its own addresses on the server's link: what the server's routes call it.
    pub(crate) gateway: [&'static str; 3],
    /// Its Ethernet address there.
    mac: [u8; 6],
}

/// By which questions come.
pub(crate) const A: Place = Place {
    port: "a",
    client: ["192.0.2.2", "2001:db8:a::2", "fe80::2"],
    near: ["192.0.2.1", "2001:db8:a::1", "fe80::1"],
    gateway: ["10.9.0.254", "fd09::fe", "fe80::fe"],
    mac: [2, 0, 0, 0, 9, 0xfe],
};

/// By which answers may go.
pub(crate) const B: Place = Place {
    port: "b",
    client: ["198.51.100.2", "2001:db8:b::2", "fe80::2"],
    near: ["198.51.100.1", "2001:db8:b::1", "fe80::1"],
    gateway: ["10.9.0.253", "fd09::fd", "fe80::fd"],
    mac: [2, 0, 0, 0, 9, 0xfd],
};

/// The network that the client asks from, and its own address in it.
pub(crate) const CLIENTS: [&str; 2] = ["192.0.2.0/24", "2001:db8:a::/64"];
pub(crate) const CLIENT_HOSTS: [&str; 2] = ["192.0.2.2/32", "2001:db8:a::2/128"];
/// The server's link.
const SERVERS: [&str; 2] = ["10.9.0.0/24", "fd09::/64"];
const KERNEL: [&str; 3] = ["10.9.0.3", "fd09::3", "fe80::3"];
const PREFIX_LENS: [u8; 3] = [24, 64, 64];

/// A router's end of the client's cable, and of the server's.
const ROUTER_NICS: [&str; 2] = ["client", "link"];
const SWITCH_NIC: &str = "server";
const BRIDGE: &str = "bridge";

/// How long a question waits for its answer where it is asked again, and where there must be one.
const PATIENCE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How long it may take until the network does what is waited for: two kernels' timers of some seconds, on two busy cores.
pub(crate) const CHANGE_MAX: Duration = Duration::from_mins(1);

/// What a question and its answer add to what A and B have forwarded, where the answer goes by A.
pub(crate) const BACK_BY_A: [u64; 2] = [2, 0];
/// The same where it goes by B.
pub(crate) const BACK_BY_B: [u64; 2] = [1, 1];

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// What a list has for this family: that of IPv4 stands first, that of IPv6 second.
    pub(crate) fn of<T: Copy>(self, list: &[T]) -> T {
        list[self as usize]
    }
}

/// A router, as long as this is held.
#[derive(Debug)]
pub(crate) struct Router {
    host: Namespace,
    place: &'static Place,
}

impl Router {
    /// One that is connected to the client, and to nothing else yet.
    fn new(place: &'static Place, client: &Namespace) -> Self {
        let host = Namespace::new().unwrap();
        host.set("ipv4/ip_forward", "1").unwrap();
        host.set("ipv6/conf/all/forwarding", "1").unwrap();
        let last = u8::from(place.port == B.port);
        let [clients, near] = [&place.client, &place.near].map(with_prefixes);
        lay(
            end(client, place.port, [2, 0, 0, 0, 0x0c, last], &clients),
            end(&host, ROUTER_NICS[0], [2, 0, 0, 0, 0x0d, last], &near),
        );
        Self { host, place }
    }

    /// Connects it to the server's link: to this end of the cable.
    fn connect(&self, mac: [u8; 6], other: End<'_>) {
        let gateway = with_prefixes(&self.place.gateway);
        lay(end(&self.host, ROUTER_NICS[1], mac, &gateway), other);
    }

    /// How many packets of a family it has forwarded (`ipForwDatagrams` of RFC 1213, `ipIfStatsOutForwDatagrams` of RFC 4293).
    fn forwarded(&self, family: Family) -> u64 {
        let file = family.of(&["snmp", "snmp6"]);
        let text =
            self.host.run(|| fs::read_to_string(format!("/proc/thread-self/net/{file}"))).unwrap().unwrap();
        let value = match family {
            Family::V4 => {
                // A line of names, and a line of values.
                let mut rows = text.lines().filter(|line| line.starts_with("Ip:")).map(str::split_whitespace);
                let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
                names.zip(values).find(|(name, _)| *name == "ForwDatagrams").unwrap().1
            }
            Family::V6 => text.lines().find_map(|line| line.strip_prefix("Ip6OutForwDatagrams")).unwrap(),
        };
        value.trim().parse().unwrap()
    }

    /// Sets its interface on the server's link down: it neither forwards nor answers there.
    pub(crate) fn take_down(&self) {
        ip(&self.host, &["link", "set", "dev", ROUTER_NICS[1], "down"]);
    }

    /// Sets it up again, with the IPv6 addresses that the kernel took away.
    pub(crate) fn bring_back(&self) {
        ip(&self.host, &["link", "set", "dev", ROUTER_NICS[1], "up"]);
        for (address, prefix_len) in &with_prefixes(&self.place.gateway)[1..] {
            let nic = self.host.run(|| links::link(ROUTER_NICS[1])).unwrap().unwrap();
            self.host.run(|| links::add_address(nic.index, *address, *prefix_len)).unwrap().unwrap();
        }
    }
}

/// A client behind routers, and the server. All of it is gone when this is dropped, or when the process ends in any way.
#[derive(Debug)]
pub(crate) struct Routed {
    /// The hosts at both ends.
    pub(crate) hosts: Topology,
    switch: Option<Namespace>,
    a: Router,
    b: Option<Router>,
}

impl Routed {
    /// One router between client and server, in three namespaces. The server's kernel sends to the client by way of it.
    pub(crate) fn with_one_router() -> Self {
        let hosts = hosts();
        let a = Router::new(&A, &hosts.clients);
        a.connect(A.mac, end(&hosts.server, SERVER_NIC, SERVER_MAC, &with_prefixes(&KERNEL)));
        Self { hosts, switch: None, a, b: None }.with_routes(&A)
    }

    /// Two routers on the server's link. The server's kernel sends to the client by way of B, whatever way the client asks.
    pub(crate) fn with_two_routers() -> Self {
        let hosts = hosts();
        let switch = Namespace::new().unwrap();
        ip(&switch, &["link", "add", BRIDGE, "type", "bridge"]);
        ip(&switch, &["link", "set", BRIDGE, "up"]);
        lay(
            end(&hosts.server, SERVER_NIC, SERVER_MAC, &with_prefixes(&KERNEL)),
            end(&switch, SWITCH_NIC, [2, 0, 0, 0, 0x0b, 1], &[]),
        );
        ip(&switch, &["link", "set", SWITCH_NIC, "master", BRIDGE]);
        let a = Router::new(&A, &hosts.clients);
        plug_in(&a, A.mac, &switch);
        let b = second(&hosts.clients, B.mac, &switch);
        Self { hosts, switch: Some(switch), a, b: Some(b) }.with_routes(&B)
    }

    fn with_routes(self, back: &Place) -> Self {
        for family in Family::BOTH {
            let [servers, near] = [family.of(&SERVERS), family.of(&A.near)];
            ip(&self.hosts.clients, &["route", "add", servers, "via", near]);
            self.route(&["add", family.of(&CLIENTS), "via", family.of(&back.gateway)]);
        }
        self
    }

    /// Changes the routes of the server's kernel, as `ip route` does.
    pub(crate) fn route(&self, change: &[&str]) {
        ip(&self.hosts.server, &[&["route"], change, &["dev", SERVER_NIC]].concat());
    }

    /// Gives the end of the cable at the server's other side a program, without which a veth loses what the server's driver
    /// answers. It is there until what this gives is dropped.
    pub(crate) fn carry_what_drivers_answer(&self) -> BareAttachment {
        let (host, nic) =
            self.switch.as_ref().map_or((&self.a.host, ROUTER_NICS[1]), |switch| (switch, SWITCH_NIC));
        let attach = || {
            let index = links::link(nic).unwrap().index;
            bare::attach(Bare::Pass, nic, index, ModeChoice::Native).unwrap()
        };
        host.run(attach).unwrap()
    }

    /// What A and B have forwarded of a family.
    pub(crate) fn forwarded(&self, family: Family) -> [u64; 2] {
        [Some(&self.a), self.b.as_ref()].map(|router| router.map_or(0, |router| router.forwarded(family)))
    }

    /// Router B.
    pub(crate) fn b(&self) -> &Router {
        self.b.as_ref().unwrap()
    }

    /// Router B is gone, host and cables, and another one takes its place, with this Ethernet address.
    pub(crate) fn replace_b(&mut self, mac: [u8; 6]) {
        self.b = None;
        let switch = self.switch.as_ref().unwrap();
        for host in [&self.hosts.clients, switch] {
            let is_gone = || host.run(links::names).unwrap().unwrap().iter().all(|name| name != B.port);
            wait_until("a cable of router B is gone", is_gone);
        }
        self.b = Some(second(&self.hosts.clients, mac, switch));
    }

    /// Has the server's kernel find router B, as any program would that sends by it.
    pub(crate) fn find_b(&self, family: Family) {
        let gateway = family.of(&B.gateway).parse().unwrap();
        let is_known = || {
            let ifindex = links::link(SERVER_NIC).unwrap().index;
            neighbours::ask(ifindex, gateway).unwrap();
            neighbours::lookup(ifindex, gateway).unwrap().is_some()
        };
        wait_until("the server's kernel knows router B", || self.hosts.server.run(is_known).unwrap());
    }

    /// What the server sends, as the switch receives it.
    pub(crate) fn sent_by_server(&self) -> PacketSocket {
        let open = || PacketSocket::open(links::link(SWITCH_NIC).unwrap().index, EVERY_ETHERTYPE).unwrap();
        self.switch.as_ref().unwrap().run(open).unwrap()
    }

    /// Sets one of the timers by which the server's kernel knows its neighbours.
    pub(crate) fn set_neighbour_timer(&self, family: Family, setting: &str, value: &str) {
        let family = family.of(&["ipv4", "ipv6"]);
        self.hosts.server.set(&format!("{family}/neigh/{SERVER_NIC}/{setting}"), value).unwrap();
    }

    /// A socket of the client's kernel, on its address behind A.
    pub(crate) fn socket(&self, family: Family, port: u16) -> UdpSocket {
        let [own, server] = [family.of(&A.client), family.of(&SERVER)].map(|text| text.parse().unwrap());
        let bind = || UdpSocket::bind(SocketAddr::new(own, 0));
        let socket = self.hosts.clients.run(bind).unwrap().unwrap();
        socket.connect(SocketAddr::new(server, port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE[1])).unwrap();
        socket
    }

    /// One who asks for echoes of UDP.
    pub(crate) fn asker(&self, family: Family) -> Asker<'_> {
        Asker { routed: self, family, socket: self.socket(family, 7), asked: 0 }
    }
}

/// One who asks for echoes of UDP, with another question each time.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    routed: &'a Routed,
    family: Family,
    socket: UdpSocket,
    asked: u64,
}

impl Asker<'_> {
    /// Asks, and waits for nothing.
    pub(crate) fn ask(&mut self) {
        self.asked += 1;
        self.socket.send(&self.asked.to_be_bytes()).unwrap();
    }

    /// Asks, and demands the answer.
    pub(crate) fn assert_answered(&mut self) {
        assert!(self.is_answered(PATIENCE[1]), "{:?}: no answer", self.family);
    }

    /// Asks until an answer goes the way that these counts stand for.
    pub(crate) fn wait_for_answer(&mut self, each: [u64; 2]) {
        let (routed, family) = (self.routed, self.family);
        let is_so = || {
            let before = routed.forwarded(family);
            self.is_answered(PATIENCE[0]) && difference(before, routed.forwarded(family)) == each
        };
        wait_until("an answer goes the way that is wanted", is_so);
    }

    /// Asks, and gives whether this question is answered; answers to those before it are passed over.
    fn is_answered(&mut self, wait: Duration) -> bool {
        self.ask();
        self.socket.set_read_timeout(Some(wait)).unwrap();
        loop {
            let mut answer = [0xa5; 16];
            match self.socket.recv(&mut answer) {
                Ok(len) if answer[..len] == self.asked.to_be_bytes() => return true,
                Ok(len) => assert!(answer[..len] < self.asked.to_be_bytes()[..], "{answer:02x?}"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// What has been forwarded in between.
pub(crate) fn difference(before: [u64; 2], now: [u64; 2]) -> [u64; 2] {
    [now[0] - before[0], now[1] - before[1]]
}

/// Waits, for a bounded time.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + CHANGE_MAX;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {CHANGE_MAX:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 9, 1];

/// The two ends, with no cable yet. The client takes its answers from whichever cable they come by.
fn hosts() -> Topology {
    let hosts = Topology { clients: Namespace::new().unwrap(), server: Namespace::new().unwrap() };
    for setting in ["ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"] {
        hosts.clients.set(setting, "0").unwrap();
    }
    hosts
}

/// Router B, which knows the way to where the client asks from.
fn second(client: &Namespace, mac: [u8; 6], switch: &Namespace) -> Router {
    let b = Router::new(&B, client);
    plug_in(&b, mac, switch);
    for family in Family::BOTH {
        ip(&b.host, &["route", "add", family.of(&CLIENTS), "via", family.of(&B.client)]);
    }
    b
}

/// Connects a router to the switch.
fn plug_in(router: &Router, mac: [u8; 6], switch: &Namespace) {
    let port = router.place.port;
    router.connect(mac, end(switch, port, [2, 0, 0, 0, 0x0b, mac[5]], &[]));
    ip(switch, &["link", "set", "dev", port, "master", BRIDGE]);
}

fn with_prefixes(addresses: &[&str; 3]) -> [(IpAddr, u8); 3] {
    let mut prefix_lens = PREFIX_LENS.into_iter();
    addresses.map(|address| (address.parse().unwrap(), prefix_lens.next().unwrap()))
}

fn end<'a>(host: &'a Namespace, name: &'a str, mac: [u8; 6], addresses: &'a [(IpAddr, u8)]) -> End<'a> {
    End { namespace: Some(host), name, mac, rx_queues: 1, tx_queues: 1, addresses }
}

fn lay(a: End<'_>, b: End<'_>) {
    create(&VethPair { a, b, mtu: 1500 }).unwrap();
}

//! What is asked of the kernel and changed in it, on cables between namespaces of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop, and says when it is skipped"
)]

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use barelane_host::changes::Changes;
use barelane_host::ethtool::{self, Offload};
use barelane_host::groups::{SolicitedNode, Told, solicited_node};
use barelane_host::links::{AddressState, InterfaceAddress};
use barelane_host::namespace::Namespace;
use barelane_host::packet::{EVERY_ETHERTYPE, PacketSocket};
use barelane_host::veth::{self, End, Indices, VethPair};
use barelane_host::{HostError, busy_poll, links, neighbours, privileges, routes};

const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// An Ethernet type that is kept free for experiments (IEEE 802, 9.2.3).
const EXPERIMENT: u16 = 0x88b5;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(5);

/// Two hosts on one cable, each in its own namespace.
struct Hosts {
    a: Namespace,
    b: Namespace,
    indices: Indices,
}

impl Hosts {
    /// Lays the cable, or says why not.
    fn new() -> Option<Self> {
        let (a, b) = (namespace()?, namespace()?);
        let addresses_a = [address("10.9.0.1", 24), address("fd09::1", 64)];
        let addresses_b = [address("10.9.0.2", 24), address("fd09::2", 64)];
        let a_end = End {
            namespace: Some(&a),
            name: "left",
            mac: MAC_A,
            rx_queues: 2,
            tx_queues: 1,
            addresses: &addresses_a,
        };
        let b_end = End {
            namespace: Some(&b),
            name: "right",
            mac: MAC_B,
            addresses: &addresses_b,
            tx_queues: 2,
            ..a_end
        };
        let indices = veth::create(&VethPair { a: a_end, b: b_end, mtu: 1400 }).unwrap();
        Some(Self { a, b, indices })
    }
}

/// A namespace, or the reason on standard error why there is none.
fn namespace() -> Option<Namespace> {
    let missing = privileges::missing_for_namespaces();
    if missing.is_empty() {
        return Some(Namespace::new().unwrap());
    }
    // Not by a macro, whose words the test harness keeps to itself where a test passes.
    let _ = writeln!(io::stderr(), "skipped: a network namespace needs {missing:?}");
    None
}

fn address(text: &str, prefix_len: u8) -> (IpAddr, u8) {
    (ip(text), prefix_len)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Waits until something holds, for a bounded time; gives how long it took.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "still not so after {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
    begun.elapsed()
}

#[test]
fn a_namespace_has_its_own_loopback_and_leaves_the_caller_where_it_was() {
    let Some(namespace) = namespace() else { return };
    let outside = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let (inside, names, is_up) = namespace
        .run(|| {
            let inside = fs::read_link("/proc/thread-self/ns/net").unwrap();
            (inside, links::names().unwrap(), links::link("lo").unwrap().is_up)
        })
        .unwrap();
    assert_ne!(inside, outside);
    assert_eq!(names, ["lo"]);
    assert!(is_up);
    assert_eq!(fs::read_link("/proc/thread-self/ns/net").unwrap(), outside);
}

#[test]
fn a_thread_that_enters_a_namespace_stays_there_and_goes_alone() {
    let Some(namespace) = namespace() else { return };
    let here = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let outside = here();
    let inside = thread::scope(|scope| {
        let entered = scope.spawn(|| {
            namespace.enter().unwrap();
            here()
        });
        entered.join().unwrap()
    });
    assert_ne!(inside, outside);
    assert_eq!(here(), outside);
}

#[test]
fn a_setting_holds_inside_its_namespace_only() {
    let Some(namespace) = namespace() else { return };
    let path = "/proc/sys/net/ipv4/ip_default_ttl";
    let outside = fs::read_to_string(path).unwrap();
    namespace.set("ipv4/ip_default_ttl", "33").unwrap();
    assert_eq!(namespace.run(|| fs::read_to_string(path).unwrap()).unwrap().trim(), "33");
    assert_eq!(fs::read_to_string(path).unwrap(), outside);
    let text = namespace.set("ipv4/no_such_setting", "1").unwrap_err().to_string();
    assert!(text.contains("ipv4/no_such_setting"), "{text}");
}

#[test]
fn both_ends_of_a_cable_are_as_they_were_asked_for() {
    let Some(hosts) = Hosts::new() else { return };
    let a = hosts.a.run(|| links::link("left").unwrap()).unwrap();
    let b = hosts.b.run(|| links::link_at(hosts.indices.b).unwrap()).unwrap();
    assert_eq!((a.name.as_str(), a.mac, a.rx_queues, a.tx_queues), ("left", MAC_A, 2, 1));
    assert_eq!((b.name.as_str(), b.mac, b.rx_queues, b.tx_queues), ("right", MAC_B, 2, 2));
    assert_eq!((a.index, b.index), (hosts.indices.a, hosts.indices.b));
    assert_eq!((a.peer_index, b.peer_index), (Some(b.index), Some(a.index)));
    for link in [a, b] {
        assert_eq!((link.mtu, link.kind.as_deref()), (1400, Some("veth")), "{link:?}");
        assert!(link.is_up && link.has_carrier, "{link:?}");
        assert_eq!((link.driver, link.numa_node, link.program), (None, None, None));
    }
}

#[test]
fn an_end_that_is_set_down_takes_the_others_carrier() {
    let Some(hosts) = Hosts::new() else { return };
    hosts.b.run(|| links::set_down(hosts.indices.b).unwrap()).unwrap();
    let a = hosts.a.run(|| links::link("left").unwrap()).unwrap();
    let b = hosts.b.run(|| links::link("right").unwrap()).unwrap();
    assert!(a.is_up && !a.has_carrier, "{a:?}");
    assert!(!b.is_up && !b.has_carrier, "{b:?}");
    assert_eq!((b.rx_queues, b.tx_queues), (2, 2), "queues are known of a link that is down too");
}

#[test]
fn an_interface_that_does_not_exist_is_refused_with_those_that_do() {
    let Some(hosts) = Hosts::new() else { return };
    for name in ["wrong", "a-name-that-is-too-long", ""] {
        let error = hosts.a.run(|| links::link(name).unwrap_err()).unwrap();
        assert!(matches!(error, HostError::NoSuchInterface { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&format!("`{name}`")) && text.contains("lo, left"), "{text}");
    }
}

#[test]
fn a_name_that_is_taken_is_refused_by_name() {
    let Some(hosts) = Hosts::new() else { return };
    let end = End {
        namespace: Some(&hosts.a),
        name: "left",
        mac: MAC_A,
        rx_queues: 1,
        tx_queues: 1,
        addresses: &[],
    };
    let again = VethPair { a: end, b: End { name: "other", ..end }, mtu: 1500 };
    let text = veth::create(&again).unwrap_err().to_string();
    assert!(text.contains("`left`") && text.contains("choose another name"), "{text}");
}

#[test]
fn a_cable_that_cannot_be_made_ready_is_taken_away_again() {
    let (Some(a), Some(b)) = (namespace(), namespace()) else { return };
    let twice = [address("10.9.0.1", 24), address("10.9.0.1", 24)];
    let end =
        End { namespace: Some(&a), name: "left", mac: MAC_A, rx_queues: 1, tx_queues: 1, addresses: &[] };
    let far = End { namespace: Some(&b), name: "right", mac: MAC_B, addresses: &twice, ..end };
    let text = veth::create(&VethPair { a: end, b: far, mtu: 1500 }).unwrap_err().to_string();
    assert!(text.contains("10.9.0.1/24"), "{text}");
    assert_eq!(a.run(|| links::names().unwrap()).unwrap(), ["lo"]);
}

#[test]
fn every_interface_that_is_already_here_can_be_described() {
    for name in links::names().unwrap() {
        match links::link(&name) {
            Ok(link) => {
                assert_eq!(link.name, name);
                assert!(link.rx_queues > 0 && link.tx_queues > 0, "{link:?}");
            }
            // Gone between the two questions, or of another kind.
            Err(HostError::NoSuchInterface { .. } | HostError::NotEthernet { .. }) => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn addresses_of_both_families_are_listed_and_in_force_at_once() {
    let Some(hosts) = Hosts::new() else { return };
    for (a, b) in [("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2")] {
        let server = hosts.b.run(|| UdpSocket::bind((ip(b), 7)).unwrap()).unwrap();
        server.set_read_timeout(Some(LONG)).unwrap();
        let client = hosts.a.run(|| UdpSocket::bind((ip(a), 0)).unwrap()).unwrap();
        client.send_to(b"at once", (ip(b), 7)).unwrap();
        let mut room = [0xa5; 16];
        let (len, from) = server.recv_from(&mut room).unwrap();
        assert_eq!((&room[..len], from.ip()), (&b"at once"[..], ip(a)));
    }
    let listed = hosts.a.run(|| links::addresses(hosts.indices.a).unwrap()).unwrap();
    let expected = [address("10.9.0.1", 24), address("fd09::1", 64)]
        .map(|(ip, prefix_len)| InterfaceAddress { ip, prefix_len, state: AddressState::InForce });
    assert_eq!(listed, expected);
}

#[test]
fn an_address_that_the_kernel_still_asks_about_is_tentative_and_another_hosts_is_a_duplicate() {
    let Some(hosts) = Hosts::new() else { return };
    let index = hosts.indices.a;
    // The other end's address, given to this end with duplicate address detection.
    let taken = ["-6", "address", "add", "fd09::2/64", "dev", "left"];
    let added = hosts.a.run(|| Command::new("ip").args(taken).status().unwrap()).unwrap();
    assert!(added.success());
    let state = || {
        let listed = hosts.a.run(|| links::addresses(index).unwrap()).unwrap();
        listed.into_iter().find(|one| one.ip == ip("fd09::2")).map(|one| one.state)
    };
    assert_ne!(state(), Some(AddressState::InForce));
    wait_until("the address is found to be another host's", || state() == Some(AddressState::Duplicate));
}

#[test]
fn the_state_of_an_interface_follows_it_until_it_is_gone() {
    let Some(hosts) = Hosts::new() else { return };
    let index = hosts.indices.a;
    let state = || hosts.a.run(|| links::state_at(index).unwrap()).unwrap();
    let found = state().unwrap();
    assert_eq!((found.name.as_str(), found.mac, found.is_running), ("left", MAC_A, true));
    hosts.b.run(|| links::set_down(hosts.indices.b).unwrap()).unwrap();
    wait_until("the end without a carrier does not run", || !state().unwrap().is_running);
    hosts.a.run(|| links::remove(index).unwrap()).unwrap();
    assert_eq!(state(), None);
}

#[test]
fn a_neighbour_is_known_once_it_was_told_or_has_answered() {
    let Some(hosts) = Hosts::new() else { return };
    let index = hosts.indices.a;
    let lookup = |text: &str| hosts.a.run(|| neighbours::lookup(index, ip(text)).unwrap()).unwrap();
    for (told, heard) in [("10.9.0.77", "10.9.0.2"), ("fd09::77", "fd09::2")] {
        assert_eq!((lookup(told), lookup(heard)), (None, None));
        hosts.a.run(|| neighbours::add(index, ip(told), [6, 5, 4, 3, 2, 1]).unwrap()).unwrap();
        assert_eq!(lookup(told), Some([6, 5, 4, 3, 2, 1]));
        let local = if ip(heard).is_ipv4() { "0.0.0.0" } else { "::" };
        let client = hosts.a.run(|| UdpSocket::bind((ip(local), 0)).unwrap()).unwrap();
        client.send_to(b"who is there", (ip(heard), 9)).unwrap();
        wait_until("the neighbour is known", || lookup(heard) == Some(MAC_B));
    }
}

#[test]
fn a_neighbour_that_nobody_is_does_not_become_known() {
    let Some(hosts) = Hosts::new() else { return };
    let client = hosts.a.run(|| UdpSocket::bind(("0.0.0.0", 0)).unwrap()).unwrap();
    client.send_to(b"nobody", ("10.9.0.200", 9)).unwrap();
    let known = hosts.a.run(|| neighbours::lookup(hosts.indices.a, ip("10.9.0.200")).unwrap());
    assert_eq!(known.unwrap(), None);
}

#[test]
fn the_main_table_and_the_neighbours_are_listed_and_every_change_of_them_is_told() {
    let Some(hosts) = Hosts::new() else { return };
    let index = hosts.indices.a;
    // Without an address for the link alone the kernel asks no IPv6 neighbour of its own accord.
    hosts.a.run(|| links::add_address(index, ip("fe80::1"), 64)).unwrap().unwrap();
    let mut changes = hosts.a.run(|| Changes::of(index)).unwrap().unwrap();
    let table = || hosts.a.run(routes::main_table).unwrap().unwrap();
    let way = |prefix: &str| table().into_iter().find(|route| route.destination == ip(prefix));
    let neighbour = |who: &str| {
        let known = hosts.a.run(|| neighbours::on(index)).unwrap().unwrap();
        known.into_iter().find(|neighbour| neighbour.address == ip(who))
    };
    assert!(!changes.have_come().unwrap(), "nothing has changed yet");
    for (prefix, len, gateway, link) in
        [("192.0.2.0", 24, "10.9.0.2", "10.9.0.0"), ("2001:db8::", 32, "fd09::2", "fd09::")]
    {
        assert_eq!(way(prefix), None);
        hosts.a.run(|| routes::add(index, ip(prefix), len, ip(gateway)).unwrap()).unwrap();
        wait_until("the route is told", || changes.have_come().unwrap());
        let route = way(prefix).unwrap();
        assert_eq!((route.prefix_len, route.ifindex, route.gateway), (len, index, Some(ip(gateway))));
        assert_eq!(way(link).map(|route| (route.ifindex, route.gateway)), Some((index, None)));
        assert_eq!(neighbour(gateway), None);
        hosts.a.run(|| neighbours::ask(index, ip(gateway)).unwrap()).unwrap();
        wait_until("the neighbour is told", || changes.have_come().unwrap());
        wait_until("it has answered", || neighbour(gateway).is_some_and(|one| one.mac == Some(MAC_B)));
        assert!(neighbour(gateway).unwrap().is_fresh);
        wait_until("all of it is told", || !changes.have_come().unwrap());
        hosts.a.run(|| routes::remove(index, ip(prefix), len, ip(gateway)).unwrap()).unwrap();
        wait_until("the removal is told", || changes.have_come().unwrap());
        assert_eq!(way(prefix), None);
    }
}

#[test]
fn a_neighbour_that_nobody_is_is_listed_without_an_address() {
    let Some(hosts) = Hosts::new() else { return };
    let index = hosts.indices.a;
    hosts.a.run(|| neighbours::ask(index, ip("10.9.0.200")).unwrap()).unwrap();
    let known = hosts.a.run(|| neighbours::on(index)).unwrap().unwrap();
    let nobody = known.iter().find(|neighbour| neighbour.address == ip("10.9.0.200")).unwrap();
    assert_eq!((nobody.mac, nobody.is_fresh), (None, false));
}

#[test]
fn a_route_names_the_interface_the_gateway_and_the_source() {
    let Some(hosts) = Hosts::new() else { return };
    let index = hosts.indices.a;
    hosts
        .a
        .run(|| {
            for (net, prefix_len, gateway, near, far, own) in [
                ("192.0.2.0", 24, "10.9.0.2", "10.9.0.2", "192.0.2.9", "10.9.0.1"),
                ("2001:db8::", 32, "fd09::2", "fd09::2", "2001:db8::9", "fd09::1"),
            ] {
                let unknown = routes::route_to(ip(far)).unwrap_err().to_string();
                assert!(unknown.contains(far), "{unknown}");
                routes::add(index, ip(net), prefix_len, ip(gateway)).unwrap();
                let near = routes::route_to(ip(near)).unwrap();
                assert_eq!((near.ifindex, near.gateway, near.source), (index, None, Some(ip(own))));
                let far = routes::route_to(ip(far)).unwrap();
                assert_eq!((far.ifindex, far.gateway, far.source), (index, Some(ip(gateway)), Some(ip(own))));
            }
        })
        .unwrap();
}

#[test]
fn transmit_checksum_offload_is_switched_and_seen() {
    let Some(hosts) = Hosts::new() else { return };
    let seen = hosts.a.run(|| {
        [Offload::Off, Offload::On, Offload::Off].map(|offload| {
            ethtool::set_tx_checksum(hosts.indices.a, offload).unwrap();
            links::link("left").unwrap().tx_checksum
        })
    });
    assert_eq!(seen.unwrap(), [Some(false), Some(true), Some(false)]);
}

/// Busy polling needs to know a NAPI instance, and a veth has one only for packets that it gathers.
#[test]
fn a_socket_learns_its_napi_instance_where_the_cable_has_one() {
    let Some(hosts) = Hosts::new() else { return };
    // A socket of its own each time: it keeps what it learnt from its first packet, even that there was nothing.
    let instance_after_a_packet = |port| {
        let [server, client] = [("10.9.0.2", &hosts.b), ("10.9.0.1", &hosts.a)]
            .map(|(own, host)| host.run(|| UdpSocket::bind((ip(own), port)).unwrap()).unwrap());
        server.set_read_timeout(Some(LONG)).unwrap();
        busy_poll::ask_for(&server, 50).unwrap();
        client.send_to(b"a packet", (ip("10.9.0.2"), port)).unwrap();
        assert_eq!(server.recv(&mut [0xa5; 16]).unwrap(), 8);
        busy_poll::napi(&server).unwrap()
    };
    assert_eq!(instance_after_a_packet(4000), None);
    hosts.a.run(|| ethtool::set_tx_checksum(hosts.indices.a, Offload::Off).unwrap()).unwrap();
    hosts.b.run(|| ethtool::set_gro(hosts.indices.b, Offload::On).unwrap()).unwrap();
    assert!(instance_after_a_packet(4001).is_some());
}

#[test]
fn a_frame_goes_through_the_cable_as_it_was_sent_and_is_not_seen_by_its_sender() {
    let Some(hosts) = Hosts::new() else { return };
    let open = |namespace: &Namespace, index, ethertype| {
        namespace.run(|| PacketSocket::open(index, ethertype).unwrap()).unwrap()
    };
    let sender = open(&hosts.a, hosts.indices.a, EVERY_ETHERTYPE);
    let receiver = open(&hosts.b, hosts.indices.b, EXPERIMENT);
    let other_type = open(&hosts.b, hosts.indices.b, EXPERIMENT + 1);
    let frame = frame(MAC_B, MAC_A);
    sender.send(&frame).unwrap();
    let mut room = [0xa5; 2048];
    let len = receiver.receive(&mut room, LONG).unwrap().unwrap();
    assert_eq!(room[..len], frame);
    assert_eq!(other_type.receive(&mut room, SHORT).unwrap(), None);
    let begun = Instant::now();
    let own =
        std::iter::from_fn(|| sender.receive(&mut room, SHORT).unwrap().map(|len| room[..len].to_vec()));
    assert!(own.take(100).all(|seen| seen != frame));
    assert!(begun.elapsed() >= SHORT);
}

#[test]
fn the_first_frame_after_a_cable_is_laid_arrives_from_either_end() {
    for _ in 0..20 {
        let Some(hosts) = Hosts::new() else { return };
        let a = hosts.a.run(|| PacketSocket::open(hosts.indices.a, EXPERIMENT).unwrap()).unwrap();
        let b = hosts.b.run(|| PacketSocket::open(hosts.indices.b, EXPERIMENT).unwrap()).unwrap();
        let mut room = [0xa5; 2048];
        a.send(&frame(MAC_B, MAC_A)).unwrap();
        assert_eq!(b.receive(&mut room, LONG).unwrap(), Some(64), "from a");
        b.send(&frame(MAC_A, MAC_B)).unwrap();
        assert_eq!(a.receive(&mut room, LONG).unwrap(), Some(64), "from b");
    }
}

/// 64 bytes that mean nothing to anyone but these tests.
fn frame(dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
    let mut frame = [&dst[..], &src, &EXPERIMENT.to_be_bytes()].concat();
    frame.extend(1..=50);
    frame
}

#[test]
fn joined_groups_open_the_filter_and_are_announced_until_they_are_dropped() {
    let Some(hosts) = Hosts::new() else { return };
    let wanted: Ipv6Addr = "fd09::aa:bbcc".parse().unwrap();
    let witness = hosts.b.run(|| PacketSocket::open(hosts.indices.b, 0x86dd).unwrap()).unwrap();
    let joined = hosts.a.run(|| SolicitedNode::join(hosts.indices.a, &[wanted, wanted]).unwrap()).unwrap();
    assert_eq!(joined.told(), Told::CardAndLink);
    assert!(has_filter_entry(&hosts.a, "3333ffaabbcc"));
    let group = solicited_node(wanted).octets();
    let mut room = [0xa5; 2048];
    wait_until("the group is announced by MLD", || {
        let len = witness.receive(&mut room, SHORT).unwrap().unwrap_or(0);
        room[..len].windows(group.len()).any(|bytes| bytes == group)
    });
    drop(joined);
    wait_until("the filter is closed", || !has_filter_entry(&hosts.a, "3333ffaabbcc"));
}

#[test]
fn groups_open_the_filter_where_the_interface_has_no_ipv6() {
    let Some(hosts) = Hosts::new() else { return };
    // Below an MTU of 1280 the kernel takes IPv6 off an interface (RFC 8200 5).
    let end =
        |name, mac| End { namespace: Some(&hosts.a), name, mac, rx_queues: 1, tx_queues: 1, addresses: &[] };
    let pair =
        VethPair { a: end("small", [2, 0, 0, 0, 0, 3]), b: end("mall", [2, 0, 0, 0, 0, 4]), mtu: 1000 };
    let index = veth::create(&pair).unwrap().a;
    let wanted: Ipv6Addr = "fd09::dd:eeff".parse().unwrap();
    let joined = hosts.a.run(|| SolicitedNode::join(index, &[wanted]).unwrap()).unwrap();
    assert_eq!(joined.told(), Told::CardOnly);
    assert!(has_filter_entry(&hosts.a, "3333ffddeeff"));
}

#[test]
fn groups_open_the_filter_where_ipv6_is_switched_off() {
    let Some(hosts) = Hosts::new() else { return };
    hosts.a.set("ipv6/conf/left/disable_ipv6", "1").unwrap();
    let wanted: Ipv6Addr = "fd09::dd:eeff".parse().unwrap();
    let joined = hosts.a.run(|| SolicitedNode::join(hosts.indices.a, &[wanted]).unwrap()).unwrap();
    assert_eq!(joined.told(), Told::CardOnly);
    assert!(has_filter_entry(&hosts.a, "3333ffddeeff"));
    drop(joined);
    wait_until("the filter is closed", || !has_filter_entry(&hosts.a, "3333ffddeeff"));
}

/// Whether some interface in the namespace lets this group address in.
fn has_filter_entry(namespace: &Namespace, group: &str) -> bool {
    namespace.run(|| fs::read_to_string("/proc/thread-self/net/dev_mcast").unwrap().contains(group)).unwrap()
}

/// The part of the next test that dies: it lays a cable from where it was started to a namespace of its own.
#[test]
#[ignore = "runs as the child of the next test"]
fn child_that_is_killed() {
    let own = Namespace::new().unwrap();
    let far =
        End { namespace: Some(&own), name: "far", mac: MAC_B, rx_queues: 1, tx_queues: 1, addresses: &[] };
    let near = End { namespace: None, name: "near", mac: MAC_A, ..far };
    veth::create(&VethPair { a: near, b: far, mtu: 1500 }).unwrap();
    eprintln!("cable laid");
    thread::sleep(LONG * 12);
}

#[test]
fn nothing_is_left_of_a_process_that_is_killed() {
    let Some(start) = namespace() else { return };
    let named = || fs::read_dir("/run/netns").map_or(0, Iterator::count);
    let named_before = named();
    let mut child = start
        .run(|| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--ignored", "--exact", "--nocapture", "child_that_is_killed"]);
            command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
        })
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "cable laid"), "the child ended early: {:?}", child.wait());
    let has_near = || start.run(|| links::names().unwrap().contains(&"near".to_owned())).unwrap();
    assert!(has_near());
    assert_eq!(named(), named_before, "no namespace was given a name");
    child.kill().unwrap();
    child.wait().unwrap();
    // The near end goes when the kernel takes down the namespace of the far end: nobody else would remove it.
    wait_until("the cable is gone", || !has_near());
}

//! What an interface and its driver count, on a cable between namespaces of our own.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop, and says when it is skipped"
)]

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, UdpSocket};
use std::process::Command;

use barelane_host::ethtool::{Statistics, queue_of};
use barelane_host::links::{self, LINK_COUNTERS};
use barelane_host::namespace::Namespace;
use barelane_host::privileges;
use barelane_host::veth::{self, End, Indices, VethPair};

/// Two hosts on one cable, of which the left one has two queues.
struct Hosts {
    left: Namespace,
    right: Namespace,
    indices: Indices,
}

impl Hosts {
    /// Lays the cable, or says why not.
    fn new() -> Option<Self> {
        let missing = privileges::missing_for_namespaces();
        if !missing.is_empty() {
            // Not by a macro, whose words the test harness keeps to itself where a test passes.
            let _ = writeln!(io::stderr(), "skipped: a network namespace needs {missing:?}");
            return None;
        }
        let [left, right] = [Namespace::new(), Namespace::new()].map(Result::unwrap);
        let addresses = ["10.9.0.1", "10.9.0.2"].map(|address| [(address.parse::<IpAddr>().unwrap(), 24)]);
        let end = |namespace, name, number: usize| End {
            namespace: Some(namespace),
            name,
            mac: [2, 0, 0, 0, 0, u8::try_from(number).unwrap()],
            rx_queues: 2,
            tx_queues: 2,
            addresses: &addresses[number],
        };
        let pair = VethPair { a: end(&left, "left", 0), b: end(&right, "right", 1), mtu: 1500 };
        let indices = veth::create(&pair).unwrap();
        Some(Self { left, right, indices })
    }

    /// The counts of the left end by their names.
    fn left_count(&self, name: &str) -> u64 {
        let counts = self.left.run(|| links::counts(self.indices.a).unwrap()).unwrap();
        let place = LINK_COUNTERS.iter().position(|counter| counter.name == name).unwrap();
        counts.counts[place]
    }
}

/// The numbers of `/proc/net/dev`, which the kernel writes from the same place: bytes and packets first.
fn of_proc(namespace: &Namespace, name: &str) -> Vec<u64> {
    let text = namespace.run(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap()).unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn an_interface_counts_every_frame_and_the_kernels_own_file_says_the_same() {
    const COUNT: u64 = 100;
    let Some(hosts) = Hosts::new() else { return };
    let before = ["tx_packets", "tx_bytes"].map(|name| hosts.left_count(name));
    let socket = hosts.left.run(|| UdpSocket::bind(("10.9.0.1", 0)).unwrap()).unwrap();
    let asked = hosts.right.run(|| UdpSocket::bind(("10.9.0.2", 7)).unwrap()).unwrap();
    let mut room = [0xa5; 64];
    for _ in 0..COUNT {
        socket.send_to(&[0xa5; 18], ("10.9.0.2", 7)).unwrap();
        asked.recv(&mut room).unwrap();
    }
    let after = ["tx_packets", "tx_bytes"].map(|name| hosts.left_count(name));
    // Neighbours are asked for, once or again; each datagram has 60 bytes with its heads.
    assert!(after[0] - before[0] >= COUNT && after[1] - before[1] >= COUNT * 60, "{before:?} {after:?}");
    let told = of_proc(&hosts.left, "left");
    let names = ["rx_bytes", "rx_packets", "rx_errors"];
    let ours: Vec<u64> = names.map(|name| hosts.left_count(name)).to_vec();
    assert_eq!(ours, told[..3]);
    assert_eq!([hosts.left_count("tx_bytes"), hosts.left_count("tx_packets")], [told[8], told[9]]);
}

#[test]
fn an_interface_that_is_gone_is_refused_and_one_that_was_renamed_says_its_name() {
    let Some(hosts) = Hosts::new() else { return };
    let index = hosts.indices.a;
    let rename = || {
        links::set_down(index).unwrap();
        Command::new("ip").args(["link", "set", "left", "name", "other"]).status().unwrap()
    };
    assert!(hosts.left.run(rename).unwrap().success());
    assert_eq!(hosts.left.run(|| links::counts(index).unwrap().name).unwrap(), "other");
    hosts.left.run(|| links::remove(index).unwrap()).unwrap();
    let error = hosts.left.run(|| links::counts(index).unwrap_err().to_string()).unwrap();
    assert!(
        error.starts_with(&format!("cannot read the counters of the interface of index {index}: ")),
        "{error}"
    );
}

#[test]
fn a_driver_is_asked_for_its_own_numbers_by_its_own_names() {
    let Some(hosts) = Hosts::new() else { return };
    let statistics = hosts.left.run(|| Statistics::open("left").unwrap().unwrap()).unwrap();
    let numbers = statistics.by_name();
    // The one number of a veth that is known beforehand.
    assert_eq!(numbers.get("peer_ifindex"), Some(&u64::from(hosts.indices.b)));
    for name in ["rx_queue_0_drops", "rx_queue_1_xdp_packets", "tx_queue_1_xdp_xmit_errors"] {
        assert_eq!(numbers.get(name), Some(&0), "{name} in {numbers:?}");
    }
    let queues: Vec<_> = statistics.iter().filter_map(|(name, _)| queue_of(name)).collect();
    assert!(
        queues.contains(&0) && queues.contains(&1) && queues.iter().all(|queue| *queue < 2),
        "{queues:?}"
    );
}

/// Numbers that moved to other places must not stand beside the names that were there before.
#[test]
fn queues_that_go_take_their_numbers_along_and_no_name_gets_anothers_number() {
    let Some(hosts) = Hosts::new() else { return };
    let mut statistics = hosts.left.run(|| Statistics::open("left").unwrap().unwrap()).unwrap();
    let before = statistics.iter().count();
    let shrink = || Command::new("ethtool").args(["-L", "left", "rx", "1", "tx", "1"]).status();
    match hosts.left.run(shrink).unwrap() {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            let _ = writeln!(io::stderr(), "skipped: ethtool: {error}");
            return;
        }
    }
    hosts.left.run(|| statistics.read("left").unwrap()).unwrap();
    let numbers = statistics.by_name();
    assert!(numbers.len() < before && !numbers.contains_key("rx_queue_1_drops"), "{numbers:?}");
    assert_eq!(numbers.get("peer_ifindex"), Some(&u64::from(hosts.indices.b)));
    assert_eq!(numbers.get("tx_queue_0_xdp_xmit"), Some(&0));
}

#[test]
fn an_interface_whose_driver_counts_nothing_has_none_and_one_that_is_not_there_is_refused() {
    let Some(hosts) = Hosts::new() else { return };
    assert!(hosts.left.run(|| Statistics::open("lo").unwrap()).unwrap().is_none());
    let error = hosts.left.run(|| Statistics::open("nowhere").unwrap_err().to_string()).unwrap();
    assert!(error.starts_with("cannot read what the driver of `nowhere` counts: "), "{error}");
}

//! Do ARP, neighbour discovery and duplicate address detection work, as other people's programs see them?

use std::thread;
use std::time::{Duration, Instant};

use crate::tier::Serving;
use crate::topology::{CLIENT_NIC, SERVER, SERVER_MAC, Topology, tools};

/// An address that nobody has.
const FREE: [&str; 2] = ["10.9.0.77", "fd09::77"];

#[test]
#[ignore = "needs root: a network namespace"]
fn arping_of_iputils_finds_the_address_and_sees_that_it_is_taken() {
    for serving in Serving::at_each_tier() {
        let arping = tools().join("iputils-arping/usr/bin/arping");
        let arping = arping.to_str().unwrap();
        let found =
            serving.topology.client(arping, &["-f", "-c", "3", "-w", "5", "-I", CLIENT_NIC, SERVER[0]]);
        assert!(found.status.success() && found.said.to_lowercase().contains(SERVER_MAC), "{}", found.said);
        let taken =
            serving.topology.client(arping, &["-D", "-c", "2", "-w", "5", "-I", CLIENT_NIC, SERVER[0]]);
        assert_eq!(taken.status.code(), Some(1), "not seen as taken: {}", taken.said);
        let free = serving.topology.client(arping, &["-D", "-c", "1", "-w", "1", "-I", CLIENT_NIC, FREE[0]]);
        assert_eq!(free.status.code(), Some(0), "seen as taken: {}", free.said);
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn arping_of_habets_gets_every_answer_and_only_one_of_each() {
    for serving in Serving::at_each_tier() {
        let ended = serving
            .topology
            .client("/usr/sbin/arping", &["-c", "5", "-W", "0.05", "-d", "-i", CLIENT_NIC, SERVER[0]]);
        assert!(ended.status.success(), "{}", ended.said);
        assert_eq!(ended.said.matches(SERVER_MAC).count(), 5, "{}", ended.said);
        // It pads to 58 bytes, which is neither the request's length nor a frame's.
        serving.end_behind_the_driver();
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn ndisc6_finds_the_address() {
    for serving in Serving::at_each_tier() {
        let ended = serving.topology.client("ndisc6", &["-1", "-r", "3", "-w", "500", SERVER[1], CLIENT_NIC]);
        assert!(ended.status.success() && ended.said.to_lowercase().contains(SERVER_MAC), "{}", ended.said);
        let ended = serving.topology.client("ndisc6", &["-1", "-r", "1", "-w", "200", FREE[1], CLIENT_NIC]);
        assert!(!ended.status.success(), "{}", ended.said);
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn scapy_probes_for_duplicates_and_is_told() {
    for serving in Serving::at_each_tier() {
        serving.topology.scapy("neighbour_probe");
        drop(serving.end());
    }
}

/// The clients' kernel itself tries to take the address, with duplicate address detection (RFC 4862 5.4).
#[test]
#[ignore = "needs root: a network namespace"]
fn another_kernel_that_wants_the_address_learns_that_it_is_taken() {
    for serving in Serving::at_each_tier() {
        assert!(is_told(&serving.topology), "the kernel took an address that Barelane has");
        // Linux puts a nonce into its probes (RFC 7527), and the driver knows no option but the asker's address.
        serving.end_behind_the_driver();
    }
}

/// Whether duplicate address detection of the clients' kernel fails for the server's address.
fn is_told(topology: &Topology) -> bool {
    let wanted = format!("{}/64", SERVER[1]);
    assert!(topology.client("ip", &["address", "add", &wanted, "dev", CLIENT_NIC]).status.success());
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let shown = topology.client("ip", &["-6", "address", "show", "dev", CLIENT_NIC, "to", SERVER[1]]);
        if shown.said.contains("dadfailed") {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

//! Does every client get its echo, for every length, without a loss?

use crate::server::Server;
use crate::tier::Serving;
use crate::topology::{Ended, SERVER, Topology};

/// The payload lengths at which something changes: none, odd, around the 60 bytes of the shortest frame, around the
/// steps of a vectorised checksum, and all that an MTU of 1500 holds. scapy asks for every length between them too.
const SIZES: [usize; 21] =
    [0, 1, 2, 3, 7, 8, 9, 15, 17, 18, 19, 31, 33, 56, 63, 65, 127, 129, 255, 1000, 1001];
const IPV4_SIZES_MAX: [usize; 2] = [1471, 1472];
const IPV6_SIZES_MAX: [usize; 2] = [1451, 1452];

fn assert_says(ended: &Ended, wanted: &str) {
    assert!(ended.status.success() && ended.said.contains(wanted), "{wanted:?} not in:\n{}", ended.said);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn ping_of_iputils_gets_back_what_it_sent_at_every_step_of_length() {
    for serving in Serving::at_each_tier() {
        for (address, longest) in SERVER.iter().zip([IPV4_SIZES_MAX, IPV6_SIZES_MAX]) {
            for size in SIZES.into_iter().chain(longest) {
                let size = size.to_string();
                let ended =
                    serving.topology.client("ping", &["-n", "-c", "1", "-W", "2", "-s", &size, address]);
                assert_says(&ended, "1 received, 0% packet loss");
                assert!(!ended.said.contains("wrong data") && !ended.said.contains("DUP"), "{}", ended.said);
            }
        }
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn ping_of_iputils_floods_100_000_times_without_a_loss() {
    for serving in Serving::at_each_tier() {
        for address in SERVER {
            let ended = serving.topology.client("ping", &["-n", "-q", "-f", "-c", "100000", address]);
            assert_says(&ended, "100000 received, 0% packet loss");
            assert!(!ended.said.contains("duplicates") && !ended.said.contains("errors"), "{}", ended.said);
        }
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn fping_loses_nothing_on_both_families_at_once() {
    for serving in Serving::at_each_tier() {
        for size in ["0", "56", "1001"] {
            let ended = serving.topology.client(
                "fping",
                &["-q", "-c", "500", "-p", "1", "-i", "1", "-t", "2000", "-b", size, SERVER[0], SERVER[1]],
            );
            assert_eq!(ended.said.matches("500/500/0%").count(), 2, "{}", ended.said);
        }
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn nping_gets_icmp_udp_and_arp_answers() {
    for serving in Serving::at_each_tier() {
        let udp = ["--udp", "--source-port", "40000", "--dest-port", "7", "--data-length", "33"];
        for kind in [&["--icmp"][..], &["--icmp", "--data-length", "1001"], &udp, &["--arp"]] {
            let ended = serving
                .topology
                .client("nping", &[kind, &["-q", "-c", "20", "--rate", "200", SERVER[0]]].concat());
            // nping itself misses answers when another process has its core, and does not wait for the last ones. What it
            // got it found right, and what it asked was answered, as the server's counters say.
            assert!(ended.said.contains("Rcvd: 20") || ended.said.contains("Rcvd: 1"), "{}", ended.said);
        }
        let counts = serving.end();
        assert_eq!(
            (counts.get("replied_icmpv4"), counts.get("replied_udp")),
            (Some(&40), Some(&20)),
            "{counts:?}"
        );
        assert!(counts.get("replied_arp").is_some_and(|&count| count >= 20), "{counts:?}");
        assert!(!counts.keys().any(|name| name.starts_with("queue_")), "the kernel lost some: {counts:?}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn hping3_gets_icmp_and_udp_answers() {
    for serving in Serving::at_each_tier() {
        for kind in [&["--icmp", "-d", "33"][..], &["--udp", "-p", "7", "-s", "40000", "-d", "33"]] {
            let ended = serving
                .topology
                .client("hping3", &[kind, &["-n", "-q", "-c", "50", "-i", "u2000", SERVER[0]]].concat());
            assert_says(&ended, "50 packets transmitted, 50 packets received, 0% packet loss");
        }
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn scapy_gets_every_payload_length_back_byte_for_byte() {
    for serving in Serving::at_each_tier() {
        serving.topology.scapy("every_size");
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn scapy_gets_right_answers_to_odd_frames_and_none_to_wrong_ones() {
    // All VLANs that the script uses but 200.
    let vlans = ["7", "42", "1", "2", "3"].map(|vid| ["--vlan", vid]).concat();
    for serving in Serving::at_each_tier_with(&vlans) {
        serving.topology.scapy("odd_frames");
        drop(serving.end());
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn two_queues_have_two_lanes_and_both_answer() {
    let topology = Topology::with_queues(2);
    let server = Server::alone(&topology);
    assert!(server.ready.ends_with(" lanes=2"), "{}", server.ready);
    // The clients' kernel spreads flows over the queues by their hash: 64 flows miss neither.
    for flow in 0..64_u8 {
        let socket = topology.socket(SERVER[usize::from(flow % 2)], 7);
        socket.send(&[flow; 40]).unwrap();
        let mut answer = [0; 64];
        let len = socket.recv(&mut answer).unwrap();
        assert_eq!(answer[..len], [flow; 40]);
    }
}

//! The measuring client of the binary, over sockets and past the kernel.

use std::fs;

use crate::server::Server;
use crate::stamp::OwnFile;
use crate::topology::{CLIENT_NIC, SERVER, Topology};

const BARELANE: &str = env!("CARGO_BIN_EXE_barelane");

/// Measures with a time-out that no answer misses on a machine that is busy with other things.
fn probe(topology: &Topology, arguments: &[&str]) -> serde_json::Value {
    let path = std::env::temp_dir().join(format!("barelane-probe-{}.json", std::process::id()));
    let file = path.to_str().unwrap();
    let ended =
        topology.client(BARELANE, &[&["probe", "--json", file, "--timeout", "5"], arguments].concat());
    assert!(ended.status.success(), "{arguments:?}: {}", ended.said);
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
#[ignore = "needs root: a network namespace"]
fn every_question_is_answered_whatever_is_asked_and_by_which_backend() {
    let topology = Topology::new();
    let _server = Server::alone(&topology);
    for target in SERVER {
        for proto in ["icmp", "udp:7"] {
            for backend in
                [&["--backend", "socket"][..], &["--spin"], &["--backend", "xdp", "--nic", CLIENT_NIC]]
            {
                for size in ["24", "64", "1400"] {
                    let ask = [target, "--proto", proto, "--count", "50", "--size", size, "--closed"];
                    let json = probe(&topology, &[&ask, backend].concat());
                    assert_eq!((&json["sent"], &json["answered"]), (&50.into(), &50.into()), "{json}");
                    assert!(json["rtt_p50_ns"].as_u64().unwrap() > 0, "{json}");
                    assert_eq!((&json["nic"], &json["driver"]), (&CLIENT_NIC.into(), &"veth".into()));
                }
            }
        }
    }
}

/// Which rates pass is the machine's business; that the result has passed at full length is the search's.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_search_gives_a_rate_that_has_passed_or_says_that_none_did() {
    let topology = Topology::new();
    let _server = Server::alone(&topology);
    let path = std::env::temp_dir().join(format!("barelane-search-{}.json", std::process::id()));
    let file = path.to_str().unwrap();
    for backend in [&["--spin"][..], &["--backend", "xdp", "--nic", CLIENT_NIC]] {
        let ask =
            ["probe", SERVER[0], "--proto", "udp:7", "--search", "--rate", "100..2000", "--seconds", "0.4"];
        let ended = topology.client(BARELANE, &[&ask, &["--json", file][..], backend].concat());
        let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((&json["schema"], &json["ended"]), (&"barelane-probe-search-1".into(), &"done".into()));
        assert_eq!((&json["nic"], &json["driver"]), (&CLIENT_NIC.into(), &"veth".into()));
        let rate = &json["rate_without_loss_per_second"];
        assert_eq!(ended.status.code(), Some(i32::from(rate.is_null())), "{}", ended.said);
        let steps = json["steps"].as_array().unwrap();
        let full = |step: &&serde_json::Value| step["wanted_per_second"] == *rate && step["seconds"] == 0.4;
        let passed = steps.iter().rfind(full).is_some_and(|step| step["verdict"] == "passed");
        assert_eq!(passed, !rate.is_null(), "{}", ended.said);
        let latency = json["latency"].as_array().unwrap();
        assert_eq!(latency.len(), if passed { 3 } else { 0 }, "{}", ended.said);
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_host_that_is_not_there_is_refused_before_anything_is_measured() {
    let topology = Topology::new();
    for target in ["10.9.0.77", "fd09::77", "nobody.invalid", "10.77.0.1"] {
        let ended = topology.client(BARELANE, &["probe", target, "--count", "1"]);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.said);
        assert!(ended.said.contains(&format!("TARGET = \"{target}\"")), "{}", ended.said);
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_parts_every_round_trip_into_the_network_and_the_server() {
    let topology = Topology::new();
    let key = OwnFile::key();
    for signed in [&[][..], &["--stamp-key", key.path()]] {
        let server = Server::alone_with(&topology, &[&["--respond", "stamp"], signed].concat());
        for backend in [&[][..], &["--stamps", "kernel"], &["--backend", "xdp", "--nic", CLIENT_NIC]] {
            for target in SERVER {
                let ask = [target, "--proto", "stamp", "--count", "200", "--rate", "2000"];
                let json = probe(&topology, &[&ask, signed, backend].concat());
                assert_eq!((&json["sent"], &json["answered"]), (&200.into(), &200.into()), "{json}");
                assert_eq!(json["is_authenticated"], !signed.is_empty());
                let figure = |key: &str| json[key].as_u64().unwrap();
                assert_eq!(figure("residence_samples"), figure("rtt_samples"));
                assert!(figure("residence_min_ns") > 0, "{json}");
                // Each network time is a round trip less its residence, so that the means part exactly, but for rounding.
                let parts = figure("network_mean_ns") + figure("residence_mean_ns");
                assert!(parts.abs_diff(figure("rtt_mean_ns")) <= 2, "{json}");
            }
        }
        drop(server);
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_sockperf_server_is_asked_by_every_backend_and_repeatedly() {
    let topology = Topology::new();
    let _server = Server::alone_with(&topology, &["--respond", "sockperf:11111"]);
    for backend in [&[][..], &["--backend", "xdp", "--nic", CLIENT_NIC]] {
        let ask = [SERVER[0], "--proto", "sockperf", "--count", "100", "--repeat", "6", "--window", "8"];
        let json = probe(&topology, &[&ask, backend].concat());
        assert_eq!((&json["sent"], &json["answered"]), (&600.into(), &600.into()), "{json}");
        assert_eq!(json["repeats"].as_array().unwrap().len(), 6);
        assert_eq!(json["intervals"]["rtt_p50_ns"]["confidence"], 0.96875);
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_question_over_the_mtu_is_refused_with_what_fits() {
    let topology = Topology::new();
    for (target, family, most) in [(SERVER[0], "IPv4", "1472"), (SERVER[1], "IPv6", "1452")] {
        let ended = topology.client(BARELANE, &["probe", target, "--proto", "udp:7", "--size", "1473"]);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.said);
        for words in ["--size = \"1473\"", family, "whose MTU is 1500", &format!("give at most {most}")] {
            assert!(ended.said.contains(words), "{}", ended.said);
        }
    }
}

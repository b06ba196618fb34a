//! Does `barelane probe` measure what testpmd answers over memif?

use serde_json::Value;

use crate::ends::{ANSWERING_MAC, ASKING_IP, ASKING_MAC, Copies, Role, Wire};

/// Asks testpmd, and demands that every answer is right.
fn probe(wire: &Wire, role: Role, proto: &str, size: &str) {
    let file = wire.file("probe.json");
    let own = ["--mac", ASKING_MAC, "--address", &format!("{ASKING_IP}/24"), "--next-hop", ANSWERING_MAC];
    let asked = ["--proto", proto, "--size", size, "--count", "20000", "--json", &file];
    let output = wire.probe(role, &[&own[..], &asked].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{proto}, {size} bytes: {}\n{said}", output.status);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((&report["sent"], &report["answered"]), (&20_000.into(), &20_000.into()), "{report}");
}

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn the_probe_asks_testpmd_that_listens() {
    for (mode, proto) in [("5tswap", "udp:7"), ("icmpecho", "icmp")] {
        for size in ["18", "1400"] {
            // One for each: DPDK 22.11 may die of a peer that leaves while it forwards.
            let wire = Wire::new();
            let _server = wire.testpmd(mode, Role::Server, Copies::Made);
            probe(&wire, Role::Client, proto, size);
        }
    }
}

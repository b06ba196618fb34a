//! Is DPDK answered in both roles, with and without copies, at every size?

use crate::ends::{Copies, Role, Wire};

const BY_LINES: [&str; 3] = ["--by-lines", "--check", "full"];

/// Barelane's role, and DPDK's copies: those of a memif server are its own, whatever is said.
const ENDS: [(Role, Copies); 3] =
    [(Role::Server, Copies::Made), (Role::Server, Copies::Spared), (Role::Client, Copies::Made)];

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_is_answered_at_every_size() {
    for (role, copies) in ENDS {
        let wire = Wire::new();
        let mut server = wire.barelane(role);
        for protocol in ["udp", "icmp"] {
            for size in ["60", "61", "127", "510", "1514"] {
                println!("Barelane {role:?}, DPDK's copies {copies:?}, {protocol}, {size} bytes");
                let options = [&BY_LINES[..], &["--protocol", protocol, "--size", size]].concat();
                wire.dpdk_ask(role.other(), copies, &options).when_ready().assert_answered();
            }
        }
        assert!(server.is_running());
        let (status, said) = server.end();
        assert_eq!(status.code(), Some(0), "{said:#?}");
    }
}

/// Sockets in no directory, as `@name`: gone with the process that listens.
#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_is_answered_over_an_abstract_socket() {
    for role in [Role::Server, Role::Client] {
        let wire = Wire::abstract_one();
        let _server = wire.barelane(role);
        wire.dpdk_ask(role.other(), Copies::Made, &BY_LINES).when_ready().assert_answered();
    }
}

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_with_another_interface_id_is_not_answered() {
    let wire = Wire::new().with_id(7);
    let _server = wire.barelane(Role::Server);
    let wire = wire.with_id(8);
    let stranger = wire.dpdk_ask(Role::Client, Copies::Made, &["--by-lines", "--patience", "1"]);
    let (status, said) = stranger.process.finish();
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("nothing is answered")), "{said:#?}");
    let wire = wire.with_id(7);
    wire.dpdk_ask(Role::Client, Copies::Made, &BY_LINES).when_ready().assert_answered();
}

/// Two lanes, of which one shares its core with the program that asks: it is answered, if not fast.
#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_is_answered_over_two_queues() {
    for role in [Role::Server, Role::Client] {
        let wire = Wire::new();
        let _server = wire.barelane_with(role, ",queues=2", &["--core", "0", "--core", "1"]);
        let options = ["--queues", "2", "--count", "2000", "--window", "64", "--timeout", "10"];
        let mut ask = wire.dpdk_ask(role.other(), Copies::Made, &options);
        crate::ends::assert_clean(&ask.figures(std::time::Duration::from_mins(1)));
    }
}

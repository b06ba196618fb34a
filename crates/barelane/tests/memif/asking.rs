//! Does the program that asks see what is wrong? testpmd has modes that answer rightly, wrongly, and not at all.

use crate::ends::{Ask, Copies, Role, Wire};
use crate::process::Process;

/// dpdk-ask and testpmd, started in the order that DPDK's memif client wants, which tries to connect once.
fn both(wire: &Wire, mode: &str, role: Role, copies: Copies, options: &[&str]) -> (Ask, Process) {
    let of = |end: Role| if end == Role::Client { copies } else { Copies::Made };
    let ask = || wire.dpdk_ask(role.other(), of(role.other()), options);
    let testpmd = || wire.testpmd(mode, role, of(role));
    if role == Role::Server {
        let testpmd = testpmd();
        return (ask(), testpmd);
    }
    (ask(), testpmd())
}

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn testpmd_answers_dpdk_ask_in_both_roles_with_copies_and_without() {
    for role in [Role::Server, Role::Client] {
        for copies in [Copies::Made, Copies::Spared] {
            for (mode, protocol) in [("5tswap", "udp"), ("icmpecho", "icmp")] {
                println!("testpmd {role:?} {mode}, copies {copies:?}");
                let wire = Wire::new();
                let options = ["--by-lines", "--check", "full", "--protocol", protocol];
                let (ask, _testpmd) = both(&wire, mode, role, copies, &options);
                ask.when_ready().assert_answered();
            }
        }
    }
}

/// Ethernet addresses swapped and the rest as it came; everything as it came.
#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn testpmd_that_answers_wrongly_is_found_out_by_dpdk_ask() {
    for mode in ["macswap", "io"] {
        let wire = Wire::new();
        let options = ["--count", "100", "--window", "10", "--timeout", "0.1"];
        let (mut ask, _testpmd) = both(&wire, mode, Role::Server, Copies::Made, &options);
        let figures = ask.process.wait_for("{\"protocol\"");
        let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
        let counts = ["sent", "answered", "lost", "corrupted"].map(|key| figures[key].as_u64().unwrap());
        assert_eq!(counts, [100, 0, 100, 100], "{mode}: {figures}");
        assert_eq!(ask.process.finish().0.code(), Some(1), "{mode}");
    }
}

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn testpmd_that_answers_nothing_is_not_waited_for_without_end_by_dpdk_ask() {
    let wire = Wire::new();
    let options = ["--count", "1", "--patience", "1"];
    let (ask, _testpmd) = both(&wire, "rxonly", Role::Server, Copies::Made, &options);
    let (status, said) = ask.process.finish();
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("nothing is answered")), "{said:#?}");
}

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_refuses_a_wrong_setting_by_name() {
    let wire = Wire::new();
    for (options, why) in [
        (&["--count", "1", "--size", "20"][..], "--size 20: write a number from 60 to 1514"),
        (&["--count", "1", "--ip", "10.9.0"], "--ip 10.9.0: write an IPv4 address"),
        (&["--count", "1", "--seconds", "1"], "--count, --seconds or --by-lines"),
    ] {
        let (status, said) = wire.start_dpdk_ask(Role::Server, Copies::Made, options).finish();
        assert_eq!(status.code(), Some(2), "{said:#?}");
        assert!(said.iter().any(|line| line.contains(why)), "{said:#?}");
    }
}

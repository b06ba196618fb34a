//! Are questions by the million answered without a loss, and counted by the server?

use std::env;
use std::time::Duration;

use crate::ends::{Copies, Role, Wire, assert_clean};

/// Questions of each setup, where `BARELANE_QUESTIONS` does not say otherwise: a second of them on busy cores.
const QUESTIONS: &str = "1000000";
/// So many questions take no longer, on the busiest cores: 250 million at less than half a million a second.
const MANY_MAX: Duration = Duration::from_mins(14);

/// What the server has counted by this name of THE table.
fn counted(said: &[String], name: &str) -> Option<u64> {
    let mut rows = said.iter().map(|line| line.split_whitespace());
    rows.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok())?)
}

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_gets_an_answer_to_every_one_of_many_questions() {
    let count = env::var("BARELANE_QUESTIONS").unwrap_or_else(|_| QUESTIONS.to_owned());
    for (role, copies, protocol, size) in [
        (Role::Server, Copies::Made, "udp", "60"),
        (Role::Server, Copies::Spared, "icmp", "60"),
        (Role::Client, Copies::Made, "udp", "200"),
        (Role::Client, Copies::Made, "icmp", "60"),
    ] {
        let wire = Wire::new();
        let server = wire.barelane(role);
        let asked =
            ["--count", &count, "--window", "256", "--protocol", protocol, "--size", size, "--check", "full"];
        let mut ask = wire.dpdk_ask(role.other(), copies, &asked).when_ready();
        let figures = ask.figures(MANY_MAX);
        println!("Barelane {role:?}, DPDK's copies {copies:?}: {figures}");
        assert_clean(&figures);
        assert_eq!(figures["sent"].to_string(), count);
        let (status, said) = server.end();
        assert_eq!(status.code(), Some(0), "{said:#?}");
        // Those of before the count began are beside it.
        assert!(counted(&said, "rx") >= count.parse().ok(), "{said:#?}");
    }
}

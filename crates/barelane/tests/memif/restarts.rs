//! Is DPDK answered whoever comes first, and whoever is killed?

use crate::ends::{Copies, Role, Wire};

/// Starts DPDK's port again while its link is down: its memif client connects only when it is started.
const RETURNING: [&str; 4] = ["--by-lines", "--reopen", "--timeout", "0.2"];
/// How often each end is killed.
const KILLS: usize = 3;

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_may_be_there_before_barelane() {
    for (role, copies) in
        [(Role::Server, Copies::Made), (Role::Server, Copies::Spared), (Role::Client, Copies::Made)]
    {
        println!("Barelane {role:?}, DPDK's copies {copies:?}");
        let wire = Wire::new();
        let ask = wire.dpdk_ask(role.other(), copies, &RETURNING);
        let _server = wire.barelane(role);
        ask.when_ready().assert_answered();
    }
}

#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_may_be_killed_and_its_successor_is_answered() {
    for (role, copies) in
        [(Role::Server, Copies::Made), (Role::Server, Copies::Spared), (Role::Client, Copies::Made)]
    {
        let wire = Wire::new();
        let mut server = wire.barelane(role);
        for kill in 0..KILLS {
            println!("Barelane {role:?}, DPDK's copies {copies:?}, kill {kill}");
            let mut ask = wire.dpdk_ask(role.other(), copies, &RETURNING).when_ready();
            ask.assert_answered();
            // Amidst questions, with half a window in either ring.
            ask.process.tell("256 60");
            ask.process.kill();
        }
        wire.dpdk_ask(role.other(), copies, &RETURNING).when_ready().assert_answered();
        assert!(server.is_running());
    }
}

/// Barelane is killed while the one that asks is at rest: DPDK 22.11 unmaps the memory of a peer that has gone under the
/// hands of the thread that polls it, and ends with SIGSEGV where that thread is just then without its core. testpmd's end
/// does the same to it. And it makes copies: without them, DPDK closes the file of its own memory when a peer goes, and hands
/// the next one whatever has got that number since.
#[test]
#[ignore = "needs DPDK, which `cargo xtask test` brings"]
fn dpdk_ask_is_answered_again_when_barelane_was_killed() {
    for role in [Role::Server, Role::Client] {
        let wire = Wire::new();
        let mut server = wire.barelane(role);
        let mut ask = wire.dpdk_ask(role.other(), Copies::Made, &RETURNING).when_ready();
        for kill in 0..KILLS {
            println!("Barelane {role:?}, kill {kill}");
            ask.assert_answered();
            server.kill();
            server = wire.barelane(role);
            ask.run_until_clean();
        }
        assert!(ask.process.is_running());
    }
}

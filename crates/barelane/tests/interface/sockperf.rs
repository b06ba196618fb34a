//! sockperf 3.7, whose client measures a server that it thinks is its own: not a message may be lost, doubled, or come
//! out of its turn.

use std::collections::HashMap;

use crate::server::Server;
use crate::topology::{Ended, SERVER, Topology};

const PORT: &str = "11111";

fn serve(topology: &Topology) -> Server {
    Server::alone_with(topology, &["--respond", "sockperf:11111"])
}

/// Runs the client for a second, in one of its modes.
fn sockperf(topology: &Topology, mode: &str, options: &[&str]) -> Ended {
    let common = [mode, "--ip", SERVER[0], "--port", PORT, "--time", "1"];
    topology.client("/usr/bin/sockperf", &[&common, options].concat())
}

/// That it came to its end, and how many messages it sent and had answered. It tells of the part that it measures: the
/// first and the last messages are sent and answered, and not counted.
fn exchanged(ended: &Ended) -> (u64, u64) {
    let Ended { status, said } = ended;
    assert!(status.success(), "{status}: {said}");
    let line = said.lines().find(|line| line.contains("# dropped messages")).expect(said);
    for none in ["dropped messages = 0;", "duplicated messages = 0;", "out-of-order messages = 0"] {
        assert!(line.contains(none), "{none}: {said}");
    }
    let total = said.lines().find(|line| line.contains("[Total Run]")).expect(said);
    let number = |name: &str| {
        let (_, rest) = total.split_once(name).expect(total);
        rest.split(';').next().unwrap().trim().parse().expect(total)
    };
    (number("SentMessages="), number("ReceivedMessages="))
}

/// That the server answered what the client had answered, and found nothing wrong. This client sends no messages that only
/// warm up, over UDP.
fn assert_taken(counts: &HashMap<String, u64>, answered: u64) {
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    assert!(of("replied_sockperf") >= answered, "{answered}: {counts:?}");
    for none in
        ["sockperf_malformed", "sockperf_not_client", "sockperf_warm_up", "udp_checksum", "tx_ring_full"]
    {
        assert_eq!(of(none), 0, "{none}: {counts:?}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn sockperf_ping_pong_loses_and_doubles_nothing() {
    let topology = Topology::new();
    for size in ["14", "64", "1400"] {
        let server = serve(&topology);
        let (sent, received) = exchanged(&sockperf(&topology, "ping-pong", &["--msg-size", size]));
        assert!(received > 100, "{received} messages of {size} bytes in a second");
        assert!(sent - received <= 1, "{sent} sent, {received} received: the last may be under way");
        let counts = server.counts();
        assert_taken(&counts, received);
        assert_eq!(
            counts.get("sockperf_silent"),
            None,
            "in ping-pong every message asks for a pong: {counts:?}"
        );
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn sockperf_under_load_loses_and_doubles_nothing_and_only_pongs_that_it_wants_come() {
    let topology = Topology::new();
    for (every, mps) in [("100", "10000"), ("1", "2000")] {
        let server = serve(&topology);
        let options = ["--mps", mps, "--reply-every", every, "--msg-size", "64"];
        let (sent, received) = exchanged(&sockperf(&topology, "under-load", &options));
        assert!(received > 50, "{received} of {sent} answered");
        let counts = server.counts();
        assert_taken(&counts, received);
        let silent = counts.get("sockperf_silent").copied().unwrap_or(0);
        let answered = counts["replied_sockperf"];
        let every: u64 = every.parse().unwrap();
        let asked = (silent + answered) / every;
        assert!(asked.abs_diff(answered) <= 1, "one of {every} asks for a pong: {counts:?}");
    }
}

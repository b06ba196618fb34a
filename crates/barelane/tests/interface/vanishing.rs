//! Does a server outlive its interface, and answer again when one of that name is there, with counts that go on?
//!
//! ```text
//!   asked ── removed ── "gone" ── laid again, with another Ethernet address ── "back" ── asked ── removed ── …
//! ```

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use barelane::side_channel::{Reader, Snapshot};
use serde_json::Value;

use crate::admin::{get, hosts};
use crate::card::{by_segment, settled};
use crate::reload::{File, ONE, hang_up};
use crate::server::Server;
use crate::side_channel::{ask, asked_for_health, replied_udp, segment_of, when};
use crate::top::top;
use crate::topology::{CLIENT_NIC, SERVER, SERVER_NIC, Topology, ip};

/// How often the interface is removed; `cargo xtask soak` asks for more by the variable `BARELANE_REMOVALS`.
const REMOVAL_COUNT: u64 = 20;
/// How long until what has happened is noticed and done, on two busy cores: a look, an address check of a second, a few looks
/// at mailboxes, and the pause after a try that failed.
const SOON: Duration = Duration::from_secs(30);
/// How long an answer is waited for before the next question is asked. Those that come later are counted all the same.
const ANSWER_MAX: Duration = Duration::from_millis(100);

const GONE: &str = "barelane: warning: the interface lane0 is gone";
const BACK: &str = "barelane: the interface lane0 is back";
const NOT_YET: &str = "barelane: warning: the interface is there, and cannot be served yet";

fn remove(topology: &Topology, server: &Server) {
    ip(&topology.server, &["link", "delete", SERVER_NIC]);
    server.line(GONE, SOON);
}

/// Lays the cable again. In its rounds the server's end has one Ethernet address after the other.
fn lay_again(topology: &Topology, server: &Server, round: u8) {
    topology.lay(1, [2, 0, 0, 1, 9, round]);
    server.line(BACK, SOON);
}

/// Asks health until it says this.
fn health_when(topology: &Topology, path: &str, wanted: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let said = get(topology, path, "");
        if said.contains(wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "{path} never says {wanted:?}: {said}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What `barelane top` says of a server's link, as a document and in its title.
fn link_of(server: &Server) -> (String, String) {
    let segment = segment_of(server);
    let segment = segment.to_str().unwrap();
    let document: Value =
        serde_json::from_str(&top(&["--json", "--interval", "0.3", "--segment", segment]).said).unwrap();
    let title = top(&["--once", "--interval", "0.3", "--segment", segment]).said;
    (document["servers"][0]["link"].as_str().unwrap().to_owned(), title.lines().next().unwrap().to_owned())
}

/// How many packets the routes have taken, at this tier.
fn taken(snapshot: &Snapshot, tier: &str) -> u64 {
    snapshot.of_kind("route").filter_map(|route| route.number(&format!("{tier}_taken"))).sum()
}

#[test]
#[ignore = "needs root: a network namespace"]
fn an_interface_that_is_removed_and_made_anew_is_served_again_and_counts_go_on() {
    const COUNT: u64 = 500;
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    ask(&topology, COUNT);
    when(&reader, |snapshot| replied_udp(snapshot) == COUNT);
    remove(&topology, &server);
    health_when(&topology, "/readyz", "bad  link: link gone: ");
    let (link, title) = link_of(&server);
    assert!(link == "gone" && title.contains("link gone"), "{link}: {title}");
    assert_eq!(replied_udp(&reader.read().unwrap()), COUNT);
    lay_again(&topology, &server, 1);
    ask(&topology, COUNT);
    when(&reader, |snapshot| replied_udp(snapshot) == 2 * COUNT && taken(snapshot, "lane") == 2 * COUNT);
    let ping = topology.client("ping", &["-n", "-q", "-c", "5", "-i", "0.05", SERVER[1]]);
    assert!(ping.said.contains("5 received"), "solicitations have to come in: {}", ping.said);
    health_when(&topology, "/readyz", "good link: lane0 is up");
    health_when(&topology, "/healthz", "good program-attached: ");
    assert_eq!(link_of(&server).0, "up");
    // Of six questions that health asks in a round, over each family, two are UDP.
    let by_health = |snapshot: &Snapshot| asked_for_health(snapshot) / 3;
    let last = when(&reader, |snapshot| {
        by_health(snapshot) > 0 && replied_udp(snapshot) == 2 * COUNT + by_health(snapshot)
    });
    assert_eq!(server.counts()["replied_udp"], replied_udp(&last));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn the_driver_tier_answers_again_too_and_counts_go_on() {
    const COUNT: u64 = 200;
    let topology = Topology::new();
    let carried = topology.carry_what_drivers_answer();
    let server = Server::alone_with(&topology, &["--tier", "driver"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    ask(&topology, COUNT);
    when(&reader, |snapshot| taken(snapshot, "driver") == COUNT);
    remove(&topology, &server);
    drop(carried);
    lay_again(&topology, &server, 1);
    let _carried = topology.carry_what_drivers_answer();
    ask(&topology, COUNT);
    when(&reader, |snapshot| taken(snapshot, "driver") == 2 * COUNT);
    assert_eq!(server.counts()["driver_replied_udp"], 2 * COUNT);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_lane_whose_questions_are_stamped_has_stamps_of_the_next_interface_too_whether_it_sleeps_or_not() {
    const COUNT: u64 = 100;
    for idle in ["spin", "interrupt"] {
        let topology = Topology::new();
        let server =
            Server::alone_with(&topology, &["--tier", "lane", "--arrival-stamps", "driver", "--idle", idle]);
        let reader = Reader::open(&segment_of(&server)).unwrap();
        let has_waits = |count: u64| {
            move |snapshot: &Snapshot| {
                let lane = snapshot.of_kind("lane").next().unwrap();
                replied_udp(snapshot) == count && lane.histogram("queueing").unwrap().count() >= count
            }
        };
        ask(&topology, COUNT);
        when(&reader, has_waits(COUNT));
        remove(&topology, &server);
        lay_again(&topology, &server, 1);
        ask(&topology, COUNT);
        when(&reader, has_waits(2 * COUNT));
        assert_eq!(server.counts()["replied_udp"], 2 * COUNT, "{idle}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_the_card_counts_stays_while_there_is_none_and_is_that_of_the_next_one_then() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    ask(&topology, 100);
    let is_read = |snapshot: &Snapshot| by_segment(snapshot, "link")["rx_packets"] >= 100;
    when(&reader, is_read);
    remove(&topology, &server);
    // Longer than until the card would be asked again.
    thread::sleep(Duration::from_secs(2));
    assert!(is_read(&reader.read().unwrap()));
    lay_again(&topology, &server, 1);
    let (counted, snapshot) = settled(&topology, &reader);
    assert_eq!(by_segment(&snapshot, "nic"), counted);
    let read = |snapshot: &Snapshot| ["link", "link_at_start"].map(|kind| by_segment(snapshot, kind)["read"]);
    // What it counts now is what it counted at its start, until it is asked once more.
    when(&reader, |snapshot| matches!(read(snapshot), [now, at_start] if now > at_start));
    assert!(read(&snapshot)[1] > reader.began_unix_ns, "{:?}", read(&snapshot));
    let (status, said) = server.end("TERM");
    assert!(status.code() == Some(0) && !said.iter().any(|line| line.contains("own counters")), "{said:#?}");
}

/// What a client has asked, and which answers it has got.
#[derive(Debug, Default)]
struct Asked {
    count: u64,
    answered: BTreeSet<u64>,
}

/// Asks one question after the other, whatever happens to the cable, until told to stop.
fn ask_on(socket: &UdpSocket, answered: &AtomicU64, stop: &AtomicBool) -> Asked {
    socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    let (mut asked, mut answer) = (Asked::default(), [0; 64]);
    while !stop.load(Ordering::Relaxed) {
        // Without a cable there is no way: that question was not asked.
        if socket.send(&asked.count.to_be_bytes()).is_err() {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        asked.count += 1;
        // Until the answer to this very question: what came late must not leave one more under way for good.
        while let Ok(len) = socket.recv(&mut answer) {
            let number = u64::from_be_bytes(answer[..len].try_into().unwrap());
            assert!(
                number < asked.count && asked.answered.insert(number),
                "an answer that was not asked for"
            );
            answered.fetch_add(1, Ordering::Relaxed);
            if number + 1 == asked.count {
                break;
            }
        }
    }
    asked
}

#[test]
#[ignore = "needs root: a network namespace"]
fn an_interface_that_goes_and_comes_under_load_loses_one_answer_each_time_at_most() {
    let removals = std::env::var("BARELANE_REMOVALS").map_or(REMOVAL_COUNT, |count| count.parse().unwrap());
    let (topology, file) = (Topology::new(), File::new("vanishing"));
    file.set(&format!(
        "[serve]\naddresses = [{ONE}]\nrespond = [\"udp-echo:7\"]\ntier = \"lane\"\naddress_check_ms = 0\n"
    ));
    let server = Server::start(&topology, &["--config", file.path()]);
    let socket = topology.socket(SERVER[0], 7);
    let (answered, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let asked = thread::scope(|scope| {
        let asking = scope.spawn(|| ask_on(&socket, &answered, &stop));
        for round in 0..=removals {
            let (before, deadline) = (answered.load(Ordering::Relaxed), Instant::now() + SOON);
            while answered.load(Ordering::Relaxed) < before + 20 && !asking.is_finished() {
                assert!(Instant::now() < deadline, "no answer after removal {round}: {:?}", server.said());
                thread::yield_now();
            }
            if round < removals {
                remove(&topology, &server);
                lay_again(&topology, &server, round.to_be_bytes()[7]);
            }
        }
        stop.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    let counts = server.counts();
    let (replied, got) = (counts["replied_udp"], asked.answered.len() as u64);
    let unsent = counts.get("queue_0_tx_lost").copied().unwrap_or_default();
    println!(
        "{removals} removals: {} asked, {replied} answered, {got} answers came, {unsent} went with an interface",
        asked.count
    );
    // One question is under way at a time; whether its answer had left when the cable went, nobody can know.
    assert!((got..=got + removals + 1).contains(&replied) && unsent <= removals, "{counts:?}");
    assert!(replied <= asked.count, "{counts:?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn an_interface_that_comes_back_down_is_served_when_it_is_up_and_the_reason_is_said_once() {
    let topology = Topology::new();
    let server = Server::start(&topology, &["--respond", "icmp-echo"]);
    remove(&topology, &server);
    ip(&topology.server, &["link", "add", SERVER_NIC, "type", "veth", "peer", "name", "other0"]);
    let said = server.line(NOT_YET, SOON);
    assert!(said.contains("the interface is down"), "{said}");
    ip(&topology.server, &["address", "add", "10.9.0.5/24", "dev", SERVER_NIC]);
    for end in ["other0", SERVER_NIC] {
        ip(&topology.server, &["link", "set", end, "up"]);
    }
    server.line(BACK, SOON);
    let (status, said) = server.end("TERM");
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn an_address_that_another_host_has_taken_meanwhile_stays_his_until_he_gives_it_up() {
    let topology = Topology::new();
    let server = Server::alone(&topology);
    remove(&topology, &server);
    topology.lay(1, [2, 0, 0, 1, 9, 1]);
    let taken = format!("{}/32", SERVER[0]);
    ip(&topology.clients, &["address", "add", &taken, "dev", CLIENT_NIC]);
    let said = server.line(NOT_YET, SOON);
    assert!(said.contains("has this address"), "{said}");
    ip(&topology.clients, &["address", "delete", &taken, "dev", CLIENT_NIC]);
    server.line(BACK, SOON);
    ask(&topology, 20);
    let (status, said) = server.end("TERM");
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_server_without_its_interface_refuses_a_reload_and_stops_when_it_is_told() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    ask(&topology, 10);
    remove(&topology, &server);
    hang_up(&server);
    let said = server.line("barelane: error: reload refused", SOON);
    assert!(said.contains("the interface lane0 is gone"), "{said}");
    assert_eq!(server.counts()["replied_udp"], 10, "and ends with 0");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_link_that_goes_down_and_comes_up_is_said_and_answers_again() {
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    ask(&topology, 20);
    for (host, nic) in [(&topology.clients, CLIENT_NIC), (&topology.server, SERVER_NIC)] {
        ip(host, &["link", "set", nic, "down"]);
        server.line("barelane: lane0 is down", SOON);
        health_when(&topology, "/readyz", "bad  link: link down: ");
        ip(host, &["link", "set", nic, "up"]);
        server.line("barelane: lane0 is up again", SOON);
        health_when(&topology, "/readyz", "good link: lane0 is up");
        ask(&topology, 20);
    }
    assert_eq!(server.counts()["replied_udp"], 60);
}

//! Are frames that the card lost before any lane told as the card counts them, to whoever reads?

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use barelane::side_channel::{Reader, Snapshot};
use serde_json::Value;

use crate::server::Server;
use crate::side_channel::{ask, segment_of, wait_until, when};
use crate::top::top;
use crate::topology::{SERVER, SERVER_NIC, Topology};

/// More than a lane's rings hold.
const FLOOD: u64 = 20_000;

/// How long what does not change any more may take to be told everywhere: the card is asked once a second.
const SETTLED_MAX: Duration = Duration::from_secs(20);

/// What the distribution's ethtool says that the driver has counted.
fn by_ethtool(topology: &Topology) -> BTreeMap<String, u64> {
    let run = || Command::new("ethtool").args(["-S", SERVER_NIC]).output();
    let output = topology.server.run(run).unwrap().expect("`cargo xtask test` installs it");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.lines().skip(1).filter_map(|line| line.trim().rsplit_once(": "));
    pairs.map(|(name, number)| (name.to_owned(), number.parse().unwrap())).collect()
}

/// What a segment says of it.
pub(crate) fn by_segment(snapshot: &Snapshot, kind: &str) -> BTreeMap<String, u64> {
    let area = snapshot.of_kind(kind).next().unwrap();
    area.fields.iter().map(|field| (field.name.clone(), area.number(&field.name).unwrap())).collect()
}

/// Fills the rings of a server that is stopped, and lets it go on.
pub(crate) fn flood_while_stopped(topology: &Topology, server: &Server) {
    let socket = topology.socket(SERVER[0], 7);
    let (lane, process) = (server.lanes()[0], server.id().to_string());
    let signal =
        |name| assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    signal("STOP");
    wait_until(lane, "T");
    for number in 0..FLOOD {
        socket.send(&[0xa5; 64]).unwrap_or_else(|error| panic!("question {number}: {error}"));
    }
    signal("CONT");
    wait_until(lane, "R");
}

/// Both at an instant between which nothing changed.
pub(crate) fn settled(topology: &Topology, reader: &Reader) -> (BTreeMap<String, u64>, Snapshot) {
    let deadline = Instant::now() + SETTLED_MAX;
    loop {
        let before = by_ethtool(topology);
        let asked = |snapshot: &Snapshot| by_segment(snapshot, "link")["read"];
        let last = asked(&reader.read().unwrap());
        // The first look that began later.
        let snapshot = when(reader, |snapshot| asked(snapshot) > last);
        if by_ethtool(topology) == before {
            return (before, snapshot);
        }
        assert!(Instant::now() < deadline, "{before:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_a_veth_drops_stands_in_its_own_counter_and_ethtool_says_the_same() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    ask(&topology, 10);
    let (before, snapshot) = settled(&topology, &reader);
    assert_eq!(by_segment(&snapshot, "nic"), before);
    assert_eq!(before["rx_queue_0_drops"], 0, "{before:?}");

    flood_while_stopped(&topology, &server);
    let (counted, snapshot) = settled(&topology, &reader);
    let [nic, link, start] = ["nic", "link", "nic_at_start"].map(|kind| by_segment(&snapshot, kind));
    assert_eq!(nic, counted);
    let dropped = nic["rx_queue_0_drops"];
    assert!(dropped > 0 && dropped < FLOOD, "{nic:?}");
    assert_eq!((link["rx_dropped"], start["rx_queue_0_drops"]), (dropped, 0));
    // What was not dropped has come to the lane, frame by frame.
    let redirected = nic["rx_queue_0_xdp_redirect"];
    let lane = snapshot.of_kind("lane").next().unwrap();
    assert_eq!(lane.number("rx"), Some(redirected), "{nic:?}");
    // Beside the questions, the clients' kernel asks who has the address, once or again.
    let questions = 10 + FLOOD;
    assert!((questions..questions + 5).contains(&(redirected + dropped)), "{nic:?}");
    assert_eq!(snapshot.of_kind("queue").next().unwrap().number("rx_dropped"), Some(dropped));

    let segment = reader.path().to_str().unwrap().to_owned();
    let ended = top(&["--json", "--interval", "0.2", "--segment", &segment]);
    let document: Value = serde_json::from_str(&ended.said).unwrap();
    let card = &document["servers"][0]["card"];
    let numbers = card["driver"].as_array().unwrap();
    let drops = numbers.iter().find(|number| number["name"] == "rx_queue_0_drops").unwrap();
    assert_eq!((drops["since_start"].as_u64(), drops["queue"].as_u64()), (Some(dropped), Some(0)));
    assert_eq!((drops["is_loss"].as_bool(), card["left_out"].as_u64()), (Some(true), Some(0)));
    let table = top(&["--once", "--segment", &segment]).said;
    let is_shown = |words: [&str; 3]| {
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.any(|line| line.starts_with(&words))
    };
    assert!(
        is_shown(["0", "driver", "rx_queue_0_drops"]) && is_shown(["-", "link", "rx_dropped"]),
        "{table}"
    );
}

/// What is told is told by the driver's names of now, and a server goes on where these change.
#[test]
#[ignore = "needs root: a network namespace"]
fn queues_that_go_under_a_server_leave_their_last_numbers_and_ethtool_agrees_on_the_others() {
    let topology = Topology::with_queues(2);
    // A queue with a lane is not taken away by the kernel.
    let server = Server::alone_with(&topology, &["--tier", "lane", "--queue", "0"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    let (before, _) = settled(&topology, &reader);
    let shrink = || Command::new("ethtool").args(["-L", SERVER_NIC, "tx", "1"]).output().unwrap();
    let output = topology.server.run(shrink).unwrap();
    assert!(output.status.success(), "{output:?}");
    let (after, snapshot) = settled(&topology, &reader);
    let told = by_segment(&snapshot, "nic");
    assert!(after.len() < before.len(), "{after:?}");
    assert_eq!(told.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert!(after.iter().all(|(name, number)| told[name] == *number), "{told:?} {after:?}");
    let (status, said) = server.end("TERM");
    assert!(status.code() == Some(0) && !said.iter().any(|line| line.contains("own counters")), "{said:#?}");
}

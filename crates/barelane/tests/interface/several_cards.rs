//! Two cards in one server: does each answer and count its own alone, and does nothing that happens to the one touch the other?
//!
//! ```text
//!   clients                                       server
//!   client0 10.9.0.2 ═══ veth ═══ lane0 10.9.0.1 ─┐
//!                                                 ├─ one process, a lane each
//!   client1 10.10.0.2 ══ veth ═══ lane1 10.10.0.1 ┘
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use barelane::side_channel::{self, Reader, Snapshot};
use host::links;
use host::veth::{End, VethPair, create};
use serde_json::Value;

use crate::admin::{Prometheus, body, check_by_promtool, get, hosts, page_when, sample};
use crate::leftovers::{Traces, assert_gone, objects_of};
use crate::reload::{File, RELOAD_MAX, hang_up};
use crate::server::Server;
use crate::side_channel::{replied_udp, when};
use crate::top::top;
use crate::topology::{CLIENT_NIC, SERVER, SERVER_NIC, Topology, finish, ip};

const NICS: [&str; 2] = [SERVER_NIC, "lane1"];
/// What only Barelane has, by card.
const ADDRESSES: [&str; 2] = [SERVER[0], "10.10.0.1"];
const CLIENTS: [&str; 2] = ["10.9.0.2", "10.10.0.2"];
/// How long what happens to an interface may take to be said, on two busy cores.
const SOON: Duration = Duration::from_secs(30);
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Two hosts and two cables.
pub(crate) fn cables() -> Topology {
    let topology = hosts();
    let addresses = ["10.10.0.2", "10.10.0.3"].map(|address| [(address.parse().unwrap(), 24)]);
    let a = End {
        namespace: Some(&topology.clients),
        name: "client1",
        mac: [2, 0, 0, 0, 10, 2],
        rx_queues: 1,
        tx_queues: 1,
        addresses: &addresses[0],
    };
    let server = Some(&topology.server);
    let b = End { namespace: server, name: NICS[1], mac: [2, 0, 0, 0, 10, 1], addresses: &addresses[1], ..a };
    create(&VethPair { a, b, mtu: 1500 }).unwrap();
    topology
}

/// A file that serves both, with these ports.
pub(crate) fn file(test: &str, ports: &[u16]) -> File {
    let file = File::new(test);
    write(&file, ADDRESSES, ports);
    file
}

fn write(file: &File, addresses: [&str; 2], ports: &[u16]) {
    let card = |(nic, address): (&str, &str)| {
        format!("[[nic]]\ninterface = \"{nic}\"\naddresses = [\"{address}/24\"]\n")
    };
    let cards: String = NICS.into_iter().zip(addresses).map(card).collect();
    let ports: Vec<String> = ports.iter().map(|port| format!("\"udp-echo:{port}\"")).collect();
    let serve = format!("respond = [{}]\ntier = \"lane\"\naddress_check_ms = 100\n", ports.join(", "));
    file.set(&format!("{cards}[serve]\n{serve}"));
}

/// A server on both cards, ready on both.
pub(crate) fn serve(topology: &Topology, file: &File) -> Server {
    let server = Server::of(topology, &["serve", "--config", file.path()]);
    for nic in NICS {
        let ready = server.line("barelane: ready", SOON);
        assert!(
            ready.starts_with(&format!("barelane: ready nic={nic} mode=native zero-copy=no lanes=1")),
            "{ready}"
        );
    }
    server
}

pub(crate) fn socket(topology: &Topology, card: usize, port: u16) -> UdpSocket {
    let own: SocketAddr = format!("{}:0", CLIENTS[card]).parse().unwrap();
    let socket = topology.clients.run(|| UdpSocket::bind(own)).unwrap().unwrap();
    socket.connect(format!("{}:{port}", ADDRESSES[card])).unwrap();
    socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    socket
}

/// Asks so often, and demands that each answer comes.
pub(crate) fn ask(socket: &UdpSocket, count: u64) {
    let mut answer = [0; 64];
    for number in 0..count {
        socket.send(&number.to_be_bytes()).unwrap();
        let len = socket.recv(&mut answer).unwrap_or_else(|error| panic!("question {number}: {error}"));
        assert_eq!(answer[..len], number.to_be_bytes());
    }
}

/// Tells who asks to stop when it is dropped: a test that fails in between ends too.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until a path's answer has all these words: what is looked at is published some moments after it is told.
fn is_said_soon(topology: &Topology, path: &str, words: &[&str]) {
    let begun = Instant::now();
    loop {
        let said = get(topology, path, "");
        if words.iter().all(|word| said.contains(word)) {
            return;
        }
        assert!(begun.elapsed() < SOON, "{path} does not say {words:?}: {said}");
    }
}

/// Asks until told to stop, and demands that each answer comes. Gives how often.
fn ask_on(socket: &UdpSocket, asked: &AtomicU64, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        ask(socket, 1);
        asked.fetch_add(1, Ordering::Relaxed);
    }
}

/// The segments of a server, by card.
fn segments_of(server: &Server) -> BTreeMap<String, PathBuf> {
    let nic_of = |path: PathBuf| {
        let reader = Reader::open(&path).ok().filter(|reader| reader.process == u64::from(server.id()))?;
        Some((reader.read().ok()?.of_kind("server").next()?.text("nic")?, path))
    };
    side_channel::running().0.into_iter().filter_map(nic_of).collect()
}

fn readers(server: &Server) -> [Reader; 2] {
    let segments = segments_of(server);
    assert_eq!(segments.len(), 2, "{segments:?}");
    NICS.map(|nic| Reader::open(&segments[nic]).unwrap())
}

fn has_program(topology: &Topology, nic: &str) -> bool {
    topology.server.run(|| links::link(nic)).unwrap().unwrap().program.is_some()
}

/// What was counted on each card, as `serve` says it at its end, which must be a good one.
fn counts(server: Server) -> [BTreeMap<String, u64>; 2] {
    let (status, said) = server.end("TERM");
    assert_eq!(status.code(), Some(0), "{said:#?}");
    NICS.map(|nic| {
        let begin = said.iter().position(|line| line.starts_with(&format!("barelane: {nic}: stopped: ")));
        let lines = said[begin.unwrap() + 1..].iter().take_while(|line| !line.starts_with("barelane: "));
        let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.map(|words| (words[0].to_owned(), words[1].parse().unwrap())).collect()
    })
}

#[test]
#[ignore = "needs root: two network namespaces"]
fn both_cards_are_answered_at_once_and_each_counts_its_own_alone() {
    const COUNTS: [u64; 2] = [1_500, 900];
    let topology = cables();
    let server = serve(&topology, &file("several", &[7]));
    assert_eq!(server.lanes().len(), 2);
    let readers = readers(&server);
    thread::scope(|scope| {
        for (card, count) in COUNTS.into_iter().enumerate() {
            let socket = socket(&topology, card, 7);
            scope.spawn(move || ask(&socket, count));
        }
    });
    for (reader, count) in readers.iter().zip(COUNTS) {
        when(reader, |snapshot| replied_udp(snapshot) == count);
    }
    for counts in counts(server).iter().zip(COUNTS) {
        assert_eq!(counts.0["replied_udp"], counts.1, "{counts:?}");
    }
    assert!(NICS.iter().all(|nic| !has_program(&topology, nic)));
    assert!(readers.iter().all(|reader| !reader.path().exists()));
}

#[test]
#[ignore = "needs root: two network namespaces"]
fn metrics_health_top_and_captures_tell_the_cards_apart() {
    const COUNTS: [u64; 2] = [300, 200];
    let topology = cables();
    let server = serve(&topology, &file("several-shown", &[7]));
    for (card, count) in COUNTS.into_iter().enumerate() {
        ask(&socket(&topology, card, 7), count);
    }
    let replied = |nic: &str| {
        format!(
            "barelane_lane_frames_total{{nic=\"{nic}\",lane=\"0\",fate=\"replied\",counter=\"replied_udp\",stage=\"respond\"}}"
        )
    };
    page_when(&topology, &replied(NICS[0]), 300.0);
    let page = page_when(&topology, &replied(NICS[1]), 200.0);
    assert!((sample(&page, &replied(NICS[0])) - 300.0).abs() < f64::EPSILON, "{page}");
    check_by_promtool(&page);
    for (card, nic) in NICS.into_iter().enumerate() {
        let figures: Value =
            serde_json::from_str(body(&get(&topology, &format!("/page.json?card={card}"), ""))).unwrap();
        assert_eq!(
            (figures["server"]["nic"].as_str(), figures["cards"].as_array().unwrap().len()),
            (Some(nic), 2)
        );
        let ended = top(&["--json", "--interval", "0.3", "--nic", nic]);
        let document: Value = serde_json::from_str(&ended.said).unwrap();
        let servers = document["servers"].as_array().unwrap();
        let udp =
            servers[0]["answers"].as_array().unwrap().iter().find(|answer| answer["name"] == "udp").unwrap();
        assert_eq!(
            (servers.len(), servers[0]["nic"].as_str(), udp["lane_count"].as_u64()),
            (1, Some(nic), Some(COUNTS[card]))
        );
    }
    let ended = top(&["--once", "--nic", "nowhere0"]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.said);
    assert!(
        ended.said.contains("--nic = \"nowhere0\": no server runs on such an interface; name one of these: "),
        "{}",
        ended.said
    );
    assert!(NICS.iter().all(|nic| ended.said.contains(nic)), "{}", ended.said);
    captured_of_one(&topology);
    let prometheus = Prometheus::start(&topology);
    for (nic, count) in NICS.into_iter().zip([300.0, 205.0]) {
        let query = format!("sum(barelane_lane_frames_total{{nic=\"{nic}\",counter=\"replied_udp\"}})");
        let value = prometheus.value(&topology, &query, |_| true);
        assert!((value - count).abs() < f64::EPSILON, "{nic}: {value}");
    }
    // Last, since health's questions are counted as everybody's.
    for path in ["/readyz", "/healthz"] {
        let said = get(&topology, path, "");
        for nic in NICS {
            assert!(body(&said).contains(&format!("good lanes-turn ({nic}): all 1 of them")), "{said}");
        }
    }
    drop(server);
}

/// Captures what one card sees, while both are asked.
fn captured_of_one(topology: &Topology) {
    let file = std::env::temp_dir().join(format!("barelane-several-{}.pcapng", std::process::id()));
    let capture = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
        command.args(["capture", "--filter", "udp", "--count", "5", "--write"]).arg(&file).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ended = finish(capture(&[]));
    assert!(ended.status.code() == Some(2) && ended.said.contains("lane1"), "{}", ended.said);
    let mut capturing = capture(&[NICS[1]]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (other, stop) = (socket(topology, 0, 8), &stop);
        // To a port that is closed: what the other card answers must not be more than was asked there.
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _refused = other.send(b"not of this card");
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut line = String::new();
        let mut errors = std::io::BufReader::new(capturing.stderr.take().unwrap());
        std::io::BufRead::read_line(&mut errors, &mut line).unwrap();
        assert!(line.starts_with("barelane: capturing on lane1"), "{line}");
        ask(&socket(topology, 1, 7), 5);
        assert!(capturing.wait().unwrap().success());
        stop.store(true, Ordering::Relaxed);
    });
    let captured = fs::read(&file).unwrap();
    let has = |bytes: &[u8]| captured.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(&[10, 10, 0, 2, 10, 10, 0, 1]) && !has(b"not of this card"));
    fs::remove_file(&file).unwrap();
}

fn published_ago(snapshot: &Snapshot) -> Duration {
    let published = snapshot.areas.iter().map(side_channel::Area::published_unix_ns).min().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.saturating_sub(Duration::from_nanos(published))
}

#[test]
#[ignore = "needs root: two network namespaces"]
fn a_card_that_is_removed_and_comes_back_costs_the_other_no_answer_and_counts_of_both_go_on() {
    /// How long a publication may be old: housekeeping does not wait with who waits for an interface. On two busy cores.
    const OLD_MAX: Duration = Duration::from_millis(900);
    const COUNT: u64 = 200;
    let topology = cables();
    let file = file("several-gone", &[7]);
    let server = serve(&topology, &file);
    let readers = readers(&server);
    ask(&socket(&topology, 0, 7), COUNT);
    when(&readers[0], |snapshot| replied_udp(snapshot) == COUNT);
    let (asked, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let stays = socket(&topology, 1, 7);
    thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| ask_on(&stays, &asked, &stop));
        ip(&topology.server, &["link", "delete", NICS[0]]);
        server.line("barelane: warning: the interface lane0 is gone", SOON);
        let before = asked.load(Ordering::Relaxed);
        is_said_soon(
            &topology,
            "/readyz",
            &[
                "HTTP/1.1 503 ",
                "bad  link (lane0): link gone",
                "good link (lane1): lane1 is up",
                "good lanes-turn (lane1)",
            ],
        );
        // One that cannot be taken yet, since another host has its address: each try waits for that.
        topology.lay(1, [2, 0, 0, 1, 9, 1]);
        let taken = format!("{}/32", ADDRESSES[0]);
        ip(&topology.clients, &["address", "add", &taken, "dev", CLIENT_NIC]);
        let said = server.line("barelane: warning: the interface is there", SOON);
        assert!(said.contains("has this address"), "{said}");
        let mut oldest = Duration::ZERO;
        for _ in 0..100 {
            oldest = oldest.max(published_ago(&readers[1].read().unwrap()));
            thread::sleep(Duration::from_millis(20));
        }
        assert!(oldest < OLD_MAX, "a publication of the other card was {oldest:?} old");
        hang_up(&server);
        let said = server.line("barelane: error: reload refused", SOON);
        assert!(said.contains("the interface lane0 is gone; reload when it is back"), "{said}");
        ip(&topology.clients, &["address", "delete", &taken, "dev", CLIENT_NIC]);
        server.line("barelane: the interface lane0 is back", SOON);
        ask(&socket(&topology, 0, 7), COUNT);
        assert!(asked.load(Ordering::Relaxed) > before + 10, "{before}");
    });
    hang_up(&server);
    server.line("barelane: reloaded", RELOAD_MAX);
    let [first, other] = counts(server);
    assert_eq!((first["replied_udp"], other["replied_udp"]), (2 * COUNT, asked.load(Ordering::Relaxed)));
}

#[test]
#[ignore = "needs root: two network namespaces"]
fn a_reload_is_of_both_cards_or_of_none_and_costs_neither_an_answer() {
    const RELOADS: usize = 10;
    let topology = cables();
    let file = file("several-reload", &[7]);
    let server = serve(&topology, &file);
    let stop = AtomicBool::new(false);
    let asked = [const { AtomicU64::new(0) }; 2];
    thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        for (card, asked) in asked.iter().enumerate() {
            let (socket, stop) = (socket(&topology, card, 7), &stop);
            scope.spawn(move || ask_on(&socket, asked, stop));
        }
        for reload in 0..RELOADS {
            write(&file, ADDRESSES, if reload % 2 == 0 { &[7, 8] } else { &[7] });
            hang_up(&server);
            server.line("barelane: reloaded", RELOAD_MAX);
        }
        // The second card's new address is another host's: then the first one does not change either.
        write(&file, [ADDRESSES[0], CLIENTS[1]], &[7, 8]);
        hang_up(&server);
        let said = server.line("barelane: error: reload refused", RELOAD_MAX);
        assert!(said.contains("02:00:00:00:0a:02") && said.contains("(for lane1)"), "{said}");
        file.set(&format!("[[nic]]\ninterface = \"{}\"\n", NICS[1]));
        hang_up(&server);
        let said = server.line("barelane: error: reload refused", RELOAD_MAX);
        assert!(said.contains("nic.interface (--nic) = \"lane1\": this cannot change while lanes run; it is \"lane0, lane1\""), "{said}");
    });
    for card in 0..2 {
        // A closed port is said to its sender.
        let socket = socket(&topology, card, 8);
        socket.send(b"?").unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    }
    write(&file, ADDRESSES, &[7, 8]);
    hang_up(&server);
    server.line("barelane: reloaded", RELOAD_MAX);
    for card in 0..2 {
        ask(&socket(&topology, card, 8), 10);
    }
    for (counts, asked) in counts(server).iter().zip(&asked) {
        assert_eq!(counts["replied_udp"], asked.load(Ordering::Relaxed) + 10);
        assert_eq!(counts["tables_taken"], RELOADS as u64 + 1);
    }
}

#[test]
#[ignore = "needs root: two network namespaces"]
fn sigkill_leaves_nothing_on_either_card() {
    let topology = cables();
    let before = Traces::now(&topology);
    let server = serve(&topology, &file("several-killed", &[7]));
    let objects = objects_of(server.id());
    assert!(NICS.iter().all(|nic| has_program(&topology, nic)));
    let segments = segments_of(&server);
    drop(server);
    assert_gone(&objects);
    assert!(NICS.iter().all(|nic| !has_program(&topology, nic)));
    assert_eq!(Traces::now(&topology), before);
    // What stays is known for dead, and swept away by the next server.
    assert!(segments.values().all(|path| path.exists() && !side_channel::running().0.contains(path)));
    let next = serve(&topology, &file("several-next", &[7]));
    assert!(segments.values().all(|path| !path.exists()));
    for card in 0..2 {
        ask(&socket(&topology, card, 7), 10);
    }
    let counted = counts(next);
    assert!(counted.iter().all(|counts| counts["replied_udp"] == 10), "{counted:?}");
}

#[test]
#[ignore = "needs root: two network namespaces"]
fn events_in_json_say_of_which_card_they_are() {
    let topology = cables();
    let file = file("several-events", &[7]);
    let server = Server::of(&topology, &["serve", "--config", file.path(), "--log-format", "json"]);
    let mut events: Vec<Value> = Vec::new();
    let is_ready = |event: &&Value| event["event"] == "ready";
    let deadline = Instant::now() + SOON;
    while events.iter().filter(is_ready).count() < 2 {
        assert!(Instant::now() < deadline, "{events:#?}");
        events.extend(server.next_line(SOON).map(|line| serde_json::from_str(&line).unwrap()));
    }
    let start = events.iter().find(|event| event["event"] == "start").unwrap();
    assert_eq!((&start["nic"], start.get("card")), (&"lane0,lane1".into(), None));
    for nic in NICS {
        let of_card =
            |name: &str| events.iter().filter(|event| event["event"] == name && event["card"] == nic).count();
        assert_eq!(["plan", "mode", "ready"].map(of_card), [1, 1, 1], "{nic}");
        assert!(of_card("fact") > 3, "{nic}");
    }
    let (status, said) = server.end("TERM");
    assert_eq!(status.code(), Some(0), "{said:#?}");
    let stops = said.iter().filter(|line| line.contains("\"event\":\"stop\"")).count();
    assert_eq!(stops, 2, "{said:#?}");
}

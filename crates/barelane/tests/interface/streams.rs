//! Does a server say of each stream what was lost, doubled and late on the way to it, to the packet, and nothing of what was lost on the
//! way back?
//!
//! The wire here loses nothing by itself. So packets are made by hand, in any order; or they go through a relay between the asker
//! and the cable, which knows what it did; or to a server that is stopped, whose ring runs over while the kernel counts.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use barelane::side_channel::{Reader, Snapshot, StreamFigures};
use serde_json::Value;
use telemetry::streams::{Counts, Protocol};
use wire::stamp::{ErrorEstimate, Format, SenderPacket, Synchronised, Timestamp};

use crate::admin::{body, get, hosts, sample};
use crate::age::{signal, stop};
use crate::server::Server;
use crate::side_channel::{publications, segment_of, when};
use crate::stamp::{OwnFile, reflector_with, stamp_suite_asks};
use crate::stamp_suite::{KEY, PORT};
use crate::top::top;
use crate::topology::{CLIENT, SERVER, Topology, finish, ip};

const BARELANE: &str = env!("CARGO_BIN_EXE_barelane");

/// Serves STAMP, and tells so many streams apart.
fn serve(topology: &Topology, streams: &str) -> Server {
    Server::alone_with(topology, &["--respond", "stamp", "--streams", streams])
}

/// A packet of a sender whose first one was sent at the first millisecond.
fn packet(sequence: u32, sent_ms: u64) -> [u8; 44] {
    let mut payload = [0; 44];
    *SenderPacket::of_mut(&mut payload, 0).unwrap() = SenderPacket {
        sequence: sequence.into(),
        timestamp: Timestamp::new(1_700_000_000_000_000_000 + sent_ms * 1_000_000, Format::Ntp),
        error_estimate: ErrorEstimate::new(1_000, Synchronised::No, Format::Ntp),
        ssid: 4_711.into(),
        zero: [0; 28],
    };
    payload
}

/// Sends a packet, and waits for its answer.
fn exchange(socket: &UdpSocket, packet: &[u8]) {
    socket.send(packet).unwrap();
    let mut answer = [0; 256];
    assert!(socket.recv(&mut answer).unwrap() >= 44);
}

/// The streams of all lanes.
fn streams_of(snapshot: &Snapshot) -> Vec<StreamFigures> {
    snapshot.of_kind("streams").flat_map(|area| area.streams("streams").unwrap()).collect()
}

/// Packets of this protocol that came, whatever of them.
fn heard(snapshot: &Snapshot, protocol: &str) -> u64 {
    let number =
        |area: &barelane::side_channel::Area, what: &str| area.number(&format!("{protocol}_{what}")).unwrap();
    let of = |area| ["received", "duplicate", "too_late"].iter().map(|what| number(area, what)).sum::<u64>();
    snapshot.of_kind("streams").map(of).sum()
}

/// The only stream, when so many of its packets have come.
fn only(reader: &Reader, protocol: &str, count: u64) -> StreamFigures {
    let streams = streams_of(&when(reader, |snapshot| heard(snapshot, protocol) >= count));
    let [stream] = streams[..] else { panic!("{streams:?}") };
    stream
}

fn document(reader: &Reader) -> Value {
    let ended = top(&["--json", "--interval", "0.3", "--segment", reader.path().to_str().unwrap()]);
    serde_json::from_str::<Value>(&ended.said).unwrap()["servers"][0].clone()
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_came_as_it_was_sent_and_what_did_not_is_told_to_the_packet_and_everywhere_alike() {
    let topology = hosts();
    let server = serve(&topology, "64");
    let reader = Reader::open(&segment_of(&server)).unwrap();
    // 3, 4 and 7 do not come; 5 twice; 9 and 10 in each other's place; and then it begins anew.
    let order = [0, 1, 2, 5, 5, 6, 8, 10, 9, 11].map(|sequence| (sequence, u64::from(sequence)));
    let again = [0, 1, 3].map(|sequence| (sequence, 100 + u64::from(sequence)));
    let sockets = SERVER.map(|address| topology.socket(address, PORT));
    for socket in &sockets {
        order
            .iter()
            .chain(&again)
            .for_each(|&(sequence, sent_ms)| exchange(socket, &packet(sequence, sent_ms)));
    }
    let snapshot = when(&reader, |snapshot| heard(snapshot, "stamp") == 26);
    let streams = streams_of(&snapshot);
    let counts = Counts { expected: 16, received: 12, duplicate: 1, late: 1, too_late: 0, restarts: 1 };
    for (socket, address) in sockets.iter().zip(SERVER) {
        let source = socket.local_addr().unwrap();
        let stream = streams.iter().find(|stream| stream.source == source).unwrap();
        assert_eq!((stream.counts, stream.counts.lost()), (counts, 4), "{stream:?}");
        assert_eq!(stream.destination, SocketAddr::new(address.parse().unwrap(), PORT));
        assert_eq!((stream.protocol, stream.ssid, stream.highest), (Protocol::Stamp, 4_711, 3));
        assert!(
            stream.jitter_ns > Some(0),
            "by a clock that is not ours, in steps of a millisecond: {stream:?}"
        );
        assert!(
            stream.began_unix_ns > reader.began_unix_ns && stream.last_seen_unix_ns > stream.began_unix_ns
        );
    }
    let said = document(&reader);
    let told = &said["lanes"][0]["streams"];
    assert_eq!((&told["places"], &told["known"], &told["evicted"]), (&64.into(), &2.into(), &0.into()));
    let stamp = &told["protocols"][0];
    for (key, count) in
        [("expected", 32), ("received", 24), ("lost", 8), ("duplicate", 2), ("late", 2), ("restarts", 2)]
    {
        assert_eq!(stamp[key], count, "{key}: {stamp}");
        assert_eq!(told["streams"][0][key], count / 2, "{key}: {told}");
    }
    let page = get(&topology, "/metrics", "");
    let of = |name: &str, more: &str| {
        sample(body(&page), &format!("barelane_stream_{name}{{lane=\"0\",protocol=\"stamp\"{more}}}"))
    };
    for (fate, count) in [("in_order", 22.0), ("late", 2.0), ("duplicate", 2.0), ("too_late", 0.0)] {
        assert!((of("packets_total", &format!(",fate=\"{fate}\"")) - count).abs() < 0.5, "{fate}");
    }
    assert!(
        (of("expected_packets_total", "") - 32.0).abs() < 0.5 && (of("lost_packets", "") - 8.0).abs() < 0.5
    );
    assert!((of("transit_difference_seconds_count", "") - 20.0).abs() < 0.5, "{page}");
    assert!(!page.contains(CLIENT[0]), "no sender is a label");
    // A reader in another language knows no more than the documentation.
    let script = format!("{}/tests/interface/segment.py", env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new("python3");
    python.arg(&script).arg(reader.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let theirs: Value = serde_json::from_str(&finish(python.spawn().unwrap()).said).unwrap();
    let area = theirs["areas"].as_array().unwrap().iter().find(|area| area["kind"] == "streams").unwrap();
    let theirs = area["streams"].as_array().unwrap();
    assert_eq!(theirs.len(), 2);
    for ours in &streams {
        let source = ours.source.ip().to_string();
        let their = theirs.iter().find(|their| their["source"] == source.as_str()).unwrap();
        assert_eq!(their["source_port"], ours.source.port());
        assert_eq!(
            (&their["expected"], &their["received"], &their["ssid"]),
            (&16.into(), &12.into(), &4_711.into())
        );
    }
}

/// A relay on the clients' host, between an asker and the cable. It forwards no packet whose sequence the one rule names, sends those
/// of another twice, and forwards no answer to those of a third.
struct Relay {
    front: UdpSocket,
    back: UdpSocket,
    asker: Mutex<Option<SocketAddr>>,
    lost_there: AtomicU64,
    doubled_there: AtomicU64,
    lost_back: AtomicU64,
    is_over: AtomicBool,
}

impl Relay {
    fn new(topology: &Topology) -> Self {
        let bind = || UdpSocket::bind((CLIENT[0], 0));
        let front = topology.clients.run(bind).unwrap().unwrap();
        let back = topology.socket(SERVER[0], PORT);
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        }
        let counts = || AtomicU64::new(0);
        let (lost_there, doubled_there, lost_back) = (counts(), counts(), counts());
        let is_over = AtomicBool::new(false);
        Self { front, back, asker: Mutex::new(None), lost_there, doubled_there, lost_back, is_over }
    }

    /// Which questions come to the server, of those with this number: one, none, or two.
    fn copies(sequence: u32) -> u32 {
        match sequence % 20 {
            7 | 13 | 14 => 0,
            9 => 2,
            _ => 1,
        }
    }

    fn relay_there(&self) {
        let mut packet = [0; 512];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok((len, asker)) = self.front.recv_from(&mut packet) else { continue };
            *self.asker.lock().unwrap() = Some(asker);
            let copies = Self::copies(SenderPacket::of(&packet, 0).unwrap().sequence.get());
            self.lost_there.fetch_add(u64::from(copies == 0), Ordering::Relaxed);
            self.doubled_there.fetch_add(u64::from(copies == 2), Ordering::Relaxed);
            (0..copies).for_each(|_| _ = self.back.send(&packet[..len]).unwrap());
        }
    }

    fn relay_back(&self) {
        let mut packet = [0; 512];
        while !self.is_over.load(Ordering::Relaxed) {
            let Ok(len) = self.back.recv(&mut packet) else { continue };
            if SenderPacket::of(&packet, 0).unwrap().sequence.get() % 20 == 4 {
                self.lost_back.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let asker = self.asker.lock().unwrap().unwrap();
            self.front.send_to(&packet[..len], asker).unwrap();
        }
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn of_what_a_probe_loses_the_server_tells_what_was_lost_on_the_way_to_it() {
    // So many that the last one, whose number the warm-up has made one more, is not among the lost.
    const COUNT: u64 = 1_000;
    let topology = Topology::new();
    ip(&topology.clients, &["link", "set", "lo", "up"]);
    let server = serve(&topology, "64");
    let reader = Reader::open(&segment_of(&server)).unwrap();
    let relay = Relay::new(&topology);
    let target = relay.front.local_addr().unwrap();
    let path = std::env::temp_dir().join(format!("barelane-streams-{}.json", std::process::id()));
    let (count, proto) = (COUNT.to_string(), format!("stamp:{}", target.port()));
    let ask = ["probe", CLIENT[0], "--proto", &proto, "--rate", "2000", "--count", &count, "--timeout", "3"];
    let ended = thread::scope(|scope| {
        scope.spawn(|| relay.relay_there());
        scope.spawn(|| relay.relay_back());
        let ended = topology.client(BARELANE, &[&ask, &["--json", path.to_str().unwrap()][..]].concat());
        relay.is_over.store(true, Ordering::Relaxed);
        ended
    });
    let json: Value = serde_json::from_str(&fs::read_to_string(&path).expect(&ended.said)).unwrap();
    fs::remove_file(&path).unwrap();
    let [lost_there, doubled_there, lost_back] = [&relay.lost_there, &relay.doubled_there, &relay.lost_back]
        .map(|count| count.load(Ordering::Relaxed));
    assert!(lost_there >= 3 * COUNT / 20 && doubled_there >= COUNT / 20 && lost_back >= COUNT / 20, "{json}");
    let stream = only(&reader, "stamp", COUNT - lost_there + doubled_there);
    assert_eq!(
        (stream.counts.lost(), stream.counts.duplicate),
        (lost_there, doubled_there),
        "{stream:?} {json}"
    );
    assert_eq!(json["sent"], COUNT);
    assert_eq!(json["lost"], lost_there + lost_back, "both ways together are all that a probe sees: {json}");
    assert_eq!((stream.counts.late, stream.counts.too_late, stream.counts.restarts), (0, 0, 0));
    let source = relay.back.local_addr().unwrap();
    assert_eq!((stream.source, stream.jitter_ns.is_some()), (source, true));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_a_full_ring_had_no_room_for_is_lost_to_its_stream_as_often_as_the_kernel_says() {
    const COUNT: u32 = 5_000;
    let topology = Topology::new();
    let server = serve(&topology, "64");
    let reader = Reader::open(&segment_of(&server)).unwrap();
    let socket = topology.socket(SERVER[0], PORT);
    exchange(&socket, &packet(0, 0));
    stop(&server);
    for sequence in 1..=COUNT {
        socket.send(&packet(sequence, sequence.into())).unwrap();
    }
    signal(&server, "CONT");
    // What waited is answered first; then comes one that is behind all that was lost.
    let mut answer = [0; 64];
    while socket.recv(&mut answer).is_ok() {}
    exchange(&socket, &packet(COUNT + 1, u64::from(COUNT) + 1));
    let highest = u64::from(COUNT) + 1;
    let is_there =
        |snapshot: &Snapshot| streams_of(snapshot).first().is_some_and(|stream| stream.highest == highest);
    let snapshot = when(&reader, is_there);
    let queue = snapshot.of_kind("queue").next().unwrap();
    let dropped: u64 = ["rx_dropped", "rx_ring_full"].iter().map(|name| queue.number(name).unwrap()).sum();
    let [stream] = streams_of(&snapshot)[..] else { panic!("{snapshot:?}") };
    assert!(dropped > 1_000, "the ring did not run over: {dropped}");
    assert_eq!((stream.counts.expected, stream.counts.lost()), (highest + 1, dropped), "{stream:?}");
    assert_eq!((stream.counts.duplicate, stream.counts.late), (0, 0));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn ever_new_streams_take_each_others_places_and_every_packet_is_counted() {
    const SENDERS: u64 = 300;
    let topology = Topology::new();
    let server = serve(&topology, "4");
    let reader = Reader::open(&segment_of(&server)).unwrap();
    for _ in 0..SENDERS {
        let socket = topology.socket(SERVER[0], PORT);
        for sequence in [0, 1, 3] {
            exchange(&socket, &packet(sequence, sequence.into()));
        }
    }
    let snapshot = when(&reader, |snapshot| heard(snapshot, "stamp") == 3 * SENDERS);
    let area = snapshot.of_kind("streams").next().unwrap();
    let number = |name: &str| area.number(name).unwrap();
    assert_eq!((number("stamp_begun"), number("known"), number("places")), (SENDERS, 4, 4));
    assert_eq!((number("stamp_expected"), number("stamp_received")), (4 * SENDERS, 3 * SENDERS));
    let kept = streams_of(&snapshot);
    assert!(kept.iter().all(|stream| stream.counts.lost() == 1) && kept.len() == 4, "{kept:?}");
    let counts = server.counts();
    assert_eq!((counts["stream_evicted"], counts["replied_stamp"]), (SENDERS - 4, 3 * SENDERS), "{counts:?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn stamp_suite_with_a_key_is_a_stream_of_which_nothing_is_lost() {
    let topology = Topology::new();
    let key = OwnFile::key();
    let server = reflector_with(&topology, Some(&key), &["--streams", "16"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    let summary = stamp_suite_asks(&topology, false, Some(KEY), &["--ssid", "815"]);
    let sent = summary["packets_received"].as_u64().unwrap();
    let stream = only(&reader, "stamp", sent);
    let all = Counts { expected: sent, received: sent, ..Counts::default() };
    assert_eq!((stream.counts, stream.ssid, stream.protocol), (all, 815, Protocol::Stamp), "{summary}");
    assert!(stream.jitter_ns.is_some());
}

#[test]
#[ignore = "needs root: a network namespace"]
fn sockperfs_client_is_a_stream_of_all_its_messages_and_has_no_jitter() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--respond", "sockperf:11111", "--streams", "16"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    let options = ["under-load", "--ip", SERVER[0], "--port", "11111", "--time", "1", "--mps", "5000"];
    let ended = topology.client("/usr/bin/sockperf", &options);
    assert!(ended.status.success(), "{}", ended.said);
    // All that it sent was heard by now, and stands in the segment behind the next publication.
    publications(&reader, 2);
    let stream = only(&reader, "sockperf", 1_000);
    let said = document(&reader);
    assert!(said["lanes"][0]["streams"]["protocols"][1]["jitter_ns"].is_null(), "{said}");
    let counts = server.counts();
    let heard = counts["replied_sockperf"] + counts.get("sockperf_silent").copied().unwrap_or(0);
    assert_eq!(stream.counts, Counts { expected: heard, received: heard, ..Counts::default() }, "{counts:?}");
    assert_eq!((stream.jitter_ns, stream.ssid), (None, 0));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn whoever_has_not_asked_has_no_streams_anywhere() {
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--respond", "stamp"]);
    let reader = Reader::open(&segment_of(&server)).unwrap();
    exchange(&topology.socket(SERVER[0], PORT), &packet(0, 0));
    let snapshot = reader.read().unwrap();
    assert_eq!(snapshot.of_kind("streams").count(), 0);
    assert!(document(&reader)["lanes"][0]["streams"].is_null());
    assert!(!get(&topology, "/metrics", "").contains("barelane_stream"));
}

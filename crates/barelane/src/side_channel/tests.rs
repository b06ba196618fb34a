//! A segment is read as it was written, and what is no segment gives an error and nothing else.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use probe::own_error::{Cause, Usage};
use proptest::prelude::*;
use telemetry::streams::{Counts, Protocol, ProtocolTotals, Totals};
use telemetry::{Counter, Counters, Depths, Histogram};

use super::layout::Wanted;
use super::*;

/// A directory in memory, gone when this is dropped.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/dev/shm/barelane-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An area with these values.
fn filled(fill: impl Fn(&mut Image)) -> Image {
    let mut image = Image::new();
    fill(&mut image);
    image
}

fn lane_of(count: u64) -> Image {
    filled(|image| lane(image, &figures(count)))
}

fn noted(number: u64) -> NotedStall {
    NotedStall {
        began_unix_ns: 1_000 + number,
        length_ns: 300_000,
        cause: Cause::Preempted,
        counted_over_ns: 5,
        usage: Usage { run_delay_ns: Some(299_999), ..Usage::default() },
        interrupts: Some(7),
    }
}

/// A lane whose every count is `count`.
pub(crate) fn figures(count: u64) -> LaneFigures {
    let mut counters = Counters::default();
    for &counter in Counter::ALL {
        counters.add(counter, count);
    }
    let mut residence = vec![Histogram::default(); Counter::answered().len()];
    residence[0].record(count);
    let last = vec![noted(2), noted(1)];
    let mut stall_causes = StallCauses::default();
    for stall in &last {
        stall_causes.add(stall);
    }
    LaneFigures {
        queue: 3,
        core: 1,
        counters,
        depths: Depths { rx: count, ..Depths::default() },
        depths_max: Depths { rx: count + 1, ..Depths::default() },
        residence,
        stalls: StallFigures { count: 2, ns: 600_000, longest_ns: 300_000, last },
        stall_causes,
        ..LaneFigures::default()
    }
}

/// Two streams, of which the one has lost `count` packets and received as many, and the other has done nothing.
pub(crate) fn lane_streams(count: u64) -> LaneStreams {
    let counts = Counts { expected: 2 * count, received: count, ..Counts::default() };
    let stream = |protocol, source: &str, counts| StreamFigures {
        protocol,
        source: source.parse().unwrap(),
        destination: "192.0.2.1:862".parse().unwrap(),
        ssid: if protocol == Protocol::Stamp { 9 } else { 0 },
        counts,
        highest: 7,
        jitter_ns: (protocol == Protocol::Stamp).then_some(77),
        began_unix_ns: 5,
        last_seen_unix_ns: 6,
    };
    let known = vec![
        stream(Protocol::Sockperf, "[2001:db8::7]:4711", Counts::default()),
        stream(Protocol::Stamp, "192.0.2.7:4711", counts),
    ];
    let stamp = ProtocolTotals { begun: 1, counts, ..ProtocolTotals::default() };
    let mut differences = Histogram::default();
    differences.record(count);
    LaneStreams { places: 4, totals: Totals::new(stamp, ProtocolTotals::default()), differences, known }
}

/// A card that has counted `count` of everything, and was asked in that millisecond.
fn card(count: u64) -> NicCounts {
    let statistics = [("peer_ifindex", 7), ("rx_queue_0_drops", count), ("rx_queue_0_xdp_packets", count)];
    NicCounts {
        read_unix_ns: count * 1_000_000,
        link: [count; host::links::LINK_COUNTER_COUNT],
        statistics: statistics.map(|(name, number)| (name.to_owned(), number)).to_vec(),
        left_out: 3,
    }
}

/// A server whose link is like this, on the loopback.
pub(crate) fn facts(link: &str) -> ServerFacts {
    let (nic, link) = ("lane0".to_owned(), link.to_owned());
    ServerFacts { nic, link, interface_index: 1, stall_limit_ns: 9, ..ServerFacts::default() }
}

pub(crate) fn wanted(count: u64) -> Vec<Wanted> {
    let facts = facts("up");
    let told = ("udp to port 7 \u{2192} échö".repeat(20), "lane".to_owned());
    vec![
        ("server", 0, filled(|image| server(image, &facts))),
        ("lane", 0, lane_of(count)),
        ("lane", 1, lane_of(count + 1)),
        ("streams", 0, filled(|image| streams(image, &lane_streams(count)))),
        ("queue", 0, filled(|image| queue(image, &KernelQueue::default()))),
        ("driver", 0, filled(|image| driver(image, &Counters::default()))),
        ("route", 0, filled(|image| route(image, &told, RouteFigures::default()))),
        ("link", 0, filled(|image| link(image, &card(count)))),
        ("link_at_start", 0, filled(|image| link(image, &card(4)))),
        ("nic", 0, filled(|image| statistics(image, &card(count)))),
        ("nic_at_start", 0, filled(|image| statistics(image, &card(4)))),
    ]
}

/// The same of a server whose interface came back when that had counted `count` of everything.
pub(crate) fn back_at(mut areas: Vec<Wanted>, count: u64) -> Vec<Wanted> {
    for (kind, _, image) in &mut areas {
        match *kind {
            "link_at_start" => *image = filled(|image| link(image, &card(count))),
            "nic_at_start" => *image = filled(|image| statistics(image, &card(count))),
            _ => {}
        }
    }
    areas
}

/// The areas of a server in shared memory.
pub(crate) fn memif_areas(count: u64) -> Vec<Wanted> {
    let mut areas = wanted(count);
    areas.retain(|(kind, ..)| ["server", "lane"].contains(kind));
    areas.extend([
        ("queue", 0, filled(|image| memif_queue(image, 0, &nic::memif::Frames::default()))),
        ("memif", 0, filled(|image| memif(image, &nic::memif::Peers::default()))),
    ]);
    areas
}

/// What a reader would have read of these areas.
pub(crate) fn snapshot(areas: Vec<Wanted>, published_unix_ns: u64) -> Snapshot {
    let area = |(kind, index, mut image): Wanted| {
        image.bytes[8..16].copy_from_slice(&published_unix_ns.to_le_bytes());
        Area { kind: kind.to_owned(), index: index as u64, fields: image.fields, bytes: image.bytes }
    };
    Snapshot { process: 7, began_unix_ns: 0, areas: areas.into_iter().map(area).collect() }
}

#[test]
fn a_segment_reads_as_it_was_written() {
    let place = Place::new();
    let mut areas = wanted(10);
    let mut segment = Segment::create_in(&place.0, &mut areas).unwrap();
    let (_, _, image) = &mut areas[1];
    image.restart();
    lane(image, &figures(20));
    assert_eq!((&image.fields, image.bytes.len()), (&lane_of(20).fields, lane_of(20).bytes.len()));
    segment.publish(1, image).unwrap();
    let reader = Reader::open(segment.path()).unwrap();
    assert!(reader.is_served() && reader.process == u64::from(std::process::id()));
    let snapshot = reader.read().unwrap();
    let server = &snapshot.areas[0];
    assert_eq!((server.text("nic").as_deref(), server.number("stall_limit")), (Some("lane0"), Some(9)));
    let lanes: Vec<_> = snapshot.of_kind("lane").collect();
    let numbers = ["rx", "turns", "depth_rx", "depth_rx_max", "core"].map(|name| lanes[0].number(name));
    assert_eq!(numbers, [20, 20, 20, 21, 1].map(Some));
    assert_eq!(lanes[0].sum("dropped"), 20 * telemetry::Reason::ALL.len() as u64);
    let arp = lanes[1].histogram("residence_arp").unwrap();
    assert_eq!((arp.count(), arp.max(), lanes[1].histogram("residence_udp").unwrap().min()), (1, 11, 0));
    let stalls = lanes[0].stalls("stalls").unwrap();
    assert_eq!((stalls.count, stalls.ns, &stalls.last[..]), (2, 600_000, &[noted(1), noted(2)][..]));
    let of_causes = ["stalls_preempted", "stalled_preempted", "stalls_off_core"];
    assert_eq!(of_causes.map(|name| lanes[0].number(name)), [2, 600_000, 0].map(Some));
    let route = snapshot.of_kind("route").next().unwrap().text("route").unwrap();
    assert!(route.starts_with("udp to port 7 \u{2192} échö") && route.len() <= 256, "{route}");
    assert!(lanes[0].published_unix_ns() > reader.began_unix_ns);
}

#[test]
fn every_field_has_its_own_name_in_its_area_and_a_sentence() {
    for (kind, _, image) in wanted(0) {
        for (index, field) in image.fields.iter().enumerate() {
            assert!(field.sentence.ends_with('.'), "{kind} {}", field.name);
            assert!(image.fields[index + 1..].iter().all(|other| other.name != field.name), "{}", field.name);
        }
    }
}

#[test]
fn who_is_not_of_the_group_reads_nothing_and_nobody_else_writes() {
    let place = Place::new();
    let segment = Segment::create_in(&place.0, &mut wanted(1)).unwrap();
    let facts = fs::metadata(segment.path()).unwrap();
    assert_eq!(facts.permissions().mode() & 0o777 & !0o640, 0);
    let path = segment.path().to_owned();
    drop(segment);
    assert!(!path.exists(), "a server that ends takes its segment along");
}

#[test]
fn a_dead_servers_segment_is_told_from_a_live_ones_and_swept_away() {
    let place = Place::new();
    let live = Segment::create_in(&place.0, &mut wanted(1)).unwrap();
    let dead = place.0.join("barelane-1.segment");
    fs::copy(live.path(), &dead).unwrap();
    fs::write(place.0.join("somebody-elses.file"), b"").unwrap();
    let reader = Reader::open(&dead).unwrap();
    assert!(!reader.is_served() && reader.read().is_ok());
    let next = Segment::create_in(&place.0, &mut wanted(2)).unwrap();
    assert!(!dead.exists() && live.path().exists() && next.path() != live.path());
    assert!(place.0.join("somebody-elses.file").exists());
    assert!(Reader::open(live.path()).unwrap().is_served());
}

#[test]
fn a_file_that_stands_in_the_way_is_neither_written_to_nor_followed() {
    let place = Place::new();
    let (victim, trap) = (place.0.join("victim"), place.0.join(places::name(std::process::id(), 0)));
    fs::write(&victim, b"precious").unwrap();
    symlink(&victim, &trap).unwrap();
    let segment = Segment::create_in(&place.0, &mut wanted(1)).unwrap();
    assert!(segment.path() != trap && fs::read(&victim).unwrap() == b"precious");
    let error = Reader::open(&trap).unwrap_err();
    assert!(matches!(error, SegmentError::File { .. }), "{error}");
}

#[test]
fn a_directory_on_a_disk_or_none_at_all_is_refused() {
    for directory in ["/proc/self", "/nowhere/at/all"] {
        assert!(Segment::create_in(Path::new(directory), &mut wanted(1)).is_err(), "{directory}");
    }
}

#[test]
fn a_reader_never_sees_half_an_area() {
    let place = Place::new();
    let mut segment = Segment::create_in(&place.0, &mut wanted(0)).unwrap();
    let reader = Reader::open(segment.path()).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for count in 1..1_000 {
                segment.publish(1, &mut lane_of(count)).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut read = 0;
        while !is_over.load(Ordering::Relaxed) {
            match reader.read() {
                Ok(snapshot) => {
                    let area = &snapshot.areas[1];
                    let count = area.number("rx").unwrap();
                    assert_eq!(area.number("tx_ring_full"), Some(count));
                    assert_eq!(area.histogram("residence_arp").unwrap().sum(), count);
                    read += 1;
                }
                Err(error) => assert!(matches!(error, SegmentError::HalfWritten { .. }), "{error}"),
            }
        }
        writing.join().unwrap();
        assert!(read > 0);
    });
}

#[test]
fn a_server_that_died_while_it_wrote_is_noticed_and_said() {
    let place = Place::new();
    let segment = Segment::create_in(&place.0, &mut wanted(1)).unwrap();
    let reader = Reader::open(segment.path()).unwrap();
    let area = &reader.read().unwrap().areas[1];
    let at = fs::read(segment.path()).unwrap();
    let begins = |chunk: &[u8]| chunk == &area.bytes[..64];
    let place_of_area = at.chunks(128).position(|chunk| begins(&chunk[..64])).unwrap() * 128;
    let file = OpenOptions::new().write(true).open(segment.path()).unwrap();
    file.write_all_at(&3_u64.to_le_bytes(), place_of_area as u64).unwrap();
    let error = reader.read().unwrap_err().to_string();
    assert!(error.contains("stopped while it wrote the area lane 0"), "{error}");
}

#[test]
fn what_is_no_segment_is_refused_with_the_reason() {
    let place = Place::new();
    let segment = Segment::create_in(&place.0, &mut wanted(1)).unwrap();
    let whole = fs::read(segment.path()).unwrap();
    let path = place.0.join("made-up");
    let word = |at: usize, value: u64| {
        let mut bytes = whole.clone();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    for (bytes, reason) in [
        (Vec::new(), "it has 0 bytes"),
        (vec![0; 4_096], "does not say so yet"),
        (vec![0xa5; 4_096], "does not begin with BARELANE"),
        (word(8, 1), "has layout 1, and this program reads layout 2"),
        (word(16, u64::MAX), "it says that it has 18446744073709551615 bytes"),
        (word(40, u64::MAX), "the table of areas has 18446744073709551615 rows"),
        (word(48, 1 << 40), "the table of areas"),
        (word(56, 8), "rows of 8 bytes"),
        (word(72, whole.len() as u64), "do not fit into"),
        (word(128, 1 << 63), "a text of"),
        (word(144, u64::MAX), "does not fit into"),
        (word(152, 1 << 40), "does not fit into"),
        (word(152, 0), "does not fit into"),
        (word(104, 7), "cut into buckets in another way"),
        (whole[..whole.len() / 2].to_vec(), "it says that it has"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Reader::open(&path).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("made-up"), "{reason}: {error}");
    }
}

#[test]
fn a_file_that_is_cut_short_under_its_reader_is_an_error_and_no_signal() {
    let place = Place::new();
    let segment = Segment::create_in(&place.0, &mut wanted(1)).unwrap();
    let reader = Reader::open(segment.path()).unwrap();
    let size = fs::metadata(segment.path()).unwrap().size();
    let file = OpenOptions::new().write(true).open(segment.path()).unwrap();
    for len in [size / 2, 200, 0] {
        file.set_len(len).unwrap();
        let error = reader.read().unwrap_err().to_string();
        assert!(error.contains("cut short while it was read"), "{error}");
    }
}

#[test]
fn a_server_goes_on_whatever_is_done_to_its_file() {
    let place = Place::new();
    let mut segment = Segment::create_in(&place.0, &mut wanted(1)).unwrap();
    let file = OpenOptions::new().write(true).open(segment.path()).unwrap();
    file.set_len(0).unwrap();
    segment.publish(1, &mut lane_of(5)).unwrap();
    fs::remove_file(segment.path()).unwrap();
    fs::write(segment.path(), b"another's").unwrap();
    segment.publish(1, &mut lane_of(6)).unwrap();
    let path = segment.path().to_owned();
    drop(segment);
    assert_eq!(fs::read(path).unwrap(), b"another's", "what is not its own stays");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any words of the tables, and of the areas, replaced by any others.
    #[test]
    fn no_file_whatever_makes_a_reader_panic(changes in prop::collection::vec((0_usize..3_000, any::<u64>(), 0_u32..64), 1..8)) {
        let place = Place::new();
        let segment = Segment::create_in(&place.0, &mut wanted(1)).unwrap();
        let file = OpenOptions::new().write(true).open(segment.path()).unwrap();
        for (word, value, shift) in changes {
            file.write_all_at(&(value >> shift).to_le_bytes(), (word * 8) as u64).unwrap();
        }
        if let Ok(reader) = Reader::open(segment.path()) && let Ok(snapshot) = reader.read() {
            for area in &snapshot.areas {
                for field in &area.fields {
                    let name = &field.name;
                    let _ = (area.number(name), area.text(name), area.stalls(name));
                    let _ = area.histogram(name).map(|histogram| histogram.percentile(99.0));
                }
                let _ = area.sum("dropped");
            }
        }
    }
}

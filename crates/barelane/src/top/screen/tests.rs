//! The screen, drawn into memory: what stands where at the smallest size, and what the keys do.

use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::side_channel::tests::{snapshot, wanted};
use crate::top::figures::Spread;
use crate::top::{Document, SCHEMA};

const SECOND: u64 = 1_000_000_000;

/// A server whose lanes counted 1,000 more of everything within two seconds.
fn server() -> Figures {
    let (before, now) = (snapshot(wanted(10), 5 * SECOND), snapshot(wanted(1_010), 7 * SECOND));
    Figures::between(&before, &now, Path::new("/run/barelane/barelane-7.segment"), true)
}

/// The lines of a screen of this size.
fn drawn(servers: &[Figures], view: &View, [columns, lines]: [u16; 2]) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| draw(frame, servers, view)).unwrap();
    let cells = terminal.backend().buffer().content().chunks(usize::from(columns));
    cells.map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect()).collect()
}

fn key(letter: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE)
}

#[test]
fn rates_are_what_was_counted_between_two_looks_by_the_servers_own_time() {
    let figures = server();
    assert_eq!((figures.over_ns, figures.lanes.len()), (2 * SECOND, 2));
    let lane = &figures.lanes[0];
    assert_eq!((lane.flow.received, lane.flow.received_per_second), (1_010, 500.0));
    assert_eq!((lane.too_old, lane.too_old_per_second), (1_010, 500.0));
    let reasons = u32::try_from(telemetry::Reason::ALL.len()).unwrap();
    assert_eq!(
        (lane.flow.dropped_per_second, figures.drops.len()),
        (500.0 * f64::from(reasons), reasons as usize)
    );
    assert_eq!((lane.residence.count, lane.residence.max_ns, lane.depths_max.rx), (1, Some(1_010), 1_011));
    let arp = figures.answers.iter().find(|answer| answer.name == "arp").unwrap();
    assert_eq!((arp.lane_count, arp.per_second, arp.residence.count), (1_010 + 1_011, 1_000.0, 2));
}

#[test]
fn streams_are_told_of_the_lane_that_has_them_who_lost_most_first() {
    let figures = server();
    let streams = figures.lanes[0].streams.as_ref().unwrap();
    assert_eq!((streams.places, streams.known, streams.evicted), (4, 2, 1_010));
    let lost: Vec<_> =
        streams.streams.iter().map(|stream| (stream.source.as_str(), stream.fates.lost)).collect();
    assert_eq!(lost, [("192.0.2.7:4711", 1_010), ("[2001:db8::7]:4711", 0)]);
    let stamp = &streams.protocols[0];
    assert_eq!((stamp.protocol, stamp.fates.expected, stamp.fates.lost), ("stamp", 2_020, 1_010));
    assert_eq!((stamp.received_per_second, stamp.lost_per_second), (500.0, 500.0));
    assert!(figures.lanes[1].streams.is_none());
    let table = tables::streams(&figures);
    assert_eq!(table.rows[0][..4], ["all of lane 0", "stamp", "1.01k", "1.01k"]);
    assert_eq!(table.rows[1][..4], ["192.0.2.7:4711", "stamp 9", "1.01k", "1.01k"]);
    assert_eq!(table.rows[2][..2], ["[2001:db8::7]:4711", "sockperf"]);
    assert_eq!(table.rows[2][7], "-", "what carries no time has no jitter");
    assert!(tables::streams(&Figures::default()).nothing.contains("--streams"));
}

#[test]
fn a_screen_of_80_columns_and_24_lines_has_all_that_counts() {
    let screen = drawn(&[server()], &View::default(), [80, 24]);
    assert!(screen[0].starts_with("lane0 (") && screen[0].contains("process 7, up 7s"), "{screen:#?}");
    assert!(screen[1].starts_with("lanes    1.00k/s in"), "{screen:#?}");
    let heads = ["lane", "core", "rx/s", "answ/s", "drop/s", "p50", "p99", "p99.9", "max", "stalls"];
    assert!(heads.iter().all(|head| screen[4].contains(head)), "{screen:#?}");
    assert!(screen[5].contains(" 500") && screen[5].trim_end().ends_with('2'), "{screen:#?}");
    assert!(screen[7].starts_with("── answers ─") && screen[9].starts_with("arp"), "{screen:#?}");
    let keys = [
        "q quit",
        "p pause",
        "n next",
        "a answers",
        "d drops",
        "s stalls",
        "r routes",
        "k kernel",
        "t streams",
        "↑↓",
    ];
    assert!(keys.iter().all(|key| screen[23].contains(key)), "{screen:#?}");
}

/// The same server where frames say when they came.
fn stamped() -> Figures {
    let mut figures = server();
    figures.facts.arrival_clock = "CLOCK_MONOTONIC, XDP program".to_owned();
    let waited = Spread { count: 9, p50_ns: Some(1_500), p99_ns: Some(20_000), ..Spread::default() };
    let [queueing, arrival_residence] =
        [100_000_000, 999_999].map(|max| Spread { max_ns: Some(max), ..Spread::default() });
    for lane in &mut figures.lanes {
        (lane.queueing, lane.queueing_recent) = (queueing, waited);
        (lane.arrival_residence, lane.arrival_residence_recent) = (arrival_residence, Spread::default());
        (lane.standing_queue_ns, lane.too_old_per_second) = (12_300, 1_234.0);
    }
    figures
}

#[test]
fn waits_are_shown_where_frames_say_when_they_came_and_nowhere_else() {
    let mut view = View::default();
    view.press(key('w'), 1);
    let screen = drawn(&[stamped()], &view, [80, 24]);
    let heads = "lane too old now/s standing waited p50    p99   max answered p50 p99    max";
    assert_eq!(words(&screen[8]), words(heads), "{screen:#?}");
    let row = "0 1.01k 1.23k 12.3µs 1.50µs 20.0µs 100ms - - 1.00ms";
    assert_eq!(words(&screen[9]), words(row), "{screen:#?}");
    assert!(screen[7].starts_with("── waits ─") && screen[10].starts_with("   1"), "{screen:#?}");
    assert!(screen[7].ends_with("─ came: CLOCK_MONOTONIC, XDP program ─"), "{screen:#?}");
    view.press(key('p'), 1);
    let screen = drawn(&[stamped()], &view, [80, 24]);
    let keys = "q quit p go on a answers d drops s stalls r routes k kernel t streams w waits ↑↓";
    assert_eq!(screen[23].trim_end(), keys);
    let screen = drawn(&[server()], &view, [80, 24]);
    assert!(
        screen[8].starts_with("frames do not say when they came: --arrival-stamps driver"),
        "{screen:#?}"
    );
    assert!(!screen[23].contains("waits"), "{screen:#?}");
    let [with, without] = [stamped(), server()].map(|figures| tables::Text(&figures).to_string());
    assert!(with.contains("waited p50") && !without.contains("waited p50"), "{with}");
}

#[test]
fn what_left_is_shown_where_answers_say_so_beside_what_came_or_alone() {
    let mut view = View::default();
    view.press(key('w'), 1);
    let departing = |mut figures: Figures| {
        figures.facts.turn_clock = "time-stamp counter, lane".to_owned();
        figures.facts.transmit_clock = "CLOCK_TAI, kernel".to_owned();
        let left = Spread { count: 9, p50_ns: Some(7_000), p99_ns: Some(8_000), ..Spread::default() };
        for lane in &mut figures.lanes {
            lane.transmit_residence = Spread { max_ns: Some(9_000_000), ..Spread::default() };
            (lane.transmit_residence_recent, lane.transmit_unknown) = (left, 3);
        }
        figures
    };
    let screen = drawn(&[departing(stamped())], &view, [80, 24]);
    let heads = "lane too old standing waited p50 p99 answ p50 p99 left p50 p99 max";
    assert_eq!(words(&screen[8]), words(heads), "{screen:#?}");
    let row = "0 1.01k 12.3µs 1.50µs 20.0µs - - 7.00µs 8.00µs 9.00ms";
    assert_eq!(words(&screen[9]), words(row), "{screen:#?}");
    let clocks = "─ came: CLOCK_MONOTONIC, XDP program; left: CLOCK_TAI, kernel ─";
    assert!(screen[7].starts_with("── waits ") && screen[7].ends_with(clocks), "{screen:#?}");
    let screen = drawn(&[departing(server())], &view, [80, 24]);
    assert_eq!(words(&screen[8]), words("lane left p50 p99 max not known"), "{screen:#?}");
    assert_eq!(words(&screen[9]), words("0 7.00µs 8.00µs 9.00ms 3"), "{screen:#?}");
    let clocks = "─ turn: time-stamp counter, lane; left: CLOCK_TAI, kernel ─";
    assert!(screen[7].ends_with(clocks) && screen[23].contains("waits"), "{screen:#?}");
    let text = tables::Text(&departing(stamped())).to_string();
    assert!(text.contains("left p50") && text.contains("left: CLOCK_TAI, kernel"), "{text}");
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn keys_choose_a_table_scroll_it_pause_and_quit() {
    let mut view = View::default();
    for (letter, wanted) in [
        ('d', "frame_truncated"),
        ('s', "preempted"),
        ('r', "udp to port 7"),
        ('k', "tx_dropped"),
        ('t', "192.0.2.7:4711"),
        ('a', "arp"),
    ] {
        assert_eq!(view.press(key(letter), 1), Next::Stay);
        let screen = drawn(&[server()], &view, [80, 24]);
        assert!(screen[8..].iter().any(|line| line.contains(wanted)), "{letter}: {screen:#?}");
    }
    view.press(key('d'), 1);
    (0..3).for_each(|_| assert_eq!(view.press(KeyEvent::from(KeyCode::Down), 1), Next::Stay));
    let screen = drawn(&[server()], &view, [80, 24]);
    assert!(!screen.iter().any(|line| line.contains("frame_truncated")), "{screen:#?}");
    view.press(key('p'), 1);
    assert!(drawn(&[server()], &view, [80, 24])[0].starts_with("PAUSED lane0"));
    assert_eq!(view.press(key('q'), 1), Next::Quit);
    assert_eq!(view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), 1), Next::Quit);
}

#[test]
fn several_servers_are_shown_one_after_the_other() {
    let other = Figures { is_served: false, ..server() };
    let mut view = View::default();
    view.press(key('n'), 2);
    let screen = drawn(&[server(), other], &view, [80, 24]);
    assert!(screen[0].starts_with("[2/2] lane0") && screen[0].contains("ENDED after 7s"), "{screen:#?}");
    view.press(key('n'), 2);
    assert!(drawn(&[server(), server()], &view, [80, 24])[0].starts_with("[1/2]"));
}

#[test]
fn no_size_and_no_place_of_the_scroll_is_too_odd() {
    let view = View { skipped: usize::MAX, lanes_skipped: usize::MAX, ..View::default() };
    for size in [[1, 1], [2, 3], [10, 5], [79, 23], [300, 90]] {
        assert_eq!(drawn(&[server()], &view, size).len(), usize::from(size[1]));
        drawn(&[Figures::default()], &View::default(), size);
        drawn(&[], &view, size);
    }
}

#[test]
fn what_a_segment_says_never_moves_the_cursor() {
    let mut figures = server();
    figures.facts.nic = "a\u{1b}[2Jb".to_owned();
    figures.drops[0].reason = "c\nd".to_owned();
    let text = tables::Text(&figures).to_string();
    assert!(!text.contains('\u{1b}') && text.contains("a\\u{1b}[2Jb") && text.contains("c\\nd"), "{text}");
}

#[test]
fn every_key_of_the_document_is_documented() {
    let document = serde_json::to_value(Document { schema: SCHEMA, servers: vec![server()] }).unwrap();
    let documentation = include_str!("../../../../../docs/top-json.md");
    let mut waiting = vec![document];
    while let Some(value) = waiting.pop() {
        match value {
            serde_json::Value::Object(object) => {
                for (key, value) in object {
                    assert!(documentation.contains(&format!("`{key}`")), "{key} is not documented");
                    waiting.push(value);
                }
            }
            serde_json::Value::Array(values) => waiting.extend(values),
            _ => {}
        }
    }
}

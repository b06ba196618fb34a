//! The table, its document, and both forms of a line.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::log::subscriber;
use super::*;
use crate::config::{LogConfig, LogFormat};

const DOCUMENT: &str = include_str!("../../../../docs/events.md");

/// What was written, as the lines that it was written in.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Write for Heard {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written where this happens.
fn heard(format: LogFormat, level: LevelFilter, happens: impl FnOnce()) -> Vec<String> {
    let heard = Heard::default();
    tracing::subscriber::with_default(subscriber(&LogConfig { format, level }, heard.clone()), happens);
    heard.0.lock().unwrap().clone()
}

fn stall(lane: u64) -> Event {
    Event::Stall { lane, core: 1, began_unix_ns: 5, length_ns: 20_000_000, cause: "preempted".to_owned() }
}

/// What the document must say of an event.
fn section(row: &Row) -> String {
    let level = row.level.to_string().to_lowercase();
    let often = if row.often == Often::Always { "each time" } else { "limited" };
    let head = format!("### `{}`\n\n{} Level {level}, {often}.\n", row.name, row.sentence);
    let fields = row.fields.iter();
    let rows = fields.map(|field| format!("| `{}` | {} | {} |\n", field.name, field.form, field.sentence));
    let table = "\n| field | what it is | what it says |\n|---|---|---|\n";
    if row.fields.is_empty() { head } else { head + table + &rows.collect::<String>() }
}

#[test]
fn the_document_has_every_event_with_its_fields_and_no_other() {
    for row in TABLE {
        assert!(DOCUMENT.contains(&section(row)), "docs/events.md must have:\n{}", section(row));
    }
    let documented = DOCUMENT.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let known: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(documented.collect::<Vec<_>>(), known, "in this order");
}

#[test]
fn every_event_has_a_name_of_its_own_and_no_field_that_all_events_have() {
    for (index, row) in TABLE.iter().enumerate() {
        assert!(TABLE[index + 1..].iter().all(|other| other.name != row.name), "{}", row.name);
        assert!(row.sentence.ends_with('.') && row.fields.iter().all(|field| field.sentence.ends_with('.')));
        let common = ["event", "message", "level", "timestamp", "card", "suppressed"];
        assert!(row.fields.iter().all(|field| !common.contains(&field.name)), "{}", row.name);
    }
}

#[test]
fn a_number_says_its_unit_in_its_name() {
    let units = ["_ns", "_count", "_id", "_code"];
    // What counts up without a unit: which one, and a count of the kernel's.
    let plain = ["lane", "core", "count"];
    for field in TABLE.iter().flat_map(|row| row.fields).filter(|field| field.form == "number") {
        let has_unit = units.iter().any(|unit| field.name.ends_with(unit));
        assert!(has_unit || plain.contains(&field.name), "{}", field.name);
    }
}

#[test]
fn an_event_in_json_is_one_line_with_its_name_its_time_and_typed_fields() {
    let lines = heard(LogFormat::Json, LevelFilter::INFO, || {
        stall(3).emit("lane 3 was not there\nfor 20 ms", Some("eth1"), Some(7));
        Event::Ready {
            nic: "a\"b".to_owned(),
            mode: "native".to_owned(),
            is_zero_copy: false,
            lane_count: 2,
        }
        .emit("ready", None, None);
    });
    assert!(
        lines.len() == 2 && lines.iter().all(|line| line.find('\n') == Some(line.len() - 1)),
        "{lines:?}"
    );
    let values: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [stall, ready] = [&values[0], &values[1]];
    assert_eq!((&stall["event"], &stall["level"]), (&"stall".into(), &"WARN".into()));
    assert_eq!((stall["length_ns"].as_u64(), stall["suppressed"].as_u64()), (Some(20_000_000), Some(7)));
    assert_eq!((&stall["card"], ready.get("card")), (&"eth1".into(), None));
    assert_eq!(stall["message"], "lane 3 was not there\nfor 20 ms");
    let time = stall["timestamp"].as_str().unwrap();
    assert!(time.len() == 27 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    assert_eq!((&ready["nic"], ready["is_zero_copy"].as_bool()), (&"a\"b".into(), Some(false)));
    assert!(ready.get("suppressed").is_none(), "{ready}");
}

#[test]
fn an_event_as_text_is_the_line_that_scripts_know() {
    let lines = heard(LogFormat::Text, LevelFilter::INFO, || {
        Event::Fact {}.emit("side channel: /run/x", None, None);
        Event::Warning {}.emit("it could be better", None, None);
        Event::Failed { exit_code: 1 }.emit("it is over", None, None);
        stall(0).emit("lane 0 was not there", None, Some(2));
    });
    assert_eq!(
        lines,
        [
            "barelane: side channel: /run/x\n",
            "barelane: warning: it could be better\n",
            "barelane: error: it is over\n",
            "barelane: warning: lane 0 was not there (2 more of this kind before it were not said)\n",
        ]
    );
}

#[test]
fn people_read_of_which_card_a_line_is_once() {
    let link = Event::Link { nic: "eth1".to_owned(), is_running: true };
    let lines = heard(LogFormat::Text, LevelFilter::INFO, || {
        News::of("wake mode: spin").on(Some("eth1")).tell();
        News::new(link, "eth1 is up again").on(Some("eth1")).tell();
        News::of("wake mode: spin").on(None).tell();
    });
    let [named, in_itself, only] = ["eth1: wake mode: spin", "eth1 is up again", "wake mode: spin"];
    assert_eq!(lines, [named, in_itself, only].map(|line| format!("barelane: {line}\n")));
}

#[test]
fn a_level_leaves_out_what_is_below_it_and_what_others_tell_is_never_heard() {
    let happens = || {
        tracing::error!(target: "hyper", "a library's own");
        Event::Fact {}.emit("info", None, None);
        Event::Warning {}.emit("warn", None, None);
        Event::Failed { exit_code: 1 }.emit("error", None, None);
    };
    for (level, count) in [(LevelFilter::INFO, 3), (LevelFilter::WARN, 2), (LevelFilter::ERROR, 1)] {
        assert_eq!(heard(LogFormat::Text, level, happens).len(), count, "{level}");
    }
}

#[test]
fn what_comes_by_the_dozen_is_told_ten_times_and_the_rest_is_counted() {
    let before = suppressed_count();
    let happens = || (0..50).for_each(|lane| News::new(stall(lane), "stall").tell());
    let lines = heard(LogFormat::Json, LevelFilter::INFO, happens);
    assert_eq!((lines.len() as u64) + (suppressed_count() - before), 50);
    assert_eq!(lines.len(), 10, "{lines:?}");
}

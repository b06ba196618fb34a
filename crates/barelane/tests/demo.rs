//! The demo runs to its end with every reply right, and leaves nothing behind, also when it is interrupted.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may stop"
)]

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// What the machine has that a demo could leave behind.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    links: Vec<String>,
    named_namespaces: usize,
    huge_pages: usize,
}

impl Traces {
    fn now() -> Self {
        Self {
            links: host::links::names().unwrap(),
            named_namespaces: fs::read_dir("/run/netns").map_or(0, Iterator::count),
            huge_pages: host::memory::huge_pages().total,
        }
    }
}

fn demo(arguments: &[&str]) -> Option<Command> {
    let missing = [host::privileges::missing_for_namespaces(), host::privileges::missing_for_xdp()].concat();
    if !missing.is_empty() {
        // Not by a macro, whose words the test harness keeps to itself where a test passes.
        let _ = writeln!(io::stderr(), "skipped: the demo needs {missing:?}");
        return None;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.arg("demo").args(arguments).stdin(Stdio::null());
    Some(command)
}

#[test]
fn every_row_is_answered_rightly_and_nothing_is_left_behind() {
    let path = std::env::temp_dir().join(format!("barelane-demo-{}.json", std::process::id()));
    let Some(mut command) = demo(&["--seconds", "1", "--json", path.to_str().unwrap()]) else { return };
    let before = Traces::now();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(Traces::now(), before);
    let text = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = json["rows"].as_array().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(rows.len(), 6, "{text}");
    for row in rows {
        assert!(table.contains(row["title"].as_str().unwrap()), "{table}");
        assert!(row["answered"].as_u64().unwrap() > 0 && row["lost"] == 0 && row["wrong"] == 0, "{row}");
        assert!(row["rtt_p50_ns"].is_u64() && row["rtt_p50_ratio"].is_f64(), "{row}");
    }
    explained(&json);
}

/// `docs/demo-json.md` has a row for every key.
fn explained(json: &serde_json::Value) {
    let text = include_str!("../../../docs/demo-json.md");
    let row = &json["rows"][0];
    for object in [json, row, &json["machine"]] {
        for key in object.as_object().unwrap().keys() {
            assert!(text.contains(&format!("| `{key}` |")), "docs/demo-json.md does not explain `{key}`");
        }
    }
}

#[test]
fn interrupted_in_the_middle_it_ends_with_1_and_leaves_nothing_behind() {
    let Some(mut command) = demo(&["--seconds", "60"]) else { return };
    let before = Traces::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("barelane: round 1 ")));
    // Twice, as `timeout` does: once to the process, once to its group.
    for _ in 0..2 {
        assert!(
            Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success()
        );
    }
    assert!(lines.any(|line| line.starts_with("barelane: error: interrupted")));
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(Traces::now(), before);
}

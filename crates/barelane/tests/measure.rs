//! `barelane doctor --measure` as a process, on this machine: what it measures, what it leaves, and what is left of it when it is
//! killed.
//!
//! It changes one setting of the kernel's that is safe, for some seconds, and puts it back also where a test fails. Where that may
//! not be changed, or no network namespace made, the tests say loudly that they were skipped.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// A timer is moved to a core that is awake already: 1. The doctor wants it to stay: 0.
const TIMERS: &str = "/proc/sys/kernel/timer_migration";
const ONLY: [&str; 2] = ["--only", "timer-migration"];

/// They change the same setting, and measure.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn barelane(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.arg("doctor").args(arguments).stdin(Stdio::null());
    command
}

fn doctor(arguments: &[&str]) -> Output {
    barelane(arguments).output().unwrap()
}

/// The setting as a machine has it that nobody has tuned, a record for what is changed of it, and everything as it was in the end.
struct Untuned {
    directory: PathBuf,
    before: String,
    _turn: MutexGuard<'static, ()>,
}

impl Untuned {
    fn new(test: &str) -> Option<Self> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let missing =
            [host::privileges::missing_for_namespaces(), host::privileges::missing_for_xdp()].concat();
        let writable = OpenOptions::new().write(true).open(TIMERS);
        if let (Err(_), _) | (_, false) = (&writable, missing.is_empty()) {
            // Not by a macro, whose words the test harness keeps to itself where a test passes.
            let _ = writeln!(
                io::stderr(),
                "skipped: measure, {test}: {TIMERS}: {writable:?}, lacking {missing:?}"
            );
            return None;
        }
        let before = fs::read_to_string(TIMERS).unwrap();
        fs::write(TIMERS, "1").unwrap();
        let directory = std::env::temp_dir().join(format!("barelane-measure-{test}-{}", std::process::id()));
        Some(Self { directory, before, _turn: turn })
    }

    fn record(&self) -> String {
        self.directory.join("record.json").to_str().unwrap().to_owned()
    }
}

impl Drop for Untuned {
    fn drop(&mut self) {
        doctor(&["--undo", "--record", &self.record()]);
        let _put_back = fs::write(TIMERS, self.before.trim());
        let _none = fs::remove_dir_all(&self.directory);
    }
}

fn is_fixed() -> bool {
    fs::read_to_string(TIMERS).unwrap().trim() == "0"
}

fn measured(options: &[&str], record: &str) -> Value {
    let common = ["--measure", "--json", "--rounds", "6", "--record", record];
    let output = doctor(&[&ONLY[..], &common, options].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn a_fix_is_measured_with_its_spread_and_undone_unless_it_shall_stay() {
    let Some(untuned) = Untuned::new("spread") else { return };
    let report = measured(&[], &untuned.record());
    assert!(!is_fixed() && !Path::new(&untuned.record()).exists(), "{report}");
    let fix = &report["fixes"][0];
    assert_eq!((&report["schema"], &report["rounds"]), (&"barelane-measure-1".into(), &6.into()));
    assert_eq!((&fix["requirement"], &fix["in_force"]), (&"timer-migration".into(), &false.into()));
    assert_eq!(fix["settings"], serde_json::json!([TIMERS]));
    for figure in ["p50", "p99"] {
        let gain = &fix[figure];
        let [low, median, high] = ["low", "median", "high"].map(|key| gain["ratio"][key].as_f64().unwrap());
        assert!(low <= median && median <= high && low > 0.0, "{gain}");
        let verdict = match (low, high) {
            (_, high) if high < 1.0 => "gain",
            (low, _) if low > 1.0 => "loss",
            _ => "no-gain-seen",
        };
        assert_eq!(gain["verdict"], verdict, "{gain}");
        // A round trip over a link in memory takes microseconds.
        assert!(gain["before_ns"]["median"].as_u64().unwrap() > 500, "{gain}");
        assert_eq!(gain["after_ns"]["runs"], 6, "{gain}");
    }
    let report = measured(&["--fix"], &untuned.record());
    assert!(is_fixed() && report["fixes"][0]["in_force"] == true, "{report}");
    assert_eq!(doctor(&["--undo", "--record", &untuned.record()]).status.code(), Some(0));
    assert!(!is_fixed());
    explained(&report);
}

/// Every key of the document is explained.
fn explained(report: &Value) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor-json.md");
    let explained = fs::read_to_string(docs).unwrap();
    let fix = &report["fixes"][0];
    for object in [report, fix, &fix["p50"], &fix["p50"]["ratio"], &fix["p50"]["before_ns"]] {
        for key in object.as_object().unwrap().keys() {
            assert!(explained.contains(&format!("`{key}`")), "{key} is not explained");
        }
    }
}

#[test]
fn killed_half_way_it_can_be_undone() {
    let Some(untuned) = Untuned::new("killed") else { return };
    for state in ["-> 0", "-> 1"] {
        let options = ["--measure", "--rounds", "999", "--record", &untuned.record()];
        let mut child = barelane(&[&ONLY[..], &options].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The setting is tried once before the first round: what is meant is a change of a round's own.
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut of_rounds = lines.skip_while(|line| !line.contains("round 1 of"));
        assert!(
            of_rounds.any(|line| line.contains("changing") && line.contains(state)),
            "it has ended by itself"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(doctor(&["--undo", "--record", &untuned.record()]).status.code(), Some(0));
        assert!(!is_fixed() && !Path::new(&untuned.record()).exists(), "killed at {state}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused_or_said() {
    for (options, part) in [
        (&["--measure", "--rounds", "5"][..], "--rounds = \"5\": out of range; write a number from 6 to 999"),
        (
            &["--measure", "--target", "192.0.2.1", "--", "--search"],
            "--target = \"192.0.2.1\": a part is one run",
        ),
        (&["--measure", "--target", "192.0.2.1", "--", "--nonsense"], "unexpected argument '--nonsense'"),
        (&["--target", "192.0.2.1"], "--measure"),
        (&["--measure", "--undo"], "--undo"),
    ] {
        let output = doctor(options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
}

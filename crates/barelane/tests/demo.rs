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
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The rows of the table.
const ROWS: usize = 26;

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

/// The rows that need a program that is not ours, and the program.
const OUTSIDE: [(&str, &str); 5] = [
    ("dpdk_5tswap_memif", "dpdk-testpmd"),
    ("dpdk_icmpecho", "dpdk-testpmd"),
    ("dpdk_5tswap", "dpdk-testpmd"),
    ("sockperf_server", "sockperf"),
    ("lane_sockperf", "sockperf"),
];

/// How long a process may take to be there, or to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the demo to its end; gives its JSON and its table.
fn finished(mut command: Command, path: &Path) -> (Value, String) {
    let before = Traces::now();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(Traces::now(), before);
    let json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    fs::remove_file(path).unwrap();
    (json, String::from_utf8(output.stdout).unwrap())
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("barelane-test-{name}-{}", std::process::id()))
}

/// As on a fresh machine.
#[test]
fn every_row_of_ours_is_answered_rightly_and_the_others_say_what_is_missing() {
    let (path, page) = (temporary("demo.json"), temporary("demo.html"));
    let arguments = ["--seconds", "1", "--json", path.to_str().unwrap(), "--report", page.to_str().unwrap()];
    let Some(mut command) = demo(&arguments) else { return };
    command.env("PATH", "/nonexistent");
    let (json, table) = finished(command, &path);
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), ROWS, "{table}");
    for row in rows {
        assert!(table.contains(row["title"].as_str().unwrap()), "{table}");
        match OUTSIDE.iter().find(|(name, _)| row["name"] == *name) {
            Some((_, program)) => {
                let why = row["not_measured"].as_str().unwrap();
                assert!(why.starts_with(&format!("{program} is not installed (apt-get install ")), "{why}");
                assert!(table.contains(&format!("not measured: {why}")), "{table}");
                assert!(row["answered"] == 0 && row["rtt_p50_ns"].is_null(), "{row}");
            }
            None => answered_rightly(row),
        }
        let is_driver = row["name"].as_str().unwrap().starts_with("driver_");
        assert_eq!(
            row["server"].as_str().is_some_and(|server| server.starts_with("the driver tier")),
            is_driver
        );
        let is_stamp = row["name"] == "lane_stamp";
        assert_eq!(row["residence_p50_ns"].is_u64() && row["network_p50_ns"].is_u64(), is_stamp, "{row}");
    }
    explained(&json);
    let html = fs::read_to_string(&page).unwrap();
    fs::remove_file(&page).unwrap();
    for words in
        ["kernel, UDP echo, blocking", "Barelane lane, STAMP", "Answered over", "XDP_TX native", "veth"]
    {
        assert!(html.contains(words), "the page does not say `{words}`");
    }
}

/// As for whoever is not root: shared memory and the loopback are left.
#[test]
fn without_privileges_memif_is_measured_beside_the_loopback() {
    let path = temporary("unprivileged.json");
    let mut command = if host::privileges::missing_for_namespaces().is_empty() {
        let mut command = Command::new("setpriv");
        let nothing = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"];
        command.args(nothing).arg(env!("CARGO_BIN_EXE_barelane"));
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_barelane"))
    };
    command.args(["demo", "--seconds", "1", "--json", path.to_str().unwrap()]).stdin(Stdio::null());
    let (json, table) = finished(command, &path);
    let rows = json["rows"].as_array().unwrap();
    let of = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    for name in ["loopback_udp_blocking", "loopback_udp_spinning", "memif_icmp", "memif_udp"] {
        answered_rightly(of(name));
    }
    assert_eq!(of("memif_udp")["mode"], "memif");
    let why = of("lane_udp")["not_measured"].as_str().unwrap();
    assert!(why.starts_with("a link of their own needs root (CAP_"), "{why}");
    let lacking = rows.iter().filter(|row| row["not_measured"] == why).count();
    assert!(table.contains(&format!("\n{lacking} rows more are not measured: {why}\n")), "{table}");
    assert!(table.contains("another path by another"), "{table}");
}

#[test]
#[ignore = "needs dpdk-testpmd and sockperf"]
fn testpmd_and_sockperf_are_asked_in_the_same_rounds() {
    let path = temporary("outside.json");
    let Some(command) = demo(&["--seconds", "1", "--json", path.to_str().unwrap()]) else { return };
    let (json, table) = finished(command, &path);
    for row in json["rows"].as_array().unwrap() {
        assert!(row["not_measured"].is_null(), "{table}");
        answered_rightly(row);
        if row["client"].as_str().unwrap().starts_with("sockperf ") {
            let keys = row["rounds"][0].as_object().unwrap().keys();
            keys.for_each(|key| assert_explained(include_str!("../../../docs/demo-json.md"), key));
        }
    }
}

fn answered_rightly(row: &Value) {
    assert!(row["answered"].as_u64().unwrap() > 0 && row["lost"] == 0 && row["wrong"] == 0, "{row}");
    assert!(row["rtt_p50_ns"].is_u64() && row["rtt_p50_ratio"].is_f64(), "{row}");
    let [min, median, max] =
        ["rtt_p50_ratio_min", "rtt_p50_ratio", "rtt_p50_ratio_max"].map(|key| row[key].as_f64().unwrap());
    assert!(min <= median && median <= max, "{row}");
    assert!(["mode", "driver", "clock", "client"].iter().all(|key| row[key].is_string()), "{row}");
}

/// `docs/demo-json.md` has a row for every key.
fn explained(json: &Value) {
    let text = include_str!("../../../docs/demo-json.md");
    for object in [json, &json["rows"][0], &json["machine"]] {
        object.as_object().unwrap().keys().for_each(|key| assert_explained(text, key));
    }
}

fn assert_explained(text: &str, key: &str) {
    assert!(text.contains(&format!("| `{key}` |")), "docs/demo-json.md does not explain `{key}`");
}

#[test]
fn at_saturation_every_server_of_ours_answers_and_no_answer_of_the_driver_is_lost() {
    let path = temporary("saturation.json");
    let arguments = ["--saturation", "--seconds", "1", "--json", path.to_str().unwrap()];
    let Some(mut command) = demo(&arguments) else { return };
    command.env("PATH", "/nonexistent");
    let (json, table) = finished(command, &path);
    let text = include_str!("../../../docs/demo-json.md");
    for row in json["rows"].as_array().unwrap() {
        row.as_object().unwrap().keys().for_each(|key| assert_explained(text, key));
        let name = row["name"].as_str().unwrap();
        if name.starts_with("dpdk_") {
            let why = row["not_measured"].as_str().unwrap();
            assert!(why.starts_with("dpdk-testpmd is not installed") && table.contains(why), "{table}");
            continue;
        }
        for round in row["rounds"].as_array().unwrap() {
            round.as_object().unwrap().keys().for_each(|key| assert_explained(text, key));
            let [sent, arrived, answered, wrong] =
                ["sent", "arrived", "answered", "wrong"].map(|key| round[key].as_u64().unwrap());
            assert!(sent > 0 && arrived > 0 && wrong == 0, "{row}");
            match name {
                "generator_alone" => assert!(answered < 100, "{row}"),
                "lane" => assert!(answered > 0 && answered <= arrived, "{row}"),
                // Some packets more may be the other kernel's.
                "driver" | "bare_xdp_tx" => assert!((sent..sent + 100).contains(&answered), "{row}"),
                _ => assert_eq!(answered, sent, "{row}"),
            }
        }
    }
    json.as_object().unwrap().keys().for_each(|key| assert_explained(text, key));
}

#[test]
fn under_overload_every_stretch_is_asked_and_answered_and_only_the_limit_makes_questions_too_old() {
    let path = temporary("overload.json");
    let arguments = ["--overload", "--seconds", "1", "--rounds", "1", "--json", path.to_str().unwrap()];
    let Some(command) = demo(&arguments) else { return };
    let (json, table) = finished(command, &path);
    let text = include_str!("../../../docs/demo-json.md");
    json.as_object().unwrap().keys().for_each(|key| assert_explained(text, key));
    assert!(
        json["saturated_per_second"].as_f64() > Some(0.0) && table.contains("80 %, age limit"),
        "{table}"
    );
    for row in json["rows"].as_array().unwrap() {
        row.as_object().unwrap().keys().for_each(|key| assert_explained(text, key));
        let round = &row["rounds"][0];
        for key in round.as_object().unwrap().keys() {
            assert!(text.contains(&format!("`{key}`")), "docs/demo-json.md does not explain `{key}`");
        }
        let [arrived, answered, too_old] =
            ["arrived", "answered", "too_old"].map(|key| round[key].as_u64().unwrap());
        // Some packets more may be the other kernel's.
        assert!(answered > 0 && answered + too_old <= arrived + 100, "{row}");
        assert!(row["is_limited"] == true || too_old == 0, "{row}");
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
    interrupt(&child);
    interrupt(&child);
    assert!(lines.any(|line| line.starts_with("barelane: error: interrupted")));
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(Traces::now(), before);
}

#[test]
#[ignore = "needs dpdk-testpmd"]
fn a_demo_that_is_ended_leaves_no_testpmd_behind() {
    leaves_nothing_of("dpdk-testpmd");
}

#[test]
#[ignore = "needs sockperf"]
fn a_demo_that_is_ended_leaves_no_sockperf_behind() {
    leaves_nothing_of("sockperf");
}

/// Ends the demo while it has a child that runs `program`, in the two ways that differ: one is told, one is not.
fn leaves_nothing_of(program: &str) {
    for how in [interrupt, kill] {
        let Some(mut command) = demo(&["--seconds", "20"]) else { return };
        let before = Traces::now();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let processes = wait_for(|| Some(processes_of(&child, program)).filter(|found| !found.is_empty()));
        how(&child);
        child.wait().unwrap();
        wait_for(|| processes.iter().all(|process| !is_alive(*process)).then_some(()));
        assert_eq!(Traces::now(), before);
        // What a killed process could not remove: its directory among temporary files.
        let _ = fs::remove_dir_all(std::env::temp_dir().join(format!("barelane-demo-{}", child.id())));
    }
}

fn interrupt(child: &Child) {
    signal(child, "INT");
}

fn kill(child: &Child) {
    signal(child, "KILL");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Looks again and again, until there is something to see.
fn wait_for<T>(look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The children of a process that run a program.
fn processes_of(parent: &Child, program: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // `PID (name) state parent …`, proc_pid_stat(5).
    let is_it = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let Some((name, rest)) = stat.split_once(") ") else { return false };
        name.ends_with(&format!("({program}"))
            && rest.split_whitespace().nth(1) == Some(&parent.id().to_string())
    };
    processes.filter(is_it).collect()
}

fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.split_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

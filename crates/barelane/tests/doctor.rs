//! `barelane doctor` as a process: on copies of other machines, killed at work, and on this machine for a moment.
//!
//! What it changes of this machine is safe, is said, and is put back also where the test fails. Where that may not be
//! changed, or no network namespace made, the tests say loudly that they were skipped.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use host::namespace::Namespace;
use host::veth::{End, VethPair, create};
use serde_json::Value;
use testkit::machines::Machine;

fn barelane(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.arg("doctor").args(arguments).stdin(Stdio::null());
    command
}

fn doctor(arguments: &[&str]) -> Output {
    barelane(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Not by a macro, whose words the test harness keeps to itself where a test passes.
fn skipped(test: &str, why: &str) {
    let _ = writeln!(io::stderr(), "skipped: doctor, {test}: {why}");
}

/// A record beside a machine, gone when dropped.
struct Record(PathBuf);

impl Record {
    fn new(test: &str) -> Self {
        Self(std::env::temp_dir().join(format!("barelane-doctor-{test}-{}", std::process::id())))
    }

    fn path(&self) -> String {
        self.0.join("record.json").to_str().unwrap().to_owned()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // There is none where nothing was changed.
        let _none = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_exit_code_says_whether_anything_is_bad() {
    let laptop = Machine::unpack("laptop", "exit").unwrap();
    let root = laptop.root().to_str().unwrap();
    let output = doctor(&["--root", root, "--nic", "enp0s31f6"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    for part in [
        "bad             energy-efficient-ethernet",
        "why  A sleeping link",
        "ethtool --set-eee enp0s31f6 eee off",
    ] {
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaint.starts_with("barelane: error: bad: ") && complaint.contains("clock-source"),
        "{complaint}"
    );
    let output =
        doctor(&["--root", root, "--nic", "enp0s31f6", "--only", "nic-rings", "--only", "flow-control"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_wrong_option_is_refused_with_the_remedy() {
    let laptop = Machine::unpack("laptop", "refused").unwrap();
    let root = laptop.root().to_str().unwrap();
    for (options, parts) in [
        (&["--only", "huge-page"][..], &["--only = \"huge-page\"", "huge-pages"][..]),
        (&["--core", "first"], &["--core = \"first\"", "such as 3"]),
        (&["--core", "99", "--root", root], &["core 99", "0-7"]),
        (&["--nic", "eth7", "--root", root], &["--nic = \"eth7\"", "card/NAME.json"]),
        (&["--nic", "nowhere0"], &["`nowhere0`", "lo"]),
        (&["--root", "/nowhere"], &["--root = \"/nowhere\"", "proc and sys"]),
        (&["--noise", "0"], &["--noise = \"0\"", "such as 10"]),
        (&["--fix", "--undo"], &["--fix", "--undo"]),
        (
            &["--fix", "--root", root, "--record", "/proc/record.json"],
            &["--record = \"/proc/record.json\"", "nothing was changed"],
        ),
    ] {
        let output = doctor(options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
        assert_eq!(said.lines().filter(|line| line.contains("error:")).count(), 1, "{said}");
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in\n{said}");
        }
    }
}

/// The server with a second card, on its other node.
fn with_two_cards(test: &str) -> Machine {
    let server = Machine::unpack("server", test).unwrap();
    let card = fs::read_to_string(server.root().join("card/ens2f0np0.json")).unwrap();
    let mut other: Value = serde_json::from_str(&card).unwrap();
    (other["name"], other["numa_node"], other["pci"]) = ("ens1f0np0".into(), 0.into(), "0000:3b:00.0".into());
    (other["rx_queues"], other["driver"]) = (1.into(), "ice".into());
    fs::write(server.root().join("card/ens1f0np0.json"), other.to_string()).unwrap();
    server
}

#[test]
fn of_two_cards_what_differs_is_said_of_each_and_the_rest_once() {
    let server = with_two_cards("two-cards");
    let root = server.root().to_str().unwrap();
    let two = ["--root", root, "--nic", "ens2f0np0", "--nic", "ens1f0np0"];
    let said = String::from_utf8(doctor(&two).stdout).unwrap();
    let heads: Vec<&str> = said.lines().take(2).collect();
    assert!(heads[0].starts_with("ens2f0np0 (mlx5_core), lanes on cores "), "{said}");
    assert!(heads[1].starts_with("ens1f0np0 (ice), lanes on cores "), "{said}");
    // Behind the status, which stands in the first sixteen columns; reasons and remedies have words of their own there.
    let is_of = |line: &&str, name: &str| {
        !line.starts_with(' ')
            && line.get(16..).is_some_and(|rest| rest.split_whitespace().next() == Some(name))
    };
    let rows = |name: &str| said.lines().filter(|line| is_of(line, name)).count();
    assert_eq!((rows("nic-queues"), rows("nic-numa"), rows("swap")), (2, 2, 1), "{said}");
    let found = json(&doctor(&[&two[..], &["--json", "--core", "5", "--core", "1"]].concat()));
    assert_eq!((found["cards"].as_array().unwrap().len(), &found["lanes"]), (2, &serde_json::json!([1, 5])));
    assert_eq!(found["card"]["name"], "ens2f0np0");
    let of = |name: &str| {
        let all = found["requirements"].as_array().unwrap().iter().filter(|one| one["name"] == name);
        all.map(|one| (one["nic"].as_str(), one["status"].as_str().unwrap())).collect::<Vec<_>>()
    };
    // Each on its own node: with one lane of each card, neither is judged by the other's.
    assert_eq!(of("nic-numa"), [(Some("ens2f0np0"), "good"), (Some("ens1f0np0"), "good")]);
    assert_eq!(of("swap").len(), 1);
    let output = doctor(&[&two[..], &["--core", "5"]].concat());
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--core = \"5\": 1 cores for 2 cards: there is one for each of them"), "{said}");
}

#[test]
fn every_key_of_the_json_is_explained() {
    let server = Machine::unpack("server", "json").unwrap();
    let root = server.root().to_str().unwrap();
    let record = Record::new("json");
    let options = ["--root", root, "--nic", "ens2f0np0", "--json", "--record", &record.path()];
    let fixed = json(&doctor(&[&options[..], &["--fix"]].concat()));
    let undone = json(&doctor(&["--root", root, "--json", "--undo", "--record", &record.path()]));
    let explained =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor-json.md")).unwrap();
    let mut keys = Vec::new();
    keys_in(&fixed, &mut keys);
    keys_in(&undone, &mut keys);
    for key in keys {
        assert!(explained.contains(&format!("`{key}`")), "{key} is not explained");
    }
    assert_eq!(fixed["schema"], "barelane-doctor-1");
    assert_eq!(fixed["lanes"], serde_json::json!([5, 6, 7]));
    assert_eq!(fixed["requirements"].as_array().unwrap().len(), 37);
    assert_eq!(undone["changed"].as_array().unwrap().len(), fixed["changed"].as_array().unwrap().len());
}

#[test]
fn the_noise_of_a_core_is_measured_and_explained() {
    let core = host::cores::allowed().unwrap()[0].to_string();
    let output = doctor(&["--noise", "1", "--core", &core, "--json"]);
    let report = json(&output);
    assert_eq!((output.status.code(), &report["schema"]), (Some(0), &Value::from("barelane-noise-1")));
    let measured = &report["cores"][0];
    let counted: u64 =
        measured["histogram"].as_array().unwrap().iter().map(|pair| pair[1].as_u64().unwrap()).sum();
    assert_eq!(measured["gaps"], counted);
    let explained =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor-json.md")).unwrap();
    for object in [&report, measured] {
        for key in object.as_object().unwrap().keys() {
            assert!(explained.contains(&format!("`{key}`")), "{key} is not explained");
        }
    }
    let table = String::from_utf8(doctor(&["--noise", "1", "--core", &core]).stdout).unwrap();
    assert!(table.contains("max µs") && table.contains("softirqs/s:"), "{table}");
}

/// All keys, but for those below `counts` and `parameters`, which are values of their own.
fn keys_in(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                keys.push(key.clone());
                if key != "parameters" {
                    keys_in(value, keys);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|one| keys_in(one, keys)),
        _ => {}
    }
}

#[test]
fn killed_at_work_it_can_still_be_undone_exactly() {
    const KILLS_WANTED: usize = 5;
    const ROUNDS_MAX: usize = 60;
    let server = Machine::unpack("server", "killed").unwrap();
    let root = server.root().to_str().unwrap();
    let (before, record) = (server.dump(), Record::new("killed"));
    let mut killed = 0;
    for round in 0..ROUNDS_MAX {
        let options = ["--root", root, "--nic", "ens2f0np0", "--fix", "--record", &record.path()];
        let mut child = barelane(&options).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // It says each change before it makes it: the line is when to strike.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        lines.by_ref().take(round % 12 + 1).for_each(|line| drop(line.unwrap()));
        child.kill().unwrap();
        let was_killed = child.wait().unwrap().signal().is_some();
        killed += usize::from(was_killed && Path::new(&record.path()).exists());
        let output = doctor(&["--root", root, "--undo", "--record", &record.path()]);
        assert_eq!(output.status.code(), Some(0), "round {round}: {output:?}");
        assert!(server.dump() == before, "round {round}: {output:?}");
        if killed == KILLS_WANTED {
            return;
        }
    }
    panic!("of {ROUNDS_MAX} kills {killed} came in time");
}

/// All settings below these that hold still when nobody touches them.
fn settings() -> BTreeMap<PathBuf, Vec<u8>> {
    let places = [
        "/proc/sys/vm",
        "/proc/sys/kernel",
        "/proc/sys/net/core",
        "/sys/kernel/mm",
        "/sys/devices/virtual/workqueue/cpumask",
    ];
    let mut found = BTreeMap::new();
    for place in places {
        read_below(Path::new(place), &mut found);
    }
    // Other programs, and other tests, take and give back huge pages and process numbers at any time.
    let moves = ["hugepages", "ns_last_pid", "/random/", "/pty/"];
    found.retain(|path: &PathBuf, _| !moves.iter().any(|part| path.to_string_lossy().contains(part)));
    found
}

fn read_below(path: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            read_below(&entry.path(), found);
        }
    } else if fs::metadata(path).is_ok_and(|facts| !facts.permissions().readonly())
        && let Ok(content) = fs::read(path)
    {
        found.insert(path.to_owned(), content);
    }
}

/// Undoes whatever is in a record, also where the test failed.
struct Restored(String);

impl Drop for Restored {
    fn drop(&mut self) {
        doctor(&["--undo", "--record", &self.0]);
    }
}

#[test]
fn this_machine_is_fixed_for_a_moment_and_is_what_it_was() {
    const TIMERS: &str = "/proc/sys/kernel/timer_migration";
    if let Err(error) = OpenOptions::new().write(true).open(TIMERS) {
        return skipped("this machine", &format!("{TIMERS} cannot be written: {error}"));
    }
    let record = Record::new("real");
    let _restored = Restored(record.path());
    let only = ["--only", "kernel-work", "--only", "timer-migration", "--only", "same-page-merging"];
    let before = settings();
    let steady = settings();
    let output = doctor(&[&only[..], &["--fix", "--json", "--record", &record.path()]].concat());
    let fixed = json(&output);
    let changed = fixed["changed"].as_array().unwrap();
    for change in changed {
        assert_eq!(change["failed"], Value::Null, "{change}");
        let path = Path::new(change["setting"].as_str().unwrap());
        assert_eq!(fs::read_to_string(path).unwrap().trim(), change["to"].as_str().unwrap(), "{change}");
        let was = String::from_utf8_lossy(&before[path]).trim().to_owned();
        assert_eq!(was, change["from"].as_str().unwrap(), "{change}");
    }
    let output = doctor(&["--undo", "--record", &record.path()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let after = settings();
    let others: Vec<_> = before
        .iter()
        .filter(|(path, held)| steady.get(*path) == Some(held) && after.get(*path) != Some(held))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(before.len() > 100, "{} settings were compared", before.len());
    if changed.is_empty() {
        skipped("this machine", "it has nothing to change of what may be changed by a test");
    }
}

#[test]
fn a_veth_is_fixed_by_netlink_and_is_what_it_was() {
    let missing = host::privileges::missing_for_namespaces();
    if !missing.is_empty() {
        return skipped("a veth", &format!("a network namespace needs {missing:?}"));
    }
    let namespace = Namespace::new().unwrap();
    let end = |name, last| End {
        namespace: Some(&namespace),
        name,
        mac: [2, 0, 0, 0, 9, last],
        rx_queues: 1,
        tx_queues: 1,
        addresses: &[],
    };
    create(&VethPair { a: end("lane0", 1), b: end("peer0", 2), mtu: 1500 }).unwrap();
    let record = Record::new("veth");
    let run = |arguments: &[&str]| namespace.run(|| doctor(arguments)).unwrap();
    let cards = || ["lane0", "peer0"].map(|nic| json(&run(&["--nic", nic, "--json"]))["card"].clone());
    let before = cards();
    let output =
        run(&["--nic", "lane0", "--only", "veth-checksums", "--fix", "--json", "--record", &record.path()]);
    let fixed = json(&output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(fixed["requirements"][0]["status"], "good", "{fixed}");
    assert_eq!(fixed["changed"][0]["setting"], "peer0 tx-checksum-ip-generic");
    let is_on =
        |card: &Value| card["active"].as_array().unwrap().iter().any(|one| one == "tx-checksum-ip-generic");
    assert!(is_on(&before[1]) && !is_on(&cards()[1]));
    let output = run(&["--undo", "--record", &record.path()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(cards(), before);
    assert!(!Path::new(&record.path()).exists());
}

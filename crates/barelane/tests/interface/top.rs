//! Does `barelane top` say what a running server does, and what is wrong where none runs?

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::server::Server;
use crate::side_channel::{ask, segment_of};
use crate::topology::{Ended, Topology, finish};

pub(crate) fn top(arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.arg("top").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

#[test]
#[ignore = "needs root: a network namespace"]
fn one_document_says_what_was_asked_and_how_it_ended() {
    const COUNT: u64 = 2_000;
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let segment = segment_of(&server);
    ask(&topology, COUNT);
    let ended = top(&["--once", "--json", "--interval", "0.5", "--segment", segment.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    let document: Value = serde_json::from_str(&ended.said).unwrap();
    assert_eq!(document["schema"], "barelane-top-1");
    let said = &document["servers"][0];
    assert_eq!((said["nic"].as_str(), said["is_served"].as_bool()), (Some("lane0"), Some(true)));
    assert!(said["over_ns"].as_u64() >= Some(400_000_000), "{said}");
    let lane = &said["lanes"][0];
    let [received, replied, passed, dropped] =
        ["received", "replied", "passed", "dropped"].map(|key| lane[key].as_u64().unwrap());
    assert_eq!(received, replied + passed + dropped);
    let answers = said["answers"].as_array().unwrap();
    let udp = answers.iter().find(|answer| answer["name"] == "udp").unwrap();
    assert_eq!((udp["lane_count"].as_u64(), udp["driver_count"].as_u64()), (Some(COUNT), Some(0)));
    assert_eq!(udp["residence"]["count"].as_u64(), Some(COUNT));
    assert!(udp["residence"]["p99_ns"].as_u64() > Some(0), "{udp}");
    drop(server);
    let ended = top(&["--json", "--interval", "0.2", "--segment", segment.to_str().unwrap()]);
    let document: Value = serde_json::from_str(&ended.said).unwrap();
    let said = &document["servers"][0];
    assert_eq!(
        (said["is_served"].as_bool(), said["over_ns"].as_u64()),
        (Some(false), Some(0)),
        "after SIGKILL"
    );
}

#[test]
#[ignore = "needs root: a network namespace"]
fn one_table_says_it_for_every_server_that_runs() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    ask(&topology, 100);
    let ended = top(&["--once"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    let process = format!("process {}", server.id());
    let begin = ended.said.find(&process).unwrap_or_else(|| panic!("no {process} in\n{}", ended.said));
    for wanted in ["lanes  ", "driver ", "answ/s", "udp ", "icmp-echo"] {
        assert!(ended.said[begin..].contains(wanted), "{wanted} is not in\n{}", ended.said);
    }
}

#[test]
#[ignore = "needs root: a mount namespace"]
fn where_no_server_runs_it_says_what_to_do_and_ends_with_1() {
    // A mount namespace with places of its own, so that the servers of others are not seen.
    let script = "mount -t tmpfs none /dev/shm && mount -t tmpfs none /run && exec \"$0\" top --once";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_barelane")]);
    command.env_remove("RUNTIME_DIRECTORY");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = finish(command.spawn().unwrap());
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said);
    assert!(ended.said.contains("no server runs here: start one with barelane serve"), "{}", ended.said);
}

#[test]
fn what_cannot_be_is_said_with_its_remedy_and_ends_with_2() {
    let nowhere = ["--once", "--segment", "/nowhere/at.all"];
    let program = ["--json", "--segment", env!("CARGO_BIN_EXE_barelane")];
    for (arguments, wanted) in [
        (&nowhere[..], "--segment = \"/nowhere/at.all\""),
        (&program, "does not begin with BARELANE"),
        (&["--once", "--interval", "0"], "--interval = \"0\": no time between two looks; write seconds"),
        (&[], "write --once or --json"),
    ] {
        let ended = top(arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", ended.said);
        assert!(ended.said.contains(wanted) && ended.said.lines().count() == 1, "{}", ended.said);
    }
}

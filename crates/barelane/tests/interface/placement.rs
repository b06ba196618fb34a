//! Do servers leave each other their cores?

use std::process::{Command, Stdio};

use crate::server::Server;
use crate::topology::{SERVER_NIC, Topology};

/// What `barelane check` says on the server's end of a topology.
fn checked(topology: &Topology, options: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args(["check", "--nic", SERVER_NIC]).args(options).stdin(Stdio::null());
    let output = topology.server.run(|| command.output()).unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_second_server_leaves_the_first_one_its_core_and_says_whose_it_is() {
    let (topology, another) = (Topology::new(), Topology::new());
    let server = Server::alone_with(&topology, &["--core", "1", "--admin", "off"]);
    let whose = format!("the lane of queue 0 of the server on {SERVER_NIC} (process {})", server.id());
    let plan = checked(&another, &["--core", "1"]);
    assert!(plan.contains(&format!("core 1 is a lane's, and {whose} has it too")), "{plan}");
    // On the interface that it serves, it is the one that would take the plan over.
    let plan = checked(&topology, &["--core", "1"]);
    assert!(!plan.contains(&whose), "{plan}");
}

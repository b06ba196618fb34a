//! Several cards: what is refused, what `check` prints, and that nothing is attached to any of them where one is refused.

use std::process::Command;

use host::links;

use crate::{Hosts, NIC, assert_says, barelane, refusal};

const OTHER: &str = "lane1";

/// The host of other tests with a second interface, whose other end is on the same host.
fn hosts(test: &str) -> Option<Hosts> {
    let hosts = Hosts::new(test)?;
    let run = |arguments: &[&str]| {
        let done = hosts.server.run(|| Command::new("ip").args(arguments).status()).unwrap().unwrap();
        assert!(done.success(), "ip {arguments:?}");
    };
    run(&["link", "add", OTHER, "type", "veth", "peer", "name", "peer1"]);
    run(&["address", "add", "10.7.0.1/24", "dev", OTHER]);
    for end in [OTHER, "peer1"] {
        run(&["link", "set", end, "up"]);
    }
    Some(hosts)
}

/// Demands that it is refused, and that no card has a program.
fn refused(hosts: &Hosts, arguments: &[&str]) -> String {
    let line = hosts.refused(arguments);
    let link = hosts.server.run(|| links::link(OTHER)).unwrap().unwrap();
    assert!(link.program.is_none(), "{line}");
    line
}

#[test]
fn what_could_be_meant_for_one_of_several_cards_is_refused() {
    let two = ["serve", "--nic", NIC, "--nic", OTHER];
    for (options, says) in [
        (
            &["--address", "10.8.0.9/24"][..],
            &["serve.addresses (--address) = \"10.8.0.9/24\"", "2 cards", "[[nic]]"][..],
        ),
        (&["--queue", "0"], &["nic.queues (--queue) = \"0\"", "write queues in the [[nic]]"]),
        (
            &["--core", "1"],
            &["lane.cores (--core) = \"1\"", "1 cores for 2 cards", "write cores in each [[nic]]"],
        ),
        (&["--mac", "02:00:00:00:00:07"], &["nic.mac (--mac)", "write mac in the [[nic]]"]),
        (&["--nic", NIC], &["nic.interface (--nic) = \"lane0\"", "given twice"]),
    ] {
        assert_says(&refusal(&barelane(&[&two, options].concat()).output().unwrap()), says);
    }
    let line = refusal(&barelane(&[&two[..], &["--memif", "@x"]].concat()).output().unwrap());
    assert_says(&line, &["--memif", "--nic", "cannot be used with"]);
}

#[test]
fn a_card_that_cannot_be_served_keeps_the_others_from_being_touched() {
    let Some(hosts) = hosts("several-refused") else { return };
    let line = refused(&hosts, &["serve", "--nic", NIC, "--nic", "nowhere0"]);
    assert_says(&line, &["nic.interface (--nic) = \"nowhere0\"", "no such interface"]);
    // When the first one is open already: another host has the address.
    let conflict = format!(
        "[[nic]]\ninterface = \"{OTHER}\"\n[[nic]]\ninterface = \"{NIC}\"\naddresses = [\"10.8.0.2/24\"]\n[serve]\naddress_check_ms = 200\n"
    );
    let line = refused(&hosts, &["serve", "--config", &hosts.file(&conflict)]);
    assert_says(&line, &["nic.addresses = \"10.8.0.2\"", "02:00:00:00:08:02", "(for lane0)"]);
    let file = hosts
        .file(&format!("[[nic]]\ninterface = \"{NIC}\"\n[[nic]]\ninterface = \"{OTHER}\"\nmemif = \"@x\"\n"));
    assert_says(&refused(&hosts, &["serve", "--config", &file]), &["nic.memif (--memif)", "is served alone"]);
    let route = format!(
        "[[nic]]\ninterface = \"{NIC}\"\n[[nic]]\ninterface = \"{OTHER}\"\n[[route]]\nrespond = \"stamp\"\naddress = \"10.6.0.1\"\n"
    );
    let line = refused(&hosts, &["serve", "--config", &hosts.file(&route)]);
    assert_says(&line, &["route.address = \"10.6.0.1\"", "not served"]);
}

#[test]
fn check_prints_the_plan_of_each_card_and_explain_says_it_for_each() {
    let Some(hosts) = hosts("several-check") else { return };
    let text = format!(
        "[[nic]]\ninterface = \"{NIC}\"\naddresses = [\"10.8.0.9/24\"]\n[[nic]]\ninterface = \"{OTHER}\"\n\
         [[route]]\nrespond = \"udp-echo:7\"\naddress = \"10.7.0.1\"\n"
    );
    let file = hosts.file(&text);
    let output = hosts.run(&["check", "--config", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (first, second) = text.split_once("\n\n").unwrap();
    assert_says(
        first,
        &[
            "interface    lane0 (",
            "10.8.0.9/24: icmp-echo; Barelane's alone",
            "1: udp-echo:7 on 10.7.0.1 -> nothing on this card",
        ],
    );
    assert_says(
        second,
        &[
            "interface    lane1 (",
            "10.7.0.1/24: udp-echo:7, icmp-echo; the kernel keeps",
            "1: udp-echo:7 on 10.7.0.1 -> lane",
        ],
    );
    let cores: Vec<&str> = text.lines().filter(|line| line.starts_with("lane ")).collect();
    assert_eq!(cores.len(), 2);
    let core = |line: &str| line.split("on core ").nth(1).unwrap().split(':').next().unwrap().to_owned();
    if host::cores::allowed().unwrap().len() > 1 {
        assert_ne!(core(cores[0]), core(cores[1]));
    }
    let output = hosts.run(&["routes", "explain", "udp 10.7.0.2:50000 > 10.7.0.1:7", "--config", &file]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_says(
        &text,
        &[
            "card         lane0",
            "10.7.0.1 is not an address that is served",
            "card         lane1",
            "route 1 takes it",
        ],
    );
    // Options that are for all of them.
    let output =
        hosts.run(&["check", "--nic", NIC, "--nic", OTHER, "--respond", "udp-echo:9", "--tier", "lane"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches("1: udp-echo:9 -> lane").count(), 2);
}

#[test]
fn where_there_are_too_few_cores_the_second_card_is_refused_as_a_second_queue_would_be() {
    let Some(hosts) = hosts("several-cores") else { return };
    let Some(&core) = host::cores::allowed().unwrap().first() else { return };
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        &core.to_string(),
        env!("CARGO_BIN_EXE_barelane"),
        "serve",
        "--nic",
        NIC,
        "--nic",
        OTHER,
    ]);
    let line = refusal(&hosts.server.run(|| command.output()).unwrap().unwrap());
    assert_says(
        &line,
        &["nic.cores = \"\"", "1 queues need 1 cores", "the 1 lanes of other cards leave 0", "(for lane1)"],
    );
}

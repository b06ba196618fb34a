//! Every wrong setting ends with code 2 and one line that names the setting, the value and the remedy, and leaves the
//! interface as it was.
//!
//! The binary runs in network namespaces that hang on file descriptors of the test: nothing is left behind. Making
//! them needs root; without it these tests say loudly that they were skipped.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use host::links;
use host::namespace::Namespace;
use host::veth::{End, VethPair, create};

mod lanes;
mod memif;
mod several;
mod stamps;

const NIC: &str = "lane0";
const PEER_MAC: &str = "02:00:00:00:08:02";

/// A host with one interface, and another host behind it that has `10.8.0.2` and `fd08::2`.
struct Hosts {
    server: Namespace,
    _peer: Namespace,
    directory: PathBuf,
}

impl Hosts {
    /// Nothing where this process may not make namespaces.
    fn new(test: &str) -> Option<Self> {
        Self::with_mtu(test, 1500)
    }

    fn with_mtu(test: &str, mtu: u32) -> Option<Self> {
        let missing = host::privileges::missing_for_namespaces();
        if !missing.is_empty() {
            // Not by a macro, whose words the test harness keeps to itself where a test passes.
            let _ =
                writeln!(io::stderr(), "skipped: settings, {test}: a network namespace needs {missing:?}");
            return None;
        }
        let (server, peer) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let own: [(IpAddr, u8); 2] = [("10.8.0.1".parse().unwrap(), 24), ("fd08::1".parse().unwrap(), 64)];
        let theirs: [(IpAddr, u8); 2] = [("10.8.0.2".parse().unwrap(), 24), ("fd08::2".parse().unwrap(), 64)];
        let end = |namespace, name, host, addresses| End {
            namespace: Some(namespace),
            name,
            mac: [2, 0, 0, 0, 8, host],
            rx_queues: 1,
            tx_queues: 1,
            addresses,
        };
        let pair = VethPair { a: end(&server, NIC, 1, &own), b: end(&peer, "peer0", 2, &theirs), mtu };
        create(&pair).unwrap();
        let directory = std::env::temp_dir().join(format!("barelane-settings-{test}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        Some(Self { server, _peer: peer, directory })
    }

    fn file(&self, text: &str) -> String {
        let path = self.directory.join("barelane.toml");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn program(&self) -> Option<u32> {
        let link = self.server.run(|| links::link(NIC)).unwrap().unwrap();
        link.program.map(|program| program.id)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = barelane(arguments);
        self.server.run(|| command.output()).unwrap().unwrap()
    }

    /// Runs it, demands that it is refused and nothing has changed, and gives the one line that it said.
    fn refused(&self, arguments: &[&str]) -> String {
        let before = self.program();
        let line = refusal(&self.run(arguments));
        assert_eq!(self.program(), before, "{line}");
        line
    }

    /// `serve` on the interface with more options.
    fn serve_refused(&self, options: &[&str]) -> String {
        self.refused(&[&["serve", "--nic", NIC], options].concat())
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // What cannot be removed is an empty directory of the system's own place for such things.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn barelane(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The one line of a run that was refused.
fn refusal(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("barelane: error: "), "{said}");
    assert!(output.stdout.is_empty(), "{said}");
    said
}

#[track_caller]
fn assert_says(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "`{part}` is not in\n{line}");
    }
}

#[test]
fn an_interface_that_does_not_exist_is_refused_with_those_that_do() {
    let line = refusal(&barelane(&["serve", "--nic", "nowhere0"]).output().unwrap());
    assert_says(&line, &["nic.interface (--nic) = \"nowhere0\"", "no such interface", "name one of lo"]);
    let line = refusal(&barelane(&["serve", "--nic", "lo"]).output().unwrap());
    assert_says(&line, &["nic.interface (--nic) = \"lo\"", "the loopback interface", "name an Ethernet"]);
    let line = refusal(&barelane(&["check"]).output().unwrap());
    assert_says(&line, &["nic.interface (--nic) = \"\"", "no interface is named"]);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let Some(hosts) = Hosts::new("unknown-key") else { return };
    let file = hosts.file("[nic]\ninterface = \"lane0\"\nzerocopy = \"yes\"\n");
    let line = hosts.refused(&["serve", "--config", &file]);
    assert_says(&line, &["nic.zerocopy = \"yes\"", "unknown key", "nic.zero_copy", "barelane.toml line 3"]);
}

#[test]
fn an_unknown_option_is_refused_with_the_nearest_one() {
    let line = refusal(&barelane(&["serve", "--nik", "lo"]).output().unwrap());
    assert_says(&line, &["--nik", "--nic"]);
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let line = refusal(&barelane(&["check", "--config", "/nowhere/barelane.toml"]).output().unwrap());
    assert_says(&line, &["--config = \"/nowhere/barelane.toml\""]);
}

#[test]
fn a_result_that_cannot_be_written_or_a_backend_that_is_none_is_refused_before_anything_is_measured() {
    let nowhere = "/nowhere/probe.json";
    let line = refusal(&barelane(&["probe", "127.0.0.1", "--json", nowhere]).output().unwrap());
    assert_says(&line, &["--json = \"/nowhere/probe.json\"", "name a file that can be written"]);
    // A name that no resolver knows is not even asked for.
    let line = refusal(&barelane(&["probe", "nobody.invalid", "--backend", "smoke"]).output().unwrap());
    assert_says(&line, &["--backend = \"smoke\"", "write one of socket, xdp"]);
    let Some(_hosts) = Hosts::new("json") else { return };
    let line = refusal(&barelane(&["demo", "--json", nowhere]).output().unwrap());
    assert_says(&line, &["--json = \"/nowhere/probe.json\"", "name a file that can be written"]);
}

#[test]
fn who_is_not_privileged_is_told_what_is_missing() {
    let Some(hosts) = Hosts::new("privileges") else { return };
    // Where another user may run it, whoever owns the build directory.
    let program = hosts.directory.join("barelane");
    fs::copy(env!("CARGO_BIN_EXE_barelane"), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["serve", "--nic", NIC]).stdin(Stdio::null()).uid(65_534).gid(65_534);
    let line = refusal(&hosts.server.run(|| command.output()).unwrap().unwrap());
    assert_says(&line, &["nic.interface (--nic) = \"lane0\"", "CAP_NET_ADMIN", "run it as root"]);
    assert_says(&line, &["setcap cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon,cap_ipc_lock+ep BINARY"]);
    let mut command = Command::new(&program);
    command.args(["demo", "--saturation"]).stdin(Stdio::null()).uid(65_534).gid(65_534);
    assert_says(
        &refusal(&command.output().unwrap()),
        &["demo --saturation", "CAP_SYS_ADMIN", "run it as root"],
    );
}

#[test]
fn a_core_that_does_not_exist_is_refused_with_those_that_do() {
    let Some(hosts) = Hosts::new("core") else { return };
    let line = hosts.serve_refused(&["--core", "9999"]);
    assert_says(&line, &["lane.cores (--core) = \"9999\"", "no such core", "choose from 0"]);
    assert_says(&hosts.serve_refused(&["--core", "one"]), &["--core", "\"one\"", "whole number"]);
}

#[test]
fn places_for_streams_that_are_no_power_of_two_are_refused() {
    let Some(hosts) = Hosts::new("streams") else { return };
    let line = hosts.serve_refused(&["--streams", "1000"]);
    assert_says(&line, &["lane.streams (--streams) = \"1000\"", "powers of two; write 1024, or 0 for none"]);
}

#[test]
fn more_lanes_than_queues_are_refused() {
    let Some(hosts) = Hosts::new("queues") else { return };
    assert_says(
        &hosts.serve_refused(&["--queue", "1"]),
        &["nic.queues (--queue) = \"1\"", "1 active", "ethtool -L lane0"],
    );
    if host::cores::allowed().unwrap().len() > 1 {
        let line = hosts.serve_refused(&["--core", "0", "--core", "1"]);
        assert_says(&line, &["lane.cores (--core) = \"0, 1\"", "2 lanes", "ethtool -L lane0 combined 2"]);
        let line = hosts.serve_refused(&["--core", "0", "--core", "1", "--queue", "0"]);
        assert_says(&line, &["2 cores for 1 queues"]);
    }
}

#[test]
fn an_address_that_no_host_can_have_is_refused() {
    let Some(hosts) = Hosts::new("addresses") else { return };
    for (address, problem) in [
        ("10.8.0.9", "prefix length is missing"),
        ("10.8.0.9/64", "from 0 to 32"),
        ("::ffff:10.8.0.9/64", "write 10.8.0.9"),
        ("224.0.0.1/24", "use a unicast address"),
        ("ff02::1/64", "use a unicast address"),
        ("127.0.0.1/8", "use a unicast address"),
        ("10.8.0.255/24", "broadcast"),
        ("10.8.0.0/24", "network"),
        ("localhost/8", "not an IP address"),
    ] {
        assert_says(&hosts.serve_refused(&["--address", address]), &["serve.addresses (--address)", problem]);
    }
}

#[test]
fn an_address_that_the_kernel_found_to_be_another_hosts_is_refused_or_skipped() {
    let Some(hosts) = Hosts::new("duplicate") else { return };
    let taken = ["-6", "address", "add", "fd08::2/64", "dev", NIC];
    assert!(hosts.server.run(|| Command::new("ip").args(taken).status()).unwrap().unwrap().success());
    // Serving waits until the kernel has found out.
    let line = hosts.serve_refused(&["--address", "fd08::2/64"]);
    assert_says(&line, &["serve.addresses (--address) = \"fd08::2\"", "another host has it", "dadfailed"]);
    let output = hosts.run(&["check", "--nic", NIC]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_says(&text, &["fd08::1/64: icmp-echo", "fd08::2 is not served: another host has it"]);
}

#[test]
fn an_address_that_another_host_has_is_refused_with_that_hosts_mac() {
    let Some(hosts) = Hosts::new("conflict") else { return };
    for address in ["10.8.0.2/24", "fd08::2/64"] {
        let line = hosts.serve_refused(&["--address", address]);
        assert_says(&line, &["serve.addresses (--address)", PEER_MAC, "choose another address"]);
    }
}

#[test]
fn a_responder_or_port_that_does_not_exist_is_refused() {
    let Some(hosts) = Hosts::new("responders") else { return };
    for responder in ["udp-echo:0", "udp-echo:65536", "udp-echo", "icmp", "stamp:0", "sockperf"] {
        let line = hosts.serve_refused(&["--respond", responder]);
        let remedy = "icmp-echo, udp-echo:PORT, stamp, stamp:PORT or sockperf:PORT";
        assert_says(&line, &["serve.respond (--respond)", responder, remedy]);
    }
    let line = hosts.serve_refused(&["--respond", "stamp", "--respond", "sockperf:862"]);
    assert_says(
        &line,
        &["serve.respond (--respond)", "`stamp:862`", "`sockperf:862`", "remove one of the two"],
    );
}

#[test]
fn a_stamp_key_that_cannot_be_used_is_refused_and_never_shown() {
    let Some(hosts) = Hosts::new("stamp-key") else { return };
    let file = std::env::temp_dir().join(format!("barelane-settings-key-{}", std::process::id()));
    let path = file.to_str().unwrap();
    let with_key = ["--respond", "stamp", "--stamp-key", path];
    assert_says(&hosts.serve_refused(&with_key), &["stamp.key_file (--stamp-key)", path, "No such file"]);
    for (content, mode, problem) in [("hush", 0o644, "chmod 600"), ("", 0o600, "it is empty")] {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let line = hosts.serve_refused(&with_key);
        assert_says(&line, &["stamp.key_file (--stamp-key)", path, problem]);
        assert!(!line.contains("hush"), "{line}");
    }
    fs::write(&file, "hush").unwrap();
    let answering = ["--stamp-short", "answer"];
    let output = hosts.run(&[&["check", "--nic", NIC], &with_key[..], &answering].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    fs::remove_file(&file).unwrap();
    let short = "warning      short STAMP packets are to be answered, and with a key none of them is";
    assert_says(&text, &["stamp:862", "authenticated, with the key in", path, short]);
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn what_is_done_about_short_stamp_packets_is_one_of_two_and_printed() {
    let Some(hosts) = Hosts::new("stamp-short") else { return };
    let with = |choice| ["--nic", NIC, "--respond", "stamp", "--stamp-short", choice];
    let line = hosts.refused(&[&["serve"], &with("yes")[..]].concat());
    assert_says(&line, &["stamp.short_packets (--stamp-short) = \"yes\"", "write one of drop, answer"]);
    for (choice, says) in [("drop", "less than 44 bytes are dropped"), ("answer", "answered with 44")] {
        let output = hosts.run(&[&["check"], &with(choice)[..]].concat());
        assert_says(&String::from_utf8(output.stdout).unwrap(), &["unauthenticated, ", says]);
    }
}

#[test]
fn a_route_that_stands_twice_or_nowhere_is_refused() {
    let Some(hosts) = Hosts::new("routes") else { return };
    let route = |address, respond| {
        format!("[nic]\ninterface = \"lane0\"\n[[route]]\naddress = \"{address}\"\nrespond = \"{respond}\"\n")
    };
    let once = route("10.8.0.1", "udp-echo:7");
    let again = once.split_once("[[route]]").unwrap().1;
    let file = hosts.file(&format!("{once}[[route]]{again}"));
    assert_says(
        &hosts.refused(&["serve", "--config", &file]),
        &["route.respond = \"udp-echo:7\"", "route 2 (", "route 1 (", "comes first"],
    );
    let file = hosts.file(&route("10.8.0.7", "udp-echo:7"));
    assert_says(
        &hosts.refused(&["serve", "--config", &file]),
        &["route.address = \"10.8.0.7\"", "not served"],
    );
}

/// A configuration file with these routes, on an address that only Barelane has and VLANs 7 and 8.
fn with_routes(routes: &[&str]) -> String {
    let head = "[nic]\ninterface = \"lane0\"\n[serve]\naddresses = [\"10.8.0.9/24\"]\nvlans = [7, 8]\n";
    [&[head], routes].concat().join("\n[[route]]\n")
}

#[test]
fn a_condition_that_cannot_be_met_is_refused_by_its_key() {
    let Some(hosts) = Hosts::new("conditions") else { return };
    for (route, says) in [
        ("nic = \"eth7\"", &["route.nic = \"eth7\"", "lane0", "leave the key out"][..]),
        ("address = \"10.9.0.0/16\"", &["route.address = \"10.9.0.0/16\"", "route 1 (", "not served"]),
        ("address = \"10.8.0.9/16\"", &["route.address = \"10.8.0.9/16\"", "write 10.8.0.0/16", "line 9"]),
        ("from = [\"10.0.0.0/33\"]", &["route.from = \"10.0.0.0/33\"", "from 0 to 32", "line 9"]),
        ("from = [\"fd00::/8\"]", &["route.from = \"fd00::/8\"", "another IP version"]),
        ("vlans = [9]", &["route.vlans = \"9\"", "VLAN 9, which is not served", "serve.vlans"]),
        ("vlans = [0]", &["route.vlans = \"0\"", "from 1 to 4094, or \"untagged\"", "line 9"]),
        ("tier = \"kernel space\"", &["route.tier = \"kernel space\"", "auto, driver, lane, kernel"]),
        ("tier = \"driver\"", &["route.tier = \"driver\"", "use tier auto or lane"]),
        (
            "source_prefix_ipv4 = 24",
            &["route.source_prefix_ipv4 = \"24\"", "set answers_per_second_per_source too", "line 9"],
        ),
        (
            "answers_per_second_per_source = 9\nsource_prefix_ipv6 = 65",
            &["route.source_prefix_ipv6 = \"65\"", "from 1 to 64", "line 10"],
        ),
        ("next_hop = \"router\"", &["route.next_hop = \"router\"", "write one of auto, reflect", "line 9"]),
    ] {
        let file = hosts.file(&with_routes(&[&format!("respond = \"icmp-echo\"\n{route}")]));
        assert_says(&hosts.refused(&["serve", "--config", &file]), says);
    }
    let file = hosts.file(&with_routes(&["respond = \"udp-echo:9-8\""]));
    assert_says(
        &hosts.refused(&["serve", "--config", &file]),
        &["route.respond = \"udp-echo:9-8\"", "4000-4999"],
    );
    let file =
        hosts.file(&with_routes(&["respond = \"icmp-echo\"\ntier = \"kernel\"\nnext_hop = \"reflect\""]));
    assert_says(
        &hosts.refused(&["serve", "--config", &file]),
        &["route.next_hop = \"reflect\"", "route 1 leaves its questions to the kernel", "leave the key out"],
    );
    let file =
        hosts.file(&with_routes(&["respond = \"udp-echo:1-99\"", "respond = \"sockperf:7\"\nvlans = [7]"]));
    let line = hosts.refused(&["serve", "--config", &file]);
    assert_says(
        &line,
        &["route.respond = \"sockperf:7\"", "route 2 (`sockperf:7, VLANs 7`)", "route 1 (`udp-echo:1-99`)"],
    );
}

#[test]
fn routes_explain_says_which_route_takes_a_packet_and_why_those_before_do_not() {
    let Some(hosts) = Hosts::new("explain") else { return };
    let file = hosts.file(&with_routes(&[
        "respond = \"udp-echo:7\"\nfrom = [\"10.9.0.0/16\"]\ntier = \"kernel\"",
        "respond = \"sockperf:4000-4999\"\nvlans = [7]\nanswers_per_second_per_source = 9\nsource_prefix_ipv4 = 24",
        "respond = \"udp-echo:1-9999\"",
        "respond = \"udp-echo:10001\"\nnext_hop = \"reflect\"",
    ]));
    for (packet, says) in [
        (
            "udp 10.8.0.2:5000 > 10.8.0.9:7",
            &[
                "packet       udp 10.8.0.2:5000 > 10.8.0.9:7, untagged",
                "route 1      no, it is for questions from 10.9.0.0/16",
                "route 2      no, its UDP port is 4000-4999",
                "route 3      yes: udp-echo:1-9999",
                "verdict      route 3 takes it: answered by a UDP echo, tier lane (the other end of the veth lane0 has no XDP program",
            ][..],
        ),
        (
            "udp 10.9.1.1:50000 > 10.8.0.9:7",
            &["route 1      yes", "verdict      the kernel's: route 1 leaves it"],
        ),
        ("udp 10.8.0.2:50000 > 10.8.0.9:4001", &["route 2      no, its VLANs are 7", "route 3 takes it"]),
        (
            "udp 10.8.0.2:50000 > 10.8.0.9:4001 vlan 7",
            &[
                "route 2      yes: sockperf:4000-4999, VLANs 7, at most 9/s to one source (IPv4 /24, IPv6 /64)",
                "route 2 takes it: answered by a sockperf server",
            ],
        ),
        ("udp 10.8.0.2:50000 > 10.8.0.9:4001 vlan 9", &["VLAN 9 is not served"]),
        ("udp 10.8.0.2:50000 > 10.8.0.9:10000", &["route 5      no, it answers ICMP", "a closed port"]),
        (
            "udp 10.8.0.2:50000 > 10.8.0.9:10001",
            &["yes: udp-echo:10001, next hop reflect", ", and sent back to the station that asked, wherever"],
        ),
        (
            "udp 10.8.0.2:53 > 10.8.0.9:7",
            &["route 3 takes it", "but          whatever comes from port 53 is dropped"],
        ),
        ("icmp 10.8.0.2 > 10.8.0.9", &["route 5      yes: icmp-echo", "answered by an ICMP echo"]),
        ("icmp 10.8.0.2 > 10.8.0.1", &["the kernel's: 10.8.0.1 is not an address that is served"]),
        ("arp 10.8.0.2 > 10.8.0.9", &["answered at tier lane: the address is Barelane's alone"]),
    ] {
        let output = hosts.run(&["routes", "explain", packet, "--config", &file]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{packet}: {}", String::from_utf8_lossy(&output.stderr));
        assert_says(&text, says);
    }
    let options = ["routes", "explain", "icmp6 fd08::2 > fd08::1", "--nic", NIC];
    assert_says(&String::from_utf8_lossy(&hosts.run(&options).stdout), &["route 1 takes it"]);
    let options = ["routes", "explain", "ndp fd08::2 > fd08::1", "--nic", NIC];
    assert_says(
        &String::from_utf8_lossy(&hosts.run(&options).stdout),
        &["the kernel's: it has the address too"],
    );
    for packet in ["udp 10.8.0.2 > 10.8.0.9", "sctp 1 > 2", ""] {
        let line = hosts.refused(&["routes", "explain", packet, "--config", &file]);
        assert_says(&line, &[&format!("PACKET = \"{packet}\""), "write PROTOCOL FROM > TO"]);
    }
    assert_eq!(hosts.program(), None);
}

#[test]
fn zero_copy_or_a_mode_that_is_forced_and_not_to_be_had_is_refused() {
    let Some(hosts) = Hosts::new("zero-copy") else { return };
    let line = hosts.serve_refused(&["--zero-copy", "yes"]);
    assert_says(&line, &["nic.zero_copy (--zero-copy) = \"yes\"", "lane0", "write auto or no"]);
    let line = hosts.serve_refused(&["--zero-copy", "yes", "--mode", "generic"]);
    assert_says(&line, &["nic.zero_copy (--zero-copy) = \"yes\"", "generic"]);
    let line = hosts.serve_refused(&["--mode", "turbo"]);
    assert_says(&line, &["nic.mode (--mode) = \"turbo\"", "auto, native, generic"]);
}

#[test]
fn an_mtu_that_no_packet_buffer_holds_is_refused_with_the_command_that_helps() {
    let Some(hosts) = Hosts::with_mtu("mtu", 9000) else { return };
    assert_says(
        &hosts.serve_refused(&[]),
        &["nic.interface (--nic) = \"lane0\"", "9000", "ip link set lane0 mtu"],
    );
}

#[test]
fn an_interface_that_is_down_is_refused_with_the_command_that_helps() {
    let Some(hosts) = Hosts::new("down") else { return };
    hosts.server.run(|| links::set_down(links::link(NIC).unwrap().index)).unwrap().unwrap();
    assert_says(
        &hosts.serve_refused(&[]),
        &["nic.interface (--nic) = \"lane0\"", "down", "ip link set lane0 up"],
    );
}

#[test]
fn a_vlan_that_cannot_be_is_refused_and_one_that_can_stands_in_the_plan() {
    let Some(hosts) = Hosts::new("vlans") else { return };
    for vid in ["0", "4095", "trunk"] {
        let line = hosts.serve_refused(&["--vlan", vid]);
        assert_says(&line, &["serve.vlans (--vlan)", &format!("= \"{vid}\""), "from 1 to 4094"]);
    }
    let file = hosts.file("[nic]\ninterface = \"lane0\"\n[serve]\nvlans = [7, 4095]\n");
    let line = hosts.refused(&["serve", "--config", &file]);
    assert_says(&line, &["serve.vlans (--vlan) = \"4095\"", "from 1 to 4094", "barelane.toml line 4"]);
    for (options, says) in [
        (&[][..], "none, what is untagged only"),
        (&["--vlan", "42", "--vlan", "7"], "7, 42, and what is untagged"),
        (&["--vlan", "all"], "all, and what is untagged"),
    ] {
        let output = hosts.run(&[&["check", "--nic", NIC], options].concat());
        assert_says(&String::from_utf8_lossy(&output.stdout), &[says]);
    }
}

/// A server that is ready, ended when dropped.
struct Running(Child);

impl Running {
    fn start(hosts: &Hosts) -> Self {
        let mut command = barelane(&["serve", "--nic", NIC]);
        command.stderr(Stdio::piped());
        let mut child = hosts.server.run(|| command.spawn()).unwrap().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("barelane: ready ")));
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_program_that_is_already_attached_is_not_replaced() {
    let Some(hosts) = Hosts::new("occupied") else { return };
    let _first = Running::start(&hosts);
    assert!(hosts.program().is_some());
    let line = hosts.serve_refused(&[]);
    assert_says(
        &line,
        &[
            "nic.interface (--nic) = \"lane0\"",
            "already attached",
            "barelane_driver",
            "stop the Barelane server",
        ],
    );
    let checked = hosts.run(&["check", "--nic", NIC]);
    assert_eq!(checked.status.code(), Some(0), "what the running server would take over can be checked");
    assert_says(&String::from_utf8_lossy(&checked.stderr), &["SIGHUP makes it take this over"]);
}

#[test]
fn a_port_that_programs_of_this_host_have_or_may_get_is_warned_of() {
    let Some(hosts) = Hosts::new("ports") else { return };
    let open = hosts.server.run(|| std::net::UdpSocket::bind("0.0.0.0:5353").unwrap()).unwrap();
    hosts.server.set("ipv4/ip_local_port_range", "40000 40999").unwrap();
    let warnings = |port: &str| {
        let output = hosts.run(&["check", "--nic", NIC, "--respond", &format!("udp-echo:{port}")]);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| line.contains("UDP port")).collect::<Vec<_>>().join("\n")
    };
    assert_says(&warnings("5353"), &["UDP port 5353 open on 0.0.0.0", "10.8.0.1"]);
    assert_says(&warnings("40500"), &["UDP port 40500", "net.ipv4.ip_local_reserved_ports=40500"]);
    hosts.server.set("ipv4/ip_local_reserved_ports", "40500").unwrap();
    assert_eq!(warnings("40500"), "");
    assert_eq!(warnings("7"), "");
    drop(open);
}

#[test]
fn check_prints_the_plan_and_touches_nothing() {
    let Some(hosts) = Hosts::new("check") else { return };
    let output = hosts.run(&["check", "--nic", NIC, "--address", "10.8.0.9/24", "--respond", "udp-echo:7"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_says(
        &text,
        &[
            "lane0",
            "queue 0 on core",
            "10.8.0.9/24: udp-echo:7; Barelane's alone",
            "partial UDP checksums are accepted",
        ],
    );
    assert_eq!(hosts.program(), None);
}

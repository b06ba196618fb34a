//! Does `/healthz` ask what is claimed, where it is answered, and say so; does it fail where a lane does not answer; and does nobody on the
//! link take its questions for his?
//!
//! ```text
//!   /healthz ─▶ server: question ─▶ program ─▶ lane ─▶ answer ══▶ cable ══▶ 00:00:5e:00:53:…, whom nobody is
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use host::namespace::Namespace;

use crate::admin::{body, get, hosts, sample};
use crate::asking::counted;
use crate::reload::{File, ONE, hang_up};
use crate::server::Server;
use crate::steady::wait_until_traced;
use crate::topology::{CLIENT_NIC, SERVER, SERVER_NIC, Topology, finish, ip};

/// How long until what has happened is noticed, on two busy cores.
const SOON: Duration = Duration::from_secs(30);

/// Every service.
const SERVICES: [&str; 8] = [
    "--respond",
    "icmp-echo",
    "--respond",
    "udp-echo:7",
    "--respond",
    "stamp",
    "--respond",
    "sockperf:11111",
];

/// What is claimed of addresses that only Barelane has: its name, and which of the addresses is asked.
const CLAIMED: [(&str, usize); 10] = [
    ("ARP", 0),
    ("neighbour discovery", 1),
    ("icmp-echo over IPv4", 0),
    ("icmp-echo over IPv6", 1),
    ("udp-echo:7 over IPv4", 0),
    ("udp-echo:7 over IPv6", 1),
    ("stamp:862 over IPv4", 0),
    ("stamp:862 over IPv6", 1),
    ("sockperf:11111 over IPv4", 0),
    ("sockperf:11111 over IPv6", 1),
];

/// Where `/proc/net/dev` has what was received.
const RX_PACKETS: usize = 1;

/// Those that the driver has an answer to.
const OF_DRIVER: usize = 6;

/// Serves everything on addresses that only Barelane has.
fn serve(topology: &Topology, options: &[&str]) -> Server {
    let addresses = [format!("{}/24", SERVER[0]), format!("{}/64", SERVER[1])];
    let own = ["--address", &addresses[0], "--address", &addresses[1]];
    Server::start(topology, &[&own, &SERVICES[..], options].concat())
}

/// What is said of each thing that was looked at.
fn findings(said: &str) -> BTreeMap<String, String> {
    let (_, body) = said.split_once("\r\n\r\n").unwrap();
    let lines = body.lines().map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line}")));
    lines.map(|(name, what)| (name.to_owned(), what.to_owned())).collect()
}

/// Asks until the server says this.
fn healthz_with(topology: &Topology, words: &str) -> String {
    let deadline = Instant::now() + SOON;
    loop {
        let said = get(topology, "/healthz", "");
        if said.contains(words) {
            return said;
        }
        assert!(Instant::now() < deadline, "never {words}: {said}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Asks until the server says that it is healthy.
fn healthy(topology: &Topology) -> String {
    healthz_with(topology, "HTTP/1.1 200 OK\r\n")
}

/// What the clients' kernel has taken for itself of all that it could have been answered with, and the frames that came to its card.
fn clients_counts(clients: &Namespace) -> (BTreeMap<String, u64>, u64) {
    let read = |path: &str| clients.run(|| fs::read_to_string(path).unwrap()).unwrap();
    let mut taken = BTreeMap::new();
    let (snmp, snmp6) = (read("/proc/thread-self/net/snmp"), read("/proc/thread-self/net/snmp6"));
    let lines: Vec<&str> = snmp.lines().collect();
    for pair in lines.chunks(2).filter(|pair| ["Icmp:", "Udp:"].iter().any(|name| pair[0].starts_with(name)))
    {
        let protocol = pair[0].split(':').next().unwrap();
        let names = pair[0].split_whitespace().skip(1).zip(pair[1].split_whitespace().skip(1));
        taken.extend(names.map(|(name, count)| (format!("{protocol}{name}"), count.parse().unwrap_or(0))));
    }
    taken.extend(snmp6.lines().map(|line| {
        let mut words = line.split_whitespace();
        (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap())
    }));
    // Not advertisements: those by which addresses are announced are for everybody.
    let wanted = [
        "IcmpInMsgs",
        "UdpInDatagrams",
        "UdpNoPorts",
        "Icmp6InEchoReplies",
        "Udp6InDatagrams",
        "Udp6NoPorts",
    ];
    taken.retain(|name, _| wanted.contains(&name.as_str()));
    assert_eq!(taken.len(), wanted.len(), "{taken:?}");
    (taken, counted(clients, CLIENT_NIC, RX_PACKETS))
}

/// How many questions a server has asked for health: of the program, and of lanes.
fn questions(topology: &Topology) -> [f64; 2] {
    let page = get(topology, "/metrics", "");
    ["driver", "lane"]
        .map(|tier| sample(body(&page), &format!("barelane_health_questions_total{{tier=\"{tier}\"}}")))
}

/// Waits until so many questions stand in the metrics, which are published every tenth of a second.
fn questions_when(topology: &Topology, is_so: impl Fn([f64; 2]) -> bool) -> [f64; 2] {
    let deadline = Instant::now() + SOON;
    loop {
        let found = questions(topology);
        if is_so(found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn everything_that_is_claimed_is_asked_where_it_is_answered_and_nobody_else_hears_of_it() {
    let cases = [
        ("lane", "native", &[][..]),
        ("lane", "generic", &[]),
        ("driver", "native", &[]),
        ("lane", "generic", &["--age-limit", "1s"]),
        ("lane", "native", &["--age-limit", "1s", "--idle", "adaptive"]),
    ];
    for (tier, mode, options) in cases {
        let topology = hosts();
        let carried = (tier == "driver").then(|| topology.carry_what_drivers_answer());
        let _server = serve(&topology, &[&["--tier", tier, "--mode", mode], options].concat());
        let (taken, frames) = clients_counts(&topology.clients);
        let found = findings(&healthy(&topology));
        for (number, (name, address)) in CLAIMED.iter().enumerate() {
            let said =
                found.get(&format!("good {name}")).unwrap_or_else(|| panic!("no {name} in {found:#?}"));
            let by_driver = tier == "driver" && number < OF_DRIVER;
            let who = if by_driver { "the driver" } else { "lane 0" };
            assert!(
                said.starts_with(&format!("{} answered by {who} in ", SERVER[*address])),
                "{name}: {said}"
            );
            assert_eq!(said.contains("through its ring within"), mode == "generic", "{name}: {said}");
        }
        let rings = found.get("skip receive-rings").map(String::as_str);
        let expected = "of queues 0: only the driver may write to them; lanes are asked beside them";
        assert_eq!(rings, (mode == "native").then_some(expected), "{found:#?}");
        let asked = if tier == "driver" { CLAIMED.len() - OF_DRIVER } else { CLAIMED.len() };
        let [of_program, of_lanes] =
            questions_when(&topology, |[_, of_lanes]| of_lanes >= f64::from(u32::try_from(asked).unwrap()));
        assert!(of_program >= 10.0 && of_lanes <= of_program, "{of_program} {of_lanes}");
        let (taken_then, frames_then) = clients_counts(&topology.clients);
        assert_eq!(taken, taken_then, "somebody has taken an answer for his");
        assert!(frames_then >= frames + asked as u64, "the answers of lanes leave by the cable");
        drop(carried);
    }
}

/// One thread of a server, held still by a tracer as long as this is there.
struct Held(Child);

impl Held {
    fn hold(thread: u32) -> Self {
        const HOLD: &str = "import ctypes,sys\nptrace=ctypes.CDLL(None,use_errno=True).ptrace\nthread=int(sys.argv[1])\n\
                            seize,interrupt=0x4206,0x4207\n\
                            assert ptrace(seize,thread,None,None)==0 and ptrace(interrupt,thread,None,None)==0\n\
                            print('held',flush=True)\nsys.stdin.read()";
        let mut python = Command::new("python3");
        python.args(["-c", HOLD, &thread.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut held = Self(python.spawn().unwrap());
        let mut said = [0; 5];
        held.0.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what they are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_lane_that_stands_still_answers_nothing_and_the_driver_before_it_all_the_same() {
    let topology = hosts();
    let _carried = topology.carry_what_drivers_answer();
    let server = serve(&topology, &["--tier", "driver"]);
    healthy(&topology);
    let held = Held::hold(server.lanes()[0]);
    // What was found before it was held is told for a second.
    let said = healthz_with(&topology, "bad  stamp:862 over IPv4");
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    let found = findings(&said);
    for (number, (name, address)) in CLAIMED.iter().enumerate() {
        if number < OF_DRIVER {
            assert!(found.contains_key(&format!("good {name}")), "{name} in {said}");
        } else {
            let told = found.get(&format!("bad  {name}")).unwrap_or_else(|| panic!("{name} in {said}"));
            assert_eq!(told, &format!("{}: lane 0 has not answered", SERVER[*address]));
        }
    }
    drop(held);
    let found = findings(&healthy(&topology));
    assert!(CLAIMED.iter().all(|(name, _)| found.contains_key(&format!("good {name}"))), "{found:#?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn an_interface_that_is_gone_answers_nothing_and_does_again_when_it_is_back() {
    let topology = hosts();
    let server = serve(&topology, &["--tier", "lane"]);
    healthy(&topology);
    ip(&topology.server, &["link", "delete", SERVER_NIC]);
    server.line("barelane: warning: the interface lane0 is gone", SOON);
    let said = healthz_with(&topology, "bad  icmp-echo over IPv4: 10.9.0.1: the program cannot be run");
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    topology.lay(1, [2, 0, 0, 1, 9, 1]);
    server.line("barelane: the interface lane0 is back", SOON);
    let found = findings(&healthy(&topology));
    assert!(CLAIMED.iter().all(|(name, _)| found.contains_key(&format!("good {name}"))), "{found:#?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn each_lane_of_several_is_asked() {
    let topology = {
        let topology = Topology::with_queues(2);
        ip(&topology.server, &["link", "set", "lo", "up"]);
        topology
    };
    let server = serve(&topology, &["--tier", "lane"]);
    let found = findings(&healthy(&topology));
    assert!(found["good icmp-echo over IPv4"].contains("answered by 2 lanes in "), "{found:#?}");
    let _held = Held::hold(server.lanes()[1]);
    let found = findings(&healthz_with(&topology, "bad  stamp:862 over IPv6"));
    let told = &found["bad  stamp:862 over IPv6"];
    assert!(told.contains("lane ") && told.ends_with(" has not answered"), "{told}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_thousand_requests_are_served_by_a_few_rounds_and_packets_are_answered_all_the_while() {
    const THREADS: usize = 20;
    const REQUESTS: usize = 50;
    let topology = hosts();
    let _server = serve(&topology, &["--tier", "lane"]);
    healthy(&topology);
    let [_, before] = questions_when(&topology, |[_, lane]| lane > 0.0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..REQUESTS {
                    let said = get(&topology, "/healthz", "");
                    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
                }
            });
        }
        crate::side_channel::ask(&topology, 200);
    });
    let elapsed = began.elapsed().as_secs_f64();
    thread::sleep(Duration::from_millis(300));
    let [_, after] = questions(&topology);
    let rounds = (after - before) / 10.0;
    assert!(rounds >= 1.0 && rounds <= elapsed + 2.0, "{rounds} rounds in {elapsed} s");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn after_a_reload_what_is_claimed_then_is_asked() {
    let topology = hosts();
    let file = File::new("health");
    let set = |respond: &str| file.set(&format!("serve.addresses = [{ONE}]\nserve.respond = [{respond}]\n"));
    set("\"udp-echo:7\"");
    let server = Server::start(&topology, &["--config", file.path(), "--tier", "lane"]);
    let found = findings(&healthy(&topology));
    assert!(
        found.contains_key("good udp-echo:7 over IPv4") && !found.contains_key("good stamp:862 over IPv4")
    );
    set("\"stamp\"");
    hang_up(&server);
    server.line("barelane: reloaded", SOON);
    let deadline = Instant::now() + SOON;
    loop {
        let said = get(&topology, "/healthz", "");
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        let found = findings(&said);
        if found.contains_key("good stamp:862 over IPv4") && !found.contains_key("good udp-echo:7 over IPv4")
        {
            break;
        }
        assert!(Instant::now() < deadline, "{said}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_cannot_be_asked_is_named_and_does_not_make_a_server_bad() {
    let topology = hosts();
    let file = File::new("unasked");
    file.set(&format!(
        "serve.addresses = [{ONE}, \"10.77.0.1/32\"]\n\
         [[route]]\nrespond = \"icmp-echo\"\nanswers_per_second = 5\n\
         [[route]]\nrespond = \"udp-echo:7\"\naddress = \"10.77.0.1\"\n"
    ));
    let _server = Server::start(&topology, &["--config", file.path(), "--tier", "lane"]);
    let said = healthy(&topology);
    assert!(said.contains("over IPv4: not asked: its answers are limited"), "{said}");
    assert!(said.contains("not asked: nobody else is on the link of 10.77.0.1/32"), "{said}");
}

/// Memory that is given back makes the kernel interrupt every core on which the process runs, lanes' cores too.
#[test]
#[ignore = "needs root: a network namespace"]
fn under_strace_rounds_give_no_memory_back() {
    let topology = hosts();
    let server = serve(&topology, &["--tier", "lane"]);
    healthy(&topology);
    let ask_rounds = || {
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(1_050));
            get(&topology, "/healthz", "");
        }
    };
    ask_rounds();
    let thread = server.threads("health")[0].to_string();
    let mut strace = Command::new("strace");
    strace
        .args(["-e", "trace=munmap,madvise,brk,bpf", "-p", &thread])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let strace = strace.spawn().unwrap();
    wait_until_traced(&thread);
    ask_rounds();
    assert!(Command::new("kill").args(["-s", "INT", &strace.id().to_string()]).status().unwrap().success());
    let said = finish(strace).said;
    let calls = |name: &str| said.matches(name).count();
    assert!(calls("bpf(") >= 20 && calls("munmap(") + calls("madvise(") + calls("brk(") == 0, "{said}");
}

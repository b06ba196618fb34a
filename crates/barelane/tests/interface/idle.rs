//! Does a lane that sleeps where nothing comes answer everything, and is it there for whoever looks after it?

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use barelane::side_channel::Reader;
use host::links;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};

use crate::admin::{get, hosts};
use crate::reload::{File, ONE, TWO, hang_up};
use crate::server::Server;
use crate::side_channel::{ask, asked_for_health, replied_udp, segment_of, when};
use crate::topology::{SERVER_NIC, Topology, ip};

/// How long until what was asked for has happened, on two busy cores.
const SOON: Duration = Duration::from_secs(20);
/// For how long nothing comes.
const IDLE: Duration = Duration::from_secs(2);
/// How much of its core a lane may take then.
const IDLE_MAX: f64 = 0.05;

const POLICIES: [&str; 2] = ["adaptive", "interrupt"];

/// How long the only lane of a server has run on a core (`/proc/PID/task/TID/schedstat`, in ns).
fn ran(server: &Server) -> Duration {
    let [lane] = server.lanes()[..] else { panic!("{:?}", server.lanes()) };
    let text = fs::read_to_string(format!("/proc/{}/task/{lane}/schedstat", server.id())).unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// Without IPv6, whose kernel sends by itself now and then.
fn quiet() -> Topology {
    let topology = hosts();
    topology.clients.set("ipv6/conf/client0/disable_ipv6", "1").unwrap();
    topology.server.set("ipv6/conf/lane0/disable_ipv6", "1").unwrap();
    topology
}

fn serve(topology: &Topology, idle: &str, file: &File, addresses: &str) -> Server {
    configure(file, idle, addresses);
    Server::start(topology, &["--config", file.path()])
}

fn configure(file: &File, idle: &str, addresses: &str) {
    file.set(&format!(
        "[lane]\nidle = \"{idle}\"\n[serve]\naddresses = [{addresses}]\nrespond = [\"udp-echo:7\"]\ntier = \"lane\"\n\
         address_check_ms = 0\n"
    ));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_lane_that_may_sleep_answers_everything_and_hardly_runs_where_nothing_comes() {
    const COUNT: u64 = 500;
    for idle in POLICIES {
        let (topology, file) = (quiet(), File::new(idle));
        let server = serve(&topology, idle, &file, ONE);
        let reader = Reader::open(&segment_of(&server)).unwrap();
        ask(&topology, COUNT);
        // A lane that sleeps has published what it counted before, or does when it has slept.
        when(&reader, |snapshot| replied_udp(snapshot) == COUNT);
        let (ran_before, begun) = (ran(&server), Instant::now());
        thread::sleep(IDLE);
        let share = ran(&server).saturating_sub(ran_before).as_secs_f64() / begun.elapsed().as_secs_f64();
        println!("{idle}: {:.2} % of a core where nothing comes", share * 100.0);
        assert!(share <= IDLE_MAX, "{idle}: {share}");
        for path in ["/readyz", "/healthz"] {
            let said = get(&topology, path, "");
            assert!(said.contains("good lanes-turn: all 1 of them"), "{idle}: {said}");
        }
        ask(&topology, COUNT);
        // The round of health was two questions: ARP, and one of UDP.
        when(&reader, |snapshot| asked_for_health(snapshot) == 2);
        assert_eq!(server.counts()["replied_udp"], 2 * COUNT + 1, "{idle}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_lane_that_sleeps_takes_new_tables_and_another_queue_and_stops() {
    for idle in POLICIES {
        let (topology, file) = (hosts(), File::new(idle));
        let server = serve(&topology, idle, &file, ONE);
        configure(&file, idle, TWO);
        hang_up(&server);
        server.line("barelane: reloaded", SOON);
        let ping = topology.client("ndisc6", &["-q", "fd09::1", "client0"]);
        assert!(ping.status.success(), "{idle}: {}", ping.said);
        ask(&topology, 20);
        ip(&topology.server, &["link", "delete", SERVER_NIC]);
        server.line("barelane: warning: the interface lane0 is gone", SOON);
        topology.lay(1, [2, 0, 0, 1, 9, 1]);
        server.line("barelane: the interface lane0 is back", SOON);
        ask(&topology, 20);
        configure(&file, "spin", TWO);
        hang_up(&server);
        let said = server.line("barelane: error: reload refused", SOON);
        assert!(said.contains("lane.idle (--idle) = \"spin\": this cannot change while lanes run"), "{said}");
        assert_eq!(server.counts()["replied_udp"], 40, "{idle}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_lane_that_keeps_warm_sends_to_itself_where_nothing_comes_and_its_counts_hold() {
    const COUNT: u64 = 2_000;
    let topology = quiet();
    let server = Server::alone_with(&topology, &["--tier", "lane", "--keep-warm", "2ms"]);
    let open = || PacketSocket::open(links::link("client0").unwrap().index, EVERY_ETHERTYPE).unwrap();
    let wire = topology.clients.run(open).unwrap();
    let mut room = [0; 2048];
    let mut heard = 0;
    while heard < 20 {
        let len = wire.receive(&mut room, SOON).unwrap().expect("the lane sends where nothing comes");
        // Kernels say something of themselves too.
        if room[12..14] == [0x90, 0] {
            assert!(len == 60 && room[..6] == room[6..12], "{:x?}", &room[..len]);
            heard += 1;
        }
    }
    ask(&topology, COUNT);
    let counts = server.counts();
    assert_eq!(counts["replied_udp"], COUNT, "{counts:?}");
    assert!(counts["warmed"] >= heard, "{counts:?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_server_says_what_its_lanes_do_where_nothing_comes_and_check_does_too() {
    let topology = Topology::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args(["check", "--nic", SERVER_NIC, "--idle", "adaptive"]);
    let output = topology.server.run(|| command.output()).unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wanted =
        "adaptive: a lane sleeps where nothing has come for 1000 us, until a packet comes, and 10ms at most";
    assert!(said.contains(wanted), "{said}");
    let (mut child, lines) = crate::server::spawn(&topology, &["--idle", "interrupt"]);
    let line =
        lines.iter().find(|line| line.starts_with("barelane: idle ") || line.contains("error")).unwrap();
    assert!(line.contains("interrupt: a lane sleeps whenever nothing waits"), "{line}");
    assert!(
        line.ends_with("busy polling is not in force: no NAPI instance is known, and interrupts wake it"),
        "{line}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

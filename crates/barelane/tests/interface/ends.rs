//! What is left after the end? The program hangs on a file descriptor, so the kernel detaches it when the process
//! is gone, however it went.

use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use host::links;

use crate::leftovers::{Traces, assert_gone, objects_of};
use crate::server::{self, Server};
use crate::topology::{KERNEL, SERVER, SERVER_NIC, Topology, ip};

/// From SIGKILL to the kernel's own answer.
const RETURN_MAX: Duration = Duration::from_millis(50);
/// How often a strike is repeated at most, during whose return the cores worked for others.
const TRIES_MAX: u32 = 10;
/// How often SIGKILL strikes; `cargo xtask soak` asks for more by the variable `BARELANE_KILLS`.
const KILL_COUNT: u32 = 10;
/// Of so many strikes, one meets the start, and the others a server that answers.
const STRIKES_AT_START: u32 = 4;
/// SIGKILL strikes this long after the start, at most, or after the first answer.
const LIFE_MAX_MS: [u64; 2] = [400, 100];
/// How long the first answer may take, on two busy cores.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(20);

fn has_program(topology: &Topology) -> bool {
    topology.server.run(|| links::link(SERVER_NIC)).unwrap().unwrap().program.is_some()
}

/// What the kernel's own answer begins with.
const KERNEL_SAYS: &[u8] = b"kernel: ";

/// What the kernel answers, on the port that Barelane claims while it lives.
fn kernel_answers(topology: &Topology) -> UdpSocket {
    let address = (KERNEL[0].parse::<std::net::IpAddr>().unwrap(), 7);
    let socket = topology.server.run(|| UdpSocket::bind(address)).unwrap().unwrap();
    let answering = socket.try_clone().unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    thread::spawn(move || {
        let mut question = [0; 64];
        while let Ok((len, asker)) = socket.recv_from(&mut question) {
            let _ = socket.send_to(&[KERNEL_SAYS, &question[..len]].concat(), asker);
        }
    });
    answering
}

/// Asks until the kernel's own answer comes, to this question and to no earlier one, and gives when it came.
fn wait_for_kernel(socket: &UdpSocket) -> Instant {
    const QUESTION: &[u8] = b"who answers?";
    let deadline = Instant::now() + FIRST_ANSWER_MAX;
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    while Instant::now() < deadline {
        let mut answer = [0; 64];
        socket.send(QUESTION).unwrap();
        while let Ok(len) = socket.recv(&mut answer) {
            if answer[..len] == *[KERNEL_SAYS, QUESTION].concat() {
                let came = Instant::now();
                drain(socket);
                return came;
            }
        }
    }
    panic!("the kernel's own answer did not come back");
}

/// Takes what has come until nothing does, so that the next strike does not find this one's answers.
fn drain(socket: &UdpSocket) {
    while socket.recv(&mut [0; 64]).is_ok() {}
}

/// When SIGKILL strikes.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after the process has begun.
    Started(Duration),
    /// So long after its first answer.
    Answered(Duration),
}

impl Moment {
    fn of(strike: u32, seed: &mut u64) -> Self {
        let random = next_random(seed);
        let life = |at: usize| Duration::from_millis(random % LIFE_MAX_MS[at]);
        if strike.is_multiple_of(STRIKES_AT_START) { Self::Started(life(0)) } else { Self::Answered(life(1)) }
    }
}

/// Asks without a pause until the moment has come, so that SIGKILL strikes in the middle of work. Gives whether the server
/// has answered, which echoes, and not the kernel alone.
fn load(socket: &UdpSocket, moment: Moment) -> bool {
    let mut is_answered = false;
    let mut end = Instant::now()
        + match moment {
            Moment::Started(life) => life,
            Moment::Answered(_) => FIRST_ANSWER_MAX,
        };
    socket.set_nonblocking(true).unwrap();
    while Instant::now() < end {
        let mut answer = [0; 64];
        let _ = socket.send(b"load");
        let is_servers = socket.recv(&mut answer).is_ok_and(|len| answer[..len] == *b"load");
        if let Moment::Answered(life) = moment
            && is_servers
            && !is_answered
        {
            end = Instant::now() + life;
        }
        is_answered |= is_servers;
    }
    socket.set_nonblocking(false).unwrap();
    is_answered
}

/// The next number of a sequence that is the same in every run (splitmix64, Steele et al. 2014).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// What the strikes met, all together.
#[derive(Debug, Default)]
struct Met {
    slowest: Duration,
    attached: u32,
    answering: u32,
    objects: usize,
    repeated: u32,
}

/// Kills a server of this tier under load, and demands that nothing of it is left and that the kernel answers at once.
/// Gives whether it did: where not, others had the cores, and the strike says nothing.
fn strike(topology: &Topology, socket: &UdpSocket, tier: &str, moment: Moment, met: &mut Met) -> bool {
    let before = Traces::now(topology);
    let (mut child, _lines) = server::spawn(topology, &["--respond", "udp-echo:7", "--tier", tier]);
    let is_answered = load(socket, moment);
    assert!(is_answered || matches!(moment, Moment::Started(_)), "no answer within {FIRST_ANSWER_MAX:?}");
    met.answering += u32::from(is_answered);
    met.attached += u32::from(has_program(topology));
    // A process that has only just begun still has our descriptors, for a moment.
    let objects = &objects_of(child.id()) - &objects_of(std::process::id());
    let (others, killed) = (time_of_others(child.id()), Instant::now());
    child.kill().unwrap();
    let took = wait_for_kernel(socket).duration_since(killed);
    let others = time_of_others(child.id()).saturating_sub(others);
    child.wait().unwrap();
    assert!(!has_program(topology));
    assert_gone(&objects);
    assert_eq!(Traces::now(topology), before);
    if took >= RETURN_MAX {
        eprintln!("it took {took:?}, of which others had {others:?} of a core: repeated");
        assert!(
            took.saturating_sub(others) < RETURN_MAX,
            "{took:?}, of which others had {others:?} of a core"
        );
        return false;
    }
    met.slowest = met.slowest.max(took);
    met.objects = met.objects.max(objects.len());
    true
}

/// How long the cores have worked for others than this process and `server`, or were taken by the hypervisor, since the
/// machine began (`proc_stat(5)`, `proc_pid_stat(5)`).
fn time_of_others(server: u32) -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    // `cpu user nice system idle iowait irq softirq steal …`
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let fields = stat.lines().next().unwrap().split_whitespace().skip(1).take(8);
    let all: Vec<u32> = fields.map(|ticks| ticks.parse().unwrap()).collect();
    let busy = all.iter().sum::<u32>() - all[3] - all[4];
    // Behind the name: the state, ten more fields, and then utime and stime.
    let own = [std::process::id(), server].map(|process| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1.split_whitespace().skip(11).take(2);
        fields.map(|ticks| ticks.parse::<u32>().unwrap()).sum::<u32>()
    });
    TICK * busy.saturating_sub(own.iter().sum())
}

/// Strikes again and again, at moments that are the same in every run.
fn strike_at_any_moment(tier: &str) {
    let kill_count = std::env::var("BARELANE_KILLS").map_or(KILL_COUNT, |count| count.parse().unwrap());
    let topology = Topology::new();
    let _kernel = kernel_answers(&topology);
    let _carries = topology.carry_what_drivers_answer();
    let socket = topology.socket(KERNEL[0], 7);
    let (mut seed, mut met) = (2, Met::default());
    for number in 0..kill_count {
        let moment = Moment::of(number, &mut seed);
        eprintln!("strike {number} of {kill_count}: {moment:?}");
        let mut tries = 1..=TRIES_MAX;
        while !strike(&topology, &socket, tier, moment, &mut met) {
            assert!(tries.next().is_some(), "strike {number}: this machine has no core to spare");
            met.repeated += 1;
        }
    }
    let Met { slowest, attached, answering, objects, repeated } = met;
    println!(
        "tier {tier}: {kill_count} SIGKILLs, {attached} of them with the program attached, {answering} while it \
         answered; at most {objects} programs, maps and links, and all of them gone; slowest return {slowest:?}; {repeated} \
         repeated, because others had the cores"
    );
    // The program, its link, three maps, and the map in one of them.
    assert!(attached > 0 && answering > 0 && objects >= 6, "no strike met a server at work");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn sigkill_at_any_moment_leaves_nothing_of_a_lane_and_the_kernel_answers_within_50_ms() {
    strike_at_any_moment("lane");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn sigkill_at_any_moment_leaves_nothing_of_the_driver_tier_and_the_kernel_answers_within_50_ms() {
    strike_at_any_moment("driver");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_signal_to_end_detaches_and_exits_with_0() {
    for signal in ["TERM", "INT"] {
        let topology = Topology::new();
        let server = Server::start(&topology, &["--respond", "icmp-echo"]);
        assert!(has_program(&topology));
        let (status, said) = server.end(signal);
        assert_eq!(status.code(), Some(0), "{signal}: {said:#?}");
        assert!(!has_program(&topology), "{signal}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_signal_to_end_while_others_are_asked_for_the_address_ends_it_before_it_is_ready() {
    let topology = Topology::new();
    let file = std::env::temp_dir().join(format!("barelane-early-{}.toml", std::process::id()));
    let addresses = format!("[\"{}/24\"]", SERVER[0]);
    std::fs::write(&file, format!("[serve]\naddresses = {addresses}\naddress_check_ms = 10000\n")).unwrap();
    let (mut child, lines) = server::spawn(&topology, &["--config", file.to_str().unwrap()]);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !has_program(&topology) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    let said: Vec<_> = lines.iter().collect();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(!said.iter().any(|line| line.contains("ready nic")), "{said:#?}");
    assert!(!has_program(&topology));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_server_whose_interface_gets_another_ethernet_address_says_so_and_exits_with_1() {
    let topology = Topology::new();
    let server = Server::start(&topology, &["--respond", "icmp-echo"]);
    ip(&topology.server, &["link", "set", SERVER_NIC, "address", "02:00:00:00:09:77"]);
    let (status, said) = server.wait_for_end("its interface was changed");
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(said.last().unwrap().contains("02:00:00:00:09:77"), "{said:#?}");
    assert!(!has_program(&topology));
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_server_says_when_its_link_goes_and_comes_and_when_addresses_do() {
    let topology = Topology::new();
    let server = Server::start(&topology, &["--respond", "icmp-echo"]);
    let soon = Duration::from_secs(5);
    ip(&topology.server, &["address", "delete", "10.9.0.3/24", "dev", SERVER_NIC]);
    server.line("barelane: warning: the kernel has lost 10.9.0.3", soon);
    ip(&topology.server, &["address", "add", "10.9.0.4/24", "dev", SERVER_NIC]);
    server.line("barelane: warning: the kernel has got 10.9.0.4", soon);
    ip(&topology.server, &["link", "set", SERVER_NIC, "down"]);
    server.line("barelane: lane0 is down", soon);
    ip(&topology.server, &["link", "set", SERVER_NIC, "up"]);
    server.line("barelane: lane0 is up again", soon);
    let (status, said) = server.end("TERM");
    assert_eq!(status.code(), Some(0), "{said:#?}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn the_ready_line_is_as_promised() {
    let topology = Topology::new();
    let server = Server::alone(&topology);
    assert_eq!(server.ready, "barelane: ready nic=lane0 mode=native zero-copy=no lanes=1");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_second_server_on_the_interface_is_refused_and_the_first_keeps_answering() {
    let topology = Topology::new();
    let _first = Server::start(&topology, &["--respond", "icmp-echo"]);
    let (mut second, lines) = server::spawn(&topology, &["--respond", "icmp-echo"]);
    let said: Vec<_> = lines.iter().collect();
    assert_eq!(second.wait().unwrap().code(), Some(2), "{said:#?}");
    assert!(said.iter().any(|line| line.contains(SERVER_NIC)), "{said:#?}");
    let ping = topology.client("ping", &["-n", "-q", "-c", "20", "-i", "0.02", KERNEL[0]]);
    assert!(ping.said.contains("20 received, 0% packet loss"), "{}", ping.said);
}

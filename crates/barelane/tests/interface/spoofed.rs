//! Does a flood from sources that do not exist take anything from those that do?
//!
//! hping3 floods from its kernel's raw socket, with a source at random for each packet. The probe asks beside it, from the same
//! end of the cable, by an ordinary socket.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;

use probe::own_error::NoPlatform;
use probe::socket::{Socket, Wait};
use probe::{
    Arrivals, Ask, Controls, Counts, End, MonotonicClock, Progress, Protocol, Ramp, Schedule, measure,
};
use telemetry::Ns;

use crate::asking::dropped_towards_server;
use crate::server::Server;
use crate::tier::Tier;
use crate::topology::{SERVER, Topology, finish};

/// Questions from a source that exists, and how many a second.
const COUNT: u64 = 2_000;
const RATE: f64 = 500.0;
const WARM_UP_COUNT: u64 = 1;
/// From others come at least so many for each of them.
const FLOOD_MIN: u64 = 10;
/// One of a thousand may be lost.
const LOST_MAX: u64 = COUNT / 1_000;
const UDP_PORT: NonZeroU16 = NonZeroU16::new(7).unwrap();

/// What becomes of a question from a source at random: the way back is not this link's, nobody can have such a source, or
/// the port is one that answers by itself.
const ENDS: [&str; 3] = ["next_hop_elsewhere", "source_invalid", "udp_source_port"];

/// Floods at the pace that these of hping3's arguments say.
fn flood(topology: &Topology, pace: &[&str]) -> Child {
    let mut command = Command::new("hping3");
    command.args(["--udp", "-p", "7", "-d", "64", "--rand-source", "-n", "-q", SERVER[0]]).args(pace);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    topology.clients.run(|| command.spawn()).unwrap().unwrap()
}

/// Ends a flood, and gives how many packets it sent.
fn end(flood: Child) -> u64 {
    let id = flood.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
    let said = finish(flood).said;
    let sent = said.lines().find_map(|line| line.split_once(" packets transmitted")?.0.parse().ok());
    sent.unwrap_or_else(|| panic!("hping3 says: {said}"))
}

fn ask(topology: &Topology) -> Counts {
    let ask = Ask {
        schedule: Schedule::Open { arrivals: Arrivals::Poisson, rate: Ramp::constant(RATE) },
        end: End::Count(COUNT),
        warm_up: WARM_UP_COUNT,
        timeout: Ns(1_000_000_000),
        ..Ask::new(SERVER[0].parse().unwrap(), Protocol::Udp { port: UDP_PORT })
    };
    let measuring = || {
        let (stop, progress) = (AtomicBool::new(false), Progress::default());
        let controls = Controls { stop: &stop, progress: &progress, platform: &NoPlatform };
        let mut socket = Socket::open(&ask, Wait::Block).unwrap();
        measure(&ask, &mut socket, &MonotonicClock::start(), &controls).unwrap().counts
    };
    topology.clients.run(measuring).unwrap()
}

/// The driver answers in the time of who asks, and is flooded as fast as hping3 can; the lane and two clients share what cores
/// there are.
#[test]
#[ignore = "needs root: a network namespace"]
fn a_flood_from_spoofed_sources_takes_nothing_from_the_others() {
    for (tier, pace) in [(Tier::Driver, &["--flood"][..]), (Tier::Lane, &["-i", "u40"])] {
        let topology = Topology::new();
        let _carried = topology.carry_what_drivers_answer();
        let server = Server::alone_with(&topology, tier.options());
        // The clients' kernel learns who the server is: what it had to hold back would be lost there.
        let socket = topology.socket(SERVER[0], 7);
        socket.send(b"first").unwrap();
        socket.recv(&mut [0; 64]).unwrap();

        let flood = flood(&topology, pace);
        let asked = ask(&topology);
        let flooded = end(flood);
        let dropped = dropped_towards_server(&topology);
        let counts: HashMap<String, u64> = tier.counts(&server.counts());

        let ends = ENDS.map(|end| counts.get(end).copied().unwrap_or(0));
        let Counts { sent, answered, lost, late, .. } = asked;
        println!(
            "{tier:?}: {sent} asked, {answered} answered, {lost} lost; {flooded} from others: {ENDS:?} {ends:?}, \
             {dropped} before it"
        );
        assert!(flooded >= FLOOD_MIN * COUNT, "{tier:?}: {flooded} is no flood");
        assert!(lost + late <= LOST_MAX, "{tier:?}: {asked:?}, {counts:?}");
        assert_eq!((asked.duplicated, asked.corrupted, asked.unmatched), (0, 0, 0));
        // The first one, and those before the count began. hping3 sends in a signal handler, and counts some packets too few.
        let questions = 1 + WARM_UP_COUNT + sent + flooded;
        let accounted = counts["replied_udp"] + ends.iter().sum::<u64>() + dropped;
        let miscounted = 1 + flooded / 1_000;
        assert!(
            (questions..=questions + miscounted).contains(&accounted),
            "{tier:?}: {questions}, {counts:?}"
        );
    }
}

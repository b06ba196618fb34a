//! Limits for each source, on a real interface: askers of one prefix share what one source may be answered, and an asker of
//! another prefix has his own.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::tier::Serving;
use crate::topology::{CLIENT, CLIENT_NIC, SERVER, Topology};

const PORT: u16 = 4000;
const ROUTE: &str = "
[[route]]
respond = \"udp-echo:4000\"
answers_per_second_per_source = 1
source_prefix_ipv4 = 25
source_prefix_ipv6 = 56
";
/// Of each family two askers in one such prefix, and one in another.
const ASKERS: [[&str; 3]; 2] =
    [[CLIENT[0], "10.9.0.77", "10.9.0.200"], [CLIENT[1], "fd09:0:0:ff::2", "fd09:0:0:100::2"]];
/// How often each asker of the shared prefix asks.
const ROUNDS: u64 = 20;
const ANSWER_MAX: Duration = Duration::from_secs(2);

fn add_address(topology: &Topology, address: &str) {
    let (len, more) = if address.contains(':') { (64, &["nodad"][..]) } else { (24, &[][..]) };
    let address = format!("{address}/{len}");
    let arguments = [&["address", "add", &address, "dev", CLIENT_NIC], more].concat();
    let ended = topology.client("ip", &arguments);
    assert!(ended.status.success(), "{}", ended.said);
}

/// A socket of an asker, connected to the route.
fn socket(topology: &Topology, asker: &str, server: &str) -> UdpSocket {
    let own = SocketAddr::new(asker.parse::<IpAddr>().unwrap(), 0);
    let socket = topology.clients.run(|| UdpSocket::bind(own)).unwrap().unwrap();
    socket.connect(SocketAddr::new(server.parse().unwrap(), PORT)).unwrap();
    socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    socket
}

/// How many answers wait at a socket.
fn answers_at(socket: &UdpSocket) -> u64 {
    socket.set_nonblocking(true).unwrap();
    std::iter::from_fn(|| socket.recv(&mut [0; 64]).ok()).count() as u64
}

/// Asks from all three, and gives how many answers they had.
fn ask(topology: &Topology, askers: [&str; 3], server: &str) -> u64 {
    let [one, two, other] = askers.map(|asker| socket(topology, asker, server));
    let began = Instant::now();
    for _ in 0..ROUNDS {
        one.send(b"of one prefix").unwrap();
        two.send(b"of one prefix").unwrap();
    }
    // Behind all the others, in one queue.
    other.send(b"of another").unwrap();
    other.recv(&mut [0; 64]).expect("the other prefix is answered");
    let shared = answers_at(&one) + answers_at(&two);
    let most = began.elapsed().as_secs() + 2;
    assert!((1..=most).contains(&shared), "{shared} answers to one prefix, {most} at most");
    shared + 1
}

#[test]
#[ignore = "needs root: a network namespace"]
fn askers_of_one_prefix_share_its_answers_and_another_prefix_has_its_own() {
    let path = std::env::temp_dir().join(format!("barelane-limits-{}.toml", std::process::id()));
    fs::write(&path, ROUTE).unwrap();
    let options = ["--config", path.to_str().unwrap(), "--next-hop", "reflect"];
    for serving in Serving::at_each_tier_with(&options) {
        let topology = &serving.topology;
        let mut answered = 0;
        for (askers, server) in ASKERS.into_iter().zip(SERVER) {
            askers.iter().skip(1).for_each(|asker| add_address(topology, asker));
            // Until the clients' kernel knows the server and takes answers to each address: a new one of IPv6 it has at once,
            // but takes nothing for it before it has a route to itself.
            for asker in askers {
                let ended = topology.client("ping", &["-n", "-c", "1", "-w", "10", "-I", asker, server]);
                assert!(ended.status.success(), "{}", ended.said);
            }
            answered += ask(topology, askers, server);
        }
        let counts = serving.end();
        let asked = 2 * (2 * ROUNDS + 1);
        assert_eq!(
            (counts["replied_udp"], counts["source_limited"]),
            (answered, asked - answered),
            "{counts:?}"
        );
    }
    fs::remove_file(&path).unwrap();
}

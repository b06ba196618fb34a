//! Routes with conditions, on a real interface, asked by ordinary sockets.

use std::fs;
use std::io::ErrorKind;

use crate::server::Server;
use crate::topology::{CLIENT, SERVER, Topology};

/// The first takes port 7 from another network, the second cuts a hole into the third, the fourth is for the client.
const ROUTES: &str = "
[[route]]
respond = \"sockperf:7\"
from = [\"198.51.100.0/24\", \"2001:db8::/32\"]
[[route]]
respond = \"udp-echo:4500\"
tier = \"kernel\"
[[route]]
respond = \"udp-echo:4000-4999\"
[[route]]
respond = \"udp-echo:7\"
from = [\"CLIENT4\", \"CLIENT6\"]
";

/// What an ordinary socket finds at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Echo,
    Closed,
    Nothing,
}

fn ask(topology: &Topology, address: &str, port: u16) -> Found {
    let socket = topology.socket(address, port);
    socket.send(b"who answers?").unwrap();
    let mut answer = [0; 64];
    match socket.recv(&mut answer) {
        Ok(len) if answer.get(..len) == Some(b"who answers?") => Found::Echo,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Found::Closed,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Found::Nothing,
        other => panic!("{other:?}: {answer:?}"),
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn the_first_route_that_matches_answers_on_an_address_of_barelanes_own() {
    let topology = Topology::new();
    let path = std::env::temp_dir().join(format!("barelane-routes-{}.toml", std::process::id()));
    let addresses = format!("[\"{}/24\", \"{}/64\"]", SERVER[0], SERVER[1]);
    let routes = ROUTES.replace("CLIENT4", CLIENT[0]).replace("CLIENT6", CLIENT[1]);
    fs::write(&path, format!("[serve]\naddresses = {addresses}\naddress_check_ms = 20\n{routes}")).unwrap();
    let server = Server::start(&topology, &["--config", path.to_str().unwrap()]);
    fs::remove_file(&path).unwrap();
    for address in SERVER {
        for (port, wanted) in [
            (7, Found::Echo),
            (4000, Found::Echo),
            (4999, Found::Echo),
            (5000, Found::Closed),
            // What is the kernel's on an address that it does not have is nobody's.
            (4500, Found::Nothing),
        ] {
            assert_eq!(ask(&topology, address, port), wanted, "port {port} of {address}");
        }
    }
    let counts = server.counts();
    assert_eq!(
        (counts["replied_udp"], counts["replied_unreachable"], counts["unclaimed"]),
        (6, 2, 2),
        "{counts:?}"
    );
}

#[test]
#[ignore = "needs root: a network namespace"]
fn the_kernel_answers_what_an_exception_leaves_to_it() {
    let topology = Topology::new();
    let kernels = topology.server.run(|| std::net::UdpSocket::bind("10.9.0.3:4500").unwrap()).unwrap();
    let path = std::env::temp_dir().join(format!("barelane-routes-kernel-{}.toml", std::process::id()));
    let routes = "[[route]]\nrespond = \"udp-echo:4500\"\ntier = \"kernel\"\n[[route]]\nrespond = \"udp-echo:4499-4501\"\n";
    fs::write(&path, format!("[serve]\naddresses = [\"10.9.0.3/24\"]\n{routes}")).unwrap();
    let server = Server::start(&topology, &["--config", path.to_str().unwrap()]);
    fs::remove_file(&path).unwrap();
    for port in [4499, 4501] {
        assert_eq!(ask(&topology, "10.9.0.3", port), Found::Echo, "port {port}");
    }
    topology.socket("10.9.0.3", 4500).send(b"for the kernel").unwrap();
    let mut taken = [0; 64];
    let (len, _) = kernels.recv_from(&mut taken).unwrap();
    assert_eq!(taken.get(..len), Some(&b"for the kernel"[..]));
    assert_eq!(server.counts()["replied_udp"], 2);
}

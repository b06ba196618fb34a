//! Two hosts and a cable, and programs that run on them for a bounded time.

use std::env;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use host::links;
use host::namespace::Namespace;
use host::veth::{End, VethPair, create};
use nic::xdp::ModeChoice;
use nic::xdp::bare::{self, Bare, BareAttachment};

/// What only Barelane has.
pub(crate) const SERVER: [&str; 2] = ["10.9.0.1", "fd09::1"];
/// What the server's kernel has.
pub(crate) const KERNEL: [&str; 2] = ["10.9.0.3", "fd09::3"];
/// What the clients' kernel has.
pub(crate) const CLIENT: [&str; 2] = ["10.9.0.2", "fd09::2"];
/// The clients' end of the cable.
pub(crate) const CLIENT_NIC: &str = "client0";
/// The server's end of the cable.
pub(crate) const SERVER_NIC: &str = "lane0";
/// The MAC address of [`SERVER_NIC`].
pub(crate) const SERVER_MAC: &str = "02:00:00:00:09:01";

/// How long a client may take, whatever it does: the longest, a flood of 100,000 pings, takes some seconds.
const CLIENT_MAX: Duration = Duration::from_mins(3);
/// How long a socket waits for an answer. On two busy cores a wake-up may take milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Two hosts and a cable. Gone when this is dropped, or when the process ends in any way.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) clients: Namespace,
    pub(crate) server: Namespace,
}

/// How a client ended, and what it said on both of its outputs.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

impl Topology {
    /// A cable with one queue at each end.
    pub(crate) fn new() -> Self {
        Self::with_queues(1)
    }

    /// A cable with this many queues at each end.
    pub(crate) fn with_queues(queue_count: u32) -> Self {
        let topology = Self { clients: Namespace::new().unwrap(), server: Namespace::new().unwrap() };
        topology.lay(queue_count, [2, 0, 0, 0, 9, 1]);
        topology
    }

    /// Lays the cable, whose end at the server has this Ethernet address; or lays it again after it was taken away.
    pub(crate) fn lay(&self, queue_count: u32, server_mac: [u8; 6]) {
        let addresses = [CLIENT, KERNEL].map(|pair| pair.map(|address| address.parse::<IpAddr>().unwrap()));
        let [clients, kernel] = addresses.map(|[ipv4, ipv6]| [(ipv4, 24), (ipv6, 64)]);
        let a = End {
            namespace: Some(&self.clients),
            name: CLIENT_NIC,
            mac: [2, 0, 0, 0, 9, 2],
            rx_queues: queue_count,
            tx_queues: queue_count,
            addresses: &clients,
        };
        let b =
            End { namespace: Some(&self.server), name: SERVER_NIC, mac: server_mac, addresses: &kernel, ..a };
        create(&VethPair { a, b, mtu: 1500 }).unwrap();
    }

    /// Gives the clients' end a program that passes everything, without which a veth loses what the other end's driver
    /// answers. It is there until what this gives is dropped.
    pub(crate) fn carry_what_drivers_answer(&self) -> BareAttachment {
        let attach = || {
            let link = links::link(CLIENT_NIC).unwrap();
            bare::attach(Bare::Pass, CLIENT_NIC, link.index, ModeChoice::Native).unwrap()
        };
        self.clients.run(attach).unwrap()
    }

    /// Runs one of the clients to its end.
    pub(crate) fn client(&self, program: &str, arguments: &[&str]) -> Ended {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.clients.run(|| command.spawn()).unwrap();
        finish(child.unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask test` installs it")))
    }

    /// Runs one of the scapy scripts beside this file, and demands that it finds nothing wrong.
    pub(crate) fn scapy(&self, script: &str) {
        self.scapy_with(script, &[]);
    }

    /// The same with more arguments; gives what it said.
    pub(crate) fn scapy_with(&self, script: &str, more: &[&str]) -> String {
        let script = format!("{}/tests/interface/scapy/{script}.py", env!("CARGO_MANIFEST_DIR"));
        let library = tools().join("scapy");
        let search = format!("PYTHONPATH={}", library.display());
        let arguments = [&[&search, "python3", "-B", &script, CLIENT_NIC, SERVER_MAC], more].concat();
        let ended = self.client("env", &arguments);
        assert!(ended.status.success(), "{script}: {}\n{}", ended.status, ended.said);
        ended.said
    }

    /// A socket of the clients' kernel, connected.
    pub(crate) fn socket(&self, address: &str, port: u16) -> UdpSocket {
        let target = SocketAddr::new(address.parse().unwrap(), port);
        let any = if target.is_ipv4() { CLIENT[0] } else { CLIENT[1] };
        let own = SocketAddr::new(any.parse().unwrap(), 0);
        let socket = self.clients.run(|| UdpSocket::bind(own)).unwrap().unwrap();
        socket.connect(target).unwrap();
        socket.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        socket
    }

    /// A TCP connection of the clients' kernel.
    pub(crate) fn connect(&self, address: &str, port: u16, wait: Duration) -> std::io::Result<TcpStream> {
        let target = SocketAddr::new(address.parse::<IpAddr>().unwrap(), port);
        self.clients.run(|| TcpStream::connect_timeout(&target, wait)).unwrap()
    }
}

/// Runs `ip` on a host.
pub(crate) fn ip(host: &Namespace, arguments: &[&str]) {
    let done = host.run(|| Command::new("ip").args(arguments).status()).unwrap().unwrap();
    assert!(done.success(), "ip {arguments:?}");
}

/// Where `cargo xtask test` put the clients that are not installed.
pub(crate) fn tools() -> PathBuf {
    PathBuf::from(env::var_os("BARELANE_TOOLS").expect("BARELANE_TOOLS is set by `cargo xtask test`"))
}

/// Waits for a program's end, or ends it.
pub(crate) fn finish(mut child: Child) -> Ended {
    let outputs = [child.stdout.take().map(reader), child.stderr.take().map(reader)];
    let deadline = Instant::now() + CLIENT_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline || child.kill().is_err(), "a client hangs, and was ended");
        thread::sleep(Duration::from_millis(2));
    };
    let said = outputs.into_iter().flatten().map(|output| output.join().unwrap()).collect();
    Ended { status, said }
}

fn reader(mut output: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut said = Vec::new();
        output.read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    })
}

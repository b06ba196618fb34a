//! Two hosts and a cable for each kind of server, made by netlink, and gone with the process.

use std::net::{IpAddr, Ipv4Addr};

use host::ethtool::{self, Offload};
use host::links;
use host::namespace::Namespace;
use host::neighbours;
use host::veth::{self, End, VethPair};
use wire::ethernet::Mac;

use crate::error::Error;
use crate::probe::CycleClock;

/// The cable whose server is the kernel, as the kernel makes it.
pub(super) static KERNEL: Cable = Cable::new("kernel0", 1, [198, 18, 0], &[Wish::ServersKernel]);

/// The cable whose server is the kernel, set up so that a socket can busy-poll it.
pub(super) static POLL: Cable =
    Cable::new("poll0", 2, [198, 18, 1], &[Wish::ServersKernel, Wish::WholeChecksums, Wish::Gro]);

/// The cable whose server is DPDK.
pub(super) static DPDK: Cable =
    Cable::new("dpdk0", 3, [198, 18, 2], &[Wish::WholeChecksums, Wish::KnownNeighbour]);

/// The cable whose server is a program that swaps addresses.
pub(super) static BARE: Cable =
    Cable::new("bare0", 4, [198, 18, 3], &[Wish::WholeChecksums, Wish::KnownNeighbour]);

/// The cable whose server is a lane of Barelane's.
pub(super) static LANE: Cable = Cable::new("lane0", 5, [198, 19, 0], &[]);

/// The cable whose server is Barelane's driver tier.
pub(super) static DRIVER: Cable = Cable::new("driver0", 6, [198, 19, 1], &[]);

/// The links of all cables.
pub(super) const PREFIX_LEN: u8 = 24;

/// The usual MTU of Ethernet (RFC 894).
pub(super) const MTU: u32 = 1500;

/// What a cable has beyond two ends and the client's address. The fewer wishes, the more it is as anyone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// The server's kernel has the server's address.
    ServersKernel,
    /// The client's kernel finishes the checksums of what it sends, as it would for a card that cannot. On a veth it
    /// leaves them to nobody, and a server that only swaps addresses sends back what no kernel accepts.
    WholeChecksums,
    /// The client knows the server's Ethernet address: the server answers no ARP.
    KnownNeighbour,
    /// The server's end gathers packets, so that they come by NAPI, which is what can be polled. It does so only for
    /// packets with whole checksums.
    Gro,
}

/// One cable: its name on both ends, its place in the Ethernet addresses, its IP addresses.
#[derive(Debug)]
pub(super) struct Cable {
    pub(super) name: &'static str,
    number: u8,
    pub(super) client: Ipv4Addr,
    pub(super) server: Ipv4Addr,
    wishes: &'static [Wish],
}

impl Cable {
    const fn new(name: &'static str, number: u8, net: [u8; 3], wishes: &'static [Wish]) -> Self {
        let [a, b, c] = net;
        Self {
            name,
            number,
            client: Ipv4Addr::new(a, b, c, CLIENT),
            server: Ipv4Addr::new(a, b, c, SERVER),
            wishes,
        }
    }

    /// The Ethernet address of one end: a locally administered one (IEEE 802 8.4).
    const fn mac(&self, host: u8) -> Mac {
        Mac([2, 0, 0, 0, self.number, host])
    }

    /// The Ethernet address of the client's end.
    pub(super) const fn client_mac(&self) -> Mac {
        self.mac(CLIENT)
    }

    /// The Ethernet address of the server's end.
    pub(super) const fn server_mac(&self) -> Mac {
        self.mac(SERVER)
    }

    fn wishes(&self, wish: Wish) -> bool {
        self.wishes.contains(&wish)
    }
}

/// The last byte of the client's Ethernet and IP addresses.
const CLIENT: u8 = 2;
/// The last byte of the server's.
const SERVER: u8 = 1;

/// The two hosts, the cores that they have, and one clock for both.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) client: Namespace,
    pub(super) server: Namespace,
    pub(super) client_core: usize,
    pub(super) server_core: usize,
    pub(super) clock: CycleClock,
}

impl Hosts {
    /// Makes both namespaces and lays the cables.
    pub(super) fn build(cables: &[&Cable]) -> Result<Self, Error> {
        let cores = host::cores::allowed()?;
        let (client_core, server_core) = match cores.as_slice() {
            [.., client, server] => (*client, *server),
            [only] => (*only, *only),
            [] => return Err(Error::Failed("this process has no core to run on".to_owned())),
        };
        let client = Namespace::new()?;
        let server = Namespace::new()?;
        for cable in cables {
            lay(cable, &client, &server)?;
        }
        let clock = CycleClock::calibrate();
        Ok(Self { client, server, client_core, server_core, clock })
    }

    /// Whether client and server have to share a core.
    pub(super) fn share_a_core(&self) -> bool {
        self.client_core == self.server_core
    }

    /// What a reader of the figures should know.
    pub(super) fn facts(&self) -> Vec<String> {
        let cores = if self.share_a_core() {
            format!(
                "client and server share core {}: figures of a spinning server mean little",
                self.server_core
            )
        } else {
            format!("client on core {}, server on core {}", self.client_core, self.server_core)
        };
        vec!["two hosts in memory, a cable (veth) for each kind of server".to_owned(), cores]
    }
}

/// Lays one cable and sees to its wishes.
fn lay(cable: &Cable, client: &Namespace, server: &Namespace) -> Result<(), Error> {
    let client_addresses = [(IpAddr::from(cable.client), PREFIX_LEN)];
    let server_addresses = [(IpAddr::from(cable.server), PREFIX_LEN)];
    let servers_kernel = if cable.wishes(Wish::ServersKernel) { &server_addresses[..] } else { &[] };
    let end = |host, namespace, addresses| End {
        namespace: Some(namespace),
        name: cable.name,
        mac: cable.mac(host).0,
        rx_queues: 1,
        tx_queues: 1,
        addresses,
    };
    let a = end(CLIENT, client, &client_addresses);
    let indices = veth::create(&VethPair { a, b: end(SERVER, server, servers_kernel), mtu: MTU })?;
    if cable.wishes(Wish::WholeChecksums) {
        client.run(|| ethtool::set_tx_checksum(indices.a, Offload::Off))??;
    }
    if cable.wishes(Wish::Gro) {
        server.run(|| ethtool::set_gro(indices.b, Offload::On))??;
    }
    if cable.wishes(Wish::KnownNeighbour) {
        client.run(|| neighbours::add(indices.a, cable.server.into(), cable.server_mac().0))??;
    }
    Ok(())
}

/// The driver of a cable, as the kernel names it.
pub(super) fn driver(hosts: &Hosts, cable: &Cable) -> Result<String, Error> {
    let link = hosts.server.run(|| links::link(cable.name))??;
    Ok(link.driver_name().unwrap_or("unknown").to_owned())
}

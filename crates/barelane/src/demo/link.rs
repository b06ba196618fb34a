//! Two hosts and two cables, made by netlink, and gone with the process.

use std::net::{IpAddr, Ipv4Addr};

use host::namespace::Namespace;
use host::veth::{self, End, VethPair};
use wire::ethernet::Mac;

use crate::error::Error;
use crate::probe::CycleClock;

/// The cable whose server is the kernel.
pub(super) const KERNEL: Cable = Cable {
    name: "kernel0",
    number: 1,
    client: Ipv4Addr::new(198, 18, 0, 2),
    server: Ipv4Addr::new(198, 18, 0, 1),
};

/// The cable whose server is Barelane alone.
pub(super) const LANE: Cable = Cable {
    name: "lane0",
    number: 2,
    client: Ipv4Addr::new(198, 19, 0, 2),
    server: Ipv4Addr::new(198, 19, 0, 1),
};

/// The links of both cables.
pub(super) const PREFIX_LEN: u8 = 24;

/// The usual MTU of Ethernet (RFC 894).
const MTU: u32 = 1500;

/// One cable: its name on both ends, its place in the Ethernet addresses, its IP addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cable {
    pub(super) name: &'static str,
    number: u8,
    pub(super) client: Ipv4Addr,
    pub(super) server: Ipv4Addr,
}

impl Cable {
    /// The Ethernet address of one end: a locally administered one (IEEE 802 8.4).
    const fn mac(&self, host: u8) -> Mac {
        Mac([2, 0, 0, 0, self.number, host])
    }

    /// The Ethernet address of the server's end.
    pub(super) const fn server_mac(&self) -> Mac {
        self.mac(SERVER)
    }
}

/// The last byte of the client's Ethernet addresses.
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
    /// Makes both namespaces and lays both cables.
    pub(super) fn build() -> Result<Self, Error> {
        let cores = host::cores::allowed()?;
        let (client_core, server_core) = match cores.as_slice() {
            [.., client, server] => (*client, *server),
            [only] => (*only, *only),
            [] => return Err(Error::Failed("this process has no core to run on".to_owned())),
        };
        let client = Namespace::new()?;
        let server = Namespace::new()?;
        let kernels_own = [(IpAddr::from(KERNEL.server), PREFIX_LEN)];
        lay(&KERNEL, &client, &server, &kernels_own)?;
        lay(&LANE, &client, &server, &[])?;
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
        vec!["two hosts, two cables (veth), in memory".to_owned(), cores]
    }
}

/// Lays one cable. The server's kernel knows only `kernels_own` of its addresses.
fn lay(
    cable: &Cable,
    client: &Namespace,
    server: &Namespace,
    kernels_own: &[(IpAddr, u8)],
) -> Result<(), Error> {
    let client_addresses = [(IpAddr::from(cable.client), PREFIX_LEN)];
    let end = |host, namespace, addresses| End {
        namespace: Some(namespace),
        name: cable.name,
        mac: cable.mac(host).0,
        rx_queues: 1,
        tx_queues: 1,
        addresses,
    };
    let pair =
        VethPair { a: end(CLIENT, client, &client_addresses), b: end(SERVER, server, kernels_own), mtu: MTU };
    veth::create(&pair)?;
    Ok(())
}

//! Two hosts and a cable for each kind of server, made by netlink, and gone with the process. Without privileges there are no
//! hosts, and what needs no cable is left: memory that two processes share, and this host's own loopback.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::{process, thread};

use host::HostError;
use host::ethtool::{self, Offload};
use host::links;
use host::namespace::Namespace;
use host::neighbours;
use host::veth::{self, End, VethPair};
use wire::ethernet::Mac;

use super::serving::PORT;
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

/// Memory in place of a cable: a memif.
pub(super) static MEMORY: Cable =
    Cable { medium: Medium::Memory, ..Cable::new("memif", 7, [198, 19, 2], &[]) };

/// This host's way to itself, which is the kernel's.
pub(super) static LOOPBACK: Cable = Cable {
    medium: Medium::Loopback,
    client: Ipv4Addr::LOCALHOST,
    server: Ipv4Addr::LOCALHOST,
    ..Cable::new("lo", 8, [127, 0, 0], &[])
};

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

/// What packets go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    /// A pair of virtual interfaces, one in each host: making it needs privileges.
    Veth,
    /// Memory that both ends map.
    Memory,
    /// The loopback interface of the host that the demo runs on.
    Loopback,
}

/// One cable: its name on both ends, its place in the Ethernet addresses, its IP addresses.
#[derive(Debug)]
pub(super) struct Cable {
    pub(super) name: &'static str,
    number: u8,
    pub(super) client: Ipv4Addr,
    pub(super) server: Ipv4Addr,
    pub(super) medium: Medium,
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
            medium: Medium::Veth,
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

/// Where something runs.
#[derive(Debug)]
pub(super) enum Place {
    /// On a host of the demo's.
    Host(Namespace),
    /// Where the demo itself runs.
    Here,
}

impl Place {
    /// Runs `work` there, on a thread of its own, and gives what it gives.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, HostError> {
        match self {
            Self::Host(namespace) => namespace.run(work),
            Self::Here => Ok(thread::scope(|scope| match scope.spawn(work).join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })),
        }
    }
}

/// The two hosts, the cores that they have, and one clock for both.
#[derive(Debug)]
pub(super) struct Hosts {
    pub(super) client: Place,
    pub(super) server: Place,
    here: Place,
    pub(super) client_core: usize,
    pub(super) server_core: usize,
    pub(super) clock: CycleClock,
    /// For the sockets of memory, and for what other programs write.
    pub(super) directory: Directory,
    loopback_port: NonZeroU16,
}

/// A directory among temporary files; removed when this is dropped.
#[derive(Debug)]
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    fn make() -> Result<Self, Error> {
        let path = std::env::temp_dir().join(format!("barelane-demo-{}", process::id()));
        // Not one that is there already: among temporary files, it could be anybody's.
        fs::create_dir(&path).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed is left among temporary files.
        let _left = fs::remove_dir_all(&self.0);
    }
}

impl Hosts {
    /// Makes both hosts and lays the cables between them, if there are any to lay.
    pub(super) fn build(cables: &[&Cable]) -> Result<Self, Error> {
        let cores = host::cores::allowed()?;
        let (client_core, server_core) = match cores.as_slice() {
            [.., client, server] => (*client, *server),
            [only] => (*only, *only),
            [] => return Err(Error::Failed("this process has no core to run on".to_owned())),
        };
        let veths: Vec<_> = cables.iter().filter(|cable| cable.medium == Medium::Veth).collect();
        let [client, server] = if veths.is_empty() {
            [Place::Here, Place::Here]
        } else {
            let hosts = [Namespace::new()?, Namespace::new()?];
            let [client, server] = &hosts;
            veths.into_iter().try_for_each(|cable| lay(cable, client, server))?;
            hosts.map(Place::Host)
        };
        let (clock, directory, loopback_port) = (CycleClock::calibrate(), Directory::make()?, free_port()?);
        Ok(Self {
            client,
            server,
            here: Place::Here,
            client_core,
            server_core,
            clock,
            directory,
            loopback_port,
        })
    }

    /// Where the client's end of a cable is.
    pub(super) const fn client_of(&self, cable: &Cable) -> &Place {
        match cable.medium {
            Medium::Veth => &self.client,
            Medium::Memory | Medium::Loopback => &self.here,
        }
    }

    /// Where the server's end of a cable is.
    pub(super) const fn server_of(&self, cable: &Cable) -> &Place {
        match cable.medium {
            Medium::Veth => &self.server,
            Medium::Memory | Medium::Loopback => &self.here,
        }
    }

    /// The port of the UDP echo on a cable: its own (RFC 862), but where that needs privileges and may be somebody's.
    pub(super) const fn port_on(&self, cable: &Cable) -> NonZeroU16 {
        match cable.medium {
            Medium::Veth | Medium::Memory => PORT,
            Medium::Loopback => self.loopback_port,
        }
    }

    /// The socket of the memory in place of a cable.
    pub(super) fn memif_socket(&self) -> PathBuf {
        self.directory.0.join("memif.sock")
    }

    /// Whether there are hosts with cables between.
    pub(super) const fn have_cables(&self) -> bool {
        matches!(self.client, Place::Host(_))
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
        let hosts = match self.client {
            Place::Host(_) => "two hosts in memory, a cable (veth) for each kind of server",
            Place::Here => {
                "without root there are no hosts with cables between: shared memory and this host's loopback only"
            }
        };
        vec![hosts.to_owned(), cores]
    }
}

/// A UDP port of this host's loopback that nobody has now.
fn free_port() -> Result<NonZeroU16, Error> {
    let failed = |error| Error::Failed(format!("no UDP port on the loopback interface: {error}"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    Ok(NonZeroU16::new(socket.local_addr().map_err(failed)?.port()).unwrap_or(NonZeroU16::MAX))
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
    match cable.medium {
        Medium::Veth => {
            let link = hosts.server.run(|| links::link(cable.name))??;
            Ok(link.driver_name().unwrap_or("unknown").to_owned())
        }
        Medium::Memory => Ok("none".to_owned()),
        Medium::Loopback => Ok("loopback".to_owned()),
    }
}

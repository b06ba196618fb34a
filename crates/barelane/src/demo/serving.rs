//! Who serves on a row's cable. Each server runs on the server's core, and only while its row is asked.

use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;

use nic::memif::{self, SocketName};
use nic::xdp::ModeChoice;
use nic::xdp::bare::{self, Bare, BareAttachment};
use route::Service;
use telemetry::Kind;

use super::echo::Echo;
pub(super) use super::echo::Wait;
use super::link::{Cable, Hosts, PREFIX_LEN};
use super::outside::{self, Program};
use super::sockperf;
pub(super) use super::testpmd::Forward;
use super::testpmd::Testpmd;
use super::{Unmeasured, interrupted};
use crate::config::{Config, EarliestChoice, MemifConfig};
use crate::error::Error;
use crate::plan::Plan;
use crate::serve::{Server, Summary};

/// The port of every UDP echo here: its own (RFC 862).
pub(super) const PORT: NonZeroU16 = NonZeroU16::new(7).unwrap();

/// STAMP's own port (RFC 8762 4.1).
pub(super) const STAMP_PORT: NonZeroU16 = NonZeroU16::new(862).unwrap();

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serve {
    /// The kernel itself, which always answers pings.
    Kernel,
    /// A UDP echo server over an ordinary socket.
    Echo(Wait),
    /// DPDK's own test program, over AF_XDP.
    Testpmd(Forward),
    /// A program in the driver that swaps addresses and checks nothing.
    Swap(ClientsEnd),
    /// Barelane, by a lane alone.
    Lane,
    /// Barelane, by a lane on shared memory.
    Memory,
    /// Barelane, by its driver tier.
    Driver(ClientsEnd),
    /// Sockperf's own server.
    Sockperf,
    /// Nobody: a program drops whatever comes.
    Nobody,
}

/// Which program the client's end has: without one, a veth does not deliver what the other end sends by `XDP_TX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientsEnd {
    /// One that passes everything, since the client is a socket.
    Pass,
    /// The client's own, by which it asks past its kernel.
    Own,
}

/// How a server ran.
#[derive(Clone, Debug)]
pub(super) struct Served {
    /// What it was.
    pub(super) server: String,
    /// By which way packets came to it and left.
    pub(super) mode: String,
}

/// The server of a row at work.
#[derive(Debug)]
pub(super) enum Serving {
    Kernel,
    Echo(Echo),
    Testpmd(Testpmd),
    Swap(Swap),
    Lane(Box<Server>),
    Driver(Box<Server>, Option<BareAttachment>),
    Sockperf(sockperf::Server),
    Nobody(BareAttachment),
}

/// The swapping program, and the passing one at the other end.
#[derive(Debug)]
pub(super) struct Swap {
    server: BareAttachment,
    _client: Option<BareAttachment>,
}

impl Serve {
    /// The program that is not ours and that it needs.
    pub(super) const fn program(self) -> Option<Program> {
        match self {
            Self::Testpmd(_) => Some(outside::TESTPMD),
            Self::Sockperf => Some(outside::SOCKPERF),
            Self::Kernel
            | Self::Echo(_)
            | Self::Swap(_)
            | Self::Lane
            | Self::Memory
            | Self::Driver(_)
            | Self::Nobody => None,
        }
    }

    /// Starts it. When this returns, it answers.
    pub(super) fn start(
        self,
        hosts: &Hosts,
        cable: &Cable,
        stop: &AtomicBool,
    ) -> Result<Serving, Unmeasured> {
        Ok(match self {
            Self::Kernel => Serving::Kernel,
            Self::Echo(wait) => Serving::Echo(Echo::start(hosts, cable, wait)?),
            Self::Testpmd(forward) => Serving::Testpmd(Testpmd::start(hosts, cable, forward, stop)?),
            Self::Swap(clients_end) => Serving::Swap(Swap::attach(hosts, cable, clients_end)?),
            Self::Memory => Serving::Lane(serve_in_memory(hosts, cable, stop)?),
            Self::Lane => Serving::Lane(serve(hosts, cable, EarliestChoice::Lane, stop)?),
            Self::Driver(clients_end) => {
                let client = clients_end.attach(hosts, cable)?;
                Serving::Driver(serve(hosts, cable, EarliestChoice::Driver, stop)?, client)
            }
            Self::Sockperf => Serving::Sockperf(sockperf::Server::start(hosts, cable, stop)?),
            Self::Nobody => Serving::Nobody(hosts.server.run(|| attach(Bare::Drop, cable))??),
        })
    }
}

impl Serving {
    /// Stops it, and says how it ran.
    pub(super) fn stop(self) -> Result<Served, Error> {
        match self {
            Self::Kernel => Ok(Served::new("the kernel itself", "kernel stack")),
            Self::Echo(echo) => echo.stop(),
            Self::Testpmd(testpmd) => testpmd.stop(),
            Self::Swap(swap) => {
                let mode = format!("XDP_TX {}", swap.server.mode());
                Ok(Served::new("a program that swaps addresses and checks nothing", mode))
            }
            Self::Lane(server) => {
                let served = Served::new(server.describe(), server.way());
                server.stop()?.check()?;
                Ok(served)
            }
            Self::Driver(server, _client) => {
                let served = Served::new(SERVED_IN_DRIVER, server.way_of_driver());
                let summary = server.stop()?;
                summary.check()?;
                check_answered_in_driver(&summary)?;
                Ok(served)
            }
            Self::Sockperf(server) => server.stop(),
            Self::Nobody(dropping) => {
                let mode = format!("XDP_DROP {}", dropping.mode());
                Ok(Served::new("nobody: a program drops every question", mode))
            }
        }
    }
}

/// What answers there.
const SERVED_IN_DRIVER: &str = "the driver tier, with every check that a lane makes";

/// A figure of the driver tier must have nothing of a lane's in it.
fn check_answered_in_driver(summary: &Summary) -> Result<(), Error> {
    let [in_driver, by_lane] =
        [summary.driver(), summary.counters()].map(|counters| counters.sum(Kind::Replied));
    if in_driver > 0 && by_lane == 0 {
        return Ok(());
    }
    Err(Error::Failed(format!("{in_driver} answers came from the driver tier and {by_lane} from a lane")))
}

impl Served {
    pub(super) fn new(server: impl Into<String>, mode: impl Into<String>) -> Self {
        Self { server: server.into(), mode: mode.into() }
    }
}

impl Swap {
    fn attach(hosts: &Hosts, cable: &Cable, clients_end: ClientsEnd) -> Result<Self, Error> {
        let client = clients_end.attach(hosts, cable)?;
        let server = hosts.server.run(|| attach(Bare::Swap, cable))??;
        Ok(Self { server, _client: client })
    }
}

impl ClientsEnd {
    /// Attaches what the client does not attach itself.
    fn attach(self, hosts: &Hosts, cable: &Cable) -> Result<Option<BareAttachment>, Error> {
        match self {
            Self::Pass => Ok(Some(hosts.client.run(|| attach(Bare::Pass, cable))??)),
            Self::Own => Ok(None),
        }
    }
}

/// Attaches a bare program to a cable's end in the namespace of this thread.
pub(super) fn attach(bare: Bare, cable: &Cable) -> Result<BareAttachment, Error> {
    let link = host::links::link(cable.name)?;
    Ok(bare::attach(bare, &link.name, link.index, ModeChoice::Auto)?)
}

/// Starts Barelane on a cable.
fn serve(
    hosts: &Hosts,
    cable: &Cable,
    tier: EarliestChoice,
    stop: &AtomicBool,
) -> Result<Box<Server>, Unmeasured> {
    let config = config(hosts, cable, tier);
    let server = hosts.server.run(|| Server::start(Plan::new(&config)?, stop))??;
    Ok(Box::new(server.ok_or_else(interrupted)?))
}

/// Starts Barelane on shared memory.
fn serve_in_memory(hosts: &Hosts, cable: &Cable, stop: &AtomicBool) -> Result<Box<Server>, Unmeasured> {
    let mut config = config(hosts, cable, EarliestChoice::Auto);
    config.nic.interface.clear();
    let socket = SocketName::new(&hosts.memif_socket().display().to_string());
    config.nic.memif = Some(MemifConfig { settings: memif::Settings::new(socket), secret_file: None });
    config.nic.mac = Some(cable.server_mac());
    let server = hosts.server_of(cable).run(|| Server::start(Plan::new(&config)?, stop))??;
    Ok(Box::new(server.ok_or_else(interrupted)?))
}

/// One lane on an address that only Barelane has, with or without the driver tier before it. The tier is forced: by
/// itself, the plan could not know of a program that the client attaches later.
pub(super) fn config(hosts: &Hosts, cable: &Cable, tier: EarliestChoice) -> Config {
    let mut config = Config::default();
    cable.name.clone_into(&mut config.nic.interface);
    config.lane.cores = vec![hosts.server_core];
    config.serve.addresses = vec![(cable.server.into(), PREFIX_LEN)];
    config.serve.respond = vec![
        Service::IcmpEcho,
        Service::UdpEcho { ports: PORT.into() },
        Service::Stamp { ports: STAMP_PORT.into() },
        Service::Sockperf { ports: sockperf::PORT.into() },
    ];
    // There is only one other host on this cable, and it is ours.
    config.serve.address_check_ms = 0;
    config.serve.tier = tier;
    config
}

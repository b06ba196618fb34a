//! Who serves on a row's cable. Each server runs on the server's core, and only while its row is asked.

use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;

use nic::xdp::ModeChoice;
use nic::xdp::bare::{self, Bare, BareAttachment};
use route::Service;

use super::echo::Echo;
pub(super) use super::echo::Wait;
use super::link::{Cable, Hosts, PREFIX_LEN};
use super::outside::{self, Program};
use super::sockperf;
pub(super) use super::testpmd::Forward;
use super::testpmd::Testpmd;
use super::{Unmeasured, interrupted};
use crate::config::Config;
use crate::error::Error;
use crate::plan::Plan;
use crate::serve::Server;

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
    /// Barelane.
    Lane,
    /// Sockperf's own server.
    Sockperf,
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
    Sockperf(sockperf::Server),
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
            Self::Kernel | Self::Echo(_) | Self::Swap(_) | Self::Lane => None,
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
            Self::Lane => {
                let config = lane_config(hosts, cable);
                let start = || Server::start(Plan::new(&config)?, stop);
                let server = hosts.server.run(start)??;
                Serving::Lane(Box::new(server.ok_or_else(interrupted)?))
            }
            Self::Sockperf => Serving::Sockperf(sockperf::Server::start(hosts, cable, stop)?),
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
            Self::Sockperf(server) => server.stop(),
        }
    }
}

impl Served {
    pub(super) fn new(server: impl Into<String>, mode: impl Into<String>) -> Self {
        Self { server: server.into(), mode: mode.into() }
    }
}

impl Swap {
    fn attach(hosts: &Hosts, cable: &Cable, clients_end: ClientsEnd) -> Result<Self, Error> {
        let attach = |bare| {
            let link = host::links::link(cable.name)?;
            Ok::<_, Error>(bare::attach(bare, &link.name, link.index, ModeChoice::Auto)?)
        };
        let client = match clients_end {
            ClientsEnd::Pass => Some(hosts.client.run(|| attach(Bare::Pass))??),
            ClientsEnd::Own => None,
        };
        let server = hosts.server.run(|| attach(Bare::Swap))??;
        Ok(Self { server, _client: client })
    }
}

/// One lane on an address that only Barelane has.
fn lane_config(hosts: &Hosts, cable: &Cable) -> Config {
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
    config
}

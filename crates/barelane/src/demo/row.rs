//! What is measured: each row is a server and the question that it is asked.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use probe::socket::{self, Socket};
use probe::{Ask, Controls, End, Progress, Protocol, Report, measure};
use telemetry::Ns;

use super::echo::{Echo, Wait};
use super::interrupted;
use super::link::{Hosts, KERNEL, LANE, PREFIX_LEN};
use crate::config::Config;
use crate::error::Error;
use crate::plan::Plan;
use crate::probe::card::reserve;
use crate::probe::failed;
use crate::probe::platform::ThisPlatform;
use crate::serve::Server;

/// The port of every UDP echo here: its own (RFC 862).
pub(super) const PORT: NonZeroU16 = NonZeroU16::new(7).unwrap();

/// Payload of a question. 64 bytes are what a game or a voice server answers, and what the kernel's ping sends.
pub(super) const SIZE: usize = 64;

/// Questions that are not counted, before each part: neighbours are resolved, caches and branch predictors warm.
const WARM_UP: u64 = 200;

/// How long is listened for what is late or double when a part is over.
const LINGER: Ns = Ns(2_000_000);

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    KernelIcmp,
    KernelUdpBlocking,
    KernelUdpSpinning,
    LaneIcmp,
    LaneUdp,
    LaneUdpXdp,
}

/// One part of a round.
#[derive(Debug)]
pub(super) struct Measured {
    /// What the client found.
    pub(super) report: Report,
    /// How the server ran.
    pub(super) server: String,
}

/// The server of a row at work.
#[derive(Debug)]
enum Serving {
    /// The kernel itself, which always answers.
    Kernel,
    Echo(Echo),
    Lane(Box<Server>),
}

impl Row {
    /// All rows, in the order of the table and of a round.
    pub(super) const ALL: &[Self] = &[
        Self::KernelIcmp,
        Self::KernelUdpBlocking,
        Self::KernelUdpSpinning,
        Self::LaneIcmp,
        Self::LaneUdp,
        Self::LaneUdpXdp,
    ];

    /// What all others are compared with: what anyone would write first.
    pub(super) const REFERENCE: Self = Self::KernelUdpBlocking;

    /// What people read.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::KernelIcmp => "kernel, ICMP echo",
            Self::KernelUdpBlocking => "kernel, UDP echo, blocking",
            Self::KernelUdpSpinning => "kernel, UDP echo, spinning",
            Self::LaneIcmp => "Barelane lane, ICMP echo",
            Self::LaneUdp => "Barelane lane, UDP echo",
            Self::LaneUdpXdp => "the same, asked by AF_XDP",
        }
    }

    /// What programs read.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::KernelIcmp => "kernel_icmp",
            Self::KernelUdpBlocking => "kernel_udp_blocking",
            Self::KernelUdpSpinning => "kernel_udp_spinning",
            Self::LaneIcmp => "lane_icmp",
            Self::LaneUdp => "lane_udp",
            Self::LaneUdpXdp => "lane_udp_asked_by_xdp",
        }
    }

    /// Starts the row's server, asks it for `length`, and stops it.
    pub(super) fn measure(
        self,
        hosts: &Hosts,
        length: Duration,
        stop: &AtomicBool,
    ) -> Result<Measured, Error> {
        let serving = self.serve(hosts, stop)?;
        let server = serving.describe();
        let asked = self.ask(hosts, &self.question(length), stop);
        serving.stop()?;
        asked.map(|report| Measured { report, server })
    }

    fn serve(self, hosts: &Hosts, stop: &AtomicBool) -> Result<Serving, Error> {
        Ok(match self {
            Self::KernelIcmp => Serving::Kernel,
            Self::KernelUdpBlocking => Serving::Echo(Echo::start(hosts, Wait::Block)?),
            Self::KernelUdpSpinning => Serving::Echo(Echo::start(hosts, Wait::Spin)?),
            Self::LaneIcmp | Self::LaneUdp | Self::LaneUdpXdp => {
                let config = lane_config(hosts);
                let start = || Server::start(Plan::new(&config)?, stop);
                let server = hosts.server.run(start)??;
                Serving::Lane(Box::new(server.ok_or_else(interrupted)?))
            }
        })
    }

    fn question(self, length: Duration) -> Ask {
        let (server, protocol) = match self {
            Self::KernelIcmp => (KERNEL.server, Protocol::Icmp),
            Self::KernelUdpBlocking | Self::KernelUdpSpinning => {
                (KERNEL.server, Protocol::Udp { port: PORT })
            }
            Self::LaneIcmp => (LANE.server, Protocol::Icmp),
            Self::LaneUdp | Self::LaneUdpXdp => (LANE.server, Protocol::Udp { port: PORT }),
        };
        Ask {
            size: SIZE,
            end: End::Seconds(length.as_secs_f64()),
            warm_up: WARM_UP,
            linger: LINGER,
            ..Ask::new(IpAddr::from(server), protocol)
        }
    }

    /// Asks on the client's core: by a socket that spins, or sleeps where it has to leave the core to the server; in
    /// the last row past the client's kernel.
    fn ask(self, hosts: &Hosts, ask: &Ask, stop: &AtomicBool) -> Result<Report, Error> {
        let outcome = hosts.client.run(|| {
            host::cores::pin(hosts.client_core)?;
            let platform = ThisPlatform::open();
            let controls = Controls { stop, progress: &Progress::default(), platform: &platform };
            if self == Self::LaneUdpXdp {
                let link = host::links::link(LANE.name)?;
                let mut reserved = reserve(ask, &link, LANE.client.into(), LANE.server_mac())?;
                return measure(ask, &mut reserved.card, &hosts.clock, &controls).map_err(failed);
            }
            let wait = if hosts.share_a_core() { socket::Wait::Block } else { socket::Wait::Spin };
            let mut socket = Socket::open(ask, wait).map_err(|error| Error::Failed(error.to_string()))?;
            measure(ask, &mut socket, &hosts.clock, &controls).map_err(failed)
        })??;
        Ok(Report::new(&outcome))
    }
}

/// One lane on an address that only Barelane has.
fn lane_config(hosts: &Hosts) -> Config {
    let mut config = Config::default();
    LANE.name.clone_into(&mut config.nic.interface);
    config.lane.cores = vec![hosts.server_core];
    config.serve.addresses = vec![(LANE.server.into(), PREFIX_LEN)];
    config.serve.respond = vec![route::Service::IcmpEcho, route::Service::UdpEcho { port: PORT }];
    // There is only one other host on this cable, and it is ours.
    config.serve.address_check_ms = 0;
    config
}

impl Serving {
    fn describe(&self) -> String {
        match self {
            Self::Kernel => "the kernel itself".to_owned(),
            Self::Echo(echo) => echo.describe().to_owned(),
            Self::Lane(server) => server.describe(),
        }
    }

    fn stop(self) -> Result<(), Error> {
        match self {
            Self::Kernel => Ok(()),
            Self::Echo(echo) => echo.stop(),
            Self::Lane(server) => server.stop()?.check(),
        }
    }
}

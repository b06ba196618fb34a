//! How a row is asked. Every client runs on the client's core, one question at a time.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nic::memif::{self, SocketName};
use probe::frames::Link;
use probe::memif::Interface;
use probe::neighbours::{Neighbours, NextHop, Station};
use probe::socket::{self, Socket};
use probe::{Ask, Controls, End, Outcome, Progress, Protocol, Report, Transport, measure};
use serde_json::Value;
use telemetry::Ns;

use super::link::{Cable, Hosts, MTU};
use super::outside::{self, Program};
use super::{Unmeasured, sockperf};
use crate::error::Error;
use crate::probe::card::reserve;
use crate::probe::failed;
use crate::probe::platform::ThisPlatform;

/// Payload of a question. 64 bytes are what a game or a voice server answers, and what the kernel's ping sends.
pub(super) const SIZE: usize = 64;

/// Questions that are not counted, before each part: neighbours are resolved, caches and branch predictors warm.
const WARM_UP: u64 = 200;

/// The port, or the echo identifier, that is asked from where there is no kernel to give one: a dynamic one (RFC 6335 6).
const IDENTITY: NonZeroU16 = NonZeroU16::new(49_200).unwrap();

/// How long is listened for what is late or double when a part is over.
const LINGER: Ns = Ns(2_000_000);

/// Which client, and what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Barelane's probe by a socket that spins, or sleeps where it has to leave the core to the server.
    Socket(Protocol),
    /// Barelane's probe past the client's kernel.
    Card(Protocol),
    /// Barelane's probe over shared memory.
    Memory(Protocol),
    /// Sockperf's own client.
    Sockperf,
}

/// What a client found in one part of a round.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) p50_ns: Option<u64>,
    pub(super) p99_ns: Option<u64>,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) lost: u64,
    /// Answers that were damaged, doubled, unexpected, or an error message.
    pub(super) wrong: u64,
    /// What asked, and how it waited.
    pub(super) client: String,
    /// The clock of its stamps.
    pub(super) clock: String,
    /// How much of the round trip was outside of the server, and how much within: where answers say it.
    pub(super) network_p50_ns: Option<u64>,
    pub(super) residence_p50_ns: Option<u64>,
    /// Whether the client itself stood still long enough to stand in its figures; nothing where it does not say.
    pub(super) was_stalled: Option<bool>,
    /// All that it says.
    pub(super) whole: Value,
    /// The same, so that rounds can be summed up; nothing where it is not ours.
    pub(super) outcome: Option<Box<Outcome>>,
}

impl Asking {
    /// The program that is not ours and that it needs.
    pub(super) const fn program(self) -> Option<Program> {
        match self {
            Self::Sockperf => Some(outside::SOCKPERF),
            Self::Socket(_) | Self::Card(_) | Self::Memory(_) => None,
        }
    }

    /// Asks the server of a cable for `length`.
    pub(super) fn ask(
        self,
        hosts: &Hosts,
        cable: &Cable,
        length: Duration,
        stop: &AtomicBool,
    ) -> Result<Part, Unmeasured> {
        match self {
            Self::Socket(protocol) => {
                let ask = question(cable, on_port(hosts, cable, protocol), length);
                Ok(by_socket(hosts, cable, &ask, stop).and_then(Part::of)?)
            }
            Self::Card(protocol) => {
                Ok(by_card(hosts, cable, &question(cable, protocol, length), stop).and_then(Part::of)?)
            }
            Self::Memory(protocol) => {
                Ok(by_memory(hosts, cable, &question(cable, protocol, length), stop).and_then(Part::of)?)
            }
            Self::Sockperf => sockperf::ask(hosts, cable, length, stop),
        }
    }
}

pub(super) fn question(cable: &Cable, protocol: Protocol, length: Duration) -> Ask {
    Ask {
        size: SIZE,
        end: End::Seconds(length.as_secs_f64()),
        warm_up: WARM_UP,
        linger: LINGER,
        ..Ask::new(IpAddr::from(cable.server), protocol)
    }
}

/// The protocol, at the port that the cable's server has.
fn on_port(hosts: &Hosts, cable: &Cable, protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::Udp { .. } => Protocol::Udp { port: hosts.port_on(cable) },
        other => other,
    }
}

fn by_socket(hosts: &Hosts, cable: &Cable, ask: &Ask, stop: &AtomicBool) -> Result<Outcome, Error> {
    let wait = if hosts.share_a_core() { socket::Wait::Block } else { socket::Wait::Spin };
    hosts.client_of(cable).run(|| {
        host::cores::pin(hosts.client_core)?;
        let mut socket = Socket::open(ask, wait).map_err(|error| Error::Failed(error.to_string()))?;
        run(hosts, ask, &mut socket, stop)
    })?
}

pub(super) fn by_card(hosts: &Hosts, cable: &Cable, ask: &Ask, stop: &AtomicBool) -> Result<Outcome, Error> {
    hosts.client.run(|| {
        host::cores::pin(hosts.client_core)?;
        let link = host::links::link(cable.name)?;
        let mut reserved = reserve(ask, &link, cable.client.into(), cable.server_mac())?;
        run(hosts, ask, &mut reserved.card, stop)
    })?
}

/// As the memory's client: the server has the socket. Where it is is known, as it is to whoever asks on a cable.
fn by_memory(hosts: &Hosts, cable: &Cable, ask: &Ask, stop: &AtomicBool) -> Result<Outcome, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Failed(error.to_string());
    let socket = SocketName::new(&hosts.memif_socket().display().to_string());
    let settings = memif::Settings { role: memif::Role::Client, ..memif::Settings::new(socket) };
    let own = Station { mac: cable.client_mac(), ip: cable.client.into() };
    let link = Link {
        mac: own.mac,
        ip: own.ip,
        next_hop: cable.server_mac(),
        identity: IDENTITY,
        mtu: MTU as usize,
    };
    let neighbours = Neighbours::new(own, NextHop::Fixed(link.next_hop)).map_err(|error| failed(&error))?;
    hosts.client_of(cable).run(|| {
        // Before this thread is bound to a core, which the one beside the queue must not have.
        let interface = Interface::open(&settings, stop).map_err(|error| failed(&error))?;
        host::cores::pin(hosts.client_core)?;
        let mut memif = interface.ask(ask, link, neighbours).map_err(|error| failed(&error))?;
        run(hosts, ask, &mut memif, stop)
    })?
}

fn run(
    hosts: &Hosts,
    ask: &Ask,
    transport: &mut impl Transport,
    stop: &AtomicBool,
) -> Result<Outcome, Error> {
    let platform = ThisPlatform::open();
    let controls = Controls { stop, progress: &Progress::default(), platform: &platform };
    measure(ask, transport, &hosts.clock, &controls).map_err(failed)
}

impl Part {
    fn of(outcome: Outcome) -> Result<Self, Error> {
        let report = Report::new(&outcome);
        let mut whole = serde_json::to_value(&report).map_err(|error| Error::Failed(error.to_string()))?;
        if let Some(keys) = whole.as_object_mut() {
            // Of a part of a second it says little, and it would be nine tenths of the file.
            keys.remove("series");
            // They are the cable's, and stand in the row.
            keys.retain(|key, _| !["nic", "driver"].contains(&key.as_str()));
        }
        Ok(Self {
            p50_ns: report.rtt.p50_ns,
            p99_ns: report.rtt.p99_ns,
            sent: report.sent,
            answered: report.answered,
            lost: report.lost + report.late,
            wrong: report.corrupted + report.duplicated + report.unmatched + report.refused,
            client: format!("barelane probe: {}, {}", report.means, report.wait),
            clock: report.clock,
            network_p50_ns: report.network.p50_ns,
            residence_p50_ns: report.residence.p50_ns,
            was_stalled: Some(report.own_error.was_stalled),
            whole,
            outcome: Some(Box::new(outcome)),
        })
    }
}

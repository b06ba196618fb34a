//! The probe's backend `xdp`: a card of its own, past the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::num::NonZeroU16;

use host::links::Link;
use nic::xdp::Settings;
use probe::Ask;
use probe::frames::{self, PartialChecksums};
use probe::xdp::{OpenError, Xdp};
use wire::ethernet::Mac;

use super::target::Target;
use crate::error::{Error, Wrong};

/// A card that asks, and the socket that keeps its port from everybody else.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) card: Xdp,
    _port: UdpSocket,
}

/// Opens the card towards a target.
pub(super) fn open(ask: &Ask, target: &Target, next_hop: Option<[u8; 6]>) -> Result<Reserved, Error> {
    let refused = |problem: &str| {
        let remedy = "use --backend socket, or a target on an Ethernet link";
        Error::from(Wrong::new("--backend", "xdp").because(problem).remedy(remedy))
    };
    let missing = host::privileges::missing_for_xdp();
    if !missing.is_empty() {
        let problem = format!("it needs privileges that this process does not have: {}", missing.join(", "));
        return Err(Wrong::new("--backend", "xdp").because(problem).remedy("run it as root").into());
    }
    let (Some(link), Some(next_hop)) = (&target.link, next_hop) else {
        return Err(refused("the way to the target has no Ethernet card"));
    };
    let own = target.way.source.ok_or_else(|| refused("the kernel has no address to ask from"))?;
    reserve(ask, link, own, Mac(next_hop))
}

/// Opens the card of `link` to ask from `own`, by way of `next_hop`.
pub(crate) fn reserve(ask: &Ask, link: &Link, own: IpAddr, next_hop: Mac) -> Result<Reserved, Error> {
    let failed = |error: std::io::Error| Error::Failed(format!("no UDP port to ask from: {error}"));
    let any = if own.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let port = UdpSocket::bind((any, 0)).map_err(failed)?;
    let identity = NonZeroU16::new(port.local_addr().map_err(failed)?.port()).unwrap_or(NonZeroU16::MAX);
    let mac = Mac(link.mac);
    let way = frames::Link { mac, ip: own, next_hop, identity, mtu: link.mtu as usize };
    let mut settings = Settings::new(&link.name, link.index, link.mtu);
    settings.queues = (0..link.rx_queues.min(link.tx_queues).max(1)).collect();
    settings.numa_node = link.numa_node;
    // A veth's other end leaves checksums to a NIC that does not exist; what crosses a wire has whole ones.
    let is_veth = link.kind.as_deref() == Some("veth");
    let partial = if is_veth { PartialChecksums::Accept } else { PartialChecksums::Refuse };
    let card = Xdp::open(ask, way, &settings, partial).map_err(|error| match error {
        OpenError::Ask(error) => Error::Input(error.to_string()),
        OpenError::Card(error) => error.into(),
    })?;
    Ok(Reserved { card, _port: port })
}

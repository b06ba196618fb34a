//! The measuring client in this process, asking past its kernel, and what the ends of the cable have dropped.

use std::fs;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;

use host::links;
use host::namespace::Namespace;
use nic::xdp::Settings;
use probe::frames::{Link, PartialChecksums};
use probe::own_error::NoPlatform;
use probe::xdp::Xdp;
use probe::{Ask, Controls, MonotonicClock, Outcome, Progress, measure};
use wire::Mac;

use crate::topology::{CLIENT, CLIENT_NIC, SERVER_NIC, Topology};

/// Slots of the client's rings: so many answers wait while its core is somebody else's.
const RING_SIZE: u32 = 16_384;
/// Where `/proc/net/dev` has what was dropped on arrival, and what was dropped while it was sent.
const RX_DROP: usize = 3;
const TX_DROP: usize = 11;

/// Measures from the clients' end, on the core that a lane takes last.
pub(crate) fn by_xdp(topology: &Topology, ask: &Ask, progress: &Progress, stop: &AtomicBool) -> Outcome {
    let measured = topology.clients.run(|| {
        host::cores::pin(host::cores::allowed().unwrap()[0]).unwrap();
        let nic = links::link(CLIENT_NIC).unwrap();
        let ip: IpAddr = CLIENT[0].parse().unwrap();
        let identity = NonZeroU16::new(40_000).unwrap();
        let mtu = nic.mtu as usize;
        let link = Link { mac: Mac(nic.mac), ip, next_hop: Mac([2, 0, 0, 0, 9, 1]), identity, mtu };
        let settings = Settings { ring_size: RING_SIZE, ..Settings::new(CLIENT_NIC, nic.index, nic.mtu) };
        let mut xdp = Xdp::open(ask, link, &settings, PartialChecksums::Accept).unwrap();
        let controls = Controls { stop, progress, platform: &NoPlatform };
        measure(ask, &mut xdp, &MonotonicClock::start(), &controls).unwrap()
    });
    measured.unwrap()
}

/// Frames that the clients sent and the server's card never gave to a program.
pub(crate) fn dropped_towards_server(topology: &Topology) -> u64 {
    dropped((&topology.clients, CLIENT_NIC), (&topology.server, SERVER_NIC))
}

/// Frames that the server sent and the clients' card never gave to a program.
pub(crate) fn dropped_towards_clients(topology: &Topology) -> u64 {
    dropped((&topology.server, SERVER_NIC), (&topology.clients, CLIENT_NIC))
}

/// Frames that were lost between two ends of a cable. A veth counts a frame for which the other end's ring has no room as
/// dropped by its sender, and one that the receiving program could not put into its socket's ring as dropped by its
/// receiver (`veth_get_stats64` in `drivers/net/veth.c`).
fn dropped((sender, out): (&Namespace, &str), (receiver, inwards): (&Namespace, &str)) -> u64 {
    counted(sender, out, TX_DROP) + counted(receiver, inwards, RX_DROP)
}

/// A column of `/proc/net/dev`, counted from the name (proc(5)).
pub(crate) fn counted(host: &Namespace, nic: &str, column: usize) -> u64 {
    let text = host.run(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap()).unwrap();
    let row = text.lines().find_map(|line| line.trim().strip_prefix(nic)?.strip_prefix(':')).unwrap();
    row.split_whitespace().nth(column).unwrap().parse().unwrap()
}

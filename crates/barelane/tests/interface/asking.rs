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

use crate::topology::{CLIENT, CLIENT_NIC, Topology};

/// Slots of the client's rings: so many answers wait while its core is somebody else's.
const RING_SIZE: u32 = 16_384;

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

/// Frames that an end of the cable received and dropped: the fourth word after the name in `/proc/net/dev` (proc(5)).
pub(crate) fn dropped(host: &Namespace, nic: &str) -> u64 {
    let text = host.run(|| fs::read_to_string("/proc/thread-self/net/dev").unwrap()).unwrap();
    let row = text.lines().find_map(|line| line.trim().strip_prefix(nic)?.strip_prefix(':')).unwrap();
    row.split_whitespace().nth(3).unwrap().parse().unwrap()
}

//! A virtual cable between two hosts, and what is done at its ends.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use barelane_nic::xdp::{
    self, Attachment, Claim, ClaimKey, ClaimedAddress, Claims, Owner, Settings, Tier, Vlans, XdpError,
    XdpQueue, XdpSocket,
};
use barelane_nic::{Frame, Queue};
use host::links;
use host::namespace::Namespace;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};
use host::privileges;
use host::veth::{self, End, VethPair};

use crate::packets::{CLIENT_MAC, CLIENTS, CLIENTS_V6, KERNELS, KERNELS_V6, OURS, OURS_V6, SERVER_MAC, ip};

pub(crate) const INTERFACE: &str = "bl0";
/// Far longer than anything takes; far shorter than a patient reader waits.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
/// Long enough to see that something does not come.
pub(crate) const NOTHING: Duration = Duration::from_millis(50);

/// The two ends of a cable, each in its namespace.
pub(crate) struct Cable {
    pub(crate) server: Namespace,
    pub(crate) client: Namespace,
    pub(crate) ifindex: u32,
    pub(crate) peer: u32,
}

impl Cable {
    /// A cable whose ends have `queues` each; nothing, said aloud, where the privileges are missing.
    pub(crate) fn lay(queues: u32) -> Option<Self> {
        let missing = [privileges::missing_for_xdp(), privileges::missing_for_namespaces()].concat();
        if !missing.is_empty() {
            let test = thread::current().name().unwrap_or("a test").to_owned();
            // Not by a macro, whose words the test harness keeps to itself where a test passes.
            let _ = writeln!(io::stderr(), "skipped: {test}: a virtual cable needs {missing:?}");
            return None;
        }
        let (server, client) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        let server_addresses = [(ip(KERNELS), 24), (ip(KERNELS_V6), 64)];
        let client_addresses = [(ip(CLIENTS), 24), (ip(CLIENTS_V6), 64)];
        let end = |namespace, name, mac, addresses| End {
            namespace: Some(namespace),
            name,
            mac,
            rx_queues: queues,
            tx_queues: queues,
            addresses,
        };
        let pair = VethPair {
            a: end(&server, INTERFACE, SERVER_MAC, &server_addresses),
            b: end(&client, "bl1", CLIENT_MAC, &client_addresses),
            mtu: 1500,
        };
        let indices = veth::create(&pair).unwrap();
        Some(Self { ifindex: indices.a, peer: indices.b, server, client })
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::new(INTERFACE, self.ifindex, 1500)
    }

    pub(crate) fn open(
        &self,
        settings: &Settings,
    ) -> Result<(Attachment, Vec<XdpQueue<XdpSocket>>), XdpError> {
        self.server.run(|| xdp::open(settings, &claims())).unwrap()
    }

    pub(crate) fn client_socket(&self) -> PacketSocket {
        self.client.run(|| PacketSocket::open(self.peer, EVERY_ETHERTYPE)).unwrap().unwrap()
    }

    /// Sees what the program passes to the kernel.
    pub(crate) fn kernel_socket(&self) -> PacketSocket {
        self.server.run(|| PacketSocket::open(self.ifindex, EVERY_ETHERTYPE)).unwrap().unwrap()
    }

    pub(crate) fn program(&self) -> Option<links::AttachedProgram> {
        self.server.run(|| links::link(INTERFACE).unwrap().program).unwrap()
    }
}

/// The VLANs that are served.
pub(crate) const VIDS: [u16; 2] = [5, 6];

/// Pings and UDP port 7 of the kernel's addresses are ours, and so are two addresses that no kernel has.
pub(crate) fn claims() -> Claims {
    let key = |address, protocol, selector| Claim {
        key: ClaimKey { address: ip(address), protocol, selector },
        tier: Tier::Lane,
        route: 0,
        is_reflected: false,
    };
    let address = |address, owner| ClaimedAddress::new(ip(address), owner);
    Claims {
        mac: SERVER_MAC,
        vlans: Vlans::of(&VIDS).unwrap(),
        addresses: vec![
            address(KERNELS, Owner::Kernel),
            address(KERNELS_V6, Owner::Kernel),
            address(OURS, Owner::Barelane),
            address(OURS_V6, Owner::Barelane),
        ],
        claims: vec![
            key(KERNELS, 1, 8),
            key(KERNELS, 17, 7),
            key(KERNELS_V6, 58, 128),
            key(KERNELS_V6, 17, 7),
            key(OURS, 1, 8),
            key(OURS_V6, 58, 128),
        ],
        ..Claims::default()
    }
}

/// The next frame that the queue receives, within the limit.
pub(crate) fn receive(queue: &mut XdpQueue<XdpSocket>, limit: Duration) -> Option<Frame> {
    receive_by(queue, limit)
}

/// The same of a queue of whatever type.
pub(crate) fn receive_by(queue: &mut impl Queue, limit: Duration) -> Option<Frame> {
    let deadline = Instant::now() + limit;
    loop {
        let mut burst = queue.rx();
        if let Some(frame) = queue.next(&mut burst) {
            return Some(frame);
        }
        queue.flush();
        if Instant::now() > deadline {
            return None;
        }
        thread::yield_now();
    }
}

/// Sends everything back as it came, but for the Ethernet addresses.
pub(crate) fn reflect(queue: &mut XdpQueue<XdpSocket>, frame: Frame) {
    let room = queue.room_mut(&frame);
    room[..6].copy_from_slice(&CLIENT_MAC);
    room[6..12].copy_from_slice(&SERVER_MAC);
    queue.tx(frame).unwrap();
    queue.flush();
}

/// Whether `wanted` arrives at a packet socket, which sees all else that passes there too.
pub(crate) fn arrives(socket: &PacketSocket, wanted: &[u8], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut room = vec![0xa5; 2048];
    while let Some(rest) = deadline.checked_duration_since(Instant::now()) {
        if let Some(len) = socket.receive(&mut room, rest).unwrap()
            && room[..len] == *wanted
        {
            return true;
        }
    }
    false
}

/// A frame of `marker` and its answer, as `reflect` makes it, both ways through the cable.
pub(crate) fn assert_reflects(client: &PacketSocket, queue: &mut XdpQueue<XdpSocket>, question: &[u8]) {
    client.send(question).unwrap();
    let frame = receive(queue, LIMIT).expect("the question does not reach the queue");
    assert_eq!(queue.room_mut(&frame)[..frame.len()], *question);
    reflect(queue, frame);
    let answer = [&CLIENT_MAC[..], &SERVER_MAC, &question[12..]].concat();
    assert!(arrives(client, &answer, LIMIT), "the answer does not reach the client");
}

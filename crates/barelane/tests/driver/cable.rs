//! The program and a lane over AF_XDP on one end of a virtual cable, asked from the other, as a tier that vectors can be
//! put to.
//!
//! ```text
//!   namespace `client`                          namespace `server`
//!   packet socket                               packet socket: what was handed on
//!        │                                           │ PASS
//!   bare pass program ── ask ═══ veth ═══ answer ── XDP program ── XSK ── lane
//! ```
//!
//! Neither kernel has an address or speaks IPv6, so that nothing is on the cable but questions and answers. Whether a
//! question was judged, the program's counts say, and the lane's: nobody waits for what does not come. A packet socket
//! sends a frame as it is, checksums and tags included.

use std::thread;
use std::time::{Duration, Instant};

use host::namespace::Namespace;
use host::packet::{EVERY_ETHERTYPE, PacketSocket};
use host::veth::{self, End, VethPair};
use lane::{Lane, TableSender, mailbox};
use nic::xdp::bare::{self, Bare, BareAttachment};
use nic::xdp::{self, Attachment, COUNT_MAX, Mode, ModeChoice, Settings, XdpQueue, XdpSocket};
use route::LaneSettings;
use route::Tier as Where;
use telemetry::{Counter, Counters, Kind, Ns, Reason, Tick};
use testkit::clock::SimulatedClock;
use testkit::conservation;
use testkit::endpoint;
use testkit::vectors::{self, Outcome, Tier};

use crate::simulated::{Alone, SimulatedLane, card, still, table_of};
use crate::tier::{LEN_MIN, as_a_lane_says, claims, difference, lane_settings};

const SERVER_END: &str = "answer";
const CLIENT_END: &str = "ask";
/// The vectors' longest question, two tags and all, is one of an MTU of 1500.
const MTU: u32 = 1600;
/// Far longer than anything takes.
const LIMIT: Duration = Duration::from_secs(5);
/// Longer than any frame here.
const ROOM: usize = 4096;

/// An end of a cable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Server,
    Client,
}

/// Two hosts, and the cable between them.
pub(crate) struct Cable {
    server: Namespace,
    client: Namespace,
    ends: veth::Indices,
}

/// A namespace whose kernel says nothing by itself.
pub(crate) fn silent() -> Namespace {
    let namespace = Namespace::new().unwrap();
    namespace.set("ipv6/conf/default/disable_ipv6", "1").unwrap();
    namespace
}

impl Cable {
    fn lay() -> Self {
        Self::between(silent(), silent(), &[])
    }

    /// A cable between these, of which the server's kernel has these addresses.
    pub(crate) fn between(
        server: Namespace,
        client: Namespace,
        addresses: &[(std::net::IpAddr, u8)],
    ) -> Self {
        let endpoint = endpoint::load().unwrap();
        let a = End {
            namespace: Some(&server),
            name: SERVER_END,
            mac: endpoint.mac,
            rx_queues: 1,
            tx_queues: 1,
            addresses,
        };
        let b =
            End { namespace: Some(&client), name: CLIENT_END, mac: endpoint.asker.mac, addresses: &[], ..a };
        let ends = veth::create(&VethPair { a, b, mtu: MTU }).unwrap();
        Self { server, client, ends }
    }

    /// Has the server's kernel drop what it has for a station that it does not know, where it would ask for the station and
    /// keep the packet until then.
    pub(crate) fn forget_whom_it_cannot_reach(&self) {
        for family in ["ipv4", "ipv6"] {
            self.server.set(&format!("{family}/neigh/{SERVER_END}/mcast_solicit"), "0").unwrap();
        }
    }

    /// Attaches the program that passes everything.
    pub(crate) fn pass_at(&self, end: Which) -> BareAttachment {
        let (host, name, ifindex) = match end {
            Which::Server => (&self.server, SERVER_END, self.ends.a),
            Which::Client => (&self.client, CLIENT_END, self.ends.b),
        };
        host.run(|| bare::attach(Bare::Pass, name, ifindex, ModeChoice::Native)).unwrap().unwrap()
    }

    /// What arrives at the client's end.
    pub(crate) fn client_socket(&self) -> PacketSocket {
        self.client.run(|| PacketSocket::open(self.ends.b, EVERY_ETHERTYPE)).unwrap().unwrap()
    }

    /// What arrives at the server's kernel.
    fn server_socket(&self) -> PacketSocket {
        self.server.run(|| PacketSocket::open(self.ends.a, EVERY_ETHERTYPE)).unwrap().unwrap()
    }
}

/// The endpoint of the vectors behind a cable.
pub(crate) struct OnCable {
    /// Before the lane's queue: then nothing is redirected any more when that goes.
    attachment: Attachment,
    _pass: BareAttachment,
    lane: Lane<XdpQueue<XdpSocket>, SimulatedClock>,
    clock: SimulatedClock,
    now: Tick,
    _tables: TableSender,
    client: PacketSocket,
    server: PacketSocket,
    /// What the program had counted before the next frame.
    counted: [u64; COUNT_MAX],
    /// What the kernel does with what it is handed.
    alone: SimulatedLane<Alone>,
    _cable: Cable,
}

impl OnCable {
    /// Opened so that questions are answered at this tier.
    pub(crate) fn open(asked: vectors::Settings, earliest: Where) -> Self {
        let (cable, lane_settings) = (Cable::lay(), lane_settings(asked));
        let claims = claims(&lane_settings, earliest);
        let settings = Settings { mode: ModeChoice::Native, ..Settings::new(SERVER_END, cable.ends.a, MTU) };
        let (attachment, mut queues) = cable.server.run(|| xdp::open(&settings, &claims)).unwrap().unwrap();
        assert_eq!(attachment.mode(), Mode::Native);
        let pass = cable.pass_at(Which::Client);
        let clock = SimulatedClock::default();
        let (lane, tables) = lane_on(queues.remove(0), &lane_settings, &clock);
        Self {
            counted: attachment.counts().unwrap(),
            attachment,
            _pass: pass,
            lane,
            clock,
            now: Tick(0),
            _tables: tables,
            client: cable.client_socket(),
            server: cable.server_socket(),
            alone: SimulatedLane::with(Alone(card()), lane_settings),
            _cable: cable,
        }
    }

    /// What the program has counted of the frame that was just sent: waits until it says what became of it.
    fn judged(&mut self) -> Counters {
        let deadline = Instant::now() + LIMIT;
        loop {
            let now = self.attachment.counts().unwrap();
            let counted = difference(&self.counted, &now);
            let is_over =
                [Kind::Replied, Kind::Passed, Kind::Dropped].iter().any(|&kind| counted.sum(kind) > 0);
            if is_over || Instant::now() > deadline {
                self.counted = now;
                return counted;
            }
            thread::yield_now();
        }
    }

    /// What the lane did with the one frame that the program has handed on.
    fn answered_by_lane(&mut self) -> Outcome {
        let before = self.lane.counters().clone();
        let deadline = Instant::now() + LIMIT;
        while self.lane.turn(self.now) == 0 {
            if Instant::now() > deadline {
                return Outcome::Nonsense("handed on, and not there".to_owned());
            }
        }
        let after = self.lane.counters();
        conservation::balanced(after).unwrap();
        let more = |kind| after.sum(kind) - before.sum(kind);
        let grew = |reason: &&Reason| after.of(reason.counter()) > before.of(reason.counter());
        match (more(Kind::Received), more(Kind::Replied), more(Kind::Dropped)) {
            (1, 1, 0) => arrived(&self.client).map_or(lost("the lane's answer"), Outcome::Reply),
            (1, 0, 1) => Outcome::Drop(Reason::ALL.iter().find(grew).copied()),
            counts => Outcome::Nonsense(format!("received, replied and dropped by the lane: {counts:?}")),
        }
    }

    /// Says what is on the cable that nobody has asked for.
    pub(crate) fn assert_silent(&self) {
        for (whose, socket) in [("client", &self.client), ("server", &self.server)] {
            let frame = socket.receive_whole(&mut [0xa5; ROOM], Duration::ZERO).unwrap();
            assert_eq!(frame, None, "at the {whose}'s end");
        }
        let statistics = self.attachment.statistics().unwrap()[0].1;
        let faults =
            (statistics.rx_dropped, statistics.rx_invalid, statistics.tx_invalid, statistics.rx_ring_full);
        assert_eq!(faults, (0, 0, 0, 0), "{statistics:?}");
    }

    /// What was counted by the program and by the lane.
    pub(crate) fn counts(&self) -> (Counters, Counters) {
        (difference(&[0; COUNT_MAX], &self.counted), self.lane.counters().clone())
    }
}

fn lost(what: &str) -> Outcome {
    Outcome::Nonsense(format!("{what} was counted, and does not arrive"))
}

/// The next frame, as it was on the cable.
fn arrived(socket: &PacketSocket) -> Option<Vec<u8>> {
    socket.receive_whole(&mut [0xa5; ROOM], LIMIT).unwrap()
}

/// Whether the kernel shows a frame that it is handed: not one that ends within its tag or right behind it, which it
/// discards as the first thing (`skb_vlan_untag` in `net/core/skbuff.c`).
fn is_seen(frame: &[u8]) -> bool {
    const TAGGED_LEN_MIN: usize = 20;
    let is_tagged = matches!(frame[12..14], [0x81, 0] | [0x88, 0xa8]);
    !is_tagged || frame.len() >= TAGGED_LEN_MIN
}

/// A lane on this queue, told the endpoint's time.
fn lane_on(
    queue: XdpQueue<XdpSocket>,
    settings: &LaneSettings,
    clock: &SimulatedClock,
) -> (Lane<XdpQueue<XdpSocket>, SimulatedClock>, TableSender) {
    let endpoint = endpoint::load().unwrap();
    let tables = Box::new(table_of(&endpoint).compile(settings));
    let (mut sender, mailbox) = mailbox();
    sender.tell_time(still(&endpoint));
    (Lane::new(queue, tables, clock.clone(), std::sync::Arc::default(), mailbox), sender)
}

impl Tier for OnCable {
    fn ask(&mut self, question: &[u8], quiet: Ns) -> Outcome {
        self.now.0 += quiet.0;
        self.clock.set(self.now);
        if question.len() < LEN_MIN {
            return Outcome::Silence;
        }
        self.client.send(question).unwrap();
        let counted = self.judged();
        let by = |kind| counted.sum(kind);
        match (counted.of(Counter::Rx), by(Kind::Replied), by(Kind::Passed), by(Kind::Dropped)) {
            (1, 1, 0, 0) => arrived(&self.client).map_or(lost("the program's answer"), Outcome::Reply),
            (1, 0, 1, 0) if counted.of(Counter::ToLane) == 1 => self.answered_by_lane(),
            (1, 0, 1, 0) => {
                let passed = if is_seen(question) {
                    arrived(&self.server).map_or(lost("a pass"), |frame| Outcome::Pass(frame, None))
                } else {
                    Outcome::Pass(question.to_vec(), None)
                };
                as_a_lane_says(&self.alone.ask(question, quiet), passed)
            }
            (1, 0, 0, 1) => {
                Outcome::Drop(Reason::ALL.iter().copied().find(|reason| counted.of(reason.counter()) == 1))
            }
            _ => Outcome::Nonsense(format!("counted {counted:?}")),
        }
    }

    fn can_pass(&self) -> bool {
        false
    }
}

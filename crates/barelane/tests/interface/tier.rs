//! Where questions are answered: the same clients ask the driver and a lane, each on a cable that carries its answers, and
//! the counters say who it was that answered.

use std::collections::HashMap;

use host::links;
use nic::xdp::ModeChoice;
use nic::xdp::bare::{self, Bare, BareAttachment};

use crate::server::Server;
use crate::topology::{CLIENT_NIC, Topology};

/// What the driver's counters are called by, beside a lane's.
const DRIVERS: &str = "driver_";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Driver,
    Lane,
}

impl Tier {
    /// As an operator asks for it. Without, the server goes over to the driver as soon as a client has a program at its end,
    /// in the middle of a test.
    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Driver => &["--tier", "driver"],
            Self::Lane => &["--tier", "lane"],
        }
    }

    /// By what name the server says what this tier has counted in a row of THE table.
    pub(crate) fn row(self, name: &str) -> String {
        if self == Self::Driver { format!("{DRIVERS}{name}") } else { name.to_owned() }
    }

    /// What this tier has counted, by the names of THE table; that it is the one that has answered.
    pub(crate) fn counts(self, counts: &HashMap<String, u64>) -> HashMap<String, u64> {
        let (drivers, lanes): (Vec<_>, Vec<_>) =
            counts.iter().partition(|(name, _)| name.starts_with(DRIVERS));
        let answered = |of: &[(&String, &u64)]| {
            of.iter().filter(|(name, _)| name.contains("replied_")).map(|(_, count)| **count).sum::<u64>()
        };
        let (by_driver, by_lane) = (answered(&drivers), answered(&lanes));
        match self {
            Self::Driver => assert!(by_driver > by_lane, "not by the driver: {counts:?}"),
            Self::Lane => assert!(by_driver == 0 && by_lane > 0, "not by the lane: {counts:?}"),
        }
        let own = if self == Self::Driver { drivers } else { lanes };
        own.into_iter().map(|(name, &count)| (name.trim_start_matches(DRIVERS).to_owned(), count)).collect()
    }
}

/// A server on a cable, and the tier that answers there.
pub(crate) struct Serving {
    pub(crate) topology: Topology,
    tier: Tier,
    server: Server,
    _pass: Option<BareAttachment>,
}

impl Serving {
    /// One after the other, the driver and a lane, serving ICMP echo and UDP echo on addresses that only Barelane has.
    pub(crate) fn at_each_tier() -> impl Iterator<Item = Self> {
        Self::at_each_tier_with(&[])
    }

    /// The same with more options.
    pub(crate) fn at_each_tier_with(options: &[&str]) -> impl Iterator<Item = Self> {
        [Tier::Driver, Tier::Lane].into_iter().map(|tier| Self::start(tier, options))
    }

    fn start(tier: Tier, options: &[&str]) -> Self {
        let topology = Topology::new();
        let pass = (tier == Tier::Driver).then(|| pass_at_clients(&topology));
        let server = Server::alone_with(&topology, &[tier.options(), options].concat());
        Self { topology, tier, server, _pass: pass }
    }

    /// Ends the server whose driver hands on what this client asks, so that a lane answers at either tier.
    pub(crate) fn end_behind_the_driver(self) {
        let counts = self.server.counts();
        assert!(self.tier == Tier::Lane || counts["driver_to_lane"] > 0, "{counts:?}");
        drop(Tier::Lane.counts(&counts));
    }

    /// Ends the server, and gives what the tier counted.
    pub(crate) fn end(self) -> HashMap<String, u64> {
        let counts = self.server.counts();
        self.tier.counts(&counts)
    }
}

/// Without a program at the other end a veth does not deliver what a driver answers.
fn pass_at_clients(topology: &Topology) -> BareAttachment {
    let attach = || {
        let ifindex = links::link(CLIENT_NIC).unwrap().index;
        bare::attach(Bare::Pass, CLIENT_NIC, ifindex, ModeChoice::Native).unwrap()
    };
    topology.clients.run(attach).unwrap()
}

//! A server that runs: the card, its lanes, and the addresses that are Barelane's alone.

use std::net::IpAddr;

use host::clock::Clock;
use host::groups::SolicitedNode;
use nic::xdp::{self, Attachment, Claims};
use telemetry::Counters;

use super::address_check;
use super::lanes::Running;
use super::print::Summary;
use crate::error::Error;
use crate::plan::Plan;

/// Lanes at work on a card. [`Server::stop`] ends it in order and counts; dropping it detaches the program at once.
#[derive(Debug)]
pub struct Server {
    pub(super) plan: Plan,
    pub(super) card: Attachment,
    pub(super) lanes: Vec<Running>,
    pub(super) groups: Option<SolicitedNode>,
}

impl Server {
    /// Starts everything that the plan says, in the order that [`serve`](crate::serve) explains, and gives it back
    /// when packets are answered.
    pub fn start(plan: Plan) -> Result<Self, Error> {
        host::memory::lock_all()?;
        let (card, queues) = xdp::open(&plan.card, &nothing(&plan))?;
        let ours: Vec<IpAddr> = plan.own_addresses().collect();
        let groups = address_check::join_groups(&plan, &ours)?;
        address_check::check(&plan, &ours)?;
        let mut server = Self { plan, card, lanes: Vec::new(), groups };
        let clock = Clock::calibrate();
        for (&lane, queue) in server.plan.lanes.iter().zip(queues) {
            let tables = server.plan.routes.compile(&server.plan.lane);
            server.lanes.push(Running::start(lane, queue, tables, clock)?);
        }
        server.claim(&server.plan.claims())?;
        address_check::announce(&server.plan, &ours)?;
        Ok(server)
    }

    /// From here on exactly this is redirected to the lanes.
    pub(super) fn claim(&self, claims: &Claims) -> Result<(), Error> {
        Ok(self.card.set_claims(claims)?)
    }

    /// What runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All lanes' counters, as they were last published.
    pub fn counters(&self) -> Counters {
        Summary::sum(self.lanes.iter().map(Running::counters))
    }

    /// Stops: no more is redirected, what was is answered, then the lanes end and the program is detached.
    pub fn stop(self) -> Result<Summary, Error> {
        self.claim(&nothing(&self.plan))?;
        for lane in &self.lanes {
            lane.tell_to_stop();
        }
        let lanes = self.lanes.into_iter().map(Running::join).collect::<Result<Vec<_>, _>>()?;
        let drops = self.card.drops()?;
        Ok(Summary::new(Summary::sum(lanes.into_iter()), drops))
    }
}

/// Claims under which every packet passes to the kernel.
fn nothing(plan: &Plan) -> Claims {
    Claims { mac: plan.lane.mac.0, addresses: Vec::new(), keys: Vec::new() }
}

//! A server that runs: the card, its lanes, and the addresses that are Barelane's alone.

use std::net::IpAddr;

use host::clock::Clock;
use host::groups::SolicitedNode;
use nic::xdp::{self, Attachment, Claims, XdpError};
use telemetry::Counters;

use super::address_check;
use super::lanes::Running;
use super::print::Summary;
use crate::config::keys::{INTERFACE, MODE, ZERO_COPY};
use crate::error::{Error, Wrong};
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
        let opened = xdp::open(&plan.card, &nothing(&plan));
        let (card, queues) = opened.map_err(refusal)?;
        let ours: Vec<IpAddr> = plan.own_addresses().collect();
        let groups = address_check::join_groups(&plan, &ours)?;
        address_check::check(&plan, &ours)?;
        let mut server = Self { plan, card, lanes: Vec::new(), groups };
        let clock = Clock::calibrate();
        for (&lane, queue) in server.plan.lanes.iter().zip(queues) {
            let tables = server.plan.routes.compile(&server.plan.lane);
            server.lanes.push(Running::start(lane, queue, tables, clock)?);
        }
        let claims = server.plan.claims();
        server.claim(&claims)?;
        address_check::announce(&server.plan, &ours)?;
        Ok(server)
    }

    /// From here on exactly this is redirected to the lanes.
    pub(super) fn claim(&mut self, claims: &Claims) -> Result<(), Error> {
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
    pub fn stop(mut self) -> Result<Summary, Error> {
        let nothing = nothing(&self.plan);
        self.claim(&nothing)?;
        for lane in &self.lanes {
            lane.tell_to_stop();
        }
        let lanes = self.lanes.into_iter().map(Running::join).collect::<Result<Vec<_>, _>>()?;
        let drops = self.card.drops()?;
        let queues = self.card.statistics()?;
        Ok(Summary::new(Summary::sum(lanes.into_iter()), drops, queues))
    }
}

/// Claims under which every packet passes to the kernel.
fn nothing(plan: &Plan) -> Claims {
    Claims { mac: plan.lane.mac.0, addresses: Vec::new(), keys: Vec::new() }
}

/// What a card that will not open says, by the name of the setting that has to change, where there is one.
fn refusal(error: XdpError) -> Error {
    match error {
        XdpError::ZeroCopyAbsent { interface, queue, source } => Wrong::new(ZERO_COPY, "yes")
            .because(format_args!("the driver of {interface} has none for queue {queue}: {source}"))
            .remedy("write auto or no")
            .into(),
        XdpError::ModeAbsent { interface, mode, source } => Wrong::new(MODE, mode)
            .because(format_args!("{interface} does not have it: {source}"))
            .remedy("write auto")
            .into(),
        XdpError::Occupied { interface, program } => {
            let program = program.map_or_else(String::new, |program| format!(": {program}"));
            Wrong::new(INTERFACE, &interface)
                .because(format_args!("an XDP program is already attached{program}"))
                .remedy(format_args!(
                    "stop the process that owns it, or detach it: ip link set {interface} xdp off"
                ))
                .into()
        }
        other => other.into(),
    }
}

//! Is the interface still the one that was opened?
//!
//! Whoever removes it, gives it another Ethernet address or takes its cable out does not tell this process. So it is
//! looked at about once a second. With another address nothing will be answered, because the program redirects only what is
//! addressed to the one that it knows: that ends the server. Whatever else has changed is said once, in one line, and
//! serving goes on. That it is gone is heard otherwise, and sooner: see [`recovery`](super::recovery).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use host::links::{self, AddressState, InterfaceAddress, LinkState};
use route::Owner;
use wire::ethernet::Mac;

use crate::error::Error;
use crate::events::{Event, News};
use crate::plan::Plan;

/// How often the interface is looked at: how late its loss is noticed. A look takes some ten microseconds, and as many
/// again for each hundred addresses of this host.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The eye on the interface of one plan.
#[derive(Debug)]
pub(super) struct Watch {
    due: Instant,
    was_running: bool,
    /// What was different from the plan at the last look.
    said: Vec<String>,
}

impl Watch {
    pub(super) fn new(plan: &Plan) -> Self {
        let was_running = plan.facts.link.is_up && plan.facts.link.has_carrier;
        Self { due: Instant::now() + LOOK_INTERVAL, was_running, said: Vec::new() }
    }

    /// Whether packets could come at the last look.
    pub(super) const fn is_running(&self) -> bool {
        self.was_running
    }

    /// What has changed since the last look, if another look is due. Fails where nothing can be answered
    /// any more.
    pub(super) fn look(&mut self, plan: &Plan) -> Result<Vec<News>, Error> {
        let now = Instant::now();
        if now < self.due || plan.facts.is_memif() {
            return Ok(Vec::new());
        }
        self.due = now + LOOK_INTERVAL;
        let index = plan.facts.link.index;
        let found = links::state_at(index).and_then(|state| Ok((state, links::addresses(index)?)));
        match found {
            Ok((state, addresses)) => self.compare(plan, state.as_ref(), &addresses),
            // What the kernel does not tell now it may tell in a second; serving does not depend on it.
            Err(error) => Ok(self.news(vec![format!("warning: the interface cannot be looked at: {error}")])),
        }
    }

    fn compare(
        &mut self,
        plan: &Plan,
        state: Option<&LinkState>,
        addresses: &[InterfaceAddress],
    ) -> Result<Vec<News>, Error> {
        let name = &plan.facts.link.name;
        let Some(state) = state else { return Ok(Vec::new()) };
        if state.mac != plan.facts.link.mac {
            return Err(Error::Failed(format!(
                "{name} has the Ethernet address {} now, no longer {}, by which packets are told: start the server \
                 again",
                Mac(state.mac),
                Mac(plan.facts.link.mac)
            )));
        }
        let mut news = self.news(differences(plan, state, addresses));
        if state.is_running != self.was_running {
            self.was_running = state.is_running;
            let word =
                if state.is_running { "up again" } else { "down: no packet comes until it is up again" };
            let event = Event::Link { nic: name.clone(), is_running: state.is_running };
            news.push(News::new(event, format_args!("{name} is {word}")));
        }
        Ok(news)
    }

    /// Those of `lines` that were not said at the last look.
    fn news(&mut self, lines: Vec<String>) -> Vec<News> {
        let news = lines.iter().filter(|line| !self.said.contains(line)).map(|line| News::of(line)).collect();
        self.said = lines;
        news
    }
}

/// What is other than the plan says, and does not keep it from being followed.
fn differences(plan: &Plan, state: &LinkState, addresses: &[InterfaceAddress]) -> Vec<String> {
    let name = &plan.facts.link.name;
    let mut lines = Vec::new();
    if state.name != *name {
        lines.push(format!(
            "warning: {name} is called {} now and served as before; name it so in the configuration before the next \
             start",
            state.name
        ));
    }
    let is_there =
        |ip: IpAddr| addresses.iter().any(|one| one.ip == ip && one.state == AddressState::InForce);
    let before = &plan.facts.interface_addresses;
    let served = plan.routes.addresses().iter().filter(|address| address.owner == Owner::Kernel);
    let lost =
        served.filter(|address| before.iter().any(|&(ip, _)| ip == address.ip) && !is_there(address.ip));
    lines.extend(lost.map(|address| {
        format!(
            "warning: the kernel has lost {}, which is still served; SIGHUP looks at addresses again",
            address.ip
        )
    }));
    let serves_all = plan.config.serve.addresses.is_empty();
    let is_wanted = |ip: IpAddr| serves_all || plan.own_addresses().any(|own| own == ip);
    let gained = addresses
        .iter()
        .filter(|one| one.state == AddressState::InForce && before.iter().all(|&(ip, _)| ip != one.ip))
        .filter(|one| is_wanted(one.ip));
    lines.extend(
        gained.map(|one| format!("warning: the kernel has got {}; SIGHUP looks at addresses again", one.ip)),
    );
    lines
}

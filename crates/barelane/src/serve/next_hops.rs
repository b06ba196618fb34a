//! The ways to askers that are not on the link, as the kernel has them now, and what the tiers are told of them.
//!
//! ```text
//!   routes (main table) ─┐                    whole, when they differ
//!   neighbours ──────────┼─▶ ways ─▶ NextHops ─────────────────────▶ lanes, and the program
//!   addresses served ────┘     ▲                                       │ which gateways
//!                              │ "something has changed"               ▼ they answer by
//!                            kernel ◀──────── asked for them, once a second each
//! ```
//!
//! What is read is always all of it: what the kernel says of changes says only that there was one, so that none can be
//! missed. A gateway that answers go to is looked after as if a program of this host sent them: where the kernel does not know
//! its Ethernet address, or has not heard of it for long, the kernel is told that it is used, and asks.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use host::HostError;
use host::changes::Changes;
use host::neighbours::{self, Neighbour};
use host::routes::{self, Route};
use lane::GatewaysUsed;
use route::{NextHop, NextHops, Prefix, Via};
use wire::ethernet::Mac;

use crate::config::keys::{NEXT_HOP, ROUTE_NEXT_HOP};
use crate::error::{Error, Wrong};
use crate::events::{Event, News};
use crate::plan::Plan;

/// What has changed is read at most so often: how late an answer may follow. Reading takes a millisecond for some thousand
/// routes, and other neighbours than ours change too.
const READ_INTERVAL: Duration = Duration::from_millis(100);

/// The kernel is told of the use of one gateway at most so often (RFC 1122 2.3.2.1: at most one question a second for each
/// destination; the kernel itself repeats a question after a second).
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// What is said of one gateway is said again at most so often, unless it was known in between.
const SAY_INTERVAL: Duration = Duration::from_mins(1);

/// A prefix, and how it is reached.
type Ways = Vec<(Prefix, Via)>;

/// The eye on the kernel's routes and neighbours.
#[derive(Debug)]
pub(super) struct KernelWays {
    ifindex: u32,
    changes: Changes,
    /// What the lanes have been told, and its number.
    ways: Ways,
    next_hops: NextHops,
    is_dirty: bool,
    read_at: Instant,
    gateways: BTreeMap<IpAddr, Attention>,
    failure_said: Option<Instant>,
}

/// When what was last done about a gateway that answers go to.
#[derive(Clone, Copy, Debug, Default)]
struct Attention {
    asked: Option<Instant>,
    said: Option<Instant>,
}

/// What came of a look.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The ways, where the lanes must be told of them.
    pub(super) newer: Option<NextHops>,
    /// What an operator should know.
    pub(super) news: Vec<News>,
}

impl KernelWays {
    /// Reads the ways for the first time, and hears of changes from then on; nothing where every answer is reflected.
    pub(super) fn of(plan: &Plan) -> Result<Option<Self>, Error> {
        if !plan.needs_kernel_ways() {
            return Ok(None);
        }
        let ifindex = plan.facts.link.index;
        // Before the first look, so that nothing changes unheard in between.
        let changes = Changes::of(ifindex)?;
        let ways = read(plan)?;
        let next_hops = NextHops::new(1, ways.iter().copied()).map_err(|too_many| {
            let setting = if plan.lane.next_hop == NextHop::Auto { NEXT_HOP } else { ROUTE_NEXT_HOP };
            Wrong::new(setting, NextHop::Auto)
                .because(too_many)
                .remedy("write reflect, or keep fewer routes in the main table")
        })?;
        Ok(Some(Self {
            ifindex,
            changes,
            ways,
            next_hops,
            is_dirty: false,
            read_at: Instant::now(),
            gateways: BTreeMap::new(),
            failure_said: None,
        }))
    }

    /// The ways as they were last read.
    pub(super) fn next_hops(&self) -> &NextHops {
        &self.next_hops
    }

    /// The number of these ways.
    pub(super) fn generation(&self) -> u32 {
        self.next_hops.generation
    }

    /// The same with a number that no ways before it had.
    pub(super) fn numbered_after(mut self, generation: u32) -> Self {
        self.next_hops.generation = generation.wrapping_add(1);
        self
    }

    /// What has changed, if anything has and it is time to read it; and what is to be said of the gateways that
    /// answers have gone by.
    pub(super) fn look(
        &mut self,
        plan: &Plan,
        used: impl Iterator<Item = GatewaysUsed>,
    ) -> Result<Look, HostError> {
        self.is_dirty |= self.changes.have_come()?;
        let now = Instant::now();
        let mut look = Look::default();
        let generation = self.generation();
        for used in used.filter(|used| used.generation == generation) {
            self.look_after(used, now, &mut look)?;
        }
        if self.is_dirty && now.duration_since(self.read_at) >= READ_INTERVAL {
            (self.is_dirty, self.read_at) = (false, now);
            self.follow(plan, &mut look)?;
        }
        Ok(look)
    }

    /// What is made of a look that failed: all is read anew at the next one.
    pub(super) fn failed(&mut self, error: &impl Display) -> Look {
        self.is_dirty = true;
        let is_due = self.failure_said.is_none_or(|at| at.elapsed() >= SAY_INTERVAL);
        if is_due {
            self.failure_said = Some(Instant::now());
        }
        let line = format!("answers go by the routes as they were last read: {error}");
        Look { newer: None, news: is_due.then(|| News::warning(line)).into_iter().collect() }
    }

    fn follow(&mut self, plan: &Plan, look: &mut Look) -> Result<(), HostError> {
        let ways = read(plan)?;
        if ways == self.ways {
            return Ok(());
        }
        match NextHops::new(self.next_hops.generation.wrapping_add(1), ways.iter().copied()) {
            Ok(newer) => {
                look.newer = Some(newer.clone());
                (self.ways, self.next_hops) = (ways, newer);
                self.gateways.retain(|ip, _| self.next_hops.gateways().iter().any(|one| one.address == *ip));
            }
            Err(too_many) => {
                look.news.push(News::warning(format_args!("answers go by the routes before: {too_many}")));
            }
        }
        Ok(())
    }

    /// Lets the kernel look after the gateways that answers go to.
    fn look_after(&mut self, used: GatewaysUsed, now: Instant, look: &mut Look) -> Result<(), HostError> {
        let gateways = self.next_hops.gateways().iter().enumerate();
        let used: Vec<_> = gateways
            .filter(|(index, _)| used.gateways >> (index % 64) & 1 == 1)
            .map(|(_, gateway)| *gateway)
            .collect();
        let is_due = |at: Option<Instant>, interval| at.is_none_or(|at| now.duration_since(at) >= interval);
        for gateway in used {
            let attention = self.gateways.entry(gateway.address).or_default();
            if gateway.mac.is_some() {
                // What is said of it next is that it has died since.
                look.news.extend(attention.said.take().map(|_| found(gateway.address)));
            }
            if !is_due(attention.asked, ASK_INTERVAL) {
                continue;
            }
            attention.asked = Some(now);
            if gateway.mac.is_none() && is_due(attention.said, SAY_INTERVAL) {
                attention.said = Some(now);
                look.news.push(lost(gateway.address));
            }
            ask(self.ifindex, gateway.address)?;
        }
        Ok(())
    }
}

fn lost(gateway: IpAddr) -> News {
    let line = format!(
        "answers by the gateway {gateway} are dropped (next_hop_unresolved): its Ethernet address is not known, and the kernel \
         asks for it"
    );
    News::new(Event::GatewayLost { gateway: gateway.to_string() }, line)
}

fn found(gateway: IpAddr) -> News {
    let line = format!("the gateway {gateway} is there again: answers go by it");
    News::new(Event::GatewayFound { gateway: gateway.to_string() }, line)
}

/// Tells the kernel that a gateway is used, unless it has heard of it lately.
fn ask(ifindex: u32, gateway: IpAddr) -> Result<(), HostError> {
    let known = neighbours::on(ifindex)?;
    if known.iter().any(|neighbour| neighbour.address == gateway && neighbour.is_fresh) {
        return Ok(());
    }
    neighbours::ask(ifindex, gateway)
}

fn read(plan: &Plan) -> Result<Ways, HostError> {
    let mut routes = routes::main_table()?;
    let neighbours = neighbours::on(plan.facts.link.index)?;
    // The one with the least metric comes first, and the first one counts.
    routes.sort_by_key(|route| route.metric);
    let served = plan.routes.addresses().iter().filter_map(|one| Prefix::around(one.ip, one.prefix_len));
    let kernels = routes.iter().filter_map(|route| way(route, plan.facts.link.index, &neighbours));
    Ok(served.map(|prefix| (prefix, Via::Link)).chain(kernels).collect())
}

fn way(route: &Route, ifindex: u32, neighbours: &[Neighbour]) -> Option<(Prefix, Via)> {
    let prefix = Prefix::new(route.destination, route.prefix_len).ok()?;
    let via = match route.gateway {
        _ if route.ifindex != ifindex => Via::Elsewhere,
        None => Via::Link,
        Some(gateway) => {
            let known = neighbours.iter().find(|neighbour| neighbour.address == gateway);
            Via::Gateway(gateway, known.and_then(|neighbour| neighbour.mac).map(Mac))
        }
    };
    Some((prefix, via))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: u32 = 7;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_route_is_a_way_on_the_link_by_a_gateway_or_elsewhere() {
        let mac = [2, 0, 0, 0, 0, 9];
        let neighbours = [
            Neighbour { address: ip("10.0.0.9"), mac: Some(mac), is_fresh: false },
            Neighbour { address: ip("10.0.0.8"), mac: None, is_fresh: false },
        ];
        for (ifindex, gateway, via) in [
            (OURS, None, Via::Link),
            (OURS, Some("10.0.0.9"), Via::Gateway(ip("10.0.0.9"), Some(Mac(mac)))),
            (OURS, Some("10.0.0.8"), Via::Gateway(ip("10.0.0.8"), None)),
            (OURS, Some("fe80::7"), Via::Gateway(ip("fe80::7"), None)),
            (8, Some("10.0.0.9"), Via::Elsewhere),
            (8, None, Via::Elsewhere),
            (0, None, Via::Elsewhere),
        ] {
            let route = Route {
                destination: ip("192.0.2.0"),
                prefix_len: 24,
                ifindex,
                gateway: gateway.map(ip),
                metric: 0,
            };
            assert_eq!(way(&route, OURS, &neighbours), Some(("192.0.2.0/24".parse().unwrap(), via)));
        }
    }
}

//! What of a plan is asked: a question for each route and family, and one for who has an address. What cannot be asked is named, with why.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;

use nic::xdp::Mode;
use probe::ask::{Protocol, StampKey};
use probe::neighbours::Station;
use route::{Address, Asks, Family, Owner, Route, Service, Tier, VlanSet};

use super::asker;
use super::question::{Ends, Question};
use crate::Plan;
use crate::config::keys::STAMP_KEY_FILE;
use crate::stamp_key;

/// The most questions of a round. A lane has one answered at each of its housekeepings, every 13 ms under full load: more would not be
/// answered within a round there.
const QUESTIONS_MAX: usize = 64;

/// How many of a route's addresses are tried for one that somebody on its link may ask by this route.
const ADDRESSES_TRIED: usize = 16;

/// What is to be asked of a card, as its plan is now.
#[derive(Debug)]
pub(crate) struct Wants {
    /// The kernel's number of the interface.
    pub(super) ifindex: u32,
    /// Where the program runs.
    pub(super) mode: Option<Mode>,
    /// One for each protocol and family.
    pub(super) wanted: Vec<Wanted>,
}

/// One thing that is claimed, and the question that it is asked; or why it is not.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) question: Result<Question, String>,
}

impl Wants {
    /// What is to be asked of a card that serves by this plan, whose program runs so.
    pub(crate) fn of(plan: &Plan, mode: Option<Mode>) -> Self {
        let making = Making::of(plan);
        let mut wanted: Vec<Wanted> =
            Family::ALL.into_iter().filter_map(|family| making.neighbours(family)).collect();
        for (number, (route, tier)) in (0..).zip(plan.routes.routes().iter().zip(plan.routes.tiers())) {
            // What is left to the kernel is not claimed.
            if *tier != Tier::Kernel {
                wanted
                    .extend(Family::ALL.into_iter().filter_map(|family| making.route(number, route, family)));
            }
        }
        for beyond in wanted.iter_mut().filter(|one| one.question.is_ok()).skip(QUESTIONS_MAX) {
            beyond.question = Err(format!("a round has {QUESTIONS_MAX} questions at most"));
        }
        Self { ifindex: plan.facts.link.index, mode, wanted }
    }
}

/// A family as one says it.
struct Named(Family);

impl fmt::Display for Named {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// What questions are made from.
struct Making<'a> {
    plan: &'a Plan,
    /// The port that the asker asks by: one that an answer to could not come back as a question from.
    port: Option<NonZeroU16>,
    /// The key of authenticated STAMP, where there is one, or why it cannot be read.
    stamp_key: Result<Option<StampKey>, String>,
}

impl<'a> Making<'a> {
    fn of(plan: &'a Plan) -> Self {
        let refused: BTreeSet<u16> = plan.routes.refused_sources().into_iter().collect();
        // From the last one down, as far as no program has asked for: RFC 6335 section 6.
        let port = (49_152..=u16::MAX).rev().find(|port| !refused.contains(port)).and_then(NonZeroU16::new);
        Self { plan, port, stamp_key: stamp_key_of(plan) }
    }

    /// Who has an address of this family? Nothing where none is Barelane's alone.
    fn neighbours(&self, family: Family) -> Option<Wanted> {
        let mut own = self.addresses(family).filter(|address| address.owner == Owner::Barelane).peekable();
        own.peek()?;
        let name = if family == Family::V4 { "ARP" } else { "neighbour discovery" };
        // Nobody's way is looked up for this.
        let mut askers = own.flat_map(|address| {
            let ips = asker::ips(address, &[], route::NextHop::Reflect);
            ips.into_iter().filter(|ip| self.is_nobodys(*ip)).map(|ip| self.ends(address.ip, ip))
        });
        let question = askers.next().map(Question::of_neighbour);
        let question =
            question.ok_or_else(|| "every asker that was tried is one of our own addresses".to_owned());
        Some(Wanted { name: name.to_owned(), question })
    }

    /// What a route is asked over this family; nothing where it is for no address of it.
    fn route(&self, number: u16, route: &Route, family: Family) -> Option<Wanted> {
        let of_route = |address: &&Address| route.address.is_none_or(|prefix| prefix.contains(address.ip));
        let addresses: Vec<&Address> =
            self.addresses(family).filter(of_route).take(ADDRESSES_TRIED).collect();
        let is_for_family =
            route.from.is_empty() || route.from.iter().any(|prefix| prefix.family() == family);
        if addresses.is_empty() || !is_for_family {
            return None;
        }
        let name = format!("{route} over {}", Named(family));
        Some(Wanted { name, question: self.question(number, route, &addresses) })
    }

    fn question(&self, number: u16, route: &Route, addresses: &[&Address]) -> Result<Question, String> {
        if !route.limit.is_none() {
            return Err("its answers are limited, and each is for who asks".to_owned());
        }
        if route.vlans.as_ref().is_some_and(|vlans| !vlans.contains(VlanSet::NO_VLAN)) {
            return Err("it is for frames with a VLAN tag alone".to_owned());
        }
        let mut pairs = self.pairs(number, route, addresses).peekable();
        if pairs.peek().is_none() {
            return Err(nobody_on_link(addresses));
        }
        for (to, from) in pairs {
            let asked = asks_of(route.service);
            if let Some(asks) = asked.into_iter().find(|asks| self.takes(number, *asks, to, from)) {
                return self.asking(route.service, asks, self.ends(to, from));
            }
        }
        Err("none of the askers that were tried is one that it answers".to_owned())
    }

    /// Who may be asked by whom.
    fn pairs(
        &self,
        number: u16,
        route: &Route,
        addresses: &[&Address],
    ) -> impl Iterator<Item = (IpAddr, IpAddr)> {
        let next_hop = self.plan.routes.next_hop(number, self.plan.lane.next_hop);
        addresses.iter().flat_map(move |address| {
            let askers = asker::ips(address, &route.from, next_hop).into_iter();
            askers.filter(|ip| self.is_nobodys(*ip)).map(|from| (address.ip, from))
        })
    }

    /// Whether the route of this number is the one that takes such a packet.
    fn takes(&self, number: u16, asks: Asks, to: IpAddr, from: IpAddr) -> bool {
        let packet = route::Question { asks, to, from, vid: VlanSet::NO_VLAN };
        self.plan.routes.compiled().decide(&packet).is_some_and(|decision| decision.route == number)
    }

    fn asking(&self, service: Service, asks: Asks, ends: Ends) -> Result<Question, String> {
        let port = self.port.ok_or("there is no UDP port that an answer could go to: all are served")?;
        let protocol = match asks {
            Asks::Echo => Protocol::Icmp,
            Asks::Udp(asked) => of_udp(service, NonZeroU16::new(asked).unwrap_or(NonZeroU16::MIN)),
        };
        let is_stamp = matches!(protocol, Protocol::Stamp { .. });
        let key = if is_stamp { self.stamp_key.clone()? } else { None };
        let mtu = self.plan.facts.link.mtu as usize;
        Question::of_service(ends, protocol, port, mtu, key).map_err(|error| error.to_string())
    }

    fn addresses(&self, family: Family) -> impl Iterator<Item = &'a Address> {
        self.plan.routes.addresses().iter().filter(move |address| Family::of(address.ip) == family)
    }

    fn ends(&self, target: IpAddr, asker: IpAddr) -> Ends {
        let card = self.plan.lane.mac;
        Ends { card, target, asker: Station { mac: asker::mac(card), ip: asker } }
    }

    /// Whether an address is neither served nor the kernel's.
    fn is_nobodys(&self, ip: IpAddr) -> bool {
        let is_served = self.plan.routes.addresses().iter().any(|address| address.ip == ip);
        !is_served && !self.plan.facts.kernel_addresses.contains(&ip)
    }
}

/// Why nobody can ask at these addresses.
fn nobody_on_link(addresses: &[&Address]) -> String {
    let links: Vec<String> =
        addresses.iter().map(|Address { ip, prefix_len, .. }| format!("{ip}/{prefix_len}")).collect();
    format!("nobody else is on the link of {}, so that its answer would go to a gateway", links.join(", "))
}

/// What a service may be asked: of a range of ports the two at its ends, and one between.
fn asks_of(service: Service) -> Vec<Asks> {
    let Some(ports) = service.udp_ports() else { return vec![Asks::Echo] };
    let (first, last) = (ports.first(), ports.last());
    let mut asked = vec![first, last, u16::midpoint(first, last)];
    asked.dedup();
    asked.into_iter().map(Asks::Udp).collect()
}

fn of_udp(service: Service, port: NonZeroU16) -> Protocol {
    match service {
        Service::Stamp { .. } => Protocol::Stamp { port },
        Service::Sockperf { .. } => Protocol::Sockperf { port },
        Service::UdpEcho { .. } | Service::IcmpEcho => Protocol::Udp { port },
    }
}

/// The key of authenticated STAMP, read as the plan has read it.
fn stamp_key_of(plan: &Plan) -> Result<Option<StampKey>, String> {
    let path = &plan.config.stamp.key_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let bytes = stamp_key::read(STAMP_KEY_FILE, path).map_err(|wrong| wrong.to_string())?;
    Ok(StampKey::new(&bytes))
}

//! `barelane routes explain`: which route takes a packet, where it is answered, and why the routes before it do not.
//!
//! The verdict is that of the compiled tables, which is what lanes go by; the reasons come from looking at one route after
//! the other. Both must name the same route.

use std::fmt;

use nic::xdp::PROGRAM_NAME;
use route::{Asks, Decision, Owner, Question, Responder, Tier, VlanSet};

use crate::args::ExplainArguments;
use crate::plan::{Facts, on_card, row};
use crate::{Config, Error, Plan, say};

mod packet;

use packet::Packet;

/// How many routes that do not match are told one by one, of those before the one that does.
const SHOWN: usize = 20;

/// Prints which route takes the packet, and why.
pub fn run(arguments: &ExplainArguments) -> Result<(), Error> {
    let packet: Packet = arguments.packet.parse()?;
    let configs = Config::of_cards(&arguments.serve)?;
    let mut cards = Vec::new();
    for config in configs.iter() {
        let mut facts = on_card(config, Facts::gather(config))?;
        // A server that runs may be asked about: nothing is opened here.
        facts.link.program.take_if(|program| program.name.as_deref() == Some(PROGRAM_NAME));
        cards.push((config, facts));
    }
    let plans = Plan::resolve_all(&cards)?;
    let explanations: Vec<String> =
        plans.iter().map(|plan| Explanation::new(plan, packet).to_string()).collect();
    say::answer(explanations.join("\n").trim_end());
    Ok(())
}

/// One packet's fate.
struct Explanation<'a> {
    plan: &'a Plan,
    packet: Packet,
    /// Whose the address is; nothing where it is not served.
    owner: Option<Owner>,
    decision: Option<Decision>,
}

impl<'a> Explanation<'a> {
    fn new(plan: &'a Plan, packet: Packet) -> Self {
        let owner = plan.routes.addresses().iter().find(|address| address.ip == packet.to);
        let decision = packet.question().and_then(|question| plan.routes.compiled().decide(&question));
        Self { plan, packet, owner: owner.map(|address| address.owner), decision }
    }

    /// Whether frames of the packet's VLAN are looked at at all.
    fn is_vlan_served(&self) -> bool {
        self.packet.vid == VlanSet::NO_VLAN
            || self.plan.config.serve.vlans.vids().any(|vid| vid == self.packet.vid)
    }

    fn verdict(&self) -> String {
        let Some(owner) = self.owner else {
            return format!("the kernel's: {} is not an address that is served", self.packet.to);
        };
        if !self.is_vlan_served() {
            return format!("the kernel's: VLAN {} is not served (serve.vlans)", self.packet.vid);
        }
        match self.decision {
            Some(decision) if decision.route != Decision::NO_ROUTE => self.verdict_of_route(decision, owner),
            Some(_) => "no route takes it, and the address is Barelane's alone: a closed port, which a lane says to the \
                        sender"
                .to_owned(),
            None if self.packet.question().is_none() => match owner {
                Owner::Kernel => "the kernel's: it has the address too, and answers for its link address".to_owned(),
                Owner::Barelane => format!(
                    "answered at tier {}: the address is Barelane's alone",
                    self.plan.earliest.name()
                ),
            },
            None => match owner {
                Owner::Kernel => "the kernel's: no route takes it".to_owned(),
                Owner::Barelane => "dropped and counted: no route takes it, and nobody else has the address".to_owned(),
            },
        }
    }

    fn verdict_of_route(&self, decision: Decision, owner: Owner) -> String {
        let number = decision.route + 1;
        if decision.tier == Tier::Kernel {
            let but = if owner == Owner::Kernel { "" } else { ", and the kernel does not have the address" };
            return format!("the kernel's: route {number} leaves it to it{but}");
        }
        let name = match decision.responder {
            Responder::Echo => "an ICMP echo",
            Responder::UdpEcho => "a UDP echo",
            Responder::Stamp => "a STAMP reflector",
            Responder::Sockperf => "a sockperf server",
            Responder::Arp | Responder::Neighbour | Responder::UdpClosed | Responder::Nobody => "its owner",
        };
        format!("route {number} takes it: answered by {name}, tier {}{}", decision.tier, self.why(decision))
    }

    /// Why that tier; and where the answer goes, where the route says it.
    fn why(&self, decision: Decision) -> String {
        let route = self.plan.routes.routes().get(usize::from(decision.route));
        route.map_or_else(String::new, |route| self.plan.why_tier(route) + Plan::explain_own_next_hop(route))
    }

    /// What stands against an answer that routes know nothing of.
    fn note(&self) -> Option<String> {
        let is_answered =
            self.is_vlan_served() && self.decision.is_some_and(|decision| decision.tier != Tier::Kernel);
        let (port, _) = self.packet.ports;
        let is_udp = self.packet.question().is_some_and(|question| matches!(question.asks, Asks::Udp(_)));
        let is_refused = self.plan.routes.compile(&self.plan.lane).refuses_source(port);
        (is_answered && is_udp && is_refused).then(|| {
            format!("whatever comes from port {port} is dropped: an answer to it could be answered again, for ever")
        })
    }

    /// The routes up to the one that takes the packet, each with what is not met. Not all are told where they are many.
    fn fmt_routes(&self, out: &mut fmt::Formatter<'_>, question: &Question) -> fmt::Result {
        let routes = self.plan.routes.routes();
        let taken = self.plan.routes.first_match(question);
        let before = taken.unwrap_or(routes.len());
        for (number, route) in (1..).zip(routes.iter().take(before)) {
            if number > SHOWN {
                let more = before - SHOWN;
                row(out, "", format_args!("{more} more routes do not match either"))?;
                break;
            }
            let why = route.mismatch(question).map(|mismatch| mismatch.to_string()).unwrap_or_default();
            row(out, &format!("route {number}"), format_args!("no, {why}: {route}"))?;
        }
        match taken.and_then(|index| Some((index, routes.get(index)?))) {
            Some((index, route)) => row(out, &format!("route {}", index + 1), format_args!("yes: {route}")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(out, "packet", self.packet)?;
        if self.plan.config.is_one_of_several() {
            row(out, "card", &self.plan.facts.link.name)?;
        }
        if let (Some(_), true, Some(question)) = (self.owner, self.is_vlan_served(), self.packet.question()) {
            let compiled =
                self.decision.map(|decision| decision.route).filter(|&route| route != Decision::NO_ROUTE);
            let scanned = self.plan.routes.first_match(&question);
            assert_eq!(
                compiled.map(usize::from),
                scanned,
                "the compiled tables and the routes disagree: {question:?}"
            );
            self.fmt_routes(out, &question)?;
        }
        row(out, "verdict", self.verdict())?;
        self.note().map_or(Ok(()), |note| row(out, "but", note))
    }
}

//! The plan as a person reads it: a table, and what could be better.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use nic::memif::Role;
use nic::xdp::{Vlans, Wake};
use route::{
    NextHop, Owner, PartialChecksums, PortRange, Route, RouteTable, Service, ShortPackets, Tier, TierChoice,
};

use super::age::explain_rings;
use super::{CardPlan, Plan, why_unusable};
use crate::config::PartialChoice;
use crate::config::keys::{HOLDS, MODES, WAKES, ZERO_COPIES, name_of};
use crate::config::memif::{idle_name, role_name};

/// From here on programs get ports for their questions (RFC 6335 section 6 says 49152; Linux begins here).
const EPHEMERAL: u16 = 32_768;

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_card(out)?;
        for (lane, seat) in self.lanes.iter().zip(&self.placement.lanes) {
            row(out, "lane", format_args!("queue {} on core {}: {}", lane.queue, lane.core, seat.why))?;
        }
        row(out, "housekeeping", self.explain_housekeeping())?;
        if !self.facts.is_memif() {
            row(out, "idle", self.explain_idle())?;
        }
        row(out, "memory", self.explain_memory())?;
        row(out, "hold", self.explain_hold())?;
        self.fmt_routes(out)?;
        row(out, "tier", self.explain_tier())?;
        row(out, "VLANs", self.explain_vlans())?;
        row(out, "checksums", self.explain_checksums())?;
        row(out, "next hop", self.explain_next_hop())?;
        self.fmt_stamp(out)?;
        row(
            out,
            "limits",
            format_args!(
                "hop limit {}, {} Port Unreachable a second and lane",
                self.lane.hop_limit, self.lane.errors_per_second
            ),
        )?;
        row(out, "age", super::age::explain(&self.config, self.card.arrivals()))?;
        row(out, "departures", super::departures::explain(&self.card))?;
        row(out, "streams", super::streams::explain(self))?;
        row(out, "admin", &self.admin)?;
        row(out, "start", self.explain_address_check())?;
        self.warnings.iter().try_for_each(|warning| row(out, "warning", warning))
    }
}

pub(crate) fn row(out: &mut fmt::Formatter<'_>, name: &str, text: impl fmt::Display) -> fmt::Result {
    writeln!(out, "{name:<12} {text}")
}

impl Plan {
    fn fmt_card(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = &self.facts.link;
        let kind = link.kind.as_deref().or(link.driver.as_deref()).unwrap_or("unknown kind");
        row(
            out,
            "interface",
            format_args!(
                "{} (index {}, {kind}, {}, MTU {}, {} receive and {} transmit queues active)",
                link.name, link.index, self.lane.mac, link.mtu, link.rx_queues, link.tx_queues
            ),
        )?;
        row(out, "card", self.explain_card())
    }

    /// Where everything runs that is no lane.
    pub(crate) fn explain_housekeeping(&self) -> String {
        match &self.placement.housekeeping {
            Some(seat) => format!("on core {}: {}", seat.core, seat.why),
            None => "wherever the kernel puts it: the lanes have every core".to_owned(),
        }
    }

    /// What of the machine is held while lanes run.
    fn explain_hold(&self) -> String {
        match self.config.serve.hold.as_deref() {
            None => "power, where it can be held".to_owned(),
            Some([]) => "nothing".to_owned(),
            Some(holds) => holds.iter().map(|hold| name_of(HOLDS, hold)).collect::<Vec<_>>().join(" and "),
        }
    }

    /// How the card is opened.
    pub(crate) fn explain_card(&self) -> String {
        match &self.card {
            CardPlan::Xdp(card) => format!(
                "mode {}, zero-copy {}, wake {}, rings of {} slots{}",
                name_of(MODES, &card.mode),
                name_of(ZERO_COPIES, &card.zero_copy),
                name_of(WAKES, &card.wake),
                card.ring_size,
                explain_rings(&self.config, &self.facts).map_or_else(String::new, |why| format!(" ({why})"))
            ),
            CardPlan::Memif(memif) => {
                let rings = match memif.role {
                    Role::Server => "rings and buffers are the client's to make".to_owned(),
                    Role::Client => {
                        format!("rings of {} slots, buffers of {} bytes", memif.ring_size, memif.buffer_size)
                    }
                };
                let secret = if memif.secret.is_some() { ", with a secret" } else { "" };
                format!("memif {}, idle {}{secret}; {rings}", role_name(memif.role), idle_name(memif.idle))
            }
        }
    }

    fn fmt_routes(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (route, tier)) in self.routes.routes().iter().zip(self.routes.tiers()).enumerate() {
            let where_to = if self.routes.gets_something(index) {
                format!("{tier}{}", self.why_tier(route))
            } else {
                "nothing on this card".to_owned()
            };
            row(out, "route", format_args!("{}: {route} -> {where_to}", index + 1))?;
        }
        for address in self.routes.addresses() {
            let rest = match address.owner {
                Owner::Kernel => "the kernel keeps the rest, ARP and NDP too",
                Owner::Barelane => "Barelane's alone, ARP and NDP too",
            };
            let services = services_on(&self.routes, address.ip);
            row(out, "address", format_args!("{}/{}: {services}; {rest}", address.ip, address.prefix_len))?;
        }
        row(out, "tables", tables(&self.routes))
    }

    /// Why `auto` came to be what it is.
    pub(crate) fn why_tier(&self, route: &Route) -> String {
        let is_able = route.service.is_answered_in_the_driver();
        match route.tier {
            TierChoice::Auto if self.earliest.tier == Tier::Driver && !is_able => {
                " (the earliest that has an answer to it)".to_owned()
            }
            TierChoice::Auto => format!(" ({})", self.earliest.why),
            TierChoice::Kernel => " (left to it)".to_owned(),
            TierChoice::Driver | TierChoice::Lane => String::new(),
        }
    }

    /// Which mode of STAMP is served, where it is.
    fn fmt_stamp(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.lane.stamp_key {
            _ if !has_stamp(self) => return Ok(()),
            None => format!("unauthenticated, {}", short_packets(self.lane.short_packets)),
            Some(_) => format!("authenticated, with the key in {}", self.config.stamp.key_file.display()),
        };
        row(out, "STAMP", format_args!("{mode}; stateless, T2 and T3 in NTP format"))
    }

    /// Where answers are made, and why there.
    pub(crate) fn explain_tier(&self) -> String {
        let answered = match self.earliest.tier {
            Tier::Driver => "driver: echo, ARP and NDP are answered there, the rest in the lanes",
            Tier::Lane | Tier::Kernel => "lane: everything is answered in the lanes",
        };
        format!("{answered}; {}", self.earliest.why)
    }

    /// Where answers go.
    pub(crate) fn explain_next_hop(&self) -> String {
        let otherwise = match self.lane.next_hop {
            _ if self.facts.is_memif() => "the station that asked: shared memory has no routes",
            NextHop::Auto => {
                "the station that asked, where the asker is on the link; else the gateway that the kernel's main routing \
                 table names"
            }
            NextHop::Reflect => "the station that asked (reflected; no routing table is consulted)",
        };
        match self.routes.routes_here().filter(|route| route.next_hop.is_some()).count() {
            0 => otherwise.to_owned(),
            1 => format!("{otherwise}; but 1 route says otherwise of its own"),
            count => format!("{otherwise}; but {count} routes say otherwise of their own"),
        }
    }

    /// Where the answers of a route go, where it has them go another way than the others, as the end of a sentence.
    pub(crate) fn explain_own_next_hop(route: &Route) -> &'static str {
        match route.next_hop {
            None => "",
            Some(NextHop::Auto) => ", and by the kernel's routes to whoever is not on the link",
            Some(NextHop::Reflect) => ", and sent back to the station that asked, wherever the asker is",
        }
    }

    /// How UDP checksums are judged, and why.
    pub(crate) fn explain_checksums(&self) -> String {
        let judged = match self.lane.partial_checksums {
            PartialChecksums::Accept => "partial UDP checksums are accepted",
            PartialChecksums::Refuse => "partial UDP checksums are refused as wrong",
        };
        let why = match (self.config.lane.partial_checksums, self.facts.is_veth()) {
            (PartialChoice::Auto, true) => "a sender on a veth leaves them to a NIC that does not exist",
            (PartialChoice::Auto, false) if self.facts.is_memif() => "a peer in shared memory completes them",
            (PartialChoice::Auto, false) => "the link is no veth, and a NIC completes them",
            _ => "lane.partial_checksums says so",
        };
        format!("computed by {}; {judged}: {why}", self.lane.checksum.name())
    }

    /// Which frames are looked at.
    fn explain_vlans(&self) -> String {
        match self.config.serve.vlans {
            Vlans::UNTAGGED => "none, what is untagged only: a tagged frame is the kernel's".to_owned(),
            Vlans::ALL => "all, and what is untagged".to_owned(),
            vlans => format!("{vlans}, and what is untagged: a frame of another VLAN is the kernel's"),
        }
    }

    fn explain_address_check(&self) -> String {
        let own = self.own_addresses().count();
        match (own, self.config.serve.address_check_ms) {
            _ if self.facts.is_memif() => "there is nobody to ask for an address but the peer".to_owned(),
            (0, _) => "no address of Barelane's own, nobody to ask".to_owned(),
            (_, 0) => {
                "no other host is asked whether it has Barelane's own addresses (serve.address_check_ms = 0)"
                    .to_owned()
            }
            (_, wait_ms) => {
                format!("waits {wait_ms} ms for another host that has one of Barelane's own addresses")
            }
        }
    }
}

/// What is answered on an address, the first few of it.
fn services_on(routes: &RouteTable, ip: IpAddr) -> String {
    const SHOWN: usize = 8;
    let is_here = |route: &&Route| {
        route.tier != TierChoice::Kernel && route.address.is_none_or(|prefix| prefix.contains(ip))
    };
    let mut services: Vec<String> = Vec::new();
    for service in routes.routes_here().filter(is_here).map(|route| route.service.to_string()) {
        if !services.contains(&service) {
            services.push(service);
        }
        if services.len() > SHOWN {
            services.truncate(SHOWN);
            return format!("{} and more", services.join(", "));
        }
    }
    if services.is_empty() { "nothing".to_owned() } else { services.join(", ") }
}

/// What the routes were compiled to.
pub(crate) fn tables(routes: &RouteTable) -> String {
    let compiled = routes.compiled();
    let (lookup4, lookup6, refinements) =
        (compiled.lookup4().size(), compiled.lookup6().size(), compiled.refinements().size());
    format!(
        "{} bytes for each lane: {lookup4} to look up IPv4, {lookup6} IPv6, {refinements} for ranges, askers and VLANs",
        lookup4 + lookup6 + refinements
    )
}

/// What the lanes take from this host's own programs: a claimed port on an address that the kernel has too.
fn warn_of_taken_ports(plan: &Plan, warnings: &mut Vec<String>) {
    let kernels: Vec<IpAddr> = plan
        .routes
        .addresses()
        .iter()
        .filter_map(|one| (one.owner == Owner::Kernel).then_some(one.ip))
        .collect();
    let mut handed_out = BTreeSet::new();
    for route in plan.routes.routes_here().filter(|route| route.tier != TierChoice::Kernel) {
        let Some(ports) = route.service.udp_ports() else { continue };
        let is_here = |ip: &&IpAddr| route.address.is_none_or(|prefix| prefix.contains(**ip));
        warnings.extend(kernels.iter().filter(is_here).filter_map(|&ip| warning_of_open(plan, ip, ports)));
        let is_any_here = kernels.iter().any(|ip| is_here(&ip));
        if is_any_here
            && ports.iter().any(|port| plan.facts.ports.is_handed_out(port))
            && handed_out.insert(ports)
        {
            warnings.push(warning_of_handed_out(plan, ports));
        }
    }
}

/// The first of the ports that a program of this host has open at an address.
fn warning_of_open(plan: &Plan, ip: IpAddr, ports: PortRange) -> Option<String> {
    let (port, bound) = ports.iter().find_map(|port| Some((port, plan.facts.ports.open_on(ip, port)?)))?;
    Some(format!(
        "a program of this host has UDP port {port} open on {bound}: what is sent to {ip} there is answered by the lanes, \
         and it gets none of it; stop it, or serve another port"
    ))
}

fn warning_of_handed_out(plan: &Plan, ports: PortRange) -> String {
    let (what, whoever) = match ports.count() {
        1 => (format!("UDP port {ports} is one that the kernel gives"), "whoever gets it loses his answers"),
        _ => (format!("of UDP ports {ports} the kernel gives some"), "whoever gets one loses his answers"),
    };
    format!(
        "{what} to programs of this host that ask others (net.ipv4.ip_local_port_range): {whoever} to the lanes; reserve \
         them: sysctl -w net.ipv4.ip_local_reserved_ports={}",
        plan.facts.ports.reserved_with(ports)
    )
}

/// Ranges of ports that many askers ask from. What is answered on is refused as a source, lest two servers talk to each
/// other for ever, so whoever asks from there gets no answer.
fn warn_of_refused_sources(plan: &Plan, warnings: &mut Vec<String>) {
    let is_answered = |route: &&Route| route.tier != TierChoice::Kernel;
    let ranges = plan.routes.routes_here().filter(is_answered).filter_map(|route| route.service.udp_ports());
    let wide: BTreeSet<PortRange> =
        ranges.filter(|range| range.count() > 1 && range.last() >= EPHEMERAL).collect();
    warnings.extend(wide.into_iter().map(|range| {
        format!(
            "nobody is answered who asks from a port in {range}, since such an answer could be answered again for ever, and \
             programs get their ports from {EPHEMERAL} on by themselves: serve a range below that"
        )
    }));
}

/// What is done about STAMP packets that are shorter than their answers.
fn short_packets(choice: ShortPackets) -> &'static str {
    match choice {
        ShortPackets::Drop => "packets of less than 44 bytes are dropped",
        ShortPackets::Answer => "packets of less than 44 bytes are answered with 44",
    }
}

/// Exceptions for a kernel that does not have the address.
fn warn_of_kernels_exceptions(plan: &Plan, warnings: &mut Vec<String>) {
    for (index, route) in plan.routes.routes().iter().enumerate() {
        let is_here = |ip: IpAddr| route.address.is_none_or(|prefix| prefix.contains(ip));
        if route.tier == TierChoice::Kernel && !route.is_elsewhere && plan.own_addresses().any(is_here) {
            warnings.push(format!(
                "route {} (`{route}`) leaves to the kernel what is addressed to Barelane's own addresses too, which the \
                 kernel does not have: nobody answers it there",
                index + 1
            ));
        }
    }
}

/// Whether a STAMP reflector is among what is served.
fn has_stamp(plan: &Plan) -> bool {
    plan.routes.routes_here().any(|route| matches!(route.service, Service::Stamp { .. }))
}

/// What works, but not as well as it could.
pub(super) fn warnings(plan: &Plan) -> Vec<String> {
    let link = &plan.facts.link;
    let mut warnings = Vec::new();
    // One that was asked for is refused, so that here nothing was.
    for &(ip, state) in
        plan.facts.unusable_addresses.iter().filter(|_| plan.config.serve.addresses.is_empty())
    {
        let (problem, remedy) = why_unusable(state);
        warnings.push(format!("{ip} is not served: {problem}; {remedy}, with SIGHUP to a server that runs"));
    }
    let active = link.rx_queues.max(1) as usize;
    if plan.lanes.len() < active {
        warnings.push(format!(
            "{} of {active} active queues have a lane: packets of the others go to the kernel; \
             steer flows, or bring the queues down: ethtool -L {} combined {}",
            plan.lanes.len(),
            link.name,
            plan.lanes.len()
        ));
    }
    warn_of_taken_ports(plan, &mut warnings);
    warnings.extend(
        plan.earliest.danger.iter().map(|danger| format!("answers of the driver tier may be lost: {danger}")),
    );
    warn_of_refused_sources(plan, &mut warnings);
    warn_of_kernels_exceptions(plan, &mut warnings);
    if plan.lane.stamp_key.is_some() && !has_stamp(plan) {
        warnings.push("there is a key for STAMP, and no route answers it: --respond stamp".to_owned());
    }
    if plan.lane.stamp_key.is_some() && plan.lane.short_packets == ShortPackets::Answer {
        warnings.push(
            "short STAMP packets are to be answered, and with a key none of them is: it could not be authentic".to_owned(),
        );
    }
    warnings.extend(super::streams::warning(plan));
    warnings.extend(super::departures::warning(plan));
    let lane_count = plan.lanes.len() + plan.placement.others.len();
    if lane_count >= plan.facts.topology.allowed().len() {
        warnings.push("the lanes take every core of this process: other work will delay answers".to_owned());
    }
    if link.rx_vlan_offload == Some(true) {
        warnings.push(format!(
            "the NIC takes VLAN tags out of what it receives, so that a question on any VLAN looks untagged: it is \
             taken whatever serve.vlans says, and answered without its tag; if this link has VLANs: \
             ethtool -K {} rxvlan off",
            link.name
        ));
    }
    if !link.has_carrier {
        warnings.push(format!("{} has no carrier: no packet comes before its cable is live", link.name));
    }
    if plan.config.nic.wake == Wake::BusyPoll && plan.facts.is_veth() {
        warnings
            .push("busy polling does not take on a veth: the lane only spins on its rings there".to_owned());
    }
    warnings.extend(plan.placement.compromises.iter().cloned());
    warnings
}

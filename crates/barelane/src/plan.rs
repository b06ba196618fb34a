//! The plan: a configuration of one card resolved against this host, printable, and the only thing that starts lanes. Those of a
//! server's cards are made together ([`several`]).
//!
//! Holding a [`Plan`] proves that the interface is there and up, that nothing else is attached to it, that every
//! lane has a queue that exists and a core that it may run on, that a packet of the interface's MTU fits a packet
//! buffer, and that the routes are sound. Making one reads the host and changes nothing, so `check` makes the same
//! one that `serve` would start.

use std::iter;
use std::net::IpAddr;
use std::time::Duration;

use host::cores::Placement;
use host::links::AddressState;
use nic::xdp::{Answers, CLAIMS_MAX, ClaimKey, ClaimedAddress, Claims, OWNED_MAX, RefinedKey, Vlans};
use route::{
    Address, Asked, LaneSettings, LaneTables, NextHop, Numbered, Owner, PartialChecksums, Prefix, Responder,
    RouteError, RouteTable, Terms, Tier, TierChoice, VlanSet,
};
use wire::checksum::Summer;
use wire::ethernet::Mac;
use wire::stamp::Key;

use crate::admin::AdminSettings;
use crate::config::keys::{
    RESPOND, ROUTE_ADDRESS, ROUTE_FROM, ROUTE_NEXT_HOP, ROUTE_NIC, ROUTE_PER_SECOND, ROUTE_RESPOND,
    ROUTE_TIER, ROUTE_VLANS, STAMP_KEY_FILE, UNTAGGED,
};
use crate::config::{Config, PartialChoice};
use crate::error::{Error, Wrong};
use crate::stamp_key;

mod age;
mod card;
mod departures;
pub mod facts;
mod idle;
mod lanes;
mod memory;
mod next_hops;
mod others;
mod print;
mod refinements;
mod several;
mod streams;
mod tier;

pub use card::CardPlan;
pub(crate) use card::free;
pub(crate) use departures::without_copies;
pub use facts::Facts;
pub(crate) use facts::memif_link;
pub use idle::Idle;
pub(crate) use idle::SLEEP_MAX;
pub use lanes::LanePlan;
pub use next_hops::next_hops_of;
pub(crate) use print::row;
pub(crate) use several::on_card;
pub use tier::EarliestTier;

/// What will run, and how it was decided.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The configuration that it came from.
    pub config: Config,
    /// What was found on this host.
    pub facts: Facts,
    /// The lanes, in the order of their queues.
    pub lanes: Vec<LanePlan>,
    /// Why they are on these cores, and where everything else runs.
    pub placement: Placement,
    /// What the card is opened with.
    pub card: CardPlan,
    /// Addresses, their owners, and the routes on them.
    pub routes: RouteTable,
    /// What the lanes' tables need beside the routes.
    pub lane: LaneSettings,
    /// The earliest tier that may answer.
    pub earliest: EarliestTier,
    /// Where metrics and health are served.
    pub admin: AdminSettings,
    /// What works, but not as well as it could.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Reads this host and resolves the configuration against it.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Ok(Self::resolve(config, Facts::gather(config)?)?)
    }

    /// Resolves the configuration against what was found.
    pub fn resolve(config: &Config, facts: Facts) -> Result<Self, Wrong> {
        Ok(Self::resolve_all(&[(config, facts)])?.into_first())
    }

    /// Resolves all but where the lanes are.
    fn with_lanes(
        config: &Config,
        facts: Facts,
        (lanes, placement): (Vec<LanePlan>, Placement),
    ) -> Result<Self, Wrong> {
        let earliest = EarliestTier::of(config, &facts);
        let routes = resolve_routes(config, &facts, earliest.tier)?;
        let lane = lane_settings(config, &facts)?;
        let card = card::settings(config, &facts, &lanes)?;
        if !facts.is_memif() {
            check_limits(config, &routes)?;
        }
        let (config, admin, warnings) = (config.clone(), AdminSettings::of(config)?, Vec::new());
        let mut plan =
            Self { config, facts, lanes, placement, card, routes, lane, earliest, admin, warnings };
        plan.warnings = print::warnings(&plan);
        plan.warnings.extend(plan.admin.warning());
        Ok(plan)
    }

    /// Looks again at what of the link can change under a server that runs. Where another tier is the earliest that it
    /// carries now, gives the plan for that one.
    pub fn refreshed(&self) -> Option<Result<Self, Wrong>> {
        let mut facts = self.facts.clone();
        if !facts.refresh() {
            return None;
        }
        let earliest = EarliestTier::of(&self.config, &facts);
        if earliest.tier == self.earliest.tier {
            return None;
        }
        let routes = resolve_routes(&self.config, &facts, earliest.tier);
        Some(routes.map(|routes| Self { facts, routes, earliest, ..self.clone() }))
    }

    /// What a lane goes by. No program stands before a queue in shared memory, so that the lane looks at VLANs itself.
    pub fn tables(&self) -> LaneTables {
        let tables = self.routes.compile(&self.lane);
        if self.facts.is_memif() { tables.with_vlans(self.vlans()) } else { tables }
    }

    fn vlans(&self) -> VlanSet {
        self.config.serve.vlans.vids().fold(VlanSet::UNTAGGED, VlanSet::with)
    }

    /// What the program takes from the kernel, for itself and for the lanes.
    pub fn claims(&self) -> Claims {
        claims_of(&self.lane, self.config.serve.vlans, &self.routes, self.earliest.tier)
    }

    /// Whether any answer goes by the kernel's routes: of a route, or of an address that only Barelane has, which closed ports
    /// are said of.
    pub fn needs_kernel_ways(&self) -> bool {
        let otherwise = self.lane.next_hop;
        let answered = self.routes.routes_here().filter(|route| route.tier != TierChoice::Kernel);
        let of_routes = answered.map(|route| route.next_hop.unwrap_or(otherwise));
        let of_addresses = self.own_addresses().map(|_| otherwise);
        of_routes.chain(of_addresses).any(|next_hop| next_hop == NextHop::Auto)
    }

    /// The addresses that only Barelane has: ARP and NDP for them are answered by the lanes.
    pub fn own_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.routes
            .addresses()
            .iter()
            .filter(|address| address.owner == Owner::Barelane)
            .map(|address| address.ip)
    }

    /// How long to wait for another host that has one of our own addresses; zero does not ask. In shared memory there is no
    /// other host to ask.
    pub fn address_check(&self) -> Duration {
        if self.facts.is_memif() {
            return Duration::ZERO;
        }
        Duration::from_millis(self.config.serve.address_check_ms.into())
    }
}

/// What the program takes from the kernel for `routes`; `neighbours` is where ARP and NDP are answered.
pub fn claims_of(lane: &LaneSettings, vlans: Vlans, routes: &RouteTable, neighbours: Tier) -> Claims {
    let compiled = routes.compiled();
    let mut claims = Claims {
        mac: lane.mac.0,
        vlans,
        addresses: routes.addresses().iter().map(|address| claimed(address, neighbours)).collect(),
        claims: Vec::new(),
        refined: Vec::new(),
        refinements: refinements::of(routes, lane.next_hop),
        answers: Answers {
            hop_limit: lane.hop_limit,
            partial_checksums: match lane.partial_checksums {
                PartialChecksums::Accept => nic::xdp::PartialChecksums::Accept,
                PartialChecksums::Refuse => nic::xdp::PartialChecksums::Refuse,
            },
            refused_sources: routes.refused_sources(),
        },
    };
    for Asked { address, protocol, selector, decision } in compiled.asked() {
        match selector {
            Some(selector) => claims.claims.push(nic::xdp::Claim {
                key: ClaimKey { address, protocol, selector },
                tier: refinements::tier_of(decision.tier),
                route: decision.route,
                is_reflected: routes.next_hop(decision.route, lane.next_hop) == NextHop::Reflect,
            }),
            None if decision.refinement > 0 => {
                claims.refined.push(RefinedKey {
                    address,
                    protocol,
                    group: u32::from(decision.refinement) - 1,
                });
            }
            // What its owner says to all the rest: the program knows the owner.
            None => debug_assert!(matches!(decision.responder, Responder::UdpClosed | Responder::Nobody)),
        }
    }
    claims
}

fn claimed(address: &Address, neighbours: Tier) -> ClaimedAddress {
    let owner = match address.owner {
        Owner::Kernel => nic::xdp::Owner::Kernel,
        Owner::Barelane => nic::xdp::Owner::Barelane,
    };
    let neighbours = refinements::tier_of(neighbours);
    let (ip, link_len) = (address.ip, address.prefix_len);
    ClaimedAddress { ip, owner, broadcast: address.broadcast(), link_len, neighbours }
}

fn lane_settings(config: &Config, facts: &Facts) -> Result<LaneSettings, Wrong> {
    let partial_checksums = match config.lane.partial_checksums {
        PartialChoice::Accept => PartialChecksums::Accept,
        PartialChoice::Auto if facts.is_veth() => PartialChecksums::Accept,
        PartialChoice::Auto | PartialChoice::Refuse => PartialChecksums::Refuse,
    };
    Ok(LaneSettings {
        mac: Mac(facts.link.mac),
        checksum: Summer::fastest(),
        partial_checksums,
        hop_limit: config.lane.hop_limit,
        errors_per_second: config.lane.errors_per_second,
        // There is nobody but the peer, and no kernel whose routes could say otherwise.
        next_hop: if facts.is_memif() { NextHop::Reflect } else { config.serve.next_hop },
        stamp_key: stamp_key(config)?,
        short_packets: config.stamp.short_packets,
    })
}

/// The key of authenticated STAMP; none where no file is named.
pub(crate) fn stamp_key(config: &Config) -> Result<Option<Key>, Wrong> {
    let path = &config.stamp.key_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    Ok(Key::new(&stamp_key::read(STAMP_KEY_FILE, path)?))
}

/// The addresses with their owners, and what is answered on each.
fn resolve_routes(config: &Config, facts: &Facts, earliest: Tier) -> Result<RouteTable, Wrong> {
    let own = &facts.interface_addresses;
    let wanted = if config.serve.addresses.is_empty() { own } else { &config.serve.addresses };
    let is_asked_for = |ip| config.serve.addresses.iter().any(|&(asked, _)| asked == ip);
    let mut unusable = facts.unusable_addresses.iter();
    if let Some(&(ip, state)) = unusable.find(|&&(ip, _)| wanted.is_empty() || is_asked_for(ip)) {
        let (problem, remedy) = why_unusable(state);
        return Err(Wrong::new(config.setting_of_addresses(), ip).because(problem).remedy(remedy));
    }
    let owner_of = |ip| if facts.kernel_addresses.contains(&ip) { Owner::Kernel } else { Owner::Barelane };
    let addresses: Vec<Address> =
        wanted.iter().map(|&(ip, prefix_len)| Address { ip, prefix_len, owner: owner_of(ip) }).collect();
    table_of(config, &addresses, earliest)
}

/// Why the kernel must not use an address that it has, and nobody in its place, and what helps (RFC 4862 5.4).
fn why_unusable(state: AddressState) -> (&'static str, &'static str) {
    match state {
        AddressState::Duplicate => (
            "another host has it, as the kernel found when it got it (dadfailed)",
            "take it from that host, then remove it here and add it again",
        ),
        AddressState::Tentative | AddressState::InForce => (
            "the kernel still asks whether another host has it (tentative)",
            "look at the cable, and try again when it is in force",
        ),
    }
}

/// The route table of these addresses: the routes of the file in its order, then every service of `serve.respond` on all
/// addresses. Of one card among several it has the routes that get nothing there too, so that each has one number everywhere.
pub fn table_of(config: &Config, addresses: &[Address], earliest: Tier) -> Result<RouteTable, Wrong> {
    check_nics(config)?;
    check_next_hops(config)?;
    let mut routes = config.all_routes();
    let vlans = VlanSet::UNTAGGED;
    let vlans = config.serve.vlans.vids().fold(vlans, VlanSet::with);
    let terms = Terms { vlans, earliest };
    if config.is_one_of_several() {
        let table = RouteTable::of_several(addresses.to_vec(), routes, &terms);
        return table.map_err(|error| wrong_routes(config, &error));
    }
    loop {
        match RouteTable::with_terms(addresses.to_vec(), routes.clone(), &terms) {
            // What is answered where nothing else is said gives way to what is said.
            Err(RouteError::Shadowed { later, .. })
                if later.index >= config.routes.len()
                    && config.serve.respond == Config::default().serve.respond =>
            {
                routes.remove(later.index);
            }
            result => return result.map_err(|error| wrong_routes(config, &error)),
        }
    }
}

/// Refuses a route for another card than those that are served: it would never match.
fn check_nics(config: &Config) -> Result<(), Wrong> {
    let served = &config.nic.interface;
    let is_unknown = |nic: &&String| !served.is_empty() && *nic != served && !config.nic.others.contains(nic);
    let unknown = config.routes.iter().filter_map(|route| route.nic.as_ref()).find(is_unknown);
    let Some(nic) = unknown else { return Ok(()) };
    let (is_served, write) = if config.is_one_of_several() {
        let all: Vec<&str> = iter::once(served).chain(&config.nic.others).map(String::as_str).collect();
        (format!("interfaces that are served are {}", all.join(", ")), "one of them")
    } else {
        (format!("interface that is served is {served}"), served.as_str())
    };
    Err(Wrong::new(ROUTE_NIC, nic)
        .because(format_args!("no packet comes by it: the {is_served}"))
        .remedy(format_args!("write {write}, or leave the key out")))
}

/// Refuses a next hop for what Barelane does not answer.
fn check_next_hops(config: &Config) -> Result<(), Wrong> {
    let mut of_kernel = (1..).zip(&config.routes).filter(|(_, route)| route.tier == TierChoice::Kernel);
    match of_kernel.find_map(|(number, route)| Some((number, route.next_hop?))) {
        None => Ok(()),
        Some((number, next_hop)) => Err(Wrong::new(ROUTE_NEXT_HOP, next_hop)
            .because(format_args!(
                "route {number} leaves its questions to the kernel, which sends the answers"
            ))
            .remedy("leave the key out, or write another tier")),
    }
}

/// Refuses more than the program's tables hold, which only the kernel would say otherwise, when the card is open.
fn check_limits(config: &Config, routes: &RouteTable) -> Result<(), Wrong> {
    let own = routes.addresses().iter().filter(|address| address.owner == Owner::Barelane).count();
    if own > OWNED_MAX as usize {
        let problem = format!("the program holds at most {OWNED_MAX} addresses that only Barelane has");
        return Err(Wrong::new(config.setting_of_addresses(), own)
            .because(problem)
            .remedy("serve fewer of them on this interface"));
    }
    let claims = routes.compiled().asked().filter(|asked| asked.selector.is_some()).count();
    if claims > CLAIMS_MAX as usize {
        let problem = format!(
            "the program holds at most {CLAIMS_MAX} claims, one for each single port or ICMP type on each address"
        );
        let remedy = "name fewer services or fewer addresses, or a range of ports";
        return Err(Wrong::new(RESPOND, format_args!("{claims} claims")).because(problem).remedy(remedy));
    }
    Ok(())
}

/// A fault of the route table by the name of the setting that it came from. The table's own sentence carries both
/// the problem and, behind its last colon, the remedy.
fn wrong_routes(config: &Config, error: &RouteError) -> Wrong {
    // The setting that a route's service came from.
    let service = |numbered: &Numbered| {
        let is_written = numbered.index < config.routes.len();
        Wrong::new(if is_written { ROUTE_RESPOND } else { RESPOND }, numbered.route.service)
    };
    let prefixes = |list: &[Prefix]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let addresses = config.setting_of_addresses();
    let wrong = match error {
        RouteError::NoAddress | RouteError::NoRoute if config.is_one_of_several() => {
            return nothing_here(config, error);
        }
        RouteError::NoAddress => Wrong::new(addresses, ""),
        RouteError::NoRoute => Wrong::new(RESPOND, ""),
        RouteError::AddressTwice(ip) | RouteError::AddressNotUnicast(ip) => Wrong::new(addresses, ip),
        RouteError::AddressNotHost(ip, len, _) | RouteError::PrefixTooLong(ip, len) => {
            Wrong::new(addresses, format_args!("{ip}/{len}"))
        }
        RouteError::TooManyAddresses(count) | RouteError::TooManyNextHops(count, _) => {
            Wrong::new(addresses, count)
        }
        RouteError::TooManyLimits(count) => Wrong::new(ROUTE_PER_SECOND, count),
        RouteError::TooManyRoutes(count) => Wrong::new(ROUTE_RESPOND, format_args!("{count} routes")),
        RouteError::AddressUnknown(Numbered { route, .. }) => {
            Wrong::new(ROUTE_ADDRESS, route.address.map(|prefix| prefix.to_string()).unwrap_or_default())
        }
        RouteError::VlanUnknown(_, VlanSet::NO_VLAN) => Wrong::new(ROUTE_VLANS, UNTAGGED),
        RouteError::VlanUnknown(_, vid) => Wrong::new(ROUTE_VLANS, vid),
        RouteError::SourceFamily(Numbered { route, .. }) => Wrong::new(ROUTE_FROM, prefixes(&route.from)),
        RouteError::DriverUnable(Numbered { route, .. })
        | RouteError::DriverAbsent(Numbered { route, .. }) => Wrong::new(ROUTE_TIER, route.tier),
        RouteError::Shadowed { later, .. } => service(later),
        RouteError::TooLarge(numbered) => service(numbered),
    };
    let sentence = error.to_string();
    match sentence.rsplit_once(": ") {
        Some((problem, remedy)) => wrong.because(problem).remedy(remedy),
        None => wrong.because(&sentence).remedy("correct it"),
    }
}

/// A card among several on which nothing would be answered.
fn nothing_here(config: &Config, error: &RouteError) -> Wrong {
    let nic = &config.nic.interface;
    if matches!(error, RouteError::NoAddress) {
        let remedy = "give the interface one, or write addresses in its [[nic]]";
        return Wrong::new(config.setting_of_addresses(), "")
            .because(format_args!("{nic} has no address to be served"))
            .remedy(remedy);
    }
    Wrong::new(RESPOND, "")
        .because(format_args!("no route is for {nic}"))
        .remedy("add a service, such as `--respond icmp-echo`, or a route, or leave the card out")
}

#[cfg(test)]
pub(crate) mod tests;

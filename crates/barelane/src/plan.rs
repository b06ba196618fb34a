//! The plan: a configuration resolved against this host, printable, and the only thing that starts lanes.
//!
//! Holding a [`Plan`] proves that the interface is there and up, that nothing else is attached to it, that every
//! lane has a queue that exists and a core that it may run on, that a packet of the interface's MTU fits a packet
//! buffer, and that the routes are sound. Making one reads the host and changes nothing, so `check` makes the same
//! one that `serve` would start.

use std::net::IpAddr;
use std::time::Duration;

use host::links::AddressState;
use nic::xdp::{Answers, CLAIMS_MAX, ClaimKey, ClaimedAddress, Claims, OWNED_MAX, Settings, Tier, Vlans};
use route::{Address, LaneSettings, Owner, PartialChecksums, Route, RouteError, RouteTable};
use wire::checksum::Summer;
use wire::ethernet::Mac;
use wire::stamp::Key;

use crate::config::keys::{ADDRESSES, RESPOND, ROUTE_ADDRESS, ROUTE_RESPOND, STAMP_KEY_FILE};
use crate::config::{Config, PartialChoice};
use crate::error::{Error, Wrong};
use crate::stamp_key;

mod card;
pub mod facts;
mod lanes;
mod print;
mod tier;

pub(crate) use card::free;
pub use facts::Facts;
pub use lanes::LanePlan;
pub(crate) use print::NEXT_HOP;
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
    /// What the card is opened with.
    pub card: Settings,
    /// Addresses, their owners and their services.
    pub routes: RouteTable,
    /// What the lanes' tables need beside the routes.
    pub lane: LaneSettings,
    /// The earliest tier that may answer.
    pub earliest: EarliestTier,
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
        card::check(config, &facts)?;
        let lanes = lanes::assign(config, &facts)?;
        let routes = resolve_routes(config, &facts)?;
        let lane = lane_settings(config, &facts)?;
        let card = card::settings(config, &facts, &lanes);
        check_limits(&routes)?;
        let earliest = EarliestTier::of(config, &facts);
        let mut plan =
            Self { config: config.clone(), facts, lanes, card, routes, lane, earliest, warnings: Vec::new() };
        plan.warnings = print::warnings(&plan);
        Ok(plan)
    }

    /// Looks again at what of the link can change under a server that runs; says whether another tier is the earliest now.
    pub fn refresh_tier(&mut self) -> bool {
        if !self.facts.refresh() {
            return false;
        }
        let before = std::mem::replace(&mut self.earliest, EarliestTier::of(&self.config, &self.facts));
        self.earliest.tier != before.tier
    }

    /// What the program takes from the kernel, for itself and for the lanes.
    pub fn claims(&self) -> Claims {
        claims_of(&self.lane, self.config.serve.vlans, &self.routes, self.earliest.tier)
    }

    /// The addresses that only Barelane has: ARP and NDP for them are answered by the lanes.
    pub fn own_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.routes
            .addresses()
            .iter()
            .filter(|address| address.owner == Owner::Barelane)
            .map(|address| address.ip)
    }

    /// How long to wait for another host that has one of our own addresses; zero does not ask.
    pub fn address_check(&self) -> Duration {
        Duration::from_millis(self.config.serve.address_check_ms.into())
    }
}

/// What the program takes from the kernel for `routes`, and what of it is answered at `earliest` where that is the driver.
pub fn claims_of(lane: &LaneSettings, vlans: Vlans, routes: &RouteTable, earliest: Tier) -> Claims {
    let claim = |claim: route::Claim| nic::xdp::Claim {
        key: ClaimKey { address: claim.address, protocol: claim.protocol, selector: claim.selector },
        tier: if claim.service.is_answered_in_the_driver() { earliest } else { Tier::Lane },
    };
    Claims {
        mac: lane.mac.0,
        vlans,
        addresses: routes.addresses().iter().map(|address| claimed(address, earliest)).collect(),
        claims: routes.claims().map(claim).collect(),
        answers: Answers {
            hop_limit: lane.hop_limit,
            partial_checksums: match lane.partial_checksums {
                PartialChecksums::Accept => nic::xdp::PartialChecksums::Accept,
                PartialChecksums::Refuse => nic::xdp::PartialChecksums::Refuse,
            },
            refused_sources: routes.refused_sources(),
        },
    }
}

fn claimed(address: &Address, neighbours: Tier) -> ClaimedAddress {
    let owner = match address.owner {
        Owner::Kernel => nic::xdp::Owner::Kernel,
        Owner::Barelane => nic::xdp::Owner::Barelane,
    };
    ClaimedAddress { ip: address.ip, owner, broadcast: address.broadcast(), neighbours }
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
        stamp_key: stamp_key(config)?,
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
fn resolve_routes(config: &Config, facts: &Facts) -> Result<RouteTable, Wrong> {
    let own = &facts.interface_addresses;
    let wanted = if config.serve.addresses.is_empty() { own } else { &config.serve.addresses };
    let is_asked_for = |ip| config.serve.addresses.iter().any(|&(asked, _)| asked == ip);
    let mut unusable = facts.unusable_addresses.iter();
    if let Some(&(ip, state)) = unusable.find(|&&(ip, _)| wanted.is_empty() || is_asked_for(ip)) {
        let (problem, remedy) = why_unusable(state);
        return Err(Wrong::new(ADDRESSES, ip).because(problem).remedy(remedy));
    }
    let owner_of = |ip| if facts.kernel_addresses.contains(&ip) { Owner::Kernel } else { Owner::Barelane };
    let addresses: Vec<Address> =
        wanted.iter().map(|&(ip, prefix_len)| Address { ip, prefix_len, owner: owner_of(ip) }).collect();
    table_of(config, addresses)
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

/// The route table of these addresses: every service of `serve.respond` on each, and the single routes.
pub fn table_of(config: &Config, addresses: Vec<Address>) -> Result<RouteTable, Wrong> {
    let everywhere = addresses.iter().flat_map(|address| {
        config.serve.respond.iter().map(|&service| Route { address: address.ip, service })
    });
    let mut routes: Vec<Route> = everywhere.collect();
    let everywhere_count = routes.len();
    for route in &config.routes {
        let (Some(address), Some(service)) = (route.address, route.respond) else { continue };
        let route = Route { address, service };
        // What is answered everywhere may be said again of one address; it stays one route.
        if !routes.iter().take(everywhere_count).any(|known| *known == route) {
            routes.push(route);
        }
    }
    RouteTable::new(addresses, routes).map_err(|error| wrong_routes(&error))
}

/// Refuses more than the program's tables hold, which only the kernel would say otherwise, when the card is open.
fn check_limits(routes: &RouteTable) -> Result<(), Wrong> {
    let own = routes.addresses().iter().filter(|address| address.owner == Owner::Barelane).count();
    if own > OWNED_MAX as usize {
        let problem = format!("the program holds at most {OWNED_MAX} addresses that only Barelane has");
        return Err(Wrong::new(ADDRESSES, own)
            .because(problem)
            .remedy("serve fewer of them on this interface"));
    }
    let claims = routes.claims().count();
    if claims > CLAIMS_MAX as usize {
        let problem =
            format!("the program holds at most {CLAIMS_MAX} claims, one for each service of each address");
        let remedy = "name fewer services or fewer addresses";
        return Err(Wrong::new(RESPOND, format_args!("{claims} claims")).because(problem).remedy(remedy));
    }
    Ok(())
}

/// A fault of the route table by the name of the setting that it came from. The table's own sentence carries both
/// the problem and, behind its last colon, the remedy.
fn wrong_routes(error: &RouteError) -> Wrong {
    let wrong = match error {
        RouteError::NoAddress => Wrong::new(ADDRESSES, ""),
        RouteError::NoRoute => Wrong::new(RESPOND, ""),
        RouteError::AddressTwice(ip) | RouteError::AddressNotUnicast(ip) => Wrong::new(ADDRESSES, ip),
        RouteError::AddressNotHost(ip, len, _) | RouteError::PrefixTooLong(ip, len) => {
            Wrong::new(ADDRESSES, format_args!("{ip}/{len}"))
        }
        RouteError::AddressUnknown(ip, _) => Wrong::new(ROUTE_ADDRESS, ip),
        RouteError::RouteTwice(_, service) => Wrong::new(ROUTE_RESPOND, service),
        RouteError::PortTwice(_, _, service) => Wrong::new(RESPOND, service),
        RouteError::TooManyAddresses(count) => Wrong::new(ADDRESSES, count),
    };
    let sentence = error.to_string();
    match sentence.rsplit_once(": ") {
        Some((problem, remedy)) => wrong.because(problem).remedy(remedy),
        None => wrong.because(&sentence).remedy("correct it"),
    }
}

#[cfg(test)]
mod tests;

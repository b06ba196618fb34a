//! The plan: a configuration resolved against this host, printable, and the only thing that starts lanes.
//!
//! Holding a [`Plan`] proves that the interface is there and up, that nothing else is attached to it, that every
//! lane has a queue that exists and a core that it may run on, that a packet of the interface's MTU fits a packet
//! buffer, and that the routes are sound. Making one reads the host and changes nothing, so `check` makes the same
//! one that `serve` would start.

use std::net::IpAddr;
use std::time::Duration;

use host::links::AddressState;
use nic::xdp::{CLAIMS_MAX, Claims, OWNED_MAX, Settings, Vlans};
use route::{
    Address, LaneSettings, Numbered, Owner, PartialChecksums, Prefix, RouteError, RouteTable, Terms, Tier,
    VlanSet,
};
use wire::checksum::Summer;
use wire::ethernet::Mac;
use wire::stamp::Key;

use crate::config::keys::{
    ADDRESSES, RESPOND, ROUTE_ADDRESS, ROUTE_FROM, ROUTE_NIC, ROUTE_RESPOND, ROUTE_TIER, ROUTE_VLANS,
    STAMP_KEY_FILE, UNTAGGED,
};
use crate::config::{Config, PartialChoice};
use crate::error::{Error, Wrong};
use crate::stamp_key;

mod card;
pub mod facts;
mod lanes;
mod print;

pub(crate) use card::free;
pub use facts::Facts;
pub use lanes::LanePlan;
pub(crate) use print::{NEXT_HOP, row};

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
    /// Addresses, their owners, and the routes on them.
    pub routes: RouteTable,
    /// Why the earliest tier of this link is what it is.
    pub why_earliest: &'static str,
    /// What the lanes' tables need beside the routes.
    pub lane: LaneSettings,
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
        let (earliest, why_earliest) = earliest_tier(&facts);
        let routes = resolve_routes(config, &facts, earliest)?;
        let lane = lane_settings(config, &facts)?;
        let card = card::settings(config, &facts, &lanes);
        check_limits(&routes)?;
        let mut plan = Self {
            config: config.clone(),
            facts,
            lanes,
            card,
            routes,
            why_earliest,
            lane,
            warnings: Vec::new(),
        };
        plan.warnings = print::warnings(&plan);
        Ok(plan)
    }

    /// What is redirected to the lanes.
    pub fn claims(&self) -> Claims {
        claims_of(self.lane.mac, self.config.serve.vlans, self.routes.addresses(), &self.routes)
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

/// What a program must redirect so that the lanes get `routes`.
pub fn claims_of(mac: Mac, vlans: Vlans, addresses: &[Address], routes: &RouteTable) -> Claims {
    let owner_of = |owner| match owner {
        Owner::Kernel => nic::xdp::Owner::Kernel,
        Owner::Barelane => nic::xdp::Owner::Barelane,
    };
    Claims {
        mac: mac.0,
        vlans,
        addresses: addresses.iter().map(|address| (address.ip, owner_of(address.owner))).collect(),
        keys: routes
            .claims()
            .map(|claim| nic::xdp::ClaimKey {
                address: claim.address,
                protocol: claim.protocol,
                selector: claim.selector,
            })
            .collect(),
    }
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
fn resolve_routes(config: &Config, facts: &Facts, earliest: Tier) -> Result<RouteTable, Wrong> {
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

/// The earliest tier that can answer anything on this link, and why it is that one.
fn earliest_tier(_facts: &Facts) -> (Tier, &'static str) {
    (Tier::Lane, "this version answers in lanes")
}

/// The route table of these addresses: the routes of the file in its order, then every service of `serve.respond` on all
/// addresses.
pub fn table_of(config: &Config, addresses: &[Address], earliest: Tier) -> Result<RouteTable, Wrong> {
    check_nics(config)?;
    let mut routes = config.all_routes();
    let vlans = VlanSet::UNTAGGED;
    let vlans = config.serve.vlans.vids().fold(vlans, VlanSet::with);
    let terms = Terms { vlans, earliest };
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

/// Refuses a route for another card than the one that is served: it would never match.
fn check_nics(config: &Config) -> Result<(), Wrong> {
    let served = &config.nic.interface;
    let is_other = |nic: &&String| !served.is_empty() && *nic != served;
    match config.routes.iter().filter_map(|route| route.nic.as_ref()).find(is_other) {
        None => Ok(()),
        Some(nic) => Err(Wrong::new(ROUTE_NIC, nic)
            .because(format_args!("no packet comes by it: the interface that is served is {served}"))
            .remedy(format_args!("write {served}, or leave the key out"))),
    }
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
    if let Some(numbered) = routes.shared_in_part() {
        let problem = format!(
            "{numbered} takes some of the questions to an address that the kernel has too, by who asks or by VLAN, and this \
             version's program cannot tell them from the kernel's"
        );
        let remedy = "serve an address that the kernel does not have, or take `from` and `vlans` out";
        return Err(Wrong::new(ROUTE_RESPOND, numbered.route.service).because(problem).remedy(remedy));
    }
    let claims = routes.claim_count();
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
fn wrong_routes(config: &Config, error: &RouteError) -> Wrong {
    // The setting that a route's service came from.
    let service = |numbered: &Numbered| {
        let is_written = numbered.index < config.routes.len();
        Wrong::new(if is_written { ROUTE_RESPOND } else { RESPOND }, numbered.route.service)
    };
    let prefixes = |list: &[Prefix]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let wrong = match error {
        RouteError::NoAddress => Wrong::new(ADDRESSES, ""),
        RouteError::NoRoute => Wrong::new(RESPOND, ""),
        RouteError::AddressTwice(ip) | RouteError::AddressNotUnicast(ip) => Wrong::new(ADDRESSES, ip),
        RouteError::AddressNotHost(ip, len, _) | RouteError::PrefixTooLong(ip, len) => {
            Wrong::new(ADDRESSES, format_args!("{ip}/{len}"))
        }
        RouteError::TooManyAddresses(count) => Wrong::new(ADDRESSES, count),
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

#[cfg(test)]
mod tests;

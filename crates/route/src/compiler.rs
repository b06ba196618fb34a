//! From addresses and routes to lookups. Hosts on which the same routes stand are treated as one; their routes cut the
//! selectors into segments about each of which the same routes are.
//!
//! ```text
//!   routes by address ──▶ hosts with the same routes ──▶ segments of selectors ─┬▶ one selector, one answer: the road
//!                                                                               └▶ anything else: a cell
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;

use wire::headers::{Kind, target_of};

use crate::class::{Decision, Protocol, Responder, any_question, question, selectors};
use crate::compiled::Compiled;
use crate::conditions::{NextHop, Route, Tier};
use crate::prefix::{Family, Prefix, number};
use crate::refinement::builder::{Budget, Builder, ENTRY4_SIZE, ENTRY6_SIZE, Row, Segment, TooLarge};
use crate::table::{Address, Owner};
use lookup::Lookup;

/// An address that is served, where compilers find it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) ip: IpAddr,
    /// Its first index in a lane's table of its family, in the operator's order.
    pub(crate) index: u16,
    pub(crate) owner: Owner,
}

/// The next hops by which an address stands in a lane's table, in this order: what holds where a route names none, then what
/// routes name. A power of two of them, so that an index is the address's or the next hop's.
pub(crate) fn next_hops_of(routes: &[Route]) -> Vec<Option<NextHop>> {
    let is_named = |next_hop: &NextHop| routes.iter().any(|route| route.next_hop == Some(*next_hop));
    let named = [NextHop::Auto, NextHop::Reflect].into_iter().filter(is_named);
    let mut next_hops: Vec<_> = iter::once(None).chain(named.map(Some)).collect();
    next_hops.resize(next_hops.len().next_power_of_two(), None);
    next_hops
}

/// The addresses in order of family and number, so that a prefix's are neighbours. Each has so many indices.
pub(crate) fn places_of(addresses: &[Address], index_count: u16) -> Vec<Place> {
    let mut next = [0_u16; 2];
    let mut places: Vec<Place> = addresses
        .iter()
        .map(|&Address { ip, owner, .. }| {
            let [v4, v6] = &mut next;
            let counter = if ip.is_ipv4() { v4 } else { v6 };
            let index = *counter;
            // After the last of 2^16 it begins again, and is not used.
            *counter = counter.wrapping_add(index_count);
            Place { ip, index, owner }
        })
        .collect();
    places.sort_unstable_by_key(|place| place.ip);
    places
}

/// Which of the places a prefix has, first and one past the last.
pub(crate) fn selected(places: &[Place], prefix: Prefix) -> (usize, usize) {
    let key = |place: &Place| (Family::of(place.ip), number(place.ip));
    let first = places.partition_point(|place| key(place) < (prefix.family(), prefix.first()));
    let end = places.partition_point(|place| key(place) <= (prefix.family(), prefix.last()));
    (first, end)
}

/// The sources of a route, of each family; nothing where it is for everybody.
type Sources = [Option<Vec<(u128, u8)>>; 2];

/// Compiles `routes`, each with the tier that it was resolved to.
pub(crate) fn compile(places: &[Place], routes: &[Route], tiers: &[Tier]) -> Result<Compiled, TooLarge> {
    let sources: Vec<Sources> =
        routes.iter().map(|route| Family::ALL.map(|one| sources_of(route, one))).collect();
    let mut compiler = Compiler::new(routes, tiers, &sources);
    places.iter().try_for_each(|place| compiler.link_address(*place))?;
    for (family, hosts, numbers) in groups_of(places, routes) {
        for protocol in Protocol::ALL {
            let rows = compiler.rows(family, protocol, &numbers);
            compiler.kind(&hosts, family, protocol, &rows)?;
        }
    }
    Ok(Compiled {
        lookup4: Lookup::new(&compiler.entries4, Decision::NOTHING),
        lookup6: Lookup::new(&compiler.entries6, Decision::NOTHING),
        refinements: compiler.builder.build(),
    })
}

fn sources_of(route: &Route, family: Family) -> Option<Vec<(u128, u8)>> {
    let of_family = route.from.iter().filter(|prefix| prefix.family() == family);
    let sources: Vec<_> = of_family.map(|prefix| (prefix.first(), prefix.bit_count())).collect();
    let is_for_all = route.from.is_empty() || sources.iter().any(|&(_, len)| len == 0);
    if is_for_all { None } else { Some(sources) }
}

/// Hosts of one family on which the same routes stand, with the indices of those in order.
type HostGroup = (Family, Arc<[Place]>, Vec<u16>);

fn groups_of(places: &[Place], routes: &[Route]) -> Vec<HostGroup> {
    let mut by_address: BTreeMap<Option<Prefix>, Vec<u16>> = BTreeMap::new();
    for (route, number) in routes.iter().zip(0_u16..).filter(|(route, _)| !route.is_elsewhere) {
        by_address.entry(route.address).or_default().push(number);
    }
    let lists: Vec<(Option<Prefix>, Vec<u16>)> = by_address.into_iter().collect();
    // The lists whose prefix has a host, as indices.
    let mut lists_of = vec![Vec::new(); places.len()];
    for (index, (prefix, _)) in lists.iter().enumerate() {
        let (first, end) = prefix.map_or((0, places.len()), |prefix| selected(places, prefix));
        lists_of.get_mut(first..end).unwrap_or_default().iter_mut().for_each(|list| list.push(index));
    }
    let mut groups: BTreeMap<(Family, Vec<usize>), Vec<Place>> = BTreeMap::new();
    for (place, list) in places.iter().zip(lists_of) {
        groups.entry((Family::of(place.ip), list)).or_default().push(*place);
    }
    let merged = |indices: &[usize]| {
        let numbers = indices.iter().filter_map(|&index| lists.get(index)).flat_map(|(_, numbers)| numbers);
        let mut numbers: Vec<u16> = numbers.copied().collect();
        numbers.sort_unstable();
        numbers
    };
    groups.into_iter().map(|((family, indices), hosts)| (family, hosts.into(), merged(&indices))).collect()
}

/// A run of selectors, and the routes about it up to the first that all of its packets meet.
type Run<'a> = ((u16, u16), Vec<Row<'a>>);

struct Compiler<'a> {
    routes: &'a [Route],
    tiers: &'a [Tier],
    sources: &'a [Sources],
    next_hops: Vec<Option<NextHop>>,
    budget: Budget,
    builder: Builder,
    entries4: Vec<(u64, Decision)>,
    entries6: Vec<([u64; 3], Decision)>,
}

impl<'a> Compiler<'a> {
    fn new(routes: &'a [Route], tiers: &'a [Tier], sources: &'a [Sources]) -> Self {
        Self {
            routes,
            tiers,
            sources,
            next_hops: next_hops_of(routes),
            budget: Budget::new(),
            builder: Builder::default(),
            entries4: Vec::new(),
            entries6: Vec::new(),
        }
    }

    fn entry(&mut self, ip: IpAddr, question: u64, class: Decision) -> Result<(), TooLarge> {
        let [high, low] = target_of(ip);
        if ip.is_ipv4() {
            self.entries4.push((question | low, class));
            self.budget.spend(ENTRY4_SIZE)
        } else {
            self.entries6.push(([high, low, question], class));
            self.budget.spend(ENTRY6_SIZE)
        }
    }

    /// What an address's owner answers beside all routes: whose the address is.
    fn link_address(&mut self, place: Place) -> Result<(), TooLarge> {
        if place.owner == Owner::Kernel {
            return Ok(());
        }
        if place.ip.is_ipv4() {
            let class = Decision::of_owner(Responder::Arp, place.index);
            self.entry(place.ip, question(Kind::Arp, wire::arp::REQUEST), class)?;
            self.entry(place.ip, any_question(Kind::Arp), class)
        } else {
            let solicitation = question(Kind::Solicitation, wire::icmpv6::NEIGHBOUR_SOLICITATION.into());
            self.entry(place.ip, solicitation, Decision::of_owner(Responder::Neighbour, place.index))
        }
    }

    /// The routes of a group that are about a protocol and that anybody of the family can meet.
    fn rows(&self, family: Family, protocol: Protocol, numbers: &[u16]) -> Vec<Row<'a>> {
        let row = |&number: &u16| {
            let index = usize::from(number);
            let route = self.routes.get(index).filter(|route| route.protocol() == protocol)?;
            let sources = match self.sources.get(index)? {
                [v4, _] if family == Family::V4 => v4,
                [_, v6] => v6,
            };
            let sources = sources.as_deref();
            let responder = Responder::of(route.service);
            let tier = *self.tiers.get(index)?;
            let (_, host) = self.next_hops.iter().zip(0..).find(|(known, _)| **known == route.next_hop)?;
            (sources != Some(&[])).then(|| Row {
                route: number,
                selectors: selectors(route.service, family),
                sources,
                vlans: route.vlans.as_deref(),
                class: Decision { responder, tier, host, route: number, refinement: 0 },
            })
        };
        numbers.iter().filter_map(row).collect()
    }

    /// All questions of one kind to some hosts.
    fn kind(
        &mut self,
        hosts: &Arc<[Place]>,
        family: Family,
        protocol: Protocol,
        rows: &[Row<'a>],
    ) -> Result<(), TooLarge> {
        let mut cells: Vec<Vec<Row<'a>>> = Vec::new();
        let mut known: BTreeMap<Vec<u16>, u16> = BTreeMap::new();
        let mut segments: Vec<Segment> = Vec::new();
        for ((first, last), rows) in Runs::new(rows) {
            self.budget.spend(size_of_val(rows.as_slice()))?;
            match rows.as_slice() {
                [only] if only.is_unconditional() && first == last && self.is_for_the_road(only) => {
                    let question = question(protocol.kind(family), first);
                    for place in hosts.iter() {
                        let host = place.index | only.class.host;
                        self.entry(place.ip, question, Decision { host, ..only.class })?;
                    }
                }
                _ => {
                    let index =
                        *known.entry(rows.iter().map(|row| row.route).collect()).or_insert_with(|| {
                            cells.push(rows);
                            index_of_last(cells.len()) + 1
                        });
                    segments.push((first, last, index));
                }
            }
        }
        let refinement = match segments.as_slice() {
            [] => 0,
            segments => self.builder.group(family, &cells, segments, &mut self.budget)?,
        };
        self.rest(hosts, family, protocol, refinement)
    }

    /// Whether what it says can be said by one lookup: what the kernel keeps is nowhere, and a limit is looked up beside the
    /// road.
    fn is_for_the_road(&self, row: &Row<'_>) -> bool {
        let is_limited = self.routes.get(usize::from(row.route)).is_some_and(|route| !route.limit.is_none());
        row.class.tier != Tier::Kernel && !is_limited
    }

    /// What no single lookup answers: what has to be asked further, and what an address's owner says of the rest.
    fn rest(
        &mut self,
        hosts: &Arc<[Place]>,
        family: Family,
        protocol: Protocol,
        refinement: u16,
    ) -> Result<(), TooLarge> {
        for host in hosts.iter() {
            let responder = match (host.owner, protocol) {
                (Owner::Barelane, Protocol::Udp) => Responder::UdpClosed,
                _ if refinement == 0 => continue,
                _ => Responder::Nobody,
            };
            let class = Decision { refinement, ..Decision::of_owner(responder, host.index) };
            self.entry(host.ip, any_question(protocol.kind(family)), class)?;
        }
        Ok(())
    }
}

/// Cuts the selectors where a route begins or ends, and gives one by one what has any route about it.
struct Runs<'a, 'rows> {
    rows: &'rows [Row<'a>],
    /// The routes that begin at a selector, and those that end before it.
    cuts: BTreeMap<u32, [Vec<usize>; 2]>,
    /// The routes about the selectors from the next cut on.
    about: BTreeSet<usize>,
}

impl<'a, 'rows> Runs<'a, 'rows> {
    fn new(rows: &'rows [Row<'a>]) -> Self {
        let mut cuts: BTreeMap<u32, [Vec<usize>; 2]> = BTreeMap::new();
        for (place, Row { selectors: (first, last), .. }) in rows.iter().enumerate() {
            let [begins, _] = cuts.entry((*first).into()).or_default();
            begins.push(place);
            let [_, ends] = cuts.entry(u32::from(*last) + 1).or_default();
            ends.push(place);
        }
        Self { rows, cuts, about: BTreeSet::new() }
    }

    /// The routes that are about the next selectors, up to the first that all of their packets meet.
    fn met(&self) -> Vec<Row<'a>> {
        let mut met = Vec::new();
        for row in self.about.iter().filter_map(|&place| self.rows.get(place)) {
            met.push(*row);
            if row.is_unconditional() {
                break;
            }
        }
        met
    }
}

impl<'a> Iterator for Runs<'a, '_> {
    type Item = Run<'a>;

    fn next(&mut self) -> Option<Run<'a>> {
        loop {
            let (first, [begins, ends]) = self.cuts.pop_first()?;
            for place in &ends {
                self.about.remove(place);
            }
            self.about.extend(begins);
            // Behind the last cut nothing is left.
            let (next, _) = self.cuts.first_key_value()?;
            let (first, last) = (u16::try_from(first).ok()?, u16::try_from(next - 1).ok()?);
            if !self.about.is_empty() {
                return Some(((first, last), self.met()));
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cell has a selector of its own, none of which is 0")]
const fn index_of_last(count: usize) -> u16 {
    (count - 1) as u16
}

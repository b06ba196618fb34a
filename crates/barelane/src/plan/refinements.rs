//! What routes with more conditions are compiled to, in the program's terms: the same arrays.

use nic::xdp::{self, Refinements, Verdict};
use route::refinement::{NONE, Sources};
use route::table::LIMIT_COUNT_MAX;
use route::{Decision, Family, Limit, NextHop, Responder, RouteTable, Tier};

/// The program's form of a lane's refinements, where `otherwise` is the next hop of routes that name none.
pub(super) fn of(routes: &RouteTable, otherwise: NextHop) -> Refinements {
    let refinements = routes.compiled().refinements();
    let (limits, limit_of) = routes.limits();
    let verdict_of = |decision: Decision| {
        let is_reflected = routes.next_hop(decision.route, otherwise) == NextHop::Reflect;
        verdict_of(decision, is_reflected, &limit_of)
    };
    Refinements {
        groups: refinements.groups().iter().map(|group| [group.port_map, group.first_cell]).collect(),
        port_maps: refinements.port_maps().iter().map(|map| map.to_vec()).collect(),
        selectors: refinements.selectors().clone(),
        cells: refinements
            .cells()
            .iter()
            .map(|cell| [cell.source_map, cell.vlan_map, cell.first_class])
            .collect(),
        sources: sources_of(refinements.sources()),
        vlan_maps: refinements.vlan_maps().iter().map(|map| map.to_vec()).collect(),
        verdicts: refinements.classes().iter().map(|&decision| verdict_of(decision)).collect(),
        exceptions: refinements.exceptions().map(verdict_of),
        limits: limits.into_iter().map(limit_in_driver).collect(),
    }
}

/// The program's form of source maps.
pub(super) fn sources_of(sources: &Sources) -> xdp::Sources {
    xdp::Sources {
        source_maps: sources.source_maps().iter().map(|map| [map.first, map.count]).collect(),
        lengths: sources.lengths().to_vec(),
        nodes4: sources.nodes4().clone(),
        nodes6: sources.nodes6().clone(),
    }
}

const _: () = assert!(NONE == Refinements::NONE);
const _: () = assert!(LIMIT_COUNT_MAX == xdp::LIMIT_COUNT_MAX as usize);

/// What is decided, with the next hop and the limit of its route: `limit_of` has one more than its index, or 0.
fn verdict_of(decision: Decision, is_reflected: bool, limit_of: &[u16]) -> Verdict {
    let limit = || u32::from(*limit_of.get(usize::from(decision.route))?).checked_sub(1);
    let route = decision.route;
    match (decision.responder, decision.tier) {
        (_, Tier::Kernel) => {
            Verdict::Tier { tier: xdp::Tier::Kernel, limit: None, route, is_reflected: false }
        }
        (Responder::Nobody, _) => Verdict::Nobody,
        (_, tier) => Verdict::Tier { tier: tier_of(tier), limit: limit(), route, is_reflected },
    }
}

/// The same limit in the driver.
fn limit_in_driver(limit: Limit) -> xdp::Limit {
    let per_source = limit.per_source.map(|most| xdp::SourceLimit {
        per_second: most.per_second,
        ipv4_mask: most.prefix.mask(Family::V4),
        ipv6_mask: most.prefix.mask(Family::V6),
    });
    xdp::Limit { per_second: limit.per_second, per_source }
}

/// The program's word for a tier.
pub(super) const fn tier_of(tier: Tier) -> xdp::Tier {
    match tier {
        Tier::Driver => xdp::Tier::Driver,
        Tier::Lane => xdp::Tier::Lane,
        Tier::Kernel => xdp::Tier::Kernel,
    }
}

//! What routes with more conditions are compiled to, in the program's terms: the same arrays.

use nic::xdp::{self, Refinements, Verdict};
use route::refinement::NONE;
use route::{Decision, Responder, Tier};

/// The program's form of a lane's refinements.
pub(super) fn of(refinements: &route::Refinements) -> Refinements {
    let sources = refinements.sources();
    Refinements {
        groups: refinements.groups().iter().map(|group| [group.port_map, group.first_cell]).collect(),
        port_maps: refinements.port_maps().iter().map(|map| map.to_vec()).collect(),
        selectors: refinements.selectors().clone(),
        cells: refinements
            .cells()
            .iter()
            .map(|cell| [cell.matcher, cell.vlan_map, cell.first_class])
            .collect(),
        matchers: sources.matchers().iter().map(|matcher| [matcher.first, matcher.count]).collect(),
        lengths: sources.lengths().to_vec(),
        nodes4: sources.nodes4().clone(),
        nodes6: sources.nodes6().clone(),
        vlan_maps: refinements.vlan_maps().iter().map(|map| map.to_vec()).collect(),
        verdicts: refinements.classes().iter().map(|&decision| verdict_of(decision)).collect(),
        exceptions: refinements.exceptions().map(verdict_of),
    }
}

const _: () = assert!(NONE == Refinements::NONE);

fn verdict_of(decision: Decision) -> Verdict {
    match (decision.responder, decision.tier) {
        (_, Tier::Kernel) => Verdict::Tier(xdp::Tier::Kernel),
        (Responder::Nobody, _) => Verdict::Nobody,
        (_, tier) => Verdict::Tier(tier_of(tier)),
    }
}

/// The program's word for a tier.
pub(super) const fn tier_of(tier: Tier) -> xdp::Tier {
    match tier {
        Tier::Driver => xdp::Tier::Driver,
        Tier::Lane => xdp::Tier::Lane,
        Tier::Kernel => xdp::Tier::Kernel,
    }
}

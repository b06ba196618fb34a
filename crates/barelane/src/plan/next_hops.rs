//! The ways to askers that are not on the link, in the program's terms: the same arrays.

use nic::xdp;
use route::NextHops;

use super::refinements::sources_of;

/// The program's form of a lane's next hops.
pub fn next_hops_of(next_hops: &NextHops) -> xdp::NextHops {
    xdp::NextHops {
        sources: sources_of(next_hops.sources()),
        otherwise: next_hops.otherwise(),
        stations: next_hops.gateways().iter().map(|gateway| gateway.mac.map(|mac| mac.0)).collect(),
    }
}

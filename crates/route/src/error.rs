//! Why a route table cannot be, in sentences that end with the remedy.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;

use crate::conditions::Route;
use crate::refinement::builder::COMPILED_SIZE_MAX;
use crate::table::{ADDRESS_COUNT_MAX, LIMIT_COUNT_MAX, ROUTE_COUNT_MAX};
use crate::vlan_set::VlanSet;

/// A route with its place in the operator's order, as complaints call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its index in that order.
    pub index: usize,
    /// What it says.
    pub route: Route,
}

impl fmt::Display for Numbered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "route {} (`{}`)", self.index + 1, self.route)
    }
}

/// Why a table cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteError {
    /// No address, so nothing could ever be answered.
    #[error("no address is served: give one with `--address A/LEN`, or give the interface an address")]
    NoAddress,
    /// No route, so nothing would be answered.
    #[error("no service is named: add one, such as `--respond icmp-echo` or `--respond udp-echo:7`")]
    NoRoute,
    /// Two entries for one address.
    #[error("address {0} is given twice: remove one of the two")]
    AddressTwice(IpAddr),
    /// An address that no single host can have.
    #[error("address {0} cannot be a host's: use a unicast address that is not loopback")]
    AddressNotUnicast(IpAddr),
    /// The first or the last address of its link.
    #[error("address {0}/{1} is its link's {2} address: use another host part, or prefix length 31 or 32")]
    AddressNotHost(IpAddr, u8, &'static str),
    /// A prefix that is longer than the address.
    #[error("prefix length {1} of address {0} is too long: use at most {max}", max = if .0.is_ipv4() { 32 } else { 128 })]
    PrefixTooLong(IpAddr, u8),
    /// More addresses than an index can name.
    #[error("{0} addresses are too many: use at most {ADDRESS_COUNT_MAX}")]
    TooManyAddresses(usize),
    /// More addresses than an index can name with a next hop.
    #[error(
        "{0} addresses are too many for routes with next hops of their own: use at most {1}, or leave route.next_hop out"
    )]
    TooManyNextHops(usize, usize),
    /// More routes than an index can name.
    #[error("{0} routes are too many: use at most {ROUTE_COUNT_MAX}")]
    TooManyRoutes(usize),
    /// A route on an address that is not served.
    #[error("{0} stands on an address that is not served: add the address, or move the route")]
    AddressUnknown(Numbered),
    /// A route on a VLAN that is not served.
    #[error("{0} is for {vlan}, which is not served: add it to serve.vlans, or take it out of the route", vlan = vlan_name(*.1))]
    VlanUnknown(Numbered, u16),
    /// A route all of whose askers are of another family than its addresses.
    #[error(
        "{0} is for askers of another IP version than its addresses: nothing ever matches it; correct one of the two"
    )]
    SourceFamily(Numbered),
    /// A route that is to be answered in the driver, of a service that is not answered there.
    #[error(
        "{0} cannot be answered in the driver, which knows `icmp-echo` and `udp-echo`: use tier auto or lane"
    )]
    DriverUnable(Numbered),
    /// A route that is to be answered in the driver, where that cannot be.
    #[error("{0} cannot be answered in the driver here: use tier auto or lane")]
    DriverAbsent(Numbered),
    /// A route behind one that takes everything first.
    #[error(
        "{later} never takes a packet, since {earlier} comes first and takes all that it could: remove one of the two, narrow the first, or put the second before it"
    )]
    Shadowed {
        /// The one that takes everything.
        earlier: Box<Numbered>,
        /// The one that gets nothing.
        later: Box<Numbered>,
    },
    /// More limits than a lane has room for.
    #[error("{0} routes with a limit are too many: use at most {LIMIT_COUNT_MAX}")]
    TooManyLimits(usize),
    /// More than a compiled table may take.
    #[error("with {0} the routes take more than {size} MiB of memory when compiled: use fewer addresses, prefixes or VLANs that differ", size = COMPILED_SIZE_MAX >> 20)]
    TooLarge(Box<Numbered>),
}

fn vlan_name(vid: u16) -> String {
    if vid == VlanSet::NO_VLAN { "untagged frames".to_owned() } else { format!("VLAN {vid}") }
}

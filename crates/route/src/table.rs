//! The route table as the operator means it: addresses, whose they are, and what is answered on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use thiserror::Error;

use crate::service::Service;

/// The most addresses of one table: their index in [`crate::LaneTables`] is 16 bits wide.
pub const ADDRESS_COUNT_MAX: usize = 1 << 16;

/// Who answers for what no route claims on an address, ARP and NDP included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The kernel has this address too: it keeps everything that no route claims.
    Kernel,
    /// Only Barelane has this address: it answers ARP and NDP for it, and what no route claims ends here.
    Barelane,
}

/// An address that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// How many leading bits name its link. Tells the link's broadcast address, which may not ask (RFC 1122 3.2.1.3).
    pub prefix_len: u8,
    /// Who answers for the rest.
    pub owner: Owner,
}

impl Address {
    /// The broadcast address of its link, which may not ask; none for IPv6, and for links without one.
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.ip {
            IpAddr::V4(ip) => broadcast_of(ip, self.prefix_len),
            IpAddr::V6(_) => None,
        }
    }
}

/// One service on one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destination address that is matched.
    pub address: IpAddr,
    /// What answers, and so what else is matched: protocol, port, ICMP type.
    pub service: Service,
}

/// What a route claims for the lane, in the terms of the program that redirects packets to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The destination address.
    pub address: IpAddr,
    /// The IP protocol number.
    pub protocol: u8,
    /// The UDP destination port, or the ICMP type.
    pub selector: u16,
    /// What answers.
    pub service: Service,
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
    /// A route on an address that is not served.
    #[error("route `{1}` stands on address {0}, which is not served: add the address, or move the route")]
    AddressUnknown(IpAddr, Service),
    /// Two routes for the same packets.
    #[error("route `{1}` on {0} is given twice: remove one of the two")]
    RouteTwice(IpAddr, Service),
    /// Two services for the same packets.
    #[error("routes `{1}` and `{2}` on {0} want the same UDP port: give one of them another port")]
    PortTwice(IpAddr, Service, Service),
    /// More addresses than an index can name.
    #[error("{0} addresses are too many: use at most {ADDRESS_COUNT_MAX}")]
    TooManyAddresses(usize),
}

/// Addresses and routes that fit together. Holding one proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    addresses: Vec<Address>,
    routes: Vec<Route>,
}

impl RouteTable {
    /// Checks that the parts fit together.
    pub fn new(addresses: Vec<Address>, routes: Vec<Route>) -> Result<Self, RouteError> {
        if addresses.is_empty() {
            return Err(RouteError::NoAddress);
        }
        if addresses.len() > ADDRESS_COUNT_MAX {
            return Err(RouteError::TooManyAddresses(addresses.len()));
        }
        if routes.is_empty() {
            return Err(RouteError::NoRoute);
        }
        let mut known = BTreeSet::new();
        for address in &addresses {
            check_address(address)?;
            if !known.insert(address.ip) {
                return Err(RouteError::AddressTwice(address.ip));
            }
        }
        let mut claimed = BTreeMap::new();
        for &Route { address, service } in &routes {
            if !known.contains(&address) {
                return Err(RouteError::AddressUnknown(address, service));
            }
            match claimed.insert((address, service.udp_port()), service) {
                Some(other) if other == service => return Err(RouteError::RouteTwice(address, service)),
                Some(other) => return Err(RouteError::PortTwice(address, other, service)),
                None => {}
            }
        }
        Ok(Self { addresses, routes })
    }

    /// The same services on every address: what the command line's `--respond` means.
    pub fn everywhere(addresses: Vec<Address>, services: &[Service]) -> Result<Self, RouteError> {
        let routes = addresses
            .iter()
            .flat_map(|address| services.iter().map(|&service| Route { address: address.ip, service }))
            .collect();
        Self::new(addresses, routes)
    }

    /// The addresses, in the operator's order.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The routes, in the operator's order.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What the routes claim for the lane, one claim a route.
    pub fn claims(&self) -> impl Iterator<Item = Claim> + '_ {
        self.routes.iter().map(|route| {
            let (protocol, selector) = match (route.service.udp_port(), route.address) {
                (Some(port), IpAddr::V4(_)) => (wire::ipv4::UDP, port.get()),
                (Some(port), IpAddr::V6(_)) => (wire::ipv6::UDP, port.get()),
                // The one service without a port.
                (None, IpAddr::V4(_)) => (wire::ipv4::ICMP, wire::icmpv4::ECHO_REQUEST.into()),
                (None, IpAddr::V6(_)) => (wire::ipv6::ICMP, wire::icmpv6::ECHO_REQUEST.into()),
            };
            Claim { address: route.address, protocol, selector, service: route.service }
        })
    }
}

fn check_address(&Address { ip, prefix_len, .. }: &Address) -> Result<(), RouteError> {
    let (bits, is_unicast) = match ip {
        IpAddr::V4(v4) => {
            (32, !(v4.octets().first() == Some(&0) || v4.is_multicast() || v4 >= Ipv4Addr::new(240, 0, 0, 0)))
        }
        IpAddr::V6(v6) => (128, !v6.is_multicast()),
    };
    if ip.is_unspecified() || ip.is_loopback() || !is_unicast {
        return Err(RouteError::AddressNotUnicast(ip));
    }
    if prefix_len > bits {
        return Err(RouteError::PrefixTooLong(ip, prefix_len));
    }
    let IpAddr::V4(v4) = ip else { return Ok(()) };
    match host_part(v4, prefix_len) {
        (host, mask) if mask > 1 && host == 0 => Err(RouteError::AddressNotHost(ip, prefix_len, "network")),
        (host, mask) if mask > 1 && host == mask => {
            Err(RouteError::AddressNotHost(ip, prefix_len, "broadcast"))
        }
        _ => Ok(()),
    }
}

/// The bits of an address behind its prefix, and the mask that took them.
fn host_part(ip: Ipv4Addr, prefix_len: u8) -> (u32, u32) {
    let mask = u32::MAX.checked_shr(u32::from(prefix_len)).unwrap_or(0);
    (ip.to_bits() & mask, mask)
}

/// The broadcast address of the link; none for /31 and /32, which have no such thing (RFC 3021).
pub(crate) fn broadcast_of(ip: Ipv4Addr, prefix_len: u8) -> Option<Ipv4Addr> {
    let (_, mask) = host_part(ip, prefix_len);
    (mask > 1).then(|| Ipv4Addr::from_bits(ip.to_bits() | mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        let (ip, len) = text.split_once('/').unwrap();
        Address { ip: ip.parse().unwrap(), prefix_len: len.parse().unwrap(), owner: Owner::Barelane }
    }

    fn table(addresses: &[&str], services: &[&str]) -> Result<RouteTable, RouteError> {
        let services: Vec<Service> = services.iter().map(|name| name.parse().unwrap()).collect();
        RouteTable::everywhere(addresses.iter().map(|text| address(text)).collect(), &services)
    }

    #[test]
    fn services_stand_on_every_address_and_claim_what_they_answer() {
        let table = table(&["10.0.0.1/24", "fd00::1/64"], &["icmp-echo", "udp-echo:7"]).unwrap();
        let claims: Vec<_> = table.claims().map(|claim| (claim.protocol, claim.selector)).collect();
        assert_eq!(claims, [(1, 8), (17, 7), (58, 128), (17, 7)]);
    }

    #[test]
    fn what_no_host_can_have_is_no_address() {
        for text in [
            "0.0.0.0/0",
            "0.1.2.3/8",
            "127.0.0.1/8",
            "224.0.0.1/24",
            "255.255.255.255/32",
            "240.0.0.1/8",
            "::/0",
            "::1/128",
            "ff02::1/64",
        ] {
            assert!(
                matches!(table(&[text], &["icmp-echo"]), Err(RouteError::AddressNotUnicast(_))),
                "{text}"
            );
        }
        for text in ["10.0.0.0/24", "10.0.0.255/24", "10.0.0.3/30"] {
            assert!(matches!(table(&[text], &["icmp-echo"]), Err(RouteError::AddressNotHost(..))), "{text}");
        }
        for text in ["10.0.0.1/33", "fd00::1/129"] {
            assert!(matches!(table(&[text], &["icmp-echo"]), Err(RouteError::PrefixTooLong(..))), "{text}");
        }
        for text in ["10.0.0.0/31", "10.0.0.1/31", "10.0.0.0/32", "fd00::/64", "10.0.0.1/0"] {
            assert!(table(&[text], &["icmp-echo"]).is_ok(), "{text}");
        }
    }

    #[test]
    fn nothing_may_be_given_twice_or_stand_nowhere() {
        assert_eq!(table(&[], &["icmp-echo"]), Err(RouteError::NoAddress));
        assert_eq!(table(&["10.0.0.1/24"], &[]), Err(RouteError::NoRoute));
        assert!(matches!(
            table(&["10.0.0.1/24", "10.0.0.1/16"], &["icmp-echo"]),
            Err(RouteError::AddressTwice(_))
        ));
        assert!(matches!(
            table(&["10.0.0.1/24"], &["udp-echo:7", "udp-echo:7"]),
            Err(RouteError::RouteTwice(..))
        ));
        assert_eq!(
            table(&["10.0.0.1/24"], &["udp-echo:862", "stamp"]).unwrap_err().to_string(),
            "routes `udp-echo:862` and `stamp:862` on 10.0.0.1 want the same UDP port: give one of them another port"
        );
        let elsewhere = Route { address: "10.0.0.2".parse().unwrap(), service: Service::IcmpEcho };
        let unknown = RouteTable::new(vec![address("10.0.0.1/24")], vec![elsewhere]);
        assert!(matches!(unknown, Err(RouteError::AddressUnknown(..))));
    }

    #[test]
    fn a_point_to_point_link_has_no_broadcast_address() {
        let ip = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(broadcast_of(ip, 24), Some(Ipv4Addr::new(10, 0, 0, 255)));
        assert_eq!(broadcast_of(ip, 0), Some(Ipv4Addr::BROADCAST));
        assert_eq!((broadcast_of(ip, 31), broadcast_of(ip, 32)), (None, None));
    }
}

//! From a name to an address, and from an address to a neighbour that is there.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use host::links::{self, Link};
use host::neighbours;
use host::routes::{self, RouteTo};

use super::memif::Shared;
use crate::error::{Error, Wrong};

/// Where datagrams go that nobody is to answer (RFC 863, discard): they make the kernel resolve the neighbour.
const DISCARD: u16 = 9;

/// How long a neighbour may take: the kernel asks three times, a second apart (`mcast_solicit`, `retrans_time_ms`).
const NEIGHBOUR_PATIENCE: Duration = Duration::from_millis(3500);

/// How often is looked whether the kernel knows the neighbour.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Whom the questions go to, and by which way.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) ip: IpAddr,
    /// The interface's index, for a link-local address.
    pub(super) scope: u32,
    /// The way there.
    pub(super) way: RouteTo,
    /// The interface that it leads out of; nothing for one without Ethernet addresses.
    pub(super) link: Option<Link>,
}

impl Target {
    /// Resolves a name or reads an address, and asks the kernel for the way. `interface` overrules where it leads.
    pub(super) fn resolve(text: &str, interface: Option<&str>) -> Result<Self, Error> {
        let (name, zone) = text.split_once('%').map_or((text, None), |(name, zone)| (name, Some(zone)));
        let named = interface.or(zone).map(links::link).transpose()?;
        let ip = address_of(name)?;
        let is_link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let way = match &named {
            // The kernel has no route to a link-local address without an interface: the interface is the route.
            Some(link) if is_link_local => {
                RouteTo { ifindex: link.index, gateway: None, source: own_link_local(link)? }
            }
            _ => routes::route_to(ip).map_err(|error| unreachable(text, &error.to_string()))?,
        };
        let link = named.or_else(|| links::link_at(way.ifindex).ok());
        if let Some(link) = link.as_ref().filter(|link| link.index != way.ifindex) {
            let problem = format!("the kernel's route to {ip} does not lead out of {}", link.name);
            return Err(Wrong::new("--nic", &link.name)
                .because(problem)
                .remedy("leave it out, or change the route")
                .into());
        }
        let scope = if is_link_local { way.ifindex } else { 0 };
        Ok(Self { ip, scope, way, link })
    }

    /// Resolves a name or reads an address that is to be asked by an interface in shared memory: there the way is what the
    /// operator says.
    pub(super) fn beyond(text: &str, shared: &Shared) -> Result<Self, Error> {
        let ip = shared.choose(text, &addresses_of(text)?)?;
        let way = RouteTo { ifindex: 0, gateway: None, source: Some(shared.ip()) };
        Ok(Self { ip, scope: 0, way, link: Some(shared.link()) })
    }

    /// The Ethernet address of the next hop; nothing where the link has none, as within this host. A next hop that
    /// does not answer is refused.
    pub(super) fn find_neighbour(&self) -> Result<Option<[u8; 6]>, Error> {
        if self.way.ifindex == links::LOOPBACK || self.link.is_none() {
            return Ok(None);
        }
        let next_hop = self.way.gateway.unwrap_or(self.ip);
        let deadline = Instant::now() + NEIGHBOUR_PATIENCE;
        let socket = self.discard_socket()?;
        loop {
            if let Some(mac) = neighbours::lookup(self.way.ifindex, next_hop)? {
                return Ok(Some(mac));
            }
            if Instant::now() >= deadline {
                let interface = self.link.as_ref().map_or("", |link| link.name.as_str());
                return Err(unreachable(
                    &next_hop.to_string(),
                    &format!("no host on {interface} says that it has this address"),
                ));
            }
            // A refusal means only that the kernel is still asking, or has just given up and will ask again.
            let _refused = socket.send(&[]);
            thread::sleep(LOOK_INTERVAL);
        }
    }

    fn discard_socket(&self) -> Result<UdpSocket, Error> {
        let any: IpAddr = if self.ip.is_ipv4() { [0, 0, 0, 0].into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let to = match self.ip {
            IpAddr::V4(ip) => SocketAddr::new(ip.into(), DISCARD),
            IpAddr::V6(ip) => std::net::SocketAddrV6::new(ip, DISCARD, 0, self.scope).into(),
        };
        let opened = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(to).map(|()| socket));
        opened.map_err(|error| unreachable(&self.ip.to_string(), &error.to_string()))
    }
}

fn own_link_local(link: &Link) -> Result<Option<IpAddr>, Error> {
    let is_link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    Ok(links::addresses(link.index)?.into_iter().map(|one| one.ip).find(is_link_local))
}

fn address_of(name: &str) -> Result<IpAddr, Error> {
    let first = addresses_of(name)?.into_iter().next();
    first.ok_or_else(|| unreachable(name, "the name has no address"))
}

fn addresses_of(name: &str) -> Result<Vec<IpAddr>, Error> {
    if let Ok(ip) = name.parse() {
        return Ok(vec![ip]);
    }
    let found = (name, 0).to_socket_addrs().map_err(|error| unreachable(name, &error.to_string()))?;
    Ok(found.map(|address| address.ip()).collect())
}

fn unreachable(target: &str, problem: &str) -> Error {
    let remedy = "name a host that is there, by an address or a name that resolves";
    Wrong::new("TARGET", target).because(problem).remedy(remedy).into()
}

//! Tables of many routes, all alike, of which the question takes the last: whether a packet pays for their number.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};

use route::{Prefix, Route, RouteTable, Service, Terms, VlanSet};
use testkit::endpoint::Endpoint;
use testkit::packets::{self, exchange};

use crate::{PAYLOAD, PORT, addresses};

/// What the routes differ in.
pub(crate) const KINDS: [&str; 4] = ["ports", "ranges", "askers", "vlans"];

/// The first port, or the first of a range.
const FIRST_PORT: u16 = 1000;

/// The lengths of the askers' prefixes, each as often as any other, so that a search takes as many steps with ten
/// routes as with ten thousand. The asker's own is among them.
const LENGTHS: std::ops::RangeInclusive<u8> = 23..=32;
const OWN_LENGTH: u8 = 32;

/// So many routes of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Many {
    pub(crate) kind: &'static str,
    pub(crate) count: u16,
}

/// How many there can be of a kind.
pub(crate) fn most(kind: &str) -> u16 {
    if kind == "vlans" { VlanSet::VID_MAX } else { 10_000 }
}

impl Many {
    /// The table that a class such as `askers-10000` means; nothing where it is another class.
    pub(crate) fn of(class: &str) -> Result<Option<Self>, Box<dyn Error>> {
        let Some((kind, count)) = class.split_once('-') else { return Ok(None) };
        let Some(kind) = KINDS.into_iter().find(|known| *known == kind) else { return Ok(None) };
        let count: u16 = count.parse()?;
        if (10..=most(kind)).contains(&count) {
            Ok(Some(Self { kind, count }))
        } else {
            Err(format!("from 10 to {} {kind}", most(kind)).into())
        }
    }

    /// A UDP question that the last of the routes takes.
    pub(crate) fn question(&self, endpoint: &Endpoint) -> Result<Vec<u8>, Box<dyn Error>> {
        let own = endpoint.addresses.iter().map(|address| address.ip).find(IpAddr::is_ipv4);
        let port = match self.kind {
            "ports" => FIRST_PORT + self.count - 1,
            "ranges" => FIRST_PORT + 2 * self.count - 1,
            _ => PORT,
        };
        let own = own.ok_or("the endpoint has no IPv4 address")?;
        let mut question = exchange(endpoint, own, packets::Kind::UdpEcho(port), &PAYLOAD).question;
        if self.kind == "vlans" {
            let [high, low] = self.count.to_be_bytes();
            question.splice(12..12, [0x81, 0x00, high, low]);
        }
        Ok(question)
    }

    /// The routes, compiled.
    pub(crate) fn table(&self, endpoint: &Endpoint) -> Result<RouteTable, Box<dyn Error>> {
        let routes = (0..self.count).map(|number| self.route(endpoint, number)).collect::<Result<_, _>>()?;
        let terms = Terms { vlans: (VlanSet::NO_VLAN..=VlanSet::VID_MAX).collect(), ..Terms::default() };
        Ok(RouteTable::with_terms(addresses(endpoint), routes, &terms)?)
    }

    fn route(&self, endpoint: &Endpoint, number: u16) -> Result<Route, Box<dyn Error>> {
        let echo = |ports: String| format!("udp-echo:{ports}").parse::<Service>();
        let mut route = Route::everywhere(echo(PORT.to_string())?);
        match self.kind {
            "ports" => route.service = echo((FIRST_PORT + number).to_string())?,
            "ranges" => {
                let first = FIRST_PORT + 2 * number;
                route.service = echo(format!("{first}-{}", first + 1))?;
            }
            "askers" => route.from = vec![self.prefix(endpoint, number)?],
            _ => route.vlans = Some(Box::new(VlanSet::EMPTY.with(number + 1))),
        }
        Ok(route)
    }

    /// The prefix of a route's askers: the last one has the asker of the question.
    fn prefix(&self, endpoint: &Endpoint, number: u16) -> Result<Prefix, Box<dyn Error>> {
        if number == self.count - 1 {
            let mask = u32::MAX << (32 - OWN_LENGTH);
            let network = Ipv4Addr::from_bits(endpoint.asker.ipv4.to_bits() & mask);
            return Ok(Prefix::new(network.into(), OWN_LENGTH)?);
        }
        let network = Ipv4Addr::new(11, 0, 0, 0).to_bits() + (u32::from(number) << 9);
        let len = LENGTHS.start() + (number % 10) as u8;
        Ok(Prefix::new(IpAddr::V4(Ipv4Addr::from_bits(network)), len)?)
    }
}

//! The ways to askers that are not on the link: the kernel's routes and neighbours, flat, whole, and replaced only whole.
//!
//! ```text
//!   asker ──longest prefix──▶ number ─┬─ 1      on the link: back to the station that asked
//!                                     ├─ 2      by another interface, or nowhere
//!                                     └─ 3 + n  by gateway n ──▶ its Ethernet address, if it is known
//! ```
//!
//! The prefix is found as a source's is in a route's conditions: by binary search over the prefix lengths, each probe one
//! lookup, six at most for IPv4 and eight for IPv6, however many routes the kernel has.

use std::collections::BTreeMap;
use std::net::IpAddr;

use thiserror::Error;
use wire::ethernet::Mac;

use crate::prefix::{Family, Prefix, number};
use crate::refinement::sources::{Region, Sources, SourcesBuilder};

/// The most ways: more than a host's own table has, and less than the table of a router of the internet. It bounds the time
/// in which a change is followed.
const WAYS_MAX: usize = 1 << 16;

const LINK: u32 = 1;
const ELSEWHERE: u32 = 2;
const GATEWAYS: u32 = 3;

/// The addresses that every link has for itself (RFC 4291 2.5.6).
const LINK_LOCAL: (u128, u8) = (0xfe80 << 112, 10);

/// How the addresses of a prefix are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// They are on the link.
    Link,
    /// By a gateway on the link, and its Ethernet address if that is known.
    Gateway(IpAddr, Option<Mac>),
    /// By another interface, or not at all.
    Elsewhere,
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Back to the station that asked.
    Back,
    /// To this station: the gateway of this index in [`NextHops::gateways`].
    To(usize, Mac),
    /// To the gateway of this index, whose station is not known.
    Unresolved(usize),
    /// By another interface, or nowhere.
    Elsewhere,
}

/// A router on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its address.
    pub address: IpAddr,
    /// Its Ethernet address, where the kernel knows it.
    pub mac: Option<Mac>,
}

/// More ways than a table may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} routes of the kernel, and at most {WAYS_MAX} are followed")]
pub struct TooManyWays(pub usize);

/// All ways, flat.
#[derive(Clone, Debug)]
pub struct NextHops {
    /// Tells this table from those before it.
    pub generation: u32,
    gateways: Box<[Gateway]>,
    sources: Sources,
    /// What is said of an address that no prefix has, but that of length 0; by family.
    otherwise: [u32; 2],
}

/// The source maps of the two families.
const SOURCE_MAPS: [(Family, u32); 2] = [(Family::V4, 0), (Family::V6, 1)];

impl Default for NextHops {
    /// No way at all but to what is on every link.
    fn default() -> Self {
        Numbered::default().build(0)
    }
}

impl NextHops {
    /// The table of these ways, the first one counting where a prefix has several. Whatever they say, link-local addresses
    /// are on the link.
    pub fn new(
        generation: u32,
        ways: impl ExactSizeIterator<Item = (Prefix, Via)>,
    ) -> Result<Self, TooManyWays> {
        if ways.len() > WAYS_MAX {
            return Err(TooManyWays(ways.len()));
        }
        let mut numbered = Numbered::default();
        for (prefix, via) in ways {
            numbered.add(prefix, via);
        }
        Ok(numbered.build(generation))
    }

    /// Where an answer to `asker` goes.
    pub fn to(&self, asker: IpAddr) -> Way {
        let family = Family::of(asker);
        let found = SOURCE_MAPS.iter().zip(self.otherwise).find(|((one, _), _)| *one == family);
        let Some((&(_, source_map), otherwise)) = found else { return Way::Elsewhere };
        match self.sources.class(family, source_map, number(asker)) {
            0 => self.way(otherwise),
            number => self.way(number),
        }
    }

    fn way(&self, number: u32) -> Way {
        if number == LINK {
            return Way::Back;
        }
        let index = number.wrapping_sub(GATEWAYS) as usize;
        match self.gateways.get(index) {
            Some(&Gateway { mac: Some(mac), .. }) => Way::To(index, mac),
            Some(Gateway { mac: None, .. }) => Way::Unresolved(index),
            None => Way::Elsewhere,
        }
    }

    /// The gateways, in the order in which ways have named them first.
    pub fn gateways(&self) -> &[Gateway] {
        &self.gateways
    }

    /// From askers to the numbers of their ways, as the drawing has them: source map 0 is of IPv4, 1 of IPv6.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The number for askers that no prefix has but that of length 0, by family.
    pub fn otherwise(&self) -> [u32; 2] {
        self.otherwise
    }
}

/// Ways as numbers.
#[derive(Debug, Default)]
struct Numbered {
    gateways: Vec<Gateway>,
    numbers: BTreeMap<IpAddr, u32>,
    regions: [BTreeMap<(u128, u8), u32>; 2],
    otherwise: [Option<u32>; 2],
}

impl Numbered {
    fn add(&mut self, prefix: Prefix, via: Via) {
        let number = self.number(via);
        let [v4, v6] = &mut self.regions;
        let [otherwise4, otherwise6] = &mut self.otherwise;
        let (regions, otherwise) = match prefix.family() {
            Family::V4 => (v4, otherwise4),
            Family::V6 => (v6, otherwise6),
        };
        if prefix.bit_count() == 0 {
            otherwise.get_or_insert(number);
        } else {
            regions.entry((prefix.first(), prefix.bit_count())).or_insert(number);
        }
    }

    fn number(&mut self, via: Via) -> u32 {
        match via {
            Via::Link => LINK,
            Via::Elsewhere => ELSEWHERE,
            Via::Gateway(address, mac) => *self.numbers.entry(address).or_insert_with(|| {
                self.gateways.push(Gateway { address, mac });
                GATEWAYS + count_of(&self.gateways) - 1
            }),
        }
    }

    fn build(mut self, generation: u32) -> NextHops {
        let (first, len) = LINK_LOCAL;
        let [_, v6] = &mut self.regions;
        v6.retain(|&(address, longer), _| longer < len || address & Family::V6.mask(len) != first);
        v6.insert(LINK_LOCAL, LINK);
        let mut builder = SourcesBuilder::default();
        for ((family, expected), regions) in SOURCE_MAPS.into_iter().zip(self.regions) {
            let regions: Vec<Region> =
                regions.into_iter().map(|((address, len), number)| (address, len, number)).collect();
            let source_map = builder.source_map(family, regions);
            debug_assert_eq!(source_map, expected, "a family has its source map");
        }
        NextHops {
            generation,
            gateways: self.gateways.into_boxed_slice(),
            sources: builder.build(),
            otherwise: self.otherwise.map(|number| number.unwrap_or(ELSEWHERE)),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "no more gateways than ways")]
const fn count_of(gateways: &[Gateway]) -> u32 {
    gateways.len() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn next_hops(ways: &[(&str, Via)]) -> NextHops {
        let ways: Vec<_> = ways.iter().map(|&(prefix, via)| (prefix.parse().unwrap(), via)).collect();
        NextHops::new(7, ways.into_iter()).unwrap()
    }

    #[test]
    fn the_longest_prefix_says_the_way() {
        let near = Via::Gateway(ip("10.0.0.254"), Some(MAC));
        let dead = Via::Gateway(ip("10.0.0.253"), None);
        let table = next_hops(&[
            ("10.0.0.0/24", Via::Link),
            ("0.0.0.0/0", near),
            ("192.0.2.0/24", dead),
            ("192.0.2.128/25", Via::Elsewhere),
            ("::/0", Via::Gateway(ip("fe80::1"), Some(MAC))),
        ]);
        for (asker, way) in [
            ("10.0.0.9", Way::Back),
            ("10.0.1.9", Way::To(0, MAC)),
            ("192.0.2.1", Way::Unresolved(1)),
            ("192.0.2.129", Way::Elsewhere),
            ("2001:db8::1", Way::To(2, MAC)),
            ("fe80::9", Way::Back),
        ] {
            assert_eq!(table.to(ip(asker)), way, "{asker}");
        }
        assert_eq!(table.gateways().len(), 3);
        assert_eq!(table.generation, 7);
    }

    #[test]
    fn without_a_route_there_is_no_way_but_on_the_link() {
        let table = NextHops::default();
        for (asker, way) in [
            ("10.0.0.9", Way::Elsewhere),
            ("2001:db8::1", Way::Elsewhere),
            ("fe80::1", Way::Back),
            ("febf:ffff::1", Way::Back),
            ("fec0::1", Way::Elsewhere),
        ] {
            assert_eq!(table.to(ip(asker)), way, "{asker}");
        }
    }

    #[test]
    fn the_first_of_two_ways_counts_and_none_takes_a_link_local_address_away() {
        let gateway = Via::Gateway(ip("10.0.0.254"), Some(MAC));
        let table = next_hops(&[
            ("10.1.0.0/16", gateway),
            ("10.1.0.0/16", Via::Elsewhere),
            ("0.0.0.0/0", Via::Elsewhere),
            ("0.0.0.0/0", gateway),
            ("fe80::/64", Via::Elsewhere),
            ("fe80::/10", Via::Elsewhere),
            ("fe00::/7", Via::Elsewhere),
        ]);
        assert_eq!(table.to(ip("10.1.2.3")), Way::To(0, MAC));
        assert_eq!(table.to(ip("10.2.2.3")), Way::Elsewhere);
        assert_eq!(table.to(ip("fe80::1")), Way::Back);
    }

    #[test]
    fn more_ways_than_are_followed_are_refused() {
        let ways = vec![("10.0.0.0/8".parse().unwrap(), Via::Link); WAYS_MAX + 1];
        let error = NextHops::new(1, ways.into_iter()).unwrap_err();
        assert_eq!(error.to_string(), "65537 routes of the kernel, and at most 65536 are followed");
    }

    proptest! {
        #[test]
        fn it_is_the_way_that_looking_at_all_routes_finds(
            drawn in prop::collection::vec((0_u32..16, 0_u8..33, 0_u32..28, 0_usize..4), 0..40),
            askers in prop::collection::vec((0_u32..16, 0_u32..28), 40),
        ) {
            let vias = [
                Via::Link,
                Via::Elsewhere,
                Via::Gateway(ip("10.0.0.1"), Some(MAC)),
                Via::Gateway(ip("10.0.0.2"), None),
            ];
            let mut ways: Vec<(Prefix, Via)> = Vec::new();
            for (bits, len, shift, via) in drawn {
                let masked = u128::from(bits << shift) & Family::V4.mask(len);
                let network = std::net::Ipv4Addr::from(u32::try_from(masked).unwrap());
                ways.push((Prefix::new(network.into(), len).unwrap(), vias[via]));
            }
            let table = NextHops::new(0, ways.clone().into_iter()).unwrap();
            for (bits, shift) in askers {
                let asker = IpAddr::from((bits << shift).to_be_bytes());
                let has = ways.iter().rev().filter(|(prefix, _)| prefix.contains(asker));
                let wanted = match has.max_by_key(|(prefix, _)| prefix.bit_count()).map(|&(_, via)| via) {
                    None | Some(Via::Elsewhere) => (None, false),
                    Some(Via::Link) => (None, true),
                    Some(Via::Gateway(address, _)) => (Some(address), false),
                };
                let found = match table.to(asker) {
                    Way::Back => (None, true),
                    Way::Elsewhere => (None, false),
                    Way::To(index, _) | Way::Unresolved(index) => (Some(table.gateways()[index].address), false),
                };
                prop_assert_eq!(found, wanted);
            }
        }
    }
}

//! What the program takes from the kernel, and where it is answered.

use std::net::{IpAddr, Ipv4Addr};

use super::{Refinements, Vlans};

/// Who else has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The kernel: it answers ARP and NDP for it and gets whatever is not claimed.
    Kernel,
    /// Nobody: Barelane answers ARP and NDP too, and what it does not claim ends at the program.
    Barelane,
}

/// Where a claimed question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tier {
    /// By the program itself, in the driver; what it cannot finish goes to the lane. For echo, ARP and neighbour
    /// discovery alone: a UDP port of this tier is echoed.
    Driver = 0,
    /// By the lane.
    Lane = 1,
    /// By the kernel: an exception from what would be claimed otherwise.
    Kernel = 2,
}

/// One question: what is asked of which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// The address that it is sent to.
    pub address: IpAddr,
    /// The IP protocol: 1 ICMP, 17 UDP, 58 ICMPv6.
    pub protocol: u8,
    /// The UDP destination port, or the ICMP or ICMPv6 type.
    pub selector: u16,
}

/// One question that is answered, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The question.
    pub key: ClaimKey,
    /// Where it is answered.
    pub tier: Tier,
    /// The index of the route that takes it, to be counted by; `u16::MAX` where it is none's.
    pub route: u16,
    /// Whether the answer goes back to the station that asked, wherever the asker is.
    pub is_reflected: bool,
}

/// An address that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedAddress {
    /// The address.
    pub ip: IpAddr,
    /// Who else has it.
    pub owner: Owner,
    /// Its link's broadcast address, which may not ask; none for IPv6, and for links without one.
    pub broadcast: Option<Ipv4Addr>,
    /// How many bits of its address an asker on the link shares with this one: who shares fewer is answered by the lane,
    /// which knows the way, where the answer is not to be reflected.
    pub link_len: u8,
    /// Where ARP and NDP are answered, if Barelane alone has the address.
    pub neighbours: Tier,
}

impl ClaimedAddress {
    /// An address that the lane answers for, on a link without a broadcast address to which everybody belongs.
    pub const fn new(ip: IpAddr, owner: Owner) -> Self {
        Self { ip, owner, broadcast: None, link_len: 0, neighbours: Tier::Lane }
    }
}

/// What is done about UDP checksums that the sender left to a NIC that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartialChecksums {
    /// They are accepted, and the answer has a whole one: on a veth.
    Accept,
    /// They are wrong: on a wire.
    #[default]
    Refuse,
}

/// How the program answers where it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The TTL or hop limit of answers.
    pub hop_limit: u8,
    /// What is done about partial UDP checksums.
    pub partial_checksums: PartialChecksums,
    /// UDP source ports that are not answered: an answer could come back as a question.
    pub refused_sources: Vec<u16>,
}

/// Questions to an address of which the answer depends on more than one port or type: who asks, on which VLAN, or a range of
/// ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefinedKey {
    /// The address.
    pub address: IpAddr,
    /// The IP protocol: 1 ICMP, 17 UDP, 58 ICMPv6.
    pub protocol: u8,
    /// Which group of the [`Refinements`] says it.
    pub group: u32,
}

/// What the program takes from the kernel; everything else stays there.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The interface's MAC address. Frames to another are the kernel's.
    pub mac: [u8; 6],
    /// The VLANs that are served. What is tagged with another is the kernel's, whatever its address.
    pub vlans: Vlans,
    /// The addresses that are served, and who else has them.
    pub addresses: Vec<ClaimedAddress>,
    /// The questions that are answered. Of two with the same key the last one counts.
    pub claims: Vec<Claim>,
    /// What is asked where no claim names the question by itself.
    pub refined: Vec<RefinedKey>,
    /// What is said to it.
    pub refinements: Refinements,
    /// How the program answers where it does.
    pub answers: Answers,
}

impl Claims {
    /// How many routes there are, as far as a claim names them.
    pub(super) fn route_count(&self) -> usize {
        let named = self.claims.iter().map(|claim| claim.route).chain(self.refinements.routes());
        named.filter(|&route| route != u16::MAX).max().map_or(0, |last| usize::from(last) + 1)
    }

    /// What both take, at a tier at which both can answer: where one of the two has a lane answer, the lane does. So this
    /// may be in force while the lanes go from the tables of the one to those of the other. Answers are made as `self` says.
    ///
    /// Refined questions are taken where nothing at all has changed about refined ones.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let same_address = |address: &ClaimedAddress| {
            let twin =
                other.addresses.iter().find(|twin| twin.ip == address.ip && twin.owner == address.owner)?;
            let neighbours = common_tier(address.neighbours, twin.neighbours);
            Some(ClaimedAddress { neighbours, ..*address })
        };
        let same_key = |claim: &Claim| {
            let twin = other.claims.iter().rfind(|twin| twin.key == claim.key)?;
            Some(Claim { tier: common_tier(claim.tier, twin.tier), ..*claim })
        };
        Self {
            mac: self.mac,
            vlans: self.vlans.common(other.vlans),
            addresses: self.addresses.iter().filter_map(same_address).collect(),
            claims: self.claims.iter().filter_map(same_key).collect(),
            refined: if self.refinements.say_the_same_as(&other.refinements) {
                self.refined.iter().filter(|key| other.refined.contains(key)).copied().collect()
            } else {
                Vec::new()
            },
            refinements: self.refinements.clone(),
            answers: self.answers.clone(),
        }
    }
}

/// The tier at which a question can be answered by either of two tables: the later one, for a lane answers what a
/// program does, and what the kernel has is nobody's to take.
fn common_tier(one: Tier, other: Tier) -> Tier {
    one.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(addresses: &[(&str, Owner)], ports: &[(u16, Tier)], vids: &[u16]) -> Claims {
        let address = addresses[0].0.parse().unwrap();
        let claim = |&(selector, tier)| Claim {
            key: ClaimKey { address, protocol: 17, selector },
            tier,
            route: 0,
            is_reflected: false,
        };
        Claims {
            mac: [2, 0, 0, 0, 0, 1],
            vlans: Vlans::of(vids).unwrap(),
            addresses: addresses
                .iter()
                .map(|(ip, owner)| ClaimedAddress::new(ip.parse().unwrap(), *owner))
                .collect(),
            claims: ports.iter().map(claim).collect(),
            ..Claims::default()
        }
    }

    #[test]
    fn what_two_have_in_common_is_what_both_take_at_the_later_tier() {
        use Tier::{Driver, Kernel, Lane};
        let old = [("10.0.0.1", Owner::Barelane), ("10.0.0.2", Owner::Kernel)];
        let new = [("10.0.0.1", Owner::Barelane), ("10.0.0.2", Owner::Barelane)];
        let old = claims(&old, &[(7, Driver), (8, Driver), (9, Lane), (10, Driver)], &[41, 42]);
        let new = claims(&new, &[(8, Driver), (9, Driver), (10, Kernel), (11, Lane)], &[42, 43]);
        let both = new.common(&old);
        assert_eq!(both.addresses, [ClaimedAddress::new("10.0.0.1".parse().unwrap(), Owner::Barelane)]);
        let found: Vec<_> = both.claims.iter().map(|claim| (claim.key.selector, claim.tier)).collect();
        assert_eq!(found, [(8, Driver), (9, Lane), (10, Kernel)]);
        assert_eq!(both.vlans, Vlans::of(&[42]).unwrap());
    }
}

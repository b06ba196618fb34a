//! Multicast groups that must be joined so that neighbour solicitations for our addresses arrive at all.
//!
//! A solicitation goes to the solicited-node group of the address it asks for (RFC 4291 2.7.1). A card drops groups it
//! was not told of, and so does a switch that snoops on MLD. The kernel tells both, but only of groups that a socket has
//! joined or an address of its own needs; it knows nothing of an address that only Barelane owns.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::set_ipv6_add_membership;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::{HostError, links, packet, sys};

/// Who was told of the groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The card's filter, and the link's switches and routers by MLD.
    CardAndLink,
    /// The card's filter only: IPv6 is off on the interface, and the kernel speaks no MLD there.
    CardOnly,
}

/// The solicited-node groups of some addresses, joined until this is dropped.
#[derive(Debug)]
pub struct SolicitedNode {
    _socket: OwnedFd,
    told: Told,
}

impl SolicitedNode {
    /// Joins the groups of `addresses` on an interface.
    pub fn join(ifindex: u32, addresses: &[Ipv6Addr]) -> Result<Self, HostError> {
        let groups: BTreeSet<_> = addresses.iter().copied().map(solicited_node).collect();
        let told = if links::speaks_ipv6(ifindex)? { Told::CardAndLink } else { Told::CardOnly };
        let joined = match told {
            Told::CardAndLink => by_ipv6(ifindex, &groups),
            Told::CardOnly => by_packet(ifindex, &groups),
        };
        let socket = joined.map_err(|errno| {
            let asked = format!("join the solicited-node groups on the interface of index {ifindex}");
            HostError::refused(asked, errno)
        })?;
        Ok(Self { _socket: socket, told })
    }

    /// Who was told of the groups.
    pub const fn told(&self) -> Told {
        self.told
    }
}

/// `ff02::1:ffXX:XXXX` with the last 24 bits of the address (RFC 4291 2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from_octets([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff, a, b, c])
}

/// 33:33 and the last 32 bits of the group (RFC 2464 7).
const fn mac_of(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

fn by_ipv6(ifindex: u32, groups: &BTreeSet<Ipv6Addr>) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    groups.iter().try_for_each(|group| set_ipv6_add_membership(&socket, group, ifindex))?;
    Ok(socket)
}

fn by_packet(ifindex: u32, groups: &BTreeSet<Ipv6Addr>) -> Result<OwnedFd, Errno> {
    let socket = packet::raw()?;
    groups.iter().try_for_each(|group| sys::join_packet(&socket, ifindex, mac_of(*group)))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_has_the_last_24_bits_of_the_address() {
        // The example of RFC 4291 2.7.1.
        let address: Ipv6Addr = "4037::1:800:200e:8c6c".parse().unwrap();
        assert_eq!(solicited_node(address), "ff02::1:ff0e:8c6c".parse::<Ipv6Addr>().unwrap());
        assert_eq!(mac_of(solicited_node(address)), [0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c]);
    }
}

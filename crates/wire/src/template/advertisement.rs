//! The neighbour advertisement that says: this address is here.

use core::net::Ipv6Addr;

use zerocopy::IntoBytes;
use zerocopy::network_endian::{U16, U32};

use crate::checksum::{Field, Sum};
use crate::ethernet::{Ethernet, Mac};
use crate::headers::Headers;
use crate::icmpv6;
use crate::ipv6::{self, Ipv6};
use crate::ndp::{self, LinkLayerAddress, NeighbourAdvertisement, Solicitation};

/// Every neighbour advertisement that one own IPv6 address sends.
///
/// Destination, flags and checksum are holes, and zero here. There are two sorts, each with a sum of its own.
#[derive(Clone, Copy, Debug)]
pub struct AdvertisementTemplate {
    ip: Ipv6,
    message: NeighbourAdvertisement,
    /// The sum of what goes to the asker, but for the asker's address.
    solicited: Sum,
    /// The sum of what goes to all nodes.
    unsolicited: Sum,
}

/// All nodes on the link, as Ethernet addresses them (RFC 2464 section 7).
const ALL_NODES: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

impl AdvertisementTemplate {
    /// A template for the address `ip`, which is at `mac`.
    pub fn new(mac: Mac, ip: Ipv6Addr) -> Self {
        let target = ip.octets();
        let ip = Ipv6 {
            version_and_class: U32::new(ipv6::VERSION),
            payload_len: U16::new(NeighbourAdvertisement::LEN_U16),
            next_header: ipv6::ICMP,
            hop_limit: ndp::HOP_LIMIT,
            src: target,
            dst: [0; 16],
        };
        let message = NeighbourAdvertisement {
            kind: icmpv6::NEIGHBOUR_ADVERTISEMENT,
            code: 0,
            checksum: Field::ZERO,
            flags: 0,
            reserved: [0; 3],
            target,
            option: LinkLayerAddress { kind: ndp::TARGET_LINK_LAYER_ADDRESS, len: 1, mac },
        };
        let sum = ip.pseudo(NeighbourAdvertisement::LEN_U16) + Sum::of(message.as_bytes());
        let solicited = sum + [ndp::SOLICITED | ndp::OVERRIDE, 0];
        let unsolicited = sum + [ndp::OVERRIDE, 0] + Sum::of(&ipv6::ALL_NODES);
        Self { ip, message, solicited, unsolicited }
    }

    /// Turns a solicitation into the advertisement that answers it, Ethernet addresses included, and gives its end
    /// (RFC 4861 section 7.2.4).
    ///
    /// To the asker, as solicited; or, where the question came from nobody, to everybody, unsolicited: the asker must
    /// hear that its address is taken (RFC 4862 section 5.4.4). The link-layer address is always told, which the RFC
    /// demands for a question to a group and allows for any.
    #[inline(always)]
    pub fn answer(&self, room: &mut [u8], headers: Headers, solicitation: &Solicitation) -> Option<usize> {
        const LEN: usize = Ipv6::LEN + NeighbourAdvertisement::LEN;
        let (ethernet, packet) = room.split_at_mut_checked(headers.network)?;
        let ethernet = Ethernet::of_mut(ethernet, 0)?;
        let packet = packet.get_mut(..LEN)?;
        let ip = Ipv6::of_mut(packet, 0)?;
        let (to, dst, flags, sum) = if solicitation.is_probe {
            (ALL_NODES, ipv6::ALL_NODES, ndp::OVERRIDE, self.unsolicited)
        } else {
            (ethernet.src, ip.src, ndp::SOLICITED | ndp::OVERRIDE, self.solicited + Sum::of(&ip.src))
        };
        let checksum = sum.complement();
        *ip = Ipv6 { dst, ..self.ip };
        *NeighbourAdvertisement::of_mut(packet, Ipv6::LEN)? =
            NeighbourAdvertisement { checksum, flags, ..self.message };
        ethernet.dst = to;
        ethernet.src = self.message.option.mac;
        Some(headers.network + LEN)
    }
}

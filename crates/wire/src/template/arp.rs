//! The ARP packet that says: this address is here.

use core::mem::offset_of;
use core::net::Ipv4Addr;

use zerocopy::IntoBytes;
use zerocopy::network_endian::U16;

use crate::arp::{self, Arp};
use crate::ethernet::{self, Ethernet, Mac};
use crate::headers::Headers;

/// Where the sender's two addresses begin, and where they end and the target's begin.
const SENDER: usize = offset_of!(Arp, sender_mac);
const TARGET: usize = offset_of!(Arp, target_mac);

const _: () = assert!(Arp::LEN - TARGET == TARGET - SENDER);

/// Every ARP packet that one own IPv4 address sends.
#[derive(Clone, Copy, Debug)]
pub struct ArpTemplate {
    packet: Arp,
}

impl ArpTemplate {
    /// A template for the address `ip`, which is at `mac`.
    pub const fn new(mac: Mac, ip: Ipv4Addr) -> Self {
        let packet = Arp {
            hardware: U16::from_bytes(arp::HARDWARE_ETHERNET.to_be_bytes()),
            protocol: U16::from_bytes(ethernet::IPV4.to_be_bytes()),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::from_bytes(arp::REPLY.to_be_bytes()),
            sender_mac: mac,
            sender_ip: ip.octets(),
            target_mac: Mac([0; 6]),
            target_ip: [0; 4],
        };
        Self { packet }
    }

    /// Turns a request into its reply, Ethernet addresses included, and gives the packet's end. The frame goes to the
    /// hardware address that the request names as its sender's (RFC 826, "Packet Reception": "send the packet to the
    /// (new) target hardware address"), which need not be the station that the frame came from.
    ///
    /// The question's sender is the answer's target, and stands in the same order there: what is copied is whole runs of
    /// fields, in a third of the instructions that field by field takes.
    #[inline(always)]
    pub fn answer(&self, room: &mut [u8], headers: Headers) -> Option<usize> {
        let packet = headers.packet_mut(room)?.first_chunk_mut::<{ Arp::LEN }>()?;
        packet.copy_within(SENDER..TARGET, TARGET);
        packet.first_chunk_mut::<TARGET>()?.copy_from_slice(self.packet.as_bytes().first_chunk::<TARGET>()?);
        let asker = Arp::of(packet, 0)?.target_mac;
        let ethernet = Ethernet::of_mut(room, 0)?;
        ethernet.dst = asker;
        ethernet.src = self.packet.sender_mac;
        Some(headers.network + Arp::LEN)
    }

    /// Writes an ARP announcement to everybody, Ethernet addresses included, and gives its end: a request for the own
    /// address (RFC 5227 section 2.3). It is sent before an address is used, and to defend it (section 2.4).
    ///
    /// `network` is where the packet begins; ethertype and tags in front of it are left as they are.
    pub fn announce(&self, room: &mut [u8], network: usize) -> Option<usize> {
        let packet =
            Arp { operation: U16::new(arp::REQUEST), target_ip: self.packet.sender_ip, ..self.packet };
        *Arp::of_mut(room, network)? = packet;
        let ethernet = Ethernet::of_mut(room, 0)?;
        ethernet.dst = Mac::BROADCAST;
        ethernet.src = self.packet.sender_mac;
        Some(network + Arp::LEN)
    }
}

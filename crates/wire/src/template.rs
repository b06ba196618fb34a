//! Answers written before the question came: bytes with holes, and the sum of what does not change.
//!
//! | template | one for each | written beforehand | patched for each question |
//! |---|---|---|---|
//! | [`ArpTemplate`] | own IPv4 address | the whole packet | who asked |
//! | [`AdvertisementTemplate`] | own IPv6 address | IPv6 header and message | who asked, flag, checksum |
//! | [`Ipv4Template`] | own IPv4 address and protocol | the header, and the sum of it | DSCP, length, who asked, checksum |
//! | [`Ipv6Template`] | own IPv6 address | the header | DSCP, length, protocol, who asked |
//!
//! An answer is written in place, from [`Headers::network`](crate::Headers::network) on, into the frame that the
//! question came in, so that its VLAN tags stay. The first two know their Ethernet address and write the Ethernet
//! addresses too: the frame is complete but for its padding ([`ethernet::pad`](crate::ethernet::pad)). The last two
//! write an IP header and leave the Ethernet addresses to [`ethernet::turn_round`](crate::ethernet::turn_round).
//!
//! Every function gives nothing, and has written nothing, where the room is too small.

mod advertisement;
mod arp;
mod ipv4;
mod ipv6;

pub use advertisement::AdvertisementTemplate;
pub use arp::ArpTemplate;
pub use ipv4::Ipv4Template;
pub use ipv6::Ipv6Template;

//! Who may ask: a source that a single other host can have (RFC 1122 3.2.1.3, RFC 4291 2.5 and 2.7).

use route::{Host4, Host6};

/// Which first octets a single host's address has: none of 0/8, 127/8, 224/4, 240/4. One byte each, which is two
/// instructions less than one bit each.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse a wrong index")]
static IS_HOST: [bool; 256] = {
    let mut is_host = [false; 256];
    let mut first = 1;
    while first < 224 {
        is_host[first] = first != 127;
        first += 1;
    }
    is_host
};

/// Whether an IPv4 source may be answered by `host`: the source of a single host, not the link's broadcast address,
/// and not our own.
#[inline(always)]
pub(super) fn may_ask_v4(src: [u8; 4], host: &Host4) -> bool {
    let [first, ..] = src;
    // Addresses compare as words: two arrays would be put together byte by byte, eight instructions.
    let [src, broadcast, address] = [src, host.broadcast, host.address].map(u32::from_ne_bytes);
    IS_HOST.get(usize::from(first)).is_some_and(|&is_host| is_host) && src != broadcast && src != address
}

/// `::1` in memory order; but for this bit, it is `::`.
const LOOPBACK: u128 = 1_u128.to_be();

/// What all bits are set of in a group's address (`ff00::/8`), in memory order.
const GROUP: u128 = (0xff_u128 << 120).to_be();

/// Whether an IPv6 source may be answered by `host`: neither unspecified, loopback nor a group, and not our own.
#[inline(always)]
pub(super) fn may_ask_v6(src: [u8; 16], host: &Host6) -> bool {
    // As words in memory order: a number would have its bytes swapped first.
    let (src, own) = (u128::from_ne_bytes(src), u128::from_ne_bytes(host.address));
    src & !LOOPBACK != 0 && src & GROUP != GROUP && src != own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{host4, host6};

    #[test]
    fn every_first_octet_is_judged_as_its_class() {
        for first in 0..=u8::MAX {
            let is_host = !matches!(first, 0 | 127 | 224..);
            assert_eq!(may_ask_v4([first, 1, 2, 3], &host4()), is_host, "{first}");
        }
    }

    #[test]
    fn neither_the_broadcast_address_nor_our_own_may_ask() {
        assert!(may_ask_v4([10, 0, 0, 9], &host4()));
        assert!(!may_ask_v4([10, 0, 0, 255], &host4()));
        assert!(!may_ask_v4([10, 0, 0, 1], &host4()));
    }

    #[test]
    fn ipv6_sources_are_judged_as_their_scope() {
        for (src, may) in [
            ("::", false),
            ("::1", false),
            ("ff02::1", false),
            ("fd00::1", false),
            ("fd00::9", true),
            ("fe80::9", true),
        ] {
            let src: std::net::Ipv6Addr = src.parse().unwrap();
            assert_eq!(may_ask_v6(src.octets(), &host6()), may, "{src}");
        }
    }
}

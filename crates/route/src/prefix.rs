//! Prefixes: all addresses whose first bits are given, as in `10.0.0.0/8`; and sets of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;
use wire::headers::Kind;

/// All addresses of one family that begin with the same bits. Bits behind them are zero in `network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    network: IpAddr,
    len: u8,
}

/// Why there is no such prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// The text is neither an address nor a prefix.
    #[error("not a prefix: write one such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1")]
    Malformed,
    /// The length is beyond the address's end.
    #[error("a prefix that is longer than the address: write a length from 0 to {0}")]
    TooLong(u8),
    /// Bits behind the length are set, so that it is not clear what was meant.
    #[error("an address with bits behind the prefix: write {0}, or the address alone")]
    HostBits(Prefix),
    /// An IPv4 address inside an IPv6 one, which no packet carries (RFC 4291 2.5.5.2).
    #[error("an IPv4 address in an IPv6 one's form: write it as IPv4")]
    Mapped,
}

/// The two families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// 32 bits.
    V4,
    /// 128 bits.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// That of an address.
    pub const fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// That of the addresses of such packets.
    pub(crate) const fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Arp | Kind::Icmpv4 | Kind::Udpv4 => Self::V4,
            Kind::Icmpv6 | Kind::Solicitation | Kind::Udpv6 => Self::V6,
        }
    }

    /// How many bits its addresses have.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// A mask of the first `len` bits of an address as a number.
    pub(crate) const fn mask(self, len: u8) -> u128 {
        let behind = self.bits().saturating_sub(len);
        let all = u128::MAX >> (128 - self.bits());
        match all.checked_shr(behind as u32) {
            Some(ones) => ones << behind,
            None => 0,
        }
    }
}

/// An address as a number, its first bit the highest of the family's.
pub const fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits() as u128,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The address of a number.
#[expect(clippy::cast_possible_truncation, reason = "an IPv4 address has 32 bits")]
pub(crate) fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4((number as u32).into()),
        Family::V6 => IpAddr::V6(number.into()),
    }
}

impl Prefix {
    /// The prefix of the first `len` bits of `network`, which must have no others.
    pub fn new(network: IpAddr, len: u8) -> Result<Self, PrefixError> {
        let family = Family::of(network);
        if matches!(network, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
            return Err(PrefixError::Mapped);
        }
        if len > family.bits() {
            return Err(PrefixError::TooLong(family.bits()));
        }
        let masked = number(network) & family.mask(len);
        let prefix = Self { network: address(family, masked), len };
        if masked == number(network) { Ok(prefix) } else { Err(PrefixError::HostBits(prefix)) }
    }

    /// The prefix of `len` bits in which an address lies; nothing where it has not as many.
    pub fn around(ip: IpAddr, len: u8) -> Option<Self> {
        let family = Family::of(ip);
        Self::new(address(family, number(ip) & family.mask(len)), len).ok()
    }

    /// Every address of a family.
    pub(crate) fn everything(family: Family) -> Self {
        Self { network: address(family, 0), len: 0 }
    }

    /// Its family.
    pub const fn family(self) -> Family {
        Family::of(self.network)
    }

    /// How many bits are given.
    pub const fn bit_count(self) -> u8 {
        self.len
    }

    /// Its first address, as a number.
    pub const fn first(self) -> u128 {
        number(self.network)
    }

    /// Its last address, as a number.
    pub const fn last(self) -> u128 {
        self.first() | self.family().mask(self.family().bits()) & !self.family().mask(self.len)
    }

    /// Whether `ip` is one of its addresses.
    pub fn contains(self, ip: IpAddr) -> bool {
        Family::of(ip) == self.family() && number(ip) & self.family().mask(self.len) == self.first()
    }
}

impl From<IpAddr> for Prefix {
    fn from(ip: IpAddr) -> Self {
        Self { network: ip, len: Family::of(ip).bits() }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == self.family().bits() {
            write!(out, "{}", self.network)
        } else {
            write!(out, "{}/{}", self.network, self.len)
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (ip, len) = text.split_once('/').map_or((text, None), |(ip, len)| (ip, Some(len)));
        let ip: IpAddr = ip.parse().map_err(|_| PrefixError::Malformed)?;
        let bits = Family::of(ip).bits();
        match len {
            None => Self::new(ip, bits),
            Some(len) if len.is_empty() || !len.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(PrefixError::Malformed)
            }
            Some(len) => Self::new(ip, len.parse().map_err(|_| PrefixError::TooLong(bits))?),
        }
    }
}

/// Addresses of one family as runs in order, none touching the next: sets that are the same have the same runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs(Vec<(u128, u128)>);

impl Runs {
    /// The addresses of these prefixes.
    pub(crate) fn of(prefixes: impl Iterator<Item = Prefix>) -> Self {
        let mut sorted: Vec<_> = prefixes.map(|prefix| (prefix.first(), prefix.last())).collect();
        sorted.sort_unstable();
        let mut runs: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match runs.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => runs.push((first, last)),
            }
        }
        Self(runs)
    }

    /// The lowest address; nothing where there is none.
    pub(crate) fn first(&self) -> Option<u128> {
        self.0.first().map(|&(first, _)| first)
    }

    /// Whether all addresses of `other` are among these.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        let mut runs = self.0.iter();
        let mut run = runs.next();
        other.0.iter().all(|&(first, last)| {
            while run.is_some_and(|&(_, end)| end < first) {
                run = runs.next();
            }
            run.is_some_and(|&(begin, end)| begin <= first && last <= end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_go_there_and_back() {
        for text in ["10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "::/0", "2001:db8::/32", "fd00::1"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("192.0.2.1/32"), prefix("192.0.2.1"));
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_what_helps() {
        let refused = |text: &str| text.parse::<Prefix>().unwrap_err().to_string();
        assert!(refused("10.0.0.1/8").contains("write 10.0.0.0/8"));
        assert!(refused("fd00::1/64").contains("write fd00::/64"));
        assert!(refused("10.0.0.0/33").contains("from 0 to 32"));
        assert!(refused("::/999").contains("from 0 to 128"));
        assert!(refused("::ffff:10.0.0.0/104").contains("write it as IPv4"));
        for text in ["", "10", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "lan"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_prefix_contains_what_begins_like_it_and_nothing_of_the_other_family() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("::/0", "ffff::", "0.0.0.0"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
        ] {
            assert!(prefix(text).contains(inside.parse().unwrap()), "{text}");
            assert!(!prefix(text).contains(outside.parse().unwrap()), "{text}");
        }
        assert_eq!(prefix("10.0.0.0/31").last(), prefix("10.0.0.1").first());
        assert_eq!((prefix("::/0").last(), prefix("0.0.0.0/0").last()), (u128::MAX, u32::MAX.into()));
    }

    #[test]
    fn an_address_lies_in_the_prefix_around_it() {
        for (ip, len, text) in
            [("10.1.2.3", 8, "10.0.0.0/8"), ("10.1.2.3", 32, "10.1.2.3"), ("fd00::1", 0, "::/0")]
        {
            assert_eq!(Prefix::around(ip.parse().unwrap(), len), Some(prefix(text)));
        }
        assert_eq!(Prefix::around("10.1.2.3".parse().unwrap(), 33), None);
    }

    #[test]
    fn sets_cover_each_other_however_they_are_cut() {
        let runs = |texts: &[&str]| Runs::of(texts.iter().map(|text| prefix(text)));
        let whole = runs(&["10.0.0.0/8"]);
        assert_eq!(runs(&["10.128.0.0/9", "10.0.0.0/9", "10.1.2.3"]), whole);
        assert!(whole.cover(&runs(&["10.1.0.0/16", "10.200.0.0/16"])));
        assert!(runs(&["10.0.0.0/9", "10.128.0.0/9"]).cover(&runs(&["10.64.0.0/10", "10.128.0.0/16"])));
        assert!(!runs(&["10.0.0.0/9"]).cover(&whole));
        assert!(!whole.cover(&runs(&["9.0.0.0/8", "10.0.0.0/9"])));
        assert!(runs(&["::/0"]).cover(&runs(&["::/1", "8000::/1"])));
    }
}

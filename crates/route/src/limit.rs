//! How often a route answers, at most, and what one source is to that.

use std::fmt;
use std::num::NonZeroU32;

use crate::prefix::Family;

/// How often a route answers, at most: in a lane, and in the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// All askers together, in a second; as often as they ask where it is nothing.
    pub per_second: Option<NonZeroU32>,
    /// Each source by itself.
    pub per_source: Option<SourceLimit>,
}

/// How often one source is answered, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimit {
    /// In a second.
    pub per_second: NonZeroU32,
    /// What one source is.
    pub prefix: SourcePrefix,
}

/// How many of an address's first bits say which source it is: all addresses that have these in common are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePrefix {
    ipv4_len: u8,
    ipv6_len: u8,
}

impl Limit {
    /// None.
    pub const NONE: Self = Self { per_second: None, per_source: None };

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// A limit for sources of the [longest](SourcePrefix::LONGEST) prefixes.
impl From<NonZeroU32> for SourceLimit {
    fn from(per_second: NonZeroU32) -> Self {
        Self { per_second, prefix: SourcePrefix::LONGEST }
    }
}

impl SourcePrefix {
    /// An IPv4 address; and the first 64 bits of an IPv6 address, which are what one link has (RFC 4291 2.5.1). The rest one
    /// asker can choose, anew for each question, so that a longer prefix would be a way round the limit.
    pub const LONGEST: Self = Self { ipv4_len: 32, ipv6_len: 64 };

    /// How many bits of this family's addresses.
    pub const fn len(self, family: Family) -> u8 {
        match family {
            Family::V4 => self.ipv4_len,
            Family::V6 => self.ipv6_len,
        }
    }

    /// The same with so many bits of this family's addresses; what is beyond the longest is the longest.
    #[must_use]
    pub fn with(self, family: Family, len: u8) -> Self {
        let len = len.min(Self::LONGEST.len(family));
        match family {
            Family::V4 => Self { ipv4_len: len, ..self },
            Family::V6 => Self { ipv6_len: len, ..self },
        }
    }

    /// These bits as a mask: of an IPv4 address, or of the first 64 bits of an IPv6 address.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an IPv4 address has 32 bits, and half of an IPv6 address 64"
    )]
    pub const fn mask(self, family: Family) -> u64 {
        let mask = family.mask(self.len(family));
        match family {
            Family::V4 => mask as u64,
            Family::V6 => (mask >> 64) as u64,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.per_second, self.per_source) {
            (None, None) => out.write_str("no limit"),
            (Some(all), None) => write!(out, "at most {all}/s"),
            (None, Some(one)) => write!(out, "at most {one}"),
            (Some(all), Some(one)) => write!(out, "at most {all}/s, {one}"),
        }
    }
}

impl fmt::Display for SourceLimit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/s to one source ({})", self.per_second, self.prefix)
    }
}

impl fmt::Display for SourcePrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "IPv4 /{}, IPv6 /{}", self.ipv4_len, self.ipv6_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_as_many_bits_as_the_prefix() {
        for (ipv4_len, ipv6_len, masks) in [
            (32, 64, [0xffff_ffff, u64::MAX]),
            (24, 56, [0xffff_ff00, 0xffff_ffff_ffff_ff00]),
            (1, 1, [0x8000_0000, 0x8000_0000_0000_0000]),
            (33, 65, [0xffff_ffff, u64::MAX]),
        ] {
            let prefix = SourcePrefix::LONGEST.with(Family::V4, ipv4_len).with(Family::V6, ipv6_len);
            assert_eq!(Family::ALL.map(|family| prefix.mask(family)), masks, "{prefix}");
        }
    }

    #[test]
    fn a_limit_says_what_one_source_is() {
        let per_source = |prefix| Some(SourceLimit { per_second: 10.try_into().unwrap(), prefix });
        let wide = SourcePrefix::LONGEST.with(Family::V4, 24).with(Family::V6, 48);
        for (limit, says) in [
            (Limit::NONE, "no limit"),
            (
                Limit { per_source: per_source(SourcePrefix::LONGEST), ..Limit::NONE },
                "at most 10/s to one source (IPv4 /32, IPv6 /64)",
            ),
            (
                Limit { per_second: 99.try_into().ok(), per_source: per_source(wide) },
                "at most 99/s, 10/s to one source (IPv4 /24, IPv6 /48)",
            ),
        ] {
            assert_eq!(limit.to_string(), says);
        }
    }
}

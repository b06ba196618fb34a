//! How often a route answers, at most.

use std::fmt;
use std::num::NonZeroU32;

/// How often a route answers, at most: in a lane, and in the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// All askers together, in a second; as often as they ask where it is nothing.
    pub per_second: Option<NonZeroU32>,
    /// One source in a second: an IPv4 address, or the first 64 bits of an IPv6 address, which is what one link has
    /// (RFC 4291 2.5.1) and one asker can choose the rest of.
    pub per_source: Option<NonZeroU32>,
}

impl Limit {
    /// None.
    pub const NONE: Self = Self { per_second: None, per_source: None };

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.per_second, self.per_source) {
            (None, None) => out.write_str("no limit"),
            (Some(all), None) => write!(out, "at most {all}/s"),
            (None, Some(one)) => write!(out, "at most {one}/s to one source"),
            (Some(all), Some(one)) => write!(out, "at most {all}/s, {one}/s to one source"),
        }
    }
}

//! Runs of UDP ports, as a route names them: `7`, or `4000-4999`.

use std::fmt;
use std::num::{NonZeroU16, TryFromIntError};
use std::str::FromStr;

/// One port, or all from one to another. Port 0 does not exist and is in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: NonZeroU16,
    last: NonZeroU16,
}

/// A text that names no ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRangeError;

impl PortRange {
    /// From `first` to `last`, both included; nothing where `last` comes before `first`.
    pub fn new(first: NonZeroU16, last: NonZeroU16) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The lowest of them.
    pub const fn first(self) -> u16 {
        self.first.get()
    }

    /// The highest of them.
    pub const fn last(self) -> u16 {
        self.last.get()
    }

    /// Whether `port` is one of them.
    pub const fn contains(self, port: u16) -> bool {
        self.first.get() <= port && port <= self.last.get()
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        self.first()..=self.last()
    }

    /// How many they are.
    pub const fn count(self) -> usize {
        self.last.get() as usize - self.first.get() as usize + 1
    }
}

impl From<NonZeroU16> for PortRange {
    fn from(port: NonZeroU16) -> Self {
        Self { first: port, last: port }
    }
}

impl TryFrom<u16> for PortRange {
    type Error = TryFromIntError;

    fn try_from(port: u16) -> Result<Self, TryFromIntError> {
        NonZeroU16::try_from(port).map(Self::from)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(out, "{first}"),
            (first, last) => write!(out, "{first}-{last}"),
        }
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain).ok_or(PortRangeError)
        };
        match text.split_once('-') {
            None => port(text).map(Self::from),
            Some((first, last)) => Self::new(port(first)?, port(last)?).ok_or(PortRangeError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_go_there_and_back() {
        for (text, count) in [("7", 1), ("1-65535", 65_535), ("4000-4999", 1000), ("65535", 1)] {
            let ports: PortRange = text.parse().unwrap();
            assert_eq!(
                (ports.to_string().as_str(), ports.count(), ports.iter().count()),
                (text, count, count)
            );
        }
        assert_eq!("7-7".parse::<PortRange>().unwrap().to_string(), "7");
    }

    #[test]
    fn what_names_no_ports_is_refused() {
        for text in ["", "0", "0-7", "7-", "-7", "8-7", "7-8-9", "65536", "1-65536", "+7", "7 - 8", "a"] {
            assert_eq!(text.parse::<PortRange>(), Err(PortRangeError), "{text}");
        }
    }

    #[test]
    fn both_ends_are_in_the_range() {
        let ports: PortRange = "4000-4999".parse().unwrap();
        assert_eq!([3999, 4000, 4999, 5000].map(|port| ports.contains(port)), [false, true, true, false]);
    }
}

//! What a route answers with, by the names that the command line and the configuration use.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use thiserror::Error;

use crate::ports::PortRange;

/// The port of a STAMP reflector where none is named (RFC 8762 section 4.1).
const STAMP_PORT: NonZeroU16 = match NonZeroU16::new(wire::stamp::PORT) {
    Some(port) => port,
    None => NonZeroU16::MIN,
};
const _: () = assert!(STAMP_PORT.get() == 862);

/// A service that answers one kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// ICMP echo on IPv4 addresses (RFC 792), ICMPv6 echo on IPv6 addresses (RFC 4443 4.2).
    IcmpEcho,
    /// UDP echo (RFC 862) on any ports.
    UdpEcho {
        /// The ports that are answered.
        ports: PortRange,
    },
    /// A STAMP session-reflector (RFC 8762) on any ports, usually 862.
    Stamp {
        /// The ports that are answered.
        ports: PortRange,
    },
    /// The server of sockperf's clients over UDP, on any ports.
    Sockperf {
        /// The ports that are answered.
        ports: PortRange,
    },
}

impl Service {
    /// Whether the driver tier has an answer to it; the others need a clock, or more of a datagram than its headers.
    pub const fn is_answered_in_the_driver(self) -> bool {
        matches!(self, Self::IcmpEcho | Self::UdpEcho { .. })
    }

    /// The UDP ports that it answers on, where it is a service over UDP.
    pub const fn udp_ports(self) -> Option<PortRange> {
        match self {
            Self::IcmpEcho => None,
            Self::UdpEcho { ports } | Self::Stamp { ports } | Self::Sockperf { ports } => Some(ports),
        }
    }

    /// Its name without ports.
    const fn name(self) -> &'static str {
        match self {
            Self::IcmpEcho => "icmp-echo",
            Self::UdpEcho { .. } => "udp-echo",
            Self::Stamp { .. } => "stamp",
            Self::Sockperf { .. } => "sockperf",
        }
    }
}

/// A service name that is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{given}` is not a service: use {}", ServiceError::USE)]
pub struct ServiceError {
    /// What was given.
    pub given: String,
}

impl ServiceError {
    /// What there is, as the end of a sentence that begins with a verb.
    pub const USE: &str = "icmp-echo, udp-echo:PORT, stamp, stamp:PORT or sockperf:PORT, \
                           PORT being one from 1 to 65535 or a range such as 4000-4999";
}

impl fmt::Display for Service {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())?;
        self.udp_ports().map_or(Ok(()), |ports| write!(out, ":{ports}"))
    }
}

impl FromStr for Service {
    type Err = ServiceError;

    fn from_str(given: &str) -> Result<Self, ServiceError> {
        let error = || ServiceError { given: given.to_owned() };
        let Some((name, ports)) = given.split_once(':') else {
            return match given {
                "icmp-echo" => Ok(Self::IcmpEcho),
                "stamp" => Ok(Self::Stamp { ports: STAMP_PORT.into() }),
                _ => Err(error()),
            };
        };
        let ports = ports.parse().map_err(|_| error())?;
        match name {
            "udp-echo" => Ok(Self::UdpEcho { ports }),
            "stamp" => Ok(Self::Stamp { ports }),
            "sockperf" => Ok(Self::Sockperf { ports }),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for name in [
            "icmp-echo",
            "udp-echo:7",
            "udp-echo:65535",
            "udp-echo:4000-4999",
            "stamp:862",
            "stamp:1",
            "sockperf:11111",
        ] {
            assert_eq!(name.parse::<Service>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_service_is_refused_by_name() {
        for name in [
            "",
            "icmp",
            "icmp-echo:7",
            "udp-echo",
            "udp-echo:",
            "udp-echo:0",
            "udp-echo:65536",
            "udp-echo:9-8",
            "UDP-echo:7",
            "stamp:",
            "stamp:0",
            "stamp:862:862",
            "sockperf",
            "sockperf:x",
        ] {
            assert_eq!(name.parse::<Service>().unwrap_err().given, name);
        }
    }

    #[test]
    fn stamp_has_a_port_of_its_own_where_none_is_named() {
        assert_eq!("stamp".parse::<Service>().unwrap().to_string(), "stamp:862");
    }
}

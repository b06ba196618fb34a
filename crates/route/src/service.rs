//! What a route answers with, by the names that the command line and the configuration use.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use thiserror::Error;

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
    /// UDP echo (RFC 862) on any port.
    UdpEcho {
        /// The port that is answered. Port 0 does not exist.
        port: NonZeroU16,
    },
    /// A STAMP session-reflector (RFC 8762) on any port, usually 862.
    Stamp {
        /// The port that is answered.
        port: NonZeroU16,
    },
    /// The server of sockperf's clients over UDP, on any port.
    Sockperf {
        /// The port that is answered.
        port: NonZeroU16,
    },
}

impl Service {
    /// Whether the driver tier has an answer to it; the others need a clock, or more of a datagram than its headers.
    pub const fn is_answered_in_the_driver(self) -> bool {
        matches!(self, Self::IcmpEcho | Self::UdpEcho { .. })
    }

    /// The UDP port that it answers on, where it is a service over UDP.
    pub const fn udp_port(self) -> Option<NonZeroU16> {
        match self {
            Self::IcmpEcho => None,
            Self::UdpEcho { port } | Self::Stamp { port } | Self::Sockperf { port } => Some(port),
        }
    }
}

/// A service name that is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{given}` is not a service: use `icmp-echo`, `udp-echo:PORT`, `stamp`, `stamp:PORT` or `sockperf:PORT` with a port from 1 to 65535"
)]
pub struct ServiceError {
    /// What was given.
    pub given: String,
}

impl fmt::Display for Service {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IcmpEcho => out.write_str("icmp-echo"),
            Self::UdpEcho { port } => write!(out, "udp-echo:{port}"),
            Self::Stamp { port } => write!(out, "stamp:{port}"),
            Self::Sockperf { port } => write!(out, "sockperf:{port}"),
        }
    }
}

impl FromStr for Service {
    type Err = ServiceError;

    fn from_str(given: &str) -> Result<Self, ServiceError> {
        let error = || ServiceError { given: given.to_owned() };
        let Some((name, port)) = given.split_once(':') else {
            return match given {
                "icmp-echo" => Ok(Self::IcmpEcho),
                "stamp" => Ok(Self::Stamp { port: STAMP_PORT }),
                _ => Err(error()),
            };
        };
        let port = port.parse().map_err(|_| error())?;
        match name {
            "udp-echo" => Ok(Self::UdpEcho { port }),
            "stamp" => Ok(Self::Stamp { port }),
            "sockperf" => Ok(Self::Sockperf { port }),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for name in ["icmp-echo", "udp-echo:7", "udp-echo:65535", "stamp:862", "stamp:1", "sockperf:11111"] {
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
